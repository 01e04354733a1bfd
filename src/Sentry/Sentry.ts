/**
 * The public API: runs unmodified Linux programs in sandboxes inside this process.
 *
 * @example
 *   import * as Effect from "effect/Effect"
 *   import * as Sentry from "effect-sentry"
 *
 *   const program = Sentry.run({ command: "python3", args: ["-c", "print(6 * 7)"], timeout: "5 seconds" }).pipe(
 *     Effect.map((result) => Sentry.text(result.stdout)), // "42\n"
 *     Effect.provide(Sentry.layer())
 *   )
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import * as Signal from "../Abi/Signal.ts"
import type { PlatformChoice } from "../Platform/Platform.ts"
import { platformLayer } from "../Platform/PlatformChoice.ts"
import { StraceObserver } from "../Syscalls/Strace.ts"
import * as TraceFilter from "../Syscalls/TraceFilter.ts"
import type { KernelEvent } from "../Task/System.ts"
import { makePipeEnd, type PipeEnd } from "../Vfs/PipeEnd.ts"
import { BadOption, SandboxFailed, type SentryError, type StartError, TimedOut } from "./Errors.ts"
import * as Sandbox from "./Sandbox.ts"

export { BadOption, NotExecutable, PlatformUnavailable, ProgramNotFound, SandboxFailed, TimedOut } from "./Errors.ts"
export type { SentryError, StartError } from "./Errors.ts"
export type { Mount } from "./Sandbox.ts"
export type { KernelEvent } from "../Task/System.ts"

/** What a sandbox may see of the host. Everything else is the kernel's own. */
export interface SandboxOptions {
  /** Host directory that becomes /; changes to it stay in memory and end with the sandbox. Default: the host's /. */
  readonly rootfs?: string
  /** Host paths shown in the sandbox, read-only unless said otherwise. */
  readonly mounts?: ReadonlyArray<Sandbox.Mount>
  /** How programs are run. Default: "auto", the fast way ("systrap") where it works, else "ptrace". */
  readonly platform?: PlatformChoice
  /** What uname(2) calls the machine. Default: "sandbox". */
  readonly hostname?: string
  /** Environment variables. Default: PATH alone; nothing of this process's environment goes in by itself. */
  readonly env?: Readonly<Record<string, string>>
  /** Told of what an operator may want to know, such as a system call that is not implemented. Must not throw. */
  readonly onEvent?: (event: KernelEvent) => void
}

/** A program, and where it differs from the layer's options. */
export interface Command extends SandboxOptions {
  /** A path in the sandbox, or a name that is looked up in the sandbox's PATH. */
  readonly command: string
  readonly args?: ReadonlyArray<string>
  /** Working directory in the sandbox. Default: /. */
  readonly cwd?: string
  /** Prints system calls as strace(1) does; `filter` in the language of its -e trace=. */
  readonly strace?: { readonly write: (text: string) => void; readonly filter?: string }
}

export interface RunOptions extends Command {
  /** What the program reads on standard input. Default: nothing. */
  readonly stdin?: string | Uint8Array
  /** After that, everything in the sandbox is killed. Default: no limit. */
  readonly timeout?: Duration.Input
  /** Bytes of each output stream that are kept; what comes after that is read and forgotten. Default: 16 MiB. */
  readonly maxOutput?: number
}

/** CPU time of everything that ran in a sandbox, µs. */
export interface Usage {
  readonly userMicros: number
  readonly systemMicros: number
}

/** How a program ended. */
export type Ended =
  | { readonly _tag: "Exited"; readonly code: number }
  | {
      readonly _tag: "Signaled"
      /** Its number, and its name: "SIGSEGV". */
      readonly signal: number
      readonly signalName: string
      readonly coreDumped: boolean
    }

export interface RunResult {
  readonly exit: Ended
  /** As a shell has it: the exit code, or 128 + the signal's number. */
  readonly exitCode: number
  readonly stdout: Uint8Array
  readonly stderr: Uint8Array
  /** An output stream had more than `maxOutput` bytes. */
  readonly truncated: boolean
  readonly usage: Usage
}

