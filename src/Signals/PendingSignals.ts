/**
 * Signals that were sent and not yet delivered, signal(7): standard signals coalesce, real-time signals queue in order,
 * the lowest number is taken first, synchronous ones (those that instructions raise) before all others.
 *
 * Guarded by: the signal mutex of the owner's `SignalHandlers`.
 */
import { SI_USER, SIGKILL, SIGRTMIN, type SignalSet, SYNCHRONOUS_SIGNALS, hasSignal, signalBit } from "../Abi/Signal.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"

interface Entry {
  readonly info: SigInfo
  /** Its place in the order of all that arrived, which delivery does not follow. */
  readonly arrival: number
}

export class PendingSignals {
  /** By signal number; standard ones hold at most one. */
  readonly #queues = new Map<number, Array<Entry>>()
  #set: SignalSet = 0n
  #arrivals = 0

  /** The signals of which at least one is pending. */
  get set(): SignalSet {
    return this.#set
  }

  /** Queues a signal. False if it was dropped because the same standard signal is pending already. */
  enqueue(info: SigInfo): boolean {
    const queue = this.#queues.get(info.signo)
    if (queue === undefined || queue.length === 0) {
      this.#queues.set(info.signo, [{ info, arrival: this.#arrivals++ }])
      this.#set |= signalBit(info.signo)
      return true
    }
    if (info.signo < SIGRTMIN) return false
    if (info._tag === "Lost") return true // that the signal is pending is all it says
    if (queue[0]!.info._tag === "Lost") queue.length = 0
    queue.push({ info, arrival: this.#arrivals++ })
    return true
  }

  /** Takes the next signal that is in `wanted`; undefined if there is none. */
  dequeue(wanted: SignalSet): SigInfo | undefined {
    const candidates = this.#set & wanted
    if (candidates === 0n) return undefined
    const synchronous = candidates & SYNCHRONOUS_SIGNALS
    return this.#take(lowestSignal(synchronous === 0n ? candidates : synchronous))
  }

  /**
   * Takes the synchronous signal that the kernel raised first, if any that is synchronous is in `wanted`. The one that is
   * taken need not be in it, as on Linux.
   */
  dequeueRaised(wanted: SignalSet): SigInfo | undefined {
    if ((this.#set & wanted & SYNCHRONOUS_SIGNALS) === 0n) return undefined
    let first: Entry | undefined
    for (const [signo, [entry]] of this.#queues) {
      if (entry === undefined || !hasSignal(SYNCHRONOUS_SIGNALS, signo) || entry.info.code <= SI_USER) continue
      if (first === undefined || entry.arrival < first.arrival) first = entry
    }
    return first && this.#take(first.info.signo)
  }

  /** One that is pending. */
  #take(signo: number): SigInfo {
    const queue = this.#queues.get(signo)!
    const { info } = queue.shift()!
    if (queue.length === 0) this.#set &= ~signalBit(signo)
    return info
  }

  /**
   * Forgets every pending signal in `set` (SIGCONT discards stop signals and the reverse; SIG_IGN discards its own), and
   * says which they were.
   */
  discard(set: SignalSet): ReadonlyArray<SigInfo> {
    const dropped = this.#set & set
    if (dropped === 0n) return []
    const infos: Array<SigInfo> = []
    for (const [signo, queue] of this.#queues) {
      if (hasSignal(dropped, signo)) for (const { info } of queue.splice(0)) infos.push(info)
    }
    this.#set &= ~dropped
    return infos
  }

  /** What came with the pending signals, the first to arrive first. Nothing comes with SIGKILL, or with one that was lost. */
  all(): ReadonlyArray<SigInfo> {
    return [...this.#queues.values()]
      .flat()
      .filter(({ info }) => info._tag !== "Lost" && info.signo !== SIGKILL)
      .sort((a, b) => a.arrival - b.arrival)
      .map(({ info }) => info)
  }

  /** How many of the signals count against RLIMIT_SIGPENDING: a timer has room of its own, and what was lost has none. */
  get count(): number {
    let count = 0
    for (const queue of this.#queues.values()) {
      for (const { info } of queue) if (info._tag !== "Timer" && info._tag !== "Lost") count++
    }
    return count
  }
}

const lowestSignal = (set: SignalSet): number => {
  const low = Number(set & 0xffff_ffffn)
  if (low !== 0) return 32 - Math.clz32(low & -low)
  const high = Number(set >> 32n)
  return 64 - Math.clz32(high & -high)
}
