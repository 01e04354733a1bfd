/**
 * Ptrace-stops as data: what wait(2) reports of each and what PTRACE_GETSIGINFO and PTRACE_GETEVENTMSG say in it.
 *
 *     stop               wait's code                    siginfo
 *     signal-delivery    the signal                     the signal's own
 *     group, attached    the stop signal                none (EINVAL)
 *     group, seized      stop signal | STOP << 8        si_code as wait's code
 *     interrupt, notify  SIGTRAP | STOP << 8            si_code as wait's code
 *     event              SIGTRAP | event << 8           si_code as wait's code
 *     system call        SIGTRAP (| 0x80)               si_code as wait's code
 */
import { PTRACE_EVENT_STOP } from "../Abi/Ptrace.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { CLD_STOPPED, CLD_TRAPPED, SIGTRAP } from "../Abi/Signal.ts"

export interface PtraceStop {
  /** What wait(2) shows above its low byte. */
  readonly code: number
  readonly info: SigInfo | undefined
  readonly message: bigint
  /** si_code of the tracer's SIGCHLD. */
  readonly reason: number
}

/** Whose stop it is, for siginfo. */
export interface Stopper {
  readonly tid: number
  readonly uid: number
}

/** A signal is about to be delivered. */
export const signalStop = (info: SigInfo): PtraceStop => ({
  code: info.signo,
  info,
  message: 0n,
  reason: CLD_TRAPPED
})

const notice = (stopper: Stopper, signo: number, code: number): SigInfo => ({
  _tag: "Kill",
  signo,
  code,
  pid: stopper.tid,
  uid: stopper.uid
})

/** `event` is a PTRACE_EVENT_* but STOP. */
export const eventStop = (stopper: Stopper, event: number, message: bigint): PtraceStop => {
  const code = SIGTRAP | (event << 8)
  return { code, info: notice(stopper, SIGTRAP, code), message, reason: CLD_TRAPPED }
}

/** `good`: PTRACE_O_TRACESYSGOOD. `message`: PTRACE_EVENTMSG_SYSCALL_*. */
export const syscallStop = (stopper: Stopper, good: boolean, message: bigint): PtraceStop => {
  const code = good ? SIGTRAP | 0x80 : SIGTRAP
  return { code, info: notice(stopper, SIGTRAP, code), message, reason: CLD_TRAPPED }
}

/** Of a seized task: in a group-stop by `signal`, or with SIGTRAP because the tracer asked or the group went on. */
export const trapStop = (stopper: Stopper, signal: number): PtraceStop => {
  const code = signal | (PTRACE_EVENT_STOP << 8)
  return { code, info: notice(stopper, signal, code), message: 0n, reason: CLD_STOPPED }
}

/** Of a task that was not seized. */
export const groupStop = (signal: number): PtraceStop => ({
  code: signal,
  info: undefined,
  message: 0n,
  reason: CLD_STOPPED
})
