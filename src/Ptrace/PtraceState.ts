/**
 * How one task is traced: by whom, with which options, how it was resumed, what its last ptrace-stop says.
 *
 * Whether it *is* in a ptrace-stop is one of its `TaskStops` ("PtraceStop"); here is only what belongs to it. Every
 * field is guarded by the signal mutex of the task, `tracer` by the TaskSet mutex as well.
 */
import type { SigInfo } from "../Abi/SigInfo.ts"
import type { ExitStatus } from "../Abi/Wait.ts"

/** What the tracer's last request lets the task do. "Emulate": stop at a system call's entry and skip it. */
export type Resumption = "Continue" | "Syscall" | "Emulate"

/** What a system call has left to do before it returns: a stop to report an event, or to wait for a vfork(2) child and report that. */
export type AfterCall =
  | { readonly _tag: "Event"; readonly event: number; readonly message: bigint }
  | { readonly _tag: "VforkWait" | "VforkDone"; readonly childTid: number }

export class PtraceState<Tracer> {
  /** The thread that traces this one. */
  tracer: Tracer | undefined
  /** PTRACE_SEIZE rather than PTRACE_ATTACH or PTRACE_TRACEME. */
  seized = false
  /** PTRACE_O_*. */
  options = 0
  resumption: Resumption = "Continue"
  stepping = false
  /** Single stepping has set the trap flag in the task's registers, which does not show. Owner: as the registers. */
  trapFlagForced = false

  /** In a stop: what wait(2) has not reported yet, 0 once it has. After it: the signal that the tracer passes on. */
  code = 0
  /** PTRACE_GETSIGINFO of the current stop. */
  info: SigInfo | undefined
  /** PTRACE_GETEVENTMSG: of the last stop that had one. */
  message = 0n

  /** Linux's JOBCTL_TRAP_STOP: PTRACE_INTERRUPT wants a stop. */
  trapStopPending = false
  /** JOBCTL_TRAP_NOTIFY: the group's stop began or ended; a seized task tells its tracer. */
  trapNotifyPending = false
  /** PTRACE_LISTEN: stopped, but not for the tracer's requests. */
  listening = false
  /** SIGCONT came during the current stop: a stop signal that the tracer passes on after it is none any more. */
  continued = false
  /** In order; the task's fiber works them off. Owner: task fiber. */
  readonly afterCall: Array<AfterCall> = []
  /** How the traced task ended, if wait(2) has not reported that yet. */
  ended: ExitStatus | undefined

  get traced(): boolean {
    return this.tracer !== undefined
  }

  hasOption(option: number): boolean {
    return this.tracer !== undefined && (this.options & option) !== 0
  }

  /** Whether an event other than PTRACE_EVENT_STOP is asked for. */
  reports(event: number): boolean {
    return this.hasOption(1 << event)
  }

  /** Whether the task must leave the short way of its system calls. */
  get interceptsCalls(): boolean {
    return this.resumption !== "Continue" || this.stepping
  }

  link(tracer: Tracer, seized: boolean, options: number): void {
    this.tracer = tracer
    this.seized = seized
    this.options = options
  }

  /** Forgets everything but what the stop that the task may be in still needs: its code and message. */
  unlink(): void {
    this.tracer = undefined
    this.seized = false
    this.options = 0
    this.resumption = "Continue"
    this.stepping = false
    this.trapStopPending = false
    this.trapNotifyPending = false
    this.listening = false
    this.ended = undefined
  }

  /** The signal that the tracer has passed on, 0 for none. */
  takeCode(): number {
    const { code } = this
    this.code = 0
    this.info = undefined
    return code
  }
}
