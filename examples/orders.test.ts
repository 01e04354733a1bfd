/**
 * A counter in a file, and processes that add to it, in every order that they can take.
 *
 *     npx vitest run examples
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Sim from "../src/Testing/Sim.ts" // in your own project: "effect-sentry/testing"

const { O_CREAT, O_EXCL, O_RDONLY, O_TRUNC, O_WRONLY } = Sim.OpenFlags

const COUNTER = "/counter"
const LOCK = "/counter.lock"

const put = function* (sys: Sim.Guest, value: number): Sim.Steps<void> {
  const file = yield* sys.open(COUNTER, O_CREAT | O_TRUNC | O_WRONLY, 0o644)
  yield* sys.write(file, String(value))
  yield* sys.close(file)
}

const get = function* (sys: Sim.Guest): Sim.Steps<number> {
  const file = yield* sys.open(COUNTER, O_RDONLY)
  const bytes = yield* sys.read(file, 20)
  yield* sys.close(file)
  return typeof bytes === "number" ? NaN : Number(Buffer.from(bytes).toString())
}

/** Waits until nobody else has the lock file. */
const lock = function* (sys: Sim.Guest): Sim.Steps<void> {
  while (true) {
    const file = yield* sys.open(LOCK, O_CREAT | O_EXCL | O_WRONLY, 0o600)
    if (file >= 0) return void (yield* sys.close(file))
    yield* sys.nanosleep(1_000_000n)
  }
}

const add = function* (sys: Sim.Guest, amount: number, isCareful: boolean): Sim.Steps<void> {
  if (isCareful) yield* lock(sys)
  yield* put(sys, (yield* get(sys)) + amount)
  if (isCareful) yield* sys.unlink(LOCK)
}

/** The first process starts at 0, and says what has come of it when all others have ended. */
const frame: Sim.ScriptFrame<void> = {
  setUp: (sys) => put(sys, 0),
  *finish(sys) {
    while ((yield* sys.wait()).pid > 0);
    yield* sys.write(1, String(yield* get(sys)))
    return 0
  }
}

const adders = (amounts: ReadonlyArray<number>, isCareful: boolean): Sim.Program => {
  const script = new Sim.ProcessScript<void>()
  amounts.forEach((amount, process) => script.add(process, (sys) => add(sys, amount, isCareful)))
  return script.program(frame)
}

const says = (expected: number) => (run: Sim.Run) =>
  Sim.suspicion(run) ?? (run.stdout === String(expected) ? undefined : `counts to ${run.stdout}`)

describe("a counter in a file", () => {
  // A search chooses the plans itself: the shortest way.
  it.effect("counts everything, if whoever adds has locked it", () =>
    Sim.check(adders([1, 2], true), {
      wrong: says(3),
      runs: 100,
      reachable: { "a lock is awaited": "nanosleep" }
    })
  )

  it.effect("loses something, if nobody locks", () =>
    Effect.gen(function* () {
      const options = { wrong: says(3), name: "careless counter", directory: undefined }
      const { message } = yield* Effect.flip(Sim.check(adders([1, 2], false), options))
      assert.match(message, /^counts to [12]\n.*\nthe plan:\n {2}after step \d+ of task \d, task \d runs\n/)
    })
  )

  // A property has plans among its inputs.
  it.effect.prop(
    "counts everything, with files that open slowly",
    {
      plan: Sim.plan({ length: 40, faults: [{ at: { calls: "open" }, kinds: [{ _tag: "Delay", millis: 3 }] }] })
    },
    ({ plan }) => Sim.verify(adders([1, 2, 4], true), { plan, wrong: says(7), name: "slow counter" }),
    {
      arbitrary: { runs: 50 }
    }
  )

  // A model says what commands should come to; the processes carry them out at the same time.
  class Add implements fc.Command<{ sum: number }, Sim.ProcessScript<void>> {
    readonly process: number
    readonly amount: number

    constructor(process: number, amount: number) {
      this.process = process
      this.amount = amount
    }

    check = (): boolean => true

    run = (model: { sum: number }, script: Sim.ProcessScript<void>): void => {
      model.sum += this.amount
      script.add(this.process, (sys) => add(sys, this.amount, true))
    }

    toString = (): string => `process ${this.process} adds ${this.amount}`
  }

  it("agrees with its model", () => {
    const commands = fc.commands([fc.tuple(fc.nat(2), fc.nat(9)).map(([process, amount]) => new Add(process, amount))])
    return fc.assert(
      fc.asyncProperty(commands, Sim.plan({ length: 100 }), async (commands, plan) => {
        const model = { sum: 0 }
        const script = new Sim.ProcessScript<void>()
        fc.modelRun(() => ({ model, real: script }), commands)
        await Effect.runPromise(Sim.verify(script.program(frame), { plan, wrong: says(model.sum), name: "model" }))
      }),
      { numRuns: 30 }
    )
  })
})
