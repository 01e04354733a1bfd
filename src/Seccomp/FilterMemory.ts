/**
 * How much of the sentry's own memory the filters of one sandbox take: Linux has only a bound for each task, and a guest
 * can have thousands of those.
 */

/** What a filter takes besides its program, about. */
const OVERHEAD = 1024
const LIMIT = 64 * 1024 * 1024

/** Atomic: every method. */
export class FilterMemory {
  #used = 0

  /** What all filters that somebody has take, bytes. */
  get used(): number {
    return this.#used
  }

  hasRoom(bytes: number): boolean {
    return this.#used + bytes + OVERHEAD <= LIMIT
  }

  take(bytes: number): void {
    this.#used += bytes + OVERHEAD
  }

  giveBack(bytes: number): void {
    this.#used -= bytes + OVERHEAD
  }
}
