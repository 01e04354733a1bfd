/**
 * Processes on the kernel alone: programs written in TypeScript (Simulation.ts), no host process.
 */
import { assert, describe, it } from "vitest"
import { CLONE_PIDFD, CLONE_SIGHAND, CLONE_THREAD } from "../../src/Abi/Clone.ts"
import { EACCES, EBADF, ECHILD, EINVAL, ENOENT, ESRCH } from "../../src/Abi/Errno.ts"
import { O_CLOEXEC, O_CREAT, O_RDWR } from "../../src/Abi/OpenFlags.ts"
import { POLLHUP, POLLIN, POLLRDNORM } from "../../src/Abi/Poll.ts"
import { SIGCHLD, SIGKILL, SIGTERM, SIGUSR1 } from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { P_PIDFD, WEXITED, WNOHANG } from "../../src/Abi/Wait.ts"
import type { Program } from "../../src/Platform/SimulatedProcess.ts"
import { simulate } from "./Simulation.ts"

const PR_SET_CHILD_SUBREAPER = 36
const nothing: Program = () => 0

describe("fork(2)", () => {
  it("creates a new process: its id in the parent, and a parent of its own", () => {
    const seen: Array<number> = []
    const { status } = simulate({
      *main(sys) {
        const pid = yield* sys.getpid()
        const child = yield* sys.fork(function* (sys) {
          seen.push(yield* sys.getpid(), yield* sys.getppid())
          return 0
        })
        yield* sys.wait()
        assert.deepStrictEqual(seen, [child, pid])
        return 0
      }
    })
    assert.strictEqual(status, 0)
  })

  it("memory writes, file mappings and unmappings by one process do not affect the other", () => {
    simulate({
      *main(sys) {
        const word = yield* sys.allocate(4)
        yield* sys.store32(word, 1)
        yield* sys.fork(function* (sys) {
          assert.strictEqual(yield* sys.load32(word), 1)
          yield* sys.store32(word, 2)
          return 0
        })
        yield* sys.wait()
        assert.strictEqual(yield* sys.load32(word), 1)
        return 0
      }
    })
  })

  it("the child inherits copies of the open descriptors, which refer to the same open file descriptions", () => {
    const { output } = simulate({
      *main(sys) {
        const fd = yield* sys.open("/file", O_RDWR | O_CREAT, 0o600)
        yield* sys.write(fd, "abcdef")
        yield* sys.call(sysno.lseek, fd, 0, 0)
        yield* sys.fork(function* (sys) {
          yield* sys.write(1, (yield* sys.read(fd, 3)) as Uint8Array)
          yield* sys.close(fd)
          return 0
        })
        yield* sys.wait()
        yield* sys.write(1, (yield* sys.read(fd, 3)) as Uint8Array)
        return 0
      }
    })
    assert.strictEqual(output, "abcdef")
  })

  it("the child's set of pending signals is initially empty", () => {
    simulate({
      *main(sys) {
        yield* sys.sigprocmask(0, SIGUSR1)
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
        yield* sys.fork(function* (sys) {
          return (yield* sys.sigtimedwait([SIGUSR1], 0n)) < 0 ? 0 : 1
        })
        assert.strictEqual((yield* sys.wait()).status, 0)
        assert.strictEqual(yield* sys.sigtimedwait([SIGUSR1], 0n), SIGUSR1)
        return 0
      }
    })
  })
})

describe("clone(2)", () => {
  it("EINVAL: CLONE_THREAD without CLONE_SIGHAND, CLONE_SIGHAND without CLONE_VM, CLONE_PIDFD with CLONE_THREAD", () => {
    simulate({
      *main(sys) {
        for (const flags of [CLONE_THREAD, CLONE_SIGHAND, CLONE_PIDFD | CLONE_THREAD])
          assert.strictEqual(yield* sys.clone(flags, nothing), -EINVAL)
        return 0
      }
    })
  })
})

