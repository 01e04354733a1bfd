/** The contract, and what is particular to stubs being host processes: their deaths, their pages, their cost. */
import { assert, describe, it, layer as describeLayer } from "@effect/vitest"
import { execFile, spawn } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { Reg } from "../../src/Abi/Registers.ts"
import { Platform } from "../../src/Platform/Platform.ts"
import { layer, layerWith } from "../../src/Platform/PtracePlatform.ts"
import { AfterBatch } from "../../src/Platform/Pump.ts"
import { asm, bytes, CODE, countingLoop, DATA, guest, map, PAGE, run } from "./Guest.ts"
import { memoryContract } from "./MemoryContract.ts"
import { platformContract } from "./PlatformContract.ts"

const sleep = (ms: number) => Effect.promise(() => new Promise((done) => setTimeout(done, ms)))

/** Host processes whose parent is `parent`, and that are our stubs. */
const stubsOf = (parent: number): ReadonlyArray<number> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [, rest] = readFileSync(`/proc/${name}/stat`, "latin1").split(") ")
        return rest!.split(" ")[1] === String(parent) && readFileSync(`/proc/${name}/comm`, "latin1") === "stub\n"
      } catch {
        return false // gone meanwhile
      }
    })
    .map(Number)

const maps = (pid: number): ReadonlyArray<string> => readFileSync(`/proc/${pid}/maps`, "latin1").trim().split("\n")

/** Whether a process runs; one that is dead and waits for init to take notice does not. */
const alive = (pid: number): boolean => {
  try {
    return !/^State:\t[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "latin1"))
  } catch {
    return false
  }
}

const waitGone = async (pids: ReadonlyArray<number>): Promise<number> => {
  for (let waited = 0; ; waited += 5) {
    if (!pids.some(alive)) return waited
    if (waited > 3000) throw new Error(`still there: ${pids}`)
    await new Promise((done) => setTimeout(done, 5))
  }
}

platformContract("the ptrace platform", layer)
memoryContract("memory on the ptrace platform", layer)
platformContract("the ptrace platform on all CPUs", layerWith({ cpu: "none" }))