/** A program under way. It ends with the scope it was spawned in, and everything that it started with it. */
export interface Process {
  /** Its process id inside the sandbox. */
  readonly pid: number
  /** Standard input; running the sink to its end closes it. */
  readonly stdin: Sink.Sink<void, Uint8Array>
  /** Output as it comes. A stream that nobody reads makes the program wait, as a pipe does. */
  readonly stdout: Stream.Stream<Uint8Array>
  readonly stderr: Stream.Stream<Uint8Array>
  /** How the program ended. */
  readonly exit: Effect.Effect<Ended, SandboxFailed>
  /** Sends a signal (default SIGTERM) to the program's process group; SIGKILL goes to everything in the sandbox. */
  readonly kill: (signal?: SignalName) => Effect.Effect<void>
  readonly usage: Effect.Effect<Usage>
}

/** The standard signals, by the names that everybody uses. */
const SIGNALS = {
  SIGHUP: Signal.SIGHUP,
  SIGINT: Signal.SIGINT,
  SIGQUIT: Signal.SIGQUIT,
  SIGABRT: Signal.SIGABRT,
  SIGKILL: Signal.SIGKILL,
  SIGUSR1: Signal.SIGUSR1,
  SIGUSR2: Signal.SIGUSR2,
  SIGALRM: Signal.SIGALRM,
  SIGTERM: Signal.SIGTERM,
  SIGCHLD: Signal.SIGCHLD,
  SIGCONT: Signal.SIGCONT,
  SIGSTOP: Signal.SIGSTOP,
  SIGTSTP: Signal.SIGTSTP,
  SIGWINCH: Signal.SIGWINCH
} as const

/** The signals that can be sent from outside. */
export type SignalName = keyof typeof SIGNALS

/** Output as text. */
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** Where commands are looked for unless `env` says otherwise. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

const MAX_OUTPUT = 16 * 1024 * 1024

/** Runs programs in sandboxes. */
export class Sentry extends Context.Service<
  Sentry,
  {
    /** Runs a program to its end and gives what it wrote. Interruption kills it. */
    readonly run: (options: RunOptions) => Effect.Effect<RunResult, SentryError>
    /** Starts a program; it runs on while its scope is open. */
    readonly spawn: (options: Command) => Effect.Effect<Process, StartError, Scope.Scope>
  }
>()("effect-sentry/Sentry/Sentry") {}

/** The service. `defaults` hold for every sandbox; a command's own options win. */
export const layer = (defaults: SandboxOptions = {}): Layer.Layer<Sentry> =>
  Layer.succeed(Sentry, {
    run: (options) => Effect.scoped(runCommand({ ...defaults, ...options })),
    spawn: (options) => spawnCommand({ ...defaults, ...options })
  })

/** Runs a program to its end and gives what it wrote. Interruption kills it. */
export const run = (options: RunOptions): Effect.Effect<RunResult, SentryError, Sentry> =>
  Sentry.use((sentry) => sentry.run(options))

/** Starts a program; it runs on while its scope is open. */
export const spawn = (options: Command): Effect.Effect<Process, StartError, Sentry | Scope.Scope> =>
  Sentry.use((sentry) => sentry.spawn(options))

const observerOf = (strace: Command["strace"]): StraceObserver | BadOption | undefined => {
  if (strace === undefined) return undefined
  const filter = TraceFilter.parse(strace.filter ?? "all")
  return typeof filter === "function"
    ? new StraceObserver({ write: strace.write, filter })
    : new BadOption({ option: "strace.filter", reason: filter.reason, cure: "use names or classes of system calls" })
}

/** A fiber that waits keeps no process alive, and a guest may sleep for long: a timer does. */
const stayAlive = Effect.acquireRelease(
  Effect.sync(() => setInterval(() => {}, 0x7fff_ffff)),
  (timer) => Effect.sync(() => clearInterval(timer))
)

