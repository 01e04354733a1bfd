/**
 * One sandbox with one program started in it: what the command line and the embedding API have in common. Checks what
 * the caller gave, finds the program by execvp(3)'s rules, and gives every failure a type.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { ENOENT, ENOEXEC, errnoNames } from "../Abi/Errno.ts"
import { SI_USER } from "../Abi/Signal.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import * as Kernel from "../Kernel.ts"
import type { Platform, PlatformChoice, PlatformFailed } from "../Platform/Platform.ts"
import type { SyscallInjector } from "../Task/SyscallInjector.ts"
import type { SyscallObserver } from "../Task/SyscallObserver.ts"
import type { KernelEvent } from "../Task/System.ts"
import { sendToGroup } from "../Task/TaskSignals.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { TtyOwner } from "../Vfs/TtyOwner.ts"
import {
  BadOption,
  NotExecutable,
  PlatformUnavailable,
  ProgramNotFound,
  SandboxFailed,
  type StartError
} from "./Errors.ts"
import { hasJobControlParent, hostCredentials, hostLimits } from "./HostCaller.ts"
import { candidates, finalErrno, goesOn, pathOf } from "./PathLookup.ts"

/** A host directory or file shown inside the sandbox. */
export interface Mount {
  /** Host path; relative to the working directory of this process. */
  readonly source: string
  /** Absolute path inside the sandbox. */
  readonly target: string
  /** Default: true. Otherwise what the program changes there is changed on the host. */
  readonly readOnly?: boolean
}

export interface SandboxOptions {
  readonly platform: Layer.Layer<Platform, PlatformFailed>
  /** What was asked for, in messages. */
  readonly platformName: PlatformChoice
  /** Host directory that becomes /; what the program changes in it stays in memory. */
  readonly rootfs: string
  readonly mounts: ReadonlyArray<Mount>
  readonly hostname?: string
  readonly observer?: SyscallObserver
  readonly onEvent?: (event: KernelEvent) => void
  /** Time, randomness, order and machine in place of the host's. */
  readonly controls?: Controls
  readonly injector?: SyscallInjector
}

/** What a sandbox needs no host for. */
export type Controls = Pick<Kernel.KernelOptions, "timekeeper" | "runQueue" | "entropy" | "machine">

/** A program to run. Byte strings, one character per byte: `toBytes` makes them. */
export interface Program {
  readonly command: string
  readonly args: ReadonlyArray<string>
  /** "NAME=value". */
  readonly envp: ReadonlyArray<string>
  /** Absolute path inside the sandbox. */
  readonly cwd: string
  /** Become descriptors 0, 1, 2. */
  readonly stdio: ReadonlyArray<OpenFileDescription | undefined>
}

/** A program under way. */
export interface Running {
  readonly kernel: Kernel.Kernel
  /** Process id inside the sandbox. */
  readonly pid: number
  /** What was executed, as execve(2) has it. */
  readonly path: string
  readonly argv: ReadonlyArray<string>
  /** How the program ended. The sandbox ends with it. */
  readonly exit: Effect.Effect<ExitStatus, SandboxFailed>
  /** Sends a signal to the program's process group; with `tty`, to that terminal's foreground group. */
  readonly signal: (signo: number, tty?: TtyOwner) => void
}

/** A JavaScript string as the kernel's byte string. */
export const toBytes = (text: string): string => Buffer.from(text, "utf8").toString("latin1")

const fromBytes = (bytes: string): string => Buffer.from(bytes, "latin1").toString("utf8")

/** A kernel's own failure, in one line and in full. */
const failure = (report: string): SandboxFailed =>
  new SandboxFailed({ reason: report.split("\n", 1)[0]!.replace(/:? *$/, ""), report })

/** Builds the kernel. Its scope's end kills everything in it. */
export const makeKernel = Effect.fnUntraced(function* (
  options: SandboxOptions
): Effect.fn.Return<Kernel.Kernel, BadOption | PlatformUnavailable, Scope.Scope> {
  const relative = options.mounts.find(({ target }) => !target.startsWith("/"))?.target
  if (relative !== undefined) {
    return yield* new BadOption({ option: "--bind", reason: `${relative} is not absolute`, cure: "begin it with /" })
  }
  return yield* Kernel.make({
    ...options.controls,
    platform: options.platform,
    mounts: {
      root: toBytes(options.rootfs),
      binds: options.mounts.map(({ source, target, readOnly }) => ({
        source: toBytes(source),
        target: toBytes(target),
        readOnly: readOnly ?? true
      }))
    },
    credentials: hostCredentials(),
    limits: hostLimits(),
    ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
    ...(options.observer === undefined ? {} : { observer: options.observer }),
    ...(options.injector === undefined ? {} : { injector: options.injector }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent })
  }).pipe(
    Effect.catchTag("PlatformFailed", (error) =>
      Effect.fail(new PlatformUnavailable({ platform: options.platformName, detail: error.message }))
    ),
    Effect.catchTag("MountFailed", ({ path, errno }) => {
      const reason = `${fromBytes(path)}: ${errnoNames.get(errno)?.[1] ?? `errno ${errno}`}`
      const option = fromBytes(path) === options.rootfs ? "--rootfs" : "--bind"
      return Effect.fail(new BadOption({ option, reason, cure: "give a path that exists and is readable" }))
    })
  )
})

