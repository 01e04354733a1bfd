/**
 * A guest thread of the fast platform.
 *
 * Its life, as this side sees it:
 *
 *                                                     retry
 *                                                ┌───────────────▶ parked ──fiber interrupted──▶ stopped
 *                                                ▼     its call waits
 *     born ──first event──▶ stopped ──switch──▶ running ──event──▶ stopped
 *                                                  │ fiber interrupted
 *                                                  ▼
 *                                             interrupting ──any event──▶ stopped   (from anywhere: dead, when killed)
 */
import * as Effect from "effect/Effect"
import { ENOMEM, ESRCH } from "../Abi/Errno.ts"
import { FXSAVE_SIZE, SOFTWARE } from "../Abi/ExtendedState.ts"
import { PR_TSC_ENABLE, PR_TSC_SIGSEGV } from "../Abi/Prctl.ts"
import { Reg, type Registers } from "../Abi/Registers.ts"
import { SIGSEGV, SIGTRAP } from "../Abi/Signal.ts"
import { ThreadMeter, threadCpuTime } from "./HostUsage.ts"
import { debugRegistersOfGuest } from "./GuestDebug.ts"
import { KeptEvent, killedOutcome, syscallOutcome } from "./KeptEvent.ts"
import { bind } from "./Native.ts"
import {
  type DebugRegisters,
  type PlatformContext,
  PlatformFailed,
  type SwitchOutcome,
  type SyscallHandler,
  type ThreadUsage
} from "./Platform.ts"
import { Request } from "./Slots.ts"
import { systrapBase } from "./SystrapLayout.ts"
import { slotAddress } from "./SystrapRegion.ts"
import { type Debtor } from "./SystrapPatience.ts"
import { type Runner } from "./SystrapSource.ts"
import { type Host, newSpace, type SystrapSpace } from "./SystrapSpace.ts"
import { failed, request } from "./TracerRequest.ts"
import { SystrapThread } from "./SystrapThread.ts"

const interruptNative = bind<[pid: number, tid: number], number>("int sentry_tracer_interrupt(int pid, int tid)")

/** What the processor says of registers it doesn't load. */
const unloadable = Effect.succeed<SwitchOutcome>({
  _tag: "Fault",
  signal: SIGSEGV,
  code: 0x80,
  address: 0n,
  access: "unknown"
})

/** One call in so many, of whichever thread, is timed: seldom enough to cost nothing, and a prime, so that no loop is in step. */
const TIMED_ONE_IN = 61

/** How long a thread waits awake at most, about, ms: GUEST_SPIN looks. */
const AWAKE = 0.03

const NANOS_PER_MS = 1e6

export class SystrapContext implements PlatformContext, Runner, Debtor {
  readonly addressSpace: SystrapSpace
  readonly thread: SystrapThread
  readonly registers: Registers
  readonly tid: number
  readonly debugRegisters: DebugRegisters
  index = 0
  readonly #host: Host
  #state: "born" | "stopped" | "running" | "parked" | "interrupting" | "commanded" | "dead" = "born"
  /** Its handler has said that the call waits. */
  #parks = false
  #released = false
  #onBorn: (() => void) | undefined
  /** Owner: the fiber in `switch`. */
  #handler: SyscallHandler = () => false
  #resume: (outcome: Effect.Effect<SwitchOutcome>) => void = () => undefined
  #onInterrupted: () => void = () => undefined
  readonly #kept = new KeptEvent()
  readonly #meter: ThreadMeter
  /** How long calls of the thread were being answered, about, ms: it waits for that awake, in the host's user mode. */
  #answering = 0
  /** Whether its reading the time-stamp counter is a fault, though the host's threads may. */
  #trapsCounter = false

  /** A thread that is about to make its first report. */
  constructor(addressSpace: SystrapSpace, slot: number, tid: number) {
    this.#host = addressSpace.host
    this.addressSpace = addressSpace
    this.thread = new SystrapThread(
      addressSpace.region,
      slot,
      addressSpace.host.bells,
      addressSpace.writeNow,
      addressSpace.writeForced,
      addressSpace.host.extendedState.features
    )
    this.registers = this.thread.registers
    this.tid = tid
    const { host, service } = addressSpace
    this.debugRegisters = debugRegistersOfGuest(host.tracer, service, tid, systrapBase)
    this.#meter = new ThreadMeter(tid)
    addressSpace.contexts.add(this)
    this.#host.source.add(this)
    this.#host.placement.onThread(addressSpace.pid, tid)
  }

