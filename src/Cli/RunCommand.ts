/**
 * `effect-sentry run`: one sandbox on the caller's standard streams. Ends as the program ends.
 *
 * Signals go to the program. The second SIGINT or SIGTERM that it does not heed kills the sandbox, so that nobody needs
 * to look for the process id; at a terminal, where Ctrl-C is an everyday key, only if it follows within two seconds, the same
 * process group is in the foreground, and it has no handler for it.
 */
import { openSync, readFileSync, writeSync } from "node:fs"
import { resolve } from "node:path"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { SIG_DFL, SIG_IGN } from "../Abi/SigAction.ts"
import * as Signal from "../Abi/Signal.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import { platformLayer } from "../Platform/PlatformChoice.ts"
import { BadOption, type SentryError } from "../Sentry/Errors.ts"
import * as Sandbox from "../Sentry/Sandbox.ts"
import { StraceObserver } from "../Syscalls/Strace.ts"
import { HostReadiness } from "../Vfs/HostReadiness.ts"
import { hostStdio } from "../Vfs/HostStdio.ts"
import type { TtyOwner } from "../Vfs/TtyOwner.ts"
import type { RunArguments } from "./RunArguments.ts"

/** Exit statuses that are not the program's. */
export const FAILED = 125
const NOT_EXECUTABLE = 126
const NOT_FOUND = 127
const TIMED_OUT = 124

const statusOf = (exit: ExitStatus): number => (exit._tag === "Exited" ? exit.code : 128 + exit.signal)

/** Why `run` ended without the program: one line, and the exit status. */
export interface Failed {
  readonly message: string
  readonly status: number
}

const statusOfError = (error: SentryError): number => {
  switch (error._tag) {
    case "ProgramNotFound":
      return NOT_FOUND
    case "NotExecutable":
      return NOT_EXECUTABLE
    default:
      return FAILED
  }
}

/** Sent on to the program as they come. SIGUSR1 would otherwise start Node's debugger. */
const FORWARDED = [
  ["SIGHUP", Signal.SIGHUP],
  ["SIGINT", Signal.SIGINT],
  ["SIGQUIT", Signal.SIGQUIT],
  ["SIGTERM", Signal.SIGTERM],
  ["SIGUSR1", Signal.SIGUSR1],
  ["SIGUSR2", Signal.SIGUSR2],
  ["SIGWINCH", Signal.SIGWINCH],
  ["SIGCONT", Signal.SIGCONT]
] as const

/** What a terminal's keys send: to its foreground process group. */
const FROM_KEYS: ReadonlySet<number> = new Set([Signal.SIGINT, Signal.SIGQUIT, Signal.SIGWINCH])

/** A second signal so soon is the same one, come by two ways (a terminal and a launcher), ms. */
const DUPLICATE = 50
/** At a terminal, how soon the second Ctrl-C must follow to kill what does not handle it, and the sandbox, ms. */
const IMPATIENCE = 2000
/** How long a program may take to stop at Ctrl-Z until the sentry stops too, ms. */
const STOP_DELAY = 30

/** Whether somebody in the terminal's foreground has a handler for Ctrl-C: a shell at its prompt gets many of them. */
const handlesInterrupt = ({ kernel }: Sandbox.Running, tty: TtyOwner): boolean => {
  for (const { handlers } of kernel.system.taskSet.processGroups.get(tty.foreground)?.members ?? []) {
    const { sa_handler } = handlers.get(Signal.SIGINT)
    if (sa_handler !== SIG_DFL && sa_handler !== SIG_IGN) return true
  }
  return false
}

