/**
 * Time that only passes when nothing else can happen: whoever drives the sandbox calls `advance` once nobody can run, and
 * the clock jumps to the next deadline. A week's sleep takes no time, and the same program sees the same times.
 */
import type { Timekeeper } from "./Timekeeper.ts"

interface Alarm {
  readonly deadline: bigint
  readonly run: () => void
}

export class VirtualTime implements Timekeeper {
  readonly #start: bigint
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

  /** Jumps to the earliest deadline and rings: at once where it has passed. False if nobody waits for a time. */
  advance(): boolean {
    let next: Alarm | undefined
    for (const alarm of this.#alarms) if (next === undefined || alarm.deadline < next.deadline) next = alarm
    if (next === undefined) return false
    this.#alarms.delete(next)
    if (next.deadline > this.#now) this.#now = next.deadline
    next.run()
    return true
  }
}