describeLayer(layer)("stubs", (it) => {
  it.effect("a stub killed from outside is a killed thread, and others go on", () =>
    Effect.gen(function* () {
      const before = stubsOf(process.pid)
      const victim = yield* guest(bytes(asm.jmpSelf))
      const pid = stubsOf(process.pid).find((p) => !before.includes(p))!
      const sibling = yield* victim.clone("share")
      const idle = yield* victim.clone("share")
      const other = yield* guest(countingLoop)
      const fibers = [
        yield* Effect.forkChild(run(victim), { startImmediately: true }),
        yield* Effect.forkChild(run(sibling), { startImmediately: true })
      ]
      yield* sleep(2)
      process.kill(pid, "SIGKILL")
      for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber))._tag, "Killed")
      assert.strictEqual((yield* run(idle))._tag, "Killed")
      assert.strictEqual((yield* run(victim))._tag, "Killed")
      assert.strictEqual(victim.addressSpace.read(DATA, new Uint8Array(8)), 0)
      assert.isBelow(yield* victim.addressSpace.change([map(DATA, PAGE, 3)]), 0)
      assert.strictEqual((yield* Effect.result(victim.clone("copy")))._tag, "Failure")
      assert.strictEqual((yield* Effect.result(victim.readExtendedState))._tag, "Failure")
      yield* sibling.release
      yield* idle.release
      assert.strictEqual((yield* run(other))._tag, "Syscall")
      assert.isFalse(existsSync(`/proc/${pid}`))
    })
  )

  it.effect("a stub killed while it stops is either", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 100; i++) {
        const before = stubsOf(process.pid)
        const context = yield* guest(countingLoop)
        const pid = stubsOf(process.pid).find((p) => !before.includes(p))!
        let calls = 0
        const fiber = yield* Effect.forkChild(
          context.switch(() => {
            context.registers.set(Reg.rax, ++calls)
            if (calls === i) process.kill(pid, "SIGKILL")
            return true
          }),
          { startImmediately: true }
        )
        if (i === 0) process.kill(pid, "SIGKILL")
        if (i % 3 === 0) yield* sleep(0)
        if (i % 2 === 0) assert.strictEqual((yield* Fiber.join(fiber))._tag, "Killed")
        else yield* Fiber.interrupt(fiber)
        yield* context.release
      }
    })
  )

  it.effect("signals from outside never reach a guest", () =>
    Effect.gen(function* () {
      const before = stubsOf(process.pid)
      const context = yield* guest(countingLoop)
      const pid = stubsOf(process.pid).find((p) => !before.includes(p))!
      let calls = 0
      const signals = ["SIGSTOP", "SIGCONT", "SIGTERM", "SIGSEGV", "SIGTRAP", "SIGUSR1", "SIGURG", "SIGTSTP"] as const
      const outcome = yield* context.switch(() => {
        context.registers.set(Reg.rax, ++calls)
        process.kill(pid, signals[calls % signals.length])
        return calls < 500
      })
      assert.strictEqual(outcome._tag, "Syscall")
      assert.strictEqual(yield* context.addressSpace.change([map(DATA, PAGE, 3)]), 0)
      const copy = yield* context.clone("copy")
      assert.strictEqual((yield* run(copy))._tag, "Syscall")
      yield* copy.release
    })
  )

  it.effect("nothing is mapped but what the kernel asked for and the stub's pages", () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const before = stubsOf(process.pid)
      yield* guest(bytes(asm.syscall))
      const pid = stubsOf(process.pid).find((p) => !before.includes(p))!
      const starts = maps(pid).map((line) => parseInt(line, 16))
      assert.deepStrictEqual(starts.slice(0, 3), [CODE, DATA, 0x5f_f000])
      assert.isTrue(starts.slice(3).every((start) => start >= platform.taskSize))
      assert.deepStrictEqual(readdirSync(`/proc/${pid}/fd`), ["0"])
      const status = readFileSync(`/proc/${pid}/status`, "latin1")
      assert.match(status, /NoNewPrivs:\t1/)
      assert.match(status, /Seccomp:\t2/)
    })
  )

  it.effect("the stub's code gives a guest nothing: its system calls are the guest's", () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const context = yield* guest(bytes(asm.jmpRdi))
      const { registers } = context
      const code = platform.taskSize + 2 * PAGE
      const page = new Uint8Array(PAGE)
      assert.strictEqual(context.addressSpace.read(code, page), 0)
      registers.set(Reg.rdi, code)
      assert.strictEqual((yield* run(context))._tag, "Syscall") // munmap(0, everything) is asked, not made
      assert.strictEqual(registers.ulong(Reg.orig_rax), 11)
      assert.strictEqual(context.addressSpace.read(CODE, page), PAGE)
      registers.set(Reg.rax, 0)
      assert.strictEqual((yield* run(context))._tag, "Fault") // its breakpoint
    })
  )

  it.effect("the order page and the code are read-only, and the scratch page hurts only its owner", () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const context = yield* guest(bytes(asm.storeRdi, asm.syscall))
      for (const page of [1, 2]) {
        context.registers.set(Reg.rip, CODE)
        context.registers.set(Reg.rdi, platform.taskSize + page * PAGE)
        assert.strictEqual((yield* run(context))._tag, "Fault")
      }
      // 1: rep stosb over the scratch page, for ever, in a sibling; while files are mapped
      const scribble = bytes(
        [0x4c, 0x89, 0xe7], // mov %r12,%rdi
        [0xb9, 0x00, 0x08, 0x00, 0x00], // mov $2048,%ecx
        [0xff, 0xc0], // inc %eax
        [0xf3, 0xaa], // rep stosb
        asm.jmpBack(14)
      )
      const hostile = yield* guest(scribble)
      const sibling = yield* hostile.clone("share")
      sibling.registers.set(Reg.r12, platform.taskSize)
      const fiber = yield* Effect.forkChild(run(sibling), { startImmediately: true })
      const fds = () => readdirSync("/proc/self/fd").length
      const count = fds()
      const { openSync, closeSync } = yield* Effect.promise(() => import("node:fs"))
      const fd = openSync("/proc/self/exe", "r")
      let failures = 0
      for (let i = 0; i < 300; i++) {
        const change = map(DATA, PAGE, 1, { fd, offset: 0 })
        if ((yield* hostile.addressSpace.change([change])) !== 0) failures++
        if (i % 10 === 0) {
          assert.strictEqual(yield* context.addressSpace.change([change]), 0)
          const into = new Uint8Array(4)
          context.addressSpace.read(DATA, into)
          assert.strictEqual(Buffer.from(into).toString("latin1", 1), "ELF")
        }
      }
      closeSync(fd)
      assert.strictEqual(fds(), count)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* hostile.addressSpace.change([map(DATA, PAGE, 3)]), 0)
      yield* sibling.release
      return failures
    })
  )

  it.effect("waiting costs nothing: neither stopped nor computing guests keep Node awake", () =>
    Effect.gen(function* () {
      const context = yield* guest(bytes(asm.jmpSelf))
      yield* sleep(20)
      const idle = process.cpuUsage()
      yield* sleep(200)
      const idleUsed = process.cpuUsage(idle)
      assert.isBelow(idleUsed.user + idleUsed.system, 20_000)
      const fiber = yield* Effect.forkChild(run(context), { startImmediately: true })
      yield* sleep(20)
      const computing = process.cpuUsage()
      yield* sleep(200)
      const used = process.cpuUsage(computing)
      yield* Fiber.interrupt(fiber)
      assert.isBelow(used.user + used.system, 30_000)
    })
  )

  it.effect("the event loop stays responsive while a guest makes calls without end", () =>
    Effect.gen(function* () {
      const context = yield* guest(countingLoop)
      let calls = 0
      const fiber = yield* Effect.forkChild(
        context.switch(() => {
          context.registers.set(Reg.rax, ++calls)
          return true
        }),
        { startImmediately: true }
      )
      const waits: Array<number> = []
      for (let i = 0; i < 30; i++) {
        const start = performance.now()
        yield* sleep(5)
        waits.push(performance.now() - start)
      }
      yield* Fiber.interrupt(fiber)
      assert.isAbove(calls, 1000)
      assert.isBelow(waits.sort((a, b) => a - b)[15]!, 20)
    })
  )
})

