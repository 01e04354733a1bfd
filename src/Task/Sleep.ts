/**
 * A wait of a task in a system call: until something is there, a deadline passes, or the task is interrupted.
 *
 *     looks ──nothing there──▶ asleep ──woken, expired──▶ looks (through the run queue) ──▶ a result
 *                                ▲                          │ nothing there, and only woken
 *                                └──────────────────────────┘        interrupted, at any time ──▶ a last look
 *
 * Waking only queues another look, so it may be done in the middle of a critical section.
 *
 * Who sleeps is the task's fiber (`Task.sleep`: a child fiber that the interrupt interrupts) or, where a call is nothing but
 * such a wait and the platform can do it, the thread inside the switch that the fiber is in anyway (TaskRun.ts): then a wait
 * costs no turn of any fiber, and the interrupt of the switch is its interrupt.
 */
import type * as Effect from "effect/Effect"
import { invariant } from "../Sync/Invariant.ts"
import type { Result } from "./Syscall.ts"
import type { Task } from "./Task.ts"

/** How a wait ended. A completed operation wins over an expired deadline, and both over a signal. */
export type Wakeup = "Ready" | "Expired" | "Signaled"

/** Registers `wake` where a wait is to be ended, and gives back how to undo that. */
export type Subscribe = (wake: () => void) => () => void

/** What is waited for, once. Nothing in it suspends. */
export interface Wait<A> {
  /**
   * Runs first; a result ends the wait before anything else has been done. `atOnce`: the kernel has done nothing else since the
   * handler looked.
   */
  readonly begin?: ((atOnce: boolean) => A | undefined) | undefined
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
  /** It is only the processor that is waited for: the task counts as one that runs. */
  readonly isRunnable?: boolean | undefined
}

/** An Effect that does nothing but wait, and for what. */
export interface Waiting<A> extends Effect.Effect<A> {
  readonly wait: Wait<A>
}

/** What the rest of a call waits for, if it does only that. */
export const waitOf = (rest: Exclude<Result, number>): Wait<number> | undefined =>
  "wait" in rest ? (rest as Waiting<number>).wait : undefined // no other Effect has a member of that name

/** Atomic: every method. */
export class Sleep<A> {
  readonly #task: Task
  readonly #wait: Wait<A>
  readonly #onDue: () => void
  #state: "new" | "asleep" | "looking" | "ended" = "new"
  #expired = false
  #unsubscribe: (() => void) | undefined
  #cancelTimer: (() => void) | undefined

  /** `onDue` is called through the run queue when it is time for `look`. */
  constructor(task: Task, wait: Wait<A>, onDue: () => void) {
    this.#task = task
    this.#wait = wait
    this.#onDue = onDue
  }

  /** Nothing has woken it. */
  get isAsleep(): boolean {
    return this.#state === "asleep"
  }

  /** Starts to wait; the result if it is over already. */
  begin(atOnce: boolean): A | undefined {
    const { begin, deadline, subscribe } = this.#wait
    const refusal = begin?.(atOnce)
    if (refusal !== undefined) {
      this.#state = "ended"
      return refusal
    }
    this.#state = "looking"
    this.#unsubscribe = subscribe(this.#wake)
    const result = this.look()
    if (result === undefined && deadline !== undefined) {
      this.#cancelTimer = this.#task.system.timers.at(deadline, () => {
        this.#expired = true
        this.#wake()
      })
    }
    return result
  }

  /** The result, or undefined if it waits on. */
  look(): A | undefined {
    this.#state = "asleep" // what a look brings about may wake it
    const result = this.#wait.look(this.#expired ? "Expired" : undefined)
    if (result !== undefined) this.close()
    else if (this.#wait.isRunnable !== true) this.#task.onSleep(this)
    return result
  }

  /** Ends the wait: the result of a last look. */
  interrupt(): A {
    if (this.#state === "new") {
      const refusal = this.#wait.begin?.(false)
      if (refusal !== undefined) return refusal
      this.#state = "looking"
    }
    const result = this.#wait.look("Signaled")
    this.close()
    invariant(result !== undefined, "a wait that is interrupted has a result")
    return result
  }

  /** Gives everything back. Does nothing if it has ended, or not begun. */
  close(): void {
    if (this.#state === "ended" || this.#state === "new") return
    this.#state = "ended"
    this.#task.onSleepEnd(this)
    this.#unsubscribe?.()
    this.#cancelTimer?.()
    this.#wait.finally?.()
  }

  readonly #wake = (): void => {
    if (this.#state !== "asleep") return
    this.#state = "looking"
    this.#task.system.runQueue.schedule(() => {
      if (this.#state === "looking") this.#onDue()
    })
  }
}
