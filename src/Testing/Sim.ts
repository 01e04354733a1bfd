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
import { differenceOf, type Run, run, type RunOptions, type Subject } from "./Run.ts"
import { SimulationFailed } from "./SimulationFailed.ts"

export { describe as describeFault, Fault, FdKind, Selector } from "./Fault.ts"
export type { Handler, Program, Steps } from "../Platform/SimulatedProcess.ts"
export type { Guest, Thread } from "../Platform/SimulatedGuest.ts"
export type { FileTree, TreeEntry } from "./FileTree.ts"
export { type Bounds, Exploration } from "./Exploration.ts"
export { describe as describePlan, Plan, Schedule, uneventful } from "./Plan.ts"
export { plan } from "./PlanArbitrary.ts"
export type { FaultSpace, PlanSpace } from "./PlanSpace.ts"
export { type CallEvent, type Command, type Ended, run, type Run, type RunOptions, type Subject } from "./Run.ts"
export { replay, SavedRun, savedPlans } from "./SavedRun.ts"
export { type Point, Scheduler, type Strategy } from "./Scheduler.ts"
export { ProcessScript, type ScriptFrame } from "./ProcessScript.ts"
export * as Errno from "../Abi/Errno.ts"
export * as OpenFlags from "../Abi/OpenFlags.ts"
export * as Signal from "../Abi/Signal.ts"
export { SimulationFailed } from "./SimulationFailed.ts"
export * as Schedulers from "./Schedulers.ts"
export {
  check,
  explain,
  type Failure,
  Falsified,
  type Finding,
  type JudgeOptions,
  type Phase,
  type Report,
  search,
  type SearchOptions,
  suspicion,
  verify
} from "./Search.ts"

/** Runs `subject` so many times with the same plan. Fails if any run differs from the first in its trace or output. */
export const verifyDeterminism = Effect.fnUntraced(function* (
  subject: Subject,
  options: RunOptions & { readonly runs?: number } = {}
): Effect.fn.Return<Run, SimulationFailed> {
  const first = yield* run(subject, options)
  for (let count = 1; count < (options.runs ?? 10); count++) {
    const again = yield* run(subject, options)
    const difference = differenceOf(first, again)
    if (difference !== undefined) return yield* new SimulationFailed({ reason: `run ${count + 1} ${difference}` })
  }
  return first
})
