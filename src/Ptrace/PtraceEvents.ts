/**
 * Which events of a task its tracer hears of.
 */
import { CLONE_PTRACE, CLONE_UNTRACED, CLONE_VFORK } from "../Abi/Clone.ts"
import { PTRACE_EVENT_CLONE, PTRACE_EVENT_FORK, PTRACE_EVENT_VFORK } from "../Abi/Ptrace.ts"
import { SIGCHLD } from "../Abi/Signal.ts"
import type { PtraceState } from "./PtraceState.ts"

/** The event that a clone(2) with these arguments is, if the tracer wants to hear of it; 0 if not. */
export const cloneEvent = (state: PtraceState<unknown>, flags: number, exitSignal: number): number => {
  if (!state.traced || (flags & CLONE_UNTRACED) !== 0) return 0
  const event =
    (flags & CLONE_VFORK) !== 0 ? PTRACE_EVENT_VFORK : exitSignal === SIGCHLD ? PTRACE_EVENT_FORK : PTRACE_EVENT_CLONE
  return state.reports(event) ? event : 0
}

/** Whether the child of such a clone(2) is traced from its start. */
export const tracesChild = (state: PtraceState<unknown>, flags: number, exitSignal: number): boolean =>
  state.traced && ((flags & CLONE_PTRACE) !== 0 || cloneEvent(state, flags, exitSignal) !== 0)
