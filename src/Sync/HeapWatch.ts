/**
 * Ends a sandbox before what its kernel remembers fills the heap of the process, which would end the whole service.
 *
 * Most of what a guest can have is bounded by an errno of its own, but not all of it together: thousands of processes with
 * thousands of mappings each. The host's kernel would let its memory run out and kill somebody; so does this, by
 * what is left after a full collection of garbage.
 */
import { constants, PerformanceObserver } from "node:perf_hooks"
import { getHeapStatistics } from "node:v8"
import * as Context from "effect/Context"

/** The share of the heap for what lives long that may be in use: a collection needs room to work in. */
const SHARE = 0.7
/** What Node's limit has besides, for what is new. */
const YOUNG = 192 * 2 ** 20

/** A sandbox that uses the heap. */
export interface HeapUser {
  /** About how much, in bytes; only compared with others. */
  readonly weight: () => number
  readonly end: (report: string) => void
}

/** One for all sandboxes of a process. Atomic: every method. */
export class HeapWatch {
  readonly #users = new Set<HeapUser>()
  readonly #observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as { readonly detail?: { readonly kind?: number } }
      if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) return this.#look()
    }
  })

  add(user: HeapUser): void {
    if (this.#users.size === 0) this.#observer.observe({ entryTypes: ["gc"] })
    this.#users.add(user)
  }

  delete(user: HeapUser): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.#observer.disconnect()
  }

  #look(): void {
    const { heap_size_limit, used_heap_size: used } = getHeapStatistics()
    const limit = heap_size_limit - YOUNG
    if (used < limit * SHARE) return
    let heaviest: HeapUser | undefined
    let most = -1
    for (const user of this.#users) {
      const weight = user.weight()
      if (weight > most) [heaviest, most] = [user, weight]
    }
    if (heaviest === undefined) return
    this.delete(heaviest) // what it holds is free after the next collection only
    const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MB`
    heaviest.end(`out of memory: ${megabytes(used)} of the ${megabytes(limit)} that Node allows are in use`)
  }
}

/** The process's. */
export const SharedHeapWatch = Context.Reference<HeapWatch>("effect-sentry/Sync/SharedHeapWatch", {
  defaultValue: () => new HeapWatch()
})
