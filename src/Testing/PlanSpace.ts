/**
 * The plans that a search draws from, and how a plan that makes something fail is made smaller.
 *
 * A plan is smaller if it has fewer decisions or faults, or earlier ones. Whatever its schedule was, what counts is what
 * was decided when it was carried out: a random order becomes a list of decisions, of which most turn out not to matter.
 */
import type { Fault, Selector } from "./Fault.ts"
import { type Plan, type Schedule, recorded } from "./Plan.ts"
import type { Decision } from "./Schedulers.ts"

type WithoutPlace<F> = F extends Fault ? Omit<F, "at"> : never

/** Faults at some of the calls of a kind. */
export interface FaultSpace {
  readonly at: Omit<Selector, "nth">
  /** The first so many of them. Default: 20. */
  readonly upTo?: number
  /** What may happen to one: `{ _tag: "Failure", errno: "EINTR" }`. */
  readonly kinds: ReadonlyArray<WithoutPlace<Fault>>
}

export interface PlanSpace {
  /** Whether the order of tasks varies. Default: true. */
  readonly schedules?: boolean
  /** About how many times there is a choice of who runs. Default: 100; a search finds out by itself. */
  readonly length?: number
  /** How many ordering constraints a bug may need: Schedulers.pct. Default: 3. */
  readonly depth?: number
  readonly faults?: ReadonlyArray<FaultSpace>
  /** Faults in one plan, at most. Default: 2. */
  readonly maxFaults?: number
  /** Times at which a run may begin. */
  readonly starts?: ReadonlyArray<string>
  /** Whether random bytes and addresses vary. Default: false. */
  readonly randomness?: boolean
}

/** A number from 0 to 2^32 - 1. */
type Random = () => number

const pick = <A>(random: Random, list: ReadonlyArray<A>): A => list[random() % list.length]!

const drawSchedule = (space: PlanSpace, random: Random): Schedule => {
  if (space.schedules === false) return { _tag: "Decisions", decisions: [] }
  const seed = random()
  if (random() % 3 === 0) return { _tag: "Random", seed }
  const depth = 1 + (random() % (space.depth ?? 3))
  return { _tag: "Pct", seed, depth, length: space.length ?? 100 }
}

const drawFaults = ({ faults = [], maxFaults = 2 }: PlanSpace, random: Random): ReadonlyArray<Fault> => {
  if (faults.length === 0) return []
  return Array.from({ length: 1 + (random() % maxFaults) }, () => {
    const { at, kinds, upTo = 20 } = pick(random, faults)
    return { ...pick(random, kinds), at: { ...at, nth: 1 + (random() % upTo) } }
  })
}

/** A plan of the space. */
export const drawPlan = (space: PlanSpace, random: Random): Plan => {
  const start = space.starts === undefined ? undefined : pick(random, space.starts)
  return {
    schedule: drawSchedule(space, random),
    faults: drawFaults(space, random),
    seed: space.randomness === true ? random() : 0,
    ...(start === undefined ? {} : { start })
  }
}

/** Decisions in a plan up to which their tasks are replaced: beyond, there are too many ways to. */
const MAX_REPLACED = 5

/** `list` without a part of it: the largest parts first. */
function* withoutParts<A>(list: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  for (let size = list.length; size >= 1; size = Math.floor(size / 2))
    for (let at = 0; at < list.length; at += size) yield [...list.slice(0, at), ...list.slice(at + size)]
}

/**
 * Fewer decisions, one of them for another task: what was decided before and is missing may have been what made that task
 * the right one.
 */
function* withOtherTask(decisions: ReadonlyArray<Decision>): Generator<ReadonlyArray<Decision>> {
  if (decisions.length < 2 || decisions.length > MAX_REPLACED) return
  const tasks = new Set(decisions.flatMap(({ run, task }) => [run, task]))
  for (const decision of decisions) for (const run of tasks) if (run !== decision.run) yield [{ ...decision, run }]
  for (const without of decisions) {
    const left = decisions.filter((one) => one !== without)
    for (const [index, decision] of left.entries())
      for (const run of tasks) if (run !== decision.run) yield left.with(index, { ...decision, run })
  }
}

const decisionsOf = (plan: Plan): ReadonlyArray<Decision> =>
  recorded.get(plan) ?? (plan.schedule._tag === "Decisions" ? plan.schedule.decisions : [])

function* earlier(fault: Fault): Generator<Fault> {
  const { nth } = fault.at
  for (const smaller of new Set([1, Math.floor(nth / 2), nth - 1]))
    if (smaller >= 1 && smaller < nth) yield { ...fault, at: { ...fault.at, nth: smaller } }
}

/** Smaller plans than one that has been carried out, the smallest first. */
export function* smallerPlans(plan: Plan): Generator<Plan> {
  const decisions = decisionsOf(plan)
  const schedule: Schedule = { _tag: "Decisions", decisions }
  for (const faults of withoutParts(plan.faults)) yield { ...plan, schedule, faults }
  for (const left of withoutParts(decisions)) yield { ...plan, schedule: { _tag: "Decisions", decisions: left } }
  for (const [index, fault] of plan.faults.entries())
    for (const smaller of earlier(fault)) yield { ...plan, schedule, faults: plan.faults.with(index, smaller) }
  for (const other of withOtherTask(decisions)) yield { ...plan, schedule: { _tag: "Decisions", decisions: other } }
  const { start: _, ...withoutStart } = plan
  if (plan.start !== undefined) yield { ...withoutStart, schedule }
  if (plan.seed !== 0) yield { ...plan, schedule, seed: 0 }
}
