/**
 * Who may change what system calls do: fault injection. Called synchronously in place of every handler, never suspends.
 */
import type { Result, Syscall } from "./Syscall.ts"
import type { Task } from "./Task.ts"

export interface SyscallInjector {
  /** Answers a call: by `answer`, which is what it would have been, or otherwise. Arguments are in `task.registers`. */
  readonly intervene: (task: Task, syscall: Syscall | undefined, answer: () => Result) => Result
}
