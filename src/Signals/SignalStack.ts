/**
 * The alternate signal stack of one thread, sigaltstack(2). Plain data.
 */
import { SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from "../Abi/Signal.ts"
import type { StackT } from "../Abi/SigAction.ts"

export interface SignalStack {
  readonly base: number
  readonly size: number
  /** As they were set: 0, SS_DISABLE, maybe with SS_AUTODISARM. What signal frames carry. */
  readonly flags: number
}

/** No stack was ever set. */
export const noSignalStack: SignalStack = { base: 0, size: 0, flags: 0 }

/** The stack was taken away, by sigaltstack(2) or SS_AUTODISARM. */
export const disabledSignalStack: SignalStack = { base: 0, size: 0, flags: SS_DISABLE }

export const isEnabled = (stack: SignalStack): boolean => stack.size !== 0

/** Whether `stackPointer` is on the stack. With SS_AUTODISARM it never counts as such, as the handler runs disarmed. */
export const isOnStack = (stack: SignalStack, stackPointer: number): boolean =>
  isEnabled(stack) &&
  (stack.flags & SS_AUTODISARM) === 0 &&
  stackPointer > stack.base &&
  stackPointer - stack.base <= stack.size

/** What sigaltstack(2) reports. */
export const toStackT = (stack: SignalStack, stackPointer: number): StackT => {
  const state = isEnabled(stack) ? (isOnStack(stack, stackPointer) ? SS_ONSTACK : 0) : SS_DISABLE
  return { ss_sp: stack.base, ss_size: stack.size, ss_flags: ((stack.flags & SS_AUTODISARM) | state) >>> 0 }
}
