/**
 * Values that each cover a range of addresses, [start, end), sorted and never overlapping.
 *
 * A sorted array: lookups are binary searches, an edit moves the tail of the array (a memmove), and the search for a gap
 * walks down from the top, where gaps are. The number of ranges is bounded (vm.max_map_count), and so is each walk.
 */
import { invariant } from "../Sync/Invariant.ts"

export interface Range {
  readonly start: number
  readonly end: number
}

/** What a map must know of its values. */
export interface RangeOperations<V extends Range> {
  /** The part of `value` from `start` to `end`, which lie within it. */
  readonly slice: (value: V, start: number, end: number) => V
  /** One value in place of two that touch, or undefined if they differ. */
  readonly merge: (low: V, high: V) => V | undefined
  /** A value object enters the map; called before any `removed` of the same edit. */
  readonly added: (value: V) => void
  /** A value object leaves the map. */
  readonly removed: (value: V) => void
}

/** Atomic: every method. */
export class RangeMap<V extends Range> {
  readonly #operations: RangeOperations<V>
  readonly #values: Array<V> = []

  constructor(operations: RangeOperations<V>) {
    this.#operations = operations
  }

  get size(): number {
    return this.#values.length
  }

  /** Every value, ascending. Do not edit the map meanwhile. */
  values(): IterableIterator<V> {
    return this.#values[Symbol.iterator]()
  }

  /** The first value that ends after `address`: it contains the address or lies above it (Linux's find_vma). */
  firstEndingAfter(address: number): V | undefined {
    return this.#values[this.#indexEndingAfter(address)]
  }

  /** The last value that starts below `address`. */
  lastStartingBelow(address: number): V | undefined {
    let low = 0
    let high = this.#values.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#values[middle]!.start < address) low = middle + 1
      else high = middle
    }
    return this.#values[low - 1]
  }

  /** The value that contains `address`. */
  find(address: number): V | undefined {
    const value = this.firstEndingAfter(address)
    return value !== undefined && value.start <= address ? value : undefined
  }

  /** Whether anything overlaps [start, end). */
  overlaps(start: number, end: number): boolean {
    const value = this.firstEndingAfter(start)
    return value !== undefined && value.start < end
  }

  /** The values that overlap [start, end), whole, ascending. */
  overlapping(start: number, end: number): ReadonlyArray<V> {
    const first = this.#indexEndingAfter(start)
    let last = first
    while (last < this.#values.length && this.#values[last]!.start < end) last++
    return this.#values.slice(first, last)
  }

  /** The values that overlap [start, end), each cut down to it. */
  clipped(start: number, end: number): ReadonlyArray<V> {
    return this.overlapping(start, end).map((value) =>
      value.start >= start && value.end <= end
        ? value
        : this.#operations.slice(value, Math.max(start, value.start), Math.min(end, value.end))
    )
  }

  /**
   * Makes [start, end) hold exactly `pieces` (ascending, inside it, not overlapping): what was there is cut out, and
   * neighbours that can be one are merged.
   */
  replace(start: number, end: number, pieces: ReadonlyArray<V>): void {
    const { added, merge, removed, slice } = this.#operations
    let first = this.#indexEndingAfter(start)
    let last = first
    while (last < this.#values.length && this.#values[last]!.start < end) last++

    const parts: Array<V> = []
    const append = (value: V): void => {
      const below = parts.at(-1)
      invariant(below === undefined || below.end <= value.start, "ranges overlap")
      const merged = below !== undefined && below.end === value.start ? merge(below, value) : undefined
      if (merged === undefined) parts.push(value)
      else parts[parts.length - 1] = merged
    }

    // the neighbours that merely touch take part, as they may merge
    if (first > 0 && this.#values[first - 1]!.end === start) first--
    if (last < this.#values.length && this.#values[last]!.start === end) last++
    const old = this.#values.slice(first, last)
    const lowest = old[0]
    const highest = old.at(-1)
    if (lowest !== undefined && lowest.start < start) {
      append(lowest.end <= start ? lowest : slice(lowest, lowest.start, start))
    }
    for (const piece of pieces) append(piece)
    if (highest !== undefined && highest.end > end) {
      append(highest.start >= end ? highest : slice(highest, end, highest.end))
    }

    this.#values.splice(first, last - first, ...parts)
    // nearly always a handful; sets for the edit that covers thousands
    const few = old.length * parts.length <= 64
    const before = few ? undefined : new Set(old)
    const after = few ? undefined : new Set(parts)
    for (const value of parts) if (!(before?.has(value) ?? old.includes(value))) added(value)
    for (const value of old) if (!(after?.has(value) ?? parts.includes(value))) removed(value)
  }

  /** Replaces each value in [start, end), cut down to it, by what `change` makes of it (same range). */
  modify(start: number, end: number, change: (value: V) => V): void {
    this.replace(start, end, this.clipped(start, end).map(change))
  }

  /** Takes out everything. */
  clear(): void {
    for (const value of this.#values.splice(0)) this.#operations.removed(value)
  }

  /**
   * The highest start of `length` free addresses within [low, high), keeping `guard(value)` free below each value;
   * undefined if there is none.
   */
  highestGap(length: number, low: number, high: number, guard: (value: V) => number): number | undefined {
    let index = this.#indexEndingAfter(high)
    const above = this.#values[index]
    let top = above === undefined ? high : Math.min(high, above.start - guard(above))
    for (;;) {
      const below = this.#values[--index]
      const bottom = Math.max(low, below?.end ?? low)
      if (top - bottom >= length) return top - length
      if (below === undefined || below.start <= low) return undefined
      top = Math.min(high, below.start - guard(below))
    }
  }

  /** As `highestGap`, the lowest start. */
  lowestGap(length: number, low: number, high: number, guard: (value: V) => number): number | undefined {
    let bottom = low
    for (let index = this.#indexEndingAfter(low); bottom + length <= high; index++) {
      const above = this.#values[index]
      if (above === undefined || above.start - guard(above) - bottom >= length) return bottom
      bottom = Math.max(bottom, above.end)
    }
    return undefined
  }

  #indexEndingAfter(address: number): number {
    let low = 0
    let high = this.#values.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#values[middle]!.end > address) high = middle
      else low = middle + 1
    }
    return low
  }
}
