/**
 * Generated programs over processes, threads and signals do the same in the sandbox as on the host: the semantics of
 * fork, exec, exit, wait, kill, sigaction, job control and the rest, in combinations that nobody would write.
 *
 * `SENTRY_SEED=n` repeats a run, `SENTRY_RUNS=n` makes it longer. A failure is shrunk and kept in regressions/, whose
 * programs always run first.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { beforeAll, describe, expect, test } from "vitest"
import { NIGHTLY, PLATFORMS, REPOSITORY } from "../conformance/Platforms.ts"
import { build, compare, type Verdict } from "./Interpreter.ts"
import { type Program, print } from "./Programs.ts"
import { generate, shrink } from "./Search.ts"

const RUNS = Number(process.env["SENTRY_RUNS"] ?? (NIGHTLY ? 2000 : 100))
const SEED = Number(process.env["SENTRY_SEED"] ?? (NIGHTLY ? Math.floor(Date.now() / 86_400_000) : 20_261_123))
/** Programs that one start of the interpreter executes. */
const BATCH = 25
const REGRESSIONS = `${REPOSITORY}test/generated/regressions/`

const regressions = readdirSync(REGRESSIONS).filter((name) => name.endsWith(".json"))

const readRegression = (name: string): Program => JSON.parse(readFileSync(REGRESSIONS + name, "utf8")) as Program

const expectSame = ({ native, program, sandboxed }: Verdict, name: string): void => {
  expect(sandboxed.split("\n"), `${name}:\n${print(program)}`).toEqual(native.split("\n"))
}

for (const platform of PLATFORMS) {
  describe(`generated programs on ${platform.name}`, () => {
    beforeAll(build)

    test("that differed once", { timeout: 300_000 }, async () => {
      const verdicts = await compare(platform, regressions.map(readRegression))
      for (const [index, verdict] of verdicts.entries()) {
        if (verdict.outcome !== "chance") expectSame(verdict, regressions[index]!)
      }
    })

    test(`${RUNS} of seed ${SEED}`, { timeout: 120_000 + RUNS * 5_000 }, async () => {
      const programs = generate(SEED, RUNS)
      const counts = { same: 0, chance: 0, different: 0, unsteady: 0 }
      for (let start = 0; start < RUNS; start += BATCH) {
        const verdicts = await compare(platform, programs.slice(start, start + BATCH))
        for (const [index, verdict] of verdicts.entries()) {
          counts[verdict.outcome]++
          if (verdict.outcome === "unsteady") console.warn(`unsteady: ${SEED}:${start + index}`)
          if (verdict.outcome !== "different") continue
          const name = `${SEED}-${start + index}.json`
          const smallest = (await shrink(platform, SEED, start + index)) ?? verdict
          writeFileSync(REGRESSIONS + name, `${JSON.stringify(smallest.program)}\n`)
          expectSame(smallest, name)
        }
      }
      // what is left to chance on the host itself proves nothing
      expect(counts.same).toBeGreaterThan(RUNS * 0.9)
      expect(counts.unsteady, "differed, but not every time").toBeLessThanOrEqual(Math.ceil(RUNS / 200))
    })
  })
}
