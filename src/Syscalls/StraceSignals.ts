/**
 * siginfo_t in strace's words: what follows `--- SIGCHLD`, and what sigtimedwait(2) returns.
 */
import { errnoNames } from "../Abi/Errno.ts"
import { encodeSigInfo, type SigInfo } from "../Abi/SigInfo.ts"
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64, SYS_SECCOMP } from "../Abi/Seccomp.ts"
import { sysnoNames } from "../Abi/Sysno.ts"
import * as Signal from "../Abi/Signal.ts"
import type { NamedValues } from "../Task/Syscall.ts"
import * as Text from "./StraceText.ts"

const SENDERS: NamedValues = Object.entries({
  SI_USER: Signal.SI_USER,
  SI_KERNEL: Signal.SI_KERNEL,
  SI_QUEUE: Signal.SI_QUEUE,
  SI_TIMER: Signal.SI_TIMER,
  SI_MESGQ: -3,
  SI_ASYNCIO: -4,
  SI_SIGIO: -5,
  SI_TKILL: Signal.SI_TKILL
})

const OWN_CODES: ReadonlyMap<number, NamedValues> = new Map<number, NamedValues>([
  [Signal.SIGSEGV, Object.entries({ SEGV_MAPERR: 1, SEGV_ACCERR: 2, SEGV_BNDERR: 3, SEGV_PKUERR: 4 })],
  [Signal.SIGBUS, Object.entries({ BUS_ADRALN: 1, BUS_ADRERR: 2, BUS_OBJERR: 3 })],
  [
    Signal.SIGILL,
    Object.entries({ ILL_ILLOPC: 1, ILL_ILLOPN: 2, ILL_ILLADR: 3, ILL_ILLTRP: 4, ILL_PRVOPC: 5, ILL_PRVREG: 6 })
  ],
  [
    Signal.SIGFPE,
    Object.entries({ FPE_INTDIV: 1, FPE_INTOVF: 2, FPE_FLTDIV: 3, FPE_FLTOVF: 4, FPE_FLTUND: 5, FPE_FLTRES: 6 })
  ],
  [Signal.SIGSYS, Object.entries({ SYS_SECCOMP, SYS_USER_DISPATCH: 2 })],
  [Signal.SIGTRAP, Object.entries({ TRAP_BRKPT: 1, TRAP_TRACE: 2, TRAP_BRANCH: 3, TRAP_HWBKPT: 4 })],
  [
    Signal.SIGCHLD,
    Object.entries({
      CLD_EXITED: 1,
      CLD_KILLED: 2,
      CLD_DUMPED: 3,
      CLD_TRAPPED: 4,
      CLD_STOPPED: 5,
      CLD_CONTINUED: 6
    })
  ]
])

const ARCHITECTURES: ReadonlyMap<number, string> = new Map([
  [AUDIT_ARCH_X86_64, "AUDIT_ARCH_X86_64"],
  [AUDIT_ARCH_I386, "AUDIT_ARCH_I386"]
])

const code = (signo: number, value: number): string => {
  const own = value > 0 && value !== Signal.SI_KERNEL ? OWN_CODES.get(signo) : SENDERS
  return own?.find(([, named]) => named === value)?.[0] ?? String(value)
}

/** The 128 bytes of a siginfo_t, in braces. */
export const sigInfoBytes = (view: DataView): string => {
  const signo = view.getInt32(0, true)
  const si_code = view.getInt32(8, true)
  const errno = view.getInt32(4, true)
  const parts = [`si_signo=${Text.signal(signo)}`]
  parts.push(`si_code=${code(signo, si_code)}`)
  if (errno !== 0) parts.push(`si_errno=${errnoNames.get(errno)?.[0] ?? errno}`)
  const sender = [`si_pid=${view.getInt32(16, true)}`, `si_uid=${view.getUint32(20, true)}`]
  const value = view.getBigUint64(24, true)
  const queued = `si_int=${BigInt.asIntN(32, value)}, si_ptr=${Text.pointer(value)}`
  if (si_code === Signal.SI_USER || si_code === Signal.SI_TKILL) {
    parts.push(...sender)
  } else if (si_code === Signal.SI_TIMER) {
    parts.push(`si_timerid=${Text.hex(view.getInt32(16, true))}`, `si_overrun=${view.getInt32(20, true)}`, queued)
  } else if (si_code < 0) {
    parts.push(...sender)
    if (value !== 0n) parts.push(queued)
  } else if (si_code !== Signal.SI_KERNEL && signo === Signal.SIGCHLD) {
    const status = view.getInt32(24, true)
    parts.push(...sender, `si_status=${si_code === Signal.CLD_EXITED ? status : Text.signal(status & 0x7f)}`)
    parts.push(`si_utime=${view.getBigInt64(32, true)}`, `si_stime=${view.getBigInt64(40, true)}`)
  } else if (signo === Signal.SIGSYS && si_code === SYS_SECCOMP) {
    const nr = view.getInt32(24, true)
    const arch = view.getUint32(28, true)
    const name = arch === AUDIT_ARCH_X86_64 ? sysnoNames[nr] : undefined
    parts.push(
      `si_call_addr=${Text.pointer(view.getBigUint64(16, true))}`,
      `si_syscall=${name === undefined ? nr : `__NR_${name}`}`
    )
    parts.push(`si_arch=${ARCHITECTURES.get(arch) ?? Text.hex(arch)}`)
  } else if (OWN_CODES.has(signo) && signo !== Signal.SIGCHLD) {
    const address = view.getBigUint64(16, true)
    parts.push(`si_addr=${Text.pointer(address)}`)
  }
  return `{${parts.join(", ")}}`
}

/** What came with a signal, in braces. */
export const sigInfo = (info: SigInfo): string => sigInfoBytes(new DataView(encodeSigInfo(info).buffer))
