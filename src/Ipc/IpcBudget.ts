/**
 * What the IPC objects of a sandbox may take of the sentry's own memory and descriptors, all namespaces together. Linux
 * bounds each namespace, of which a guest can have thousands, and allows more than we can keep.
 */

const MOST_SEMAPHORES = 1 << 18
/** Bytes of all messages, System V and POSIX. */
const MOST_MESSAGE_BYTES = 64 << 20
/** Each has a descriptor of the sentry's. */
const MOST_SEGMENTS = 4096

/** A sum that must not exceed its limit. Atomic: every method. */
class Account {
  readonly #limit: number
  #used = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** False, and nothing is taken, if there is not so much. */
  take(amount: number): boolean {
    if (this.#used + amount > this.#limit) return false
    this.#used += amount
    return true
  }

  giveBack(amount: number): void {
    this.#used -= amount
  }
}

export class IpcBudget {
  readonly semaphores = new Account(MOST_SEMAPHORES)
  readonly messages = new Account(MOST_MESSAGE_BYTES)
  readonly segments = new Account(MOST_SEGMENTS)
  /** Bytes that count against RLIMIT_MSGQUEUE, by user. Atomic: PosixQueues. */
  readonly posixQueues = new Map<number, number>()
}
