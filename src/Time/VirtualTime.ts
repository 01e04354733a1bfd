/**
 * Time that passes only as whoever drives the sandbox says: `advance`, once nobody can run, jumps to the next deadline, so
 * that a week's sleep takes no time; `pass` charges for what was done. The same program sees the same times.
 */
import type { Timekeeper } from "./Timekeeper.ts"

interface Alarm {
  readonly deadline: bigint
  readonly run: () => void
}

export class VirtualTime implements Timekeeper {
  #start: bigint
  #now = 0n
  readonly #alarms = new Set<Alarm>()

  /** `start`: CLOCK_REALTIME at the beginning, nanoseconds since 1970. CLOCK_MONOTONIC begins at 0. */
  constructor(start: bigint) {
    this.#start = start
  }

  readonly monotonic = (): bigint => this.#now

  readonly realtime = (): bigint => this.#start + this.#now

  readonly alarm = (deadline: bigint, run: () => void): (() => void) => {
    const alarm = { deadline, run }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  /** Time passes by what somebody does; nothing rings yet. */
  pass(nanos: bigint): void {
    this.#now += nanos
  }

  /** Sets CLOCK_REALTIME forward or back; nobody who waits notices. */
  shift(nanos: bigint): void {
    this.#start += nanos
  }

  /** Whether somebody waits for a time. */
  get awaited(): boolean {
    return this.#alarms.size > 0
  }

  /** Rings the earliest alarm if its time has come. False if it has not. */
  ring(): boolean {
    const next = this.#earliest()
    return next !== undefined && next.deadline <= this.#now && this.advance()
  }

  #earliest(): Alarm | undefined {
    let next: Alarm | undefined
    for (const alarm of this.#alarms) if (next === undefined || alarm.deadline < next.deadline) next = alarm
    return next
  }

  /** Jumps to the earliest deadline and rings: at once where it has passed. False if nobody waits for a time. */
  advance(): boolean {
    const next = this.#earliest()
    if (next === undefined) return false
    this.#alarms.delete(next)
    if (next.deadline > this.#now) this.#now = next.deadline
    next.run()
    return true
  }
}