  /** Done when the thread has reported, or has died. */
  readonly birth: Effect.Effect<void> = Effect.uninterruptible(
    Effect.callback<void>((resume) => {
      if (this.#state !== "born") return resume(Effect.void)
      this.#onBorn = () => resume(Effect.void)
      this.#host.patience.add(this)
      this.#host.pump.hold()
    })
  )

  readonly hostIds = () => ({ pid: this.addressSpace.pid, tid: this.tid })

  hasEvent(): boolean {
    return this.thread.hasEvent()
  }

  readonly switch = (handler: SyscallHandler): Effect.Effect<SwitchOutcome, PlatformFailed> =>
    Effect.callback<SwitchOutcome>((resume) => {
      if (this.#state === "dead" || this.#released) return resume(killedOutcome)
      const kept = this.#kept.take(handler)
      if (kept !== undefined) return resume(kept)
      if (!this.thread.isLoadable()) return resume(unloadable)
      this.#state = "running"
      this.#handler = handler
      this.#resume = resume
      this.#host.source.add(this)
      this.thread.reply(this.#host.source.hasSuccession)
      this.#host.source.tell()
      this.#host.pump.hold()
      return this.#interrupt
    })

  /** Stops the thread if it runs; done when it has. */
  readonly #interrupt: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#state === "interrupting") {
      const before = this.#onInterrupted
      this.#onInterrupted = () => {
        before()
        resume(Effect.void)
      }
      return
    }
    if (this.#state === "parked") this.#state = "stopped"
    if (this.#state !== "running") return resume(Effect.void)
    this.#state = "interrupting"
    this.#onInterrupted = () => resume(Effect.void)
    if (interruptNative(this.addressSpace.pid, this.tid) < 0) return this.onKilled() // it has ended itself
    this.#host.patience.add(this)
    this.#host.pump.hold()
  })

  onEvent(): boolean {
    const { thread } = this
    const kind = thread.take()
    if (this.#state === "running") {
      if (kind === "call") {
        if (!thread.fast) this.#considerPatch()
        return this.#answer(this.#handle())
      }
      if (kind === "vsyscall") return this.#answer(this.#handle())
      if (kind !== "fault") return this.#goOn() // an interrupt that came too late, or nothing
      this.#finish(Effect.succeed(thread.fault()))
    } else if (this.#state === "interrupting") {
      this.#undo(kind)
      this.#stopped()
      this.#onInterrupted()
    } else if (this.#state === "born" || this.#state === "commanded") {
      this.#stopped()
      this.#onBorn?.()
    }
    return false
  }

  /** Runs the handler, which may have the thread copy. */
  #handle(): boolean {
    if (--this.#host.untilTimed > 0) return this.#answerBy(this.#handler)
    return this.#timed()
  }

  #answerBy(handler: SyscallHandler): boolean {
    this.addressSpace.caller = this.thread
    const answered = handler()
    this.addressSpace.caller = undefined
    return answered
  }

