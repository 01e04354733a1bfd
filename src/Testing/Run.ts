/**
 * One run of a program under a plan, in a sandbox that nothing else reaches: what came out, and what happened.
 *
 * The program is a real one of the host's, or one written in TypeScript that runs on the simulated platform. Its standard
 * streams are pipes of the sandbox, so that when bytes come and go is part of the run, not of the host.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import { signalName } from "../Abi/Signal.ts"
import { sysnoNames } from "../Abi/Sysno.ts"
import * as SimulatedPlatform from "../Platform/SimulatedPlatform.ts"
import type { PlatformChoice } from "../Platform/Platform.ts"
import type { Program } from "../Platform/SimulatedProcess.ts"
import * as Sandbox from "../Sentry/Sandbox.ts"
import { StraceObserver } from "../Syscalls/Strace.ts"
import * as TraceFilter from "../Syscalls/TraceFilter.ts"
import type { SyscallObserver } from "../Task/SyscallObserver.ts"
import type { Task } from "../Task/Task.ts"
import { type PipeEnd, makePipeEnd } from "../Vfs/PipeEnd.ts"
import * as Determinism from "./Determinism.ts"
import { FaultInjector } from "./FaultInjector.ts"
import { contentsOf, type FileTree, readTree } from "./FileTree.ts"
import { type Plan, recorded, strategyOf, uneventful } from "./Plan.ts"
import { Scheduler, type Strategy } from "./Scheduler.ts"
import { type Decision, recording } from "./Schedulers.ts"
import * as SimulatedKernel from "./SimulatedKernel.ts"
import { SimulationFailed } from "./SimulationFailed.ts"

/** A program of the host's. */
export interface Command {
  readonly command: string
  readonly args?: ReadonlyArray<string>
  /** What the program gets; nothing of the caller's environment but PATH. */
  readonly env?: Readonly<Record<string, string>>
  /** Default: the working directory; with a `rootfs`, /. */
  readonly cwd?: string
}

/** The directory that a command starts in. */
export const directoryOf = ({ cwd }: Command, { rootfs }: Pick<RunOptions, "rootfs">): string =>
  cwd ?? (rootfs === undefined ? process.cwd() : "/")

/** What is run. */
export type Subject = Command | Program

/** A system call that returned. */
export interface CallEvent {
  readonly task: number
  /** comm of the task. */
  readonly program: string
  readonly name: string
  /** Its result, or -errno. */
  readonly result: number
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly time: bigint
}

export interface RunOptions {
  /** Default: nobody is interrupted, and nothing goes wrong. */
  readonly plan?: Plan
  /** In place of the plan's schedule. */
  readonly scheduler?: Strategy
  /** Arguments after those of the command. */
  readonly args?: ReadonlyArray<string>
  readonly stdin?: string
  /** Which platform runs a command. Default: ptrace. */
  readonly platform?: Exclude<PlatformChoice, "auto">
  /** Host directory that becomes /. Default for commands: the host's own. Changes stay in memory. */
  readonly rootfs?: string
  readonly mounts?: ReadonlyArray<Sandbox.Mount>
  /** TypeScript programs that a TypeScript program can execute, as /NAME. */
  readonly programs?: Readonly<Record<string, Program>>
  /** Virtual time after which the run is over, ms. Default: an hour. */
  readonly timeout?: number
  /** Steps after which it is over. Default: a million. */
  readonly maxSteps?: number
  /** Directories of the sandbox whose contents at the end are part of the result. */
  readonly keep?: ReadonlyArray<string>
  /** What must hold after every call. */
  readonly always?: Readonly<Record<string, (event: CallEvent) => boolean>>
  /** What should hold after some call of some run. */
  readonly sometimes?: Readonly<Record<string, (event: CallEvent) => boolean>>
  /** Calls, in the language of strace's -e trace=, of which some run should make one. */
  readonly reachable?: Readonly<Record<string, string>>
}

