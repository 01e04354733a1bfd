/**
 * The bytes of a file that lives in the sentry: in a growing array while small, in an anonymous file of the host's
 * (memfd) once large, mapped, or subject to fallocate(2). Holes stay holes.
 */
import { SEEK_DATA, SEEK_HOLE } from "../Abi/At.ts"
import { ENOSPC, ENXIO } from "../Abi/Errno.ts"
import * as Host from "./HostCalls.ts"

const PAGE_SIZE = 4096

/** Above this, bytes move to a memfd. */
export const MEMORY_LIMIT = 1 << 20

/** How many bytes there may be of something, also as a part of what `whole` allows. Atomic: every method. */
export class MemoryBudget {
  limit: number
  used = 0
  readonly #whole: MemoryBudget | undefined

  constructor(limit: number, whole?: MemoryBudget) {
    this.limit = limit
    this.#whole = whole
  }

  /** Takes `bytes`; false when that exceeds a limit. A negative number gives back. */
  take(bytes: number): boolean {
    if (bytes > 0 && !this.has(bytes)) return false
    this.add(bytes)
    return true
  }

  /** As `take`, whatever the limit. */
  add(bytes: number): void {
    this.used += bytes
    this.#whole?.add(bytes)
  }

  /** Whether `take` would succeed. */
  has(bytes: number): boolean {
    return this.used + bytes <= this.limit && (this.#whole?.has(bytes) ?? true)
  }
}

/** What contents are charged to. */
export interface ContentBudgets {
  /** Whole pages that hold bytes of files: what a filesystem's size limits. */
  readonly budget: MemoryBudget
  /** Memory of the sentry's own that this takes. */
  readonly heap: MemoryBudget
}

/** What MemoryFile keeps bytes in. Counts or -errno; offsets are valid and within MAX_FILE_SIZE. */
export interface Content {
  readonly size: number
  /** Allocated 512-byte units. */
  readonly blocks: number
  read(into: Uint8Array, offset: number): number
  write(from: Uint8Array, offset: number): number
  truncate(length: number): number
  /** SEEK_DATA and SEEK_HOLE; `offset` is below the size. */
  seek(offset: number, whence: typeof SEEK_DATA | typeof SEEK_HOLE): number
  dispose(): void
}

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE)

export class ArrayContent implements Content {
  readonly #budgets: ContentBudgets
  #bytes: Uint8Array = EMPTY
  #size = 0
  /** Bytes of the budget taken. */
  #taken = 0
  /** Pages below the size that were never written. */
  #holes: Set<number> | undefined

  constructor(budgets: ContentBudgets) {
    this.#budgets = budgets
  }

  get size(): number {
    return this.#size
  }

