/**
 * Stops: conditions under which a task does not run at all (unlike a block, which is a wait that signals interrupt).
 *
 * An *internal* stop belongs to the task's own progress and there is at most one; *external* stops (pausing the sandbox)
 * are counted. The task's fiber waits on a Deferred while the count is above zero.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { invariant } from "../Sync/Invariant.ts"

/** Why a task is stopped by itself. */
export type TaskStop =
  /** SIGSTOP and its kin; ends with SIGCONT. */
  | { readonly _tag: "GroupStop"; readonly signal: number }
  /** vfork(2): until the child has released the memory it borrows. */
  | { readonly _tag: "VforkStop"; readonly childTid: number }
  /** ptrace(2); ends when the tracer says so. What it is about is in the task's `PtraceState`. */
  | { readonly _tag: "PtraceStop" }
  /** On its way out, until another thread has written the core file that this one is to be in. */
  | { readonly _tag: "CoreDumpStop" }

/** Owner of `internal`: begun by the task's fiber, ended by anybody. Atomic: all methods. */
export class TaskStops {
  #internal: TaskStop | undefined
  #count = 0
  #end: Deferred.Deferred<void> | undefined

  get internal(): TaskStop | undefined {
    return this.#internal
  }

  get stopped(): boolean {
    return this.#count > 0
  }

  /** Begins the internal stop; it takes effect when the task's fiber reaches `wait`. */
  beginInternal(stop: TaskStop): void {
    invariant(this.#internal === undefined, `begin ${stop._tag} inside ${this.#internal?._tag}`)
    this.#internal = stop
    this.beginExternal()
  }

  /** Ends the internal stop, whichever it is; harmless if there is none. */
  endInternal(): void {
    if (this.#internal === undefined) return
    this.#internal = undefined
    this.endExternal()
  }

  beginExternal(): void {
    this.#count++
  }

  endExternal(): void {
    this.#count--
    invariant(this.#count >= 0, "a stop ended twice")
    if (this.#count === 0 && this.#end !== undefined) {
      const end = this.#end
      this.#end = undefined
      Deferred.doneUnsafe(end, Effect.void)
    }
  }

  /** Waits until no stop holds. The waiter resumes through the run queue, never inside whoever ended the stop. */
  readonly wait: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#count === 0) return Effect.void
    this.#end ??= Deferred.makeUnsafe<void>()
    return Effect.andThen(Effect.andThen(Deferred.await(this.#end), Effect.yieldNow), this.wait)
  })
}