/** How a run ended. */
export type Ended =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Signaled"; readonly signal: string }
  /** Everybody waits for somebody else: a deadlock, or a wait for what never comes. */
  | { readonly _tag: "Stuck" }
  /** Too much virtual time, or too many steps. */
  | { readonly _tag: "TimedOut" }

export interface Run {
  readonly exit: Ended
  readonly stdout: string
  readonly stderr: string
  /** What is at and below `keep`. */
  readonly tree: FileTree
  /** Contents of the regular files among that, by path. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Every system call, signal and exit as strace prints them; what a fault changed is marked INJECTED. */
  readonly trace: Stream.Stream<string>
  readonly lines: ReadonlyArray<string>
  /** The decisions that were not what the rule says: with them, the plan's schedule is not needed. */
  readonly decisions: ReadonlyArray<Decision>
  /** The faults that happened, in words. */
  readonly injected: ReadonlyArray<string>
  /** What did not hold, of `always`, with the line of the trace after which it did not. */
  readonly violations: ReadonlyArray<{ readonly name: string; readonly line: number }>
  /** What held at least once, of `sometimes`, and was reached, of `reachable`. */
  readonly seen: ReadonlySet<string>
  readonly steps: number
  /** How often there was a choice of who runs. */
  readonly points: number
  /** Virtual ms that it took. */
  readonly millis: number
  /** A task span while others waited: the run depended on the host. */
  readonly isReliable: boolean
}

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
const HOUR = 3_600_000
const MILLION = 1_000_000
/** How long the host may take for a run, seconds. */
const PATIENCE = 120

/** Collects what happens. */
class Recorder {
  readonly #text: Array<string> = []
  readonly injected: Array<string> = []
  readonly violations: Array<{ readonly name: string; readonly line: number }> = []
  readonly seen = new Set<string>()
  readonly strace = new StraceObserver({ pids: "always", write: (text) => this.#text.push(text) })
  /** Of calls that have not returned, by task. */
  readonly #notes = new Map<number, string>()
  readonly #options: RunOptions
  readonly #now: () => bigint
  readonly #reachable: ReadonlyArray<readonly [claim: string, filter: TraceFilter.TraceFilter]>

  /** Throws for a bad filter. */
  constructor(options: RunOptions, now: () => bigint) {
    this.#options = options
    this.#now = now
    this.#reachable = Object.entries(options.reachable ?? {}).map(([claim, calls]) => {
      const filter = TraceFilter.parse(calls)
      if (typeof filter !== "function") throw new Error(`reachable: ${filter.reason}`)
      return [claim, filter] as const
    })
  }

  readonly onInject = (task: Task, words: string): void => {
    this.injected.push(words)
    this.#notes.set(task.tid, words)
  }

  get lines(): ReadonlyArray<string> {
    this.strace.flush()
    const lines = this.#text.join("").split("\n")
    return lines.at(-1) === "" ? lines.slice(0, -1) : lines
  }

  readonly observer: SyscallObserver = {
    enter: (task, syscall, nr) => this.strace.enter(task, syscall, nr),
    exit: (task, syscall, nr, result) => {
      this.strace.exit(task, syscall, nr, result)
      this.#mark(task.tid)
      this.#judge(task, nr, result)
    },
    signal: (task, info) => this.strace.signal(task, info),
    exited: (task, status) => {
      this.strace.exited(task, status)
      this.#mark(task.tid)
    }
  }

