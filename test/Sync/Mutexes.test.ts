/**
 * Each mutex is the one that protects its fields: while somebody holds it across a suspension, an operation on those
 * fields waits, and takes effect afterwards. A test here fails if the operation does not take the mutex.
 */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import { MAP_ANONYMOUS, MAP_PRIVATE } from "../../src/Abi/Mman.ts"
import {
  SIGALRM,
  SIGCONT,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SIGUSR1,
  SIGUSR2,
  SIG_BLOCK,
  SIG_UNBLOCK,
  signalBit
} from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { WCONTINUED, WUNTRACED } from "../../src/Abi/Wait.ts"
import { kernelSigInfo } from "../../src/Abi/SigInfo.ts"
import type { Kernel } from "../../src/Kernel.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../../src/Platform/SimulatedProcess.ts"
import { Mutex } from "../../src/Sync/Mutex.ts"
import type { Task } from "../../src/Task/Task.ts"
import { sendToGroup, sendToTask } from "../../src/Task/TaskSignals.ts"
import { pipe, simulate } from "../Task/Simulation.ts"

const SECOND = 1_000_000_000n

/** Until the clock, which jumps when nothing else can happen, shows `time`. */
const until = ({ system: { runQueue, timers } }: Kernel, time: bigint): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    timers.at(time, () => runQueue.schedule(() => resume(Effect.void)))
  })

/** What of the kernel is held, for the first program or, if it has one, its child. */
type Hold = (task: Task, effect: Effect.Effect<void>) => Effect.Effect<void>

const signalMutex: Hold = (task, effect) => task.threadGroup.handlers.mutex.withLock(effect)
const taskSetMutex: Hold = (task, effect) => task.system.taskSet.mutex.withLock(effect)
const memoryMutex: Hold = (task, effect) => task.memoryManager.exclusive(effect)

interface Case {
  /** Runs from 0 s on: what has to be there before. */
  readonly prepare?: (sys: Guest) => Steps<number>
  /** Begins at 2 s, while the mutex is held from 1 s to 3 s. Its end, or a call of `done`, is the effect. */
  readonly operation: (sys: Guest, prepared: number, done: () => void) => Steps<unknown>
  /** Whose mutex: the first program's by default. */
  readonly holder?: "Child"
  /** The operation does not come back: the process ends. */
  readonly ends?: boolean
}

/** When the effect came, seconds; the mutex is free from 3 s on. */
const timeOfEffect = (hold: Hold, { ends, holder, operation, prepare }: Case): number => {
  let time: bigint | undefined
  let kernel: Kernel | undefined
  const done = (): void => {
    time ??= kernel?.system.timekeeper.monotonic()
  }
  const result = simulate({
    *main(sys) {
      const prepared = prepare === undefined ? 0 : yield* prepare(sys)
      yield* sys.nanosleep(2n * SECOND)
      yield* operation(sys, prepared, done)
      done()
      return 0
    },
    programs: {
      next: () => {
        done()
        return 0
      }
    },
    beside: (made) =>
      Effect.gen(function* () {
        kernel = made
        yield* until(made, SECOND)
        const tasks = [...made.system.taskSet.tasks.values()]
        const task = holder === "Child" ? tasks.at(-1) : tasks[0]
        assert.isDefined(task)
        yield* hold(task, until(made, 3n * SECOND))
      })
  })
  if (ends === true) time ??= result.time
  assert.isDefined(time)
  return Number(time / SECOND)
}

/** One test for each operation. */
const waitFor = (hold: Hold, cases: Readonly<Record<string, Case>>): void => {
  for (const [name, each] of Object.entries(cases)) {
    it(name, () => assert.strictEqual(timeOfEffect(hold, each), 3))
  }
}

const child =
  (run: Program) =>
  (sys: Guest): Steps<number> =>
    sys.fork(run)

const pausing = child((sys) => sys.pause())

/** A handler for `signo` that is the effect. */
const handled = function* (sys: Guest, signo: number, done: () => void): Steps<void> {
  yield* sys.sigaction(signo, done)
}

