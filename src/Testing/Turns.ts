/**
 * One guest thread at a time: makes any platform deterministic by letting its threads take turns.
 *
 *     ready ──chosen──▶ running ──system call, fault──▶ in the kernel ──switch──▶ ready
 *       ▲                  │ interrupted                      │ waits
 *       └──────────────────┴──────────────────────────────────┘
 *
 * `layer` wraps a platform: `switch` first waits for a turn, and a turn is one *step*, up to the next system call or
 * fault. The next thread is chosen when the kernel has come to rest: the run queue is empty, so that everybody whom the
 * last step woke is either waiting again or ready. What the platform below does for the kernel in its own time (a fork,
 * say) begins only then, too, one such operation after the other, and nothing else happens meanwhile. So nothing depends on
 * how fast the host is: what the kernel does between two steps is a function of what it did before.
 *
 * Time is the sandbox's own. A step costs STEP_TIME, on the clock and of the thread's cpu time; when nobody is ready it
 * jumps to the next deadline. A thread that computes for long without a step makes no time pass; one that spins, waiting
 * for what only another could do, would do so for ever. So after SPIN_LIMIT of the processor's time it is stopped if anybody
 * else waits for a turn or for a time, and `onSpin` told; others come first then. From then on the run depends on the host.
 *
 * Not controlled: what the host does to files that the sandbox shows, and when bytes come in on its streams.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import {
  type AddressSpace,
  type DebugRegisters,
  Platform,
  type PlatformContext,
  type PlatformFailed,
  type ThreadUsage,
  unsampled
} from "../Platform/Platform.ts"
import type { VirtualTime } from "../Time/VirtualTime.ts"
import type { Strategy } from "./Scheduler.ts"

/** What a step takes, nanoseconds: about what a short system call costs on Linux, with some computing before it. */
export const STEP_TIME = 1000n
/** How long a thread may compute without a step while others wait, nanoseconds of the host's CPU time. */
const SPIN_LIMIT = 1_500_000_000n
/** How often that is looked at, ms. */
const SPIN_CHECK = 1000
/** What is charged for that, nanoseconds. */
const SPIN_TIME = 10_000_000n

/** Who a thread is, and how it is stopped: known to the kernel, not to the platform. */
export interface Threads {
  /** The id of the task that runs in a context, which was `known` before; 0 if there is none. */
  readonly identify: (context: PlatformContext, known: number) => number
  /** Makes a task look up from what it does. */
  readonly interrupt: (task: number) => void
}

export interface TurnsOptions {
  /** Has `idle` called soon. */
  readonly wake: () => void
  readonly scheduler: Strategy
  readonly time: VirtualTime
  /** A task computed for long while others waited. */
  readonly onSpin?: (task: number) => void
  /** How long a run may be, in virtual nanoseconds and in steps; without limits it lasts until the program ends. */
  readonly limits?: { readonly time: bigint; readonly steps: number }
  /** Nobody can run any more, or a limit was reached: nobody gets a turn from now on. */
  readonly onEnd?: (reason: "Stuck" | "TimedOut") => void
}

interface Waiting {
  readonly thread: SerialThread
  readonly start: () => void
}

export class Turns {
  readonly #scheduler: Strategy
  readonly #time: VirtualTime
  readonly #limits: TurnsOptions["limits"]
  readonly #onEnd: TurnsOptions["onEnd"]
  #begun = false
  #ended = false
  readonly #onSpin: (task: number) => void
  /** By task id. */
  readonly #ready = new Map<number, Waiting>()
  /** Operations of the platform's that are to begin, in this order. */
  readonly #operations: Array<() => void> = []
  /** Whether one is under way. */
  #operating = false
  readonly #wake: () => void
  /** Steps made, by task id. */
  readonly #steps = new Map<number, number>()
  #running: SerialThread | undefined
  /** Whether it has made its step. */
  #stepped = false
  #last = 0
  /** The task whose turn ended because it span: others come first now. */
  #spun = 0
  #total = 0
  #watch: NodeJS.Timeout | undefined
  /** Set once the kernel is there, before its first program starts. */
  threads: Threads | undefined

  constructor({ limits, onEnd, onSpin, scheduler, time, wake }: TurnsOptions) {
    this.#wake = wake
    this.#scheduler = scheduler
    this.#time = time
    this.#limits = limits
    this.#onEnd = onEnd
    this.#onSpin = onSpin ?? (() => {})
  }

