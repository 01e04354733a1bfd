/**
 * Generated system-call programs in a sandbox that lives long: none hangs, and no process, descriptor or thread is left of
 * any. It says how many see something else than on the host.
 *
 * `SENTRY_RUNS=n` sets how many on each platform, `SENTRY_SEED=n` which.
 */
import { readdirSync, readlinkSync } from "node:fs"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { PLATFORM_NAMES, NIGHTLY, PLATFORMS } from "../conformance/Platforms.ts"
import { tree } from "../conformance/Processes.ts"
import * as Sentry from "../../src/Sentry/Sentry.ts"
import { buildCalls, inSandbox, onHost } from "./Calls.ts"

const RUNS = Number(process.env["SENTRY_RUNS"] ?? (NIGHTLY ? 100_000 : 150))
const SEED = Number(process.env["SENTRY_SEED"] ?? (NIGHTLY ? Math.floor(Date.now() / 86_400_000) : 1))
const BATCH = Math.min(1000, Math.ceil(RUNS / 3))
const MILLISECONDS_OF_A_PROGRAM = 1000
/** What a program may leave in the sentry's heap, bytes, on average: a cache that fills, code that is compiled. */
const BYTES = Math.max(500, 6_000_000 / RUNS)
setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

interface Holdings {
  readonly memory: number
  readonly descriptors: number
  readonly memfds: number
  readonly threads: number
  readonly processes: number
}

/** What this process has of the host's, the sandbox's stubs included. */
const holdings = (): Holdings => {
  collect()
  collect()
  const { external, heapUsed } = process.memoryUsage()
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return "" // the one that listed them
    }
  })
  return {
    memory: heapUsed + external,
    descriptors: targets.length,
    memfds: targets.filter((target) => target.startsWith("/memfd:")).length,
    threads: readdirSync("/proc/self/task").length,
    processes: tree(process.pid).filter(({ name }) => name.includes("stub")).length
  }
}

for (const name of PLATFORM_NAMES.filter((each) => PLATFORMS.some((platform) => platform.name === each))) {
  describe(`system-call programs on ${name}`, { timeout: 60_000 + RUNS * MILLISECONDS_OF_A_PROGRAM }, () => {
    it.live(`${RUNS} of seed ${SEED}`, () =>
      Effect.gen(function* () {
        buildCalls()
        const host = onHost()
        yield* Effect.addFinalizer(() => Effect.sync(() => host.child.stdin?.end()))
        const sandbox = yield* inSandbox(name)
        const differ: Array<number> = []
        const seen: Array<Holdings> = []
        for (let first = 0; first < RUNS; first += BATCH) {
          const batch = { seed: SEED, first, count: Math.min(BATCH, RUNS - first) }
          // most of a program's time is waiting, so both at once
          const [expected, found] = yield* Effect.all(
            [
              Effect.promise(() => host.run(batch)),
              Effect.timeout(sandbox.run(batch), batch.count * MILLISECONDS_OF_A_PROGRAM)
            ],
            { concurrency: 2 }
          )
          assert.strictEqual(found.size, batch.count)
          for (const [index, digest] of found) if (expected.get(index) !== digest) differ.push(index)
          yield* Effect.sleep(100) // what ends in the background
          seen.push(holdings())
          if (NIGHTLY) console.log(`${name}: ${first + batch.count}, ${differ.length} differ`, seen.at(-1))
        }
        const [before, after] = [seen[0]!, seen.at(-1)!]
        const { memory, ...counts } = after
        const { memory: memoryBefore, ...countsBefore } = before
        assert.deepStrictEqual(counts, countsBefore)
        assert.isBelow((memory - memoryBefore) / (RUNS - BATCH), BYTES, "bytes a program")
        // not asserted: some errors are found in another order, and on a busy machine other calls are interrupted
        console.log(`${name}: ${differ.length} of ${RUNS} programs saw something else than on the host`)
      }).pipe(Effect.scoped, Effect.provide(Sentry.layer()))
    )
  })
}
