/**
 * effect-sentry/testing: finds, shrinks and replays concurrency and error-handling bugs of real programs.
 *
 *     import * as Sim from "effect-sentry/testing"
 *
 *     yield* Sim.check({ command: "./transfer" }, { wrong: (run) => run.stdout === "100\n" ? undefined : "money is lost" })
 *
 * docs/testing.md is a tutorial.
 */
import * as Effect from "effect/Effect"
import { type Run, run, type RunOptions, SimulationFailed, type Subject } from "./Run.ts"

export { describe as describeFault, Fault, FdKind, Selector } from "./Fault.ts"
export type { Handler, Program, Steps } from "../Platform/SimulatedProcess.ts"
export type { Guest } from "../Platform/SimulatedGuest.ts"
export { type Bounds, Exploration } from "./Exploration.ts"
export { describe as describePlan, Plan, Schedule, uneventful } from "./Plan.ts"
export { plan } from "./PlanArbitrary.ts"
export type { FaultSpace, PlanSpace } from "./PlanSpace.ts"
export {
  type CallEvent,
  type Command,
  type Ended,
  run,
  type Run,
  type RunOptions,
  SimulationFailed,
  type Subject
} from "./Run.ts"
export { replay, SavedRun } from "./SavedRun.ts"
export { type Point, Scheduler, type Strategy } from "./Scheduler.ts"
export * as Schedulers from "./Schedulers.ts"
export {
  check,
  explain,
  type Failure,
  Falsified,
  type Report,
  search,
  type SearchOptions,
  suspicion
} from "./Search.ts"

/** Runs `subject` so many times with the same plan. Fails if any run differs from the first in its trace or output. */
export const verifyDeterminism = Effect.fnUntraced(function* (
  subject: Subject,
  options: RunOptions & { readonly runs?: number } = {}
): Effect.fn.Return<Run, SimulationFailed> {
  const first = yield* run(subject, options)
  for (let count = 1; count < (options.runs ?? 10); count++) {
    const again = yield* run(subject, options)
    const at = first.lines.findIndex((line, index) => again.lines[index] !== line)
    if (at >= 0 || again.lines.length !== first.lines.length)
      return yield* new SimulationFailed({
        reason: `run ${count + 1} differs at line ${at + 1}: '${again.lines[at] ?? ""}', not '${first.lines[at] ?? ""}'`
      })
    if (again.stdout !== first.stdout || again.stderr !== first.stderr)
      return yield* new SimulationFailed({ reason: `run ${count + 1} has other output` })
  }
  return first
})
