/**
 * Priority-inheriting locks, futex(2): the word holds the owner's thread id, FUTEX_WAITERS once the kernel knows of the
 * lock, FUTEX_OWNER_DIED after an owner ended without unlocking.
 *
 * The kernel keeps a `PiState` only while somebody waits. Ownership is handed over by whoever gives it up, in one step:
 * the word first, then the state, then the new owner wakes. No priority is lent: the host schedules.
 *
 * Atomic: every method.
 */
import { EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { FUTEX_BITSET_MATCH_ANY, FUTEX_OWNER_DIED, FUTEX_TID_MASK, FUTEX_WAITERS } from "../Abi/Futex.ts"
import type { FutexTable } from "./FutexTable.ts"
import { type FutexKey, FutexWaiter, type PiState, sameFutex } from "./FutexWaiter.ts"
import { findTask } from "./PidLookup.ts"
import type { Task } from "./Task.ts"

/** Owners that are followed in search of a deadlock: Linux's max_lock_depth. */
const MAX_LOCK_DEPTH = 1024

/** How often a word that threads of the guest keep changing is tried: then the call fails as if interrupted. */
const MAX_TRIES = 128

/** What an attempt to lock came to; a number is -errno. */
type Attempt = { readonly _tag: "Acquired" } | { readonly _tag: "Busy"; readonly state: PiState } | number

const acquired: Attempt = { _tag: "Acquired" }

const ownerOf = (word: number): number => word & FUTEX_TID_MASK

/** Whether `task` may still give a lock up: it has not begun to exit. */
const isAlive = (task: Task): boolean =>
  task.runState._tag !== "Exit" && task.runState._tag !== "Dead" && task.threadGroup.tasks.has(task)

export class FutexPi {
  readonly #futexes: FutexTable
  /** Locks by owner, as far as somebody waits for them. */
  readonly #owned = new Map<Task, Set<PiState>>()
  /** What a task waits for. */
  readonly #waits = new Map<Task, PiState>()

  constructor(futexes: FutexTable) {
    this.#futexes = futexes
  }

  /**
   * Tries to take the lock whose word is at `address` in the memory of `caller`, for `task`. "Busy": it has an owner, and
   * the word says that there are waiters. `setsWaiters`: it says so in any case.
   */
  attempt(caller: Task, address: number, key: FutexKey, task: Task, setsWaiters: boolean): Attempt {
    const { memory } = caller
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const word = memory.loadU32(address)
      if (word < 0) return -EFAULT
      if (ownerOf(word) === task.ownTid) return -EDEADLK
      const first = this.#futexes.first(key)
      if (first !== undefined) return attach(word, first.pi)
      const free = ownerOf(word) === 0
      const next = free
        ? (word & FUTEX_OWNER_DIED) | task.ownTid | (setsWaiters ? FUTEX_WAITERS : 0)
        : word | FUTEX_WAITERS
      const found = memory.compareExchange(address, word, next >>> 0)
      if (found < 0) return -EFAULT
      if (found !== word) continue
      if (free) return acquired
      const owner = findTask(task, ownerOf(word))
      return owner === undefined || !isAlive(owner) ? -ESRCH : { _tag: "Busy", state: { key, owner } }
    }
    return -EAGAIN
  }

  /** A sleeper in the queue of `state`, or -EDEADLK. */
  wait(task: Task, address: number, state: PiState): FutexWaiter | number {
    if (this.#wouldDeadlock(task, state)) return -EDEADLK
    const waiter = new FutexWaiter(task, address, FUTEX_BITSET_MATCH_ANY)
    this.#futexes.enqueue(state.key, waiter)
    this.#await(waiter, state)
    return waiter
  }

  /** A sleeper gives up. */
  cancel(waiter: FutexWaiter): void {
    const { pi } = waiter
    if (pi === undefined) return
    this.#waits.delete(waiter.task)
    this.#futexes.remove(pi.key, waiter)
    if (this.#futexes.first(pi.key) === undefined) this.#disown(pi)
  }

  /** FUTEX_UNLOCK_PI: 0 or -errno. */
  unlock(task: Task, address: number, isPrivate: boolean): number {
    const { memory, memoryManager } = task
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const word = memory.loadU32(address)
      if (word < 0) return -EFAULT
      if (ownerOf(word) !== task.ownTid) return -EPERM
      const key = this.#futexes.key(memoryManager, address, isPrivate, true)
      if (typeof key === "number") return key
      const heir = this.#futexes.first(key)
      if (heir !== undefined && heir.pi?.owner !== task) return -EINVAL
      // Linux keeps FUTEX_WAITERS while it has state, even if the heir is the last one
      const next = heir === undefined ? 0 : (FUTEX_WAITERS | heir.task.ownTid) >>> 0
      const found = memory.compareExchange(address, word, next)
      if (found < 0) return -EFAULT
      if (found === word) {
        if (heir !== undefined) this.#handOver(heir, 0)
        return 0
      }
      if (heir === undefined) return -EAGAIN
      if (ownerOf(found) !== word) return -EINVAL // somebody fiddles; else a waiter has just set its bit
    }
    return -EAGAIN
  }

  /** A task ends, or executes another program: its locks go to the next ones, marked FUTEX_OWNER_DIED. */
  releaseAll(task: Task): void {
    for (const state of this.#owned.get(task) ?? []) {
      const heir = this.#futexes.first(state.key)
      if (heir === undefined) continue
      const mark = FUTEX_OWNER_DIED | FUTEX_WAITERS | heir.task.ownTid
      this.#handOver(heir, Math.min(0, heir.task.memory.update(heir.address, 0, mark, 0)))
    }
    this.#owned.delete(task)
  }

  /**
   * FUTEX_CMP_REQUEUE_PI after its comparison: the first sleeper of `from` gets the lock if it is free, the others, at
   * most `move`, wait for it. How many, or -errno.
   */
  requeue(caller: Task, from: FutexKey, to: FutexKey, address: number, move: number): number {
    const word = caller.memory.loadU32(address)
    if (word < 0) return word
    const first = this.#futexes.first(from)
    if (first === undefined) return 0
    if (first.target === undefined || first.pi !== undefined || !sameFutex(first.target.key, to)) return -EINVAL
    const attempt = this.attempt(caller, address, to, first.task, move > 0)
    if (typeof attempt === "number") return attempt
    let count = 0
    if (attempt._tag === "Acquired") {
      this.#futexes.release(from, first, 0)
      count++
    }
    const state = attempt._tag === "Acquired" ? { key: to, owner: first.task } : attempt.state
    for (const waiter of this.#futexes.waiters(from)) {
      if (count - 1 >= move) break
      if (waiter.target === undefined || !sameFutex(waiter.target.key, to)) return -EINVAL
      if (this.#wouldDeadlock(waiter.task, state)) {
        this.#futexes.release(from, waiter, -EDEADLK)
        return -EDEADLK
      }
      waiter.address = waiter.target.address
      this.#futexes.move(from, to, waiter)
      this.#await(waiter, state)
      count++
    }
    return count
  }

  #await(waiter: FutexWaiter, state: PiState): void {
    waiter.pi = state
    this.#waits.set(waiter.task, state)
    let owned = this.#owned.get(state.owner)
    if (owned === undefined) {
      owned = new Set()
      this.#owned.set(state.owner, owned)
    }
    owned.add(state)
  }

  /** The heir owns the lock; its call returns `result`. */
  #handOver(heir: FutexWaiter, result: number): void {
    const state = heir.pi!
    this.#disown(state)
    this.#waits.delete(heir.task)
    this.#futexes.release(state.key, heir, result)
    state.owner = heir.task
    const next = this.#futexes.first(state.key)
    if (next !== undefined) this.#await(next, state)
  }

  #disown(state: PiState): void {
    const owned = this.#owned.get(state.owner)
    owned?.delete(state)
    if (owned?.size === 0) this.#owned.delete(state.owner)
  }

  /** Whether the owner of `state` waits, directly or through others, for `task`. */
  #wouldDeadlock(task: Task, state: PiState): boolean {
    let current: PiState | undefined = state
    for (let depth = 0; depth < MAX_LOCK_DEPTH && current !== undefined; depth++) {
      if (current.owner === task) return true
      current = this.#waits.get(current.owner)
    }
    return current !== undefined
  }
}

/** Linux's attach_to_pi_state: somebody waits already, and the word must agree with what the kernel knows. */
const attach = (word: number, state: PiState | undefined): Attempt => {
  if (state === undefined) return -EINVAL
  if ((word & FUTEX_OWNER_DIED) !== 0 && ownerOf(word) === 0) return { _tag: "Busy", state }
  return ownerOf(word) === state.owner.ownTid ? { _tag: "Busy", state } : -EINVAL
}
