/**
 * Everything about a run that is not the program and its files: who runs when, what goes wrong, the seed of its
 * randomness, when it begins. Plain data.
 */
import * as Schema from "effect/Schema"
import { Fault, describe as describeFault } from "./Fault.ts"
import type { Strategy } from "./Scheduler.ts"
import * as Schedulers from "./Schedulers.ts"

const Seed = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffff_ffff }))

const RoundRobin = Schema.TaggedStruct("RoundRobin", {})
const Random = Schema.TaggedStruct("Random", { seed: Seed })
/** Schedulers.pct: `length` is about how many steps a run makes. */
const Pct = Schema.TaggedStruct("Pct", {
  seed: Seed,
  depth: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
  length: Schema.Int.check(Schema.isGreaterThan(0))
})
/** The rule of Schedulers.ts, but for these decisions. */
const Decisions = Schema.TaggedStruct("Decisions", {
  decisions: Schema.Array(Schema.Struct({ task: Schema.Int, step: Schema.Int, run: Schema.Int }))
})

export const Schedule = Schema.Union([RoundRobin, Random, Pct, Decisions])
export type Schedule = typeof Schedule.Type

export const Plan = Schema.Struct({
  schedule: Schedule,
  faults: Schema.Array(Fault),
  /** Of random bytes and addresses. */
  seed: Seed,
  /** CLOCK_REALTIME at the beginning: an ISO 8601 time. Default: 2026-01-01T00:00:00Z. */
  start: Schema.optionalKey(Schema.String)
})
export type Plan = typeof Plan.Type

/** Nobody is interrupted, and nothing goes wrong. */
export const uneventful: Plan = { schedule: { _tag: "Decisions", decisions: [] }, faults: [], seed: 0 }

/** What was decided when a plan was last carried out: for those who make it smaller. */
export const recorded = new WeakMap<Plan, ReadonlyArray<Schedulers.Decision>>()

export const strategyOf = (schedule: Schedule): Strategy => {
  switch (schedule._tag) {
    case "RoundRobin":
      return Schedulers.roundRobin()
    case "Random":
      return Schedulers.random(schedule.seed)
    case "Pct":
      return Schedulers.pct(schedule.seed, schedule)
    case "Decisions":
      return Schedulers.replay(schedule.decisions)
  }
}

const describeSchedule = (schedule: Schedule): ReadonlyArray<string> => {
  switch (schedule._tag) {
    case "RoundRobin":
      return ["all tasks in turn, a step at a time"]
    case "Random":
      return [`tasks in the random order of seed ${schedule.seed}`]
    case "Pct":
      return [`tasks by random priorities of seed ${schedule.seed}, changed ${schedule.depth - 1} times`]
    case "Decisions":
      return schedule.decisions.length === 0
        ? ["each task runs until it has to wait"]
        : schedule.decisions.map(({ run, step, task }) => `after step ${step} of task ${task}, task ${run} runs`)
  }
}

/** A plan in words, a line each. */
export const describe = ({ faults, schedule, seed, start }: Plan): ReadonlyArray<string> => [
  ...describeSchedule(schedule),
  ...faults.map(describeFault),
  ...(start === undefined ? [] : [`time begins at ${start}`]),
  ...(seed === 0 ? [] : [`randomness of seed ${seed}`])
]
