/**
 * The programs that are generated: operations on processes, threads and signals, executed one at a time by whichever
 * thread each names (interpreter.c says how). Plain data, so that fast-check can shrink it and a file can keep it.
 */
import * as fc from "fast-check"
import type { Language } from "./Interpreter.ts"

/**
 * [process, thread, name, ...arguments]; the arguments are Linux's numbers, processes are called by their number. Where
 * that is negative, the interpreter chooses among those that there are.
 */
export type Operation = readonly [process: number, thread: number, name: string, ...args: Array<number>]

export interface Program {
  /** Whether the first process leads a session of its own, where nobody looks after its groups. */
  readonly session: boolean
  /** Whether it has handlers for common signals. */
  readonly catching?: boolean
  readonly operations: ReadonlyArray<Operation>
}

const SIG = {
  HUP: 1,
  INT: 2,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
  CHLD: 17,
  CONT: 18,
  STOP: 19,
  TSTP: 20,
  TTIN: 21,
  URG: 23,
  RT2: 36,
  RT3: 37
} as const

const bit = (signo: number): number => 2 ** (signo - 1)

/** Most often those that make the most of a difference. */
const signal = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(SIG.USR1, SIG.USR2, SIG.RT2) },
  { weight: 4, arbitrary: fc.constantFrom(SIG.CONT, SIG.STOP, SIG.TSTP, SIG.CHLD) },
  { weight: 2, arbitrary: fc.constantFrom(SIG.TERM, SIG.KILL, SIG.HUP, SIG.TTIN, SIG.URG, SIG.RT3, SIG.INT) },
  { weight: 1, arbitrary: fc.constantFrom(0, 64, 65, -1) }
)

const catchable = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(SIG.USR1, SIG.USR2, SIG.RT2, SIG.CHLD) },
  { weight: 3, arbitrary: fc.constantFrom(SIG.CONT, SIG.TSTP, SIG.TERM, SIG.HUP, SIG.RT3, SIG.TTIN, SIG.URG) },
  { weight: 1, arbitrary: fc.constantFrom(SIG.KILL, SIG.STOP, SIG.INT) }
)

const signalSet = fc
  .uniqueArray(
    fc.constantFrom(SIG.USR1, SIG.USR2, SIG.RT2, SIG.CHLD, SIG.CONT, SIG.TSTP, SIG.TERM, SIG.HUP, SIG.RT3, SIG.STOP),
    { maxLength: 6 }
  )
  .map((signals) => signals.reduce((sum, signo) => sum + bit(signo), 0))

const SA_FLAGS = [0x1000_0000, 4, 1, 2, 0x8000_0000, 0x4000_0000] // RESTART SIGINFO NOCLDSTOP NOCLDWAIT RESETHAND NODEFER

const actionFlags = fc.subarray(SA_FLAGS).map((flags) => flags.reduce((sum, flag) => sum + flag, 0))

/** -1000 - n: one that exists. */
const process = fc.oneof(
  { weight: 30, arbitrary: fc.nat(4).map((number) => -1000 - number) },
  { weight: 5, arbitrary: fc.constantFrom(0, 1) },
  { weight: 4, arbitrary: fc.constantFrom(0, 1, 2) },
  { weight: 1, arbitrary: fc.constantFrom(2, 3, 4) }
)

const thread = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(2) }
)

/** A process, its group (10 + n), or the own group (-2). */
const target = fc.oneof(
  { weight: 6, arbitrary: process },
  { weight: 2, arbitrary: process.map((number) => (number < 0 ? number - 1000 : 10 + number)) },
  { weight: 1, arbitrary: fc.constant(-2) }
)

/** Those, or all (-1). */
const waitTarget = fc.oneof({ weight: 2, arbitrary: target }, { weight: 3, arbitrary: fc.constant(-1) })

const WNOHANG = 1
const sum = (flags: ReadonlyArray<number>): number => flags.reduce((total, flag) => total + flag, 0)

/** WUNTRACED WCONTINUED __WNOTHREAD __WALL __WCLONE. */
const wait4Options = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: fc.subarray([2, 8, 0x4000_0000]) },
    { weight: 1, arbitrary: fc.subarray([2, 8, 0x2000_0000, 0x4000_0000, 0x8000_0000, 0x0100_0000]) }
  ),
  fc.boolean()
)

/** WSTOPPED WEXITED WCONTINUED WNOWAIT. */
const waitidOptions = fc.tuple(
  fc.oneof(
    { weight: 4, arbitrary: fc.subarray([2, 4, 8, 0x0100_0000, 0x4000_0000]) },
    { weight: 1, arbitrary: fc.subarray([2, 4, 8, 0x0100_0000, 0x2000_0000, 0x4000_0000, 0x8000_0000]) }
  ),
  fc.boolean()
)

const withNoHang = ([flags, block]: readonly [ReadonlyArray<number>, boolean]): number =>
  sum(flags) + (block ? 0 : WNOHANG)

const small = fc.integer({ min: 0, max: 5 })

/** fork, vfork and exec, clone with SIGUSR1, with no signal, CLONE_PARENT, vfork and exit, clone with a real-time signal. */
const flavour = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6)

