/**
 * Who sleeps on which word, futex(2).
 *
 * A private futex is an address in one memory; a shared one is a byte of a file or of shared anonymous memory, whoever
 * maps it where. Value check and enqueueing happen in one synchronous step, so no wake-up falls between them.
 *
 * Atomic: every method.
 */
import { EFAULT } from "../Abi/Errno.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"

/** What two tasks that mean the same futex have in common. */
export interface FutexKey {
  readonly owner: object
  readonly offset: number
}

/** One sleeper. */
export class FutexWaiter {
  readonly bitset: number
  /** Set by whoever wakes it: it is in no queue any more. */
  woken = false
  /** Called once when woken, if the sleeper is listening already. */
  onWake: (() => void) | undefined
  /** The queue it is in, which requeueing changes. */
  queue: Set<FutexWaiter> | undefined

  constructor(bitset: number) {
    this.bitset = bitset
  }
}

export class FutexTable {
  readonly #queues = new WeakMap<object, Map<number, Set<FutexWaiter>>>()

  /**
   * The futex at `address`: by the memory behind it if that is shared and the futex not private, else by address.
   * -EFAULT if the futex is not private and nothing is mapped there.
   */
  key(memoryManager: MemoryManager, address: number, isPrivate: boolean): FutexKey | number {
    if (isPrivate) return { owner: memoryManager, offset: address }
    const shared = memoryManager.sharedKey(address)
    if (shared !== undefined) return { owner: shared.object, offset: shared.offset }
    return memoryManager.areas.find(address) === undefined ? -EFAULT : { owner: memoryManager, offset: address }
  }

  /** Puts a sleeper at the end of the queue of `key`. */
  enqueue(key: FutexKey, bitset: number): FutexWaiter {
    const waiter = new FutexWaiter(bitset)
    this.#append(key, waiter)
    return waiter
  }

  /** Takes a sleeper that gave up out of its queue. */
  remove(waiter: FutexWaiter): void {
    waiter.queue?.delete(waiter)
    waiter.queue = undefined
  }

  /** Wakes up to `count` sleepers that share a bit with `bitset`: how many. */
  wake(key: FutexKey, count: number, bitset: number): number {
    const queue = this.#queues.get(key.owner)?.get(key.offset)
    if (queue === undefined) return 0
    let woken = 0
    for (const waiter of [...queue]) {
      if (woken >= count) break
      if ((waiter.bitset & bitset) === 0) continue
      this.remove(waiter)
      waiter.woken = true
      waiter.onWake?.()
      woken++
    }
    this.#forgetEmpty(key, queue)
    return woken
  }

  /** Moves up to `count` sleepers from one futex to another: how many. */
  requeue(from: FutexKey, to: FutexKey, count: number): number {
    const queue = this.#queues.get(from.owner)?.get(from.offset)
    if (queue === undefined) return 0
    let moved = 0
    for (const waiter of [...queue]) {
      if (moved >= count) break
      this.remove(waiter)
      this.#append(to, waiter)
      moved++
    }
    this.#forgetEmpty(from, queue)
    return moved
  }

  #append(key: FutexKey, waiter: FutexWaiter): void {
    let byOffset = this.#queues.get(key.owner)
    if (byOffset === undefined) {
      byOffset = new Map()
      this.#queues.set(key.owner, byOffset)
    }
    let queue = byOffset.get(key.offset)
    if (queue === undefined) {
      queue = new Set()
      byOffset.set(key.offset, queue)
    }
    queue.add(waiter)
    waiter.queue = queue
  }

  #forgetEmpty(key: FutexKey, queue: Set<FutexWaiter>): void {
    if (queue.size === 0) this.#queues.get(key.owner)?.delete(key.offset)
  }
}
