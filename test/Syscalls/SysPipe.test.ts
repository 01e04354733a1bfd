import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { EAGAIN, EBADF, EFAULT, EPIPE, ERESTARTSYS, ESPIPE } from "../../src/Abi/Errno.ts"
import { F_GETPIPE_SZ, F_SETFL, F_SETPIPE_SZ } from "../../src/Abi/Fcntl.ts"
import { O_NONBLOCK } from "../../src/Abi/OpenFlags.ts"
import { POLLHUP, POLLIN, POLLOUT } from "../../src/Abi/Poll.ts"
import { SIGPIPE } from "../../src/Abi/Signal.ts"
import type { Task } from "../../src/Task/Task.ts"
import { close, fcntl } from "../../src/Syscalls/SysDescriptor.ts"
import { pipe2 } from "../../src/Syscalls/SysPipe.ts"
import { poll } from "../../src/Syscalls/SysPoll.ts"
import { lseek, read, readv, write } from "../../src/Syscalls/SysReadWrite.ts"
import { TestSystem } from "./TestTask.ts"

const A = 0x1000
const B = 0x10_0000
const END = 0x20_1000

const makePipe = (system: TestSystem, task: Task, flags = 0) =>
  Effect.map(system.call(task, pipe2, A, flags), (result) => {
    assert.strictEqual(result, 0)
    return [system.int(A), system.int(A + 4)] as const
  })

describe("pipes through system calls", () => {
  it.live("carry bytes and end when the last writer closes", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const [r, w] = yield* makePipe(system, task)
      system.put(B, "hello")
      assert.strictEqual(yield* system.call(task, write, w, B, 5), 5)
      assert.strictEqual(yield* system.call(task, read, r, B + 100, 100), 5)
      assert.strictEqual(system.text(B + 100, 5), "hello")
      assert.strictEqual(yield* system.call(task, lseek, r, 0, 0), -ESPIPE)
      assert.strictEqual(yield* system.call(task, read, w, B, 1), -EBADF)
      assert.strictEqual(yield* system.call(task, close, w), 0)
      assert.strictEqual(yield* system.call(task, read, r, B, 1), 0)
    })
  )

  it.live("block a reader until something is written, and a signal ends that", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const other = system.task(task.fds.share())
      const [r, w] = yield* makePipe(system, task)
      const reading = yield* Effect.forkChild(system.call(task, read, r, B, 10))
      yield* Effect.sleep(5)
      assert.isUndefined(reading.pollUnsafe())
      system.put(A, "x")
      assert.strictEqual(yield* system.call(other, write, w, A, 1), 1)
      assert.strictEqual(yield* Fiber.join(reading), 1)
      const again = yield* Effect.forkChild(system.call(task, read, r, B, 10))
      yield* Effect.sleep(5)
      system.interrupt(task)
      assert.strictEqual(yield* Fiber.join(again), -ERESTARTSYS)
      assert.isTrue(task.fds.get(r)!.waiters.isEmpty)
    })
  )

  it.live("go on writing until everything is written, or give the part that was when a signal arrives", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const other = system.task(task.fds.share())
      const [r, w] = yield* makePipe(system, task)
      const writing = yield* Effect.forkChild(system.call(task, write, w, A, 100_000))
      yield* Effect.sleep(5)
      assert.isUndefined(writing.pollUnsafe())
      let total = 0
      while (total < 100_000) total += yield* system.call(other, read, r, B, 30_000)
      assert.strictEqual(yield* Fiber.join(writing), 100_000)
      const partial = yield* Effect.forkChild(system.call(task, write, w, A, 100_000))
      yield* Effect.sleep(5)
      system.interrupt(task)
      assert.strictEqual(yield* Fiber.join(partial), 65_536)
    })
  )

  it.live("raise SIGPIPE with EPIPE when nobody reads", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const [r, w] = yield* makePipe(system, task)
      yield* system.call(task, close, r)
      assert.strictEqual(yield* system.call(task, write, w, A, 1), -EPIPE)
      assert.deepStrictEqual(system.raised, [SIGPIPE])
    })
  )

  it.live("without blocking write what fits, and pages of at most PIPE_BUF whole or not at all", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const [r, w] = yield* makePipe(system, task, O_NONBLOCK)
      assert.strictEqual(yield* system.call(task, read, r, B, 1), -EAGAIN)
      assert.strictEqual(yield* system.call(task, write, w, A, 100_000), 65_536)
      assert.strictEqual(yield* system.call(task, write, w, A, 1), -EAGAIN)
      assert.strictEqual(yield* system.call(task, read, r, B, 4095), 4095)
      assert.strictEqual(yield* system.call(task, write, w, A, 1), -EAGAIN)
      assert.strictEqual(yield* system.call(task, read, r, B, 1), 1)
      assert.strictEqual(yield* system.call(task, write, w, A, 4096), 4096)
      assert.strictEqual(yield* system.call(task, fcntl, w, F_GETPIPE_SZ, 0), 65_536)
      assert.strictEqual(yield* system.call(task, fcntl, w, F_SETPIPE_SZ, 100_000), 131_072)
      assert.strictEqual(yield* system.call(task, write, w, A, 100_000), 65_536)
    })
  )

  it.live("lose nothing to a bad buffer", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const [r, w] = yield* makePipe(system, task, O_NONBLOCK)
      system.put(B, "abcdef")
      yield* system.call(task, write, w, B, 6)
      assert.strictEqual(yield* system.call(task, read, r, 0, 6), -EFAULT)
      assert.strictEqual(yield* system.call(task, read, r, END - 2, 6), -EFAULT)
      assert.strictEqual(yield* system.call(task, write, w, END - 2, 6), -EFAULT)
      assert.strictEqual(yield* system.call(task, read, r, B, 100), 6)
      assert.strictEqual(system.text(B, 6), "abcdef")
      assert.strictEqual(yield* system.call(task, fcntl, r, F_SETFL, 0), 0)
    })
  )

  it.live("scatter over several buffers", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const [r, w] = yield* makePipe(system, task)
      system.put(B, "abcdef")
      yield* system.call(task, write, w, B, 6)
      const iov = new BigUint64Array([BigInt(B + 100), 2n, BigInt(B + 200), 0n, BigInt(B + 300), 10n])
      system.put(A, new Uint8Array(iov.buffer))
      assert.strictEqual(yield* system.call(task, readv, r, A, 3), 6)
      assert.strictEqual(system.text(B + 100, 2), "ab")
      assert.strictEqual(system.text(B + 300, 4), "cdef")
    })
  )

  it.live("wake poll(2), which times out otherwise", () =>
    Effect.gen(function* () {
      const system = new TestSystem()
      const task = system.task()
      const other = system.task(task.fds.share())
      const [r, w] = yield* makePipe(system, task)
      const entry = (fd: number, events: number) => new Uint8Array(new Int32Array([fd, events]).buffer)
      system.put(B, entry(r, POLLIN))
      system.put(B + 8, entry(w, POLLOUT))
      assert.strictEqual(yield* system.call(task, poll, B, 2, -1), 1)
      assert.strictEqual(system.int(B + 12), POLLOUT | (POLLOUT << 16))
      assert.strictEqual(yield* system.call(task, poll, B, 1, 10), 0)
      const polling = yield* Effect.forkChild(system.call(task, poll, B, 1, -1))
      yield* Effect.sleep(5)
      yield* system.call(other, close, w)
      assert.strictEqual(yield* Fiber.join(polling), 1)
      assert.strictEqual(system.int(B + 4) >> 16, POLLHUP)
    })
  )
})
