/**
 * Who waits for something to become ready: poll(2), epoll(7) and every blocking call.
 *
 * A waiter is told *that* something changed, never what it gets: it looks again and may find nothing, as another waiter
 * was quicker. Waking only records that fact (the waiter resumes through the run queue), so `notify` may be called in
 * the middle of a critical section.
 */

/** Somebody who waits. `wake` must not run other people's code: it schedules. */
export interface Waiter {
  /** The poll(2) bits that interest it; POLLERR and POLLHUP always do. */
  readonly events: number
  readonly wake: (events: number) => void
}

const ALWAYS = 0x8 | 0x10 // POLLERR | POLLHUP

/** Waiters in order of arrival. Atomic: every method. */
export class WaitQueue {
  readonly #waiters = new Set<Waiter>()

  add(waiter: Waiter): void {
    this.#waiters.add(waiter)
  }

  remove(waiter: Waiter): void {
    this.#waiters.delete(waiter)
  }

  /** Wakes every waiter interested in one of `events` (poll(2) bits). */
  notify(events: number): void {
    if (this.#waiters.size === 0) return
    for (const waiter of [...this.#waiters]) {
      if (((waiter.events | ALWAYS) & events) !== 0) waiter.wake(events)
    }
  }

  get isEmpty(): boolean {
    return this.#waiters.size === 0
  }
}
