/**
 * Calls that wait for a listener (SECCOMP_RET_USER_NOTIF), answers, signals and ends, in hundreds of orders: each call
 * ends once, with its own answer, and nobody waits for ever.
 */
import { assert, describe, it } from "vitest"
import { SockFprog } from "../../src/Abi/Bpf.ts"
import { EINTR, ENOENT, ENOSYS, ESRCH } from "../../src/Abi/Errno.ts"
import * as S from "../../src/Abi/Seccomp.ts"
import { SA_RESTART, SIGKILL, SIGUSR1 } from "../../src/Abi/Signal.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Steps } from "../../src/Platform/SimulatedProcess.ts"
import { type Instruction, encodeFilter } from "../generated/Filters.ts"
import { type SimulationOptions, simulate } from "../Task/Simulation.ts"

const SEEDS = process.env["SENTRY_TEST_NIGHTLY"] === "1" ? 2000 : 100

const explore = (scenario: () => Omit<SimulationOptions, "seed">): void => {
  for (let seed = 0; seed < SEEDS; seed++) {
    try {
      const { exit, kernel } = simulate({ ...scenario(), seed })
      assert.deepStrictEqual(exit, { _tag: "Exited", code: 0 })
      assert.strictEqual(kernel?.system.taskSet.tasks.size, 0)
      assert.strictEqual(kernel?.system.filterMemory.used, 0)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
    }
  }
}

/** getpriority waits for an answer; everything else is allowed. */
const FILTER: ReadonlyArray<Instruction> = [
  [0x20, 0, 0, 0],
  [0x15, 0, 1, sysno.getpriority],
  [0x06, 0, 0, S.SECCOMP_RET_USER_NOTIF],
  [0x06, 0, 0, S.SECCOMP_RET_ALLOW]
]

const listen = function* (sys: Guest, flags = 0): Steps<number> {
  const [fd] = yield* sys.exchange(encodeFilter(FILTER), function* (filter) {
    const program = SockFprog.encode({ len: FILTER.length, filter })
    const [result] = yield* sys.exchange(program, (at) =>
      sys.call(sysno.seccomp, S.SECCOMP_SET_MODE_FILTER, S.SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, at)
    )
    return result
  })
  assert.isAtLeast(fd, 0)
  return fd
}

/** The id and the first argument of the next call, or -errno. */
const receive = function* (sys: Guest, fd: number): Steps<{ readonly id: bigint; readonly argument: bigint } | number> {
  const [result, after] = yield* sys.exchange(new Uint8Array(S.SeccompNotif.size), (at) =>
    sys.call(sysno.ioctl, fd, S.SECCOMP_IOCTL_NOTIF_RECV, at)
  )
  if (result < 0) return result
  const { data, id } = S.SeccompNotif.decode(after)
  return { id, argument: new DataView(data.buffer).getBigUint64(S.SeccompData.offsets.args, true) }
}

const send = function* (sys: Guest, fd: number, id: bigint, val: bigint): Steps<number> {
  const [result] = yield* sys.exchange(S.SeccompNotifResp.encode({ id, val, error: 0, flags: 0 }), (at) =>
    sys.call(sysno.ioctl, fd, S.SECCOMP_IOCTL_NOTIF_SEND, at)
  )
  return result
}

/** Answers `count` calls with their own argument; those that signals took away come again. */
const answer = function* (sys: Guest, fd: number, count: number): Steps<void> {
  for (let left = count; left > 0;) {
    const received = yield* receive(sys, fd)
    if (typeof received === "number") {
      assert.strictEqual(received, -ENOENT)
      continue
    }
    const sent = yield* send(sys, fd, received.id, received.argument)
    if (sent === 0) left--
    else assert.strictEqual(sent, -ENOENT)
  }
}

describe("calls that wait for a listener", () => {
  it("get each their own answer", () => {
    explore(() => ({
      *main(sys) {
        const fd = yield* listen(sys)
        let answered = 0
        const threads = []
        for (const argument of [11, 22, 33]) {
          threads.push(
            yield* sys.thread(function* (sys) {
              for (let times = 0; times < 2; times++) {
                assert.strictEqual(yield* sys.call(sysno.getpriority, argument + times), argument + times)
                answered++
              }
              return 0
            })
          )
        }
        yield* answer(sys, fd, 6)
        for (const thread of threads) yield* sys.join(thread)
        assert.strictEqual(answered, 6)
        return 0
      }
    }))
  })

  for (const [flags, name] of [
    [0, "signals restart them"],
    [S.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, "signals wait for the answer once they are received"]
  ] as const) {
    it(name, () => {
      explore(() => ({
        *main(sys) {
          const fd = yield* listen(sys, flags)
          let handled = 0
          yield* sys.sigaction(SIGUSR1, () => void handled++, SA_RESTART)
          const pid = yield* sys.getpid()
          const caller = yield* sys.thread(function* (sys) {
            assert.strictEqual(yield* sys.call(sysno.getpriority, 77), 77)
            return 0
          })
          const sender = yield* sys.thread(function* (sys) {
            for (let times = 0; times < 2; times++) {
              assert.include([0, -ESRCH], yield* sys.call(sysno.tgkill, pid, caller.tid, SIGUSR1))
              yield* sys.nanosleep(1000n)
            }
            return 0
          })
          yield* answer(sys, fd, 1)
          yield* sys.join(caller)
          yield* sys.join(sender)
          assert.isAtMost(handled, 2)
          return 0
        }
      }))
    })
  }

  it("fail when the listener goes, or end as interrupted, and never hang", () => {
    explore(() => ({
      *main(sys) {
        const fd = yield* listen(sys)
        yield* sys.sigaction(SIGUSR1, () => {})
        const pid = yield* sys.getpid()
        const caller = yield* sys.thread(function* (sys) {
          const result = yield* sys.call(sysno.getpriority, 5)
          assert.include([-EINTR, -ENOSYS, 5], result)
          return 0
        })
        const closer = yield* sys.thread(function* (sys) {
          yield* sys.close(fd)
          return 0
        })
        yield* sys.call(sysno.tgkill, pid, caller.tid, SIGUSR1)
        yield* sys.join(closer)
        yield* sys.join(caller)
        return 0
      }
    }))
  })

  it("end with their process, and the listener hears of it", () => {
    explore(() => ({
      *main(sys) {
        const fd = yield* listen(sys, S.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)
        const child = yield* sys.fork(function* (sys) {
          yield* sys.call(sysno.getpriority, 5)
          return 0
        })
        const killer = yield* sys.thread(function* (sys) {
          yield* sys.kill(child, SIGKILL)
          return 0
        })
        const received = yield* sys.poll([{ fd, events: 1 }], 1)
        if (typeof received !== "number" && received[0] === 1) {
          const call = yield* receive(sys, fd)
          if (typeof call !== "number") yield* send(sys, fd, call.id, 9n)
        }
        yield* sys.join(killer)
        const { pid } = yield* sys.wait(child)
        assert.strictEqual(pid, child)
        return 0
      }
    }))
  })
})
