/**
 * What becomes of a system call that a signal interrupted, signal(7): the ERESTART* codes and restart_syscall(2).
 */
import { EINTR, ERESTARTNOINTR, ERESTARTSYS, ERESTART_RESTARTBLOCK } from "../Abi/Errno.ts"
import { Reg, type Registers } from "../Abi/Registers.ts"
import { SA_RESTART } from "../Abi/Signal.ts"
import { sysno } from "../Abi/Sysno.ts"

/**
 * What restart_syscall(2) goes on with: plain data, so that it can be saved. Times are CLOCK_MONOTONIC nanoseconds; a
 * sleep's are its clock's.
 */
export type RestartBlock =
  | { readonly _tag: "Sleep"; readonly clock: number; readonly deadline: bigint; readonly remain: number }
  | { readonly _tag: "Poll"; readonly fds: number; readonly count: number; readonly deadline: bigint | undefined }
  | {
      readonly _tag: "Futex"
      readonly address: number
      readonly value: number
      readonly operation: number
      readonly bitset: number
      readonly deadline: bigint
    }

/** Whether a result is one of the codes that never reach the application. */
export const isRestartCode = (result: number): boolean => result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK

/** The length of the `syscall` instruction. */
const SYSCALL_LENGTH = 2

/** Makes the application execute its `syscall` instruction once more, as call `nr`. */
const rewind = (registers: Registers, nr: number): void => {
  registers.set(Reg.rax, nr)
  registers.set(Reg.rip, registers.ulong(Reg.rip) - SYSCALL_LENGTH)
}

/** No handler ran: the call goes on. `restart` is the positive ERESTART* code. */
export const restartWithoutHandler = (registers: Registers, nr: number, restart: number): void =>
  rewind(registers, restart === ERESTART_RESTARTBLOCK ? sysno.restart_syscall : nr)

/** A handler with the given flags will run first: restart after it, or EINTR. */
export const restartWithHandler = (registers: Registers, nr: number, restart: number, saFlags: number): void => {
  if (restart === ERESTARTNOINTR || (restart === ERESTARTSYS && (saFlags & SA_RESTART) !== 0)) rewind(registers, nr)
  else registers.set(Reg.rax, -EINTR)
}