describe("the signal mutex", () => {
  it("is what these tests think it is: an operation that does not need it does not wait", () => {
    assert.strictEqual(timeOfEffect(signalMutex, { operation: (sys) => sys.getpid() }), 2)
    assert.strictEqual(timeOfEffect(taskSetMutex, { operation: (sys) => sys.getpid() }), 2)
    assert.strictEqual(timeOfEffect(memoryMutex, { operation: (sys) => sys.getpid() }), 2)
  })

  waitFor(signalMutex, {
    "sigaction(2)": { operation: (sys) => sys.sigaction(SIGUSR1, "ignore") },
    "sigpending(2)": {
      *operation(sys) {
        yield* sys.call(sysno.rt_sigpending, yield* sys.allocate(8), 8)
      }
    },
    "kill(2), and its handler runs before it returns": {
      *prepare(sys) {
        return yield* sys.sigaction(SIGUSR1, () => {})
      },
      *operation(sys) {
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
      }
    },
    "tgkill(2)": {
      *operation(sys) {
        const pid = yield* sys.getpid()
        yield* sys.call(sysno.tgkill, pid, pid, SIGCONT)
      }
    },
    "kill(2) of another process": {
      prepare: pausing,
      holder: "Child",
      operation: (sys, pid) => sys.kill(pid, SIGUSR1)
    },
    "delivery of a signal that becomes unblocked": {
      *prepare(sys) {
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
        return yield* sys.kill(yield* sys.getpid(), SIGUSR1)
      },
      *operation(sys, _prepared, done) {
        yield* handled(sys, SIGUSR1, done)
        yield* sys.sigprocmask(SIG_UNBLOCK, SIGUSR1)
      }
    },
    "a fault": {
      *prepare(sys) {
        const page = yield* sys.mmap(4096)
        yield* sys.sigaction(SIGSEGV, function* (sys) {
          yield* sys.mprotect(page, 4096, 3)
        })
        yield* sys.mprotect(page, 4096, 0)
        return page
      },
      operation: (sys, page) => sys.load32(page)
    },
    "a timer's signal": {
      *prepare(sys) {
        yield* sys.sigaction(SIGALRM, () => {})
        return yield* sys.call(sysno.alarm, 2)
      },
      operation: (sys) => sys.pause()
    },
    "sigtimedwait(2)": {
      *prepare(sys) {
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
        return yield* sys.kill(yield* sys.getpid(), SIGUSR1)
      },
      operation: (sys) => sys.sigtimedwait([SIGUSR1])
    },
    "a read from a signalfd": {
      *prepare(sys) {
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1)
        yield* sys.kill(yield* sys.getpid(), SIGUSR1)
        return yield* sys.signalfd([SIGUSR1])
      },
      *operation(sys, fd) {
        assert.instanceOf(yield* sys.read(fd, 128), Uint8Array)
      }
    },
    "a stop by a signal": {
      prepare: pausing,
      holder: "Child",
      *operation(sys, pid) {
        yield* sys.kill(pid, SIGSTOP)
        yield* sys.wait(pid, WUNTRACED)
      }
    },
    "wait(2) for a stop": {
      *prepare(sys) {
        const pid = yield* pausing(sys)
        yield* sys.kill(pid, SIGSTOP)
        return pid
      },
      holder: "Child",
      operation: (sys, pid) => sys.wait(pid, WUNTRACED)
    },
    "wait(2) for a continuation": {
      *prepare(sys) {
        const pid = yield* pausing(sys)
        yield* sys.kill(pid, SIGSTOP)
        yield* sys.wait(pid, WUNTRACED)
        yield* sys.kill(pid, SIGCONT)
        return pid
      },
      holder: "Child",
      operation: (sys, pid) => sys.wait(pid, WCONTINUED)
    },
    "the end of a child that is killed": {
      prepare: pausing,
      holder: "Child",
      *operation(sys, pid) {
        yield* sys.kill(pid, SIGKILL)
        yield* sys.wait(pid)
      }
    },
    "the end of a child, for the parent's mutex: whether SIGCHLD is ignored": {
      *prepare(sys) {
        const [reader, writer] = yield* pipe(sys)
        yield* sys.fork(function* (sys) {
          yield* sys.close(reader)
          yield* sys.nanosleep(SECOND + SECOND / 2n)
          return 0
        })
        yield* sys.close(writer)
        return 0
      },
      operation: (sys) => sys.wait()
    },
    "exit(2) of a thread": {
      *operation(sys) {
        yield* sys.join(yield* sys.thread((sys) => sys.call(sysno.exit, 0)))
      }
    },
    "exit_group(2)": { operation: (sys) => sys.exit(0), ends: true },
    "clone(2): a thread joins a group stop": { operation: (sys) => sys.thread(() => 0) },
    "fork(2): a signal to the process group must not miss the child": { operation: (sys) => sys.fork(() => 0) },
    "execve(2)": { operation: (sys) => sys.exec("/next", ["next"]) }
  })
})

