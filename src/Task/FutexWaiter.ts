/**
 * Futexes as the kernel tells them apart, and who sleeps on them.
 */
import type { Task } from "./Task.ts"

/** What two tasks that mean the same futex have in common. */
export interface FutexKey {
  readonly owner: object
  readonly offset: number
}

export const sameFutex = (one: FutexKey, other: FutexKey): boolean =>
  one.owner === other.owner && one.offset === other.offset

/** A priority-inheriting lock that somebody waits for, as the kernel knows it: Linux's futex_pi_state. */
export interface PiState {
  readonly key: FutexKey
  /** Whom the word named when the first waiter came, or whom it was passed to. */
  owner: Task
}

/** One sleeper. */
export class FutexWaiter {
  readonly task: Task
  readonly bitset: number
  /** Where the word is in the sleeper's own memory. */
  address: number
  /** Set by whoever wakes it: it is in no queue any more. */
  woken = false
  /** What the call returns once woken. */
  result = 0
  /** Called once when woken, if the sleeper is listening already. */
  onWake: (() => void) | undefined
  /** Told when FUTEX_REQUEUE moves it. */
  onMove: ((to: FutexKey) => void) | undefined
  /** The queue it is in, which requeueing changes. */
  queue: Array<FutexWaiter> | undefined
  /** It waits for this lock. */
  pi: PiState | undefined
  /** FUTEX_WAIT_REQUEUE_PI: the lock to which it wants to be moved. */
  target: { readonly key: FutexKey; readonly address: number } | undefined

  constructor(task: Task, address: number, bitset: number) {
    this.task = task
    this.address = address
    this.bitset = bitset
  }
}
