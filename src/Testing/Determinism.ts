/**
 * A sandbox whose runs depend on nothing but what it is given: the program, its files, a seed, and the scheduler's
 * decisions. Time is virtual (VirtualTime.ts), randomness comes from the seed, one guest thread runs at a time
 * (Turns.ts), and the machine is always the same.
 *
 * docs/determinism.md says what is controlled and what is not.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type { Kernel } from "../Kernel.ts"
import type { Platform, PlatformChoice, PlatformFailed } from "../Platform/Platform.ts"
import * as PtracePlatform from "../Platform/PtracePlatform.ts"
import * as SystrapPlatform from "../Platform/SystrapPlatform.ts"
import type { Controls } from "../Sentry/Sandbox.ts"
import { RunQueue } from "../Sync/RunQueue.ts"
import { VirtualTime } from "../Time/VirtualTime.ts"
import { seededEntropy } from "./Randomness.ts"
import { Scheduler } from "./Scheduler.ts"
import { Turns, type TurnsOptions } from "./Turns.ts"

/** What programs see of the machine. */
const MACHINE = {
  cpuCount: 2,
  memory: { total: 4 * 2 ** 30, free: 2 * 2 ** 30 },
  disk: { blocks: 2 ** 24, blocksFree: 2 ** 23, blocksAvailable: 2 ** 23, files: 2 ** 22, filesFree: 2 ** 21 }
}

/** 2026-01-01T00:00:00Z, nanoseconds since 1970. */
export const DEFAULT_START = 1_767_225_600_000_000_000n

export interface DeterminismOptions {
  /** Of all randomness but the scheduler's. */
  readonly seed: number
  /** CLOCK_REALTIME at the beginning, nanoseconds since 1970. Default: DEFAULT_START. */
  readonly start?: bigint
  /** A task computed for long while others waited: from now on, the run depends on the host's speed. */
  readonly onSpin?: (task: number) => void
  readonly limits?: TurnsOptions["limits"]
  readonly onEnd?: TurnsOptions["onEnd"]
}

/** What to build a deterministic kernel from. For one kernel. */
export interface Determinism {
  readonly turns: Turns
  readonly time: VirtualTime
  readonly runQueue: RunQueue
  readonly controls: Controls
  readonly platform: (platform: Layer.Layer<Platform, PlatformFailed>) => Layer.Layer<Platform, PlatformFailed>
  /** To be called once the kernel has been made, before its first program is started. */
  readonly attach: (kernel: Kernel) => void
  /** To be called once it has been started: nothing runs before. */
  readonly begin: () => void
}

/** A platform for programs of the host's that shows nobody the processor's counter. "auto": ptrace, which works on more hosts. */
export const platformLayer = (
  choice: PlatformChoice,
  options: SystrapPlatform.Options = {}
): Layer.Layer<Platform, PlatformFailed> =>
  choice === "systrap"
    ? SystrapPlatform.layerWith({ ...options, counter: "trapped" })
    : PtracePlatform.layerWith({ counter: "trapped" })

export const make = Effect.fnUntraced(function* (
  options: DeterminismOptions
): Effect.fn.Return<Determinism, never, Scheduler> {
  const scheduler = yield* Scheduler
  const time = new VirtualTime(options.start ?? DEFAULT_START)
  const { limits, onEnd, onSpin } = options
  const runQueue = new RunQueue()
  const wake = (): void => runQueue.schedule(() => {})
  const turns = new Turns({
    wake,
    scheduler,
    time,
    ...(onSpin === undefined ? {} : { onSpin }),
    ...(limits === undefined ? {} : { limits }),
    ...(onEnd === undefined ? {} : { onEnd })
  })
  runQueue.idle = turns.idle
  const attach = ({ system: { taskSet } }: Kernel): void => {
    turns.threads = {
      identify: (context, known) => {
        if (taskSet.tasks.get(known)?.context === context) return known
        for (const task of taskSet.tasks.values()) if (task.context === context) return task.tid
        return 0
      },
      interrupt: (task) => taskSet.tasks.get(task)?.interrupt()
    }
  }
  const controls = { timekeeper: time, runQueue, entropy: seededEntropy(options.seed), machine: MACHINE }
  const begin = (): void => {
    turns.begin()
    wake() // it may have come to rest already
  }
  return { turns, time, runQueue, controls, platform: (platform) => turns.layer(platform), attach, begin }
})
