/**
 * Signals, signal(7): numbers, default actions, flags of sigaction(2), si_code values.
 */

export const SIGHUP = 1
export const SIGINT = 2
export const SIGQUIT = 3
export const SIGILL = 4
export const SIGTRAP = 5
export const SIGABRT = 6
export const SIGBUS = 7
export const SIGFPE = 8
export const SIGKILL = 9
export const SIGUSR1 = 10
export const SIGSEGV = 11
export const SIGUSR2 = 12
export const SIGPIPE = 13
export const SIGALRM = 14
export const SIGTERM = 15
export const SIGSTKFLT = 16
export const SIGCHLD = 17
export const SIGCONT = 18
export const SIGSTOP = 19
export const SIGTSTP = 20
export const SIGTTIN = 21
export const SIGTTOU = 22
export const SIGURG = 23
export const SIGXCPU = 24
export const SIGXFSZ = 25
export const SIGVTALRM = 26
export const SIGPROF = 27
export const SIGWINCH = 28
export const SIGIO = 29
export const SIGPWR = 30
export const SIGSYS = 31
/** The first real-time signal, as the kernel counts (glibc keeps 32 and 33 for itself). */
export const SIGRTMIN = 32
/** The last signal: _NSIG. */
export const NSIG = 64

const standardNames: ReadonlyArray<string> = (
  "SIG_0 SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM " +
  "SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF " +
  "SIGWINCH SIGIO SIGPWR SIGSYS"
).split(" ")

/** "SIGINT" for 2, "SIGRT_1" for 33 (as strace has it). */
export const signalName = (signo: number): string =>
  standardNames[signo] ?? (signo === SIGRTMIN ? "SIGRTMIN" : `SIGRT_${signo - SIGRTMIN}`)

/** A set of signals as sigset_t has it: bit n - 1 for signal n. */
export type SignalSet = bigint

/** The set that holds just `signo`. */
export const signalBit = (signo: number): SignalSet => 1n << BigInt(signo - 1)

/** The set of the given signals. */
export const signalSetOf = (...signals: ReadonlyArray<number>): SignalSet =>
  signals.reduce((set, signo) => set | signalBit(signo), 0n)

export const hasSignal = (set: SignalSet, signo: number): boolean => ((set >> BigInt(signo - 1)) & 1n) === 1n

/** Every signal: all 64 bits. */
export const ALL_SIGNALS: SignalSet = 0xffff_ffff_ffff_ffffn

/** Neither can be caught, blocked or ignored. */
export const UNBLOCKABLE: SignalSet = signalSetOf(SIGKILL, SIGSTOP)

/** Signals that stop a process by default. */
export const STOP_SIGNALS: SignalSet = signalSetOf(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU)

/** Raised by the thread's own instructions; delivered before any other. */
export const SYNCHRONOUS_SIGNALS: SignalSet = signalSetOf(SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS)

export type DefaultAction = "Terminate" | "Core" | "Ignore" | "Stop" | "Continue"

const CORE_SIGNALS = signalSetOf(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS)
const IGNORED_SIGNALS = signalSetOf(SIGCHLD, SIGURG, SIGWINCH)

/** What a signal does when its action is SIG_DFL, signal(7). */
export const defaultAction = (signo: number): DefaultAction => {
  if (signo === SIGCONT) return "Continue"
  if (hasSignal(STOP_SIGNALS, signo)) return "Stop"
  if (hasSignal(IGNORED_SIGNALS, signo)) return "Ignore"
  return hasSignal(CORE_SIGNALS, signo) ? "Core" : "Terminate"
}

// Flags of sigaction(2).
export const SA_NOCLDSTOP = 0x1
export const SA_NOCLDWAIT = 0x2
export const SA_SIGINFO = 0x4
export const SA_UNSUPPORTED = 0x400
export const SA_EXPOSE_TAGBITS = 0x800
export const SA_RESTORER = 0x0400_0000
export const SA_ONSTACK = 0x0800_0000
export const SA_RESTART = 0x1000_0000
export const SA_NODEFER = 0x4000_0000
export const SA_RESETHAND = 0x8000_0000
/** The flags that there are; others are dropped when an action is set. */
export const SA_KNOWN =
  SA_NOCLDSTOP +
  SA_NOCLDWAIT +
  SA_SIGINFO +
  SA_EXPOSE_TAGBITS +
  SA_RESTORER +
  SA_ONSTACK +
  SA_RESTART +
  SA_NODEFER +
  SA_RESETHAND

// sigaltstack(2).
export const SS_ONSTACK = 1
export const SS_DISABLE = 2
export const SS_AUTODISARM = 0x8000_0000
export const MINSIGSTKSZ = 2048

// rt_sigprocmask(2).
export const SIG_BLOCK = 0
export const SIG_UNBLOCK = 1
export const SIG_SETMASK = 2

// si_code: who sent it.
export const SI_USER = 0
export const SI_KERNEL = 0x80
export const SI_QUEUE = -1
export const SI_TIMER = -2
/** si_code of signal-driven I/O. */
export const POLL_IN = 1
export const POLL_OUT = 2
export const POLL_MSG = 3
export const SI_SIGIO = -5
export const SI_TKILL = -6
export const SI_DETHREAD = -7
export const SI_ASYNCNL = -60

// si_code of faults.
export const SEGV_MAPERR = 1
export const SEGV_ACCERR = 2
export const BUS_ADRALN = 1
export const BUS_ADRERR = 2
export const ILL_ILLOPN = 2
export const FPE_INTDIV = 1
export const TRAP_BRKPT = 1
export const TRAP_TRACE = 2

// si_code of SIGCHLD.
export const CLD_EXITED = 1
export const CLD_KILLED = 2
export const CLD_DUMPED = 3
export const CLD_TRAPPED = 4
export const CLD_STOPPED = 5
export const CLD_CONTINUED = 6