  get blocks(): number {
    return (pagesOf(this.#size) - (this.#holes?.size ?? 0)) * (PAGE_SIZE / 512)
  }

  read(into: Uint8Array, offset: number): number {
    if (offset >= this.#size) return 0
    const count = Math.min(into.length, this.#size - offset)
    into.set(this.#bytes.subarray(offset, offset + count))
    return count
  }

  write(from: Uint8Array, offset: number): number {
    const count = this.#reserve(offset, from.length)
    if (count < from.length) return count === 0 ? -ENOSPC : this.write(from.subarray(0, count), offset)
    const end = offset + from.length
    if (end > this.#bytes.length && !this.#grow(end)) {
      this.#account()
      return -ENOSPC
    }
    if (offset > this.#size) this.#extend(offset)
    this.#bytes.set(from, offset)
    if (end > this.#size) this.#size = end
    if (this.#holes !== undefined) {
      for (let page = Math.floor(offset / PAGE_SIZE); page < pagesOf(end); page++) this.#holes.delete(page)
    }
    return from.length
  }

  /** Takes the pages that a write needs and the file does not have: how many of the bytes fit. */
  #reserve(offset: number, length: number): number {
    const { budget } = this.#budgets
    const pages = pagesOf(this.#size)
    for (let page = Math.floor(offset / PAGE_SIZE); page * PAGE_SIZE < offset + length; page++) {
      if (page < pages && !(this.#holes?.has(page) ?? false)) continue
      if (!budget.take(PAGE_SIZE)) {
        this.#account()
        return Math.max(0, page * PAGE_SIZE - offset)
      }
      this.#taken += PAGE_SIZE
    }
    return length
  }

  /** The pages that the file has are what it has taken. */
  #account(): void {
    const has = this.blocks * 512
    this.#budgets.budget.add(has - this.#taken)
    this.#taken = has
  }

  truncate(length: number): number {
    if (length > this.#size) {
      if (length > this.#bytes.length && !this.#grow(length)) return -ENOSPC
      this.#extend(length)
      return 0
    }
    this.#bytes.fill(0, length, this.#size) // what is beyond the end reads as zeros when the file grows again
    this.#size = length
    if (this.#holes !== undefined) for (const page of this.#holes) if (page >= pagesOf(length)) this.#holes.delete(page)
    if (length === 0) this.dispose()
    else this.#account()
    return 0
  }

  seek(offset: number, whence: typeof SEEK_DATA | typeof SEEK_HOLE): number {
    for (let page = Math.floor(offset / PAGE_SIZE); page < pagesOf(this.#size); page++) {
      if ((this.#holes?.has(page) ?? false) === (whence === SEEK_HOLE)) return Math.max(offset, page * PAGE_SIZE)
    }
    return whence === SEEK_HOLE ? this.#size : -ENXIO
  }

  /** Moves the bytes to `memfd`. 0 or -errno. */
  moveTo(memfd: MemfdContent): number {
    const error = memfd.truncate(this.#size)
    if (error < 0) return error
    // the bytes move: they need not fit twice
    this.#budgets.budget.add(-this.#taken)
    this.#taken = 0
    for (let page = 0; page < pagesOf(this.#size); page++) {
      if (this.#holes?.has(page) ?? false) continue
      const at = page * PAGE_SIZE
      const count = memfd.write(this.#bytes.subarray(at, Math.min(at + PAGE_SIZE, this.#size)), at)
      if (count < 0) {
        this.#account()
        return count
      }
    }
    this.dispose()
    return 0
  }

  dispose(): void {
    this.#budgets.heap.add(-this.#bytes.length)
    this.#bytes = EMPTY
    this.#size = 0
    this.#holes = undefined
    this.#account()
  }

  /** The size becomes `length`; whole pages in between are holes. */
  #extend(length: number): void {
    for (let page = pagesOf(this.#size); page < pagesOf(length); page++) {
      this.#holes ??= new Set()
      this.#holes.add(page)
    }
    this.#size = length
  }

  #grow(length: number): boolean {
    const capacity = Math.max(length, Math.min(this.#bytes.length * 2, MEMORY_LIMIT), 64)
    if (!this.#budgets.heap.take(capacity - this.#bytes.length)) return false
    const bytes = new Uint8Array(capacity)
    bytes.set(this.#bytes.subarray(0, this.#size))
    this.#bytes = bytes
    return true
  }
}

const EMPTY = new Uint8Array(0)

export class MemfdContent implements Content {
  /** -1 once disposed. */
  fd: number
  readonly #budget: MemoryBudget
  /** Bytes of the budget taken. */
  #taken = 0

  constructor(fd: number, budget: MemoryBudget) {
    this.fd = fd
    this.#budget = budget
  }

  /** A new one, or -errno. */
  static make(budget: MemoryBudget): MemfdContent | number {
    const fd = Host.memfd()
    return fd < 0 ? fd : new MemfdContent(fd, budget)
  }

  /** Asked of the host: a guest that maps the file shared cannot change it, but fallocate can. */
  get size(): number {
    return Host.stat(this.fd) < 0 ? 0 : Host.lastStat().size
  }

  get blocks(): number {
    return Host.stat(this.fd) < 0 ? 0 : Host.lastStat().blocks
  }

  read(into: Uint8Array, offset: number): number {
    return Host.read(this.fd, into, offset)
  }

  write(from: Uint8Array, offset: number): number {
    const end = offset + from.length
    const most = (pagesOf(end) - Math.floor(offset / PAGE_SIZE)) * PAGE_SIZE
    const fits = this.#budget.has(most) ? from.length : this.#room(offset, end)
    if (fits === 0 && from.length > 0) return -ENOSPC
    const count = Host.write(this.fd, from.subarray(0, fits), offset)
    this.#account()
    return count
  }

  /** How many bytes of a write fit when not every page may be a new one: the file's own pages are free. */
  #room(offset: number, end: number): number {
    let room = Math.max(0, this.#budget.limit - this.#budget.used)
    const { size } = this
    for (let page = Math.floor(offset / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const at = page * PAGE_SIZE
      if (at < size && this.seek(at, SEEK_DATA) === at) continue
      if (room < PAGE_SIZE) return Math.max(0, at - offset)
      room -= PAGE_SIZE
    }
    return end - offset
  }

  truncate(length: number): number {
    const error = Host.truncate(this.fd, length)
    this.#account()
    return error
  }

  allocate(mode: number, offset: number, length: number): number {
    if (!this.#budget.take(length)) return -ENOSPC
    const error = Host.allocate(this.fd, mode, offset, length)
    this.#budget.take(-length)
    this.#account()
    return error
  }

  seek(offset: number, whence: typeof SEEK_DATA | typeof SEEK_HOLE): number {
    return Host.seek(this.fd, offset, whence)
  }

  dispose(): void {
    this.#budget.take(-this.#taken)
    this.#taken = 0
    Host.close(this.fd)
    this.fd = -1
  }

  /** What the file really occupies counts: a sparse file is small. */
  #account(): void {
    const now = this.blocks * 512
    this.#budget.add(now - this.#taken)
    this.#taken = now
  }
}
