/**
 * Who sleeps on which word, futex(2).
 *
 * A private futex is an address in one memory; a shared one is a byte of a file or of shared anonymous memory, whoever
 * maps it where. Value check and enqueueing happen in one synchronous step, so no wake-up falls between them.
 * Priority-inheriting locks (FutexPi.ts) use the same queues.
 *
 * Atomic: every method.
 */
import { EFAULT, EINVAL } from "../Abi/Errno.ts"
import { PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { isFile } from "../Memory/Vma.ts"
import { FutexPi } from "./FutexPi.ts"
import { type FutexKey, type FutexWaiter, sameFutex } from "./FutexWaiter.ts"
import { isRealTime } from "./Scheduling.ts"
import type { Task } from "./Task.ts"

/** Real-time tasks come first, by their priority; all others are equal, and wait in order of arrival. */
const priorityOf = ({ scheduling: { policy, priority } }: Task): number => (isRealTime(policy) ? priority : 0)

export class FutexTable {
  readonly #queues = new WeakMap<object, Map<number, Array<FutexWaiter>>>()
  /** How often somebody has been woken or moved, or would have been. */
  wakes = 0
  /** Priority-inheriting locks. */
  readonly pi = new FutexPi(this)

  /**
   * The futex at `address`: by the memory behind it if that is shared and the futex not private, else by address.
   * -EINVAL for an unaligned word; -EFAULT for what is no address, or a futex not private that is not mapped as Linux's
   * get_futex_key wants it: writable if `writes`, else readable.
   */
  key(memoryManager: MemoryManager, address: number, isPrivate: boolean, writes = false): FutexKey | number {
    if (address % 4 !== 0) return -EINVAL
    if (address >= memoryManager.layout.taskSize) return -EFAULT
    if (isPrivate) return { owner: memoryManager, offset: address }
    const vma = memoryManager.areas.find(address)
    if (vma === undefined) return -EFAULT
    const mayWrite = (vma.protection & PROT_WRITE) !== 0
    if (!mayWrite && (writes || (vma.protection & PROT_READ) === 0)) return -EFAULT
    const shared = memoryManager.sharedKey(address)
    if (shared !== undefined) return { owner: shared.object, offset: shared.offset }
    // as in Linux, the same address is another futex when it is not private
    if (mayWrite) return { owner: memoryManager, offset: address + 1 }
    const { backing } = vma
    if (backing === undefined || !isFile(backing.object)) return -EFAULT // pages that never change are no futexes
    const { object } = backing
    return { owner: object.lockTarget(), offset: backing.offset + (address - vma.start) }
  }

  /** The one that is next in the queue of `key`. */
  first(key: FutexKey): FutexWaiter | undefined {
    return this.#queueOf(key)?.[0]
  }

  /** Everybody in the queue of `key`, in their order: a copy. */
  waiters(key: FutexKey): ReadonlyArray<FutexWaiter> {
    return [...(this.#queueOf(key) ?? [])]
  }

  /** Puts a sleeper into the queue of `key`, behind those of the same priority. */
  enqueue(key: FutexKey, waiter: FutexWaiter): void {
    let byOffset = this.#queues.get(key.owner)
    if (byOffset === undefined) {
      byOffset = new Map()
      this.#queues.set(key.owner, byOffset)
    }
    let queue = byOffset.get(key.offset)
    if (queue === undefined) {
      queue = []
      byOffset.set(key.offset, queue)
    }
    let place = queue.length
    while (place > 0 && priorityOf(queue[place - 1]!.task) < priorityOf(waiter.task)) place--
    queue.splice(place, 0, waiter)
    waiter.queue = queue
  }

  /** Takes a sleeper out of its queue. */
  remove(key: FutexKey, waiter: FutexWaiter): void {
    const { queue } = waiter
    if (queue === undefined) return
    waiter.queue = undefined
    queue.splice(queue.indexOf(waiter), 1)
    if (queue.length === 0) this.#queues.get(key.owner)?.delete(key.offset)
  }

  /** Takes a sleeper out of the queue of `key` and has its call return `result`. */
  release(key: FutexKey, waiter: FutexWaiter, result: number): void {
    this.wakes++
    this.remove(key, waiter)
    waiter.woken = true
    waiter.result = result
    waiter.onWake?.()
  }

  /**
   * Wakes up to `count` sleepers, but at least one, that share a bit with `bitset`: how many. -EINVAL when it comes upon
   * one that waits for a priority-inheriting lock.
   */
  wake(key: FutexKey, count: number, bitset: number): number {
    this.wakes++
    let woken = 0
    for (const waiter of this.waiters(key)) {
      if (waiter.pi !== undefined || waiter.target !== undefined) return -EINVAL
      if ((waiter.bitset & bitset) === 0) continue
      this.release(key, waiter, 0)
      woken++
      if (woken >= count) break
    }
    return woken
  }

  /** Wakes `wake` sleepers of one futex and moves up to `move` more to another: how many in all. -EINVAL as `wake`. */
  requeue(from: FutexKey, to: FutexKey, wake: number, move: number): number {
    this.wakes++
    let count = 0
    for (const waiter of this.waiters(from)) {
      if (count - wake >= move) break
      if (waiter.pi !== undefined || waiter.target !== undefined) return -EINVAL
      count++
      if (count <= wake) this.release(from, waiter, 0)
      else if (!sameFutex(from, to)) this.move(from, to, waiter)
    }
    return count
  }

  /** Moves a sleeper to another queue. */
  move(from: FutexKey, to: FutexKey, waiter: FutexWaiter): void {
    this.wakes++
    this.remove(from, waiter)
    this.enqueue(to, waiter)
    waiter.onMove?.(to)
  }

  #queueOf(key: FutexKey): Array<FutexWaiter> | undefined {
    return this.#queues.get(key.owner)?.get(key.offset)
  }
}
