/**
 * Guest memory without a host process: regions of pages that exist once they were touched.
 *
 * Pages belong to a *store*. Private memory has one of its own, copied by fork; shared memory of one origin has one store
 * for all who map it; a shared file has none, as every access goes to the file. What the processor would do, this does:
 * what may be written or executed may be read.
 */
import { readSync, writeSync } from "node:fs"
import * as Effect from "effect/Effect"
import { EFAULT, EINVAL, ENOMEM } from "../Abi/Errno.ts"
import * as Mman from "../Abi/Mman.ts"
import type { AddressSpace, Backing, MappingChange, ResidentSet } from "./Platform.ts"

const { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } = Mman

/** What a page reads as that nobody has written to. */
const ZEROS = new Uint8Array(PAGE_SIZE)

/** Up to so many bytes a loop is faster than a view of them. */
const FEW = 64

const copyBytes = (from: Uint8Array, start: number, into: Uint8Array, at: number, count: number): void => {
  if (count > FEW) return into.set(from.subarray(start, start + count), at)
  for (let index = 0; index < count; index++) into[at + index] = from[start + index]!
}

/** Pages by number, counted from the store's beginning. */
class PageStore {
  readonly pages = new Map<number, Uint8Array>()
  /** Where a page comes from that was never touched: zeros, or a host file. */
  readonly source: Backing

  constructor(source: Backing) {
    this.source = source
  }

  read(page: number): Uint8Array | undefined {
    const known = this.pages.get(page)
    if (known !== undefined) return known
    return this.source === undefined ? ZEROS : this.#load(this.source, page)
  }

  write(page: number): Uint8Array | undefined {
    const known = this.pages.get(page)
    if (known !== undefined) return known
    const bytes = this.source === undefined ? new Uint8Array(PAGE_SIZE) : this.#load(this.source, page)
    if (bytes !== undefined) this.pages.set(page, bytes)
    return bytes
  }

  /** A page of the file as it is now; undefined if it lies beyond its end. */
  #load({ fd, offset }: { readonly fd: number; readonly offset: number }, page: number): Uint8Array | undefined {
    const bytes = new Uint8Array(PAGE_SIZE)
    return readSync(fd, bytes, 0, PAGE_SIZE, offset + page * PAGE_SIZE) === 0 ? undefined : bytes
  }

  /** A store of its own with copies of `count` pages from `first` on, as its pages 0, 1, …. */
  copy(first: number, count: number): PageStore {
    const copy = new PageStore(shift(this.source, first))
    for (const [page, bytes] of this.pages) {
      if (page >= first && page < first + count) copy.pages.set(page - first, bytes.slice())
    }
    return copy
  }

  forget(first: number, count: number): void {
    for (const page of this.pages.keys()) if (page >= first && page < first + count) this.pages.delete(page)
  }
}

const shift = (source: Backing, pages: number): Backing =>
  source === undefined ? undefined : { fd: source.fd, offset: source.offset + pages * PAGE_SIZE }

interface Region {
  readonly start: number
  readonly end: number
  readonly protection: number
  readonly shared: boolean
  readonly store: PageStore
  /** The page of the store that is at `start`. */
  readonly first: number
  readonly dontFork: boolean
  readonly wipeOnFork: boolean
}

/** The part of a region within [start, end). */
const clip = (region: Region, start: number, end: number): Region => {
  const from = Math.max(region.start, start)
  return {
    ...region,
    start: from,
    end: Math.min(region.end, end),
    first: region.first + (from - region.start) / PAGE_SIZE
  }
}

/** Advice that changes nothing but a flag of the regions concerned. */
const FLAG_ADVICE: ReadonlyMap<number, Partial<Region>> = new Map([
  [Mman.MADV_DONTFORK, { dontFork: true }],
  [Mman.MADV_DOFORK, { dontFork: false }],
  [Mman.MADV_WIPEONFORK, { wipeOnFork: true }],
  [Mman.MADV_KEEPONFORK, { wipeOnFork: false }]
])

/** A bit that no access needs. */
const ANY = PROT_READ | PROT_WRITE | PROT_EXEC

