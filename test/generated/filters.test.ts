/**
 * Random seccomp(2) filters, valid and not, say of random calls in the sandbox what they say on the host.
 *
 * `SENTRY_SEED=n` repeats a run, `SENTRY_RUNS=n` makes it longer. The smallest case that differs is printed.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs"
import * as fc from "fast-check"
import { beforeAll, describe, expect, test } from "vitest"
import { NIGHTLY, PLATFORMS, type Platform, REPOSITORY } from "../conformance/Platforms.ts"
import { run } from "../conformance/Run.ts"
import { type FilterCase, filterCase, printCase } from "./Filters.ts"

const RUNS = Number(process.env["SENTRY_RUNS"] ?? (NIGHTLY ? 5000 : 300))
const SEED = Number(process.env["SENTRY_SEED"] ?? (NIGHTLY ? Math.floor(Date.now() / 86_400_000) : 20_261_127))
/** Cases that one start of the probe decides. */
const BATCH = 250

const SOURCE = `${REPOSITORY}test/generated/filterprobe.c`
const BUILD = `${REPOSITORY}test/guest/build/`
const PROBE = `${BUILD}filterprobe`

const build = (): void => {
  if (existsSync(PROBE) && statSync(SOURCE).mtimeMs < statSync(PROBE).mtimeMs) return
  mkdirSync(BUILD, { recursive: true })
  const fresh = `${PROBE}.${process.pid}`
  execFileSync("gcc", ["-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-static", "-no-pie", "-o", fresh, SOURCE])
  renameSync(fresh, PROBE)
}

/** One line per case. */
const probe = async (
  prefix: (program: ReadonlyArray<string>) => ReadonlyArray<string>,
  cases: ReadonlyArray<FilterCase>
): Promise<ReadonlyArray<string>> => {
  const outcome = await run(prefix([PROBE]), { stdin: cases.map(printCase).join(""), timeout: 300_000 })
  expect({ stderr: outcome.stderr, status: outcome.status, timedOut: outcome.timedOut }).toEqual({
    stderr: "",
    status: 0,
    timedOut: false
  })
  return outcome.stdout.split("\n").slice(0, cases.length)
}

const compare = async (
  platform: Platform,
  cases: ReadonlyArray<FilterCase>
): Promise<{ readonly native: ReadonlyArray<string>; readonly sandboxed: ReadonlyArray<string> }> => ({
  native: await probe((program) => program, cases),
  sandboxed: await probe(platform.command, cases)
})

/** The smallest case that still differs, of the one that fast-check makes with number `index`. */
const shrink = async (platform: Platform, index: number): Promise<string> => {
  let smallest = ""
  await fc.check(
    fc.asyncProperty(filterCase, async (each) => {
      const { native, sandboxed } = await compare(platform, [each])
      if (native[0] === sandboxed[0]) return true
      smallest = `${printCase(each)}native    ${native[0]}\nsandboxed ${sandboxed[0]}`
      return false
    }),
    { seed: SEED, path: `${index}`, numRuns: 1, endOnFailure: false, interruptAfterTimeLimit: 60_000 }
  )
  return smallest
}

for (const platform of PLATFORMS) {
  describe(`generated filters on ${platform.name}`, () => {
    beforeAll(build)

    test(`${RUNS} of seed ${SEED}`, { timeout: 180_000 + RUNS * 500 }, async () => {
      const cases = fc.sample(filterCase, { seed: SEED, numRuns: RUNS })
      let accepted = 0
      const words = new Set<string>()
      for (let start = 0; start < RUNS; start += BATCH) {
        const { native, sandboxed } = await compare(platform, cases.slice(start, start + BATCH))
        const different = native.findIndex((line, index) => line !== sandboxed[index])
        if (different >= 0) expect.fail(`case ${start + different}:\n${await shrink(platform, start + different)}`)
        for (const line of native) {
          if (line.startsWith("0 ")) accepted++
          for (const word of line.split(" ")) words.add(word)
        }
      }
      // both sorts of filters, and answers of many kinds
      expect(accepted).toBeGreaterThan(RUNS * 0.5)
      expect(accepted).toBeLessThan(RUNS * 0.95)
      expect(words.size).toBeGreaterThan(RUNS / 10)
    })
  })
}
