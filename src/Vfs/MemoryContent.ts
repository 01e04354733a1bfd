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

/** How many bytes a filesystem may keep. Atomic: every method. */
export class MemoryBudget {
  readonly limit: number
  used = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Takes `bytes`; false when that exceeds the limit. A negative number gives back. */
  take(bytes: number): boolean {
    if (bytes > 0 && this.used + bytes > this.limit) return false
    this.used += bytes
    return true
  }

  /** Whether `take` would succeed. */
  has(bytes: number): boolean {
    return this.used + bytes <= this.limit
  }
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
  readonly #budget: MemoryBudget
  #bytes: Uint8Array = EMPTY
  #size = 0
  /** Pages below the size that were never written. */
  #holes: Set<number> | undefined

  constructor(budget: MemoryBudget) {
    this.#budget = budget
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
    const end = offset + from.length
    if (end > this.#bytes.length && !this.#grow(end)) return -ENOSPC
    if (offset > this.#size) this.#extend(offset)
    this.#bytes.set(from, offset)
    if (end > this.#size) this.#size = end
    if (this.#holes !== undefined) {
      for (let page = Math.floor(offset / PAGE_SIZE); page < pagesOf(end); page++) this.#holes.delete(page)
    }
    return from.length
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
    for (let page = 0; page < pagesOf(this.#size); page++) {
      if (this.#holes?.has(page) ?? false) continue
      const at = page * PAGE_SIZE
      const count = memfd.write(this.#bytes.subarray(at, Math.min(at + PAGE_SIZE, this.#size)), at)
      if (count < 0) return count
    }
    this.dispose()
    return 0
  }

  dispose(): void {
    this.#budget.take(-this.#bytes.length)
    this.#bytes = EMPTY
    this.#size = 0
    this.#holes = undefined
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
    if (!this.#budget.take(capacity - this.#bytes.length)) return false
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
    if (!this.#budget.take(from.length)) return -ENOSPC
    const count = Host.write(this.fd, from, offset)
    this.#budget.take(-from.length)
    this.#account()
    return count
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
    if (now <= this.#taken || this.#budget.take(now - this.#taken)) {
      if (now < this.#taken) this.#budget.take(now - this.#taken)
      this.#taken = now
    }
  }
}