/** Bytes that execvp-like callers look at to tell a script from a program that is none: bash's measure. */
const SCRIPT_PROBE = 80

/** Whether the file at `path` reads as text up to the end of its first line: then a shell may run it. */
const looksLikeScript = (kernel: Kernel.Kernel, path: string, cwd: string): boolean => {
  const { vfs } = kernel.system
  const fs = new FsContext(vfs.root, vfs.root, 0o022)
  const caller = { fs, credentials: hostCredentials(), tid: 0, threadGroup: { tgid: 0 } }
  const directory = vfs.walk(caller, vfs.root, cwd, { follow: true, directory: true })
  if (typeof directory === "number") return false
  const file = vfs.open(caller, directory, path, 0, 0)
  if (!(file instanceof OpenFileDescription)) return false
  const bytes = new Uint8Array(SCRIPT_PROBE)
  const count = file.readAt(bytes, 0)
  file.release()
  fs.leave()
  if (count < 0) return false
  const head = bytes.subarray(0, count)
  const newline = head.indexOf(10)
  return !(newline < 0 ? head : head.subarray(0, newline)).includes(0)
}

/**
 * Starts `program`: the first candidate that execve(2) accepts. Like execvp(3) it gives a text file that no
 * interpreter claims to /bin/sh.
 */
export const start = Effect.fnUntraced(function* (
  kernel: Kernel.Kernel,
  program: Program
): Effect.fn.Return<Running, StartError> {
  const { cwd, command, args, envp } = program
  const umask = process.umask()
  const jobControl = hasJobControlParent()
  const attempt = (path: string, argv: ReadonlyArray<string>) =>
    kernel
      .start({
        path,
        argv,
        envp,
        cwd,
        umask,
        stdio: program.stdio,
        hasJobControlParent: jobControl
      })
      .pipe(
        Effect.catchTag("PlatformFailed", (error) => Effect.fail(failure(error.message))),
        Effect.catchTag("StartFailed", (error) =>
          error.path === cwd && error.path !== path
            ? Effect.fail(
                new BadOption({
                  option: "--cwd",
                  reason: `${fromBytes(cwd)}: ${errnoNames.get(error.errno)?.[1] ?? error.errno}`,
                  cure: "give a directory that exists in the sandbox"
                })
              )
            : Effect.succeed(error.errno)
        )
      )

  const met: Array<number> = []
  for (const path of candidates(command, pathOf(envp))) {
    let image = { path, argv: [command, ...args] }
    let started = yield* attempt(image.path, image.argv)
    if (started === ENOEXEC && looksLikeScript(kernel, path, cwd)) {
      image = { path: "/bin/sh", argv: ["/bin/sh", path, ...args] }
      started = yield* attempt(image.path, image.argv)
    }
    if (typeof started !== "number") {
      return {
        kernel,
        pid: started.tgid,
        ...image,
        exit: Effect.catchTag(kernel.exitStatus, "KernelFailed", (error) => Effect.fail(failure(error.report))),
        signal: (signo, tty) => signalGroup(kernel, signo, tty?.foreground)
      }
    }
    met.push(started)
    if (!goesOn(started)) break
  }
  const errno = finalErrno(met)
  const name = fromBytes(command)
  if (errno !== ENOENT) return yield* new NotExecutable({ program: name, errno })
  const searched = command.includes("/") ? undefined : fromBytes(pathOf(envp))
  return yield* new ProgramNotFound({ program: name, searched })
})

const signalGroup = (kernel: Kernel.Kernel, signo: number, processGroup: number | undefined): void => {
  const group = processGroup === undefined ? undefined : kernel.system.taskSet.processGroups.get(processGroup)
  if (group === undefined) {
    kernel.signal(signo)
    return
  }
  for (const member of group.members) sendToGroup(member, { _tag: "Kill", signo, code: SI_USER, pid: 0, uid: 0 })
}
