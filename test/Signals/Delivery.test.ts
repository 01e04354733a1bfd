/**
 * signal(7) on the kernel alone: handlers, masks, restarts, stops.
 */
import { assert, describe, it } from "vitest"
import { EAGAIN, EINTR } from "../../src/Abi/Errno.ts"
import { POLLIN } from "../../src/Abi/Poll.ts"
import {
  CLD_CONTINUED,
  CLD_EXITED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SA_NODEFER,
  SA_RESETHAND,
  SA_RESTART,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIGTERM,
  SIGTSTP,
  SIGUSR1,
  SIGUSR2,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SI_TKILL,
  SI_USER
} from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { CONTINUED_STATUS, WCONTINUED, WNOHANG, WUNTRACED, stoppedStatus } from "../../src/Abi/Wait.ts"
import type { Thread } from "../../src/Platform/SimulatedGuest.ts"
import type { SignalDetails } from "../../src/Platform/SimulatedProcess.ts"
import { pipe, simulate } from "../Task/Simulation.ts"

const SECOND = 1_000_000_000n

describe("handlers", () => {
  it("run before kill(2) of oneself returns, with who sent the signal", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        const seen: Array<SignalDetails> = []
        yield* sys.sigaction(SIGUSR1, (_sys, _signo, details) => {
          seen.push(details)
        })
        yield* sys.kill(pid, SIGUSR1)
        assert.strictEqual(seen.length, 1)
        assert.include(seen[0], { signo: SIGUSR1, code: SI_USER, pid, uid: 0 })
        yield* sys.call(sysno.tgkill, pid, pid, SIGUSR1)
        assert.include(seen[1], { code: SI_TKILL, pid })
        return 0
      }
    })
  })

  it("the signal is blocked while its handler runs, unless SA_NODEFER", () => {
    const order: Array<string> = []
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        for (const flags of [0, SA_NODEFER]) {
          let depth = 0
          yield* sys.sigaction(
            SIGUSR1,
            function* (sys) {
              depth++
              order.push(`begin ${depth}`)
              if (order.length % 4 === 1) yield* sys.kill(pid, SIGUSR1)
              order.push(`end ${depth}`)
              depth--
            },
            flags
          )
          yield* sys.kill(pid, SIGUSR1)
        }
        return 0
      }
    })
    const nested = ["begin 1", "begin 2", "end 2", "end 1"]
    assert.deepStrictEqual(order, ["begin 1", "end 1", "begin 1", "end 1", ...nested])
  })

  it("SA_RESETHAND restores the default before the handler runs", () => {
    const { output, status } = simulate({
      *main(sys) {
        yield* sys.sigaction(
          SIGUSR1,
          function* (sys) {
            yield* sys.write(1, "once")
          },
          SA_RESETHAND
        )
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
        return 0
      }
    })
    assert.strictEqual(output, "once")
    assert.strictEqual(status, SIGUSR1)
  })

  it("standard signals do not queue, real-time signals do, lowest number first", () => {
    const seen: Array<number> = []
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        const signals = [40, SIGUSR1, 35]
        for (const signo of signals) {
          yield* sys.sigaction(
            signo,
            (_sys, signo) => {
              seen.push(signo)
            },
            0,
            0xffff_ffff_ffff_ffffn
          )
        }
        yield* sys.sigprocmask(SIG_BLOCK, ...signals)
        for (const signo of [...signals, ...signals]) yield* sys.kill(pid, signo)
        yield* sys.sigprocmask(SIG_UNBLOCK, ...signals)
        return 0
      }
    })
    // the last frame pushed is the first to run; each blocks the others
    assert.deepStrictEqual(
      seen.toSorted((a, b) => a - b),
      [SIGUSR1, 35, 35, 40, 40]
    )
    assert.strictEqual(seen[0], SIGUSR1)
  })

  it("a signal sent to a process goes to a thread that does not block it", () => {
    simulate({
      *main(sys) {
        const takers: Array<number> = []
        yield* sys.sigaction(SIGUSR1, function* (sys) {
          takers.push(yield* sys.gettid())
        })
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
        const thread = yield* sys.thread(function* (sys) {
          yield* sys.sigprocmask(SIG_UNBLOCK, SIGUSR1)
          yield* sys.nanosleep(SECOND)
          return 0
        })
        yield* sys.nanosleep(1000n)
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
        yield* sys.join(thread)
        assert.deepStrictEqual(takers, [thread.tid])
        return 0
      }
    })
  })
})