describe("a platform's life", () => {
  it.effect("the kernel's run queue is drained after each batch", () =>
    Effect.gen(function* () {
      let drained = 0
      let more = 0
      const counting = Layer.provide(
        layer,
        Layer.succeed(AfterBatch, {
          run: () => {
            drained++
            return more-- > 0
          },
          waits: () => false
        })
      )
      yield* Effect.gen(function* () {
        const context = yield* guest(bytes(asm.syscall))
        const before = drained
        more = 1000
        yield* run(context)
        const isDrained = () => drained > before + 1000
        for (let waited = 0; !isDrained() && waited < 1000; waited += 5) yield* sleep(5)
        assert.isAbove(drained, before + 1000)
      }).pipe(Effect.provide(counting))
    })
  )

  const counts = () => ({
    fds: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    stubs: stubsOf(process.pid).length
  })

  const once = Effect.gen(function* () {
    const context = yield* guest(countingLoop)
    const thread = yield* context.clone("share")
    const computing = yield* guest(bytes(asm.jmpSelf))
    yield* Effect.forkDetach(run(computing), { startImmediately: true })
    yield* run(thread)
    return { context, thread, computing }
  })

  it.effect("closing leaves nothing: no process, thread, descriptor or mapping", () =>
    Effect.gen(function* () {
      yield* Effect.provide(once, layer, { local: true })
      yield* sleep(20)
      const before = counts()
      const mapped = () => maps(process.pid).filter((line) => line.includes("sentry-")).length
      const sizeBefore = Number(/VmSize:\s*(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))![1])
      for (let i = 0; i < 200; i++) yield* Effect.provide(once, layer, { local: true })
      yield* sleep(20)
      assert.deepStrictEqual(counts(), before)
      assert.strictEqual(mapped(), 0)
      const size = Number(/VmSize:\s*(\d+)/.exec(readFileSync("/proc/self/status", "latin1"))![1])
      assert.isBelow(size - sizeBefore, 100 * 1024)
    })
  )

  it.effect("contexts held beyond the end are dead, not dangerous", () =>
    Effect.gen(function* () {
      const { context, computing } = yield* Effect.provide(once, layer, { local: true })
      assert.strictEqual((yield* run(context))._tag, "Killed")
      assert.strictEqual((yield* run(computing))._tag, "Killed")
      assert.strictEqual(context.registers.halves.length, 0)
      context.registers.set(Reg.rax, 1)
      assert.strictEqual(context.addressSpace.read(DATA, new Uint8Array(1)), 0)
      assert.strictEqual(context.addressSpace.writeForced(DATA, new Uint8Array(1)), 0)
      assert.isBelow(yield* context.addressSpace.change([map(DATA, PAGE, 3)]), 0)
      yield* context.release
    })
  )

  const script = fileURLToPath(new URL("RunForEver.ts", import.meta.url))

  it("when the sentry is killed, so are its stubs", async () => {
    const child = spawn(process.execPath, [script, "computing"], { stdio: ["ignore", "pipe", "inherit"] })
    await new Promise((ready) => child.stdout.once("data", ready))
    const stubs = stubsOf(child.pid!)
    assert.strictEqual(stubs.length, 4)
    const exited = new Promise((done) => child.once("exit", done))
    child.kill("SIGKILL")
    await exited
    assert.isBelow(await waitGone(stubs), 500)
  })

  it("a running guest keeps the process alive, an idle platform does not", async () => {
    const idle = await new Promise<string>((done, fail) =>
      execFile(process.execPath, [script, "idle"], { timeout: 10_000 }, (error, out) =>
        error ? fail(error) : done(out)
      )
    )
    assert.strictEqual(idle, "ready\n")
    const child = spawn(process.execPath, [script, "computing"], { stdio: ["ignore", "pipe", "inherit"] })
    await new Promise((ready) => child.stdout.once("data", ready))
    const exited = new Promise((done) => child.once("exit", () => done("exited")))
    assert.strictEqual(
      await Promise.race([exited, new Promise((done) => setTimeout(() => done("alive"), 300))]),
      "alive"
    )
    child.kill("SIGTERM")
    await exited
  })
})
