/**
 * The same programs in hundreds of orders: after every system call, and at every wake-up, a seeded random number says
 * who runs next. Whatever the order, nothing is lost, nothing happens twice, and nothing is left over.
 */
import { assert, describe, it } from "vitest"
import { EAGAIN, ECHILD, EINTR, ESRCH } from "../../src/Abi/Errno.ts"
import {
  SA_RESTART,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIGUSR1,
  SIGUSR2,
  SIG_BLOCK,
  SIG_UNBLOCK
} from "../../src/Abi/Signal.ts"
import { sysno, sysnoNames } from "../../src/Abi/Sysno.ts"
import { WNOHANG, WUNTRACED } from "../../src/Abi/Wait.ts"
import type { Guest, Thread } from "../../src/Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../../src/Platform/SimulatedProcess.ts"
import type { SyscallObserver } from "../../src/Task/SyscallObserver.ts"
import { pipe, type Simulated, simulate, type SimulationOptions } from "../Task/Simulation.ts"

/** In the nightly tests many more. */
const SEEDS = process.env["SENTRY_TEST_NIGHTLY"] === "1" ? 3000 : 200

/** Nothing of the sandbox is left in the kernel's tables. */
const assertEmpty = ({ kernel }: Simulated, seed: number): void => {
  assert.isDefined(kernel)
  const { groups, mutex, processGroups, sessions, tasks } = kernel.system.taskSet
  assert.deepStrictEqual([tasks.size, groups.size, processGroups.size, sessions.size], [0, 0, 0, 0], `seed ${seed}`)
  assert.isFalse(mutex.held)
}

