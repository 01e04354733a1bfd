/**
 * `effect-sentry replay FILE` and `effect-sentry test -- PROGRAM`: what the harness (src/Testing) does, from the command
 * line.
 */
import { openSync, writeSync } from "node:fs"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { signalOf } from "../Testing/Fault.ts"
import { explain, type Phase, search, type SearchOptions, suspicion } from "../Testing/Search.ts"
import { load, replay } from "../Testing/SavedRun.ts"
import type { Run } from "../Testing/Run.ts"
import type { SimulationFailed } from "../Testing/SimulationFailed.ts"
import { describe } from "../Testing/Plan.ts"
import type { ReplayArguments, TestArguments } from "./TestingArguments.ts"

/** Exit statuses: as `run` has them, and 1 for a failure that was found. */
const FAILED = 125
const FOUND = 1
const TIMED_OUT = 124

const statusOf = ({ exit }: Run): number => {
  if (exit._tag === "Exited") return exit.code
  return exit._tag === "Signaled" ? 128 + (signalOf(exit.signal) ?? 0) : TIMED_OUT
}

const print = (text: string): void => {
  process.stdout.write(text)
}

const complain = (message: string): number => {
  process.stderr.write(`effect-sentry: ${message.replaceAll("\n", " ")}\n`)
  return FAILED
}

const finish = async (effect: Effect.Effect<number, SimulationFailed>): Promise<number> => {
  const alive = setInterval(() => {}, 0x7fff_ffff) // a fiber that waits keeps no process alive
  const exit = await Effect.runPromiseExit(effect)
  clearInterval(alive)
  if (Exit.isSuccess(exit)) return exit.value
  const error = Cause.squash(exit.cause)
  return complain(error instanceof Error ? error.message : Cause.pretty(exit.cause))
}

/** Carries a saved run out again: its output, how it ended, and with `strace` each system call. */
export const replayCommand = ({ file, strace, straceLog }: ReplayArguments): Promise<number> =>
  finish(
    Effect.gen(function* () {
      const { plan, reason } = yield* load(file)
      const run = yield* replay(file)
      const trace = run.lines.map((line) => `${line}\n`).join("")
      if (straceLog !== undefined) writeSync(openSync(straceLog, "w", 0o666), trace)
      else if (strace) process.stderr.write(trace)
      print(run.stdout)
      process.stderr.write(run.stderr)
      const words = describe(plan).map((line) => `  ${line}\n`)
      const end = run.exit._tag === "Exited" ? `exited with ${run.exit.code}` : suspicion(run)
      process.stderr.write(`effect-sentry: replayed:\n${words.join("")}${end}; saved because: ${reason.trimEnd()}\n`)
      return statusOf(run)
    })
  )

/** How wide the bar is. */
const BAR = 30

/** A progress bar where there is a terminal. */
const progress = (
  budget: number
): { readonly onRun: (runs: number, phase: Phase) => void; readonly end: () => void } => {
  if (!process.stderr.isTTY) return { onRun: () => {}, end: () => {} }
  const show = (text: string): void => void process.stderr.write(`\r\x1b[K${text}`)
  return {
    onRun: (runs, phase) => {
      const done = Math.min(BAR, Math.round((runs / budget) * BAR))
      if (phase === "Searching") show(`[${"#".repeat(done)}${" ".repeat(BAR - done)}] ${runs} of ${budget} runs`)
      else show(`found: ${phase === "Shrinking" ? "making the plan smaller" : "trying it again"}, ${runs} runs`)
    },
    end: () => show("")
  }
}

/** Explores schedules and faults of a program: 0 if nothing was found, 1 with a report if something was. */
export const testCommand = (options: TestArguments): Promise<number> =>
  finish(
    Effect.gen(function* () {
      const { args, faults, program, runs, seed, timeoutMillis } = options
      const bar = progress(runs)
      const searchOptions: SearchOptions = {
        runs,
        seed,
        faults,
        onRun: bar.onRun,
        ...(timeoutMillis === undefined ? {} : { timeout: timeoutMillis })
      }
      const report = yield* search(
        { command: program, args, cwd: process.cwd(), env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" } },
        searchOptions
      )
      bar.end()
      if (report.failure === undefined) {
        const spun =
          report.unreliable === 0 ? "" : `, ${report.unreliable} of which depended on the host: a thread span`
        print(`nothing found in ${report.runs} runs${spun}\n`)
        return 0
      }
      print(`${explain(report.failure)}\n`)
      return FOUND
    })
  )
