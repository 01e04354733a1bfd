/**
 * The test of one language of generated programs: programs that differed once, then those of a seed, do the same in the
 * sandbox as on the host.
 *
 * `SENTRY_SEED=n` repeats a run, `SENTRY_RUNS=n` makes it longer. A failure is shrunk and kept as a regression.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { beforeAll, describe, expect, test } from "vitest"
import { NIGHTLY, PLATFORMS, REPOSITORY } from "../conformance/Platforms.ts"
import { build, compare, type Language, type Verdict } from "./Interpreter.ts"
import { generate, shrink } from "./Search.ts"

/** Programs that one start of the interpreter executes. */
const BATCH = 25

export interface Suite<Program> {
  readonly name: string
  readonly language: Language<Program>
  /** Where regressions are, below this directory. */
  readonly regressions: string
  readonly runs: number
  readonly nightlyRuns: number
  readonly seed: number
}

export const testLanguage = <Program>(suite: Suite<Program>): void => {
  const { language, name: what } = suite
  const runs = Number(process.env["SENTRY_RUNS"] ?? (NIGHTLY ? suite.nightlyRuns : suite.runs))
  const seed = Number(process.env["SENTRY_SEED"] ?? (NIGHTLY ? Math.floor(Date.now() / 86_400_000) : suite.seed))
  const directory = `${REPOSITORY}test/generated/${suite.regressions}/`
  const regressions = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".json")) : []

  const readRegression = (name: string): Program => JSON.parse(readFileSync(directory + name, "utf8")) as Program

  const expectSame = ({ native, program, sandboxed }: Verdict<Program>, name: string): void => {
    expect(sandboxed.split("\n"), `${name}:\n${language.print(program)}`).toEqual(native.split("\n"))
  }

  for (const platform of PLATFORMS) {
    describe(`generated ${what} on ${platform.name}`, () => {
      beforeAll(() => build(language))

      test("that differed once", { timeout: 300_000 }, async () => {
        const verdicts = await compare(language, platform, regressions.map(readRegression))
        for (const [index, verdict] of verdicts.entries()) {
          if (verdict.outcome !== "chance") expectSame(verdict, regressions[index]!)
        }
      })

      test(`${runs} of seed ${seed}`, { timeout: 120_000 + runs * 5_000 }, async () => {
        const programs = generate(language, seed, runs)
        const counts = { same: 0, chance: 0, different: 0, unsteady: 0 }
        for (let start = 0; start < runs; start += BATCH) {
          const verdicts = await compare(language, platform, programs.slice(start, start + BATCH))
          for (const [index, verdict] of verdicts.entries()) {
            counts[verdict.outcome]++
            if (verdict.outcome === "unsteady") console.warn(`unsteady: ${seed}:${start + index}`)
            if (verdict.outcome !== "different") continue
            const name = `${seed}-${start + index}.json`
            const smallest = (await shrink(language, platform, seed, start + index)) ?? verdict
            writeFileSync(directory + name, `${JSON.stringify(smallest.program)}\n`)
            expectSame(smallest, name)
          }
        }
        // what is left to chance on the host itself proves nothing
        expect(counts.same).toBeGreaterThan(runs * 0.9)
        expect(counts.unsteady, "differed, but not every time").toBeLessThanOrEqual(Math.ceil(runs / 200))
      })
    })
  }
}
