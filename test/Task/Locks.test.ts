/**
 * Priority-inheriting futexes, semaphores and message queues on the kernel alone, in many orders: what must hold in all of
 * them.
 */
import { assert, describe, it } from "vitest"
import { EDEADLK, ETIMEDOUT } from "../../src/Abi/Errno.ts"
import {
  FUTEX_CMP_REQUEUE_PI,
  FUTEX_LOCK_PI,
  FUTEX_LOCK_PI2,
  FUTEX_OWNER_DIED,
  FUTEX_PRIVATE_FLAG,
  FUTEX_TID_MASK,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT_REQUEUE_PI,
  FUTEX_WAITERS
} from "../../src/Abi/Futex.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import type { Guest, Thread } from "../../src/Platform/SimulatedGuest.ts"
import type { Steps } from "../../src/Platform/SimulatedProcess.ts"
import { simulate } from "./Simulation.ts"

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed)
const MILLISECOND = 1_000_000n

const lock = (sys: Guest, word: number): Steps<number> =>
  sys.call(sysno.futex, word, FUTEX_LOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0)

const unlock = (sys: Guest, word: number): Steps<number> =>
  sys.call(sysno.futex, word, FUTEX_UNLOCK_PI | FUTEX_PRIVATE_FLAG, 0, 0, 0, 0)

/** As a C library does it: the kernel only when somebody waits. */
const quickLock = function* (sys: Guest, word: number): Steps<void> {
  const id = yield* sys.gettid()
  if ((yield* sys.compareExchange32(word, 0, id)) !== 0) assert.strictEqual(yield* lock(sys, word), 0)
}

const quickUnlock = function* (sys: Guest, word: number): Steps<void> {
  const id = yield* sys.gettid()
  if ((yield* sys.compareExchange32(word, id, 0)) !== id) assert.strictEqual(yield* unlock(sys, word), 0)
}

const start = function* (
  sys: Guest,
  count: number,
  run: (sys: Guest, index: number) => Steps<number>
): Steps<ReadonlyArray<Thread>> {
  const threads: Array<Thread> = []
  for (let index = 0; index < count; index++) threads.push(yield* sys.thread((sys) => run(sys, index)))
  return threads
}

describe("a priority-inheriting lock", () => {
  it("has one owner at a time, whose id the word holds", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const word = yield* sys.allocate(8)
          let inside = 0
          const threads = yield* start(sys, 4, function* (sys) {
            for (let round = 0; round < 3; round++) {
              yield* quickLock(sys, word)
              inside++
              assert.strictEqual(inside, 1)
              assert.strictEqual((yield* sys.load32(word)) & FUTEX_TID_MASK, yield* sys.gettid())
              yield* sys.nanosleep(MILLISECOND)
              inside--
              yield* quickUnlock(sys, word)
            }
            return 0
          })
          for (const thread of threads) yield* sys.join(thread)
          assert.strictEqual(yield* sys.load32(word), 0)
          return 0
        }
      })
    }
  })

  it("goes on to a waiter when its owner ends, marked FUTEX_OWNER_DIED", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const word = yield* sys.allocate(8)
          const owners: Array<boolean> = []
          const threads = yield* start(sys, 3, function* (sys) {
            yield* sys.nanosleep(MILLISECOND)
            assert.strictEqual(yield* lock(sys, word), 0)
            owners.push(((yield* sys.load32(word)) & FUTEX_OWNER_DIED) !== 0)
            yield* sys.nanosleep(10n * MILLISECOND)
            return 0 // without unlocking
          })
          for (const thread of threads) yield* sys.join(thread)
          assert.deepStrictEqual(owners, [false, true, true])
          return 0
        }
      })
    }
  })

  it("is not waited for in a circle: EDEADLK for exactly one", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const words = [yield* sys.allocate(8), yield* sys.allocate(8), yield* sys.allocate(8)]
          const results: Array<number> = []
          const threads = yield* start(sys, 3, function* (sys, index) {
            const own = words[index]!
            const next = words[(index + 1) % 3]!
            assert.strictEqual(yield* lock(sys, own), 0)
            yield* sys.nanosleep(10n * MILLISECOND)
            const result = yield* lock(sys, next)
            results.push(result)
            if (result === 0) yield* unlock(sys, next)
            yield* unlock(sys, own)
            return 0
          })
          for (const thread of threads) yield* sys.join(thread)
          assert.deepStrictEqual(
            results.sort((a, b) => a - b),
            [-EDEADLK, 0, 0]
          )
          return 0
        }
      })
    }
  })

  it("is not lost to a waiter whose time runs out just then", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const word = yield* sys.allocate(8)
          const timeout = yield* sys.allocate(16)
          yield* sys.store32(timeout, 0)
          yield* sys.store32(timeout + 8, 20_000_000)
          assert.strictEqual(yield* lock(sys, word), 0)
          const [waiter] = yield* start(sys, 1, function* (sys) {
            const operation = FUTEX_LOCK_PI2 | FUTEX_PRIVATE_FLAG
            const result = yield* sys.call(sysno.futex, word, operation, 0, timeout, 0, 0)
            assert.include([0, -ETIMEDOUT], result)
            if (result === 0) assert.strictEqual(yield* unlock(sys, word), 0)
            return 0
          })
          const now = yield* sys.clock(1)
          yield* sys.nanosleep(20n * MILLISECOND - now)
          assert.strictEqual(yield* unlock(sys, word), 0)
          yield* sys.join(waiter!)
          assert.strictEqual(yield* sys.load32(word), 0)
          return 0
        }
      })
    }
  })

  it("is given to each of the waiters that FUTEX_CMP_REQUEUE_PI moves to it", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const condition = yield* sys.allocate(8)
          const word = yield* sys.allocate(8)
          const waiting = { count: 0 }
          let inside = 0
          let served = 0
          const threads = yield* start(sys, 3, function* (sys) {
            waiting.count++
            const operation = FUTEX_WAIT_REQUEUE_PI | FUTEX_PRIVATE_FLAG
            assert.strictEqual(yield* sys.call(sysno.futex, condition, operation, 0, 0, word, 0), 0)
            inside++
            assert.strictEqual(inside, 1)
            yield* sys.nanosleep(MILLISECOND)
            inside--
            served++
            yield* unlock(sys, word)
            return 0
          })
          while (waiting.count < 3) yield* sys.nanosleep(MILLISECOND)
          yield* sys.nanosleep(5n * MILLISECOND)
          const operation = FUTEX_CMP_REQUEUE_PI | FUTEX_PRIVATE_FLAG
          assert.strictEqual(yield* sys.call(sysno.futex, condition, operation, 1, 10, word, 0), 3)
          assert.notStrictEqual((yield* sys.load32(word)) & FUTEX_WAITERS, 0)
          for (const thread of threads) yield* sys.join(thread)
          assert.strictEqual(served, 3)
          assert.strictEqual(yield* sys.load32(word), 0)
          return 0
        }
      })
    }
  })
})

