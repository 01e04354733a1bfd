/**
 * Runs programs written in TypeScript on the real kernel, to their end, synchronously: no host process, no host timer, no
 * native code. What happens depends on the programs and the seed alone.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type ExitStatus, waitStatus } from "../../src/Abi/Wait.ts"
import type { Kernel } from "../../src/Kernel.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../../src/Platform/SimulatedProcess.ts"
import { layer } from "../../src/Platform/SimulatedPlatform.ts"
import { type Choose, RunQueue } from "../../src/Sync/RunQueue.ts"
import type { SyscallObserver } from "../../src/Task/SyscallObserver.ts"
import { DEFAULT_START } from "../../src/Testing/Determinism.ts"
import { randomNumbers, seededEntropy } from "../../src/Testing/Randomness.ts"
import * as SimulatedKernel from "../../src/Testing/SimulatedKernel.ts"
import { VirtualTime } from "../../src/Time/VirtualTime.ts"
import { makePipeEnd } from "../../src/Vfs/PipeEnd.ts"

/** Jumps of the clock after which a simulation counts as one that never ends. */
const MAX_JUMPS = 100_000

/** Batches of the run queue after which a simulation counts as one that never ends. */
const MAX_BATCHES = 500

/** Turns that those get who have not ended with the first program: they were killed, and are on their way out. */
const MAX_TURNS = 10_000

export interface SimulationOptions {
  /** What the first program runs. */
  readonly main: Program
  /** What can be executed: /NAME. */
  readonly programs?: Readonly<Record<string, Program>>
  /** Chooses what runs next at random after every system call; without one everybody gets long turns, in order. */
  readonly seed?: number
  /** The same, by hand. */
  readonly choose?: Choose
  /** Runs beside the programs once the first has been started. */
  readonly beside?: (kernel: Kernel) => Effect.Effect<void>
  readonly observer?: SyscallObserver
  /** Whether it is all right that everybody waits for ever; else that throws. */
  readonly mayHang?: boolean
}

export interface Simulated {
  /** How the first program ended; undefined if nobody could ever run any more before that. */
  readonly exit: ExitStatus | undefined
  /** The same as wait(2) would report it; -1 if undefined. */
  readonly status: number
  /** What was written to descriptors 1 and 2. */
  readonly output: string
  /** CLOCK_MONOTONIC at the end, nanoseconds. */
  readonly time: bigint
  readonly kernel: Kernel | undefined
}

/** pipe(2) that does not fail: [reading end, writing end]. */
export const pipe = function* (sys: Guest): Steps<readonly [number, number]> {
  const ends = yield* sys.pipe()
  if (typeof ends === "number") throw new Error(`pipe: ${ends}`)
  return ends
}

/** Runs a sandbox until its first program has ended, or nothing can happen any more. */
export const simulate = (options: SimulationOptions): Simulated => {
  const random = options.seed === undefined ? undefined : randomNumbers(options.seed)
  const choose = options.choose ?? (random === undefined ? undefined : (count: number) => random() % count)
  const runQueue = new RunQueue(choose)
  const time = new VirtualTime(DEFAULT_START)
  const output: Array<Uint8Array> = []
  let kernel: Kernel | undefined

  const sandbox = Effect.gen(function* () {
    const programs = { ...options.programs, main: options.main }
    const made = yield* SimulatedKernel.make({
      names: Object.keys(programs),
      platform: layer({ programs, ...(choose === undefined ? {} : { slice: 1 }) }),
      timekeeper: time,
      entropy: seededEntropy(options.seed ?? 0),
      runQueue,
      ...(options.observer === undefined ? {} : { observer: options.observer })
    })
    kernel = made
    const stdout = makePipeEnd(made.system.anonymous, runQueue.schedule, "reads")
    const collect = Effect.gen(function* () {
      for (let chunk = yield* stdout.end.readChunk; chunk !== undefined; chunk = yield* stdout.end.readChunk)
        output.push(chunk)
    })
    const collecting = yield* Effect.forkScoped(collect)
    yield* made.start({
      path: "/main",
      argv: ["main"],
      envp: [],
      cwd: "/",
      stdio: [undefined, stdout.guest, stdout.guest.retain()]
    })
    if (options.beside !== undefined) yield* Effect.forkScoped(options.beside(made))
    const exit = yield* made.exitStatus
    const { tasks } = made.system.taskSet
    for (let left = MAX_TURNS; left > 0 && (tasks.size > 0 || collecting.pollUnsafe() === undefined); left--)
      yield* Effect.yieldNow
    return exit
  })
  const fiber = Effect.runFork(Effect.scoped(sandbox), { scheduler: runQueue })
  let jumps = 0
  let batches = 0
  const settle = (): void => {
    while (runQueue.drain()) if (batches++ > MAX_BATCHES) throw new Error("nothing ever comes to rest")
  }
  do settle()
  while (fiber.pollUnsafe() === undefined && jumps++ < MAX_JUMPS && time.advance())
  const result = fiber.pollUnsafe()
  if (result === undefined) fiber.interruptUnsafe()
  settle()
  if (result === undefined && options.mayHang !== true) throw new Error("everybody waits, and for nothing")
  if (result !== undefined && Exit.isFailure(result)) throw new Error(String(result.cause))
  return {
    exit: result?.value,
    status: result === undefined ? -1 : waitStatus(result.value),
    output: Buffer.concat(output).toString(),
    time: time.monotonic(),
    kernel
  }
}
