/**
 * Ways to decide who runs next.
 *
 * Decisions can be written down, and followed again, because they are said relative to a rule that needs none: the task
 * that ran last goes on, or if it can't, the one with the next higher id. A *decision* is a departure from that rule: who
 * runs after a task's nth step. It is found again by task and step, not by how much everybody has done together, so that
 * a list from which some were taken out still means what is left of it.
 */
import { randomNumbers } from "./Randomness.ts"
import type { Point, Strategy } from "./Scheduler.ts"

/** After `step` steps of `task`, `run` runs, and not who would have. */
export interface Decision {
  readonly task: number
  readonly step: number
  readonly run: number
}

/** The rule: who ran last goes on; else the next higher id, and after the highest the lowest. */
export const byRule = ({ last, ready }: Point): number =>
  ready.includes(last) ? last : (ready.find((task) => task > last) ?? ready[0]!)

/** Everybody in turn, a step at a time. */
export const roundRobin = (): Strategy => ({
  next: ({ last, ready }) => ready.find((task) => task > last) ?? ready[0]!
})

/** Nobody is interrupted who can go on. */
export const cooperative = (): Strategy => ({ next: byRule })

/** Anybody, with equal chances, after each step. */
export const random = (seed: number): Strategy => {
  const next = randomNumbers(seed)
  return { next: ({ ready }) => ready[next() % ready.length]! }
}

/** So many points of one task in a row, while others could run, are taken for a wait that needs another to end. */
const PATIENCE = 500

/**
 * Probabilistic concurrency testing: each task has a random priority, the highest runs; at `depth - 1` random ones of the
 * first `length` points the running task's priority drops below all others. A bug that needs `depth` ordering constraints is
 * found with probability at least 1 / (tasks · length^(depth - 1)) in each run (Burckhardt and others, 2010).
 *
 * A task that waits for another by trying again and again would keep it from running, so one that has run for PATIENCE
 * points drops too.
 */
export const pct = (seed: number, { depth, length }: { readonly depth: number; readonly length: number }): Strategy => {
  const random = randomNumbers(seed)
  const priorities = new Map<number, number>()
  const changes = new Set(Array.from({ length: depth - 1 }, () => random() % length))
  let lowest = 0
  let running = 0
  /** Points so far, and how many of them the running task has had in a row. */
  let points = 0
  let inRow = 0
  return {
    next: ({ last, ready }) => {
      for (const task of ready) if (!priorities.has(task)) priorities.set(task, 1 + random())
      inRow = last === running ? inRow + 1 : 0
      running = last
      if (changes.has(points++) || inRow > PATIENCE) {
        priorities.set(last, --lowest)
        inRow = 0
      }
      return ready.reduce((best, task) => (priorities.get(task)! > priorities.get(best)! ? task : best))
    }
  }
}

/** Follows a list of decisions; where it says nothing, or nothing possible, the rule holds. */
export const replay = (decisions: ReadonlyArray<Decision>): Strategy => {
  const runs = new Map(decisions.map(({ run, step, task }) => [`${task}/${step}`, run]))
  return {
    next: (point) => {
      const run = runs.get(`${point.last}/${point.step}`)
      return run !== undefined && point.ready.includes(run) ? run : byRule(point)
    }
  }
}

/** Another strategy, what it decided against the rule, and how often it was asked. */
export interface Recording extends Strategy {
  readonly decisions: ReadonlyArray<Decision>
  readonly points: number
}

export const recording = (strategy: Strategy): Recording => {
  const decisions: Array<Decision> = []
  let points = 0
  return {
    decisions,
    get points() {
      return points
    },
    next: (point) => {
      points++
      const run = strategy.next(point)
      if (run !== byRule(point)) decisions.push({ task: point.last, step: point.step, run })
      return run
    }
  }
}
