/** A sandbox that lives long: what its guests have given back, the sentry has forgotten. */
import { execFileSync } from "node:child_process"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as Sentry from "../../src/Sentry/Sentry.ts"

const HOSTILE = new URL("../hostile/", import.meta.url).pathname
const NIGHTLY = process.env["SENTRY_TEST_NIGHTLY"] === "1"
/**
 * How often each kind of thing is made and unmade, and what a cycle may leave behind, bytes: names stay in the cache of
 * dentries for a while, what is behind them does not.
 */
const CYCLES = NIGHTLY ? 6000 : 400
const BYTES = 4000

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

const used = (): number => {
  collect()
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

describe("growth", { timeout: NIGHTLY ? 1_800_000 : 240_000 }, () => {
  it.live("nothing stays of what has been made and unmade", () =>
    Effect.gen(function* () {
      execFileSync("make", ["-s", "-C", HOSTILE, "build/cycles"], { stdio: ["ignore", "ignore", "inherit"] })
      const child = yield* Sentry.spawn({ command: `${HOSTILE}build/cycles`, args: [`${CYCLES}`] })
      const input = yield* Queue.unbounded<Uint8Array>()
      yield* Effect.forkChild(Stream.run(Stream.fromQueue(input), child.stdin))
      const said: Array<{ readonly name: string; readonly memory: number }> = []
      yield* child.stdout.pipe(
        Stream.decodeText(),
        Stream.splitLines,
        Stream.runForEach((name) =>
          Effect.gen(function* () {
            yield* Effect.sleep(50) // what ends in the background
            said.push({ name, memory: used() })
            yield* Queue.offer(input, Uint8Array.of(1))
          })
        )
      )
      const grown = said.flatMap(({ name, memory }, i) => {
        const before = said[i - 1]
        if (before?.name !== name) return []
        const bytes = Math.round((memory - before.memory) / CYCLES)
        return bytes > BYTES ? [`${name}: ${bytes} bytes a cycle`] : []
      })
      assert.strictEqual(said.length, 32)
      assert.deepStrictEqual(grown, [])
    }).pipe(Effect.scoped, Effect.provide(Sentry.layer()))
  )
})
