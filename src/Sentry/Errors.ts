/**
 * Why a program could not be run. What the program itself does is never an error here: its exit status says.
 */
import * as Data from "effect/Data"
import { errnoNames } from "../Abi/Errno.ts"
import type { PlatformChoice } from "../Platform/Platform.ts"

/** No such program in the sandbox. */
export class ProgramNotFound extends Data.TaggedError("ProgramNotFound")<{
  readonly program: string
  /** Where it was looked for: the sandbox's PATH; undefined if the name was a path. */
  readonly searched: string | undefined
}> {
  override get message(): string {
    return this.searched === undefined
      ? `${this.program} does not exist in the sandbox: check the path, and --rootfs and --bind`
      : `${this.program} is not in the sandbox's PATH (${this.searched}): check the name, or give its path`
  }
}

const CURES: ReadonlyMap<string, string> = new Map([
  ["EACCES", "make it an executable file"],
  ["EISDIR", "name a file"],
  ["ENOEXEC", "use a Linux x86-64 ELF program or a #! script"],
  ["E2BIG", "pass fewer or shorter arguments"],
  ["ELOOP", "check its symbolic links and #! lines"],
  ["ENOTDIR", "check the path"]
])

/** The program is there but cannot be executed. */
export class NotExecutable extends Data.TaggedError("NotExecutable")<{
  readonly program: string
  /** What execve(2) failed with, positive. */
  readonly errno: number
}> {
  override get message(): string {
    const [name, text] = errnoNames.get(this.errno) ?? [`errno ${this.errno}`, `errno ${this.errno}`]
    return `cannot execute ${this.program}: ${text}: ${CURES.get(name) ?? `see ${name} in execve(2)`}`
  }
}

/** An option that cannot work on this host or in this sandbox. */
export class BadOption extends Data.TaggedError("BadOption")<{
  /** As the command line spells it. */
  readonly option: string
  readonly reason: string
  readonly cure: string
}> {
  override get message(): string {
    return `${this.option}: ${this.reason}: ${this.cure}`
  }
}

/** This host cannot run guests. */
export class PlatformUnavailable extends Data.TaggedError("PlatformUnavailable")<{
  /** What was asked for; "auto" if that was left to us. */
  readonly platform: PlatformChoice
  /** The cause and what to do. */
  readonly detail: string
}> {
  override get message(): string {
    const which =
      this.platform === "auto" ? "no platform works here" : `the ${this.platform} platform does not work here`
    return `${which}: ${this.detail}: run \`effect-sentry doctor\``
  }
}

/** The kernel itself failed: a bug of ours, or the host took something away. The sandbox is gone. */
export class SandboxFailed extends Data.TaggedError("SandboxFailed")<{
  /** One line. */
  readonly reason: string
  /** Everything known, for a bug report. */
  readonly report: string
}> {
  override get message(): string {
    return `the sandbox failed: ${this.reason}: please report this`
  }
}

/** The program did not end in time and was killed, with everything it had started. */
export class TimedOut extends Data.TaggedError("TimedOut")<{
  readonly program: string
  readonly millis: number
}> {
  override get message(): string {
    return `${this.program} did not end within ${this.millis} ms and was killed: allow more time`
  }
}

/** What the start of a program can fail with. */
export type StartError = ProgramNotFound | NotExecutable | BadOption | PlatformUnavailable | SandboxFailed

/** Every error of the public API. */
export type SentryError = StartError | TimedOut
