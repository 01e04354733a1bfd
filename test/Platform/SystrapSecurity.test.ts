/** Guests of the fast platform that try to get at more than they are given. */
import { assert, layer as describeLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ENOMEM } from "../../src/Abi/Errno.ts"
import { Reg } from "../../src/Abi/Registers.ts"
import type { PlatformContext } from "../../src/Platform/Platform.ts"
import { slotSize, systrapBase, systrapOrders, systrapSlots } from "../../src/Platform/SystrapLayout.ts"
import { layer } from "../../src/Platform/SystrapPlatform.ts"
import { asm, bytes, CODE, countingLoop, DATA, guest, map, PAGE, run } from "./Guest.ts"

/** native/systrap.h */
const STUB = 0x7fff_ffff_0000
const AT_RETURN = STUB + 0xc0
const AT_SYSCALL = STUB + 0x11e
const AT_CALL = STUB + 0x100
const WAKE_FD = 7
/** Where the notice and the bells begin. */
const BELLS = 0x7fff_ffff_df00

const sleep = (ms: number) => Effect.promise(() => new Promise((done) => setTimeout(done, ms)))
const jmpR12 = [0x41, 0xff, 0xe4]
const callR12 = [0x41, 0xff, 0xd4]

/** A guest whose r12 is `target`, and which runs `code`. */
const aimed = Effect.fnUntraced(function* (target: number, ...code: ReadonlyArray<ReadonlyArray<number>>) {
  const context = yield* guest(bytes(...code))
  context.registers.set(Reg.r12, target)
  return context
})

/** `struct ucontext` that resumes at `rip` with every signal blocked. */
const forgedContext = (rip: number): Uint8Array => {
  const words = new BigUint64Array(PAGE / 8)
  words[168 / 8] = BigInt(rip)
  words[160 / 8] = BigInt(DATA + 2048)
  words[176 / 8] = 0x202n
  words[184 / 8] = 0x002b_0000_0000_0033n
  words[296 / 8] = ~0n & 0xffff_ffff_ffff_ffffn
  return new Uint8Array(words.buffer)
}

const withForgedContext = Effect.fnUntraced(function* (...code: ReadonlyArray<ReadonlyArray<number>>) {
  const context = yield* aimed(AT_RETURN, jmpR12, ...code)
  assert.strictEqual(context.addressSpace.write(DATA, forgedContext(CODE + jmpR12.length)), PAGE)
  context.registers.set(Reg.rsp, DATA)
  return context
})

const isCounting = Effect.fnUntraced(function* (context: PlatformContext) {
  let calls = 0
  const outcome = yield* context.switch(() => {
    context.registers.set(Reg.rax, ++calls)
    return calls < 200
  })
  assert.strictEqual(outcome._tag, "Syscall")
  assert.strictEqual(context.registers.ulong(Reg.rbx), 200)
})

