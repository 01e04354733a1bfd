/**
 * The pump: takes guest events from shared memory and hands them to their contexts, on Node's main thread.
 *
 * It is in one of three states. *Running*: it works off events in slices, so that the event loop of the embedding
 * service stays responsive. *Scheduled*: a slice was used up, `setImmediate` brings the next. *Armed*: nothing to do;
 * whoever produces the next event writes a byte to a pipe that the event loop watches.
 *
 * Going to sleep and being woken costs tens of µs, a guest's next system call often comes after a few, so before it
 * arms itself the pump waits awake for a moment, as long as doing so has paid off lately.
 */
import { Socket } from "node:net"
import * as Context from "effect/Context"

/** Where events come from. */
export interface EventSource {
  /** Deals with at most `limit` events. How many. */
  readonly drain: (limit: number) => number
  /** Tells the producer that all drained events have been dealt with. */
  readonly settle: () => void
  /** True if an event waits. */
  readonly ready: () => boolean
  /** True while an event can be expected without anything done here: a guest runs, or a request is under way. */
  readonly busy: () => boolean
  /** Asks to be woken by the pipe. False, and no wake-up, if an event waits already. */
  readonly arm: () => boolean
  /** Takes that back. */
  readonly disarm: () => void
}

/**
 * Runs what the kernel has queued (its run queue of fibers), a bounded amount, after each batch of events and before
 * the pump sleeps. True if more remains. Read when the platform's Layer is built.
 */
export const AfterBatch = Context.Reference<() => boolean>("effect-sentry/Platform/AfterBatch", {
  defaultValue: () => () => false
})

/** Events in a batch, after which `AfterBatch` gets its turn. */
const BATCH = 256
/** How long a slice may last, in ms: the longest that the event loop waits for us. */
const SLICE = 2
/** How long to wait awake, in ms; and how many times in vain before giving that up. */
const SPIN = 0.05
const PATIENCE = 4

export class Pump {
  readonly #source: EventSource
  readonly #afterBatch: () => boolean
  readonly #socket: Socket
  readonly #canSpin: boolean
  #state: "running" | "scheduled" | "armed" | "closed" = "armed"
  #misses = 0
  #armedAt = 0
  #referenced = false

  /** `wakeFd`: the read end of the wake-up pipe, which the pump owns from now on. */
  constructor(source: EventSource, wakeFd: number, options: { afterBatch: () => boolean; canSpin: boolean }) {
    this.#source = source
    this.#afterBatch = options.afterBatch
    this.#canSpin = options.canSpin
    this.#socket = new Socket({
      fd: wakeFd,
      readable: true,
      writable: false,
      onread: { buffer: Buffer.alloc(64), callback: () => this.#onWake() }
    })
    this.#socket.on("error", () => undefined) // the pipe can't fail while we hold both ends
    this.#socket.unref()
    this.#source.arm()
  }

  /**
   * Tells the pump that the source may have become busy by something done outside a slice (a timer, a host descriptor
   * that is ready): it keeps the process alive from now on, and waits for the answer awake if that pays off.
   */
  hold(): void {
    if (this.#state !== "armed") return
    if (this.#spins()) {
      this.#source.disarm()
      this.#state = "scheduled"
      setImmediate(this.#run)
    } else if (!this.#referenced) {
      this.#reference(true)
    }
  }

  close(): void {
    this.#state = "closed"
    this.#socket.destroy()
  }

  #reference(on: boolean): void {
    this.#referenced = on
    if (on) this.#socket.ref()
    else this.#socket.unref()
  }

  #onWake(): boolean {
    if (this.#state !== "armed") return true // a byte that came when we had woken otherwise
    if (performance.now() - this.#armedAt < SPIN) this.#misses = 0
    this.#run()
    return true
  }

  readonly #run = (): void => {
    if (this.#state === "closed") return
    this.#state = "running"
    const end = performance.now() + SLICE
    for (;;) {
      const handled = this.#source.drain(BATCH)
      const more = this.#afterBatch()
      this.#source.settle()
      if (this.#isClosed()) return
      if (more || handled > 0 || this.#source.ready()) {
        if (performance.now() < end) continue
        break
      }
      if (this.#source.busy() && this.#spin()) continue
      if (this.#sleep()) return
    }
    this.#state = "scheduled"
    setImmediate(this.#run)
  }

  #isClosed(): boolean {
    return this.#state === "closed"
  }

  #sleep(): boolean {
    const busy = this.#source.busy()
    if (busy !== this.#referenced) this.#reference(busy)
    if (!this.#source.arm()) return false
    this.#state = "armed"
    this.#armedAt = performance.now()
    return true
  }

  #spins(): boolean {
    return this.#canSpin && this.#misses < PATIENCE
  }

  /** Waits awake. True if that brought an event. */
  #spin(): boolean {
    if (!this.#spins()) return false
    const end = performance.now() + SPIN
    do {
      for (let i = 0; i < 100; i++) {
        if (this.#source.ready()) {
          this.#misses = 0
          return true
        }
      }
    } while (performance.now() < end)
    this.#misses++
    return false
  }
}
