/**
 * The order in which the kernel's fibers run: an Effect `Scheduler` with one first-in first-out queue for the whole
 * sandbox.
 *
 * Effect's own scheduler gives each fiber a dispatcher armed by `setImmediate`, so a wake-up costs a turn of the event
 * loop. Here the platform's pump drains the queue after each batch of guest events; `setImmediate` is only the way in
 * for wake-ups that come from outside (timers, host readiness).
 */
import type * as Fiber from "effect/Fiber"
import type * as Scheduler from "effect/Scheduler"

/** Picks what runs next: an index below `count`, the number of those that could, in order of arrival. */
export type Choose = (count: number) => number

/** Called when nobody can run. True if it has changed that. */
export type Idle = () => boolean

/** At most this many tasks run before the event loop of the embedding service gets its turn. */
const BATCH = 2048
/** So many tasks that have run stay in the queue before they are taken out together, or half of it. */
const SPENT = 256

export class RunQueue implements Scheduler.Scheduler {
  readonly executionMode = "async"
  #queue: Array<() => void> = []
  #head = 0
  #armed = false
  #draining = false
  readonly #choose: Choose | undefined
  /** What happens when the kernel has come to rest: who decides which guest runs next sets it. */
  idle: Idle | undefined

  /** Without `choose`, first in, first out. Any choice is a legal order: nothing relies on arrival but fairness. */
  constructor(choose?: Choose) {
    this.#choose = choose
  }

  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= fiber.cache.maxOpsBeforeYield
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => this.schedule(task),
      flush: () => {
        while (this.drain()) {
          // to quiescence
        }
      }
    }
  }

  /** Runs `task` after everything already queued. */
  readonly schedule = (task: () => void): void => {
    this.#queue.push(task)
    if (!this.#armed && !this.#draining) {
      this.#armed = true
      setImmediate(this.#onImmediate)
    }
  }

  /** Runs `task` when everybody else, the event loop's other users too, has had a millisecond: for long work in slices. */
  readonly scheduleLater = (task: () => void): void => {
    setTimeout(() => this.schedule(task), 1)
  }

  /** Whether tasks wait. */
  readonly waits = (): boolean => this.#head < this.#queue.length

  /** Runs queued tasks, a bounded number. True if more remain. Does nothing when called from inside a task. */
  readonly drain = (): boolean => {
    if (this.#draining) return false
    this.#draining = true
    let budget = BATCH
    // that the queue is empty is not enough: `idle` must have had nobody else to let run, and have queued nothing itself
    let rests = false
    try {
      while (budget-- > 0) {
        if (this.#head < this.#queue.length) this.#next()()
        else if (this.idle?.() !== true && this.#head === this.#queue.length) {
          rests = true
          break
        }
      }
    } finally {
      this.#draining = false
      if (this.#head === this.#queue.length) {
        this.#queue = []
        this.#head = 0
      }
      if (!rests && !this.#armed) {
        this.#armed = true
        setImmediate(this.#onImmediate)
      }
    }
    return !rests
  }

  /** Takes the next task out. There is one. */
  #next(): () => void {
    // a queue that never becomes empty must not keep what has run alive
    if (this.#head >= SPENT && 2 * this.#head >= this.#queue.length) {
      this.#queue.splice(0, this.#head)
      this.#head = 0
    }
    const first = this.#head++
    if (this.#choose === undefined) return this.#queue[first]!
    const index = first + this.#choose(this.#queue.length - first)
    const task = this.#queue[index]!
    this.#queue.copyWithin(first + 1, first, index)
    return task
  }

  readonly #onImmediate = (): void => {
    this.#armed = false
    this.drain()
  }
}
