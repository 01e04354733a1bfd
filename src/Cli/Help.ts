/**
 * The part of the command line that effect/cli does: help texts and shell completions. Loaded only when somebody asks
 * for them; RunArguments.ts describes the options for both.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as CliConfig from "effect/cli/CliConfig"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import { PLATFORM_CHOICES } from "../Platform/Platform.ts"
import { type OptionDescription, RUN_OPTIONS } from "./RunArguments.ts"
import { VERSION } from "./Version.ts"

/** An option as effect/cli has it: only described here, never parsed. */
const flag = (one: OptionDescription): Flag.Flag<unknown> => {
  const bare: Flag.Flag<unknown> =
    one.name === "platform"
      ? Flag.Literals(one.name, PLATFORM_CHOICES)
      : one.metavar === undefined
        ? Flag.Boolean(one.name)
        : Flag.String(one.name).pipe(Flag.withMetavar(one.metavar))
  const described = bare.pipe(Flag.withDescription(one.description))
  return one.repeatable ? Flag.atLeast(described, 0) : Flag.optional(described)
}

const run = Command.make("run", {
  ...Object.fromEntries(RUN_OPTIONS.map((one) => [one.name, flag(one)])),
  program: Argument.String("PROGRAM").pipe(
    Argument.withDescription("Looked up in the sandbox's PATH, unless it contains a slash")
  ),
  args: Argument.variadic(Argument.String("ARGS")).pipe(Argument.withDescription("Everything after PROGRAM is its own"))
}).pipe(
  Command.withDescription(
    [
      "Runs PROGRAM in a sandbox: an application kernel answers each of its system calls, none reaches the host's.",
      "",
      "The program sees the host's files, but what it changes stays in memory and is gone when it ends; --bind …:rw",
      "is the exception. Exit status: the program's own, 128+N if signal N killed it, 127 if it was not found, 126 if it",
      "could not be executed, 124 after --timeout, 125 if effect-sentry itself failed."
    ].join("\n")
  ),
  Command.withShortDescription("Run a program in a sandbox"),
  Command.withExamples([
    { command: "effect-sentry run ls -l /", description: "List the root directory" },
    { command: "effect-sentry run --strace=%file -- cat /etc/passwd", description: "Trace system calls with a path" },
    { command: "effect-sentry run --timeout 10s --bind ./data:/data:rw python3 job.py", description: "Write results" }
  ])
)

/** Switches and options that are described here, and parsed in TestingArguments.ts. */
const test = Command.make("test", {
  runs: Flag.optional(Flag.Int("runs")).pipe(Flag.withDescription("Runs before the search gives up (default: 200)")),
  seed: Flag.optional(Flag.Int("seed")).pipe(Flag.withDescription("Of the search (default: 0)")),
  fault: Flag.atLeast(Flag.String("fault").pipe(Flag.withMetavar("CALLS:FAULT")), 0).pipe(
    Flag.withDescription(
      "What may go wrong: write:ENOSPC, read,write:short=1, nanosleep:SIGUSR1, %file:delay=100, write:death"
    )
  ),
  timeout: Flag.optional(Flag.String("timeout").pipe(Flag.withMetavar("DURATION"))).pipe(
    Flag.withDescription("Virtual time after which a run counts as one that does not end (default: 1h)")
  ),
  program: Argument.String("PROGRAM"),
  args: Argument.variadic(Argument.String("ARGS"))
}).pipe(
  Command.withDescription(
    [
      "Runs PROGRAM under many orders of its threads and processes, and with faults, until it hangs or dies of a signal.",
      "",
      "Exit status: 0 if nothing was found, 1 with a report and a file to replay if something was."
    ].join("\n")
  ),
  Command.withShortDescription("Look for hangs and crashes of a program")
)

const replay = Command.make("replay", {
  strace: Flag.Boolean("strace").pipe(Flag.withDescription("Print system calls on standard error")),
  "strace-log": Flag.optional(Flag.String("strace-log").pipe(Flag.withMetavar("FILE"))).pipe(
    Flag.withDescription("Write them to FILE")
  ),
  file: Argument.String("FILE")
}).pipe(
  Command.withDescription("Carries out once more the run that `effect-sentry test` or a test has saved in FILE"),
  Command.withShortDescription("Repeat a saved run")
)

const doctor = Command.make("doctor", {}).pipe(
  Command.withDescription("Tests what effect-sentry needs of this host, and explains what is missing"),
  Command.withShortDescription("Test this host")
)

const completions = Command.make("completions", {
  shell: Argument.Literals("SHELL", ["bash", "zsh", "fish"]).pipe(
    Argument.withDescription("Whose completions to print")
  )
}).pipe(Command.withDescription("Prints a completion script"), Command.withShortDescription("Print shell completions"))

const root = Command.make("effect-sentry").pipe(
  Command.withDescription("An application kernel in TypeScript: runs unmodified Linux x86-64 programs in a sandbox"),
  Command.withSubcommands([run, doctor, test, replay, completions])
)

/** Lets effect/cli answer `--help` and `--completions SHELL`. Fails if it cannot make sense of `words`. */
export const answer = (words: ReadonlyArray<string>): Promise<void> =>
  Command.runWith(root, { version: VERSION })(words).pipe(
    Effect.provide(NodeServices.layer),
    Effect.provideService(
      CliConfig.CliConfig,
      CliConfig.make({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
    ),
    Effect.runPromise
  )