/** Hands signals to the program until the scope closes. */
const forwardSignals = (running: Sandbox.Running, tty: TtyOwner | undefined) => {
  let lastEnding: number | undefined
  /** Who was in the terminal's foreground then. */
  let foreground: number | undefined
  const onSignal = (signo: number): void => {
    if (signo === Signal.SIGINT || signo === Signal.SIGTERM) {
      const now = performance.now()
      const since = lastEnding === undefined ? Infinity : now - lastEnding
      if (since < DUPLICATE) return
      lastEnding = now
      const isSame = foreground === tty?.foreground
      foreground = tty?.foreground
      const isImpatient = tty === undefined || (isSame && since < IMPATIENCE && !handlesInterrupt(running, tty))
      if (since < Infinity && isImpatient) {
        running.kernel.kill()
        return
      }
    }
    running.signal(signo, FROM_KEYS.has(signo) ? tty : undefined)
  }
  const onStop = (): void => {
    running.signal(Signal.SIGTSTP, tty)
    // the caller's shell wants its terminal back, unless the program (a shell itself, say) does not stop
    setTimeout(() => {
      const group = running.kernel.system.taskSet.groups.get(running.pid)
      if (group?.groupStop?.completed === true) process.kill(process.pid, "SIGSTOP")
    }, STOP_DELAY)
  }
  return Effect.acquireRelease(
    Effect.sync(() => {
      const listeners = FORWARDED.map(([name, signo]) => [name, () => onSignal(signo)] as const)
      for (const [name, listener] of listeners) process.on(name, listener)
      process.on("SIGTSTP", onStop)
      return listeners
    }),
    (listeners) =>
      Effect.sync(() => {
        for (const [name, listener] of listeners) process.off(name, listener)
        process.off("SIGTSTP", onStop)
      })
  )
}

/** What Node puts for bytes that are no UTF-8. */
const LOST = "\uFFFD"

/** NUL-separated entries of a file of /proc/self, as byte strings. */
const entries = (file: "cmdline" | "environ"): ReadonlyArray<string> =>
  readFileSync(`/proc/self/${file}`, "latin1").split("\0").slice(0, -1)

/** PROGRAM and ARGS in bytes: those of this process's own argument list where Node could not decode them. */
const commandLine = (words: ReadonlyArray<string>): ReadonlyArray<string> =>
  words.some((word) => word.includes(LOST)) ? entries("cmdline").slice(-words.length) : words.map(Sandbox.toBytes)

/** The environment of this process in bytes, in its order. */
const ownEnvironment = (): Map<string, string> => {
  const pairs = Object.entries(process.env).map(([name, value]) => [name, value ?? ""] as const)
  if (!pairs.some((pair) => pair.join("").includes(LOST))) {
    return new Map(pairs.map(([name, value]) => [Sandbox.toBytes(name), Sandbox.toBytes(value)]))
  }
  return new Map(
    entries("environ").flatMap((entry) => {
      const at = entry.indexOf("=")
      return at <= 0 ? [] : [[entry.slice(0, at), entry.slice(at + 1)] as const]
    })
  )
}

/** The environment of the program, as `NAME=value` in bytes, given the caller's. */
export const environment = (
  options: Pick<RunArguments, "clearEnv" | "env">,
  own: ReadonlyMap<string, string>
): ReadonlyArray<string> => {
  const variables = new Map(options.clearEnv ? [] : own)
  for (const { name, value } of options.env) {
    const key = Sandbox.toBytes(name)
    const chosen = value === undefined ? own.get(key) : Sandbox.toBytes(value)
    if (chosen !== undefined) variables.set(key, chosen)
  }
  return Array.from(variables, ([name, value]) => `${name}=${value}`)
}

/** Writes all of `text` at once, whatever the descriptor is; a reader that went away is no reason to fail. */
const writeAll = (fd: number, text: string): void => {
  const bytes = Buffer.from(text, "latin1")
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(fd, bytes, written)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return
    }
  }
}

const observer = (options: RunArguments): StraceObserver | Failed | undefined => {
  if (options.strace === undefined) return undefined
  if (options.straceLog === undefined) {
    return new StraceObserver({ filter: options.strace, write: (text) => writeAll(2, text) })
  }
  try {
    const fd = openSync(options.straceLog, "w", 0o666)
    return new StraceObserver({ filter: options.strace, pids: "always", write: (text) => writeAll(fd, text) })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { status: FAILED, message: `--strace-log: ${reason}: give a file that can be written` }
  }
}

