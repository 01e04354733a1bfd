/**
 * What happened to a thread at the moment it was interrupted and can't be made to happen again: it ends the thread's next
 * switch, before the thread runs.
 */
import * as Effect from "effect/Effect"
import type { SwitchOutcome, SyscallHandler } from "./Platform.ts"

export const syscallOutcome = Effect.succeed<SwitchOutcome>({ _tag: "Syscall" })
export const killedOutcome = Effect.succeed<SwitchOutcome>({ _tag: "Killed" })

/** At most one event. Owner: the context of the thread. */
export class KeptEvent {
  #outcome: Effect.Effect<SwitchOutcome> | undefined
  /** A system call that the handler hasn't seen. */
  #isNewCall = false

  keep(outcome: Effect.Effect<SwitchOutcome>): void {
    this.#outcome = outcome
  }

  /** Keeps a system call for a handler to answer. */
  keepCall(): void {
    this.#isNewCall = true
  }

  /** How the switch ends with what was kept; undefined if the thread is to run. */
  take(handler: SyscallHandler): Effect.Effect<SwitchOutcome> | undefined {
    const outcome = this.#outcome
    this.#outcome = undefined
    if (outcome !== undefined || !this.#isNewCall) return outcome
    this.#isNewCall = false
    return handler() ? undefined : syscallOutcome
  }
}