  /** Now and then a handler is timed, for all the calls that are not. */
  #timed(): boolean {
    this.#host.untilTimed = TIMED_ONE_IN
    const start = performance.now()
    const answered = this.#answerBy(this.#handler)
    this.#answering += Math.min(performance.now() - start, AWAKE) * TIMED_ONE_IN
    return answered
  }

  isRunning(): boolean {
    return this.#state === "running" || this.#state === "interrupting"
  }

  #considerPatch(): void {
    const { patch, pid, service } = this.addressSpace
    const returnAddress = this.registers.ulong(Reg.rip)
    if (!patch.count(returnAddress)) return
    if (this.addressSpace.isQuietBut(this)) patch.patch(pid, service, returnAddress, this.registers.uint(Reg.orig_rax))
    else patch.postpone(returnAddress)
  }

  readonly mayPushFrame = (address: number, length: number): boolean =>
    this.thread.pushesFrames && this.#host.pushesFrames && this.addressSpace.mayWriteLater(address, length)

  readonly pushFrame = (address: number, frame: Uint8Array, stateOffset: number): boolean =>
    this.mayPushFrame(address, frame.length) && this.thread.pushFrame(address, frame, stateOffset)

  readonly watch = (address: number): void => this.thread.watch(address)

  /** Has the stopped thread do something in its stub; done when it has reported, or is dead. */
  #command(start: () => void): Effect.Effect<void> {
    return Effect.uninterruptible(
      Effect.callback<void>((resume) => {
        if (this.#state !== "stopped") return resume(Effect.void)
        this.#state = "commanded"
        this.#onBorn = () => resume(Effect.void)
        this.#host.source.add(this)
        this.#host.patience.add(this)
        start()
        this.#host.source.tell()
        this.#host.pump.hold()
      })
    )
  }

  /** Makes sure that the stopped thread has a signal frame, and in it its extended state. */
  readonly #frame: Effect.Effect<void> = Effect.suspend(() =>
    this.thread.fast ? this.#command(() => this.thread.requestFrame()) : Effect.void
  )

  readonly trapCounter = (traps: boolean): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (this.#trapsCounter === traps) return Effect.void
      this.#trapsCounter = traps
      return Effect.andThen(
        this.#frame,
        this.#command(() => this.thread.setCounter(traps ? PR_TSC_SIGSEGV : PR_TSC_ENABLE))
      )
    })

  /** After the handler, which may have interrupted the very fiber that runs this thread. */
  #answer(answered: boolean): boolean {
    const parks = this.#parks
    this.#parks = false
    if (this.#isInterrupting()) {
      if (!answered && !parks) this.#kept.keep(syscallOutcome)
      this.#stopped()
      this.#onInterrupted()
      return false
    }
    if (answered) return this.#goOn()
    if (!parks) this.#finish(syscallOutcome)
    else {
      this.#stopped()
      this.#state = "parked"
    }
    return false
  }

  readonly mayPark = (): boolean => this.#state === "running"

  readonly park = (): void => {
    this.#parks = true
  }

  readonly glimpse = (address: number): number | undefined =>
    this.addressSpace.caller === this.thread ? this.thread.glimpse(address) : undefined

  readonly retry = (handler: SyscallHandler): void => {
    if (this.#state !== "parked") return
    this.#state = "running"
    this.#host.source.add(this)
    this.thread.forgetPrefetched()
    this.#answer(this.#answerBy(handler))
    this.#host.source.tell()
    this.#host.pump.hold()
  }

  #goOn(): boolean {
    if (this.thread.isLoadable()) {
      this.thread.reply(this.#host.source.hasSuccession)
      return true
    }
    this.#finish(unloadable)
    return false
  }

  #isInterrupting(): boolean {
    return this.#state === "interrupting"
  }

  #stopped(): void {
    this.#host.patience.delete(this)
    this.#state = "stopped"
    this.#host.source.remove(this) // first, or the thread would take itself for somebody else who wants the CPU
    this.thread.taken()
    this.#host.source.tell() // whom it is to wake wants the CPU, too
  }

  #finish(outcome: Effect.Effect<SwitchOutcome>): void {
    this.#stopped()
    this.#resume(outcome)
  }

  /** The thread is gone. */
  onKilled(): void {
    const before = this.#state
    if (before === "dead") return
    if (before !== "stopped" && before !== "parked") this.#stopped()
    this.#state = "dead"
    if (before === "running" || before === "parked") this.#resume(killedOutcome)
    else if (before === "interrupting") this.#onInterrupted()
    else if (before === "born" || before === "commanded") this.#onBorn?.()
  }

  /**
   * An interrupted thread stopped otherwise just before: as on the ptrace platform, the event must not have happened.
   * The signal is still pending, and reported, as a stray, when the thread goes on.
   */
  #undo(kind: string): void {
    if (kind === "vsyscall") this.#kept.keepCall()
    else if (kind === "call") {
      const { registers } = this
      registers.words[Reg.rip]! -= 2n // every instruction that makes a system call has two bytes
      registers.set(Reg.rax, this.thread.nr)
      registers.set(Reg.orig_rax, -1) // it is in no system call
    } else if (kind === "fault") {
      const fault = this.thread.fault()
      if (fault.signal === SIGTRAP) this.#kept.keep(Effect.succeed(fault))
    }
  }

  readonly i386Call = (): number | undefined => (this.thread.isI386 ? this.thread.nr : undefined)

  readonly readExtendedState: Effect.Effect<Uint8Array, PlatformFailed> = Effect.suspend(() =>
    this.thread.fast ? Effect.andThen(this.#frame, this.#readExtendedState) : this.#readExtendedState
  )

  readonly extendedStateNow = (): Uint8Array | undefined => (this.thread.fast ? undefined : this.#imageInFrame())

  readonly #readExtendedState: Effect.Effect<Uint8Array> = Effect.sync(() => this.#imageInFrame().slice())

  /** Scratch: the next one, of whichever thread, takes its place. */
  #imageInFrame(): Uint8Array {
    const { features, image, offset, size } = this.#host.extendedState
    const frame = this.thread.extendedState(offset, size)
    if (frame.length === 0) return frame // the platform is closed
    const bytes = new Uint8Array(image.buffer)
    bytes.set(frame)
    bytes.fill(0, SOFTWARE, FXSAVE_SIZE)
    if (size > FXSAVE_SIZE) image.setBigUint64(SOFTWARE, features, true)
    return bytes
  }

  readonly writeExtendedState = (state: Uint8Array): Effect.Effect<void, PlatformFailed> =>
    Effect.map(this.#frame, () => this.#setImageInFrame(state))

  readonly setExtendedStateNow = (state: Uint8Array): boolean => {
    if (this.thread.fast) return false
    this.#setImageInFrame(state)
    return true
  }

  #setImageInFrame(state: Uint8Array): void {
    const { offset, size } = this.#host.extendedState
    const frame = this.thread.extendedState(offset, size)
    if (frame.length === 0) return // the platform is closed
    frame.set(state.subarray(0, SOFTWARE))
    frame.set(state.subarray(FXSAVE_SIZE, size), FXSAVE_SIZE)
  }

  readonly clone = (addressSpace: "share" | "copy"): Effect.Effect<PlatformContext, PlatformFailed> =>
    Effect.uninterruptible(
      Effect.gen({ self: this }, function* () {
        const host = this.#host
        yield* this.#frame
        if (this.#state === "dead") return yield* failed("clone", ESRCH)
        const { service } = this.addressSpace
        const space =
          addressSpace === "share"
            ? this.addressSpace
            : yield* newSpace(
                host,
                (block) => {
                  block.start(Request.clone, service)
                  block.setFlags(1)
                },
                this.addressSpace
              )
        const context = yield* newThread(space)
        yield* context.trapCounter(this.#trapsCounter)
        context.registers.restore(this.registers.words)
        const { offset, size } = host.extendedState
        const frame = context.thread.extendedState(offset, size)
        if (frame.length > 0) frame.set(this.thread.extendedState(offset, size))
        return context
      })
    )

  readonly cpuTime = (): bigint => threadCpuTime(this.tid)

  readonly usage = (): ThreadUsage => this.#meter.read(BigInt(Math.round(this.#answering * NANOS_PER_MS)))

  readonly release: Effect.Effect<void> = Effect.uninterruptible(
    Effect.suspend(() => {
      if (this.#released) return Effect.void
      return Effect.andThen(
        this.#interrupt,
        Effect.suspend(() => {
          if (this.#released) return Effect.void
          this.#released = true
          const space = this.addressSpace
          space.contexts.delete(this)
          if (space.contexts.size === 0) return space.end
          if (this.#state === "stopped") {
            this.thread.exit()
            space.region.giveBack(this.thread.slot)
          }
          return Effect.void
        })
      )
    })
  )
}

/** A new thread in the address space, stopped. */
export const newThread = Effect.fnUntraced(function* (
  space: SystrapSpace
): Effect.fn.Return<SystrapContext, PlatformFailed> {
  const { host, region } = space
  const slot = space.dead ? undefined : region.take()
  if (slot === undefined) return yield* failed("make a thread: no more slots", ENOMEM)
  let context: SystrapContext | undefined
  const result = yield* request(
    host,
    (block) => {
      block.start(Request.thread, space.service)
      block.setData(new Uint8Array(0), slotAddress(slot))
    },
    (tid) => {
      if (tid > 0) context = new SystrapContext(space, slot, tid)
    }
  )
  if (context === undefined) {
    region.giveBack(slot, true)
    if (space.contexts.size === 0) yield* space.end
    return yield* failed("make a thread", -result)
  }
  yield* context.birth
  return context
})
