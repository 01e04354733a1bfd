/**
 * Where the events of the fast platform come from: the state words of the guest threads that run, read directly.
 *
 * There is no ring that guests could fill or forge: whose turn it is, is a word in each thread's own slot, and only the
 * few threads that run at the moment are looked at. What concerns whole stubs (a request is done, a stub has died) comes
 * from the tracer.
 */
import type { EventSource, KernelWork } from "./Pump.ts"
import type { SystrapBells } from "./SystrapBells.ts"
import { notice } from "./SystrapLayout.ts"
import type { Tracer } from "./Tracer.ts"

/** A guest thread that runs. */
export interface Runner {
  /** Its place in the list of those; kept by the source. */
  index: number
  /** Whether it has an event. */
  readonly hasEvent: () => boolean
  /** Deals with it. True if the thread runs on, so that it may soon have another. */
  readonly onEvent: () => boolean
}

/** How often to look again at once for the next event, before fibers and the event loop have their turn. */
const LINGER = 300

export class SystrapSource implements EventSource {
  readonly #tracer: Tracer
  readonly #notice: Int32Array
  readonly #running: Array<Runner> = []
  readonly #bells: SystrapBells
  /** Whether we wait for guests elsewhere than where they run. */
  readonly #hasOwnCpu: boolean
  /** The pump sleeps. */
  #sleeps = false
  /** What the tracer has to do. */
  #requests = 0
  /** CPUs that guests and we have together. */
  readonly #cpus: number
  readonly #work: KernelWork
  /** Whether guests may run on every CPU, ours too. */
  #spread = false
  /** How many events there have been. */
  events = 0
  /** Told when a second guest thread runs. */
  onSeveral: () => void = () => undefined

  constructor(
    tracer: Tracer,
    orderPage: ArrayBuffer,
    bells: SystrapBells,
    cpus: number,
    spin: number,
    work: KernelWork
  ) {
    this.#tracer = tracer
    this.#bells = bells
    this.#hasOwnCpu = spin > 0
    this.#work = work
    this.#notice = new Int32Array(orderPage)
    this.#cpus = cpus
    this.#notice[notice.spin >> 2] = spin
    tracer.onRequests = (requests) => {
      this.#requests = requests
      this.tell()
    }
  }

  /**
   * Tells guest threads that wait awake how many others want the CPU. After a new one has been woken: a CPU that falls
   * asleep before takes long to come back.
   */
  tell(): void {
    const want = this.#running.length - this.#bells.owed + this.#requests
    const spare = this.#spread && !this.crowded() ? this.#cpus - 1 : 0
    this.#notice[notice.wanted >> 2] = want > spare ? want - spare : 0
  }

  /**
   * Whether a thread that is added, or has just been, and sleeps may wait for its CPU until another leaves it: one
   * runs there that isn't itself to be woken yet. Not while the pump sleeps, and looks for nobody.
   */
  get hasSuccession(): boolean {
    return this.#hasOwnCpu && !this.#spread && !this.#sleeps && this.#running.length > this.#bells.owed + 1
  }

  /** How many guest threads run, or are about to. */
  get running(): number {
    return this.#running.length
  }

  set spread(spread: boolean) {
    this.#spread = spread
    this.tell()
  }

  add(runner: Runner): void {
    runner.index = this.#running.length
    this.#running.push(runner)
    if (this.#running.length === 2) this.onSeveral()
  }

  /** Whether guests want every CPU, ours too. */
  crowded(): boolean {
    return this.#spread && this.#running.length >= this.#cpus
  }

  remove(runner: Runner): void {
    const last = this.#running.pop()!
    if (last !== runner) {
      this.#running[runner.index] = last
      last.index = runner.index
    }
    this.tell()
  }

  drain(limit: number): number {
    let handled = this.#tracer.drain(limit)
    const running = this.#running
    let linger = running.length < this.#cpus ? LINGER : 1
    let left = handled > 0 ? 1 : linger
    while (left > 0 && handled < limit) {
      left--
      if (this.#bells.looked(false)) this.tell()
      for (let i = 0; i < running.length; i++) {
        const runner = running[i]!
        if (!runner.hasEvent()) continue
        handled++
        if (this.#bells.looked(true)) this.tell()
        // whoever has been woken comes before the next event of the thread that did it
        if (runner.onEvent() && !this.#work.waits()) left = linger
        else linger = left = 1
      }
    }
    this.events += handled
    return handled
  }

  settle(): void {
    this.#tracer.settle()
  }

  ready(): boolean {
    if (this.#bells.looked(false)) this.tell()
    const running = this.#running
    for (let i = 0; i < running.length; i++) if (running[i]!.hasEvent()) return true
    return this.#tracer.ready()
  }

  busy(): boolean {
    return this.#running.length > 0 || this.#tracer.busy()
  }

  prompt(): boolean {
    return this.#tracer.prompt()
  }

  arm(): boolean {
    this.#sleeps = true
    this.#bells.settle()
    this.tell()
    Atomics.store(this.#notice, notice.sleeping >> 2, 1) // before the state words are read; guests do the reverse
    if (this.#tracer.arm() && !this.ready()) return true
    this.disarm()
    return false
  }

  disarm(): void {
    this.#sleeps = false
    Atomics.store(this.#notice, notice.sleeping >> 2, 0)
    this.#tracer.disarm()
  }
}
