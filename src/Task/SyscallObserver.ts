/**
 * Who watches system calls go by: the strace printer, later audit and recording. Called synchronously, never suspends.
 */
import type { SigInfo } from "../Abi/SigInfo.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import type { Syscall } from "./Syscall.ts"
import type { Task } from "./Task.ts"

export interface SyscallObserver {
  /** Before the handler runs: arguments are in `task.registers`. `syscall` is undefined for what is not implemented. */
  readonly enter: (task: Task, syscall: Syscall | undefined, nr: number) => void
  /** After it: `result` may be one of the ERESTART* codes. */
  readonly exit: (task: Task, syscall: Syscall | undefined, nr: number, result: number) => void
  /** A signal is delivered: ignored ones are not seen. */
  readonly signal: (task: Task, info: SigInfo) => void
  /** The task is gone; `status` is the group's where the whole group goes. */
  readonly exited: (task: Task, status: ExitStatus) => void
}
