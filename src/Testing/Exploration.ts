/**
 * All orders in which a program can run, one after the other: a depth-first walk over the tree of decisions. Each run follows
 * the decisions so far and takes the first that is left at the last place where something is.
 *
 * A bound on pre-emptions (decisions against a task that could have gone on) keeps the number of runs small: most bugs
 * need one or two (Musuvathi and Qadeer, 2007).
 */
import type { Point, Strategy } from "./Scheduler.ts"
import { byRule } from "./Schedulers.ts"

export interface Bounds {
  /** Pre-emptions in a run, at most. Default: as many as there are points. */
  readonly preemptions?: number
  /** Where choices begin; before, the rule holds. Default: at the beginning. */
  readonly from?: (point: Point) => boolean
}

interface Choice {
  /** Those that can be chosen here. */
  readonly options: ReadonlyArray<number>
  /** Which of them this run takes. */
  index: number
}

export class Exploration {
  readonly #bounds: Bounds
  readonly #path: Array<Choice> = []
  #isComplete = false
  /** Runs so far. */
  runs = 0

  constructor(bounds: Bounds = {}) {
    this.#bounds = bounds
  }

  /** How to schedule the next run, which must be over before the one after it is asked for; undefined: that was all. */
  next(): Strategy | undefined {
    if (this.runs > 0) this.#backtrack()
    if (this.#isComplete) return undefined
    this.runs++
    const { from, preemptions = Infinity } = this.#bounds
    let depth = 0
    let left = preemptions
    let hasBegun = from === undefined
    return {
      next: (point) => {
        hasBegun ||= from!(point)
        if (!hasBegun) return byRule(point)
        const choice = (this.#path[depth] ??= { options: optionsAt(point, left), index: 0 })
        depth++
        const run = choice.options[choice.index]!
        if (!point.ready.includes(run)) throw new Error("the program does not do the same again")
        if (point.ready.includes(point.last) && run !== point.last) left--
        return run
      }
    }
  }

  #backtrack(): void {
    while (this.#path.length > 0) {
      const last = this.#path.at(-1)!
      last.index++
      if (last.index < last.options.length) return
      this.#path.pop()
    }
    this.#isComplete = true
  }
}

/** The rule's choice first. */
const optionsAt = (point: Point, preemptions: number): ReadonlyArray<number> => {
  const first = byRule(point)
  const isForced = preemptions <= 0 && point.ready.includes(point.last)
  return isForced ? [first] : [first, ...point.ready.filter((task) => task !== first)]
}