  /** The line that has just been printed is that of a call with a fault. */
  #mark(tid: number): void {
    const note = this.#notes.get(tid)
    const last = this.#text.at(-1)
    if (note === undefined || last === undefined) return
    this.#notes.delete(tid)
    this.#text[this.#text.length - 1] = last.replace(/\n$/, ` (INJECTED: ${note})\n`)
  }

  #judge(task: Task, nr: number, result: number): void {
    const { always, sometimes } = this.#options
    if (always === undefined && sometimes === undefined && this.#reachable.length === 0) return
    const name = sysnoNames[nr] ?? `syscall_${nr}`
    for (const [claim, filter] of this.#reachable) if (filter(name)) this.seen.add(claim)
    const event: CallEvent = { task: task.tid, program: task.commandName, name, result, time: this.#now() }
    for (const [claim, holds] of Object.entries(always ?? {})) {
      if (!holds(event) && !this.violations.some((one) => one.name === claim))
        this.violations.push({ name: claim, line: this.lines.length })
    }
    for (const [claim, holds] of Object.entries(sometimes ?? {})) if (holds(event)) this.seen.add(claim)
  }
}

const collect = Effect.fnUntraced(function* (end: PipeEnd, into: Array<Uint8Array>) {
  for (let chunk = yield* end.readChunk; chunk !== undefined; chunk = yield* end.readChunk) into.push(chunk)
})

const nanosOf = (start: string): Effect.Effect<bigint, SimulationFailed> => {
  const millis = Date.parse(start)
  return millis >= 0
    ? Effect.succeed(BigInt(millis) * 1_000_000n)
    : Effect.fail(new SimulationFailed({ reason: `the plan's start '${start}' is no time since 1970` }))
}

/** In what `again` is not `first`, in words. */
export const differenceOf = (first: Run, again: Run): string | undefined => {
  const at = first.lines.findIndex((line, index) => again.lines[index] !== line)
  if (at >= 0 || again.lines.length !== first.lines.length) {
    const line = at < 0 ? first.lines.length : at
    return `differs at line ${line + 1}: '${again.lines[line] ?? ""}', not '${first.lines[line] ?? ""}'`
  }
  return again.stdout !== first.stdout || again.stderr !== first.stderr ? "has other output" : undefined
}

/** Over after so many seconds in which we could run: neither a host that was suspended counts nor the clock of a test. */
const patience = Effect.callback<void>((resume) => {
  let left = PATIENCE
  const timer = setInterval(() => {
    if (--left > 0) return
    clearInterval(timer)
    resume(Effect.void)
  }, 1000)
  return Effect.sync(() => clearInterval(timer))
})

const tooLong = Effect.suspend(() =>
  Effect.fail(new SimulationFailed({ reason: "a task computes without end, or the host is too slow" }))
)

/** Runs `subject` to its end. */
export const run = (subject: Subject, options: RunOptions = {}): Effect.Effect<Run, SimulationFailed> =>
  Effect.raceFirst(Effect.scoped(runScoped(subject, options)), Effect.andThen(patience, tooLong))

const runScoped = Effect.fnUntraced(function* (
  subject: Subject,
  options: RunOptions
): Effect.fn.Return<Run, SimulationFailed, Scope.Scope> {
  const plan = options.plan ?? uneventful
  const strategy = recording(options.scheduler ?? strategyOf(plan.schedule))
  const ended = Deferred.makeUnsafe<Ended>()
  let isReliable = true
  const start = plan.start === undefined ? undefined : yield* nanosOf(plan.start)
  const determinism = yield* Effect.provideService(
    Determinism.make({
      seed: plan.seed,
      ...(start === undefined ? {} : { start }),
      limits: { time: BigInt(options.timeout ?? HOUR) * 1_000_000n, steps: options.maxSteps ?? MILLION },
      onSpin: () => {
        isReliable = false
      },
      onEnd: (reason) => void Deferred.doneUnsafe(ended, Effect.succeed({ _tag: reason }))
    }),
    Scheduler,
    strategy
  )
  const { runQueue, time, turns } = determinism
  const { injector, recorder } = yield* Effect.try({
    try: () => {
      const recorder = new Recorder(options, time.monotonic)
      const { faults } = plan
      return {
        recorder,
        injector: faults.length === 0 ? undefined : new FaultInjector(faults, time, recorder.onInject)
      }
    },
    catch: (cause) => new SimulationFailed({ reason: String(cause) })
  })
  const hooks = { observer: recorder.observer, ...(injector === undefined ? {} : { injector }) }
  const programs = typeof subject === "function" ? { ...options.programs, main: subject } : {}
  const kernel =
    typeof subject === "function"
      ? yield* SimulatedKernel.make({
          ...hooks,
          ...determinism.controls,
          names: Object.keys(programs),
          platform: determinism.platform(SimulatedPlatform.layer({ programs }))
        })
      : yield* Sandbox.makeKernel({
          ...hooks,
          platform: determinism.platform(Determinism.platformLayer(options.platform ?? "auto")),
          platformName: options.platform ?? "ptrace",
          rootfs: options.rootfs ?? "/",
          mounts: options.mounts ?? [],
          controls: determinism.controls
        }).pipe(Effect.mapError((error) => new SimulationFailed({ reason: error.message })))
  // everything that concerns the program runs on its own queue: what is another turn of the host's is not part of it
  const inside = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.sync(() => Effect.runFork(effect, { scheduler: runQueue }))
  const pipe = (direction: "reads" | "writes") => makePipeEnd(kernel.system.anonymous, runQueue.schedule, direction)
  const [stdin, stdout, stderr] = [pipe("writes"), pipe("reads"), pipe("reads")]
  const [out, err]: [Array<Uint8Array>, Array<Uint8Array>] = [[], []]
  const collecting = [yield* inside(collect(stdout.end, out)), yield* inside(collect(stderr.end, err))]
  const input = Effect.andThen(
    stdin.end.writeAll(Buffer.from(options.stdin ?? "", "utf8")),
    Effect.sync(() => stdin.end.close())
  )
  yield* inside(input)

  const command: Command = typeof subject === "function" ? { command: "/main", cwd: "/" } : subject
  const env = typeof subject === "function" ? { ...command.env } : { PATH, ...command.env }
  const envp = Object.entries(env).map(([name, value]) => Sandbox.toBytes(`${name}=${value}`))
  determinism.attach(kernel)
  const starting = yield* inside(
    Sandbox.start(kernel, {
      command: Sandbox.toBytes(command.command),
      args: [...(command.args ?? []), ...(options.args ?? [])].map(Sandbox.toBytes),
      envp,
      cwd: Sandbox.toBytes(directoryOf(command, options)),
      stdio: [stdin.guest, stdout.guest, stderr.guest]
    })
  )
  const running = yield* Effect.mapError(
    Fiber.join(starting),
    (error) => new SimulationFailed({ reason: error.message })
  )
  recorder.strace.started(running.pid, running.path, running.argv, envp.length)
  const failed = Deferred.makeUnsafe<never, SimulationFailed>()
  yield* inside(
    Effect.matchEffect(running.exit, {
      onSuccess: (status) =>
        Effect.sync(() =>
          Deferred.doneUnsafe(
            ended,
            Effect.succeed<Ended>(
              status._tag === "Exited"
                ? { _tag: "Exited", code: status.code }
                : { _tag: "Signaled", signal: signalName(status.signal) }
            )
          )
        ),
      onFailure: (error) => Deferred.fail(failed, new SimulationFailed({ reason: error.message }))
    })
  )
  determinism.begin()
  const exit = yield* Effect.raceFirst(Deferred.await(ended), Deferred.await(failed))
  const { total } = turns
  const millis = Number(time.monotonic() / 1_000_000n)
  // what was only ended by us has not happened
  const isOver = exit._tag === "Exited" || exit._tag === "Signaled"
  if (!isOver) recorder.strace.end()
  const linesBefore = recorder.lines
  kernel.kill()
  yield* Fiber.awaitAll(collecting)
  const lines = isOver ? recorder.lines : linesBefore
  recorded.set(plan, strategy.decisions)
  const tree = readTree(kernel, options.keep ?? [])
  return {
    exit,
    stdout: Buffer.concat(out).toString("utf8"),
    stderr: Buffer.concat(err).toString("utf8"),
    tree,
    files: contentsOf(tree),
    trace: Stream.fromIterable(lines),
    lines,
    decisions: strategy.decisions,
    injected: recorder.injected,
    violations: recorder.violations,
    seen: recorder.seen,
    steps: total,
    points: strategy.points,
    millis,
    isReliable
  }
})
