/**
 * Runs one command line to its end, within a bounded time, and says what came out.
 *
 * Nothing outlives a run: each command leads a process group of its own, which is killed by id when time is up.
 */
import { spawn } from "node:child_process"

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Fed to standard input, which is empty otherwise. */
  readonly stdin?: string
  /** Milliseconds until the process group is killed. */
  readonly timeout?: number
}

export interface Outcome {
  /** One character per byte. */
  readonly stdout: string
  readonly stderr: string
  /** As a shell says it: the exit code, or 128 + n for signal n. */
  readonly status: number
  readonly timedOut: boolean
  readonly milliseconds: number
}

/** Milliseconds that a run may take. */
export const RUN_TIMEOUT = 40_000

/** The environment of every run, native or not: nothing of the developer's own. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  HOME: "/tmp",
  LANG: "C",
  LC_ALL: "C",
  TZ: "UTC"
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSYS: 31
}

const killGroup = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL")
  } catch {
    // already gone
  }
}

/** Runs `command`. Rejects only when it cannot be started. */
export const run = (command: ReadonlyArray<string>, options: RunOptions = {}): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const [program = "", ...args] = command
    const started = performance.now()
    const child = spawn(program, args, {
      cwd: options.cwd ?? "/",
      env: options.env ?? ENVIRONMENT,
      stdio: ["pipe", "pipe", "pipe"],
      detached: true
    })
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      if (child.pid !== undefined) killGroup(child.pid)
      // a grandchild that left the group may still hold the pipes open
      setTimeout(() => {
        child.stdout.destroy()
        child.stderr.destroy()
      }, 500).unref()
    }, options.timeout ?? RUN_TIMEOUT)
    const out: Array<Buffer> = []
    const err: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk))
    child.stdin.on("error", () => {
      // the command ended without reading its input
    })
    child.stdin.end(options.stdin ?? "")
    child.on("error", (cause) => {
      clearTimeout(timer)
      reject(cause)
    })
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      if (child.pid !== undefined) killGroup(child.pid)
      resolve({
        stdout: Buffer.concat(out).toString("latin1"),
        stderr: Buffer.concat(err).toString("latin1"),
        status: code ?? 128 + (SIGNALS[signal ?? ""] ?? 0),
        timedOut,
        milliseconds: Math.round(performance.now() - started)
      })
    })
  })
