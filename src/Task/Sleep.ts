/**
 * A wait of a task in a system call: until something is there, a deadline passes, or the task is interrupted.
 *
 *     looks ──nothing there──▶ asleep ──woken, expired, signaled──▶ looks (through the run queue) ──▶ ended
 *                                ▲                                    │ nothing there, and only woken
 *                                └────────────────────────────────────┘
 *
 * Waking only queues another look, so it may be done in the middle of a critical section. The fiber sleeps through looks
 * that find nothing, and is resumed by the one that ends the wait.
 */
import * as Effect from "effect/Effect"
import type { Task } from "./Task.ts"

/** How a wait ended. A completed operation wins over an expired deadline, and both over a signal. */
export type Wakeup = "Ready" | "Expired" | "Signaled"

/** Registers `wake` where a wait is to be ended, and gives back how to undo that. */
export type Subscribe = (wake: () => void) => () => void

/** What is waited for. Nothing in it suspends. */
export interface Wait<A> {
  /** Runs first; a result ends the wait before anything else has been done. */
  readonly begin?: (() => A | undefined) | undefined
  readonly subscribe: Subscribe
  /**
   * The result, or undefined to go on waiting. Asked after `subscribe`, so that no wake-up before that is lost; after each
   * wake; and a last time, when it must say something, with how the wait ends otherwise.
   */
  readonly look: (end: "Expired" | "Signaled" | undefined) => A | undefined
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly deadline?: bigint | undefined
  /** Runs once if `begin` had no result, however the wait ends: also if the fiber is interrupted. */
  readonly finally?: (() => void) | undefined
}

/** Atomic: every method. */
export class Sleep<A> {
  readonly #task: Task
  readonly #wait: Wait<A>
  readonly #resume: (result: Effect.Effect<A>) => void
  #ended = false
  /** A look is under way or queued. */
  #looks = true
  /** How it ends if the next look finds nothing. */
  #end: "Expired" | "Signaled" | undefined
  #unsubscribe: (() => void) | undefined
  #cancelTimer: (() => void) | undefined

  constructor(task: Task, wait: Wait<A>, resume: (result: Effect.Effect<A>) => void) {
    this.#task = task
    this.#wait = wait
    this.#resume = resume
  }

  /** Starts to wait: how to give up, unless it is over already. */
  begin(): Effect.Effect<void> | undefined {
    const { begin, deadline, subscribe } = this.#wait
    const refusal = begin?.()
    if (refusal !== undefined) {
      this.#ended = true
      this.#task.onSleepEnd()
      this.#resume(Effect.succeed(refusal))
      return undefined
    }
    if (this.#task.attention) this.#end = "Signaled"
    else this.#unsubscribe = subscribe(this.#wake)
    this.#look()
    if (this.#ended) return undefined
    if (deadline !== undefined) this.#cancelTimer = this.#task.system.timers.at(deadline, () => this.end("Expired"))
    return Effect.sync(() => this.#stop())
  }

  /** Ends the wait so, if there is still nothing there. */
  end(how: "Expired" | "Signaled"): void {
    this.#end ??= how
    this.#wake()
  }

  readonly #wake = (): void => {
    if (this.#ended || this.#looks) return
    this.#looks = true
    this.#task.onSleep(false)
    this.#task.system.runQueue.schedule(this.#look)
  }

  readonly #look = (): void => {
    if (this.#ended) return
    this.#looks = false
    let result: A | undefined
    try {
      result = this.#wait.look(this.#end)
    } catch (defect) {
      this.#stop()
      return this.#resume(Effect.die(defect))
    }
    if (result === undefined) {
      if (!this.#looks) this.#task.onSleep(true)
      return
    }
    this.#stop()
    this.#resume(Effect.succeed(result))
  }

  #stop(): void {
    if (this.#ended) return
    this.#ended = true
    this.#task.onSleepEnd()
    this.#unsubscribe?.()
    this.#cancelTimer?.()
    this.#wait.finally?.()
  }
}