describe("restarts", () => {
  it("SA_RESTART: a read goes on after the handler; without it it fails with EINTR", () => {
    for (const flags of [SA_RESTART, 0]) {
      simulate({
        *main(sys) {
          const pid = yield* sys.getpid()
          const ends = yield* pipe(sys)
          let handled = 0
          yield* sys.sigaction(
            SIGUSR1,
            () => {
              handled++
            },
            flags
          )
          yield* sys.fork(function* (sys) {
            yield* sys.nanosleep(SECOND)
            yield* sys.kill(pid, SIGUSR1)
            yield* sys.nanosleep(SECOND)
            yield* sys.write(ends[1], "data")
            return 0
          })
          const result = yield* sys.read(ends[0], 10)
          assert.strictEqual(handled, 1)
          if (flags === 0) assert.strictEqual(result, -EINTR)
          else assert.strictEqual(Buffer.from(result as Uint8Array).toString(), "data")
          return 0
        }
      })
    }
  })

  it("a stop and a continue do not interrupt a read", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        const ends = yield* pipe(sys)
        yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          yield* sys.kill(pid, SIGSTOP)
          yield* sys.nanosleep(SECOND)
          yield* sys.kill(pid, SIGCONT)
          yield* sys.nanosleep(SECOND)
          yield* sys.write(ends[1], "data")
          return 0
        })
        assert.deepStrictEqual(yield* sys.read(ends[0], 10), new Uint8Array(Buffer.from("data")))
        return 0
      }
    })
  })

  it("data that arrived before the signal wins over EINTR", () => {
    for (let seed = 0; seed < 50; seed++) {
      simulate({
        seed,
        *main(sys) {
          const pid = yield* sys.getpid()
          const ends = yield* pipe(sys)
          yield* sys.sigaction(SIGUSR1, () => {})
          yield* sys.fork(function* (sys) {
            yield* sys.write(ends[1], "x")
            yield* sys.kill(pid, SIGUSR1)
            return 0
          })
          const result = yield* sys.read(ends[0], 1)
          assert.instanceOf(result, Uint8Array)
          return 0
        }
      })
    }
  })
})

describe("masks", () => {
  it("sigsuspend(2) replaces the mask and waits atomically: EINTR, and the old mask is back", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { status } = simulate({
        seed,
        *main(sys) {
          const pid = yield* sys.getpid()
          let handled = 0
          yield* sys.sigaction(SIGUSR1, () => {
            handled++
          })
          yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
          yield* sys.fork(function* (sys) {
            yield* sys.kill(pid, SIGUSR1)
            return 0
          })
          assert.strictEqual(yield* sys.sigsuspend(), -EINTR)
          assert.strictEqual(handled, 1)
          yield* sys.kill(pid, SIGUSR1)
          assert.strictEqual(handled, 1)
          yield* sys.sigprocmask(SIG_SETMASK)
          assert.strictEqual(handled, 2)
          return 0
        }
      })
      assert.strictEqual(status, 0, `seed ${seed}`)
    }
  })

  it("sigtimedwait(2) takes a pending signal, waits for one, or gives up: EAGAIN", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1, SIGUSR2)
        yield* sys.kill(pid, SIGUSR1)
        assert.strictEqual(yield* sys.sigtimedwait([SIGUSR1, SIGUSR2]), SIGUSR1)
        assert.strictEqual(yield* sys.sigtimedwait([SIGUSR1], SECOND), -EAGAIN)
        assert.strictEqual(yield* sys.clock(1), SECOND)
        yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          return yield* sys.kill(pid, SIGUSR2)
        })
        assert.strictEqual(yield* sys.sigtimedwait([SIGUSR2]), SIGUSR2)
        return 0
      }
    })
  })

  it("a signalfd is readable while a signal of its set is pending, and reading takes it", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
        const fd = yield* sys.signalfd([SIGUSR1])
        assert.deepStrictEqual(yield* sys.poll([{ fd, events: POLLIN }], 0), [0])
        yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          return yield* sys.kill(pid, SIGUSR1)
        })
        assert.deepStrictEqual(yield* sys.poll([{ fd, events: POLLIN }], -1), [POLLIN])
        const info = yield* sys.read(fd, 128)
        assert.strictEqual((info as Uint8Array)[0], SIGUSR1)
        assert.deepStrictEqual(yield* sys.poll([{ fd, events: POLLIN }], 0), [0])
        return 0
      }
    })
  })
})

