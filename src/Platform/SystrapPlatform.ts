/**
 * The fast platform: guests' system calls are trapped by seccomp inside their own process and answered through shared
 * memory, without a system call of either side where both are awake.
 *
 * An address space is a copy of a zygote, as on the ptrace platform, but the thread that the tracer holds, its *service
 * thread*, never runs guest code: it makes the mapping changes, and its death is the address space's. Guest threads
 * are its clones and not traced. A seccomp filter traps their system calls (SIGSYS), native/systrapcode.c puts the
 * registers into the thread's slot and waits for the reply there. Interrupts are a signal with the same handler.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { FXSAVE_SIZE, SOFTWARE } from "../Abi/ExtendedState.ts"
import { Reg } from "../Abi/Registers.ts"
import { processors } from "./HostUsage.ts"
import { CopyHints, FrameHint } from "./CopyHints.ts"
import { isCounterSteady } from "./HostCounter.ts"
import { hostBarrier } from "./HostBarrier.ts"
import { mxcsrMaskOf } from "./MxcsrMask.ts"
import { bind, view } from "./Native.ts"
import { Platform, PlatformFailed } from "./Platform.ts"
import { AfterBatch, SharedPump } from "./Pump.ts"
import { Request } from "./Slots.ts"
import { copies, notice, orderPageSize, stackEnd, systrapBase } from "./SystrapLayout.ts"
import { newThread, type SystrapContext } from "./SystrapContext.ts"
import { ringAt, SystrapBells } from "./SystrapBells.ts"
import { SystrapPatience } from "./SystrapPatience.ts"
import { SystrapPlacement } from "./SystrapPlacement.ts"
import { SystrapSource } from "./SystrapSource.ts"
import { type Host, newSpace, type SystrapSpace } from "./SystrapSpace.ts"
import { startFailure } from "./StartFailure.ts"
import { startTracer, Tracer } from "./Tracer.ts"

const pickCpu = bind<[], number>("int sentry_cpu_pick()")
const partNative = bind<[cpu: number, back: number], number>("int sentry_systrap_part(int cpu, int back)")
const sliceNative = bind<[sharing: number], void>("void sentry_systrap_slice(int sharing)")

/** Where the guests run. */
export interface Options {
  /** The CPU that the tracer and all guest threads share; by default one is chosen. "none": any. */
  readonly cpu?: number | "none"
  /** As on the ptrace platform. */
  readonly counter?: "native" | "trapped"
  /** Whether hot call sites are patched; by default they are. */
  readonly patch?: boolean
}

/** How often a guest thread looks for its answer before it sleeps, where there is another CPU to answer on. */
const GUEST_SPIN = 3000

const open = Effect.fnUntraced(function* (options: Options, counter: "native" | "trapped") {
  const afterBatch = yield* AfterBatch
  const sharedPump = yield* SharedPump
  let cpu = -1
  const started = yield* Effect.try({
    try: () => {
      cpu = options.cpu === "none" ? -1 : (options.cpu ?? pickCpu())
      return startTracer(cpu, processors > 1, "systrapstub", counter)
    },
    catch: (cause) => new PlatformFailed({ operation: "load the native library", errno: 0, detail: String(cause) })
  })
  if (!("started" in started)) return yield* startFailure("systrap", "systrapstub", started.errno, started.stage)
  const handle = started.started
  const tracer = new Tracer(handle)
  const orderPage = view(handle.ordersAddress, orderPageSize)
  const bells = new SystrapBells(orderPage, ringAt(handle.ordersAddress))
  const source = new SystrapSource(tracer, orderPage, bells, processors, processors > 1 ? GUEST_SPIN : 0, afterBatch)
  const pump = sharedPump.add(source, handle.wakeFd, afterBatch)
  const parted = partNative(cpu, 0) === 1
  const spaces = new Set<SystrapSpace>()
  const placement = new SystrapPlacement(
    cpu,
    {
      get running() {
        return source.running
      },
      get events() {
        return source.events
      },
      threads: function* () {
        for (const space of spaces) for (const context of space.contexts) yield context.hostIds()
      }
    },
    (spread) => {
      source.spread = spread
      partNative(cpu, spread ? 1 : 0)
      sliceNative(spread ? 1 : 0)
    }
  )
  if (parted) source.onSeveral = () => placement.watch()
  const host: Host = {
    tracer,
    source,
    bells,
    pump,
    patience: new SystrapPatience(),
    placement,
    spaces,
    patches: options.patch !== false,
    copyHints: yield* CopyHints,
    pushesFrames: false,
    untilTimed: 0,
    extendedState: { offset: 0, size: 0, features: 0n, mxcsrMask: 0, image: new DataView(new ArrayBuffer(0)) }
  }
  return { host, orderPage, cpu: parted ? cpu : -1 }
})

