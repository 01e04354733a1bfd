/**
 * Looks for a plan under which a program does something wrong, and makes it as small as it can.
 *
 * The first run is uneventful and tells how many choices there are; saved failures come next, then plans drawn from the
 * space with a seed. Smaller plans are tried greedily: the first that fails too is the new one. The smallest is carried
 * out some times more, since a failure that comes and goes is worth less than it seems.
 */
import { basename } from "node:path"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { describe, type Plan, uneventful } from "./Plan.ts"
import { drawPlan, type PlanSpace, smallerPlans } from "./PlanSpace.ts"
import { randomNumbers } from "./Randomness.ts"
import { differenceOf, type Run, run, type RunOptions, type Subject } from "./Run.ts"
import { DEFAULT_DIRECTORY, save, savedPlans, savedRun } from "./SavedRun.ts"
import type { SimulationFailed } from "./SimulationFailed.ts"

/** What counts as a failure, and where it is written down. */
export interface JudgeOptions {
  /** What is wrong with a run, in words; undefined: nothing. Default: `suspicion`. */
  readonly wrong?: (run: Run) => string | undefined
  /** By what name failures are saved. Default: the program's. */
  readonly name?: string
  /** Where failures are saved. Default: .effect-sentry/failures; undefined: nowhere. */
  readonly directory?: string | undefined
}

export interface SearchOptions extends Omit<RunOptions, "plan" | "scheduler">, PlanSpace, JudgeOptions {
  /** Runs, at most, before the search gives up. Default: 200. */
  readonly runs?: number
  /** Runs, at most, to make a failing plan smaller. Default: 200. */
  readonly shrinkRuns?: number
  /** How often the smallest failing plan is carried out again, to see whether it always fails. Default: 3. */
  readonly replays?: number
  /** Default: 0. */
  readonly seed?: number
  /** Told of each run that is over. */
  readonly onRun?: (runs: number, phase: Phase) => void
}

/** What a search is about: finding a failure, making its plan smaller, trying whether it always comes out. */
export type Phase = "Searching" | "Shrinking" | "Replaying"

/** A plan under which something is wrong. */
export interface Finding {
  readonly reason: string
  readonly plan: Plan
  readonly run: Run
  /** Where it was saved. */
  readonly file: string | undefined
}

/** What a search found. */
export interface Failure extends Finding {
  /** The seed of the search, and which of its runs failed first: 0 the uneventful one, "saved" for one tried again. */
  readonly seed: number
  readonly path: number | "saved"
  /** How often the plan was made smaller. */
  readonly shrinks: number
  /** How often the plan was carried out again, and how many of these runs were the same, call by call. */
  readonly replays: { readonly runs: number; readonly same: number }
}

export interface Report {
  /** All runs, those that made a plan smaller or tried it again too. */
  readonly runs: number
  readonly failure: Failure | undefined
  /** What of `sometimes` never held, and of `reachable` was never reached. */
  readonly unseen: ReadonlyArray<string>
  /** Runs that depended on the host: a task span while others waited. */
  readonly unreliable: number
}

interface FalsifiedFields {
  readonly runs: number
  readonly finding: Finding | Failure | undefined
  readonly unseen: ReadonlyArray<string>
}

/** Something is wrong with a run, or something never held in any. */
export class Falsified extends Data.TaggedError("Falsified")<FalsifiedFields> {
  constructor(fields: FalsifiedFields) {
    super(fields)
    // the message says it all: test runners print whatever else they can enumerate
    for (const key of ["runs", "finding", "unseen"] as const) Object.defineProperty(this, key, { enumerable: false })
  }

