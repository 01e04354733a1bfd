/**
 * On which CPUs the guests of one fast platform run: *gathered* on the one that they share with their tracer, or *spread*
 * over all of them.
 *
 * Gathered is for those who talk to the kernel or to each other: the sentry waits awake on another CPU, and threads hand
 * theirs on without an interrupt from one CPU to the next. But together they have one CPU. When for a while several of
 * them have been running all the time, and seldom called, that CPU is what they lack: then the host places them as it
 * likes, and where there are as many as CPUs, the sentry doesn't wait awake. A call is dearer
 * then: 12 µs where the sentry finds itself on the caller's CPU, 50 where one CPU has to interrupt the other.
 */
import { bind } from "./Native.ts"

const place = bind<[pid: number, tid: number, cpu: number, everywhere: number], void>(
  "void sentry_systrap_place(int pid, int tid, int cpu, int everywhere)"
)

/** How often to look, ms; and after how many looks in a row that say so to change. */
const INTERVAL = 10
const PATIENCE = 3
/** Events in a ms, of all guests: fewer have them spread, more have them gathered again. Spread, the same threads make up to twice as many. */
const FEW = 8
const MANY = 20

/** What it has to know of the guests. */
export interface Guests {
  /** How many threads run now. */
  readonly running: number
  /** How many events there have been. */
  readonly events: number
  /** All of their threads. */
  readonly threads: () => Iterable<{ readonly pid: number; readonly tid: number }>
}

export class SystrapPlacement {
  readonly #cpu: number
  readonly #guests: Guests
  readonly #onChange: (spread: boolean) => void
  #spread = false
  #timer: NodeJS.Timeout | undefined
  #lookedAt = 0
  #eventsThen = 0
  /** Looks in a row that spoke for a change. */
  #reasons = 0

  /** `cpu`: where guests are gathered. `onChange` is told before they are spread, and after they have been gathered. */
  constructor(cpu: number, guests: Guests, onChange: (spread: boolean) => void) {
    this.#cpu = cpu
    this.#guests = guests
    this.#onChange = onChange
  }

  /** Several guests run: from now on it looks. */
  watch(): void {
    if (this.#timer !== undefined) return
    this.#begin()
    this.#timer = setInterval(this.#look, INTERVAL).unref()
  }

  /** A thread has been made; its host thread is where the tracer is. */
  onThread(pid: number, tid: number): void {
    if (this.#spread) place(pid, tid, this.#cpu, 1)
  }

  /** There are no guests any more. */
  close(): void {
    clearInterval(this.#timer)
    if (this.#spread) this.#onChange(false)
  }

  #begin(): void {
    this.#lookedAt = performance.now()
    this.#eventsThen = this.#guests.events
  }

  readonly #look = (): void => {
    const { events, running } = this.#guests
    const rate = (events - this.#eventsThen) / (performance.now() - this.#lookedAt)
    this.#begin()
    const better = running > 1 && rate < (this.#spread ? MANY : FEW)
    this.#reasons = better === this.#spread ? 0 : this.#reasons + 1
    if (this.#reasons >= PATIENCE) this.#change(better)
    else if (!this.#spread && running < 2) {
      clearInterval(this.#timer)
      this.#timer = undefined
      this.#reasons = 0
    }
  }

  #change(spread: boolean): void {
    this.#reasons = 0
    this.#spread = spread
    if (spread) this.#onChange(true)
    for (const { pid, tid } of this.#guests.threads()) place(pid, tid, this.#cpu, spread ? 1 : 0)
    if (!spread) this.#onChange(false)
  }
}
