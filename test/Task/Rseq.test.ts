/**
 * rseq(2) on the kernel alone: threads that wait for a CPU, and what ends that wait.
 */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { SIGKILL, SIGUSR1 } from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { RSEQ_FLAG_UNREGISTER, RseqArea } from "../../src/Abi/Rseq.ts"
import type { Kernel } from "../../src/Kernel.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Steps } from "../../src/Platform/SimulatedProcess.ts"
import { simulate } from "./Simulation.ts"

const MILLISECOND = 1_000_000n
const SIGNATURE = 0x5305_3053

/** Registers an area for the calling thread: its address. */
const register = function* (sys: Guest): Steps<number> {
  const area = yield* aligned(sys)
  assert.strictEqual(yield* sys.call(sysno.rseq, area, 32, 0, SIGNATURE), 0)
  return area
}

const aligned = function* (sys: Guest): Steps<number> {
  const at = yield* sys.allocate(64)
  return Math.ceil(at / 32) * 32
}

/** From now on the threads of the caller have one CPU. */
const bindToOne = function* (sys: Guest): Steps<void> {
  const mask = yield* sys.allocate(8)
  yield* sys.store32(mask, 1)
  assert.strictEqual(yield* sys.call(sysno.sched_setaffinity, 0, 8, mask), 0)
}

/** Some calls that are answered at once. */
const compute = function* (sys: Guest, calls: number): Steps<void> {
  for (let call = 0; call < calls; call++) yield* sys.getpid()
}

/** The kernel of a simulation, for the program that runs in it. */
const witness = () => {
  const found: Array<Kernel> = []
  return {
    beside: (kernel: Kernel) => Effect.sync(() => void found.push(kernel)),
    /** From now on threads with areas have CPUs, or wait: as if one had been seen in a critical section. */
    *insist(sys: Guest): Steps<void> {
      while (found.length === 0) yield* compute(sys, 1)
      for (const { memoryManager } of found[0]!.system.taskSet.tasks.values()) memoryManager.cpus?.insist()
    },
    /** How many threads occupy a CPU, and whether somebody waits for one. */
    look: () => {
      const areas = [...(found[0]?.system.taskSet.tasks.values() ?? [])].flatMap(({ rseq }) =>
        rseq === undefined ? [] : [rseq]
      )
      return {
        holders: areas.filter((rseq) => rseq.cpus.isHolder(rseq)).length,
        contested: areas.some(({ cpus }) => cpus.contested)
      }
    }
  }
}

describe("a thread with an area", () => {
  it("is told the CPU that it occupies, and no more when it has unregistered", () => {
    simulate({
      *main(sys) {
        const area = yield* register(sys)
        assert.strictEqual(yield* sys.load32(area + RseqArea.offsets.cpu_id), 0)
        assert.strictEqual(yield* sys.call(sysno.rseq, area, 32, RSEQ_FLAG_UNREGISTER, SIGNATURE), 0)
        assert.strictEqual(yield* sys.load32(area + RseqArea.offsets.cpu_id), 0xffff_ffff)
        return 0
      }
    })
  })

  it("has its CPU alone: another waits until it sleeps", () => {
    for (const seed of [undefined, 1, 2, 3]) {
      const { beside, insist, look } = witness()
      const order: Array<string> = []
      simulate({
        beside,
        ...(seed === undefined ? {} : { seed }),
        *main(sys) {
          yield* bindToOne(sys)
          yield* register(sys)
          yield* insist(sys)
          const thread = yield* sys.thread(function* (sys) {
            yield* register(sys)
            assert.isAtMost(look().holders, 1)
            order.push("other")
            return 0
          })
          for (let tries = 0; !look().contested; tries++) {
            assert.isBelow(tries, 10_000)
            yield* compute(sys, 1)
          }
          order.push("main")
          yield* compute(sys, 2000)
          assert.deepStrictEqual(order, ["main"])
          yield* sys.nanosleep(MILLISECOND)
          assert.deepStrictEqual(order, ["main", "other"])
          yield* sys.join(thread)
          return 0
        }
      })
    }
  })

  it("runs without a CPU when there is none, as long as nobody has critical sections", () => {
    const { beside, look } = witness()
    simulate({
      beside,
      *main(sys) {
        yield* bindToOne(sys)
        yield* register(sys)
        const done = yield* sys.allocate(4)
        const thread = yield* sys.thread(function* (sys) {
          const area = yield* register(sys)
          assert.strictEqual(yield* sys.load32(area + RseqArea.offsets.cpu_id), 0xffff_ffff)
          assert.strictEqual(yield* sys.load32(area + RseqArea.offsets.cpu_id_start), 0)
          yield* sys.nanosleep(MILLISECOND)
          assert.strictEqual(yield* sys.load32(area + RseqArea.offsets.cpu_id), 0)
          yield* sys.store32(done, 1)
          return 0
        })
        for (let tries = 0; tries < 2000; tries++) {
          yield* compute(sys, 1)
          assert.isFalse(look().contested)
        }
        yield* sys.join(thread)
        assert.strictEqual(yield* sys.load32(done), 1)
        return 0
      }
    })
  })

  it("that yields lets others have its CPU", () => {
    const { beside, insist, look } = witness()
    let turns = 0
    simulate({
      beside,
      *main(sys) {
        yield* bindToOne(sys)
        yield* register(sys)
        yield* insist(sys)
        const thread = yield* sys.thread(function* (sys) {
          yield* register(sys)
          for (turns = 1; turns < 5; turns++) yield* sys.call(sysno.sched_yield)
          return 0
        })
        while (!look().contested) yield* compute(sys, 1)
        for (let expected = 1; expected < 5; expected++) {
          yield* sys.call(sysno.sched_yield)
          assert.strictEqual(turns, expected)
        }
        yield* sys.join(thread)
        return 0
      }
    })
  })

  it("handles signals while it waits for a CPU", () => {
    const { beside, insist, look } = witness()
    let handled = 0
    simulate({
      beside,
      *main(sys) {
        yield* bindToOne(sys)
        yield* register(sys)
        yield* insist(sys)
        yield* sys.sigaction(SIGUSR1, () => {
          handled++
        })
        const thread = yield* sys.thread(function* (sys) {
          yield* register(sys)
          return 0
        })
        while (!look().contested) yield* compute(sys, 1)
        yield* sys.call(sysno.tgkill, yield* sys.getpid(), thread.tid, SIGUSR1)
        yield* compute(sys, 2000)
        assert.strictEqual(handled, 0)
        yield* sys.nanosleep(MILLISECOND)
        assert.strictEqual(handled, 1)
        yield* sys.join(thread)
        return 0
      }
    })
  })

  it("can be killed while it waits for a CPU", () => {
    const { beside, insist, look } = witness()
    const { status } = simulate({
      beside,
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* bindToOne(sys)
          yield* register(sys)
          yield* insist(sys)
          for (let count = 0; count < 3; count++)
            yield* sys.thread(function* (sys) {
              yield* register(sys)
              assert.fail("nobody gave it a CPU")
            })
          while (true) yield* compute(sys, 1)
        })
        while (!look().contested) yield* compute(sys, 100)
        yield* compute(sys, 2000)
        yield* sys.kill(child, SIGKILL)
        assert.strictEqual((yield* sys.wait(child)).status, SIGKILL)
        assert.deepStrictEqual(look(), { holders: 0, contested: false })
        return 7
      }
    })
    assert.strictEqual(status, 7 << 8)
  })
})
