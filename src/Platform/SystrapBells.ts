/**
 * How guest threads that sleep are woken: each has a *bell*, a bit of a word in a page that all of them can read.
 *
 * To wake a thread on another CPU takes an interrupt there, 7 µs of ours, and up to 50 where that CPU has gone to sleep
 * before. But often the thread that has it is about to leave it: it has written to a pipe that somebody reads, and will now read
 * another. So who shares a CPU with threads that run is not woken at once: the bell is *owed*, and the next of them that sleeps
 * rings it, on its way, without any interrupt. If for a few µs none does, we do.
 */
import { bind } from "./Native.ts"
import { bells } from "./SystrapLayout.ts"

const ringNative = bind<[address: bigint, bit: number], void>(
  "void sentry_systrap_ring(uint64_t address, uint32_t bit)"
)

/** Wakes who sleeps on a bell, where the order page is at `address` in our own memory. */
export const ringAt =
  (address: bigint) =>
  ({ bit, offset }: Bell): void =>
    ringNative(address + BigInt(bells.notice + offset), bit)

export interface Bell {
  /** Of its word, in bytes from the notice on. */
  readonly offset: number
  readonly bit: number
}

/** A thread that sleeps, or is about to, until its bell is rung. */
export interface Sleeper {
  readonly bell: Bell
  /** Whether it still does, as it says itself. */
  readonly isAsleep: () => boolean
  /** Until when it can wait for others to wake it. Kept by `SystrapBells`. */
  due: number
}

/** In looks for an event, how long somebody else has to promise to ring, some 10 µs; and then to do so, having left its CPU. */
const OWED = 200
const PROMISED = 1000
/** How many looks an event is worth. */
const EVENT = 25

export class SystrapBells {
  readonly #words: Int32Array
  readonly #wake: (bell: Bell) => void
  /** Whose bell is owed, and who has been promised by a thread that it would ring. Those who are due first come first. */
  readonly #owed: Array<Sleeper> = []
  readonly #promised: Array<Sleeper> = []
  /** In looks. */
  #now = 0
  #given = 0

  constructor(orderPage: ArrayBuffer, wake: (bell: Bell) => void) {
    this.#words = new Int32Array(orderPage)
    this.#wake = wake
  }

  /** For a new thread. Where there are more than words and bits, several have the same, and are woken for each other. */
  give(): Bell {
    const number = this.#given++
    return { offset: bells.first + 4 * (number % bells.words), bit: 1 << (Math.floor(number / bells.words) % 32) }
  }

  /** Wakes a thread. What it waits for has been written before. */
  ring({ bell }: Sleeper): void {
    this.#count(bell)
    this.#wake(bell)
  }

  /** The same soon, by whoever takes it or by us. */
  owe(sleeper: Sleeper): void {
    this.#count(sleeper.bell)
    sleeper.due = this.#now + OWED
    this.#owed.push(sleeper)
  }

  /** How many are owed. */
  get owed(): number {
    return this.#owed.length
  }

  /** One that is owed, for a thread to ring that is about to sleep. */
  take(): Bell | undefined {
    const sleeper = this.#owed.shift()
    if (sleeper === undefined) return undefined
    sleeper.due = this.#now + PROMISED
    this.#promised.push(sleeper)
    return sleeper.bell
  }

  /** We have looked for an event, and maybe found one. True if somebody could wait no longer, so that we have rung. */
  looked(found: boolean): boolean {
    if (this.#owed.length === 0 && this.#promised.length === 0) return false
    this.#now += found ? EVENT : 1
    return this.#isDue(this.#owed) || this.#isDue(this.#promised) ? this.settle() : false
  }

  #isDue(list: Array<Sleeper>): boolean {
    while (list.length > 0 && !list[0]!.isAsleep()) list.shift()
    return list.length > 0 && list[0]!.due <= this.#now
  }

  /** Rings for all who still sleep: the host may have kept whoever was to ring from doing so, or a guest itself. */
  settle(): true {
    for (const list of [this.#owed, this.#promised]) {
      for (const sleeper of list) if (sleeper.isAsleep()) this.#wake(sleeper.bell)
      list.length = 0
    }
    return true
  }

  /** A thread that is about to sleep on it sees that it has changed. */
  #count(bell: Bell): void {
    Atomics.add(this.#words, (bells.notice + bell.offset) >> 2, 1)
  }
}