describe("execve(2)", () => {
  it("executes the program with these arguments and environment, and does not return", () => {
    const { output, status } = simulate({
      *main(sys) {
        yield* sys.exec("/show", ["zero", "one two", ""], ["A=b"])
        return 99
      },
      programs: {
        *show(sys) {
          yield* sys.write(1, JSON.stringify([sys.argv, sys.environment]))
          return 5
        }
      }
    })
    assert.strictEqual(output, '[["zero","one two",""],["A=b"]]')
    assert.strictEqual(status, 5 << 8)
  })

  it("ENOENT, EACCES: the program goes on", () => {
    simulate({
      *main(sys) {
        yield* sys.close(yield* sys.open("/plain", O_RDWR | O_CREAT, 0o644))
        assert.strictEqual(yield* sys.exec("/missing", []), -ENOENT)
        assert.strictEqual(yield* sys.exec("/plain", []), -EACCES)
        return 0
      }
    })
  })

  it("handled signals are reset to the default, ignored ones stay ignored; O_CLOEXEC descriptors are closed", () => {
    const { output, status } = simulate({
      *main(sys) {
        yield* sys.open("/a", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        yield* sys.open("/b", O_RDWR | O_CREAT, 0o600)
        yield* sys.sigaction(SIGTERM, "ignore")
        yield* sys.sigaction(SIGUSR1, () => {})
        return yield* sys.exec("/next", ["next"])
      },
      programs: {
        *next(sys) {
          assert.strictEqual(yield* sys.close(0), -EBADF)
          assert.strictEqual(yield* sys.close(3), 0)
          yield* sys.kill(yield* sys.getpid(), SIGTERM)
          yield* sys.write(1, "alive")
          yield* sys.kill(yield* sys.getpid(), SIGUSR1)
          return 0
        }
      }
    })
    assert.strictEqual(output, "alive")
    assert.strictEqual(status, SIGUSR1)
  })

  it("all threads other than the calling thread are destroyed; the caller takes the leader's id", () => {
    const { status } = simulate({
      *main(sys) {
        yield* sys.thread(function* (sys) {
          yield* sys.exec("/next", ["next", String(yield* sys.getpid())])
          return 1
        })
        yield* sys.nanosleep(10_000_000_000n)
        return 2
      },
      programs: {
        *next(sys) {
          const pid = yield* sys.getpid()
          return pid === (yield* sys.gettid()) && String(pid) === sys.argv[1] ? 0 : 3
        }
      }
    })
    assert.strictEqual(status, 0)
  })

  it("a #! line names the interpreter", () => {
    const { output } = simulate({
      *main(sys) {
        const fd = yield* sys.open("/script", O_RDWR | O_CREAT, 0o755)
        yield* sys.write(fd, "#!/show -x\n")
        yield* sys.close(fd)
        return yield* sys.exec("/script", ["script", "arg"])
      },
      programs: {
        *show(sys) {
          yield* sys.write(1, sys.argv.join(" "))
          return 0
        }
      }
    })
    assert.strictEqual(output, "/show -x /script arg")
  })
})

describe("vfork(2)", () => {
  it("suspends the caller until the child terminates or executes another program; memory is shared until then", () => {
    const { time } = simulate({
      *main(sys) {
        const word = yield* sys.allocate(4)
        const child = yield* sys.vfork(function* (sys) {
          yield* sys.nanosleep(1_000_000_000n)
          yield* sys.store32(word, 7)
          return 0
        })
        assert.isAbove(child, 0)
        assert.strictEqual(yield* sys.load32(word), 7)
        yield* sys.vfork(function* (sys) {
          yield* sys.exec("/sleeper", [])
          return 1
        })
        assert.strictEqual(yield* sys.clock(1), 1_000_000_000n)
        return 0
      },
      programs: {
        *sleeper(sys) {
          yield* sys.nanosleep(5_000_000_000n)
          return 0
        }
      }
    })
    assert.strictEqual(time, 1_000_000_000n)
  })
})

describe("wait(2)", () => {
  it("gives each child once, with how it ended; then ECHILD", () => {
    simulate({
      *main(sys) {
        const statuses = new Map<number, number>()
        for (let code = 0; code < 5; code++) {
          const pid = yield* sys.fork(() => code)
          statuses.set(pid, code << 8)
        }
        const killed = yield* sys.fork(function* (sys) {
          return yield* sys.pause()
        })
        statuses.set(killed, SIGTERM)
        yield* sys.kill(killed, SIGTERM)
        const waited = new Map<number, number>()
        for (let left = 6; left > 0; left--) {
          const { pid, status } = yield* sys.wait()
          assert.isFalse(waited.has(pid))
          waited.set(pid, status)
        }
        assert.deepStrictEqual(waited, statuses)
        assert.strictEqual((yield* sys.wait()).pid, -ECHILD)
        return 0
      }
    })
  })

  it("WNOHANG returns at once if no child has exited", () => {
    simulate({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(1_000_000n)
          return 0
        })
        assert.strictEqual((yield* sys.wait(-1, WNOHANG)).pid, 0)
        yield* sys.nanosleep(2_000_000n)
        assert.strictEqual((yield* sys.wait(-1, WNOHANG)).pid, child)
        return 0
      }
    })
  })

  it("a child that terminated but has not been waited for is a zombie: its id still exists", () => {
    simulate({
      *main(sys) {
        const child = yield* sys.fork(nothing)
        yield* sys.nanosleep(1_000_000n)
        assert.strictEqual(yield* sys.kill(child, 0), 0)
        yield* sys.wait()
        assert.strictEqual(yield* sys.kill(child, 0), -ESRCH)
        return 0
      }
    })
  })

  it("SIGCHLD set to SIG_IGN: children do not become zombies, and wait blocks until all have gone", () => {
    simulate({
      *main(sys) {
        yield* sys.sigaction(SIGCHLD, "ignore")
        for (let count = 0; count < 3; count++) {
          yield* sys.fork(function* (sys) {
            yield* sys.nanosleep(1_000_000n)
            return 0
          })
        }
        assert.strictEqual((yield* sys.wait()).pid, -ECHILD)
        return 0
      }
    })
  })

  it("an orphan is adopted by the nearest living subreaper among its ancestors", () => {
    const parents: Array<number> = []
    simulate({
      *main(sys) {
        yield* sys.call(sysno.prctl, PR_SET_CHILD_SUBREAPER, 1)
        const middle = yield* sys.fork(function* (sys) {
          yield* sys.fork(function* (sys) {
            yield* sys.nanosleep(1_000_000n)
            parents.push(yield* sys.getppid())
            return 3
          })
          return 0
        })
        assert.strictEqual((yield* sys.wait()).pid, middle)
        const orphan = yield* sys.wait()
        assert.strictEqual(orphan.status, 3 << 8)
        assert.deepStrictEqual(parents, [yield* sys.getpid()])
        return 0
      }
    })
  })

  it("without a subreaper an orphan is adopted by init, and nobody waits for it", () => {
    const parents: Array<number> = []
    simulate({
      *main(sys) {
        yield* sys.fork(function* (sys) {
          yield* sys.fork(function* (sys) {
            yield* sys.nanosleep(1_000_000n)
            parents.push(yield* sys.getppid())
            return 0
          })
          return 0
        })
        yield* sys.wait()
        assert.strictEqual((yield* sys.wait()).pid, -ECHILD)
        yield* sys.nanosleep(2_000_000n)
        assert.deepStrictEqual(parents, [1])
        return 0
      }
    })
  })
})

