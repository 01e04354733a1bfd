/**
 * A timer on one of a process's clocks: what setitimer(2) and timer_create(2) share.
 *
 * CPU clocks only advance while the process runs, so a timer on one looks again and again: at the earliest moment at
 * which it could be due, which is when the process has run without a pause.
 */
import type { Cancel, Timers } from "../Time/Timers.ts"
import type { Timekeeper } from "../Time/Timekeeper.ts"

/** The clock a timer counts. */
export interface TimerClock {
  /** Nanoseconds. */
  readonly now: () => bigint
  /** Whether it stands still at times. */
  readonly isCpuClock: boolean
}

export interface TimerState {
  /** Nanoseconds until the next expiry; 0 if disarmed. */
  readonly left: bigint
  /** Nanoseconds; 0 for a single shot. */
  readonly interval: bigint
}

/** CPU clocks are looked at this often at most. */
const CPU_RESOLUTION = 1_000_000n

export class ClockTimer {
  readonly #timers: Timers
  readonly #timekeeper: Timekeeper
  readonly #clock: TimerClock
  readonly #onExpire: (expiries: bigint) => void
  /** On the clock; undefined if disarmed. Atomic: set, #look. */
  #deadline: bigint | undefined
  #interval = 0n
  /** Between `hold` and `resume`. */
  #held = false
  #cancel: Cancel | undefined

  /** `onExpire` is told how many expiries there were since the last call: 1, or more if it was late. */
  constructor(timers: Timers, timekeeper: Timekeeper, clock: TimerClock, onExpire: (expiries: bigint) => void) {
    this.#timers = timers
    this.#timekeeper = timekeeper
    this.#clock = clock
    this.#onExpire = onExpire
  }

  get state(): TimerState {
    if (this.#deadline === undefined) return { left: 0n, interval: this.#interval }
    const left = this.#deadline - this.#clock.now()
    if (left > 0n) return { left, interval: this.#interval }
    // due and not yet noticed: never 0
    return { left: this.#held ? this.#interval - (-left % this.#interval) : 1n, interval: this.#interval }
  }

  /** Arms it to expire when the clock shows `deadline`, then every `interval`; undefined disarms it. */
  set(deadline: bigint | undefined, interval: bigint): void {
    this.#deadline = deadline
    this.#interval = interval
    this.#held = false
    this.#arm()
  }

  /** Whoever was told of an expiry is busy with it: later ones are only counted, until `resume`. Only with an interval. */
  hold(): void {
    this.#held = true
    this.#arm()
  }

  /** Goes on; how many expiries were only counted. */
  resume(): bigint {
    if (!this.#held) return 0n
    this.#held = false
    const expiries = this.#pass()
    this.#arm()
    return expiries
  }

  #arm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#deadline === undefined || this.#held) return
    let wait = this.#deadline - this.#clock.now()
    if (this.#clock.isCpuClock && wait < CPU_RESOLUTION) wait = CPU_RESOLUTION
    this.#cancel = this.#timers.at(this.#timekeeper.monotonic() + wait, this.#look)
  }

  /** Moves the deadline behind now; how many expiries that were. */
  #pass(): bigint {
    if (this.#deadline === undefined) return 0n
    const late = this.#clock.now() - this.#deadline
    if (late < 0n) return 0n
    const expiries = this.#interval === 0n ? 1n : late / this.#interval + 1n
    this.#deadline = this.#interval === 0n ? undefined : this.#deadline + this.#interval * expiries
    return expiries
  }

  readonly #look = (): void => {
    const expiries = this.#pass()
    if (expiries > 0n) this.#onExpire(expiries)
    this.#arm()
  }
}
