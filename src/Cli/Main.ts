/**
 * The command line: finds the command, and loads no more than that needs. Errors are one line on standard error,
 * `effect-sentry: CAUSE: what to do`.
 */
import { nearest, parse } from "./RunArguments.ts"
import { VERSION } from "./Version.ts"

/** Exit status of usage errors and of the sentry's own failures. */
const FAILED = 125

const COMMANDS = ["run", "test", "replay", "doctor", "completions"]
const SHELLS = ["bash", "zsh", "fish"]

const fail = (message: string, status = FAILED): number => {
  process.stderr.write(`effect-sentry: ${message.replaceAll("\n", " ")}\n`)
  return status
}

/** Help and completions; the words have been checked. */
const answer = async (...words: ReadonlyArray<string>): Promise<number> => {
  const help = await import("./Help.ts")
  await help.answer(words)
  return 0
}

const runCommand = async (words: ReadonlyArray<string>): Promise<number> => {
  const request = parse(words)
  if (request._tag === "Help") return answer("run", "--help")
  if (request._tag === "UsageError") return fail(request.message)
  const { run } = await import("./RunCommand.ts")
  const result = await run(request.arguments)
  return typeof result === "number" ? result : fail(result.message, result.status)
}

const isHelp = (words: ReadonlyArray<string>): boolean => words[0] === "--help" || words[0] === "-h"

const testCommand = async (words: ReadonlyArray<string>): Promise<number> => {
  if (isHelp(words)) return answer("test", "--help")
  const { parseTest } = await import("./TestingArguments.ts")
  const parsed = parseTest(words)
  if (typeof parsed === "string") return fail(parsed)
  const commands = await import("./TestingCommands.ts")
  return commands.testCommand(parsed)
}

const replayCommand = async (words: ReadonlyArray<string>): Promise<number> => {
  if (isHelp(words)) return answer("replay", "--help")
  const { parseReplay } = await import("./TestingArguments.ts")
  const parsed = parseReplay(words)
  if (typeof parsed === "string") return fail(parsed)
  const commands = await import("./TestingCommands.ts")
  return commands.replayCommand(parsed)
}

const doctorCommand = async (words: ReadonlyArray<string>): Promise<number> => {
  if (words.includes("--help") || words.includes("-h")) return answer("doctor", "--help")
  if (words.length > 0) return fail(`doctor takes no arguments: leave out '${words[0]}'`)
  const { examine } = await import("./DoctorCommand.ts")
  return examine()
}

const completionsCommand = async (words: ReadonlyArray<string>): Promise<number> => {
  const [shell, ...rest] = words
  if (shell === "--help" || shell === "-h") return answer("completions", "--help")
  if (shell === undefined || !SHELLS.includes(shell) || rest.length > 0) {
    return fail(`completions wants one shell: write \`effect-sentry completions ${SHELLS.join("|")}\``)
  }
  return answer("--completions", shell)
}

const main = async (words: ReadonlyArray<string>): Promise<number> => {
  const [command, ...rest] = words
  switch (command) {
    case "run":
      return runCommand(rest)
    case "test":
      return testCommand(rest)
    case "replay":
      return replayCommand(rest)
    case "doctor":
      return doctorCommand(rest)
    case "completions":
      return completionsCommand(rest)
    case "--completions":
      return completionsCommand(rest)
    case "--help":
    case "-h":
    case "help":
      return answer("--help")
    case "--version":
    case "-v":
      process.stdout.write(`effect-sentry ${VERSION}\n`)
      return 0
    case undefined:
      return fail("no command: write `effect-sentry run PROGRAM [ARGS...]`, or see `effect-sentry --help`")
    default: {
      const like = nearest(command, COMMANDS)
      const cure = like === undefined ? "see `effect-sentry --help`" : `did you mean ${like}?`
      return fail(`unknown ${command.startsWith("-") ? "option" : "command"} '${command}': ${cure}`)
    }
  }
}

// nothing that is still open may delay the end: what counted is closed
void main(process.argv.slice(2)).then((status) => process.exit(status))