const spawnCommand = Effect.fnUntraced(function* (
  options: Command
): Effect.fn.Return<Process, StartError, Scope.Scope> {
  const observer = observerOf(options.strace)
  if (observer instanceof BadOption) return yield* observer
  yield* stayAlive
  const kernel = yield* Sandbox.makeKernel({
    platform: platformLayer(options.platform ?? "auto"),
    platformName: options.platform ?? "auto",
    rootfs: options.rootfs ?? "/",
    mounts: options.mounts ?? [],
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    ...(observer === undefined ? {} : { observer })
  })
  // woken in a turn of our own: user code must not run inside a guest's system call
  const pipe = (direction: "reads" | "writes") =>
    Effect.acquireRelease(
      Effect.sync(() => makePipeEnd(kernel.system.anonymous, (task) => setImmediate(task), direction)),
      ({ end }) => Effect.sync(() => end.close())
    )
  const stdin = yield* pipe("writes")
  const stdout = yield* pipe("reads")
  const stderr = yield* pipe("reads")
  const environment = { PATH, ...options.env }
  const envp = Object.entries(environment).map(([name, value]) => Sandbox.toBytes(`${name}=${value}`))
  const running = yield* Sandbox.start(kernel, {
    command: Sandbox.toBytes(options.command),
    args: (options.args ?? []).map(Sandbox.toBytes),
    envp,
    cwd: Sandbox.toBytes(options.cwd ?? "/"),
    stdio: [stdin.guest, stdout.guest, stderr.guest]
  })
  observer?.started(running.pid, running.path, running.argv, envp.length)
  const usage = Effect.sync(() => {
    const { user, system } = kernel.usage()
    return { userMicros: Number(user / 1000n), systemMicros: Number(system / 1000n) }
  })
  return {
    pid: running.pid,
    stdin: Sink.forEach((bytes: Uint8Array) => stdin.end.writeAll(bytes)).pipe(
      Sink.ensuring(Effect.sync(() => stdin.end.close()))
    ),
    stdout: outputOf(stdout.end),
    stderr: outputOf(stderr.end),
    exit: Effect.map(running.exit, (status) =>
      status._tag === "Exited" ? status : { ...status, signalName: Signal.signalName(status.signal) }
    ),
    kill: (name = "SIGTERM") =>
      Effect.sync(() => {
        const signo = SIGNALS[name]
        if (signo === Signal.SIGKILL) kernel.kill()
        else running.signal(signo)
      }),
    usage
  }
})

const outputOf = (end: PipeEnd): Stream.Stream<Uint8Array> =>
  Stream.unfold(undefined, () =>
    Effect.map(end.readChunk, (chunk) => (chunk === undefined ? undefined : ([chunk, undefined] as const)))
  )

/** What a stream gives, up to `limit` bytes; the rest is read and forgotten. */
const collect = Effect.fnUntraced(function* (stream: Stream.Stream<Uint8Array>, limit: number) {
  const chunks: Array<Uint8Array> = []
  let size = 0
  let truncated = false
  yield* Stream.runForEach(stream, (chunk) =>
    Effect.sync(() => {
      const kept = chunk.subarray(0, limit - size)
      if (kept.length < chunk.length) truncated = true
      if (kept.length === 0) return
      chunks.push(kept)
      size += kept.length
    })
  )
  return { bytes: Uint8Array.from(Buffer.concat(chunks)), truncated }
})

const runCommand = Effect.fnUntraced(function* (
  options: RunOptions
): Effect.fn.Return<RunResult, SentryError, Scope.Scope> {
  const child = yield* spawnCommand(options)
  const limit = options.maxOutput ?? MAX_OUTPUT
  const stdout = yield* Effect.forkChild(collect(child.stdout, limit))
  const stderr = yield* Effect.forkChild(collect(child.stderr, limit))
  const input = typeof options.stdin === "string" ? Buffer.from(options.stdin, "utf8") : options.stdin
  yield* Effect.forkChild(Stream.run(input === undefined ? Stream.empty : Stream.make(input), child.stdin))
  const exit = yield* options.timeout === undefined
    ? child.exit
    : Effect.timeoutOrElse(child.exit, {
        duration: options.timeout,
        orElse: () =>
          Effect.fail(new TimedOut({ program: options.command, millis: Duration.toMillis(options.timeout ?? 0) }))
      })
  const [out, err] = [yield* Fiber.join(stdout), yield* Fiber.join(stderr)]
  return {
    exit,
    exitCode: exit._tag === "Exited" ? exit.code : 128 + exit.signal,
    stdout: out.bytes,
    stderr: err.bytes,
    truncated: out.truncated || err.truncated,
    usage: yield* child.usage
  }
})