  override get message(): string {
    const { finding, runs, unseen } = this
    return finding === undefined ? `never in ${runs} runs: ${unseen.join(", ")}` : explain(finding)
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

/** What to know of a failure before trusting its replay. */
const reservations = (finding: Finding | Failure): ReadonlyArray<string> => [
  ...(finding.run.isReliable ? [] : ["a task span while others waited: this run depends on the host's speed"]),
  ...("replays" in finding && finding.replays.same < finding.replays.runs
    ? [`not reliable: ${finding.replays.same} of ${finding.replays.runs} replays were the same`]
    : [])
]

/** A failure as a test prints it: what, how, the trace, and how to see it again. */
export const explain = (finding: Finding | Failure): string => {
  const { file, plan, reason, run } = finding
  const from = Math.max(0, run.lines.length - SHOWN)
  return [
    reason.trimEnd(),
    ...("seed" in finding ? [`seed ${finding.seed}, run ${finding.path}, made smaller ${finding.shrinks} times`] : []),
    ...reservations(finding),
    "the plan:",
    ...describe(plan).map((line) => `  ${line}`),
    `the trace${from > 0 ? `, its last ${SHOWN} lines` : ""}:`,
    ...run.lines.slice(from).map((line) => `${line.includes("(INJECTED: ") ? ">" : " "} ${line}`),
    ...(file === undefined ? [] : [`again: npx effect-sentry replay ${file}`])
  ].join("\n")
}

const nameOf = (subject: Subject, { name }: JudgeOptions): string =>
  name ?? (typeof subject === "function" ? subject.name || "program" : basename(subject.command))

const directoryOf = (options: JudgeOptions): string | undefined =>
  "directory" in options ? options.directory : DEFAULT_DIRECTORY

/** A failing run with the plan that says all: what was decided, not what was asked for. */
const findingOf = (
  subject: Subject,
  options: RunOptions & JudgeOptions,
  plan: Plan,
  run: Run,
  reason: string,
  place?: string
): Finding => {
  const decided: Plan = { ...plan, schedule: { _tag: "Decisions", decisions: run.decisions } }
  const directory = directoryOf(options)
  const file =
    directory === undefined
      ? undefined
      : save(directory, savedRun(nameOf(subject, options), subject, options, decided, reason), place)
  return { reason, plan: decided, run, file }
}

/** Searches; a failure is part of the report. */
export const search = Effect.fnUntraced(function* (
  subject: Subject,
  options: SearchOptions = {}
): Effect.fn.Return<Report, SimulationFailed> {
  const wrong = options.wrong ?? suspicion
  const seed = options.seed ?? 0
  const directory = directoryOf(options)
  const budget = options.runs ?? 200
  const random = randomNumbers(seed)
  const seen = new Set<string>()
  let runs = 0
  let unreliable = 0
  const attempt = (plan: Plan, phase: Phase) =>
    Effect.map(run(subject, { ...options, plan }), (result) => {
      runs++
      if (!result.isReliable) unreliable++
      options.onRun?.(runs, phase)
      for (const name of result.seen) seen.add(name)
      return result
    })

  const shrink = Effect.fnUntraced(function* (found: Plan, first: Run) {
    let plan = found
    let result = first
    let shrinks = 0
    let left = options.shrinkRuns ?? 200
    for (let isSmaller = true; isSmaller && left > 0;) {
      isSmaller = false
      for (const smaller of smallerPlans(plan)) {
        if (left-- <= 0) break
        const again = yield* attempt(smaller, "Shrinking")
        if (wrong(again) === undefined) continue
        plan = smaller
        result = again
        shrinks++
        isSmaller = true
        break
      }
    }
    return { plan, result, shrinks }
  })

  const replayed = Effect.fnUntraced(function* ({ plan, run }: Finding) {
    const count = options.replays ?? 3
    let same = 0
    for (let left = count; left > 0; left--) {
      const again = yield* attempt(plan, "Replaying")
      if (differenceOf(run, again) === undefined) same++
    }
    return { runs: count, same }
  })

  const found = Effect.fnUntraced(function* (failing: Plan, first: Run, path: Failure["path"]) {
    const { plan, result, shrinks } = yield* shrink(failing, first)
    const finding = findingOf(subject, options, plan, result, wrong(result) ?? "")
    const replays = yield* replayed(finding)
    return { runs, unreliable, failure: { ...finding, seed, path, shrinks, replays }, unseen: [] }
  })

  const uneventfully = yield* attempt(uneventful, "Searching")
  if (wrong(uneventfully) !== undefined) return yield* found(uneventful, uneventfully, 0)
  for (const plan of directory === undefined ? [] : savedPlans(nameOf(subject, options), directory)) {
    const result = yield* attempt(plan, "Searching")
    if (wrong(result) !== undefined) return yield* found(plan, result, "saved")
  }
  const space: PlanSpace = { ...options, length: options.length ?? Math.max(4, uneventfully.points) }
  for (let path = 1; path < budget; path++) {
    const plan = drawPlan(space, random)
    const result = yield* attempt(plan, "Searching")
    if (wrong(result) !== undefined) return yield* found(plan, result, path)
  }
  const claims = [...Object.keys(options.sometimes ?? {}), ...Object.keys(options.reachable ?? {})]
  return { runs, unreliable, failure: undefined, unseen: claims.filter((name) => !seen.has(name)) }
})

/** Searches, and fails if that finds something: for tests. */
export const check = (
  subject: Subject,
  options: SearchOptions = {}
): Effect.Effect<Report, SimulationFailed | Falsified> =>
  Effect.flatMap(search(subject, options), (report) =>
    report.failure === undefined && report.unseen.length === 0
      ? Effect.succeed(report)
      : Effect.fail(new Falsified({ runs: report.runs, finding: report.failure, unseen: report.unseen }))
  )

/**
 * Runs once, and fails if something is wrong with that run: for properties, whose library draws the plans. A failure
 * replaces the one that this property saved before, so that what is left is the smallest.
 */
export const verify = (
  subject: Subject,
  options: RunOptions & JudgeOptions = {}
): Effect.Effect<Run, SimulationFailed | Falsified> =>
  Effect.flatMap(run(subject, options), (result) => {
    const reason = (options.wrong ?? suspicion)(result)
    if (reason === undefined) return Effect.succeed(result)
    const finding = findingOf(subject, options, options.plan ?? uneventful, result, reason, "property")
    return Effect.fail(new Falsified({ runs: 1, finding, unseen: [] }))
  })