const close = ({ host, orderPage, cpu }: Effect.Success<ReturnType<typeof open>>): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    host.tracer.close(() => {
      host.placement.close()
      partNative(cpu, 1)
      host.pump.close()
      host.patience.close()
      for (const space of [...host.spaces]) space.forget()
      orderPage.transfer()
      host.tracer.free()
      resume(Effect.void)
    })
    host.pump.hold()
  })

/** Reads off the first frame where the host puts the extended state: `struct _fpx_sw_bytes` says how much there is. */
const learnExtendedState = (host: Host, probe: SystrapContext): boolean => {
  const offset = probe.thread.extendedStateOffset
  const frame = probe.thread.extendedState(offset, stackEnd - offset)
  if (frame.length < FXSAVE_SIZE) return false
  const software = new DataView(frame.buffer, frame.byteOffset + SOFTWARE)
  const features = software.getBigUint64(8, true)
  const size = software.getUint32(16, true)
  const mxcsrMask = mxcsrMaskOf(frame)
  host.extendedState = { offset, size, features, mxcsrMask, image: new DataView(new ArrayBuffer(size)) }
  return size >= FXSAVE_SIZE && offset + size <= stackEnd
}

const make = Effect.fnUntraced(function* (options: Options) {
  const counter = options.counter ?? (isCounterSteady() ? "native" : "trapped")
  const { host, orderPage } = yield* Effect.acquireRelease(open(options, counter), close)
  const makeContext = Effect.uninterruptible(
    Effect.gen(function* () {
      const space = yield* newSpace(host, (block) => block.start(Request.create, 0))
      const context = yield* newThread(space)
      context.registers.words.fill(0n)
      context.registers.set(Reg.cs, 0x33)
      context.registers.set(Reg.ss, 0x2b)
      context.registers.set(Reg.eflags, 0x202)
      return context
    })
  )
  const probe = yield* makeContext
  const learnt = learnExtendedState(host, probe)
  yield* probe.release
  if (!learnt) {
    const detail = "the signal frame has no extended state: use --platform ptrace"
    return yield* new PlatformFailed({ operation: "systrap platform: read the extended state", errno: 0, detail })
  }
  const { size, features, mxcsrMask } = host.extendedState
  const frame = (yield* FrameHint)(size)
  if (frame <= copies.size) {
    new Uint32Array(orderPage)[notice.frame >> 2] = frame
    host.pushesFrames = size > FXSAVE_SIZE
  }
  return Platform.of({
    name: "systrap",
    taskSize: systrapBase,
    extendedState: { size, features, mxcsrMask },
    makeContext,
    counter,
    memoryBarrier: hostBarrier()
  })
})

/** The fast platform with other than default options. Its scope's end kills every guest. */
export const layerWith = (options: Options): Layer.Layer<Platform, PlatformFailed> =>
  Layer.effect(Platform, make(options))

/** The fast platform. */
export const layer: Layer.Layer<Platform, PlatformFailed> = layerWith({})
