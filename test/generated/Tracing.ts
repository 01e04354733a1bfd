/**
 * The programs that are generated for a tracer and its tracees: operations of the tracer, executed one at a time
 * (tracer.c says how), and commands that it gives its tracees. Plain data, so that fast-check can shrink it.
 */
import * as fc from "fast-check"
import type { Language } from "./Interpreter.ts"

/** The arguments are Linux's numbers; tracer.c says how actors are called. */
export type TracerOperation = readonly [name: string, actor: number, ...args: ReadonlyArray<number>]

export interface TracerProgram {
  /** Stops are waited for only where the program says so. */
  readonly lazy: boolean
  readonly operations: ReadonlyArray<TracerOperation>
}

const USR1 = 10
const USR2 = 12
const KILL = 9
const TERM = 15
const CHLD = 17
const CONT = 18
const STOP = 19
const TSTP = 20
const TRAP = 5
const SEGV = 11
const URG = 23
const RT2 = 36

const signal = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(USR1, USR2, RT2) },
  { weight: 5, arbitrary: fc.constantFrom(STOP, CONT, STOP, CONT, TSTP, CHLD) },
  { weight: 2, arbitrary: fc.constantFrom(TERM, KILL, TRAP, SEGV, URG) }
)

/** What a tracer passes on: mostly nothing. */
const passedOn = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 4, arbitrary: signal },
  { weight: 1, arbitrary: fc.constantFrom(65, 64) }
)

const SETTABLE = [USR1, USR2, CHLD, TERM, TSTP, TRAP, SEGV, RT2, CONT]

/** The low 32 signals. */
const signalSet = fc
  .subarray([USR1, USR2, CHLD, TERM, STOP, TRAP, CONT, SEGV])
  .map((signals) => signals.reduce((set, each) => set + 2 ** (each - 1), 0))

/** SYSGOOD FORK VFORK CLONE EXEC VFORKDONE EXIT SECCOMP EXITKILL. */
const OPTIONS = [1, 2, 4, 8, 0x10, 0x20, 0x40, 0x80, 0x10_0000]
const ALL_EVENTS = 0xff

const options = fc.oneof(
  { weight: 4, arbitrary: fc.subarray(OPTIONS).map((some) => some.reduce((sum, each) => sum + each, 0)) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, ALL_EVENTS, ALL_EVENTS) },
  { weight: 1, arbitrary: fc.constantFrom(0x400, 0x10_0040) }
)

