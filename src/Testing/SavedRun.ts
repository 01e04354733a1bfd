/**
 * A run in a file: what was run, and the plan, down to each decision. What `effect-sentry replay FILE` reads.
 */
import { createHash } from "node:crypto"
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Plan } from "./Plan.ts"
import { directoryOf, run, type Run, type RunOptions, type Subject } from "./Run.ts"
import { SimulationFailed } from "./SimulationFailed.ts"

/** Where failures are saved, relative to the working directory. */
export const DEFAULT_DIRECTORY = ".effect-sentry/failures"

const Strings = Schema.Array(Schema.String)

export const SavedRun = Schema.Struct({
  version: Schema.Literal(1),
  /** Of the search that found it. */
  name: Schema.String,
  /** Missing for a program written in TypeScript, which is not in the file. */
  command: Schema.optionalKey(
    Schema.Struct({
      command: Schema.String,
      args: Strings,
      env: Schema.Record(Schema.String, Schema.String),
      cwd: Schema.String
    })
  ),
  options: Schema.Struct({
    stdin: Schema.optionalKey(Schema.String),
    rootfs: Schema.optionalKey(Schema.String),
    mounts: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({ source: Schema.String, target: Schema.String, readOnly: Schema.optionalKey(Schema.Boolean) })
      )
    ),
    timeout: Schema.optionalKey(Schema.Number),
    maxSteps: Schema.optionalKey(Schema.Number)
  }),
  plan: Plan,
  /** What was wrong. */
  reason: Schema.String
})
export type SavedRun = typeof SavedRun.Type

/** What a file can say of a run. */
export const savedRun = (name: string, subject: Subject, options: RunOptions, plan: Plan, reason: string): SavedRun => {
  const { maxSteps, mounts, rootfs, stdin, timeout } = options
  const command =
    typeof subject === "function"
      ? undefined
      : {
          command: subject.command,
          args: [...(subject.args ?? []), ...(options.args ?? [])],
          env: subject.env ?? {},
          cwd: directoryOf(subject, options)
        }
  return {
    version: 1,
    name,
    ...(command === undefined ? {} : { command }),
    options: {
      ...(stdin === undefined ? {} : { stdin }),
      ...(rootfs === undefined ? {} : { rootfs }),
      ...(mounts === undefined ? {} : { mounts }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(maxSteps === undefined ? {} : { maxSteps })
    },
    plan,
    reason
  }
}

/** Names in file names. */
const plain = (name: string): string => name.replace(/[^A-Za-z0-9_.-]+/g, "-")

/** Writes it below `directory`, under its name and one that its contents give, or `place`: the file. */
export const save = (directory: string, saved: SavedRun, place?: string): string => {
  const text = `${JSON.stringify(saved, undefined, 2)}\n`
  mkdirSync(directory, { recursive: true })
  const suffix = place ?? createHash("sha256").update(text).digest("hex").slice(0, 8)
  const file = join(directory, `${plain(saved.name)}-${suffix}.json`)
  writeFileSync(file, text)
  return file
}

const whyUnreadable = (cause: unknown): string => {
  if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return "there is no such file"
  const [first = ""] = (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)
  return `no saved run: ${first}`
}

/** Reads a file. */
export const load = (file: string): Effect.Effect<SavedRun, SimulationFailed> =>
  Effect.try({
    try: () => Schema.decodeUnknownSync(SavedRun)(JSON.parse(readFileSync(file, "utf8"))),
    catch: (cause) => new SimulationFailed({ reason: `${file}: ${whyUnreadable(cause)}` })
  })

/** The plans saved for `name`, those that can be read: examples for a property. */
export const savedPlans = (name: string, directory = DEFAULT_DIRECTORY): ReadonlyArray<Plan> => {
  let files: Array<string>
  try {
    files = readdirSync(directory).filter((file) => file.startsWith(`${plain(name)}-`) && file.endsWith(".json"))
  } catch {
    return [] // nothing was ever saved
  }
  return files.sort().flatMap((file) => {
    const exit = Effect.runSyncExit(load(join(directory, file)))
    return exit._tag === "Success" && exit.value.name === name ? [exit.value.plan] : []
  })
}

/** Carries out the run that a file describes once more. */
export const replay = (file: string): Effect.Effect<Run, SimulationFailed> =>
  Effect.flatMap(load(file), ({ command, options, plan }) =>
    command === undefined
      ? Effect.fail(
          new SimulationFailed({ reason: `${file}: its program is written in TypeScript: run the test that found it` })
        )
      : run(command, { ...options, plan })
  )
