/**
 * Who sleeps in wait4(2) or waitid(2): a change wakes only those whose request names the child that changed. The others
 * sleep on, even if what happened leaves them nobody to wait for.
 */
import type { Task } from "./Task.ts"

export interface ChildWaiter {
  /** Whether it asks for `child`, a leader or a thread that is traced. */
  readonly asksFor: (child: Task) => boolean
  /** Must not run other people's code: it schedules. */
  readonly wake: () => void
}

/** The waiters of one thread group. Atomic: every method. */
export class ChildWaiters {
  readonly #waiters = new Set<ChildWaiter>()

  add(waiter: ChildWaiter): void {
    this.#waiters.add(waiter)
  }

  remove(waiter: ChildWaiter): void {
    this.#waiters.delete(waiter)
  }

  /** Something has happened to `child`. */
  notify(child: Task): void {
    for (const waiter of [...this.#waiters]) if (waiter.asksFor(child)) waiter.wake()
  }
}
