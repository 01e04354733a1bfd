/**
 * Who runs next: each strategy on programs written in TypeScript, where a step costs next to nothing.
 */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import type { Program } from "../../src/Platform/SimulatedProcess.ts"
import { Exploration } from "../../src/Testing/Exploration.ts"
import { type Run, run, type RunOptions } from "../../src/Testing/Run.ts"
import type { Point } from "../../src/Testing/Scheduler.ts"
import { NIGHTLY } from "../conformance/Platforms.ts"
import * as Schedulers from "../../src/Testing/Schedulers.ts"

const start = (program: Program, options: RunOptions): Promise<Run> => Effect.runPromise(run(program, options))

/** A thread for each number, which makes so many steps: calls, and the end. The first program sleeps until all are over. */
const threads = (...steps: ReadonlyArray<number>): Program =>
  function* (sys) {
    for (const count of steps)
      yield* sys.thread(function* (sys) {
        for (let step = 1; step < count; step++) yield* sys.getpid()
        return 0
      })
    yield* sys.nanosleep(1_000_000_000n)
    return 0
  }

/** The order in which the threads made their steps. */
const orderOf = ({ lines }: Run): string =>
  lines.flatMap((line) => /^(\d+) +(?:getpid|exit)\(/.exec(line)?.[1] ?? []).join(" ")

/** All runs of `program` within bounds. */
const explore = async (exploration: Exploration, program: Program): Promise<ReadonlyArray<string>> => {
  const orders: Array<string> = []
  for (let scheduler = exploration.next(); scheduler !== undefined; scheduler = exploration.next())
    orders.push(orderOf(await start(program, { scheduler })))
  return orders
}

/** Number of orders of `count` threads with `steps` steps each, with at most so many pre-emptions: counted directly. */
const countOrders = (count: number, steps: number, preemptions = Infinity): number => {
  const rest = (left: ReadonlyArray<number>, last: number, budget: number): number => {
    if (left.every((n) => n === 0)) return 1
    let sum = 0
    left.forEach((n, task) => {
      if (n === 0) return
      const isPreemption = task !== last && (left[last] ?? 0) > 0
      if (isPreemption && budget === 0) return
      const after = left.map((m, other) => (other === task ? m - 1 : m))
      sum += rest(after, task, isPreemption ? budget - 1 : budget)
    })
    return sum
  }
  return rest(
    Array.from({ length: count }, () => steps),
    -1,
    preemptions
  )
}

/** The threads are there, and the first program sleeps. */
const allReady =
  (count: number) =>
  ({ last, ready }: Point): boolean =>
    ready.length === count && !ready.includes(last)

/** In how many orders tasks can make so many steps each: (a + b + …)! / (a! b! …). */
const multinomial = (steps: ReadonlyArray<number>): number => {
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1))
  return steps.reduce((orders, n) => orders / factorial(n), factorial(steps.reduce((sum, n) => sum + n, 0)))
}

describe("exhaustive exploration", { timeout: 1_200_000 }, () => {
  const programs = [
    [2, 2, 2],
    [1, 2, 3],
    [4, 1, 1],
    [4, 4],
    ...(NIGHTLY
      ? [
          [3, 3, 3],
          [4, 4, 4]
        ]
      : [])
  ]
  it.each(programs.map((steps) => ({ steps, expected: multinomial(steps) })))(
    "of tasks of $steps steps visits each of their $expected orders once",
    async ({ expected, steps }) => {
      const orders = await explore(new Exploration({ from: allReady(steps.length) }), threads(...steps))
      assert.strictEqual(orders.length, expected)
      assert.strictEqual(new Set(orders).size, expected)
    }
  )

  it("of three tasks of six steps with bounded pre-emptions visits as many orders as there are", async () => {
    for (const preemptions of NIGHTLY ? [0, 1, 2] : [0, 1]) {
      const expected = countOrders(3, 6, preemptions)
      const orders = await explore(new Exploration({ preemptions, from: allReady(3) }), threads(6, 6, 6))
      assert.strictEqual(orders.length, expected)
      assert.strictEqual(new Set(orders).size, expected)
    }
  })
})

describe("strategies", () => {
  it("round robin gives everybody a step in turn", async () => {
    const order = orderOf(await start(threads(12, 12, 12), { scheduler: Schedulers.roundRobin() })).split(" ")
    const turns = order.slice(order.indexOf("5")) // from then on all three are there
    assert.deepStrictEqual(turns.slice(0, 6), ["5", "3", "4", "5", "3", "4"])
  })

  it("the rule lets each go on as long as it can", async () => {
    const order = orderOf(await start(threads(3, 3, 3), { scheduler: Schedulers.cooperative() }))
    assert.strictEqual(order, "3 3 3 4 4 4 5 5 5")
  })

  it("random and PCT schedules are functions of their seed, and differ", async () => {
    for (const make of [Schedulers.random, (seed: number) => Schedulers.pct(seed, { depth: 3, length: 15 })]) {
      const orders = new Set<string>()
      for (let seed = 0; seed < 20; seed++) {
        const first = await start(threads(4, 4, 4), { scheduler: make(seed) })
        const second = await start(threads(4, 4, 4), { scheduler: make(seed) })
        assert.deepStrictEqual(first.lines, second.lines)
        orders.add(orderOf(first))
      }
      assert.isAbove(orders.size, 5)
    }
  })

  it("PCT of depth d departs from its priorities at most d - 1 times", async () => {
    for (let seed = 0; seed < 30; seed++) {
      const { lines } = await start(threads(6, 6, 6), { scheduler: Schedulers.pct(seed, { depth: 2, length: 18 }) })
      const order = orderOf({ lines } as Run).split(" ")
      const switches = order.filter((task, at) => at > 0 && order[at - 1] !== task).length
      assert.isAtMost(switches, 2 + 2) // two ends, and one change that may be made up for later
    }
  })

  it("a recorded list of decisions gives the same run again", async () => {
    for (let seed = 0; seed < 50; seed++) {
      const first = await start(threads(4, 4, 4, 4), { scheduler: Schedulers.random(seed) })
      const again = await start(threads(4, 4, 4, 4), { scheduler: Schedulers.replay(first.decisions) })
      assert.deepStrictEqual(again.lines, first.lines)
      assert.deepStrictEqual(again.decisions, first.decisions)
    }
  })

  it("a task that tries again and again does not keep PCT from running the one it waits for", async () => {
    const { exit } = await start(
      function* (sys) {
        const word = yield* sys.allocate(4)
        yield* sys.thread(function* (sys) {
          yield* sys.getpid()
          yield* sys.store32(word, 1)
          return 0
        })
        while ((yield* sys.load32(word)) === 0) yield* sys.sched_yield()
        return 0
      },
      { scheduler: Schedulers.pct(1, { depth: 1, length: 1 }) }
    )
    assert.deepStrictEqual(exit, { _tag: "Exited", code: 0 })
  })

  it("says that everybody waits, and when there has been enough", async () => {
    const stuck = await start(function* (sys) {
      yield* sys.pause()
      return 0
    }, {})
    assert.strictEqual(stuck.exit._tag, "Stuck")
    const busy = await start(
      function* (sys) {
        while (true) yield* sys.getpid()
      },
      { maxSteps: 1000 }
    )
    assert.deepStrictEqual([busy.exit._tag, busy.steps], ["TimedOut", 1000])
    const late = await start(
      function* (sys) {
        while (true) yield* sys.nanosleep(1_000_000_000n)
      },
      { timeout: 10_000 }
    )
    assert.deepStrictEqual([late.exit._tag, late.millis], ["TimedOut", 10_000])
  })
})