/** Runs a scenario, made anew for each seed, in many orders; its first program must end with 0. */
const explore = (scenario: () => Omit<SimulationOptions, "seed">, seeds = SEEDS): void => {
  for (let seed = 0; seed < seeds; seed++) {
    try {
      const result = simulate({ ...scenario(), seed })
      assert.deepStrictEqual(result.exit, { _tag: "Exited", code: 0 })
      assertEmpty(result, seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}

const inThreads = function* (sys: Guest, count: number, run: Program): Steps<void> {
  const threads: Array<Thread> = []
  for (let made = 0; made < count; made++) threads.push(yield* sys.thread(run))
  for (const thread of threads) yield* sys.join(thread)
}

describe("exploration", () => {
  /** What happened, call by call. */
  const recorder = (): { readonly trace: Array<string>; readonly observer: SyscallObserver } => {
    const trace: Array<string> = []
    const observer: SyscallObserver = {
      enter: () => {},
      exit: (task, _syscall, nr, result) => void trace.push(`${task.tid} ${sysnoNames[nr]} = ${result}`),
      signal: (task, { signo }) => void trace.push(`${task.tid} signal ${signo}`),
      exited: (task) => void trace.push(`${task.tid} ended`)
    }
    return { trace, observer }
  }

  const main: Program = function* (sys) {
    const ends = yield* pipe(sys)
    for (let count = 0; count < 3; count++) {
      yield* sys.fork(function* (sys) {
        yield* sys.nanosleep(1000n)
        yield* sys.write(ends[1], `${yield* sys.getpid()};`)
        return count
      })
    }
    for (let left = 3; left > 0; left--) yield* sys.wait()
    yield* sys.write(1, (yield* sys.read(ends[0], 100)) as Uint8Array)
    return 0
  }

  it("is a function of the seed: the same calls in the same order with the same results", () => {
    const traces = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const [first, second] = [recorder(), recorder()]
      const one = simulate({ main, seed, observer: first.observer })
      const other = simulate({ main, seed, observer: second.observer })
      assert.deepStrictEqual(first.trace, second.trace)
      assert.strictEqual(one.output, other.output)
      traces.add(first.trace.join("\n"))
    }
    assert.isAbove(traces.size, 90) // and another seed gives another order
  })

  it("finds an update that is lost between two system calls", () => {
    let lost = 0
    for (let seed = 0; seed < 100; seed++) {
      simulate({
        seed,
        *main(sys) {
          const word = yield* sys.allocate(4)
          yield* inThreads(sys, 2, function* (sys) {
            const value = yield* sys.load32(word)
            yield* sys.sched_yield()
            yield* sys.store32(word, value + 1)
            return 0
          })
          if ((yield* sys.load32(word)) !== 2) lost++
          return 0
        }
      })
    }
    assert.isAbove(lost, 0)
    assert.isBelow(lost, 100)
  })
})

describe("in any order", { timeout: 600_000 }, () => {
  it("every child is waited for once, by whichever of several threads", () => {
    explore(() => ({
      *main(sys) {
        const reaped: Array<number> = []
        const made = new Set<number>()
        for (let count = 0; count < 5; count++) {
          made.add(
            yield* sys.fork(function* (sys) {
              yield* sys.sched_yield()
              return 0
            })
          )
        }
        yield* inThreads(sys, 3, function* (sys) {
          for (let waited = yield* sys.wait(); waited.pid > 0; waited = yield* sys.wait()) reaped.push(waited.pid)
          return 0
        })
        assert.sameMembers(reaped, [...made])
        assert.strictEqual((yield* sys.wait()).pid, -ECHILD)
        return 0
      }
    }))
  })

  it("SIGCHLD comes for a child's end, and a handler that waits until there is none left misses no child", () => {
    explore(() => ({
      *main(sys) {
        let reaped = 0
        yield* sys.sigaction(
          SIGCHLD,
          function* (sys) {
            while ((yield* sys.wait(-1, WNOHANG)).pid > 0) reaped++
          },
          SA_RESTART
        )
        for (let count = 0; count < 4; count++) yield* sys.fork(() => 0)
        yield* sys.sigprocmask(SIG_BLOCK, SIGCHLD)
        const left = (): number => 4 - reaped
        while (left() > 0) yield* sys.sigsuspend()
        return 0
      }
    }))
  })

  it("every queued real-time signal runs a handler, whichever thread takes it", () => {
    explore(() => ({
      *main(sys) {
        const pid = yield* sys.getpid()
        let handled = 0
        yield* sys.sigaction(40, () => void handled++)
        yield* inThreads(sys, 2, function* (sys) {
          for (let count = 0; count < 4; count++) {
            assert.strictEqual(yield* sys.kill(pid, 40), 0)
            if (count % 2 === 0) yield* sys.sigprocmask(count === 0 ? SIG_BLOCK : SIG_UNBLOCK, 40)
          }
          return 0
        })
        yield* sys.sched_yield()
        assert.strictEqual(handled, 8)
        return 0
      }
    }))
  })

  it("a signal that arrives before sigsuspend(2) or sigtimedwait(2) is not lost", () => {
    explore(() => ({
      *main(sys) {
        const pid = yield* sys.getpid()
        let handled = 0
        yield* sys.sigaction(SIGUSR1, () => void handled++)
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1, SIGUSR2)
        yield* sys.fork(function* (sys) {
          yield* sys.kill(pid, SIGUSR1)
          yield* sys.kill(pid, SIGUSR2)
          return 0
        })
        assert.strictEqual(yield* sys.sigsuspend(SIGUSR2), -EINTR)
        assert.strictEqual(handled, 1)
        assert.strictEqual(yield* sys.sigtimedwait([SIGUSR2]), SIGUSR2)
        return 0
      }
    }))
  })

  it("a wake-up of a futex is not lost: a queue of two threads delivers every item once", () => {
    explore(() => ({
      *main(sys) {
        const [items, turn] = [yield* sys.allocate(4), yield* sys.allocate(4)]
        let taken = 0
        const consumer: Program = function* (sys) {
          while (true) {
            const before = yield* sys.load32(turn)
            const count = yield* sys.load32(items)
            if (count === 99) return 0
            if (count > 0) {
              yield* sys.store32(items, count - 1)
              taken++
            } else yield* sys.futexWait(turn, before)
          }
        }
        const threads = [yield* sys.thread(consumer), yield* sys.thread(consumer)]
        for (let count = 0; count < 6; count++) {
          yield* sys.fetchAdd32(items, 1)
          yield* sys.fetchAdd32(turn, 1)
          yield* sys.futexWake(turn, 1)
          yield* sys.sched_yield()
        }
        while ((yield* sys.load32(items)) !== 0) yield* sys.sched_yield()
        yield* sys.store32(items, 99)
        yield* sys.fetchAdd32(turn, 1)
        yield* sys.futexWake(turn, 10)
        for (const thread of threads) yield* sys.join(thread)
        assert.strictEqual(taken, 6)
        return 0
      }
    }))
  })

  it("a wake-up and a timeout of the same futex wait agree: as many were woken as say so", () => {
    explore(() => ({
      *main(sys) {
        const word = yield* sys.allocate(4)
        let said = 0
        const waiters: Array<Thread> = []
        for (let count = 0; count < 3; count++) {
          waiters.push(
            yield* sys.thread(function* (sys) {
              if ((yield* sys.futexWait(word, 0, 1000n)) === 0) said++
              return 0
            })
          )
        }
        yield* sys.nanosleep(1000n)
        const woken = yield* sys.futexWake(word, 2)
        for (const thread of waiters) yield* sys.join(thread)
        assert.strictEqual(said, woken)
        return 0
      }
    }))
  })

  it("what is written to a pipe is read once, by whichever reader, though signals interrupt them", () => {
    explore(() => ({
      *main(sys) {
        const ends = yield* pipe(sys)
        const pid = yield* sys.getpid()
        yield* sys.sigaction(SIGUSR1, () => {})
        let read = ""
        for (const letter of "abc") {
          yield* sys.fork(function* (sys) {
            for (let count = 0; count < 3; count++) yield* sys.write(ends[1], letter)
            yield* sys.kill(pid, SIGUSR1)
            return 0
          })
        }
        yield* sys.close(ends[1])
        yield* inThreads(sys, 2, function* (sys) {
          while (true) {
            const bytes = yield* sys.read(ends[0], 2)
            if (typeof bytes === "number") assert.strictEqual(bytes, -EINTR)
            else if (bytes.length === 0) return 0
            else read += Buffer.from(bytes).toString()
          }
        })
        assert.strictEqual(read.split("").toSorted().join(""), "aaabbbccc")
        for (let left = 3; left > 0; left--) while ((yield* sys.wait()).pid === -EINTR);
        return 0
      }
    }))
  })

  it("a process that is stopped and continued again and again gets its work done", () => {
    explore(() => ({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          let done = 0
          yield* inThreads(sys, 2, function* (sys) {
            for (let count = 0; count < 4; count++) yield* sys.nanosleep(10n)
            done++
            return 0
          })
          return done
        })
        for (let count = 0; count < 3; count++) {
          yield* sys.kill(child, SIGSTOP)
          yield* sys.kill(child, SIGCONT)
        }
        let last = yield* sys.wait(child, WUNTRACED)
        for (; (last.status & 0xff) === 0x7f; last = yield* sys.wait(child, WUNTRACED)) yield* sys.kill(child, SIGCONT)
        assert.deepStrictEqual(last, { pid: child, status: 2 << 8 })
        return 0
      }
    }))
  })

  it("a stop is reported to the parent once, and all threads have stopped by then", () => {
    explore(() => ({
      *main(sys) {
        let steps = 0
        const child = yield* sys.fork(function* (sys) {
          yield* inThreads(sys, 2, function* (sys) {
            while (true) {
              steps++
              yield* sys.sched_yield()
            }
          })
          return 0
        })
        for (let count = 0; count < 10; count++) yield* sys.sched_yield()
        yield* sys.kill(child, SIGSTOP)
        assert.strictEqual((yield* sys.wait(child, WUNTRACED)).status, (SIGSTOP << 8) | 0x7f)
        const before = steps
        for (let count = 0; count < 5; count++) yield* sys.sched_yield()
        assert.strictEqual(steps, before)
        assert.strictEqual((yield* sys.wait(child, WUNTRACED | WNOHANG)).pid, 0)
        yield* sys.kill(child, SIGKILL)
        assert.strictEqual((yield* sys.wait(child)).status, SIGKILL)
        return 0
      }
    }))
  })

  it("a killed process dies once, whatever its threads do", () => {
    explore(() => ({
      *main(sys) {
        const word = yield* sys.allocate(4)
        const child = yield* sys.fork(function* (sys) {
          const busy: ReadonlyArray<Program> = [
            (sys) => sys.pause(),
            (sys) => sys.futexWait(word, 0),
            function* (sys) {
              while (true) {
                yield* sys.fork(() => 0)
                yield* sys.wait()
              }
            },
            function* (sys) {
              while (true) yield* inThreads(sys, 1, () => 0)
            },
            function* (sys) {
              yield* sys.vfork((sys) => sys.nanosleep(1_000_000n))
              return 0
            }
          ]
          for (const run of busy) yield* sys.thread(run)
          return yield* sys.pause()
        })
        for (let count = 0; count < 8; count++) yield* sys.sched_yield()
        assert.strictEqual(yield* sys.kill(child, SIGKILL), 0)
        assert.deepStrictEqual(yield* sys.wait(child), { pid: child, status: SIGKILL })
        assert.strictEqual(yield* sys.kill(child, 0), -ESRCH)
        return 0
      }
    }))
  })

  it("one of several threads that call execve(2) or exit_group(2) wins, and the process ends once", () => {
    explore(() => ({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.thread((sys) => sys.exec("/next", ["next"]))
          yield* sys.thread((sys) => sys.exec("/next", ["next"]))
          yield* sys.thread((sys) => sys.exit(6))
          return yield* sys.pause()
        })
        const { pid, status } = yield* sys.wait()
        assert.strictEqual(pid, child)
        assert.include([5 << 8, 6 << 8], status)
        assert.strictEqual((yield* sys.wait()).pid, -ECHILD)
        return 0
      },
      programs: {
        *next(sys) {
          return (yield* sys.gettid()) === (yield* sys.getpid()) ? 5 : 7
        }
      }
    }))
  })

  it("vfork(2) returns after the child has given the memory back, or when the parent is killed", () => {
    explore(() => ({
      *main(sys) {
        const word = yield* sys.allocate(4)
        const child = yield* sys.fork(function* (sys) {
          yield* sys.thread(function* (sys) {
            yield* sys.vfork(function* (sys) {
              yield* sys.sched_yield()
              yield* sys.fetchAdd32(word, 1)
              return 0
            })
            assert.strictEqual(yield* sys.load32(word), 1)
            return yield* sys.exit(3)
          })
          return yield* sys.pause()
        })
        yield* sys.sched_yield()
        yield* sys.sched_yield()
        yield* sys.kill(child, SIGUSR1)
        assert.include([3 << 8, SIGUSR1], (yield* sys.wait(child)).status)
        return 0
      }
    }))
  })

  it("orphans are adopted and do not stay", () => {
    explore(() => ({
      *main(sys) {
        yield* sys.call(sysno.prctl, 36, 1) // PR_SET_CHILD_SUBREAPER
        for (let count = 0; count < 2; count++) {
          yield* sys.fork(function* (sys) {
            for (let inner = 0; inner < 2; inner++) {
              yield* sys.fork(function* (sys) {
                yield* sys.sched_yield()
                return 0
              })
            }
            return 0
          })
        }
        let reaped = 0
        while ((yield* sys.wait()).pid > 0) reaped++
        assert.strictEqual(reaped, 6)
        return 0
      }
    }))
  })

  it("a signalfd and sigtimedwait(2) share what is pending: each signal is taken once", () => {
    explore(() => ({
      *main(sys) {
        const pid = yield* sys.getpid()
        yield* sys.sigprocmask(SIG_BLOCK, 40, 41)
        const fd = yield* sys.signalfd([40])
        let taken = 0
        const reader = yield* sys.thread(function* (sys) {
          while (true) {
            const bytes = yield* sys.read(fd, 128)
            assert.instanceOf(bytes, Uint8Array)
            taken++
            if (taken === 6) yield* sys.kill(pid, 41)
          }
        })
        yield* sys.fork(function* (sys) {
          for (let count = 0; count < 6; count++) yield* sys.kill(pid, 40)
          return 0
        })
        for (let signo = 0; signo !== 41;) {
          signo = yield* sys.sigtimedwait([40, 41])
          if (signo === 40) taken++
          if (taken === 6) break
        }
        assert.strictEqual(taken, 6)
        assert.strictEqual(yield* sys.sigtimedwait([40], 0n), -EAGAIN)
        assert.isAbove(reader.tid, 0)
        return 0
      }
    }))
  })
})