/** An actor that is there, one in a ptrace-stop, one that sleeps, any. */
const there = fc.nat(3).map((n) => 100 + n)
const stopped = fc.nat(2).map((n) => 200 + n)
const sleeping = fc.nat(2).map((n) => 300 + n)
const mostly = (first: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  fc.oneof({ weight: 9, arbitrary: first }, { weight: 1, arbitrary: there }, { weight: 1, arbitrary: fc.nat(3) })

const small = fc.integer({ min: 0, max: 5 })

/** getpid, getppid, getuid, gettid, none. Each has a result that is no 0: a clone that became one of them has no child. */
const numbers = fc.constantFrom(39, 110, 186, 500)

/** What makes no call, and results that make the kernel restart one. */
const registerValue = fc.oneof(
  fc.tuple(fc.constant(0), fc.constantFrom(-4, -512, -513, -514, -516, 0, 0x7777)),
  fc.tuple(fc.constant(1), fc.oneof(numbers, fc.constant(-1)))
)

/** Commands, by their number in tracing.h: how often, and their arguments. */
const COMMANDS: ReadonlyArray<readonly [weight: number, action: number, ...args: Array<fc.Arbitrary<number>>]> = [
  [8, 0, fc.constant(0), fc.constantFrom(0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7)],
  [3, 1],
  [2, 2, small],
  [2, 3, small],
  [3, 4, there, signal],
  [5, 5, signal],
  [3, 6, numbers],
  [3, 7, fc.constantFrom(0, 0, 1, 2), signalSet],
  [5, 8, fc.constantFrom(...SETTABLE), fc.nat(4)],
  [2, 9],
  [2, 10],
  [1, 11],
  [1, 12],
  [3, 13, fc.constantFrom(1, 3, 0x4000_0001, 2, 0x4000_0000)],
  [1, 14],
  [2, 15],
  [2, 16, fc.nat(3)],
  [1, 17, small]
]

type Kind = readonly [weight: number, name: string, actor: fc.Arbitrary<number>, ...args: Array<fc.Arbitrary<number>>]

const KINDS: ReadonlyArray<Kind> = [
  [2, "spawn", fc.constant(0), fc.constantFrom(0, 1)],
  [4, "attach", mostly(sleeping)],
  [5, "seize", mostly(sleeping), options],
  [5, "interrupt", mostly(sleeping)],
  [3, "listen", mostly(stopped)],
  [3, "detach", mostly(stopped), passedOn],
  [14, "cont", mostly(stopped), passedOn],
  [14, "syscall", mostly(stopped), passedOn],
  [6, "step", mostly(stopped), passedOn],
  [4, "sysemu", mostly(stopped), passedOn],
  [2, "emustep", mostly(stopped), passedOn],
  [1, "killreq", mostly(stopped)],
  [4, "options", mostly(stopped), options],
  [10, "kill", there, signal],
  [3, "tkill", there, signal],
  [2, "setinfo", mostly(stopped), signal],
  [2, "peekinfo", mostly(stopped), fc.constantFrom(0, 1), fc.nat(1), fc.constantFrom(1, 4)],
  [1, "getmask", mostly(stopped)],
  [1, "setmask", mostly(stopped), signalSet],
  [7, "setreg", mostly(stopped)],
  [1, "collect", there],
  [2, "waitid", there, fc.constantFrom(2, 4, 6, 14, 0x0100_0006, 0x0100_0002, 8)],
  [1, "look", there]
]

const command: fc.Arbitrary<TracerOperation> = fc.oneof(
  ...COMMANDS.map(([weight, action, ...args]) => ({
    weight,
    arbitrary: fc
      .tuple(mostly(sleeping), ...args)
      .map(([actor, ...values]): TracerOperation => ["do", actor, action, ...values])
  }))
)

const request: fc.Arbitrary<TracerOperation> = fc.oneof(
  ...KINDS.map(([weight, name, actor, ...args]) => ({
    weight,
    arbitrary:
      name === "setreg"
        ? fc.tuple(actor, registerValue).map(([who, values]): TracerOperation => [name, who, ...values])
        : fc.tuple(actor, ...args).map(([who, ...values]): TracerOperation => [name, who, ...values])
  }))
)

/** First tracees to work with: made traced, or attached to. */
const beginning: fc.Arbitrary<ReadonlyArray<TracerOperation>> = fc.oneof(
  fc.tuple(options).map(([some]): ReadonlyArray<TracerOperation> => [
    ["spawn", 0, 1],
    ["options", 200, some],
    ["cont", 200, 0]
  ]),
  fc.tuple(options).map(([some]): ReadonlyArray<TracerOperation> => [
    ["spawn", 0, 0],
    ["seize", 300, some]
  ]),
  fc.constant<ReadonlyArray<TracerOperation>>([
    ["spawn", 0, 0],
    ["attach", 300]
  ])
)

const program: fc.Arbitrary<TracerProgram> = fc.record({
  lazy: fc.oneof({ weight: 6, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  operations: fc
    .tuple(
      fc.array(beginning, { minLength: 1, maxLength: 2, size: "max" }),
      fc.array(fc.oneof({ weight: 5, arbitrary: request }, { weight: 3, arbitrary: command }), {
        maxLength: 40,
        size: "max"
      })
    )
    .map(([first, rest]) => [...first.flat(), ...rest])
})

const print = ({ lazy, operations }: TracerProgram): string =>
  [`begin ${lazy ? 1 : 0}`, ...operations.map((operation) => operation.join(" ")), "end", ""].join("\n")

/** Tracees have no C library, so that nothing happens in them but what they are told to do. */
const FREESTANDING = ["-nostdlib", "-no-pie", "-fno-pie", "-ffreestanding", "-fno-stack-protector"]

export const tracing: Language<TracerProgram> = {
  program,
  print,
  executables: [
    { name: "tracer", sources: ["tracer.c", "tracing.h", "output.h"] },
    { name: "tracee", sources: ["tracee.c", "tracing.h"], flags: FREESTANDING }
  ]
}
