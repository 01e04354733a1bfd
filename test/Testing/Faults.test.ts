/**
 * Faults as data: which call they hit, and what the program sees of them.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { assert, describe, it } from "vitest"
import { EINTR, EIO } from "../../src/Abi/Errno.ts"
import { O_CREAT, O_RDWR } from "../../src/Abi/OpenFlags.ts"
import { SIGUSR1 } from "../../src/Abi/Signal.ts"
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "../../src/Abi/Time.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../../src/Platform/SimulatedProcess.ts"
import { describe as inWords, Fault } from "../../src/Testing/Fault.ts"
import { Plan, uneventful } from "../../src/Testing/Plan.ts"
import { type Run, run } from "../../src/Testing/Run.ts"

const start = (program: Program, ...faults: ReadonlyArray<Fault>): Promise<Run> =>
  Effect.runPromise(run(program, { plan: { ...uneventful, faults } }))

/** What a program says, a number a line. */
const say = (sys: Guest, value: number | bigint): Steps<number> => sys.write(1, `${value}\n`)

const numbers = ({ stdout }: Run): ReadonlyArray<number> => stdout.split("\n").slice(0, -1).map(Number)

/** Writes three times to a file and three times to a pipe. */
const writer: Program = function* (sys) {
  const file = yield* sys.open("/data", O_CREAT | O_RDWR)
  const ends = yield* sys.pipe()
  if (typeof ends === "number") return 1
  const results: Array<number> = []
  for (let turn = 0; turn < 3; turn++) {
    results.push(yield* sys.write(file, "abcdef"))
    results.push(yield* sys.write(ends[1], "abcdef"))
  }
  for (const result of results) yield* say(sys, result)
  return 0
}

describe("faults", () => {
  it("hit the nth call of a name, and are marked in the trace", async () => {
    const result = await start(writer, { _tag: "Failure", errno: "EIO", at: { calls: "write", nth: 2 } })
    assert.deepStrictEqual(numbers(result), [6, -EIO, 6, 6, 6, 6])
    assert.deepStrictEqual(result.injected, ["the 2nd write fails with EIO"])
    const marked = result.lines.filter((line) => line.includes("INJECTED"))
    assert.match(
      marked.join("\n"),
      /^2 +write\(5, "abcdef", 6\) +=? -1 EIO .* \(INJECTED: the 2nd write fails with EIO\)$/
    )
  })

  it("are chosen by kind of file, by path, by program", async () => {
    const short = { _tag: "Short", bytes: 2 } as const
    const at = { calls: "write", nth: 3 }
    assert.deepStrictEqual(numbers(await start(writer, { ...short, at: { ...at, fd: "file" } })), [6, 6, 6, 6, 2, 6])
    assert.deepStrictEqual(numbers(await start(writer, { ...short, at: { ...at, fd: "pipe" } })), [6, 6, 6, 6, 6, 2])
    assert.deepStrictEqual(numbers(await start(writer, { ...short, at: { ...at, path: "/d?t*" } })), [6, 6, 6, 6, 2, 6])
    assert.deepStrictEqual(numbers(await start(writer, { ...short, at: { ...at, task: "main" } })), [6, 6, 2, 6, 6, 6])
    assert.deepStrictEqual((await start(writer, { ...short, at: { ...at, task: "other" } })).injected, [])
    const opening = await start(writer, {
      _tag: "Failure",
      errno: "EACCES",
      at: { calls: "%file", path: "/**", nth: 1 }
    })
    assert.deepStrictEqual(opening.injected, ["the 1st %file of /** fails with EACCES"])
  })

  it("leave the registers as the program had them", async () => {
    const result = await start(
      function* (sys) {
        const at = yield* sys.allocate(8)
        const count = yield* sys.call(1, 1, at, 4) // write(1, at, 4)
        yield* say(sys, count)
        return 0
      },
      { _tag: "Short", bytes: 1, at: { calls: "write", nth: 1 } }
    )
    assert.strictEqual(result.stdout, "\u00001\n")
    assert.match(result.lines.find((line) => line.includes("INJECTED")) ?? "", /write\(1, "\\0\\0\\0\\0", 4\) += 1/)
  })

  it("delay, and set the clock", async () => {
    const clocks: Program = function* (sys) {
      const before = [yield* sys.clock(CLOCK_MONOTONIC), yield* sys.clock(CLOCK_REALTIME)] as const
      yield* sys.getpid()
      yield* say(sys, ((yield* sys.clock(CLOCK_MONOTONIC)) - before[0]) / 1_000_000n)
      yield* say(sys, ((yield* sys.clock(CLOCK_REALTIME)) - before[1]) / 1_000_000n)
      return 0
    }
    const at = { calls: "getpid", nth: 1 }
    assert.deepStrictEqual(numbers(await start(clocks, { _tag: "Delay", millis: 250, at })), [250, 250])
    assert.deepStrictEqual(numbers(await start(clocks, { _tag: "ClockJump", millis: 5000, at })), [0, 5000])
    assert.deepStrictEqual(numbers(await start(clocks, { _tag: "ClockJump", millis: -5000, at })), [0, -4999])
  })

  it("interrupt by a signal, with a handler and without", async () => {
    const waiting = (handled: boolean): Program =>
      function* (sys) {
        if (handled) yield* sys.sigaction(SIGUSR1, () => {})
        yield* say(sys, yield* sys.nanosleep(1_000_000_000n))
        return 0
      }
    const fault: Fault = { _tag: "Signal", signal: "SIGUSR1", at: { calls: "nanosleep", nth: 1 } }
    assert.deepStrictEqual(numbers(await start(waiting(true), fault)), [-EINTR])
    assert.deepStrictEqual((await start(waiting(false), fault)).exit, { _tag: "Signaled", signal: "SIGUSR1" })
  })

  it("kill a process at a point", async () => {
    const result = await start(
      function* (sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.write(1, "one ")
          yield* sys.write(1, "two ")
          return 0
        })
        const { status } = yield* sys.wait(child)
        yield* say(sys, status)
        return 0
      },
      { _tag: "Death", at: { calls: "write", nth: 2 } }
    )
    assert.strictEqual(result.stdout, "one 9\n")
  })

  it("come in files, and are refused if unknown", () => {
    const plan: Plan = {
      ...uneventful,
      faults: [{ _tag: "Short", bytes: 1, at: { calls: "read,pread64", fd: "file", nth: 12, task: "tar" } }]
    }
    const decoded = Schema.decodeUnknownSync(Plan)(JSON.parse(JSON.stringify(plan)))
    assert.deepStrictEqual(decoded, plan)
    assert.strictEqual(inWords(plan.faults[0]!), "the 12th read,pread64 on a file by tar transfers at most 1 byte")
    assert.throws(() => Schema.decodeUnknownSync(Fault)({ _tag: "PowerLoss", at: { calls: "write", nth: 1 } }))
  })

  it("that make no sense are said to, before anything runs", async () => {
    const at = { calls: "write", nth: 1 }
    for (const fault of [
      { _tag: "Failure", errno: "EWHATEVER", at },
      { _tag: "Signal", signal: "SIG_IGN", at },
      { _tag: "Death", at: { calls: "scribble", nth: 1 } }
    ] as const) {
      const result = await Effect.runPromise(Effect.result(run(writer, { plan: { ...uneventful, faults: [fault] } })))
      assert.strictEqual(result._tag, "Failure")
    }
  })
})
