/**
 * Who runs next. One guest thread runs at a time (Turns.ts); each time that it makes a system call, faults or takes a
 * signal, and somebody else could run too, the scheduler decides. Any decision is one that Linux could have made.
 *
 * A scheduler is asked only where there is something to decide, and its answers are the only choices of a run: the same
 * answers give the same run.
 */
import * as Context from "effect/Context"

/** A moment at which a decision is due. */
export interface Point {
  /** The ids of the tasks that can run: two or more, ascending. */
  readonly ready: ReadonlyArray<number>
  /** The task that ran last, which may not be among them; 0 at the beginning. */
  readonly last: number
  /** How many steps that task has made: a step ends at a system call, a fault or an interruption. */
  readonly step: number
}

export interface Strategy {
  /** One of `ready`. */
  readonly next: (point: Point) => number
}

/** Decides who runs. */
export class Scheduler extends Context.Service<Scheduler, Strategy>()("effect-sentry/Testing/Scheduler") {}