/** Where this process is; undefined if that directory was removed. */
const ownDirectory = (): string | undefined => {
  try {
    return process.cwd()
  } catch {
    return undefined
  }
}

/** Loaded only when asked for. */
const deterministic = Effect.fnUntraced(function* (start: bigint, { patch, platform, seed }: RunArguments) {
  const [{ make, platformLayer }, { Scheduler }, { random }] = yield* Effect.promise(() =>
    Promise.all([
      import("../Testing/Determinism.ts"),
      import("../Testing/Scheduler.ts"),
      import("../Testing/Schedulers.ts")
    ])
  )
  const onSpin = (task: number): void =>
    writeAll(2, `effect-sentry: task ${task} computes while others wait: this run is no longer deterministic\n`)
  const made = yield* Effect.provideService(make({ seed, start, onSpin }), Scheduler, random(seed))
  return { ...made, platform: made.platform(platformLayer(platform, { patch })) }
})

const sandboxed = Effect.fnUntraced(function* (options: RunArguments, strace: StraceObserver | undefined) {
  const readiness = yield* HostReadiness.make
  const determinism =
    options.virtualStart === undefined ? undefined : yield* deterministic(options.virtualStart, options)
  const kernel = yield* Sandbox.makeKernel({
    platform: determinism?.platform ?? platformLayer(options.platform, { patch: options.patch }),
    ...(determinism === undefined ? {} : { controls: determinism.controls }),
    platformName: options.platform,
    rootfs: options.rootfs === undefined ? "/" : resolve(options.rootfs),
    mounts: options.binds.map((bind) => ({ ...bind, source: resolve(bind.source) })),
    ...(strace === undefined ? {} : { observer: strace })
  })
  determinism?.attach(kernel)
  const stdio = hostStdio(readiness, { detach: true })
  // what the program lets go of is closed for its readers too; but we may have something to say at the end
  stdio[2]?.retain()
  const tty = stdio.find((file) => file?.tty !== undefined)?.tty
  const [command = "", ...args] = commandLine([options.program, ...options.args])
  const envp = environment(options, ownEnvironment())
  const directory = options.cwd ?? (options.rootfs === undefined ? ownDirectory() : "/")
  if (directory === undefined) {
    const reason = "the directory that this was started in is gone"
    return yield* new BadOption({ option: "--cwd", reason, cure: "change to one that exists, or give one" })
  }
  const running = yield* Sandbox.start(kernel, {
    command,
    args,
    envp,
    cwd: Sandbox.toBytes(directory),
    stdio
  })
  strace?.started(running.pid, running.path, running.argv, envp.length)
  determinism?.begin()
  if (tty !== undefined) {
    tty.session = running.pid
    tty.foreground = running.pid
  }
  yield* forwardSignals(running, tty)
  if (options.timeoutMillis === undefined) return statusOf(yield* running.exit)
  const inTime = yield* Effect.timeoutOption(running.exit, options.timeoutMillis)
  if (inTime._tag === "Some") return statusOf(inTime.value)
  kernel.kill()
  return TIMED_OUT
})

/** Runs it. The exit status of the program, or why there is none. */
export const run = async (options: RunArguments): Promise<number | Failed> => {
  const strace = observer(options)
  if (strace !== undefined && !(strace instanceof StraceObserver)) return strace
  // a fiber that waits keeps no process alive: a guest may well sleep for ever
  const alive = setInterval(() => {}, 0x7fff_ffff)
  const exit = await Effect.runPromiseExit(Effect.scoped(sandboxed(options, strace)))
  clearInterval(alive)
  strace?.flush()
  if (Exit.isSuccess(exit)) return exit.value
  const error = Cause.squash(exit.cause)
  if (Cause.hasFails(exit.cause)) {
    const known = error as SentryError // the error channel holds nothing else
    if (known._tag === "SandboxFailed" && process.env["EFFECT_SENTRY_DEBUG"] !== undefined)
      writeAll(2, `${known.report}\n`)
    return { message: known.message, status: statusOfError(known) }
  }
  return { message: error instanceof Error ? error.message : Cause.pretty(exit.cause), status: FAILED }
}
