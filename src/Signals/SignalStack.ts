/**
 * The alternate signal stack of one thread, sigaltstack(2). Plain data.
 */
import { SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from "../Abi/Signal.ts"
import type { StackT } from "../Abi/SigAction.ts"

export interface SignalStack {
  readonly base: number
  readonly size: number
  /** SS_DISABLE, or 0, maybe with SS_AUTODISARM. */
  readonly flags: number
}

export const noSignalStack: SignalStack = { base: 0, size: 0, flags: SS_DISABLE }

export const isEnabled = (stack: SignalStack): boolean => (stack.flags & SS_DISABLE) === 0

/** Whether `stackPointer` is on the stack. With SS_AUTODISARM it never counts as such, as the handler runs disarmed. */
export const isOnStack = (stack: SignalStack, stackPointer: number): boolean =>
  isEnabled(stack) &&
  (stack.flags & SS_AUTODISARM) === 0 &&
  stackPointer > stack.base &&
  stackPointer - stack.base <= stack.size

/** What sigaltstack(2) and the signal frame report. */
export const toStackT = (stack: SignalStack, stackPointer: number): StackT => ({
  ss_sp: stack.base,
  ss_size: stack.size,
  ss_flags: (stack.flags | (isOnStack(stack, stackPointer) ? SS_ONSTACK : 0)) >>> 0
})
