/**
 * Runs things later: one sorted list of deadlines over one host timer.
 *
 * Node's timers count whole milliseconds and never fire early, so the last stretch before a deadline is awaited turn by
 * turn of the event loop: a sleep of 100 µs takes about that and not a millisecond more.
 */
import type { Timekeeper } from "./Timekeeper.ts"

/** Stops what was scheduled; harmless afterwards. */
export type Cancel = () => void

interface Entry {
  readonly deadline: bigint
  readonly run: () => void
  cancelled: boolean
}

const MILLISECOND = 1_000_000n
/** Longest time setTimeout takes; a later deadline is looked at again then. */
const MAX_DELAY = 2_000_000_000

export class Timers {
  readonly #timekeeper: Timekeeper
  /** Ascending by deadline; equal ones in order of arrival. */
  readonly #entries: Array<Entry> = []
  #timeout: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined
  #silence: Cancel | undefined

  constructor(timekeeper: Timekeeper) {
    this.#timekeeper = timekeeper
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
  }

  #disarm(): void {
    clearTimeout(this.#timeout)
    clearImmediate(this.#immediate)
    this.#timeout = undefined
    this.#immediate = undefined
    this.#silence?.()
    this.#silence = undefined
  }

  #arm(): void {
    this.#disarm()
    const first = this.#entries[0]
    if (first === undefined) return
    if (this.#timekeeper.alarm !== undefined) {
      this.#silence = this.#timekeeper.alarm(first.deadline, this.#onTick)
      return
    }
    const remaining = first.deadline - this.#timekeeper.monotonic()
    const wholeMilliseconds = Number(remaining / MILLISECOND)
    if (wholeMilliseconds >= 2) {
      this.#timeout = setTimeout(this.#onTick, Math.min(wholeMilliseconds - 1, MAX_DELAY))
    } else {
      this.#immediate = setImmediate(this.#onTick)
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