describe("the signal mutex, where others take it too", () => {
  it("guards what is pending: a signal is not among it before the mutex is free", () => {
    let [before, after] = [-1n, -1n]
    simulate({
      *main(sys) {
        yield* sys.sigprocmask(SIG_BLOCK, SIGUSR1, SIGUSR2)
        return yield* sys.nanosleep(5n * SECOND)
      },
      beside: (kernel) =>
        Effect.gen(function* () {
          const task = [...kernel.system.taskSet.tasks.values()][0]
          assert.isDefined(task)
          const pending = (): bigint => task.pending.set | task.threadGroup.pending.set
          const { mutex } = task.threadGroup.handlers
          yield* until(kernel, 2n * SECOND)
          yield* mutex.withLock(
            Effect.gen(function* () {
              sendToTask(task, kernelSigInfo(SIGUSR1))
              sendToGroup(task.threadGroup, kernelSigInfo(SIGUSR2))
              before = pending()
              yield* until(kernel, 3n * SECOND)
              before |= pending()
            })
          )
          after = pending()
        })
    })
    assert.strictEqual(before, 0n)
    assert.strictEqual(after, signalBit(SIGUSR1) | signalBit(SIGUSR2))
  })

  it("guards the end of a process, also when it has waited for the TaskSet mutex before", () => {
    let time = 0n
    simulate({
      *main(sys) {
        const child = yield* sys.fork(function* (sys) {
          yield* sys.nanosleep(SECOND)
          return 0
        })
        yield* sys.wait(child)
        time = yield* sys.clock(1)
        return 0
      },
      beside: (kernel) =>
        Effect.gen(function* () {
          yield* until(kernel, SECOND / 2n)
          const task = [...kernel.system.taskSet.tasks.values()].at(-1)
          assert.isDefined(task)
          yield* Effect.forkChild(taskSetMutex(task, until(kernel, 2n * SECOND)), { startImmediately: true })
          yield* until(kernel, SECOND + SECOND / 2n)
          yield* signalMutex(task, until(kernel, 3n * SECOND))
        })
    })
    assert.strictEqual(time, 3n * SECOND)
  })
})

describe("the TaskSet mutex", () => {
  waitFor(taskSetMutex, {
    "fork(2)": { operation: (sys) => sys.fork(() => 0) },
    "clone(2) of a thread": { operation: (sys) => sys.thread(() => 0) },
    "wait(2)": { prepare: child(() => 0), operation: (sys) => sys.wait() },
    "wait(2) for a stop": {
      *prepare(sys) {
        const pid = yield* pausing(sys)
        yield* sys.kill(pid, SIGSTOP)
        return pid
      },
      operation: (sys, pid) => sys.wait(pid, WUNTRACED)
    },
    "the end of a process": { operation: (sys) => sys.exit(0), ends: true },
    "setpgid(2)": { prepare: pausing, operation: (sys, pid) => sys.call(sysno.setpgid, pid, pid) },
    "setsid(2)": { operation: (sys) => sys.call(sysno.setsid) },
    "execve(2) by a thread, which takes the leader's id": {
      *operation(sys) {
        yield* sys.thread((sys) => sys.exec("/next", ["next"]))
        yield* sys.pause()
      }
    }
  })
})

