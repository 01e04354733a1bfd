/**
 * The argument list of `effect-sentry run`, parsed by hand: the start-up of every sandbox passes here, and effect/cli
 * costs 50 ms to load. Options come first; the first word that is not one is PROGRAM, and everything after it belongs
 * to PROGRAM, with or without `--`.
 *
 * Pure: knows nothing of the host but what it is given.
 */
import { PLATFORM_CHOICES, type PlatformChoice } from "../Platform/Platform.ts"
import * as TraceFilter from "../Syscalls/TraceFilter.ts"

/** A host directory or file shown inside the sandbox. */
export interface Bind {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

export interface RunArguments {
  readonly program: string
  readonly args: ReadonlyArray<string>
  /** Working directory inside the sandbox; undefined: the caller's. */
  readonly cwd: string | undefined
  /** In order; a later one wins. A name without a value passes the caller's on. */
  readonly env: ReadonlyArray<{ readonly name: string; readonly value: string | undefined }>
  readonly clearEnv: boolean
  /** Host directory that becomes /; undefined: the host's own. */
  readonly rootfs: string | undefined
  readonly binds: ReadonlyArray<Bind>
  readonly timeoutMillis: number | undefined
  readonly platform: PlatformChoice
  /** Whether the fast platform may patch hot call sites. */
  readonly patch: boolean
  /** Undefined: no trace. */
  readonly strace: TraceFilter.TraceFilter | undefined
  /** Where the trace goes; undefined: standard error. */
  readonly straceLog: string | undefined
  /** A deterministic run, begun at this time, nanoseconds since 1970; undefined: the host's time. */
  readonly virtualStart: bigint | undefined
  /** Of the randomness and the order of a deterministic run. */
  readonly seed: number
}

/** Why the argument list is refused: "CAUSE: what to do", one line. */
export interface UsageError {
  readonly _tag: "UsageError"
  readonly message: string
}

/** What `run`'s arguments ask for. */
export type RunRequest =
  | { readonly _tag: "Run"; readonly arguments: RunArguments }
  | { readonly _tag: "Help" }
  | UsageError

/** An option as help and completions describe it. */
export interface OptionDescription {
  readonly name: string
  /** What its value stands for; undefined for a switch. */
  readonly metavar: string | undefined
  readonly description: string
  readonly repeatable: boolean
  /** The value may be left out. */
  readonly valueOptional: boolean
}

const option = (
  name: string,
  metavar: string | undefined,
  description: string,
  more: { readonly repeatable?: true; readonly valueOptional?: true } = {}
): OptionDescription => ({
  name,
  metavar,
  description,
  repeatable: more.repeatable ?? false,
  valueOptional: more.valueOptional ?? false
})

/** Every option of `run`, in the order of the help text. */
export const RUN_OPTIONS: ReadonlyArray<OptionDescription> = [
  option("cwd", "DIR", "Working directory inside the sandbox (default: the current one, or / with --rootfs)"),
  option("env", "K=V", "Set an environment variable; K alone passes the caller's value on", { repeatable: true }),
  option("clear-env", undefined, "Start from an empty environment"),
  option("rootfs", "DIR", "Host directory that becomes / (default: the host's /); changes stay in memory"),
  option("bind", "SRC:DST[:ro|rw]", "Show host path SRC at DST; ro is the default, rw writes to the host", {
    repeatable: true
  }),
  option("timeout", "DURATION", "Kill everything after DURATION (10, 1.5s, 500ms, 2m, 1h); exit status 124"),
  option(
    "platform",
    "auto|ptrace|systrap",
    "How application code is run (default: auto: systrap, which is faster, where it works)"
  ),
  option("no-patch", undefined, "systrap: leave the program's hot call sites as they are"),
  option("strace", "FILTER", "Print system calls as strace does; FILTER as in strace -e, given as --strace=FILTER", {
    valueOptional: true
  }),
  option("strace-log", "FILE", "Write the trace to FILE instead of standard error"),
  option(
    "virtual-time",
    "START",
    "A deterministic run: time begins at START (2026-01-01T00:00:00Z) and costs nothing",
    {
      valueOptional: true
    }
  ),
  option("seed", "N", "With --virtual-time: decides randomness, addresses and the order of threads (default: 0)")
]

const usage = (message: string): UsageError => ({ _tag: "UsageError", message })

const SEE_HELP = "see `effect-sentry run --help`"

/** Milliseconds of "10", "1.5s", "500ms", "2m", "1h", "1d"; undefined when it is none of these. */
export const parseDuration = (text: string): number | undefined => {
  const match = /^(\d+(?:\.\d*)?|\.\d+)(ms|s|m|h|d)?$/.exec(text)
  if (match === null) return undefined
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? "s"]
  return unit === undefined ? undefined : Number(match[1]) * unit
}

/** Where a deterministic run begins unless told otherwise: 2026-01-01T00:00:00Z, nanoseconds since 1970. */
const DEFAULT_START = 1_767_225_600_000_000_000n
/** The last second that fits the kernel's 64-bit nanoseconds with some room: in 2200. */
const LAST_SECOND = 7_258_118_400

/** Nanoseconds since 1970 of an ISO 8601 time or a number of seconds; undefined when it is neither. */
export const parseInstant = (text: string): bigint | undefined => {
  const isIso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)
  const millis = isIso ? Date.parse(text) : /^\d{1,11}(\.\d{1,3})?$/.test(text) ? Math.round(Number(text) * 1000) : NaN
  return millis >= 0 && millis <= LAST_SECOND * 1000 ? BigInt(millis) * 1_000_000n : undefined
}

