/**
 * Programs with a bug each (test/planted): a search finds it within a budget, makes the plan small, and the plan brings it
 * out again every time.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { FaultSpace } from "../../src/Testing/PlanSpace.ts"
import type { Run } from "../../src/Testing/Run.ts"
import { type SearchOptions, search, suspicion } from "../../src/Testing/Search.ts"
import { replay } from "../../src/Testing/SavedRun.ts"
import { IS_SANDBOX, NIGHTLY, REPOSITORY } from "../conformance/Platforms.ts"

/** Those that take long are for the night. */
const SLOW: ReadonlySet<string> = new Set(["leaked_pipe", "deadlock", "check_then_use"])

/** Runs until the bug is found, at most. */
const BUDGET = 300
const REPLAYS = NIGHTLY ? 100 : 3

const says =
  (expected: string) =>
  (run: Run): string | undefined =>
    suspicion(run) ?? (run.stdout === expected ? undefined : `says '${run.stdout}${run.stderr}', not '${expected}'`)

interface Planted {
  readonly program: string
  readonly options: SearchOptions
  /** Decisions and faults that are needed, at most. */
  readonly size: number
}

const at = (calls: string, upTo: number, ...kinds: FaultSpace["kinds"]): FaultSpace => ({ at: { calls }, upTo, kinds })

const orders = (program: string, expected: string, size: number): Planted => ({
  program,
  options: { wrong: says(expected) },
  size
})
const faults = (program: string, expected: string, ...spaces: ReadonlyArray<FaultSpace>): Planted => ({
  program,
  options: { wrong: says(expected), schedules: false, faults: spaces },
  size: 1
})

const PLANTED: ReadonlyArray<Planted> = [
  orders("lost_update", "2\n", 2),
  orders("deadlock", "done\n", 4),
  orders("missed_wakeup", "done\n", 2),
  orders("leaked_pipe", "done\n", 6),
  orders("check_then_use", "1 entered\n", 2),
  faults("reentrant_handler", "done\n", at("all", 80, { _tag: "Signal", signal: "SIGUSR1" })),
  faults("short_write", "one\ntwo\nthree\n", at("write", 5, { _tag: "Short", bytes: 2 })),
  faults("no_retry", "done\n", at("read", 10, { _tag: "Failure", errno: "EINTR" })),
  {
    program: "year_2038",
    options: {
      wrong: says("done\n"),
      schedules: false,
      starts: ["2026-01-01T00:00:00Z", "2030-06-01T00:00:00Z", "2038-01-19T03:00:00Z"]
    },
    size: 0
  }
]

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "planted-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe.runIf(IS_SANDBOX)("a planted bug", { timeout: 3_600_000 }, () => {
  for (const { options, program, size } of PLANTED) {
    it.skipIf(SLOW.has(program) && !NIGHTLY)(`${program} is found, made small and replayed`, async () => {
      const command = `${REPOSITORY}test/planted/build/${program}`
      const report = await Effect.runPromise(search({ command }, { ...options, directory, runs: BUDGET }))
      const { failure } = report
      assert.isDefined(failure, `not found in ${report.runs} runs`)
      const { file = "", plan, run } = failure
      const decisions = plan.schedule._tag === "Decisions" ? plan.schedule.decisions.length : Infinity
      assert.isAtMost(decisions + plan.faults.length, size, JSON.stringify(plan))
      for (let count = 0; count < REPLAYS; count++) {
        const again = await Effect.runPromise(replay(file))
        assert.deepStrictEqual(again.lines, run.lines)
        assert.deepStrictEqual(again.exit, run.exit)
        assert.strictEqual(again.stdout, run.stdout)
      }
    })
  }
})
