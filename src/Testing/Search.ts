/**
 * Looks for a plan under which a program does something wrong, and makes it as small as it can.
 *
 * The first run is uneventful and tells how many choices there are; saved failures come next, then plans drawn from the
 * space with a seed. Smaller plans are tried greedily: the first that fails too is the new one.
 */
import { basename } from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { describe, type Plan, uneventful } from "./Plan.ts"
import { drawPlan, type PlanSpace, smallerPlans } from "./PlanSpace.ts"
import { randomNumbers } from "./Randomness.ts"
import { type Run, run, type RunOptions, type SimulationFailed, type Subject } from "./Run.ts"
import { save, savedPlans, savedRun } from "./SavedRun.ts"

export interface SearchOptions extends Omit<RunOptions, "plan" | "scheduler">, PlanSpace {
  /** What is wrong with a run, in words; undefined: nothing. Default: `suspicion`. */
  readonly wrong?: (run: Run) => string | undefined
  /** By what name failures are saved. Default: the program's. */
  readonly name?: string
  /** Runs, at most, before the search gives up. Default: 200. */
  readonly runs?: number
  /** Runs, at most, to make a failing plan smaller. Default: 200. */
  readonly shrinkRuns?: number
  /** Default: 0. */
  readonly seed?: number
  /** Where failures are saved. Default: .effect-sentry/failures; undefined: nowhere. */
  readonly directory?: string | undefined
  /** Told of each run that is over. */
  readonly onRun?: (runs: number) => void
}

/** A plan that makes the program fail. */
export interface Failure {
  readonly reason: string
  /** The seed of the search, and which of its runs failed first: 0 the uneventful one, "saved" for one tried again. */
  readonly seed: number
  readonly path: number | "saved"
  /** How often the plan was made smaller. */
  readonly shrinks: number
  readonly plan: Plan
  readonly run: Run
  /** Where it was saved. */
  readonly file: string | undefined
}

export interface Report {
  /** All runs, those that made a plan smaller too. */
  readonly runs: number
  readonly failure: Failure | undefined
  /** What of `sometimes` never held, and of `reachable` was never reached. */
  readonly unseen: ReadonlyArray<string>
}

/** A search found a failure, or that something never held. */
export class Falsified extends Data.TaggedError("Falsified")<{ readonly report: Report }> {
  override get message(): string {
    const { failure, runs, unseen } = this.report
    return failure === undefined ? `never in ${runs} runs: ${unseen.join(", ")}` : explain(failure)
  }
}

/** What looks wrong without knowing the program: it hangs, dies of a signal, or breaks what must always hold. */
export const suspicion = ({ exit, violations }: Run): string | undefined => {
  const [violation] = violations
  if (violation !== undefined) return `does not always hold: ${violation.name}`
  if (exit._tag === "Stuck") return "everybody waits for ever"
  if (exit._tag === "TimedOut") return "does not end in time"
  return exit._tag === "Signaled" ? `killed by ${exit.signal}` : undefined
}

/** Lines of a trace that are shown at its end. */
const SHOWN = 40

/** A failure as a test prints it: what, how, the trace, and how to see it again. */
export const explain = ({ file, path, plan, reason, run, seed, shrinks }: Failure): string => {
  const from = Math.max(0, run.lines.length - SHOWN)
  return [
    reason,
    `seed ${seed}, run ${path}, made smaller ${shrinks} times`,
    "the plan:",
    ...describe(plan).map((line) => `  ${line}`),
    `the trace${from > 0 ? `, its last ${SHOWN} lines` : ""}:`,
    ...run.lines.slice(from).map((line) => `${line.includes("(INJECTED: ") ? ">" : " "} ${line}`),
    ...(file === undefined ? [] : [`again: npx effect-sentry replay ${file}`])
  ].join("\n")
}

/** Searches; a failure is part of the report. */
export const search = Effect.fnUntraced(function* (
  subject: Subject,
  options: SearchOptions = {}
): Effect.fn.Return<Report, SimulationFailed> {
  const wrong = options.wrong ?? suspicion
  const name = options.name ?? (typeof subject === "function" ? subject.name || "program" : basename(subject.command))
  const seed = options.seed ?? 0
  const directory = "directory" in options ? options.directory : ".effect-sentry/failures"
  const budget = options.runs ?? 200
  const random = randomNumbers(seed)
  const seen = new Set<string>()
  let runs = 0
  const attempt = (plan: Plan) =>
    Effect.map(run(subject, { ...options, plan }), (result) => {
      runs++
      options.onRun?.(runs)
      for (const name of result.seen) seen.add(name)
      return result
    })

  const shrink = Effect.fnUntraced(function* (found: Plan, first: Run, path: Failure["path"]) {
    let plan = found
    let result = first
    let shrinks = 0
    let left = options.shrinkRuns ?? 200
    for (let isSmaller = true; isSmaller && left > 0;) {
      isSmaller = false
      for (const smaller of smallerPlans(plan)) {
        if (left-- <= 0) break
        const again = yield* attempt(smaller)
        if (wrong(again) === undefined) continue
        plan = smaller
        result = again
        shrinks++
        isSmaller = true
        break
      }
    }
    // what was decided, not what was asked for: the plan then says all
    const decided: Plan = { ...plan, schedule: { _tag: "Decisions", decisions: result.decisions } }
    const reason = wrong(result) ?? ""
    const file =
      directory === undefined ? undefined : save(directory, savedRun(name, subject, options, decided, reason))
    return { reason, seed, path, shrinks, plan: decided, run: result, file }
  })

  const uneventfully = yield* attempt(uneventful)
  const found = Effect.fnUntraced(function* (plan: Plan, result: Run, path: Failure["path"]) {
    const failure = yield* shrink(plan, result, path)
    return { runs, failure, unseen: [] }
  })
  if (wrong(uneventfully) !== undefined) return yield* found(uneventful, uneventfully, 0)
  for (const plan of directory === undefined ? [] : savedPlans(directory, name)) {
    const result = yield* attempt(plan)
    if (wrong(result) !== undefined) return yield* found(plan, result, "saved")
  }
  const space: PlanSpace = { ...options, length: options.length ?? Math.max(4, uneventfully.points) }
  for (let path = 1; path < budget; path++) {
    const plan = drawPlan(space, random)
    const result = yield* attempt(plan)
    if (wrong(result) !== undefined) return yield* found(plan, result, path)
  }
  const claims = [...Object.keys(options.sometimes ?? {}), ...Object.keys(options.reachable ?? {})]
  return { runs, failure: undefined, unseen: claims.filter((name) => !seen.has(name)) }
})

/** Searches, and fails if that finds something: for tests. */
export const check = (
  subject: Subject,
  options: SearchOptions = {}
): Effect.Effect<Report, SimulationFailed | Falsified> =>
  Effect.flatMap(search(subject, options), (report) =>
    report.failure === undefined && report.unseen.length === 0
      ? Effect.succeed(report)
      : Effect.fail(new Falsified({ report }))
  )
