/**
 * What of a process's memory a core file has: how much of each area, core(5), "Controlling which mappings are written", and
 * which pages of that are there at all.
 */
import { SEEK_DATA, SEEK_HOLE } from "../Abi/At.ts"
import { ELFMAG } from "../Abi/Elf.ts"
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { pageAlign, pageStart } from "../Memory/AddressLayout.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import {
  isFile,
  SharedAnonymous,
  VMA_ACCOUNT,
  VMA_DONTDUMP,
  VMA_NORESERVE,
  visibleStart,
  type Vma
} from "../Memory/Vma.ts"
import * as HostCalls from "../Vfs/HostCalls.ts"

const ANONYMOUS_PRIVATE = 1
const ANONYMOUS_SHARED = 2
const MAPPED_PRIVATE = 4
const MAPPED_SHARED = 8
const ELF_HEADERS = 16

/** One area of a core file: what the process had mapped, and how much from its beginning on the file has. */
export interface CoreArea {
  readonly vma: Vma
  readonly start: number
  readonly end: number
  readonly dumped: number
}

/** Whether it is the kernel's own, the vdso and what that reads: no file, whatever it is made of here, and always dumped. */
export const isKernels = ({ backing }: Vma): boolean =>
  backing !== undefined && isFile(backing.object) && backing.object.describe().startsWith("[")

/**
 * Whether the process itself may have put something in place of what the file says. Patched call sites are not its doing:
 * they are in what was never writable.
 */
const mayBeWritten = ({ backing, flags, protection, shared }: Vma): boolean =>
  !shared && (backing === undefined || (protection & PROT_WRITE) !== 0 || (flags & (VMA_ACCOUNT | VMA_NORESERVE)) !== 0)

/** Looks for a written page; an area that takes more counts as written, and most of it will be a hole. */
const MOST_LOOKS = 64

/** Decides about one area after the other. */
export class CoreAreas {
  readonly #memory: MemoryManager

  constructor(memory: MemoryManager) {
    this.#memory = memory
  }

  /** The area as it is in the file. */
  decide(vma: Vma): CoreArea {
    const start = visibleStart(vma)
    const all = vma.end - start
    const part = this.#part(vma)
    return { vma, start, end: vma.end, dumped: part === "All" ? all : part === "Header" ? Math.min(PAGE_SIZE, all) : 0 }
  }

  #part(vma: Vma): "All" | "Header" | "Nothing" {
    const { coredumpFilter: filter } = this.#memory
    const wants = (kind: number): "All" | "Nothing" => ((filter & kind) !== 0 ? "All" : "Nothing")
    if (isKernels(vma)) return "All"
    if ((vma.flags & VMA_DONTDUMP) !== 0) return "Nothing"
    const object = vma.backing?.object
    const stat = object !== undefined && isFile(object) ? object.stat() : undefined
    if (vma.shared) {
      const isUnnamed = stat === undefined || (typeof stat === "object" && stat.nlink === 0)
      return wants(isUnnamed ? ANONYMOUS_SHARED : MAPPED_SHARED)
    }
    if ((filter & ANONYMOUS_PRIVATE) !== 0 && this.#isWritten(vma)) return "All"
    if (vma.backing === undefined) return "Nothing"
    if ((filter & MAPPED_PRIVATE) !== 0) return "All"
    if ((filter & ELF_HEADERS) === 0 || vma.backing.offset !== 0 || (vma.protection & PROT_READ) === 0) return "Nothing"
    const isExecutable = typeof stat === "object" && (stat.mode & 0o111) !== 0
    return isExecutable || this.#hasElfHeader(vma) ? "Header" : "Nothing"
  }

  #hasElfHeader(vma: Vma): boolean {
    const head = new Uint8Array(ELFMAG.length)
    const length = this.#memory.addressSpace.read(vma.start, head)
    return length === head.length && Buffer.from(head).toString("latin1") === ELFMAG
  }

  /** Whether a page of it is the process's own. */
  #isWritten(vma: Vma): boolean {
    if (!mayBeWritten(vma)) return false
    const { presentPages } = this.#memory.addressSpace
    if (presentPages === undefined) return true
    let at = vma.start
    for (let look = 0; look < MOST_LOOKS; look++) {
      let own = 0
      const next = presentPages(at, vma.end, (start, end, isAnonymous) => {
        if (isAnonymous) own += end - start
      })
      if (own > 0) return true
      if (next <= at || next >= vma.end) return false
      at = next
    }
    return true
  }
}

/** Pages of memory that nobody has a file of, and that may not be there: so many of them are looked at, bytes. */
const MOST_UNSEEN = 64 * 1024 * 1024

/** A range of addresses. */
interface Run {
  readonly start: number
  readonly end: number
}

/**
 * Finds what there is to read, so that what was never touched costs nothing, and stays untouched. Differs from Linux in
 * one case: of shared memory without a file, what this process has not touched itself is read only up to a limit.
 */
export class CorePages {
  readonly #memory: MemoryManager
  #unseen = MOST_UNSEEN

  constructor(memory: MemoryManager) {
    this.#memory = memory
  }

  /**
   * Looks from `from` on, which is within `area`, for the next pages to read: a run of them, or how far there is nothing.
   * Bounded; ends with the part that is dumped.
   */
  next({ dumped, start, vma }: CoreArea, from: number): Run | number {
    const end = start + dumped
    const object = vma.backing?.object
    const present = this.#present(from, end)
    if (typeof present === "object" && present.start === from) return present
    if (object instanceof SharedAnonymous && this.#unseen > 0) {
      const upTo = Math.min(typeof present === "number" ? present : present.start, from + this.#unseen)
      this.#unseen -= upTo - from
      return { start: from, end: upTo }
    }
    if (object === undefined || object instanceof SharedAnonymous) return present
    const limit = typeof present === "number" ? present : present.start
    const data = this.#fileData(vma, from, limit)
    return data ?? present
  }

  #present(from: number, end: number): Run | number {
    const { presentPages } = this.#memory.addressSpace
    if (presentPages === undefined) return { start: from, end }
    let first: Run | undefined
    const seen = presentPages(from, end, (start, stop) => {
      if (first === undefined) first = { start, end: stop }
      else if (first.end === start) first = { start: first.start, end: stop }
    })
    if (first !== undefined) return first
    return seen > from ? Math.min(seen, end) : end
  }

  /** The next pages before `limit` that the file behind them has something for. */
  #fileData(vma: Vma, from: number, limit: number): Run | undefined {
    // another process that shares the memory may have unmapped it and closed the file
    const current = this.#memory.areas.find(from)?.backing?.object
    const { backing } = vma
    if (backing === undefined || current !== backing.object || !isFile(backing.object)) return undefined
    const host = backing.object.mappable()
    if (typeof host === "number") return undefined
    const base = host.offset + backing.offset - vma.start
    const data = HostCalls.seek(host.fd, base + from, SEEK_DATA)
    if (data < 0) return undefined
    const start = Math.max(from, pageStart(data - base))
    if (start >= limit) return undefined
    const hole = HostCalls.seek(host.fd, data, SEEK_HOLE)
    return { start, end: hole < 0 ? limit : Math.min(limit, pageAlign(hole - base)) }
  }
}
