/**
 * Threads, futexes, memory and time on the kernel alone.
 */
import { assert, describe, it } from "vitest"
import { EAGAIN, EINTR, ETIMEDOUT } from "../../src/Abi/Errno.ts"
import { MAP_ANONYMOUS, MAP_SHARED, PROT_READ } from "../../src/Abi/Mman.ts"
import { SIGALRM, SIGSEGV, SIGUSR1 } from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from "../../src/Abi/Time.ts"
import type { Guest, Thread } from "../../src/Platform/SimulatedGuest.ts"
import type { Steps } from "../../src/Platform/SimulatedProcess.ts"
import { DEFAULT_START } from "../../src/Testing/Determinism.ts"
import { simulate } from "./Simulation.ts"

const SECOND = 1_000_000_000n

describe("threads", () => {
  it("share memory, and have ids of their own in one process", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        const word = yield* sys.allocate(4)
        const ids = new Set([yield* sys.gettid()])
        const threads: Array<Thread> = []
        for (let count = 0; count < 3; count++) {
          threads.push(
            yield* sys.thread(function* (sys) {
              assert.strictEqual(yield* sys.getpid(), pid)
              ids.add(yield* sys.gettid())
              yield* sys.fetchAdd32(word, 1)
              return 0
            })
          )
        }
        for (const thread of threads) yield* sys.join(thread)
        assert.strictEqual(ids.size, 4)
        assert.strictEqual(yield* sys.load32(word), 3)
        return 0
      }
    })
  })

  it("CLONE_CHILD_CLEARTID: the word is cleared and its futex woken when the thread ends", () => {
    const { time } = simulate({
      *main(sys) {
        const thread = yield* sys.thread(function* (sys) {
          yield* sys.nanosleep(SECOND)
          return 0
        })
        yield* sys.join(thread)
        return 0
      }
    })
    assert.strictEqual(time, SECOND)
  })

  it("the process goes on when the leader exits, and ends with the last thread and its status", () => {
    const { output, status } = simulate({
      *main(sys) {
        yield* sys.thread(function* (sys) {
          yield* sys.nanosleep(SECOND)
          yield* sys.write(1, "last")
          return 5
        })
        return yield* sys.call(sysno.exit, 3)
      }
    })
    assert.strictEqual(output, "last")
    assert.strictEqual(status, 5 << 8)
  })
})

/** A mutex of three states (free, held, contended): futex(7)'s example in small. */
const lock = function* (sys: Guest, word: number): Steps<void> {
  let state = yield* sys.compareExchange32(word, 0, 1)
  while (state !== 0) {
    if (state === 2 || (yield* sys.compareExchange32(word, 1, 2)) !== 0) yield* sys.futexWait(word, 2)
    state = yield* sys.compareExchange32(word, 0, 2)
  }
}

const unlock = function* (sys: Guest, word: number): Steps<void> {
  const state = yield* sys.load32(word)
  yield* sys.store32(word, 0)
  if (state === 2) yield* sys.futexWake(word, 1)
}

describe("futex(2)", () => {
  it("FUTEX_WAIT returns at once if the word has another value: EAGAIN", () => {
    simulate({
      *main(sys) {
        const word = yield* sys.allocate(4)
        assert.strictEqual(yield* sys.futexWait(word, 1), -EAGAIN)
        return 0
      }
    })
  })

  it("FUTEX_WAIT with a timeout that passes: ETIMEDOUT", () => {
    const { time } = simulate({
      *main(sys) {
        const word = yield* sys.allocate(4)
        assert.strictEqual(yield* sys.futexWait(word, 0, 3n * SECOND), -ETIMEDOUT)
        return 0
      }
    })
    assert.strictEqual(time, 3n * SECOND)
  })

  it("FUTEX_WAKE wakes at most the given number of waiters, and says how many", () => {
    simulate({
      *main(sys) {
        const word = yield* sys.allocate(4)
        const threads: Array<Thread> = []
        let woken = 0
        for (let count = 0; count < 5; count++) {
          threads.push(
            yield* sys.thread(function* (sys) {
              assert.strictEqual(yield* sys.futexWait(word, 0), 0)
              woken++
              return 0
            })
          )
        }
        yield* sys.nanosleep(1000n)
        assert.strictEqual(yield* sys.futexWake(word, 2), 2)
        yield* sys.nanosleep(1000n)
        assert.strictEqual(woken, 2)
        assert.strictEqual(yield* sys.futexWake(word, 10), 3)
        for (const thread of threads) yield* sys.join(thread)
        assert.strictEqual(woken, 5)
        return 0
      }
    })
  })

  it("a mutex made of it excludes, whatever the order", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { status } = simulate({
        seed,
        *main(sys) {
          const word = yield* sys.allocate(4)
          let inside = 0
          let turns = 0
          const worker = function* (sys: Guest): Steps<number> {
            for (let turn = 0; turn < 5; turn++) {
              yield* lock(sys, word)
              assert.strictEqual(inside++, 0)
              yield* sys.sched_yield()
              inside--
              turns++
              yield* unlock(sys, word)
            }
            return 0
          }
          const threads: Array<Thread> = []
          for (let count = 0; count < 3; count++) threads.push(yield* sys.thread(worker))
          for (const thread of threads) yield* sys.join(thread)
          assert.strictEqual(turns, 15)
          return 0
        }
      })
      assert.strictEqual(status, 0, `seed ${seed}`)
    }
  })

  it("a shared futex is the memory behind it: processes that map it meet", () => {
    simulate({
      *main(sys) {
        const word = yield* sys.mmap(4096, { flags: MAP_SHARED | MAP_ANONYMOUS })
        yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          yield* sys.store32(word, 1)
          return yield* sys.call(sysno.futex, word, 1, 1)
        })
        assert.strictEqual(yield* sys.call(sysno.futex, word, 0, 0), 0)
        assert.strictEqual(yield* sys.load32(word), 1)
        assert.strictEqual((yield* sys.wait()).status, 1 << 8)
        return 0
      }
    })
  })
})