const IPC_PRIVATE = 0
const IPC_RMID = 0
const SEM_UNDO = 0x1000

/** One operation of semop(2). */
const semop = function* (sys: Guest, id: number, operation: number, flags = 0): Steps<number> {
  const at = yield* sys.allocate(8)
  yield* sys.store32(at, (operation & 0xffff) * 0x1_0000)
  yield* sys.store32(at + 4, flags)
  return yield* sys.call(sysno.semop, id, at, 1)
}

describe("System V IPC", () => {
  it("a semaphore that starts at one lets one process in, even if some are killed inside", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const id = yield* sys.call(sysno.semget, IPC_PRIVATE, 1, 0o600)
          yield* semop(sys, id, 1)
          let inside = 0
          const children: Array<number> = []
          for (let count = 0; count < 4; count++) {
            children.push(
              yield* sys.fork(function* (sys) {
                assert.strictEqual(yield* semop(sys, id, -1, SEM_UNDO), 0)
                inside++
                assert.strictEqual(inside, 1)
                yield* sys.nanosleep(MILLISECOND)
                inside--
                if (count % 2 === 0) yield* sys.kill(yield* sys.getpid(), 9)
                return 0 // the end puts back what was taken
              })
            )
          }
          for (const child of children) yield* sys.wait(child)
          assert.strictEqual(yield* sys.call(sysno.semctl, id, 0, 12, 0), 1) // GETVAL
          return 0
        }
      })
    }
  })

  it("every message is received once, and removal ends all waits", () => {
    for (const seed of SEEDS) {
      simulate({
        seed,
        *main(sys) {
          const id = yield* sys.call(sysno.msgget, IPC_PRIVATE, 0o600)
          const received: Array<number> = []
          const readers = yield* start(sys, 3, function* (sys) {
            const at = yield* sys.allocate(16)
            while ((yield* sys.call(sysno.msgrcv, id, at, 8, 0, 0)) >= 0) received.push(yield* sys.load32(at))
            return 0
          })
          const at = yield* sys.allocate(16)
          for (let type = 1; type <= 9; type++) {
            yield* sys.store32(at, type)
            assert.strictEqual(yield* sys.call(sysno.msgsnd, id, at, 4, 0), 0)
          }
          while (received.length < 9) yield* sys.nanosleep(MILLISECOND)
          assert.strictEqual(yield* sys.call(sysno.msgctl, id, IPC_RMID, 0), 0)
          for (const reader of readers) yield* sys.join(reader)
          assert.deepStrictEqual(
            received.sort((a, b) => a - b),
            [1, 2, 3, 4, 5, 6, 7, 8, 9]
          )
          return 0
        }
      })
    }
  })
})
