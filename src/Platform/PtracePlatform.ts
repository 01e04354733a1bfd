/**
 * Runs guests in host processes traced with ptrace(2): PTRACE_SYSEMU stops a thread at each system call without
 * executing it. Works wherever ptrace is allowed, a default unprivileged container included.
 *
 * Every guest address space is a copy of one tiny process, the zygote (native/stub.c), every guest thread a thread of
 * it. A native thread (native/tracer.c) makes all ptrace requests; this module turns its events into outcomes.
 *
 * A thread's life, as this side sees it:
 *
 *     stopped ──switch──▶ running ──event──▶ stopped
 *                            │ fiber interrupted
 *                            ▼
 *                       interrupting ──any stop──▶ stopped        (from anywhere: dead, when the host killed it)
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { EFAULT, ENOMEM, ESRCH } from "../Abi/Errno.ts"
import { SOFTWARE } from "../Abi/ExtendedState.ts"
import { Reg, Registers } from "../Abi/Registers.ts"
import { AUDIT_ARCH_I386 } from "../Abi/Seccomp.ts"
import { PR_SET_TSC, PR_TSC_ENABLE, PR_TSC_SIGSEGV } from "../Abi/Prctl.ts"
import { SIGBUS, SIGSEGV, SIGTRAP, SI_KERNEL } from "../Abi/Signal.ts"
import { sysno } from "../Abi/Sysno.ts"
import { debugRegistersOf } from "./GuestDebug.ts"
import { faultAccess } from "./FaultAccess.ts"
import { exchangeGuest, updateGuest } from "./GuestExchange.ts"
import { peekGuest, pokeGuest } from "./GuestForce.ts"
import { clip, isGone, presentPages, readGuest, writeGuest } from "./GuestMemory.ts"
import { checkChange, encodeChanges } from "./StubCalls.ts"
import { hostBarrier } from "./HostBarrier.ts"
import { isCounterSteady } from "./HostCounter.ts"
import { ThreadMeter, processors, residentSet, threadCpuTime } from "./HostUsage.ts"
import { KeptEvent, killedOutcome, syscallOutcome } from "./KeptEvent.ts"
import { mxcsrMaskOf } from "./MxcsrMask.ts"
import { bind } from "./Native.ts"
import {
  type Access,
  type AddressSpace,
  type DebugRegisters,
  type MappingChange,
  Platform,
  type PlatformContext,
  PlatformFailed,
  type PresentRun,
  type ResidentSet,
  type SwitchOutcome,
  type SyscallHandler,
  type ThreadUsage
} from "./Platform.ts"
import { AfterBatch, SharedPump } from "./Pump.ts"
import { control, count, Request, slot, Stop } from "./Slots.ts"
import { startFailure } from "./StartFailure.ts"
import { type Block, startTracer, type StopListener, Tracer } from "./Tracer.ts"
import { failed, request, type TracerHost } from "./TracerRequest.ts"

const pickCpu = bind<[], number>("int sentry_cpu_pick()")

const noWorker = (): PlatformFailed =>
  new PlatformFailed({
    operation: "change a mapping",
    errno: 0,
    detail: "no thread of the address space is stopped"
  })

class PtraceAddressSpace implements AddressSpace {
  readonly #host: TracerHost
  /** Where the stub begins. */
  readonly #limit: number
  /** Atomic: the contexts' constructor and release. Those that are alive. */
  readonly contexts = new Set<PtraceContext>()
  /** The context that stopped last: very likely it still is. */
  lastStopped: PtraceContext | undefined

  constructor(host: TracerHost) {
    this.#host = host
    this.#limit = host.tracer.stubBase
  }

  /** The host thread through which memory is reached; any living one will do. 0: none. */
  #tid(): number {
    for (const context of this.contexts) if (!context.dead) return context.tid
    return 0
  }

  /** A stopped thread to make host system calls with. */
  #worker(): PtraceContext | undefined {
    if (this.lastStopped?.usable === true) return this.lastStopped
    for (const context of this.contexts) if (context.usable) return context
    return undefined
  }

  readonly change = (changes: ReadonlyArray<MappingChange>): Effect.Effect<number, PlatformFailed> =>
    changes.length === 0 ? Effect.succeed(0) : this.#changeFrom(changes, 0)

  #changeFrom(changes: ReadonlyArray<MappingChange>, from: number): Effect.Effect<number, PlatformFailed> {
    return Effect.suspend(() => {
      const refused = checkChange(changes[from]!, this.#limit)
      if (refused !== 0) return Effect.succeed(-refused)
      if (this.#tid() === 0) return Effect.succeed(-ESRCH)
      let worker: PtraceContext | undefined
      let next = from
      return request(this.#host, (block) => {
        // Chosen now, not earlier: a request may have to wait for a block, and threads come and go meanwhile.
        worker = this.#worker()
        block.start(Request.orders, worker?.slot ?? count.slots)
        if (worker !== undefined) next = encodeChanges(changes, from, block, this.#limit, this.#limit)
      }).pipe(
        Effect.flatMap((result) => {
          if (worker === undefined && result !== -ESRCH) return Effect.fail(noWorker())
          return result < 0 || next === changes.length ? Effect.succeed(result) : this.#changeFrom(changes, next)
        })
      )
    })
  }

  readonly read = (address: number, into: Uint8Array): number => {
    const tid = this.#tid()
    return tid === 0 ? 0 : readGuest(tid, address, into, this.#limit)
  }

  readonly presentPages = (start: number, end: number, found: PresentRun): number =>
    presentPages(this.#tid(), start, Math.min(end, this.#limit), found)

  readonly isGone = (): boolean => {
    const tid = this.#tid()
    return tid === 0 || isGone(tid, this.#limit)
  }

  readonly residentSet = (): ResidentSet => residentSet(this.#tid())

  readonly write = (address: number, from: Uint8Array): number => {
    const tid = this.#tid()
    return tid === 0 ? 0 : writeGuest(tid, address, from, this.#limit)
  }

  readonly compareExchange = (address: number, expected: number, desired: number): number => {
    const worker = this.#worker()
    return worker === undefined
      ? -EFAULT
      : exchangeGuest(this.#host.tracer, worker.slot, address, expected, desired, this.#limit)
  }

  readonly updateWord = (address: number, mask: number, flip: number, sum: number): number => {
    const worker = this.#worker()
    return worker === undefined
      ? -EFAULT
      : updateGuest(this.#host.tracer, worker.slot, address, mask, flip, sum, this.#limit)
  }

  readonly writeForced = (address: number, from: Uint8Array): number =>
    pokeGuest(this.#host.tracer, this.#holder, address, clip(address, from.length, this.#limit), from)

  readonly readForced = (address: number, into: Uint8Array): number =>
    peekGuest(this.#host.tracer, this.#holder, address, clip(address, into.length, this.#limit), into)

  readonly #holder = (): number | undefined => [...this.contexts].find((c) => !c.dead)?.slot
}

class PtraceContext implements PlatformContext, StopListener {
  readonly addressSpace: PtraceAddressSpace
  readonly registers: Registers
  readonly slot: number
  readonly tid: number
  readonly #meter: ThreadMeter
  readonly debugRegisters: DebugRegisters
  readonly #host: TracerHost
  #state: "stopped" | "running" | "interrupting" | "dead" = "stopped"
  #released = false
  /** The handler runs: the thread is stopped although the switch goes on. */
  #answering = false
  /** Owner: the fiber in `switch`. */
  #handler: SyscallHandler = () => false
  #resume: (outcome: Effect.Effect<SwitchOutcome>) => void = () => undefined
  #onInterrupted: () => void = () => undefined
  readonly #kept = new KeptEvent()

  constructor(host: TracerHost, addressSpace: PtraceAddressSpace, slotIndex: number) {
    this.#host = host
    this.addressSpace = addressSpace
    this.slot = slotIndex
    this.tid = host.tracer.slotWord(slotIndex, slot.tid)
    this.#meter = new ThreadMeter(this.tid)
    this.registers = new Registers(host.tracer.memory, control.slots + slotIndex * slot.size)
    this.debugRegisters = debugRegistersOf(host.tracer, slotIndex)
    host.tracer.listen(slotIndex, this)
    addressSpace.contexts.add(this)
  }

  get dead(): boolean {
    return this.#state === "dead"
  }

  /** Whether the thread is stopped, so that it can make host system calls. */
  get usable(): boolean {
    return (this.#state === "stopped" || this.#answering) && !this.#released
  }

  readonly switch = (handler: SyscallHandler): Effect.Effect<SwitchOutcome, PlatformFailed> =>
    Effect.callback<SwitchOutcome>((resume) => {
      if (this.#state === "dead" || this.#released) return resume(killedOutcome)
      const kept = this.#kept.take(handler)
      if (kept !== undefined) return resume(kept)
      this.#state = "running"
      this.#handler = handler
      this.#resume = resume
      this.#host.tracer.addRunning(1)
      this.#host.tracer.resume(this.slot)
      this.#host.pump.hold()
      return this.#interrupt
    })

  /** Stops the thread if it runs; done when it has. */
  readonly #interrupt: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#state !== "running") return resume(Effect.void)
    this.#state = "interrupting"
    this.#onInterrupted = () => resume(Effect.void)
    this.#host.tracer.interrupt(this.slot)
    this.#host.pump.hold()
  })

  onStop(): void {
    const stop = this.#host.tracer.slotWord(this.slot, slot.stop)
    if (stop === Stop.killed) {
      if (this.#state !== "dead") this.#onKilled()
    } else if (this.#state === "running") {
      if (stop === Stop.fault) this.#finish(Effect.succeed(this.#fault()))
      else this.#answer()
    } else if (this.#state === "interrupting") {
      this.#undo(stop)
      this.#stopped()
      this.#onInterrupted()
    }
  }

  /** The handler may interrupt the very fiber that runs this thread. */
  #answer(): void {
    this.#answering = true
    this.addressSpace.lastStopped = this
    const answered = this.#handler()
    this.#answering = false
    if (this.#interrupting()) {
      if (!answered) this.#kept.keep(syscallOutcome)
      this.#host.tracer.clearInterrupt(this.slot)
      this.#stopped()
      this.#onInterrupted()
    } else if (answered) this.#host.tracer.resume(this.slot)
    else this.#finish(syscallOutcome)
  }

  #interrupting(): boolean {
    return this.#state === "interrupting"
  }

  #stopped(): void {
    this.#state = "stopped"
    this.addressSpace.lastStopped = this
    this.#host.tracer.addRunning(-1)
  }

  #finish(outcome: Effect.Effect<SwitchOutcome>): void {
    this.#stopped()
    this.#resume(outcome)
  }

  #onKilled(): void {
    const before = this.#state
    if (before !== "stopped") this.#host.tracer.addRunning(-1)
    this.#state = "dead"
    if (before === "running") this.#resume(killedOutcome)
    else if (before === "interrupting") this.#onInterrupted()
  }

  #fault(): SwitchOutcome {
    const tracer = this.#host.tracer
    const low = tracer.slotWord(this.slot, slot.address)
    const high = tracer.slotWord(this.slot, slot.address + 4)
    const signal = tracer.slotWord(this.slot, slot.signal)
    const code = tracer.slotWord(this.slot, slot.code)
    const address = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
    const hasAddress = (signal === SIGSEGV || signal === SIGBUS) && code !== SI_KERNEL
    return { _tag: "Fault", signal, code, address, access: hasAddress ? this.#access(Number(address)) : "unknown" }
  }

  #access(address: number): Access {
    const { registers } = this
    const rip = registers.ulong(Reg.rip)
    const code = new Uint8Array(15)
    const length = this.addressSpace.read(rip, code)
    const pointers = { rip, rsp: registers.ulong(Reg.rsp), rdi: registers.ulong(Reg.rdi) }
    return faultAccess(code.subarray(0, length), address, pointers)
  }

  /**
   * An interrupted thread stopped otherwise just before. The kernel may now change its registers (deliver a signal),
   * so the event must not have happened: a system call is stepped back over, to be made again; a fault will be raised
   * again by the same instruction. Only what can't happen twice is kept for the next switch: a trap, and a call into
   * the vsyscall page.
   */
  #undo(stop: number): void {
    if (stop === Stop.interrupted) return
    this.#host.tracer.clearInterrupt(this.slot)
    if (stop === Stop.vsyscall) this.#kept.keepCall()
    else if (stop === Stop.syscall) {
      const { registers } = this
      registers.words[Reg.rip]! -= 2n // every instruction that makes a system call has two bytes
      registers.set(Reg.rax, this.#host.tracer.slotWord(this.slot, slot.nr) >>> 0)
      registers.set(Reg.orig_rax, -1) // it is in no system call
    } else {
      const fault = this.#fault()
      if (fault._tag === "Fault" && fault.signal === SIGTRAP) this.#kept.keep(Effect.succeed(fault))
    }
  }

  readonly i386Call = (): number | undefined => {
    const { tracer } = this.#host
    if (tracer.slotWord(this.slot, slot.code) !== AUDIT_ARCH_I386) return undefined
    return tracer.slotWord(this.slot, slot.nr) >>> 0
  }

  readonly readExtendedState: Effect.Effect<Uint8Array, PlatformFailed> = Effect.suspend(() => {
    let image = new Uint8Array(0)
    return request(
      this.#host,
      (block) => block.start(Request.getExtendedState, this.slot),
      (result, block) => {
        if (result > 0) image = block.data.slice(0, result)
      }
    ).pipe(
      Effect.flatMap((result) =>
        result > 0 ? Effect.succeed(image) : Effect.fail(failed("read the extended state", -result))
      )
    )
  })

  /** It is the tracer that has it. */
  readonly extendedStateNow = (): undefined => undefined
  readonly setExtendedStateNow = (): boolean => false

  readonly writeExtendedState = (image: Uint8Array): Effect.Effect<void, PlatformFailed> =>
    request(this.#host, (block) => {
      block.start(Request.setExtendedState, this.slot)
      block.setData(image.subarray(0, count.data), 0)
    }).pipe(
      Effect.flatMap((result) => (result >= 0 ? Effect.void : Effect.fail(failed("write the extended state", -result))))
    )

  readonly clone = (addressSpace: "share" | "copy"): Effect.Effect<PlatformContext, PlatformFailed> =>
    newContext(this.#host, addressSpace === "share" ? this.addressSpace : undefined, "clone", (block) => {
      block.start(Request.clone, this.slot)
      block.setFlags(addressSpace === "copy" ? 1 : 0)
    })

  readonly trapCounter = (traps: boolean): Effect.Effect<void, PlatformFailed> =>
    request(this.#host, (block) => {
      block.start(Request.orders, this.slot)
      block.addOrder(sysno.prctl, PR_SET_TSC, traps ? PR_TSC_SIGSEGV : PR_TSC_ENABLE)
    }).pipe(
      Effect.flatMap((result) =>
        result >= 0 || result === -ESRCH ? Effect.void : Effect.fail(failed("trap the time-stamp counter", -result))
      )
    )

  readonly cpuTime = (): bigint => threadCpuTime(this.tid)

  readonly usage = (): ThreadUsage => this.#meter.read(0n) // it stands still while the kernel works for it

  readonly release: Effect.Effect<void> = Effect.uninterruptible(
    Effect.suspend(() => {
      if (this.#released) return Effect.void
      return Effect.andThen(
        this.#interrupt,
        Effect.suspend(() => {
          if (this.#released) return Effect.void
          this.#released = true
          const { contexts } = this.addressSpace
          contexts.delete(this)
          if (this.addressSpace.lastStopped === this) this.addressSpace.lastStopped = undefined
          // nobody waits for it: the tracer does it before whatever is ordered later
          this.#host.tracer.request(
            (block) => {
              block.start(Request.release, this.slot)
              block.setFlags(contexts.size === 0 ? 1 : 0)
            },
            () => this.#host.tracer.freeSlot(this.slot)
          )
          this.#host.pump.hold()
          return Effect.void
        })
      )
    })
  )
}

const newContext = (
  host: TracerHost,
  addressSpace: PtraceAddressSpace | undefined,
  operation: string,
  fill: (block: Block) => void
): Effect.Effect<PtraceContext, PlatformFailed> =>
  Effect.suspend(() => {
    const slotIndex = host.tracer.takeSlot()
    if (slotIndex === undefined) return Effect.fail(failed(`${operation}: no more threads`, ENOMEM))
    let context: PtraceContext | undefined
    return request(
      host,
      (block) => {
        fill(block)
        block.setNewSlot(slotIndex)
      },
      (result) => {
        if (result < 0) host.tracer.freeSlot(slotIndex)
        else context = new PtraceContext(host, addressSpace ?? new PtraceAddressSpace(host), slotIndex)
      }
    ).pipe(
      Effect.flatMap((result) =>
        context === undefined ? Effect.fail(failed(operation, -result)) : Effect.succeed(context)
      )
    )
  })

/** Where the guests run. */
export interface Options {
  /**
   * Whether guests can read the time-stamp counter, by which they tell the time without a system call ("native"), or see
   * one of the kernel's ("trapped"): for guests that must not see the host's time. By default they can where it counts
   * evenly.
   */
  readonly counter?: "native" | "trapped"
  /**
   * The CPU that the tracer and all guest threads share; by default one is chosen. A stop costs 15 µs when they share
   * one and 80 when not; "none" lets guests use several CPUs at that price.
   */
  readonly cpu?: number | "none"
}

const open = Effect.fnUntraced(function* (options: Options, counter: "native" | "trapped") {
  const afterBatch = yield* AfterBatch
  const sharedPump = yield* SharedPump
  const started = yield* Effect.try({
    try: () => {
      const cpu = options.cpu === "none" ? -1 : (options.cpu ?? pickCpu())
      return startTracer(cpu, processors > 1, "stub", counter)
    },
    catch: (cause) => new PlatformFailed({ operation: "load the native library", errno: 0, detail: String(cause) })
  })
  if (!("started" in started)) return yield* startFailure("ptrace", "stub", started.errno, started.stage)
  const handle = started.started
  const tracer = new Tracer(handle)
  const pump = sharedPump.add(tracer, handle.wakeFd, afterBatch)
  const { extendedStateSize } = handle
  return { tracer, pump, extendedStateSize }
})

const close = ({ tracer, pump }: TracerHost): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    tracer.close(() => {
      pump.close()
      tracer.free()
      resume(Effect.void)
    })
    pump.hold()
  })

const make = Effect.fnUntraced(function* (options: Options) {
  const counter = options.counter ?? (isCounterSteady() ? "native" : "trapped")
  const host = yield* Effect.acquireRelease(open(options, counter), close)
  const makeContext = newContext(host, undefined, "make an address space", (block) => block.start(Request.create, 0))

  const probe = yield* makeContext
  const image = yield* probe.readExtendedState
  yield* probe.release
  const features = new DataView(image.buffer).getBigUint64(SOFTWARE, true)

  return Platform.of({
    name: "ptrace",
    taskSize: host.tracer.stubBase,
    extendedState: { size: host.extendedStateSize, features, mxcsrMask: mxcsrMaskOf(image) },
    makeContext,
    counter,
    memoryBarrier: hostBarrier()
  })
})

/** The ptrace platform with other than default options. Its scope's end kills every guest. */
export const layerWith = (options: Options): Layer.Layer<Platform, PlatformFailed> =>
  Layer.effect(Platform, make(options))

/** The ptrace platform. */
export const layer: Layer.Layer<Platform, PlatformFailed> = layerWith({})
