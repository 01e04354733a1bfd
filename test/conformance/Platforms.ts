/**
 * The platforms that conformance is tested on. A further one is one more entry.
 *
 * `SENTRY_TEST_PLATFORMS=name,…` restricts the list. `SENTRY_TEST_COMMAND` replaces the sandbox by another command
 * prefix; the value `native` compares the host with itself, which shows whether the guests are deterministic.
 */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url))

export const PLATFORM_NAMES = ["ptrace", "systrap"] as const

export interface Platform {
  readonly name: string
  /** The command line that runs `program` in the sandbox; `options` go before it. */
  readonly command: (program: ReadonlyArray<string>, options?: ReadonlyArray<string>) => ReadonlyArray<string>
}

/** The command line interface itself, without arguments. */
export const CLI: ReadonlyArray<string> = [process.execPath, `${REPOSITORY}bin/effect-sentry.cjs`]

const replacement = process.env["SENTRY_TEST_COMMAND"]

const sandbox = (name: string): Platform => ({
  name,
  command: (program, options = []) => [...CLI, "run", "--platform", name, ...options, "--", ...program]
})

const substitute = (command: string): Platform => ({
  name: command,
  command: (program) => (command === "native" ? program : [...command.split(" "), ...program])
})

const selected = process.env["SENTRY_TEST_PLATFORMS"]?.split(",")

export const PLATFORMS: ReadonlyArray<Platform> =
  replacement !== undefined
    ? [substitute(replacement)]
    : PLATFORM_NAMES.filter((name) => selected === undefined || selected.includes(name)).map(sandbox)

/** Whether the sandbox is really there; a suite about the command line itself makes no sense without it. */
export const IS_SANDBOX = replacement === undefined

/** The long tests too: `npm run test:nightly`. */
export const NIGHTLY = process.env["SENTRY_TEST_NIGHTLY"] === "1"

/** Whether the host, too, writes core files into the working directory: what shows them can be compared. */
export const DUMPS_CORE = readFileSync("/proc/sys/kernel/core_pattern", "latin1") === "core\n"