export class SimulatedMemory implements AddressSpace {
  /** Ascending, disjoint. Atomic: every method. */
  #regions: Array<Region> = []
  #last: Region | undefined
  #peak = 0
  /** Where the guest's allocator is (SimulatedGuest.ts): part of a program's memory, so fork copies it. */
  heap = { next: 0, end: 0 }

  readonly change = (changes: ReadonlyArray<MappingChange>): Effect.Effect<number> =>
    Effect.sync(() => {
      for (const change of changes) {
        const result = this.#apply(change)
        if (result < 0) return result
      }
      return 0
    })

  readonly read = (address: number, into: Uint8Array): number => this.#read(address, into, ANY)

  readonly readForced = (address: number, into: Uint8Array): number => this.#read(address, into, 0)

  readonly write = (address: number, from: Uint8Array): number => this.#write(address, from, PROT_WRITE)

  readonly writeForced = (address: number, from: Uint8Array): number => this.#write(address, from, 0)

  readonly residentSet = (): ResidentSet => {
    const stores = new Set(this.#regions.map(({ store }) => store))
    let pages = 0
    for (const store of stores) pages += store.pages.size
    const current = (pages * PAGE_SIZE) / 1024
    this.#peak = Math.max(this.#peak, current)
    return { current, peak: this.#peak }
  }

  /** PROT_* bits at `address`; undefined where nothing is mapped. */
  protectionAt(address: number): number | undefined {
    return this.#find(address)?.protection
  }

  /** What fork(2) makes of it: private memory copied, shared memory shared. */
  copy(): SimulatedMemory {
    const copy = new SimulatedMemory()
    copy.heap = { ...this.heap }
    copy.#regions = this.#regions
      .filter(({ dontFork }) => !dontFork)
      .map((region) => {
        if (region.shared) return region
        if (region.wipeOnFork) return { ...region, store: new PageStore(undefined), first: 0 }
        return { ...region, store: region.store.copy(region.first, pageCount(region)), first: 0 }
      })
    return copy
  }

  #read(address: number, into: Uint8Array, protection: number): number {
    return this.#access(address, into, protection, false)
  }

  #write(address: number, from: Uint8Array, protection: number): number {
    return this.#access(address, from, protection, true)
  }