/** The kinds of operations: how often, and their arguments. */
const KINDS: ReadonlyArray<readonly [weight: number, name: string, ...args: Array<fc.Arbitrary<number>>]> = [
  [8, "fork", fc.constant(-3000), flavour],
  [5, "thread", fc.constant(-3001)],
  [2, "exec"],
  [2, "exit", small],
  [2, "thread_exit", small],
  [16, "kill", target, signal],
  [7, "tgkill", process, thread, signal],
  [4, "sigqueue", process, signal, small],
  [3, "tgsigqueue", process, thread, signal, small],
  [14, "sigaction", catchable, fc.constantFrom(0, 1, 2, 2, 2), actionFlags, signalSet],
  [7, "sigmask", fc.constantFrom(0, 0, 1, 2), signalSet],
  [2, "sigpending"],
  [4, "sigtimedwait", signalSet],
  [2, "sigwait", signalSet],
  [2, "sigsuspend", signalSet],
  [2, "pause"],
  [1, "sleep"],
  [1, "sleep_until"],
  [1, "poll"],
  [1, "poll_time"],
  [1, "ppoll", signalSet],
  [1, "select"],
  [2, "read", fc.constantFrom(0, 1)],
  [2, "write", fc.constantFrom(0, 1)],
  [1, "futex"],
  [1, "futex_time"],
  [1, "futex_wake", fc.constantFrom(1, 2)],
  [9, "wait4", waitTarget, wait4Options.map(withNoHang)],
  [7, "waitid", fc.constantFrom(0, 0, 1, 2), fc.oneof(process, fc.constant(-2)), waitidOptions.map(withNoHang)],
  [6, "setpgid", fc.oneof(process, fc.constant(-2)), fc.oneof(process, fc.constant(-2))],
  [3, "setsid"],
  [1, "getpgid", fc.oneof(process, fc.constant(-2))],
  [1, "getsid", fc.oneof(process, fc.constant(-2))],
  [1, "getppid"],
  [3, "pdeathsig", fc.constantFrom(SIG.USR1, SIG.RT2, SIG.TERM, SIG.STOP, SIG.CONT, 0, 65)],
  [2, "subreaper", fc.constantFrom(1, 1, 0)]
]

/** Who executes it: most often somebody who can. */
const actor = fc.oneof(
  { weight: 12, arbitrary: fc.tuple(fc.constant(-1), fc.nat(14)) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(4), fc.nat(2)) }
)

const operationOf = (kinds: typeof KINDS): fc.Arbitrary<Operation> =>
  fc.oneof(
    ...kinds.map(([weight, name, ...args]) => ({
      weight,
      arbitrary: fc
        .tuple(actor, fc.constant(name), ...args)
        .map(([[p, t], kind, ...values]): Operation => [p, t, kind, ...values])
    }))
  )

const fixed = (p: number, t: number, name: string, ...args: Array<fc.Arbitrary<number>>): fc.Arbitrary<Operation> =>
  fc.tuple(fc.constant(p), fc.constant(t), fc.constant(name), ...args)

/** Children that can be made once those before them exist, and actions to inherit. */
const family: fc.Arbitrary<Operation> = fc.oneof(
  fixed(0, 0, "sigaction", catchable, fc.constantFrom(1, 2, 2, 2), actionFlags, signalSet),
  fixed(0, 0, "fork", fc.constant(1), flavour),
  fixed(0, 0, "fork", fc.constant(2), flavour),
  fixed(1, 0, "fork", fc.constant(2), flavour),
  fixed(1, 0, "fork", fc.constant(3), flavour),
  fixed(2, 0, "fork", fc.constant(3), flavour),
  fixed(0, 0, "thread", fc.constantFrom(1, 2)),
  fixed(1, 0, "thread", fc.constantFrom(1, 2)),
  fixed(2, 0, "thread", fc.constantFrom(1, 2)),
  fixed(0, 0, "sigmask", fc.constant(0), signalSet)
)

/** First a family to work with, then anything. */
const program: fc.Arbitrary<Program> = fc.record({
  session: fc.boolean(),
  catching: fc.oneof({ weight: 1, arbitrary: fc.constant(false) }, { weight: 4, arbitrary: fc.constant(true) }),
  operations: fc
    .tuple(
      fc.array(family, { minLength: 2, maxLength: 12, size: "max" }),
      fc.array(operationOf(KINDS), { maxLength: 50, size: "max" })
    )
    .map(([first, rest]) => [...first, ...rest])
})

/** A program in the interpreter's language. */
const print = ({ catching = false, operations, session }: Program): string =>
  [
    `begin ${(session ? 1 : 0) + (catching ? 2 : 0)}`,
    ...operations.map((operation) => operation.join(" ")),
    "end",
    ""
  ].join("\n")

export const processes: Language<Program> = {
  program,
  print,
  executables: [
    {
      name: "interpreter",
      sources: ["interpreter.c", "operations.c", "interpreter.h", "output.h"],
      flags: ["-pthread"]
    }
  ]
}