  /** Steps made so far. */
  get total(): number {
    return this.#total
  }

  /** The platform below, one thread at a time. */
  layer(platform: Layer.Layer<Platform, PlatformFailed>): Layer.Layer<Platform, PlatformFailed> {
    return Layer.effect(
      Platform,
      Effect.gen({ self: this }, function* () {
        const inner = yield* Platform
        yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(this.#watch)))
        this.#watchForSpins()
        const spaces = new WeakMap<AddressSpace, AddressSpace>()
        const serial = (context: PlatformContext) => new SerialThread(this, spaces, context)
        const makeContext = Effect.map(this.operation(inner.makeContext), serial)
        return Platform.of({ ...inner, serial: true, makeContext })
      })
    ).pipe(Layer.provide(platform))
  }

  /** The first program is there: from now on, threads get turns. */
  begin(): void {
    this.#begun = true
  }

  /** For the run queue: the kernel has come to rest. True if somebody in the kernel can go on. */
  readonly idle = (): boolean => {
    if (this.#operating) return false
    const operation = this.#operations.shift()
    if (operation !== undefined) {
      this.#operating = true
      operation()
      return true
    }
    if (this.#running !== undefined || !this.#begun || this.#ended) return false
    if (this.#time.ring()) return true
    if (this.#isOver()) return this.#end("TimedOut")
    if (this.#ready.size === 0) return this.#time.advance() || this.#end("Stuck")
    const waiting = this.#ready.get(this.#choose())!
    this.#ready.delete(waiting.thread.task)
    this.#running = waiting.thread
    this.#stepped = false
    this.#last = waiting.thread.task
    waiting.start()
    return true
  }

  /** What the platform below does for the kernel in its own time. */
  operation<A, E>(operation: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.uninterruptible(
      Effect.flatMap(Effect.andThen(this.#awaitRest, Effect.exit(operation)), (exit) =>
        Effect.andThen(this.#endOperation, exit)
      )
    )
  }

  readonly #awaitRest = Effect.callback<void>((resume) => {
    this.#operations.push(() => resume(Effect.void))
    this.#wake()
  })

  readonly #endOperation = Effect.sync(() => {
    this.#operating = false
    this.#wake()
  })

  #isOver(): boolean {
    const limits = this.#limits
    return limits !== undefined && (this.#total >= limits.steps || this.#time.monotonic() >= limits.time)
  }

  #end(reason: "Stuck" | "TimedOut"): false {
    if (this.#onEnd === undefined) return false // something may come from outside
    this.#ended = true
    this.#onEnd(reason)
    return false
  }

  #choose(): number {
    const all = [...this.#ready.keys()].sort((a, b) => a - b)
    const ready = all.length > 1 ? all.filter((task) => task !== this.#spun) : all
    this.#spun = 0
    if (ready.length === 1) return ready[0]!
    const next = this.#scheduler.next({ ready, last: this.#last, step: this.#steps.get(this.#last) ?? 0 })
    if (!this.#ready.has(next)) throw new Error(`the scheduler chose task ${next}, which can't run`)
    return next
  }

  /** Waits for a turn. Interruptible. */
  turn(thread: SerialThread): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const task = this.threads?.identify(thread, thread.task) ?? 0
      thread.task = task
      this.#ready.set(task, { thread, start: () => resume(Effect.void) })
      return Effect.sync(() => {
        if (this.#ready.get(task)?.thread === thread) this.#ready.delete(task)
      })
    })
  }

  /** The running thread has made a system call, or faulted, or been interrupted. */
  step(thread: SerialThread): void {
    this.#stepped = true
    this.#total++
    this.#steps.set(thread.task, (this.#steps.get(thread.task) ?? 0) + 1)
    this.#time.pass(STEP_TIME)
    thread.used += STEP_TIME
  }

  /** The thread no longer runs. */
  end(thread: SerialThread): void {
    if (this.#running !== thread) return
    if (!this.#stepped) this.step(thread)
    this.#running = undefined
  }

  #watchForSpins(): void {
    let total = -1
    let before = 0n
    this.#watch = setInterval(() => {
      const thread = this.#running
      const used = thread?.hostTime() ?? 0n
      if (thread === undefined || total !== this.#total) {
        total = this.#total
        before = used
        return
      }
      if (this.#ready.size === 0 && !this.#time.awaited) return
      // a busy host, or one that was suspended, may not have let it run; one that doesn't count says 0
      if (used !== 0n && used - before < SPIN_LIMIT) return
      before = used
      this.#onSpin(thread.task)
      this.#spun = thread.task
      this.#time.pass(SPIN_TIME)
      thread.used += SPIN_TIME
      this.threads?.interrupt(thread.task)
    }, SPIN_CHECK)
    this.#watch.unref()
  }
}

/** How much of a guest is in the host's memory is the host's affair: nothing is said of it. */
const unmeasured = { current: 0, peak: 0 }

const serialSpace = (turns: Turns, spaces: WeakMap<AddressSpace, AddressSpace>, inner: AddressSpace): AddressSpace => {
  const known = spaces.get(inner)
  if (known !== undefined) return known
  const { compareExchange, isGone, keepCode, presentPages, read, readForced, updateWord, write, writeForced } = inner
  const space: AddressSpace = {
    change: (changes) => (changes.length === 0 ? inner.change(changes) : turns.operation(inner.change(changes))),
    read,
    write,
    writeForced,
    readForced,
    residentSet: () => unmeasured,
    ...(compareExchange === undefined ? {} : { compareExchange }),
    ...(isGone === undefined ? {} : { isGone }),
    ...(keepCode === undefined ? {} : { keepCode }),
    ...(presentPages === undefined ? {} : { presentPages }),
    ...(updateWord === undefined ? {} : { updateWord })
  }
  spaces.set(inner, space)
  return space
}

/** A guest thread that runs in its turn. Owner: the task's fiber. */
class SerialThread implements PlatformContext {
  readonly addressSpace: AddressSpace
  readonly i386Call?: () => number | undefined
  readonly debugRegisters?: DebugRegisters
  readonly #turns: Turns
  readonly #spaces: WeakMap<AddressSpace, AddressSpace>
  readonly #inner: PlatformContext
  /** The task that runs here, as of its last turn. */
  task = 0
  /** CPU time, nanoseconds. */
  used = 0n

  constructor(turns: Turns, spaces: WeakMap<AddressSpace, AddressSpace>, inner: PlatformContext) {
    this.#turns = turns
    this.#spaces = spaces
    this.#inner = inner
    this.addressSpace = serialSpace(turns, spaces, inner.addressSpace)
    if (inner.i386Call !== undefined) this.i386Call = inner.i386Call
    if (inner.debugRegisters !== undefined) this.debugRegisters = inner.debugRegisters
  }

  get registers() {
    return this.#inner.registers
  }

  readonly switch: PlatformContext["switch"] = (handler) => {
    const turns = this.#turns
    // the thread does not go on by itself: its next step is another turn
    const answer = (): boolean => {
      turns.step(this)
      handler()
      return false
    }
    const run = Effect.map(this.#inner.switch(answer), (outcome) => {
      if (outcome._tag === "Fault") turns.step(this)
      return outcome
    })
    return Effect.andThen(
      turns.turn(this),
      Effect.ensuring(
        run,
        Effect.sync(() => turns.end(this))
      )
    )
  }

  get readExtendedState() {
    return this.#turns.operation(this.#inner.readExtendedState)
  }

  readonly writeExtendedState: PlatformContext["writeExtendedState"] = (image) =>
    this.#turns.operation(this.#inner.writeExtendedState(image))

  get extendedStateNow() {
    return this.#inner.extendedStateNow
  }

  get setExtendedStateNow() {
    return this.#inner.setExtendedStateNow
  }

  readonly clone: PlatformContext["clone"] = (addressSpace) =>
    Effect.map(
      this.#turns.operation(this.#inner.clone(addressSpace)),
      (child) => new SerialThread(this.#turns, this.#spaces, child)
    )

  readonly cpuTime = (): bigint => this.used

  /** CPU time that the host counts, nanoseconds. */
  hostTime(): bigint {
    return this.#inner.cpuTime()
  }

  readonly usage = (): ThreadUsage => unsampled(this.used)

  get release() {
    return this.#turns.operation(this.#inner.release)
  }
}
