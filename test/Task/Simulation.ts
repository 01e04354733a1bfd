/**
 * Runs programs written in TypeScript on the real kernel, to their end, synchronously: no host process, no host timer, no
 * native code. What happens depends on the programs and the seed alone.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type ExitStatus, waitStatus } from "../../src/Abi/Wait.ts"
import { O_CREAT, O_WRONLY } from "../../src/Abi/OpenFlags.ts"
import * as Kernel from "../../src/Kernel.ts"
import type { Guest } from "../../src/Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../../src/Platform/SimulatedProcess.ts"
import { imageOf, layer } from "../../src/Platform/SimulatedPlatform.ts"
import { type Choose, RunQueue } from "../../src/Sync/RunQueue.ts"
import type { SyscallObserver } from "../../src/Task/SyscallObserver.ts"
import { VirtualTime } from "../../src/Time/VirtualTime.ts"
import type { Credentials } from "../../src/Vfs/Credentials.ts"
import { FsContext } from "../../src/Vfs/FsContext.ts"
import { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import { makePipeEnd } from "../../src/Vfs/PipeEnd.ts"
import { firstUserNamespace } from "../../src/Vfs/UserNamespace.ts"

const ALL = (1n << 41n) - 1n

/** The superuser. */
export const root: Credentials = {
  userNamespace: firstUserNamespace,
  ruid: 0,
  euid: 0,
  suid: 0,
  fsuid: 0,
  rgid: 0,
  egid: 0,
  sgid: 0,
  fsgid: 0,
  groups: [],
  effective: ALL,
  permitted: ALL,
  inheritable: 0n,
  bounding: ALL,
  ambient: 0n
}

/** mulberry32: pseudo-random numbers from 0 to 2^32 - 1. */
export const randomNumbers = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** 2026-01-01T00:00:00Z, nanoseconds. */
export const START = 1_767_225_600_000_000_000n

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
  readonly beside?: (kernel: Kernel.Kernel) => Effect.Effect<void>
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
  readonly kernel: Kernel.Kernel | undefined
}

/** Puts an executable file at `path`. */
const install = ({ system: { vfs } }: Kernel.Kernel, path: string, name: string): void => {
  const caller = { fs: new FsContext(vfs.root, vfs.root, 0), credentials: root, tid: 0, threadGroup: { tgid: 0 } }
  const file = vfs.open(caller, vfs.root, path, O_CREAT | O_WRONLY, 0o755)
  if (!(file instanceof OpenFileDescription)) throw new Error(`cannot install ${path}`)
  file.write(imageOf(name))
  file.release()
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
  const time = new VirtualTime(START)
  const bytes = randomNumbers(options.seed ?? 0)
  const output: Array<Uint8Array> = []
  let kernel: Kernel.Kernel | undefined

  const sandbox = Effect.gen(function* () {
    const programs = { ...options.programs, main: options.main }
    const made = yield* Kernel.make({
      platform: layer({ programs, ...(choose === undefined ? {} : { slice: 1 }) }),
      mounts: { root: { _tag: "Empty" }, binds: [] },
      credentials: root,
      timekeeper: time,
      entropy: { fill: (into) => into.forEach((_, index) => (into[index] = bytes())) },
      runQueue,
      ...(options.observer === undefined ? {} : { observer: options.observer })
    })
    kernel = made
    for (const name of Object.keys(programs)) install(made, `/${name}`, name)
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