/** SRC:DST[:ro|rw]; undefined when malformed. A path that contains a colon cannot be said. */
export const parseBind = (text: string): Bind | undefined => {
  const [source, target, mode = "ro", ...rest] = text.split(":")
  if (source === undefined || source === "" || target === undefined || !target.startsWith("/")) return undefined
  if (rest.length > 0 || (mode !== "ro" && mode !== "rw")) return undefined
  return { source, target, readOnly: mode === "ro" }
}

/** How many single-character edits lie between two words: for "did you mean". */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

/** The one of `words` that `word` is most like, if it is like any. */
export const nearest = (word: string, words: ReadonlyArray<string>): string | undefined => {
  const [best] = words.map((candidate) => [distance(word, candidate), candidate] as const).sort((a, b) => a[0] - b[0])
  return best !== undefined && best[0] <= Math.max(1, Math.floor(word.length / 3)) ? best[1] : undefined
}

type Draft = { -readonly [K in keyof RunArguments]: RunArguments[K] }

/** Applies one option with its value; a message if the value is no good. */
const apply = (draft: Draft, name: string, value: string): string | undefined => {
  switch (name) {
    case "cwd":
      if (value === "") return "--cwd wants a directory: give a path inside the sandbox"
      draft.cwd = value
      return undefined
    case "env": {
      const at = value.indexOf("=")
      if (at === 0 || value === "") return `--env '${value}' has no name: write --env NAME=VALUE`
      const variable =
        at < 0 ? { name: value, value: undefined } : { name: value.slice(0, at), value: value.slice(at + 1) }
      draft.env = [...draft.env, variable]
      return undefined
    }
    case "rootfs":
      if (value === "") return "--rootfs wants a directory: give the path of the new root"
      draft.rootfs = value
      return undefined
    case "bind": {
      const bind = parseBind(value)
      if (bind === undefined)
        return `--bind '${value}' is malformed: write --bind SRC:DST, SRC:DST:ro or SRC:DST:rw, DST absolute`
      draft.binds = [...draft.binds, bind]
      return undefined
    }
    case "timeout":
      draft.timeoutMillis = parseDuration(value)
      if (draft.timeoutMillis === undefined)
        return `--timeout '${value}' is no duration: write 10, 1.5s, 500ms, 2m or 1h`
      return undefined
    case "platform": {
      const platform = PLATFORM_CHOICES.find((one) => one === value)
      if (platform === undefined)
        return `there is no platform '${value}': use --platform ${PLATFORM_CHOICES.join(", ")}`
      draft.platform = platform
      return undefined
    }
    case "strace": {
      const filter = TraceFilter.parse(value)
      if (typeof filter !== "function")
        return `--strace: ${filter.reason}: use call names, %file, %process, %network, %memory, %signal or %desc`
      draft.strace = filter
      return undefined
    }
    case "virtual-time":
      draft.virtualStart = parseInstant(value)
      if (draft.virtualStart === undefined)
        return `--virtual-time '${value}' is no time: write 2030-01-31T12:00:00Z or seconds since 1970`
      return undefined
    case "seed":
      if (!/^\d{1,9}$/.test(value)) return `--seed '${value}' is no seed: give a number below 1000000000`
      draft.seed = Number(value)
      return undefined
    default: // strace-log, the last of RUN_OPTIONS with a value
      if (value === "") return "--strace-log wants a file: give its path"
      draft.straceLog = value
      return undefined
  }
}

/** Parses the words after `run`. */
export const parse = (words: ReadonlyArray<string>): RunRequest => {
  const draft: Draft = {
    program: "",
    args: [],
    cwd: undefined,
    env: [],
    clearEnv: false,
    rootfs: undefined,
    binds: [],
    timeoutMillis: undefined,
    platform: "auto",
    patch: true,
    strace: undefined,
    straceLog: undefined,
    virtualStart: undefined,
    seed: 0
  }
  let at = 0
  while (at < words.length) {
    const word = words[at]!
    if (word === "--") {
      at++
      break
    }
    if (!word.startsWith("-") || word === "-") break
    at++
    if (word === "--help" || word === "-h") return { _tag: "Help" }
    if (word === "--no-patch") {
      draft.patch = false
      continue
    }
    if (word === "--clear-env") {
      draft.clearEnv = true
      continue
    }
    const equals = word.indexOf("=")
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
    const known = word.startsWith("--") ? RUN_OPTIONS.find((one) => one.name === name) : undefined
    if (known === undefined || known.metavar === undefined) {
      if (known !== undefined) return usage(`--${name} takes no value: leave out '${word.slice(equals)}'`)
      const like = nearest(name, [...RUN_OPTIONS.map((one) => one.name), "help"])
      return usage(`unknown option '${word}': ${like === undefined ? SEE_HELP : `did you mean --${like}?`}`)
    }
    let value = equals < 0 ? undefined : word.slice(equals + 1)
    if (value === undefined && known.valueOptional) {
      if (name === "strace") draft.strace = TraceFilter.traceAll
      else draft.virtualStart = DEFAULT_START
      continue
    }
    if (value === undefined) {
      value = words[at++]
      if (value === undefined) return usage(`--${name} wants a value: write --${name} ${known.metavar}`)
    }
    const problem = apply(draft, name, value)
    if (problem !== undefined) return usage(problem)
  }
  const program = words[at]
  if (program === undefined) return usage("no program to run: write `effect-sentry run PROGRAM [ARGS...]`")
  if (program === "") return usage("the program's name is empty: write `effect-sentry run PROGRAM [ARGS...]`")
  if (draft.straceLog !== undefined) draft.strace ??= TraceFilter.traceAll
  return { _tag: "Run", arguments: { ...draft, program, args: words.slice(at + 1) } }
}
