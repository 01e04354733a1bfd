/** However a sandbox ends, and however many there are at once, the embedding process keeps nothing of it. */
import { readdirSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Sentry from "../../src/Sentry/Sentry.ts"

const BUSY = "sleep 1000 & (while :; do /bin/true; done) & while :; do echo x | cat > /dev/null; done"

const children = (): number => {
  const tasks = readdirSync("/proc/self/task")
  return tasks.flatMap((tid) => {
    try {
      return readFileSync(`/proc/self/task/${tid}/children`, "latin1").split(" ").filter(Boolean)
    } catch {
      return []
    }
  }).length
}

/** Descriptors, threads and children of this process. */
const holdings = () => ({
  descriptors: readdirSync("/proc/self/fd").length,
  threads: readdirSync("/proc/self/task").length,
  children: children()
})

/** The same numbers every time. */
const makeRandom = (seed: number) => {
  let state = seed
  return (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

describe("interruption", { timeout: 120_000 }, () => {
  it.live("at random moments leaves no descriptor, thread or process", () =>
    Effect.gen(function* () {
      const random = makeRandom(6)
      yield* Sentry.run({ command: "true" }) // what is loaded once stays
      yield* Effect.sleep(200)
      const before = holdings()
      for (let i = 0; i < 25; i++) {
        const fiber = yield* Effect.forkChild(Sentry.run({ command: "sh", args: ["-c", BUSY] }))
        yield* Effect.sleep(Math.round(random() ** 2 * 500))
        yield* Fiber.interrupt(fiber)
      }
      yield* Effect.sleep(200)
      const after = holdings()
      assert.strictEqual(after.children, before.children)
      assert.isAtMost(after.threads, before.threads)
      assert.isAtMost(after.descriptors, before.descriptors)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("of one of several sandboxes leaves the others alone", () =>
    Effect.gen(function* () {
      const one = (n: number) =>
        Effect.map(
          Sentry.run({ command: "sh", args: ["-c", `echo ${n} > /tmp/own; sleep 0.${n}; cat /tmp/own; kill -0 -1`] }),
          (result) => Sentry.text(result.stdout)
        )
      const victim = yield* Effect.forkChild(Sentry.run({ command: "sh", args: ["-c", BUSY] }))
      const others = yield* Effect.forkChild(Effect.all([1, 2, 3, 4, 5, 6].map(one), { concurrency: "unbounded" }))
      yield* Effect.sleep(150)
      yield* Fiber.interrupt(victim)
      assert.deepStrictEqual(yield* Fiber.join(others), ["1\n", "2\n", "3\n", "4\n", "5\n", "6\n"])
    }).pipe(Effect.provide(Sentry.layer()))
  )
})