describe("exit_group(2)", () => {
  it("terminates all threads in the calling process's thread group", () => {
    const { status, time } = simulate({
      *main(sys) {
        for (let count = 0; count < 3; count++) {
          yield* sys.thread(function* (sys) {
            return yield* sys.nanosleep(1_000_000_000n)
          })
        }
        return 9
      }
    })
    assert.strictEqual(status, 9 << 8)
    assert.strictEqual(time, 0n)
  })
})

describe("pidfd_open(2)", () => {
  it("becomes readable when the process terminates; waitid(P_PIDFD) then waits for that child", () => {
    simulate({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(3_000_000n)
          return 4
        })
        const pidfd = yield* sys.call(sysno.pidfd_open, child, 0)
        assert.deepStrictEqual(yield* sys.poll([{ fd: pidfd, events: POLLIN }], 0), [0])
        const ready = yield* sys.poll([{ fd: pidfd, events: POLLIN | POLLRDNORM }], -1)
        assert.deepStrictEqual(ready, [POLLIN | POLLRDNORM])
        assert.strictEqual(yield* sys.clock(1), 3_000_000n)
        assert.strictEqual(yield* sys.call(sysno.waitid, P_PIDFD, pidfd, 0, WEXITED), 0)
        const gone = yield* sys.poll([{ fd: pidfd, events: POLLIN }], 0)
        assert.deepStrictEqual(gone, [POLLIN | POLLHUP])
        return 0
      }
    })
  })

  it("pidfd_send_signal(2) reaches the process that the descriptor was opened for", () => {
    simulate({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          return yield* sys.pause()
        })
        const pidfd = yield* sys.call(sysno.pidfd_open, child, 0)
        assert.strictEqual(yield* sys.call(sysno.pidfd_send_signal, pidfd, SIGKILL, 0, 0), 0)
        assert.deepStrictEqual(yield* sys.wait(), { pid: child, status: SIGKILL })
        assert.strictEqual(yield* sys.call(sysno.pidfd_send_signal, pidfd, SIGKILL, 0, 0), -ESRCH)
        return 0
      }
    })
  })
})
