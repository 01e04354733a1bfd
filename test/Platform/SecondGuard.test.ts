/** The seccomp filter around every stub, tried from inside: stubs are ordered to make calls that they never need. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { ESRCH } from "../../src/Abi/Errno.ts"
import { sysno } from "../../src/Abi/Sysno.ts"
import { Pump } from "../../src/Platform/Pump.ts"
import { Request, slot, Stop } from "../../src/Platform/Slots.ts"
import { type Block, startTracer, Tracer } from "../../src/Platform/Tracer.ts"

const openTracer = Effect.acquireRelease(
  Effect.sync(() => {
    const result = startTracer(-1, false)
    if (!("started" in result)) throw new Error(`stage ${result.stage}: errno ${result.errno}`)
    const tracer = new Tracer(result.started)
    const nothing = { run: () => false, waits: () => false }
    return { tracer, pump: new Pump(false).add(tracer, result.started.wakeFd, nothing) }
  }),
  ({ tracer, pump }) =>
    Effect.callback<void>((resume) => {
      tracer.close(() => {
        pump.close()
        tracer.free()
        resume(Effect.void)
      })
      pump.hold()
    })
)

it.effect("a stub that makes any other call than those it needs is killed", () =>
  Effect.gen(function* () {
    const { tracer, pump } = yield* openTracer
    const request = (fill: (block: Block) => void) =>
      Effect.callback<number>((resume) => {
        tracer.request(fill, (result) => resume(Effect.succeed(result)))
        pump.hold()
      })
    const ordered = Effect.fnUntraced(function* (nr: number, ...args: ReadonlyArray<number>) {
      const index = tracer.takeSlot()!
      assert.strictEqual(
        yield* request((block) => {
          block.start(Request.create, 0)
          block.setNewSlot(index)
        }),
        0
      )
      const result = yield* request((block) => {
        block.start(Request.orders, index)
        block.addOrder(nr, ...args)
      })
      const died = tracer.slotWord(index, slot.stop) === Stop.killed
      if (!died) yield* request((block) => (block.start(Request.release, index), block.setFlags(1)))
      assert.strictEqual(died, result === -ESRCH)
      return died
    })

    for (const nr of [
      sysno.read,
      sysno.write,
      sysno.open,
      sysno.openat,
      sysno.getpid,
      sysno.fork,
      sysno.execve,
      sysno.ptrace,
      sysno.socket,
      sysno.sendmsg,
      sysno.kill,
      sysno.tgkill,
      sysno.rt_sigreturn,
      sysno.prctl,
      sysno.brk,
      sysno.ioctl,
      sysno.clone3,
      sysno.pkey_mprotect,
      sysno.process_vm_readv,
      sysno.io_uring_setup,
      0x4000_0000 + sysno.mmap, // x32
      0x4000_0000 + sysno.munmap,
      100_000
    ]) {
      assert.isTrue(yield* ordered(nr), `call ${nr}`)
    }
    assert.isTrue(yield* ordered(sysno.clone, 0x11)) // a plain fork
    assert.isTrue(yield* ordered(sysno.clone, 0x1000_0000 + 0x8000)) // a user namespace
    assert.isTrue(yield* ordered(sysno.prctl, 56, 0x10_0000)) // the number of clone(2): one argument for another
    assert.isFalse(yield* ordered(sysno.prctl, 26, 1)) // PR_SET_TSC
    assert.isFalse(yield* ordered(sysno.madvise, 0, 0, 0))
    assert.isFalse(yield* ordered(sysno.munmap, 0x1000, 0x1000))
  })
)
