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
import { processors, yieldCpu } from "./HostUsage.ts"

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
  /** True while an answer is due within some tens of µs, which is worth waiting for awake whatever the past says. */
  readonly prompt?: () => boolean
  /** True while guests want every CPU, ours too: waiting awake would keep one from running. */
  readonly crowded?: () => boolean
  /** Asks to be woken by the pipe. False, and no wake-up, if an event waits already. */
  readonly arm: () => boolean
  /** Takes that back. */
  readonly disarm: () => void
}

/** What the kernel has queued: its run queue of fibers. */
export interface KernelWork {
  /** Runs a bounded amount of it, after each batch of events and before the pump sleeps. True if more remains. */
  readonly run: () => boolean
  /** Whether there is any: then a batch should end. */
  readonly waits: () => boolean
}

/** Read when the platform's Layer is built. */
export const AfterBatch = Context.Reference<KernelWork>("effect-sentry/Platform/AfterBatch", {
  defaultValue: () => ({ run: () => false, waits: () => false })
})

/** Events in a batch, after which `AfterBatch` gets its turn. */
const BATCH = 256
/** How long a slice may last, in ms: the longest that the event loop waits for us. */
const SLICE = 2
/** How often to let guests run who have but our own CPU, before going to sleep. */
const YIELDS = 8
/** How long to wait awake, in ms: for a guest, at most for a prompt answer; and how many times in vain before giving up. */
const SPIN = 0.1
const SPIN_PROMPT = 0.2
const PATIENCE = 4

/** What the pump knows of one source. */
interface Member {
  readonly source: EventSource
  readonly afterBatch: KernelWork
  readonly socket: Socket
  referenced: boolean
}

/** A source's hold on the pump. */
export interface PumpHandle {
  /**
   * Tells the pump that the source may have become busy by something done outside a slice (a timer, a host descriptor
   * that is ready): it keeps the process alive from now on, and waits for the answer awake if that pays off.
   */
  readonly hold: () => void
  /** Takes the source out. */
  readonly close: () => void
}

/** One for all platforms of a process: two that wait awake would only keep each other's guests waiting. */
export class Pump {
  /** Replaced, never changed: a source may be closed by what its own events bring about. */
  #members: ReadonlyArray<Member> = []
  #state: "running" | "scheduled" | "armed" = "armed"
  #misses = 0
  /** How long to wait for a prompt answer: half as long each time that it was in vain (the host is busy). */
  #patience = SPIN_PROMPT
  #armedAt = 0
  readonly #canSpin: boolean
  readonly #yieldCpu: () => void

  /**
   * `canSpin`: there is more than one CPU, so that waiting awake doesn't keep guests from running. Where there is not,
   * `yieldCpu` lets them run until they wait for us.
   */
  constructor(canSpin: boolean, yieldCpu: () => void = () => undefined) {
    this.#canSpin = canSpin
    this.#yieldCpu = yieldCpu
  }

  /** Adds a source. `wakeFd`: the read end of its wake-up pipe, which the pump owns from now on. */
  add(source: EventSource, wakeFd: number, afterBatch: KernelWork): PumpHandle {
    const socket = new Socket({
      fd: wakeFd,
      readable: true,
      writable: false,
      onread: { buffer: Buffer.alloc(64), callback: () => this.#onWake() }
    })
    socket.on("error", () => undefined) // the pipe can't fail while its other end is ours
    socket.unref()
    const member: Member = { source, afterBatch, socket, referenced: false }
    this.#members = [...this.#members, member]
    if (this.#state === "armed") source.arm() // a new source has no event yet
    return {
      hold: () => this.#hold(member),
      close: () => {
        this.#members = this.#members.filter((other) => other !== member)
        socket.destroy()
      }
    }
  }

  #hold(member: Member): void {
    if (this.#state !== "armed") return
    if (this.#spins()) {
      this.#disarm()
      this.#state = "scheduled"
      setImmediate(this.#run)
    } else if (!member.referenced) {
      reference(member, true)
    }
  }

  #onWake(): boolean {
    if (this.#state !== "armed") return true // a byte that came when we had woken otherwise
    const slept = performance.now() - this.#armedAt
    if (slept < SPIN) this.#misses = 0
    if (slept < SPIN_PROMPT) this.#patience = SPIN_PROMPT
    this.#disarm()
    this.#run()
    return true
  }

  readonly #run = (): void => {
    this.#state = "running"
    const end = performance.now() + SLICE
    while (this.#work() || this.#spin() || !this.#sleep()) {
      if (performance.now() < end) continue
      this.#state = "scheduled"
      setImmediate(this.#run)
      return
    }
  }

  /** One batch of each source. True if there may be more. */
  #work(): boolean {
    let more = false
    for (const { source, afterBatch } of this.#members) {
      const handled = source.drain(BATCH)
      if (afterBatch.run()) more = true
      source.settle()
      if (handled > 0) more = true
    }
    return more
  }

  #ready(): boolean {
    for (const { source } of this.#members) if (source.ready()) return true
    return false
  }

  #spins(): boolean {
    return this.#misses < PATIENCE && !this.#crowded()
  }

  #crowded(): boolean {
    for (const { source } of this.#members) if (source.crowded?.() === true) return true
    return false
  }

  /** Waits awake, if a guest runs or an answer is due. True if that brought an event. */
  #spin(): boolean {
    if (this.#ready()) return true
    let busy = false
    let prompt = false
    for (const { source } of this.#members) {
      busy ||= source.busy()
      prompt ||= source.prompt?.() === true
    }
    if (!prompt && !(busy && this.#spins())) return false
    if (!this.#canSpin) return this.#giveWay()
    const end = performance.now() + (prompt ? this.#patience : SPIN)
    do {
      for (let i = 0; i < 100; i++) {
        if (this.#ready()) {
          if (!prompt) this.#misses = 0
          return true
        }
      }
    } while (performance.now() < end)
    if (prompt) this.#patience = Math.max(SPIN, this.#patience / 2)
    else this.#misses++
    return false
  }

  /** Waits awake where that is the only CPU. */
  #giveWay(): boolean {
    for (let i = 0; i < YIELDS; i++) {
      this.#yieldCpu()
      if (this.#ready()) {
        this.#misses = 0
        return true
      }
    }
    this.#misses++
    return false
  }

  /** Goes to sleep. False if an event came first. */
  #sleep(): boolean {
    for (const member of this.#members) {
      const busy = member.source.busy()
      if (busy !== member.referenced) reference(member, busy)
      if (!member.source.arm()) {
        this.#disarm()
        return false
      }
    }
    this.#state = "armed"
    this.#armedAt = performance.now()
    return true
  }

  #disarm(): void {
    for (const { source } of this.#members) source.disarm()
  }
}

/** Whether waiting for this source keeps the process alive. */
const reference = (member: Member, on: boolean): void => {
  member.referenced = on
  if (on) member.socket.ref()
  else member.socket.unref()
}

/** The process's pump; tests may provide their own. */
export const SharedPump = Context.Reference<Pump>("effect-sentry/Platform/SharedPump", {
  defaultValue: () => new Pump(processors > 1, yieldCpu)
})
