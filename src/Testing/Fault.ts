/**
 * What can go wrong, as plain data. A fault names the calls that it concerns, as strace does, which of them it is (the
 * nth, counted over the whole run), and what happens to it. Nothing of it is a function, so that it can be written to a
 * file, read, shrunk, and said in words.
 *
 * Later kinds (power loss, networks) are further members of `Fault`; a file that names an unknown one is refused, with
 * its name.
 */
import * as Schema from "effect/Schema"
import { errnoNames } from "../Abi/Errno.ts"
import * as Signal from "../Abi/Signal.ts"

/** What kind of file a call's first descriptor is. */
export const FdKind = Schema.Literals(["file", "directory", "pipe", "socket", "other"])
export type FdKind = typeof FdKind.Type

/** Which calls. Everything that is said must hold. */
export const Selector = Schema.Struct({
  /** In the language of strace's -e trace=: names, classes such as %file, /regular expressions. */
  calls: Schema.String,
  /** Those that name a file, by a path or a descriptor, whose path as the program has it matches: `*`, `?`, `**`. */
  path: Schema.optionalKey(Schema.String),
  /** Those on such a descriptor. */
  fd: Schema.optionalKey(FdKind),
  /** Those of tasks that execute a program of this name (comm), or of one task. */
  task: Schema.optionalKey(Schema.Union([Schema.String, Schema.Int])),
  /** The nth of them, from 1. */
  nth: Schema.Int.check(Schema.isGreaterThan(0))
})
export type Selector = typeof Selector.Type

const fields = { at: Selector }

/** The call is not made and fails: "EIO". EINTR too: as if a signal had come that has a handler. */
export const Failure = Schema.TaggedStruct("Failure", { ...fields, errno: Schema.String })
/** At most so many bytes are read or written. */
export const Short = Schema.TaggedStruct("Short", { ...fields, bytes: Schema.Int.check(Schema.isGreaterThan(0)) })
/** The call begins later, ms of virtual time. */
export const Delay = Schema.TaggedStruct("Delay", { ...fields, millis: Schema.Int.check(Schema.isGreaterThan(0)) })
/** Before the call CLOCK_REALTIME jumps, ms; back if negative. */
export const ClockJump = Schema.TaggedStruct("ClockJump", { ...fields, millis: Schema.Int })
/** Before the call its thread gets a signal: "SIGTERM". */
export const SignalSent = Schema.TaggedStruct("Signal", { ...fields, signal: Schema.String })
/** In place of the call its process is killed, as by SIGKILL. */
export const Death = Schema.TaggedStruct("Death", fields)

export const Fault = Schema.Union([Failure, Short, Delay, ClockJump, SignalSent, Death])
export type Fault = typeof Fault.Type

const errnos = new Map([...errnoNames].map(([errno, [name]]) => [name, errno] as const))

/** The number of "ENOSPC"; undefined if there is none. */
export const errnoOf = (name: string): number | undefined => errnos.get(name)

/** The number of "SIGUSR1"; undefined if there is none. */
export const signalOf = (name: string): number | undefined => {
  const value: unknown = Object.entries(Signal).find(([key]) => key === name && /^SIG[A-Z0-9]+$/.test(key))?.[1]
  return typeof value === "number" ? value : undefined
}

const ordinal = (n: number): string => {
  const suffix = n % 100 >= 11 && n % 100 <= 13 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th")
  return `${n}${suffix}`
}

const where = ({ calls, fd, nth, path, task }: Selector): string =>
  [
    `the ${ordinal(nth)} ${calls === "all" ? "call" : calls}`,
    ...(path === undefined ? [] : [`of ${path}`]),
    ...(fd === undefined ? [] : [`on a ${fd}`]),
    ...(task === undefined ? [] : [`by ${typeof task === "number" ? `task ${task}` : task}`])
  ].join(" ")

/** A fault in words. */
export const describe = (fault: Fault): string => {
  const place = where(fault.at)
  switch (fault._tag) {
    case "Failure":
      return `${place} fails with ${fault.errno}`
    case "Short":
      return `${place} transfers at most ${fault.bytes} byte${fault.bytes === 1 ? "" : "s"}`
    case "Delay":
      return `${place} is delayed by ${fault.millis} ms`
    case "ClockJump":
      return `the clock jumps by ${fault.millis} ms before ${place}`
    case "Signal":
      return `${fault.signal} arrives before ${place}`
    case "Death":
      return `the process is killed in place of ${place}`
  }
}
