/**
 * Runs things later: one sorted list of deadlines over one alarm, the host's or the timekeeper's own.
 *
 * Being woken takes the host some tens of µs: the alarm is set that much early, and if it was quick the rest is awaited
 * turn by turn of the event loop.
 */
import { HostAlarm } from "./HostAlarm.ts"
import type { Timekeeper } from "./Timekeeper.ts"

/** Stops what was scheduled; harmless afterwards. */
export type Cancel = () => void

interface Entry {
  readonly deadline: bigint
  readonly run: () => void
  cancelled: boolean
}

/** How long being woken takes, about, nanoseconds. */
const WAKE_UP = 80_000n

export class Timers {
  readonly #timekeeper: Timekeeper
  /** Ascending by deadline; equal ones in order of arrival. */
  readonly #entries: Array<Entry> = []
  readonly #alarm: HostAlarm
  #immediate: NodeJS.Immediate | undefined
  #silence: Cancel | undefined

  constructor(timekeeper: Timekeeper) {
    this.#timekeeper = timekeeper
    this.#alarm = new HostAlarm(this.#onTick)
  }

  /** Calls `run` once CLOCK_MONOTONIC reaches `deadline` (nanoseconds), from the event loop, never at once. */
  at(deadline: bigint, run: () => void): Cancel {
    const entry: Entry = { deadline, run, cancelled: false }
    let index = this.#entries.length
    while (index > 0 && this.#entries[index - 1]!.deadline > deadline) index--
    this.#entries.splice(index, 0, entry)
    if (index === 0) this.#arm()
    return () => {
      if (entry.cancelled) return
      entry.cancelled = true
      const at = this.#entries.indexOf(entry)
      if (at >= 0) this.#entries.splice(at, 1)
      if (at === 0) this.#arm()
    }
  }

  /** Forgets everything; nothing runs any more. */
  close(): void {
    this.#entries.length = 0
    this.#disarm()
    this.#alarm.close()
  }

  #disarm(): void {
    clearImmediate(this.#immediate)
    this.#immediate = undefined
    this.#silence?.()
    this.#silence = undefined
  }

  #arm(): void {
    this.#disarm()
    const first = this.#entries[0]
    if (this.#timekeeper.alarm !== undefined) {
      if (first !== undefined) this.#silence = this.#timekeeper.alarm(first.deadline, this.#onTick)
    } else if (first !== undefined && first.deadline - this.#timekeeper.monotonic() < WAKE_UP) {
      this.#immediate = setImmediate(this.#onTick)
    } else {
      this.#alarm.set(first && first.deadline - WAKE_UP)
    }
  }

  readonly #onTick = (): void => {
    const now = this.#timekeeper.monotonic()
    while (this.#entries.length > 0 && this.#entries[0]!.deadline <= now) {
      const entry = this.#entries.shift()!
      entry.cancelled = true
      entry.run()
    }
    this.#arm()
  }
}