describe("stops", () => {
  it("a stop stops every thread and is reported once (WUNTRACED), so is the continuation (WCONTINUED)", () => {
    simulate({
      *main(sys) {
        let work = 0
        const child = yield* sys.fork(function* (sys) {
          for (let count = 0; count < 2; count++) {
            yield* sys.thread(function* (sys) {
              while (true) {
                work++
                yield* sys.nanosleep(SECOND)
              }
            })
          }
          return yield* sys.pause()
        })
        yield* sys.nanosleep(SECOND / 2n)
        yield* sys.kill(child, SIGSTOP)
        assert.deepStrictEqual(yield* sys.wait(child, WUNTRACED), { pid: child, status: stoppedStatus(SIGSTOP) })
        assert.strictEqual((yield* sys.wait(child, WUNTRACED | WNOHANG)).pid, 0)
        const before = work
        yield* sys.nanosleep(5n * SECOND)
        assert.strictEqual(work, before)
        yield* sys.kill(child, SIGCONT)
        assert.deepStrictEqual(yield* sys.wait(child, WCONTINUED), { pid: child, status: CONTINUED_STATUS })
        assert.strictEqual((yield* sys.wait(child, WCONTINUED | WNOHANG)).pid, 0)
        yield* sys.nanosleep(SECOND)
        assert.isAbove(work, before)
        yield* sys.kill(child, SIGKILL)
        assert.deepStrictEqual(yield* sys.wait(child), { pid: child, status: SIGKILL })
        return 0
      }
    })
  })

  it("a stopped process does not run handlers until it is continued; SIGKILL ends it at once", () => {
    const { output } = simulate({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.sigaction(SIGTERM, function* (sys) {
            yield* sys.write(1, "handled ")
          })
          while (true) yield* sys.pause()
        })
        yield* sys.nanosleep(1000n)
        yield* sys.kill(child, SIGSTOP)
        yield* sys.wait(child, WUNTRACED)
        yield* sys.kill(child, SIGTERM)
        yield* sys.nanosleep(1000n)
        yield* sys.write(1, "continue ")
        yield* sys.kill(child, SIGCONT)
        yield* sys.nanosleep(1000n)
        yield* sys.kill(child, SIGSTOP)
        yield* sys.wait(child, WUNTRACED)
        yield* sys.kill(child, SIGKILL)
        yield* sys.wait(child)
        yield* sys.write(1, "killed")
        return 0
      }
    })
    assert.strictEqual(output, "continue handled killed")
  })

  it("SIGCONT discards pending stop signals, a stop signal discards a pending SIGCONT", () => {
    simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        yield* sys.sigprocmask(SIG_BLOCK, SIGTSTP, SIGCONT)
        yield* sys.kill(pid, SIGTSTP)
        yield* sys.kill(pid, SIGCONT)
        assert.strictEqual(yield* sys.sigtimedwait([SIGTSTP], 0n), -EAGAIN)
        yield* sys.kill(pid, SIGTSTP)
        assert.strictEqual(yield* sys.sigtimedwait([SIGCONT], 0n), -EAGAIN)
        assert.strictEqual(yield* sys.sigtimedwait([SIGTSTP], 0n), SIGTSTP)
        return 0
      }
    })
  })

  it("SIGCHLD tells of stop, continuation and end; with SA_NOCLDSTOP only of the end", () => {
    for (const flags of [0, SA_NOCLDSTOP]) {
      simulate({
        *main(sys) {
          const codes: Array<number> = []
          yield* sys.sigaction(
            SIGCHLD,
            (_sys, _signo, { code }) => {
              codes.push(code)
            },
            flags | SA_RESTART
          )
          const child = yield* sys.fork(function* (sys) {
            yield* sys.nanosleep(SECOND)
            return 0
          })
          yield* sys.kill(child, SIGSTOP)
          yield* sys.wait(child, WUNTRACED)
          yield* sys.kill(child, SIGCONT)
          yield* sys.wait(child, WCONTINUED)
          yield* sys.wait(child)
          assert.deepStrictEqual(codes, flags === 0 ? [CLD_STOPPED, CLD_CONTINUED, CLD_EXITED] : [CLD_EXITED])
          return 0
        }
      })
    }
  })

  it("a thread that is created while its group stops joins the stop", () => {
    for (let seed = 0; seed < 50; seed++) {
      const { status } = simulate({
        seed,
        *main(sys) {
          const child = yield* sys.fork(function* (sys) {
            const threads: Array<Thread> = []
            for (let count = 0; count < 3; count++) {
              threads.push(
                yield* sys.thread(function* (sys) {
                  yield* sys.sched_yield()
                  return 0
                })
              )
            }
            for (const thread of threads) yield* sys.join(thread)
            return 6
          })
          yield* sys.kill(child, SIGSTOP)
          const first = yield* sys.wait(child, WUNTRACED)
          if (first.status === stoppedStatus(SIGSTOP)) {
            yield* sys.kill(child, SIGCONT)
            assert.deepStrictEqual(yield* sys.wait(child), { pid: child, status: 6 << 8 })
          } else assert.strictEqual(first.status, 6 << 8)
          return 0
        }
      })
      assert.strictEqual(status, 0, `seed ${seed}`)
    }
  })
})
