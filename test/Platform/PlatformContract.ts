/** What every platform that runs machine code promises (src/Platform/Platform.ts), as tests over its Layer. */
import { assert, layer as describeLayer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { Reg } from "../../src/Abi/Registers.ts"
import { SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from "../../src/Abi/Signal.ts"
import { Platform, type PlatformFailed } from "../../src/Platform/Platform.ts"
import { asm, bigAt, bytes, CODE, countingLoop, DATA, expectFault, guest, map, PAGE, run, STACK } from "./Guest.ts"

/** One turn of the event loop. */
const turn = Effect.promise(() => new Promise((done) => setImmediate(done)))

export const platformContract = (name: string, layer: Layer.Layer<Platform, PlatformFailed>): void =>
  describeLayer(layer)(name, (it) => {
    it.effect("a system call ends the switch with its number and arguments, and goes on with the result", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.setEax(39), asm.syscall, asm.movRaxRdi, asm.setEax(60), asm.syscall))
        const { registers } = context
        assert.deepStrictEqual(yield* run(context), { _tag: "Syscall" })
        assert.strictEqual(registers.ulong(Reg.orig_rax), 39)
        assert.strictEqual(registers.ulong(Reg.rdi), DATA)
        assert.strictEqual(registers.ulong(Reg.rip), CODE + 7)
        registers.set(Reg.rax, -38)
        assert.deepStrictEqual(yield* run(context), { _tag: "Syscall" })
        assert.strictEqual(registers.ulong(Reg.orig_rax), 60)
        assert.strictEqual(registers.long(Reg.rdi), -38)
      })
    )

    it.effect("the handler answers calls without ending the switch", () =>
      Effect.gen(function* () {
        const context = yield* guest(countingLoop)
        let calls = 0
        const outcome = yield* context.switch(() => {
          if (calls === 5000) return false
          context.registers.set(Reg.rax, ++calls)
          return true
        })
        assert.strictEqual(outcome._tag, "Syscall")
        assert.strictEqual(context.registers.ulong(Reg.rbx), 5001)
      })
    )

    it.effect("every register but rax, rcx and r11 survives a system call, and all can be set", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.syscall, asm.syscall))
        const { registers } = context
        const chosen = [Reg.r15, Reg.r14, Reg.r13, Reg.r12, Reg.rbp, Reg.rbx, Reg.r10, Reg.r9, Reg.r8]
        const more = [Reg.rax, Reg.rdx, Reg.rsi, Reg.rdi, Reg.fs_base, Reg.gs_base, Reg.rsp]
        const value = (r: number, round: bigint) => 0x1234_5678_0000n + BigInt(r) * 0x1_0001n + round
        for (const round of [0n, 0x1000n]) {
          for (const r of [...chosen, ...more]) registers.words[r] = value(r, round)
          yield* run(context)
          for (const r of [...chosen, ...more]) {
            if (r !== Reg.rax) assert.strictEqual(registers.words[r], value(r, round), `register ${r}`)
          }
          assert.strictEqual(registers.ulong(Reg.orig_rax), Number(value(Reg.rax, round)))
        }
      })
    )

    it.effect("faults tell signal, code and address", () =>
      Effect.gen(function* () {
        const fault = Effect.fnUntraced(function* (
          code: ReadonlyArray<number>,
          rdi: number,
          signal: number,
          at?: number
        ) {
          const context = yield* guest(bytes(code))
          context.registers.set(Reg.rdi, rdi)
          return yield* expectFault(context, signal, at)
        })
        assert.strictEqual(yield* fault(asm.loadRdi, 0x77_7000, SIGSEGV, 0x77_7000), 1)
        assert.strictEqual(yield* fault(asm.storeRdi, CODE + 8, SIGSEGV, CODE + 8), 2)
        assert.strictEqual(yield* fault(asm.jmpRdi, DATA, SIGSEGV, DATA), 2)
        assert.strictEqual(yield* fault(asm.ud2, 0, SIGILL, CODE), 2)
        assert.strictEqual(yield* fault(asm.divideByZero, 0, SIGFPE, CODE + 2), 1)
        assert.strictEqual(yield* fault(asm.int3, 0, SIGTRAP), 0x80)
        assert.strictEqual(yield* fault(asm.loadRdi, -(2 ** 52), SIGSEGV, 0), 0x80)
      })
    )

    it.effect("reading the time-stamp counter is a fault where the platform says so, or the kernel", () =>
      Effect.gen(function* () {
        const { counter } = yield* Platform
        const reader = yield* guest(bytes(asm.rdtsc, asm.syscall, asm.rdtsc))
        if (counter === "native") {
          assert.strictEqual((yield* run(reader))._tag, "Syscall")
          yield* reader.trapCounter!(true)
          const child = yield* reader.clone("copy")
          assert.strictEqual(yield* expectFault(child, SIGSEGV, 0), 0x80)
          yield* child.trapCounter!(false)
          yield* child.release
        }
        assert.strictEqual(yield* expectFault(reader, SIGSEGV, 0), 0x80)
      })
    )

    it.effect("a thread goes on after its fault has been repaired", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.loadRdi, asm.syscall))
        context.registers.set(Reg.rdi, 0x77_7000)
        yield* expectFault(context, SIGSEGV, 0x77_7000)
        assert.strictEqual(yield* context.addressSpace.change([map(0x77_7000, PAGE, 3)]), 0)
        assert.strictEqual((yield* run(context))._tag, "Syscall")
        assert.strictEqual(context.registers.ulong(Reg.orig_rax), 0)
      })
    )

    it.effect("registers that no processor loads are a fault of the guest", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.syscall))
        context.registers.words[Reg.fs_base] = 0xffff_8000_0000_0000n
        yield* expectFault(context, SIGSEGV)
        context.registers.words[Reg.fs_base] = 0n
        context.registers.words[Reg.cs] = 0n
        yield* expectFault(context, SIGSEGV)
        context.registers.words[Reg.cs] = 0x33n
        assert.strictEqual((yield* run(context))._tag, "Syscall")
      })
    )

    it.effect("calls that aren't x86-64's are marked", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.setEax(20), asm.int80))
        assert.strictEqual((yield* run(context))._tag, "Syscall")
        assert.strictEqual(context.registers.ulong(Reg.orig_rax), 0xffff_ffff)
        const x32 = yield* guest(bytes(asm.setEax(0x4000_0027), asm.syscall))
        assert.strictEqual((yield* run(x32))._tag, "Syscall")
        assert.strictEqual(x32.registers.ulong(Reg.orig_rax), 0x4000_0027)
      })
    )

    it.effect("sysenter is no way out", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.setEax(20), asm.sysenter))
        const outcome = yield* run(context)
        if (outcome._tag === "Syscall") assert.strictEqual(context.registers.ulong(Reg.orig_rax), 0xffff_ffff)
        else assert.strictEqual(outcome._tag, "Fault")
      })
    )

    it.effect("a thread with the trap flag stops after each instruction, and changes are made all the same", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.incRbx, asm.incRbx, asm.setEax(39), asm.syscall, asm.incRbx, asm.incRbx))
        const { registers } = context
        registers.set(Reg.eflags, registers.ulong(Reg.eflags) | 0x100)
        for (const at of [3, 6, 11]) {
          assert.strictEqual(yield* expectFault(context, SIGTRAP), 2)
          assert.strictEqual(registers.ulong(Reg.rip), CODE + at)
          assert.strictEqual(yield* context.addressSpace.change([map(DATA, PAGE, 3)]), 0)
        }
        assert.strictEqual((yield* run(context))._tag, "Syscall")
        assert.strictEqual(registers.ulong(Reg.orig_rax), 39)
        assert.strictEqual(registers.ulong(Reg.eflags) & 0x100, 0x100)
        yield* expectFault(context, SIGTRAP)
        registers.set(Reg.eflags, registers.ulong(Reg.eflags) & ~0x100)
        assert.isAbove(registers.ulong(Reg.rip), CODE + 12)
      })
    )

    it.effect("a call into the vsyscall page is a system call", () =>
      Effect.gen(function* () {
        // mov $0xffffffffff600400,%rax (time); call *%rax; ud2
        const context = yield* guest(bytes([0x48, 0xc7, 0xc0, 0x00, 0x04, 0x60, 0xff], asm.callRax, asm.ud2))
        const outcome = yield* run(context)
        if (outcome._tag === "Fault") return // a host with vsyscall=none
        assert.strictEqual(context.registers.ulong(Reg.orig_rax), 201)
        assert.strictEqual(context.registers.ulong(Reg.rdi), DATA)
        context.registers.set(Reg.rax, 123)
        yield* expectFault(context, SIGILL, CODE + 9)
        assert.strictEqual(context.registers.ulong(Reg.rax), 123)
        assert.strictEqual(context.registers.ulong(Reg.rsp), STACK)
      })
    )

    it.effect("an interrupt stops a thread that computes, and its registers are current", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.incRbx, asm.jmpBack(5)))
        let before = 0
        let advances = 0
        for (let i = 0; i < 1000 && advances < 20; i++) {
          const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
          yield* Effect.promise(() => new Promise((done) => setTimeout(done, 1)))
          yield* Fiber.interrupt(fiber)
          const now = context.registers.ulong(Reg.rbx)
          assert.isAtLeast(now, before)
          if (now > before) advances++
          before = now
        }
        assert.strictEqual(advances, 20) // a busy host may not have let it run each time
        context.registers.set(Reg.rip, CODE + 3)
        context.registers.set(Reg.rbx, 0)
        const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
        yield* Fiber.interrupt(fiber)
        assert.isBelow(context.registers.ulong(Reg.rbx), before)
      })
    )

    it.effect("no call is lost or made twice when interrupts race with calls", () =>
      Effect.gen(function* () {
        const context = yield* guest(countingLoop)
        let calls = 0
        for (let i = 0; i < 1000; i++) {
          const fiber = yield* Effect.forkChild(
            context.switch(() => {
              context.registers.set(Reg.rax, ++calls)
              return true
            }),
            { startImmediately: true }
          )
          for (let spin = Math.floor(Math.random() * 2000 * (i % 4)); spin > 0; spin--);
          if (i % 3 === 0) yield* turn
          if (i % 10 === 0) {
            const seen = calls
            yield* Effect.repeat(turn, { until: () => calls > seen })
          }
          const early = fiber.pollUnsafe()
          if (early !== undefined) return assert.fail(`ended: ${JSON.stringify(early)} after ${calls} calls`)
          yield* Fiber.interrupt(fiber)
        }
        assert.isAtLeast(calls, 100)
      })
    )

    it.effect("nor when the handler itself interrupts", () =>
      Effect.gen(function* () {
        const context = yield* guest(countingLoop)
        let calls = 0
        for (let i = 0; i < 300; i++) {
          const before = calls
          const fiber = yield* Effect.forkChild(
            context.switch(() => {
              context.registers.set(Reg.rax, ++calls)
              fiber.interruptUnsafe()
              return i % 2 === 0
            })
          )
          const exit = yield* Fiber.await(fiber)
          assert.strictEqual(exit._tag, "Failure")
          if (i % 2 === 1) assert.strictEqual((yield* run(context))._tag, "Syscall")
          assert.strictEqual(calls, before + 1)
        }
        assert.strictEqual(context.registers.ulong(Reg.rbx), 300)
      })
    )

    it.effect("nor when the calls end the switch", () =>
      Effect.gen(function* () {
        const context = yield* guest(countingLoop)
        let calls = 0
        let interrupted = 0
        for (let i = 0; i < 1000; i++) {
          const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
          for (let spin = Math.floor(Math.random() * 5000); spin > 0; spin--);
          if (i % 2 === 0) yield* turn
          yield* Fiber.interrupt(fiber)
          const exit = fiber.pollUnsafe()!
          if (exit._tag === "Failure") interrupted++
          else if (exit.value._tag === "Syscall") context.registers.set(Reg.rax, ++calls)
          else return assert.fail(exit.value._tag)
        }
        assert.strictEqual(interrupted + calls, 1000)
        assert.closeTo(context.registers.ulong(Reg.rbx), calls, 1)
      })
    )

    it.effect("nor faults", () =>
      Effect.gen(function* () {
        // 1: inc %rbx; mov (%rdi),%rax; inc %rbp; jmp 1b
        const code = bytes(asm.incRbx, asm.loadRdi, [0x48, 0xff, 0xc5], asm.jmpBack(11))
        const context = yield* guest(code)
        context.registers.set(Reg.rdi, 0)
        let faults = 0
        for (let i = 0; i < 1000; i++) {
          const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
          for (let spin = Math.floor(Math.random() * 5000); spin > 0; spin--);
          if (i % 2 === 0) yield* turn
          yield* Fiber.interrupt(fiber)
          const exit = fiber.pollUnsafe()!
          if (exit._tag !== "Success") continue
          assert.strictEqual(exit.value._tag, "Fault")
          faults++
          assert.strictEqual(context.registers.ulong(Reg.rip), CODE + 3)
          context.registers.set(Reg.rip, CODE + 6) // as if the load had been made
        }
        assert.closeTo(context.registers.ulong(Reg.rbx), faults, 1)
      })
    )

    it.effect("a thread cloned into the same memory has the same registers and sees the same bytes", () =>
      Effect.gen(function* () {
        // movups (%rdi),%xmm0 first, so that the extended state is told apart; then store rbx, which differs
        const context = yield* guest(bytes([0x0f, 0x10, 0x07], asm.syscall, [0x48, 0x89, 0x1f], asm.syscall))
        context.addressSpace.write(
          DATA,
          Uint8Array.from({ length: 16 }, (_, i) => i + 1)
        )
        context.registers.set(Reg.fs_base, 0x1234_5000)
        yield* run(context)
        const thread = yield* context.clone("share")
        assert.strictEqual(thread.addressSpace, context.addressSpace)
        const skip = (words: BigUint64Array) => words.filter((_, r) => r !== Reg.orig_rax)
        assert.deepStrictEqual(skip(thread.registers.snapshot()), skip(context.registers.snapshot()))
        assert.deepStrictEqual(yield* thread.readExtendedState, yield* context.readExtendedState)
        assert.strictEqual((yield* thread.readExtendedState)[160 + 3], 4)
        thread.registers.set(Reg.rbx, 77)
        assert.strictEqual((yield* run(thread))._tag, "Syscall")
        assert.strictEqual(bigAt(context, DATA), 77n)
        assert.strictEqual(thread.registers.ulong(Reg.fs_base), 0x1234_5000)
        yield* thread.release
        context.registers.set(Reg.rbx, 78)
        assert.strictEqual((yield* run(context))._tag, "Syscall")
        assert.strictEqual(bigAt(context, DATA), 78n)
      })
    )

    it.effect("a thread cloned with a copy of the memory does not", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.syscall, [0x48, 0x89, 0x1f], asm.syscall))
        yield* run(context)
        const child = yield* context.clone("copy")
        const grandchild = yield* child.clone("copy")
        child.registers.set(Reg.rbx, 77)
        yield* run(child)
        assert.strictEqual(bigAt(child, DATA), 77n)
        assert.strictEqual(bigAt(context, DATA), 0n)
        assert.strictEqual(bigAt(grandchild, DATA), 0n)
        yield* child.release
        grandchild.registers.set(Reg.rbx, 78)
        yield* run(grandchild)
        assert.strictEqual(bigAt(grandchild, DATA), 78n)
        assert.strictEqual(child.addressSpace.read(DATA, new Uint8Array(8)), 0)
        yield* grandchild.release
      })
    )

    it.effect("threads run at the same time, and each gets its own answers", () =>
      Effect.gen(function* () {
        const first = yield* guest(countingLoop)
        const contexts = [first]
        for (let i = 0; i < 7; i++) contexts.push(yield* first.clone(i % 2 === 0 ? "share" : "copy"))
        const outcomes = yield* Effect.forEach(
          contexts,
          (context) => {
            let calls = 0
            return context.switch(() => {
              context.registers.set(Reg.rax, ++calls)
              return calls < 500
            })
          },
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(new Set(outcomes.map((o) => o._tag)), new Set(["Syscall"]))
        for (const context of contexts) assert.strictEqual(context.registers.ulong(Reg.rbx), 500)
        for (const context of contexts) yield* context.release
      })
    )

    it.effect("the first thread of an address space can end before the others", () =>
      Effect.gen(function* () {
        const platform = yield* Platform
        const first = yield* platform.makeContext
        const space = first.addressSpace
        assert.strictEqual(yield* space.change([map(CODE, PAGE, 7)]), 0)
        space.write(CODE, countingLoop)
        first.registers.set(Reg.rip, CODE)
        const second = yield* first.clone("share")
        yield* first.release
        yield* first.release
        assert.strictEqual((yield* run(second))._tag, "Syscall")
        assert.strictEqual(yield* space.change([map(DATA, PAGE, 3)]), 0)
        assert.strictEqual(space.write(DATA, Uint8Array.of(1)), 1)
        assert.strictEqual(space.writeForced(CODE, countingLoop), countingLoop.length)
        const third = yield* second.clone("share")
        yield* second.release
        third.registers.set(Reg.rax, 1)
        assert.strictEqual((yield* run(third))._tag, "Syscall")
        yield* third.release
        assert.strictEqual((yield* run(third))._tag, "Killed")
      })
    )

    it.effect("the extended state is what was written", () =>
      Effect.gen(function* () {
        const platform = yield* Platform
        const context = yield* guest(bytes([0x0f, 0x11, 0x07], asm.syscall)) // movups %xmm0,(%rdi)
        const image = yield* context.readExtendedState
        assert.strictEqual(image.length, platform.extendedState.size)
        assert.strictEqual(platform.extendedState.features & 3n, 3n)
        const view = new DataView(image.buffer)
        assert.strictEqual(view.getUint32(24, true), 0x1f80) // MXCSR as execve leaves it
        image.fill(0xab, 160, 176)
        view.setBigUint64(512, view.getBigUint64(512, true) | 3n, true)
        yield* context.writeExtendedState(image)
        yield* run(context)
        assert.strictEqual(bigAt(context, DATA), 0xabab_abab_abab_ababn)
        const after = yield* context.readExtendedState
        assert.deepStrictEqual(after.subarray(160, 176), image.subarray(160, 176))
      })
    )

    it.effect("a thread can be released while it runs", () =>
      Effect.gen(function* () {
        const context = yield* guest(bytes(asm.jmpSelf))
        const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
        const thread = yield* guest(bytes(asm.jmpSelf))
        yield* context.release // while it runs
        assert.strictEqual((yield* run(context))._tag, "Killed")
        yield* Fiber.interrupt(fiber)
        yield* thread.release
      })
    )

    it.effect("guests come and go by the hundred", () =>
      Effect.gen(function* () {
        const platform = yield* Platform
        for (let round = 0; round < 4; round++) {
          const contexts = yield* Effect.forEach(Array.from({ length: 50 }), () => platform.makeContext, {
            concurrency: "unbounded"
          })
          const threads = yield* Effect.forEach(contexts, (c) => c.clone("share"), { concurrency: "unbounded" })
          yield* Effect.forEach([...contexts, ...threads], (c) => c.release, { concurrency: "unbounded" })
        }
      })
    )
  })
