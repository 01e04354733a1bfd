/**
 * Plans in properties: of @effect/vitest, of fast-check, and together with fast-check's commands.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import * as Sim from "../../src/Testing/Sim.ts"

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "properties-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Threads that add one to a word each. Careless ones make a call between reading and writing. */
const adders = (count: number, careless: boolean): Sim.Program =>
  function* (sys) {
    const word = yield* sys.allocate(4)
    const threads: Array<Sim.Thread> = []
    for (let made = 0; made < count; made++)
      threads.push(
        yield* sys.thread(function* (sys) {
          const value = yield* sys.load32(word)
          if (careless) yield* sys.sched_yield()
          yield* careless ? sys.store32(word, value + 1) : sys.fetchAdd32(word, 1)
          return 0
        })
      )
    for (const thread of threads) yield* sys.join(thread)
    yield* sys.write(1, `${yield* sys.load32(word)}`)
    return 0
  }

const says = (expected: string) => (run: Sim.Run) => (run.stdout === expected ? undefined : `says '${run.stdout}'`)

const decisionsOf = ({ schedule }: Sim.Plan): number =>
  schedule._tag === "Decisions" ? schedule.decisions.length : Infinity

describe("in @effect/vitest", () => {
  it.effect.prop(
    "a plan goes with schemas, and a correct program passes under each",
    { plan: Sim.plan({ length: 20 }), count: Schema.Literals([1, 2, 3]) },
    ({ count, plan }) => Sim.verify(adders(count, false), { plan, wrong: says(String(count)), directory: undefined }),
    { arbitrary: { runs: 50 } }
  )

  it.prop("a plan is a plan", [Sim.plan({ starts: ["2030-01-01T00:00:00Z"] })], ([plan]) => {
    assert.strictEqual(plan.start, "2030-01-01T00:00:00Z")
    assert.isTrue(Schema.is(Sim.Plan)(plan))
  })

  it.effect("no plan is drawn twice", () =>
    Effect.gen(function* () {
      const plans = yield* Arbitrary.sampleEffect(Sim.plan(), { count: 500, seed: 1 })
      assert.strictEqual(new Set(plans.map((plan) => JSON.stringify(plan))).size, 500)
    })
  )

  it.effect("a plan shrinks to the decisions that matter, and the failure says all", () =>
    Effect.gen(function* () {
      const result = yield* Arbitrary.checkEffect(
        Sim.plan({ length: 20 }),
        (plan) => {
          const options = { plan, wrong: says("2"), directory, name: "two adders" }
          return Effect.as(Sim.verify(adders(2, true), options), true)
        },
        { runs: 200, seed: 1 }
      )
      assert.strictEqual(result._tag, "Falsified")
      if (result._tag !== "Falsified" || result.failure._tag !== "PropertyError") return
      assert.isAtMost(decisionsOf(result.shrunkInput), 2)
      const { error } = result.failure
      assert.match(
        error.message,
        /^says '1'\nthe plan:\n( {2}after step .*\n){1,2}the trace:\n[^]*sched_yield\(\)[^]*again: npx effect-sentry replay /
      )
      // each failure replaced the one before it, so that the smallest is left
      assert.deepStrictEqual(readdirSync(directory), ["two-adders-property.json"])
      const [saved] = Sim.savedPlans("two adders", directory)
      const again = yield* Sim.run(adders(2, true), { plan: saved! })
      assert.strictEqual(again.stdout, "1")
    })
  )
})

describe("with fast-check's commands", () => {
  /** Bytes that each process has written. */
  type Model = Array<number>
  type Ends = readonly [number, number]

  class Write implements fc.Command<Model, Sim.ProcessScript<Ends>> {
    readonly who: number
    readonly bytes: number

    constructor(who: number, bytes: number) {
      this.who = who
      this.bytes = bytes
    }

    check = (model: Model): boolean => model[this.who]! < 100

    run = (model: Model, script: Sim.ProcessScript<Ends>): void => {
      model[this.who]! += this.bytes
      script.add(this.who, (sys, [, to]) => sys.write(to, String(this.who).repeat(this.bytes)))
    }

    toString = (): string => `process ${this.who} writes ${this.bytes} bytes`
  }

  const commands = fc.commands(
    [
      fc
        .tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 1, max: 50 }))
        .map(([who, bytes]) => new Write(who, bytes))
    ],
    { maxCommands: 8 }
  )

  /** Several processes write to a pipe, the first copies what comes out of it. */
  const frame: Parameters<Sim.ProcessScript<Ends>["program"]>[0] = {
    *setUp(sys) {
      const ends = yield* sys.pipe()
      if (typeof ends === "number") throw new Error(`pipe: ${ends}`)
      return ends
    },
    begin: (sys, [from]) => sys.close(from),
    *finish(sys, [from, to]) {
      yield* sys.close(to)
      for (let bytes = yield* sys.read(from, 64); ; bytes = yield* sys.read(from, 64)) {
        if (typeof bytes === "number") return 2
        if (bytes.length === 0) return 0
        yield* sys.write(1, bytes)
      }
    }
  }

  /** Carries commands out under a plan, and compares. */
  const agrees = async (
    commands: Iterable<fc.Command<Model, Sim.ProcessScript<Ends>>>,
    plan: Sim.Plan
  ): Promise<void> => {
    const model: Model = [0, 0, 0]
    const script = new Sim.ProcessScript<Ends>()
    fc.modelRun(() => ({ model, real: script }), commands)
    const { exit, stdout } = await Effect.runPromise(Sim.run(script.program(frame), { plan }))
    assert.deepStrictEqual(exit, { _tag: "Exited", code: 0 })
    const written = model.map((_, who) => stdout.split(String(who)).length - 1)
    assert.deepStrictEqual(written, model)
  }

  it("several processes do what the model says, in every order", () =>
    fc.assert(fc.asyncProperty(commands, Sim.plan({ length: 30 }), agrees), { seed: 1, numRuns: 50 }))

  it("commands and plan shrink together", async () => {
    // a write to a pipe that nobody finishes: the model knows nothing of it
    const faults: ReadonlyArray<Sim.FaultSpace> = [
      { at: { calls: "write", fd: "pipe" }, upTo: 4, kinds: [{ _tag: "Short", bytes: 1 }] }
    ]
    const details = await fc.check(fc.asyncProperty(commands, Sim.plan({ length: 30, faults }), agrees), {
      seed: 1,
      numRuns: 50
    })
    assert.isTrue(details.failed)
    assert.isNotNull(details.counterexample)
    const [script, plan] = details.counterexample
    assert.match(String(script), /^process \d writes \d+ bytes/)
    assert.strictEqual(plan.faults.length, 1)
    assert.strictEqual(decisionsOf(plan), 0)
  })
})
