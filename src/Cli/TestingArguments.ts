/**
 * The argument lists of `effect-sentry replay` and `effect-sentry test`. Pure.
 */
import { errnoOf, signalOf } from "../Testing/Fault.ts"
import type { FaultSpace } from "../Testing/PlanSpace.ts"
import { parse as parseFilter } from "../Syscalls/TraceFilter.ts"
import { parseDuration } from "./RunArguments.ts"

export interface ReplayArguments {
  readonly file: string
  readonly strace: boolean
  readonly straceLog: string | undefined
}

export interface TestArguments {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly runs: number
  readonly seed: number
  readonly faults: ReadonlyArray<FaultSpace>
  readonly timeoutMillis: number | undefined
}

/** "CAUSE: what to do", one line. */
export type Parsed<A> = A | string

export const REPLAY_USAGE = "effect-sentry replay [--strace | --strace-log FILE] FILE"
export const TEST_USAGE =
  "effect-sentry test [--runs N] [--seed N] [--fault CALLS:FAULT]... [--timeout VIRTUAL-TIME] [--] PROGRAM [ARGS...]"

/** `write:ENOSPC`, `read,write:short=1`, `nanosleep:SIGUSR1`, `%file:delay=100`, `write:death`. */
export const parseFault = (text: string): FaultSpace | undefined => {
  const at = text.lastIndexOf(":")
  const calls = text.slice(0, at)
  const [kind = "", value = ""] = text.slice(at + 1).split("=")
  if (at <= 0 || typeof parseFilter(calls) !== "function") return undefined
  const count = /^[1-9]\d{0,8}$/.test(value) ? Number(value) : undefined
  const space = (...kinds: FaultSpace["kinds"]): FaultSpace => ({ at: { calls }, kinds })
  if (kind === "death") return space({ _tag: "Death" })
  if (kind === "short" && count !== undefined) return space({ _tag: "Short", bytes: count })
  if (kind === "delay" && count !== undefined) return space({ _tag: "Delay", millis: count })
  if (value !== "") return undefined
  if (errnoOf(kind) !== undefined) return space({ _tag: "Failure", errno: kind })
  return signalOf(kind) === undefined ? undefined : space({ _tag: "Signal", signal: kind })
}

export const parseReplay = (words: ReadonlyArray<string>): Parsed<ReplayArguments> => {
  let file: string | undefined
  let strace = false
  let straceLog: string | undefined
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!
    if (word === "--strace") strace = true
    else if (word === "--strace-log") straceLog = words[++at]
    else if (word.startsWith("-") || file !== undefined) return `unexpected '${word}': write ${REPLAY_USAGE}`
    else file = word
  }
  return file === undefined ? `replay wants a file: write ${REPLAY_USAGE}` : { file, strace, straceLog }
}

export const parseTest = (words: ReadonlyArray<string>): Parsed<TestArguments> => {
  let at = 0
  let runs = 200
  let seed = 0
  let timeoutMillis: number | undefined
  const faults: Array<FaultSpace> = []
  while (at < words.length && words[at]!.startsWith("--")) {
    const word = words[at++]!
    if (word === "--") break
    const equals = word.indexOf("=")
    const name = equals < 0 ? word : word.slice(0, equals)
    const value = equals < 0 ? words[at++] : word.slice(equals + 1)
    const number = value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : undefined
    if (name === "--runs" && number !== undefined && number > 0) runs = number
    else if (name === "--seed" && number !== undefined) seed = number
    else if (name === "--timeout" && parseDuration(value ?? "") !== undefined)
      timeoutMillis = parseDuration(value ?? "")
    else if (name === "--fault") {
      const fault = parseFault(value ?? "")
      if (fault === undefined)
        return `--fault '${value ?? ""}' is none: write CALLS:ERRNO, :SIGNAL, :short=BYTES, :delay=MS or :death`
      faults.push(fault)
    } else return `unexpected '${word}': write ${TEST_USAGE}`
  }
  const program = words[at]
  if (program === undefined) return `no program to test: write ${TEST_USAGE}`
  return { program, args: words.slice(at + 1), runs, seed, faults, timeoutMillis }
}