  /** Copies page by page, to memory or from it: how many bytes there were before the first that may not be accessed so. */
  #access(address: number, buffer: Uint8Array, protection: number, writes: boolean): number {
    const { length } = buffer
    let done = 0
    while (done < length) {
      const at = address + done
      const region = this.#find(at)
      if (region === undefined || (protection !== 0 && (region.protection & protection) === 0)) break
      const page = region.first + Math.floor((at - region.start) / PAGE_SIZE)
      const offset = at % PAGE_SIZE
      const count = Math.min(PAGE_SIZE - offset, length - done)
      const bytes = writes ? region.store.write(page) : region.store.read(page)
      if (bytes === undefined) break
      if (writes) copyBytes(buffer, done, bytes, offset, count)
      else copyBytes(bytes, offset, buffer, done, count)
      if (region.shared && region.store.source !== undefined) this.#throughFile(region.store, page, bytes, writes)
      done += count
    }
    return done
  }

  /** A shared file's page is kept no longer than one access: others read and write the file itself. */
  #throughFile({ pages, source }: PageStore, page: number, bytes: Uint8Array, writes: boolean): void {
    pages.delete(page)
    if (writes && source !== undefined) writeSync(source.fd, bytes, 0, PAGE_SIZE, source.offset + page * PAGE_SIZE)
  }

  #find(address: number): Region | undefined {
    const last = this.#last
    if (last !== undefined && address >= last.start && address < last.end) return last
    const region = this.#regions[this.#indexAfter(address)]
    if (region === undefined || region.start > address) return undefined
    this.#last = region
    return region
  }

  /** The index of the first region that ends after `address`. */
  #indexAfter(address: number): number {
    let low = 0
    let high = this.#regions.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#regions[middle]!.end > address) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The parts of regions within [start, end), ascending. */
  #within(start: number, end: number): ReadonlyArray<Region> {
    const parts: Array<Region> = []
    for (let index = this.#indexAfter(start); index < this.#regions.length; index++) {
      const region = this.#regions[index]!
      if (region.start >= end) break
      parts.push(clip(region, start, end))
    }
    return parts
  }

  /** Puts `parts` (within [start, end), ascending) in place of whatever is there. */
  #replace(start: number, end: number, parts: ReadonlyArray<Region>): void {
    const from = this.#indexAfter(start)
    let to = from
    while (to < this.#regions.length && this.#regions[to]!.start < end) to++
    const before = this.#regions[from]
    const after = this.#regions[to - 1]
    const kept: Array<Region> = [...parts]
    if (to > from && before !== undefined && before.start < start) kept.unshift(clip(before, before.start, start))
    if (to > from && after !== undefined && after.end > end) kept.push(clip(after, end, after.end))
    this.#regions.splice(from, to - from, ...kept)
    this.#last = undefined
  }

  #unmap(start: number, end: number): void {
    for (const part of this.#within(start, end)) {
      if (!part.shared) part.store.forget(part.first, pageCount(part))
    }
    this.#replace(start, end, [])
  }

  /** 0 or -errno. */
  #apply(change: MappingChange): number {
    const { address } = change
    if (!Number.isSafeInteger(address / PAGE_SIZE)) return -EINVAL
    switch (change._tag) {
      case "Map": {
        const { backing, length, protection, shared } = change
        const end = address + length
        const fresh = { shared, protection, first: 0, dontFork: false, wipeOnFork: false }
        this.#unmap(address, end)
        this.#replace(address, end, [{ ...fresh, start: address, end, store: new PageStore(backing) }])
        return 0
      }
      case "Unmap":
        this.#unmap(address, address + change.length)
        return 0
      case "Protect":
        return this.#modify(address, change.length, { protection: change.protection })
      case "Remap":
        return this.#remap(change)
      case "Advise":
        return this.#advise(address, change.length, change.advice)
      case "Synchronize":
        return 0
    }
  }

  #modify(address: number, length: number, fields: Partial<Region>): number {
    const end = address + length
    const parts = this.#within(address, end)
    if (parts.reduce((sum, part) => sum + part.end - part.start, 0) !== length) return -ENOMEM
    this.#replace(
      address,
      end,
      parts.map((part) => ({ ...part, ...fields }))
    )
    return 0
  }

  #advise(address: number, length: number, advice: number): number {
    if (advice === Mman.MADV_GUARD_INSTALL || advice === Mman.MADV_GUARD_REMOVE) return -EINVAL // as older hosts do
    const flags = FLAG_ADVICE.get(advice)
    if (flags !== undefined) return this.#modify(address, length, flags)
    const discards = advice === Mman.MADV_DONTNEED || advice === Mman.MADV_DONTNEED_LOCKED
    for (const part of this.#within(address, address + length)) {
      if (part.shared ? advice === Mman.MADV_REMOVE : discards) part.store.forget(part.first, pageCount(part))
    }
    return 0
  }

  #remap(change: MappingChange & { readonly _tag: "Remap" }): number {
    const { address, keepOld, newAddress, newLength, oldLength } = change
    const parts = this.#within(address, address + Math.max(oldLength, PAGE_SIZE))
    const last = parts.at(-1)
    if (last === undefined) return -EFAULT
    const moved = parts.map((part, index): Region => {
      const start = newAddress + (part.start - address)
      const end = index === parts.length - 1 ? newAddress + newLength : start + part.end - part.start
      // private pages move to a store of their own: beyond the region's end the old one may hold somebody else's
      return part.shared
        ? { ...part, start, end }
        : { ...part, start, end, store: part.store.copy(part.first, pageCount(part)), first: 0 }
    })
    const old = parts.filter(({ shared }) => !shared)
    if (oldLength > 0) {
      for (const part of old) part.store.forget(part.first, pageCount(part))
      if (!keepOld) this.#replace(address, address + oldLength, [])
    }
    this.#unmap(newAddress, newAddress + newLength)
    this.#replace(newAddress, newAddress + newLength, moved)
    return 0
  }
}

const pageCount = ({ end, start }: Region): number => (end - start) / PAGE_SIZE
