/** Many guests at once that call, compute, fork, map, are interrupted and are killed, at random: nobody may be mixed up. */
import { assert, layer as describeLayer } from "@effect/vitest"
import { closeSync, openSync } from "node:fs"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { Reg } from "../../src/Abi/Registers.ts"
import type { PlatformContext } from "../../src/Platform/Platform.ts"
import { layer } from "../../src/Platform/PtracePlatform.ts"
import { CODE, countingLoop, DATA, guest, map, PAGE } from "./Guest.ts"

const SECONDS = Number(process.env["STRESS_SECONDS"] ?? 2)

const random = (n: number): number => Math.floor(Math.random() * n)

const pause = (kind: number) =>
  Effect.promise(() => new Promise((done) => (kind === 0 ? setTimeout(done, 1) : setImmediate(done))))

/** Runs the counting loop for a while; the guest stops itself with ud2 if it misses an answer or gets somebody else's. */
const count = Effect.fnUntraced(function* (context: PlatformContext, budget: number) {
  const { registers } = context
  const base = registers.ulong(Reg.rbx)
  let calls = 0
  let slow = 0
  const fiber = yield* Effect.forkChild(
    Effect.gen(function* () {
      while (calls < budget) {
        const outcome = yield* context.switch(() => {
          if (random(8) === 0) return false
          registers.set(Reg.rax, base + ++calls)
          return true
        })
        if (outcome._tag !== "Syscall") return outcome
        registers.set(Reg.rax, base + ++calls)
        slow++
      }
      return undefined
    }),
    { startImmediately: true }
  )
  for (let i = random(4); i > 0; i--) yield* pause(random(2))
  if (random(2) === 0) yield* Fiber.interrupt(fiber)
  const exit = yield* Fiber.await(fiber)
  if (exit._tag === "Success") assert.isUndefined(exit.value, `after ${calls} calls, ${slow} slow`)
  assert.closeTo(registers.ulong(Reg.rbx), base + calls, 1)
  // Between incrementing and asking, or asked and not answered: finish that call.
  if (registers.ulong(Reg.rbx) !== base + calls) {
    const outcome = yield* context.switch(() => false)
    assert.strictEqual(outcome._tag, "Syscall")
    registers.set(Reg.rax, base + calls + 1)
  }
})

const life = Effect.fnUntraced(function* (end: number, fd: number) {
  let steps = 0
  while (performance.now() < end) {
    const context = yield* guest(countingLoop)
    for (let i = random(10); i > 0; i--) {
      steps++
      yield* count(context, 1 + random(100))
      const at = DATA + 0x10_0000 * (1 + random(3))
      const changes = [map(at, PAGE * (1 + random(4)), 3), map(at + 8 * PAGE, PAGE, 1, { fd, offset: 0 })]
      assert.strictEqual(yield* context.addressSpace.change(changes), 0)
      const child = yield* context.clone(random(2) === 0 ? "share" : "copy")
      const code = new Uint8Array(countingLoop.length)
      assert.strictEqual(child.addressSpace.read(CODE, code), code.length)
      assert.deepStrictEqual(code, countingLoop)
      yield* Effect.all([count(context, 1 + random(100)), count(child, 1 + random(100))], { concurrency: 2 })
      yield* child.release
    }
    yield* context.release
  }
  return steps
}, Effect.scoped)

describeLayer(layer)("under stress", (it) => {
  it.effect("each guest gets its own answers", () =>
    Effect.gen(function* () {
      const fd = openSync("/proc/self/exe", "r")
      const end = performance.now() + SECONDS * 1000
      const steps = yield* Effect.all(
        Array.from({ length: 12 }, () => life(end, fd)),
        { concurrency: "unbounded" }
      )
      closeSync(fd)
      assert.isAbove(Math.min(...steps), 0)
    })
  )
})