describeLayer(layer)("the fast platform's guests", (it) => {
  it.effect("make no system call by jumping to the stub's", () =>
    Effect.gen(function* () {
      for (const nr of [1, 9, 10, 11, 25, 56, 57, 59, 62, 101, 131, 157, 234, 317]) {
        const context = yield* aimed(AT_SYSCALL, asm.setEax(nr), jmpR12)
        context.registers.set(Reg.rsi, 4096)
        assert.strictEqual((yield* run(context))._tag, "Syscall", `call ${nr}`)
        assert.strictEqual(context.registers.ulong(Reg.orig_rax), nr)
        assert.strictEqual(context.addressSpace.read(CODE, new Uint8Array(8)), 8)
      }
    })
  )

  it.effect(
    "can't wake anybody by futex who sleeps on anything but a bell, nor write anything but the wake-up byte",
    () =>
      Effect.gen(function* () {
        const refused = [
          [202, DATA, 1, 1], // FUTEX_WAKE
          [202, DATA, 10, 1], // FUTEX_WAKE_BITSET
          [202, BELLS + 0x100, 10, 1],
          [202, BELLS, 1, 1],
          [202, BELLS, 3, 1], // FUTEX_REQUEUE
          [1, 0, DATA, 1],
          [1, WAKE_FD, DATA, 2],
          [1, WAKE_FD, DATA, 0x1_0000_0001]
        ] as const
        for (const [nr, rdi, rsi, rdx] of refused) {
          const context = yield* aimed(AT_SYSCALL, asm.setEax(nr), jmpR12)
          context.registers.set(Reg.rdi, rdi)
          context.registers.set(Reg.rsi, rsi)
          context.registers.set(Reg.rdx, rdx)
          assert.strictEqual((yield* run(context))._tag, "Syscall")
        }
      })
  )

  it.effect("don't change the stub: it can neither be written nor mapped over", () =>
    Effect.gen(function* () {
      for (const target of [STUB, systrapOrders, STUB + 0xd000, STUB + 0xe000]) {
        const context = yield* guest(bytes(asm.storeRdi, asm.syscall))
        context.registers.set(Reg.rdi, target)
        assert.strictEqual((yield* run(context))._tag, "Fault", target.toString(16))
      }
      const context = yield* guest(countingLoop)
      for (const target of [systrapBase, systrapSlots, systrapOrders, STUB, STUB + 0xe000]) {
        assert.strictEqual(yield* context.addressSpace.change([map(target, PAGE, 7)]), -ENOMEM)
        assert.strictEqual(
          yield* context.addressSpace.change([{ _tag: "Unmap", address: target, length: PAGE }]),
          -ENOMEM
        )
        assert.strictEqual(context.addressSpace.writeForced(target, new Uint8Array(8)), 0)
        assert.strictEqual(context.addressSpace.read(target, new Uint8Array(8)), 0)
      }
      yield* isCounting(context)
    })
  )

  it.effect("who block signals by a forged frame die when they are to stop", () =>
    Effect.gen(function* () {
      const context = yield* withForgedContext(asm.jmpSelf)
      const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
      yield* sleep(20)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* run(context))._tag, "Killed")
    })
  )

  it.effect("who block SIGSYS die by their next call", () =>
    Effect.gen(function* () {
      const context = yield* withForgedContext(asm.setEax(39), asm.syscall, asm.jmpSelf)
      assert.strictEqual((yield* run(context))._tag, "Killed")
    })
  )

  it.effect("who return from no frame fault", () =>
    Effect.gen(function* () {
      const context = yield* aimed(AT_RETURN, jmpR12)
      context.registers.set(Reg.rsp, 0x1234_5000)
      const outcome = yield* run(context)
      assert.isTrue(outcome._tag === "Fault" || outcome._tag === "Killed")
    })
  )

  it.effect("who end their thread by themselves are found out", () =>
    Effect.gen(function* () {
      const context = yield* aimed(AT_CALL, jmpR12)
      context.registers.set(Reg.rdi, 60)
      const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
      yield* sleep(20)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* run(context))._tag, "Killed")
    })
  )

  it.effect("hurt only themselves by writing to their slots", () =>
    Effect.gen(function* () {
      const bystander = yield* guest(countingLoop)
      // the whole of the first slots, again and again, with ever other bytes
      const scribble = bytes(
        [0x4c, 0x89, 0xe7], // mov %r12,%rdi
        [0xb9, 0x00, 0x10, 0x00, 0x00], // mov $4096,%ecx
        [0xff, 0xc0], // inc %eax
        [0xf3, 0xaa], // rep stosb
        asm.jmpBack(14)
      )
      for (let round = 0; round < 8; round++) {
        const hostile = yield* guest(scribble)
        const victim = yield* hostile.clone("share")
        hostile.registers.set(Reg.r12, systrapSlots + Math.floor(round / 2) * slotSize)
        victim.registers.set(Reg.r12, systrapSlots + slotSize * 3)
        const fibers = [
          yield* Effect.forkChild(run(hostile), { startImmediately: true }),
          yield* Effect.forkChild(run(victim), { startImmediately: true })
        ]
        yield* sleep(10)
        bystander.registers.set(Reg.rbx, 0)
        bystander.registers.set(Reg.rip, CODE)
        yield* isCounting(bystander)
        yield* Effect.forkDetach(Fiber.interruptAll(fibers))
        yield* sleep(5)
        yield* Effect.forkDetach(Effect.andThen(victim.release, hostile.release))
        process.kill((hostile as unknown as { addressSpace: { pid: number } }).addressSpace.pid, "SIGKILL")
      }
      yield* sleep(20)
    })
  )

  it.effect("wake the sentry for nothing without hurting it", () =>
    Effect.gen(function* () {
      const ring = [
        [0xbf, 1, 0, 0, 0], // mov $1,%edi
        [0xbe, WAKE_FD, 0, 0, 0], // mov $7,%esi
        [0x4c, 0x89, 0xea], // mov %r13,%rdx
        [0xb9, 1, 0, 0, 0], // mov $1,%ecx
        callR12,
        asm.jmpBack(23)
      ]
      const context = yield* aimed(AT_CALL, ...ring)
      context.registers.set(Reg.r13, DATA)
      const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
      const start = performance.now()
      for (let i = 0; i < 10; i++) yield* sleep(2)
      assert.isBelow(performance.now() - start, 2000)
      yield* isCounting(yield* guest(countingLoop))
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(context.registers.ulong(Reg.r13), DATA)
    })
  )

  it.effect("that are killed from outside, in whatever state, are reported so", () =>
    Effect.gen(function* () {
      const pidOf = (context: PlatformContext) =>
        (context as unknown as { addressSpace: { pid: number } }).addressSpace.pid
      const stopped = yield* guest(countingLoop)
      process.kill(pidOf(stopped), "SIGKILL")
      yield* sleep(30)
      assert.strictEqual((yield* run(stopped))._tag, "Killed")
      assert.isBelow(yield* stopped.addressSpace.change([map(DATA, PAGE, 3)]), 0)
      const running = yield* guest(bytes(asm.jmpSelf))
      const fiber = yield* Effect.forkChild(run(running), { startImmediately: true })
      process.kill(pidOf(running), "SIGKILL")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Killed")
      const calling = yield* guest(countingLoop)
      let calls = 0
      const outcome = yield* calling.switch(() => {
        calling.registers.set(Reg.rax, ++calls)
        if (calls === 50) process.kill(pidOf(calling), "SIGKILL")
        return true
      })
      assert.strictEqual(outcome._tag, "Killed")
    })
  )

  it.effect("are not disturbed by other signals from outside", () =>
    Effect.gen(function* () {
      const context = yield* guest(countingLoop)
      const { pid } = (context as unknown as { addressSpace: { pid: number } }).addressSpace
      let calls = 0
      const outcome = yield* context.switch(() => {
        context.registers.set(Reg.rax, ++calls)
        process.kill(
          pid,
          (["SIGTERM", "SIGURG", "SIGINT", "SIGUSR1", "SIGSYS", "SIGSEGV", "SIGTRAP"] as const)[calls % 7]
        )
        return calls < 300
      })
      assert.strictEqual(outcome._tag, "Syscall")
      assert.strictEqual(context.registers.ulong(Reg.rbx), 300)
    })
  )
})