const mapped = (sys: Guest): Steps<number> => sys.mmap(8192)

describe("the mutex of a memory", () => {
  waitFor(memoryMutex, {
    "mmap(2)": { operation: (sys) => sys.mmap(4096, { flags: MAP_PRIVATE | MAP_ANONYMOUS }) },
    "munmap(2)": { prepare: mapped, operation: (sys, page) => sys.munmap(page, 4096) },
    "mprotect(2)": { prepare: mapped, operation: (sys, page) => sys.mprotect(page, 4096, 0) },
    "mremap(2)": { prepare: mapped, operation: (sys, page) => sys.call(sysno.mremap, page, 8192, 65_536, 1) },
    "madvise(2)": { prepare: mapped, operation: (sys, page) => sys.call(sysno.madvise, page, 8192, 4) },
    "mlock(2)": { prepare: mapped, operation: (sys, page) => sys.call(sysno.mlock, page, 4096) },
    "msync(2)": { prepare: mapped, operation: (sys, page) => sys.call(sysno.msync, page, 4096, 4) },
    "brk(2)": {
      *operation(sys) {
        yield* sys.call(sysno.brk, (yield* sys.call(sysno.brk, 0)) + 4096)
      }
    },
    "fork(2)": { operation: (sys) => sys.fork(() => 0) },
    "a fault that may be a stack that grows": {
      *operation(sys, _prepared, done) {
        yield* sys.sigaction(SIGSEGV, function* (sys) {
          done()
          yield* sys.exit(0)
        })
        yield* sys.load32(16)
      }
    }
  })
})

describe("Mutex", () => {
  it("runs what came by runSoon before it lets go, in order", () => {
    const mutex = new Mutex()
    const order: Array<string> = []
    const result = mutex.run(() => {
      mutex.runSoon(() => {
        order.push("second")
        mutex.runSoon(() => void order.push("third"))
      })
      order.push("first")
      return 7
    })
    assert.strictEqual(result, 7)
    assert.deepStrictEqual(order, ["first", "second", "third"])
    assert.isFalse(mutex.held)
  })

  it("tryRun says when it is not free, and when it is again", async () => {
    const mutex = new Mutex()
    const order: Array<string> = []
    await Effect.runPromise(
      mutex.withLock(
        Effect.gen(function* () {
          assert.isUndefined(
            mutex.tryRun(
              () => 1,
              () => order.push("free")
            )
          )
          yield* Effect.yieldNow
          order.push("held")
        })
      )
    )
    assert.deepStrictEqual(order, ["held", "free"])
    assert.strictEqual(
      mutex.tryRun(
        () => 1,
        () => {}
      ),
      1
    )
  })

  it("runAll takes several, each once, and waits for one that is held", async () => {
    const [a, b] = [new Mutex(), new Mutex()]
    assert.strictEqual(
      Mutex.runAll([a, b, a], () => (a.held && b.held ? "both" : "not")),
      "both"
    )
    assert.deepStrictEqual([a.held, b.held], [false, false])
    const order: Array<string> = []
    const holder = Effect.runFork(
      b.withLock(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void order.push("holder"))
        )
      )
    )
    const waiting = Mutex.runAll([a, b], () => void order.push("both"))
    assert.isTrue(Effect.isEffect(waiting))
    assert.isFalse(a.held)
    if (Effect.isEffect(waiting)) await Effect.runPromise(waiting)
    assert.deepStrictEqual(order, ["holder", "both"])
    assert.isDefined(holder)
  })

  it("a section that throws gives it back", () => {
    const mutex = new Mutex()
    assert.throws(() =>
      mutex.run(() => {
        throw new Error("a bug")
      })
    )
    assert.isFalse(mutex.held)
    assert.strictEqual(
      mutex.run(() => 1),
      1
    )
  })
})