describe("memory", () => {
  it("a write to read-only memory raises SIGSEGV; after its handler the write is tried again", () => {
    simulate({
      *main(sys) {
        const page = yield* sys.mmap(4096, { protection: PROT_READ })
        const seen: Array<bigint> = []
        yield* sys.sigaction(SIGSEGV, function* (sys, _signo, { address }) {
          seen.push(address)
          yield* sys.mprotect(page, 4096, 3)
        })
        yield* sys.store32(page + 8, 5)
        assert.deepStrictEqual(seen, [BigInt(page + 8)])
        assert.strictEqual(yield* sys.load32(page + 8), 5)
        return 0
      }
    })
  })

  it("an access to unmapped memory kills a process without a handler", () => {
    const { status } = simulate({
      *main(sys) {
        yield* sys.load32(8)
        return 0
      }
    })
    assert.strictEqual(status, SIGSEGV)
  })

  it("MAP_SHARED memory is one for parent and child, MAP_PRIVATE is not", () => {
    simulate({
      *main(sys) {
        const shared = yield* sys.mmap(4096, { flags: MAP_SHARED | MAP_ANONYMOUS })
        const own = yield* sys.mmap(4096)
        yield* sys.fork(function* (sys) {
          yield* sys.store32(shared, 1)
          yield* sys.store32(own, 1)
          return 0
        })
        yield* sys.wait()
        assert.deepStrictEqual([yield* sys.load32(shared), yield* sys.load32(own)], [1, 0])
        return 0
      }
    })
  })

  it("mremap(2) moves contents, munmap(2) removes them", () => {
    simulate({
      *main(sys) {
        const old = yield* sys.mmap(8192)
        yield* sys.mmap(4096) // so that it cannot grow in place
        yield* sys.store32(old + 4096, 77)
        const moved = yield* sys.call(sysno.mremap, old, 8192, 65_536, 1)
        assert.strictEqual(yield* sys.load32(moved + 4096), 77)
        assert.strictEqual(yield* sys.load32(moved + 65_532), 0)
        yield* sys.munmap(moved, 65_536)
        yield* sys.sigaction(SIGSEGV, function* (sys) {
          yield* sys.exit(0)
        })
        yield* sys.load32(moved)
        return 1
      }
    })
  })
})

describe("time", () => {
  it("passes only while nobody can run, and then at once", () => {
    const begin = performance.now()
    const { output, time } = simulate({
      *main(sys) {
        yield* sys.nanosleep(604_800n * SECOND)
        assert.strictEqual(yield* sys.clock(CLOCK_MONOTONIC), 604_800n * SECOND)
        assert.strictEqual(yield* sys.clock(CLOCK_REALTIME), DEFAULT_START + 604_800n * SECOND)
        yield* sys.write(1, "a week later")
        return 0
      }
    })
    assert.strictEqual(output, "a week later")
    assert.strictEqual(time, 604_800n * SECOND)
    assert.isBelow(performance.now() - begin, 1000)
  })

  it("sleepers wake in the order of their deadlines", () => {
    const order: Array<number> = []
    simulate({
      *main(sys) {
        const threads: Array<Thread> = []
        for (const seconds of [3, 1, 2]) {
          threads.push(
            yield* sys.thread(function* (sys) {
              yield* sys.nanosleep(BigInt(seconds) * SECOND)
              order.push(seconds)
              return 0
            })
          )
        }
        for (const thread of threads) yield* sys.join(thread)
        return 0
      }
    })
    assert.deepStrictEqual(order, [1, 2, 3])
  })

  it("alarm(2) arranges for SIGALRM; a sleep that a handler interrupts fails with EINTR", () => {
    const { time } = simulate({
      *main(sys) {
        yield* sys.sigaction(SIGALRM, () => {})
        yield* sys.call(sysno.alarm, 2)
        assert.strictEqual(yield* sys.nanosleep(10n * SECOND), -EINTR)
        return 0
      }
    })
    assert.strictEqual(time, 2n * SECOND)
  })

  it("an interval timer fires each interval", () => {
    const { time } = simulate({
      *main(sys) {
        let count = 0
        yield* sys.sigaction(SIGALRM, () => {
          count++
        })
        const value = yield* sys.allocate(32)
        const bytes = new Uint8Array(new BigInt64Array([0n, 250_000n, 1n, 0n]).buffer)
        yield* sys.store(value, bytes)
        yield* sys.call(sysno.setitimer, 0, value, 0)
        for (let left = 5; left > 0; left--) yield* sys.pause()
        assert.strictEqual(count, 5)
        return 0
      }
    })
    assert.strictEqual(time, 2n * SECOND)
  })

  it("a signal in a sleep without a handler does not change when it ends", () => {
    const { time } = simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          yield* sys.kill(pid, 19) // SIGSTOP
          yield* sys.nanosleep(SECOND)
          yield* sys.kill(pid, 18) // SIGCONT
          yield* sys.kill(pid, SIGUSR1)
          return 0
        })
        yield* sys.sigaction(SIGUSR1, "ignore")
        assert.strictEqual(yield* sys.nanosleep(5n * SECOND), 0)
        return 0
      }
    })
    assert.strictEqual(time, 5n * SECOND)
  })
})
