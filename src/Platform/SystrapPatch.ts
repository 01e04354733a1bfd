/**
 * Patching of call sites on the fast platform: a hot `mov $nr, %eax; syscall` of a program file, or another form that
 * SystrapSite.ts knows, becomes a jump to the stub, whose calls need no signal.
 *
 * The jump is `jmp *RECORD`, seven bytes: RECORD is an address whose upper half reads `syscall`, so that where the jump
 * covers the old `syscall` there still is one. Records are in memory of the guest's own, private, read-execute, which
 * fork copies together with the patches. A site is patched when it has trapped a few times, when its bytes are in a
 * private mapping of a file that can't be written, and while no other thread of the address space runs.
 *
 * A traced program is to find its code as it was: its sites are put back and patched no more (`restore`).
 *
 * Differs from Linux: an untraced program that reads its own code sees the patch, and it can't map anything at the records.
 */
import { readFileSync } from "node:fs"
import { sysno } from "../Abi/Sysno.ts"
import type { CopyHint } from "./CopyHints.ts"
import { readGuest } from "./GuestMemory.ts"
import { Request } from "./Slots.ts"
import { copies, prologues, records, systrapBase } from "./SystrapLayout.ts"
import { jumpNear, jumpTo, recognize, recordCode, type Site, SITE_AHEAD, SITE_REACH } from "./SystrapSite.ts"
import type { Tracer } from "./Tracer.ts"

/** Traps of a site until it is patched: a patch costs as much as some fifty. */
const THRESHOLD = 24
/** Bytes of a string that its thread copies in at most; those that are longer are rare. */
const LONGEST_STRING = 512
/** Of the calls that syscall(2) makes, the one that is worth a hint. */
const OFTEN_UNKNOWN = sysno.futex
/** Sites that are counted at most. */
const MOST = 4096

const PROT_READ_EXECUTE = 5
const MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x10_0022
const FIRST_RECORD = 1
const END = prologues.address + prologues.size

/** Whether a private mapping of a file, read-execute, contains the range. */
const isProgramText = (pid: number, start: number, end: number): boolean => {
  try {
    for (const line of readFileSync(`/proc/${pid}/maps`, "latin1").split("\n")) {
      const match = /^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ (\d+)/.exec(line)
      if (match === null || Number.parseInt(match[1]!, 16) > start || Number.parseInt(match[2]!, 16) < end) continue
      return match[3] === "r-xp" && match[4] !== "0"
    }
  } catch {
    // the process is gone
  }
  return false
}

/** SYSTRAP_RECORD_POINTER and what follows. */
const hintWords = ({ pointer, size }: CopyHint): ReadonlyArray<number> => {
  if (size === undefined) return [pointer * 8, 0, LONGEST_STRING, 1]
  return "bytes" in size ? [pointer * 8, 0, size.bytes, 0] : [pointer * 8, size.register * 8, copies.size, 0]
}

/** What has been done about a site. */
interface Patched {
  readonly site: Site
  readonly record: number
}

export class SystrapPatch {
  readonly #tracer: Tracer
  readonly #hints: (nr: number) => CopyHint | undefined
  /** By return address. */
  readonly #counts: Map<number, number>
  /** By return address. */
  readonly #records: Map<number, Patched>
  #next = FIRST_RECORD
  #state: "off" | "unmapped" | "mapped"
  /** No more sites are patched. */
  #closed = false
  /** Those that were have been put back. */
  #restored = false

  constructor(tracer: Tracer, enabled: boolean, hints: (nr: number) => CopyHint | undefined, parent?: SystrapPatch) {
    this.#tracer = tracer
    this.#hints = hints
    this.#counts = new Map(parent === undefined ? [] : parent.#counts)
    this.#records = new Map(parent === undefined ? [] : parent.#records)
    this.#state = enabled ? "unmapped" : "off"
    if (parent !== undefined) {
      this.#next = parent.#next
      this.#state = parent.#state
    }
  }

  /** Whether a mapping change in this range would hit the records. */
  owns(address: number, length: number): boolean {
    return this.#state === "mapped" && address < END && address + length > records.address
  }

  /** A call has been trapped. True if its site is to be patched now. */
  count(returnAddress: number): boolean {
    if (this.#state === "off" || this.#closed) return false
    const n = (this.#counts.get(returnAddress) ?? 0) + 1
    if (n > THRESHOLD || (n === 1 && this.#counts.size >= MOST)) return false
    this.#counts.set(returnAddress, n)
    return n === THRESHOLD
  }

  /** Another attempt later: now was a bad moment. */
  postpone(returnAddress: number): void {
    this.#counts.set(returnAddress, THRESHOLD >> 1)
  }

  /** Patches the site if it can be. No thread of the address space runs; `slot` is its service thread. */
  patch(pid: number, slot: number, returnAddress: number, nr: number): void {
    const bytes = new Uint8Array(SITE_REACH + SITE_AHEAD)
    if (readGuest(pid, returnAddress - SITE_REACH, bytes, systrapBase) !== bytes.length) return
    const site = recognize(bytes, returnAddress, nr)
    if (site === undefined || !isProgramText(pid, site.address, returnAddress)) return
    const record = this.#record(slot, returnAddress, site)
    if (record !== undefined) this.#poke(slot, site.address, jumpTo(record))
  }

  /**
   * Patches no more, and puts back what was patched, if no thread of the address space runs: otherwise call it again. The
   * records stay, as threads that wait may have come by way of them.
   */
  restore(pid: number, slot: number, isQuiet: () => boolean): void {
    this.#closed = true
    if (this.#restored || !isQuiet()) return
    this.#restored = true
    for (const { site, record } of this.#records.values()) {
      const bytes = new Uint8Array(site.original.length)
      if (readGuest(pid, site.address, bytes, systrapBase) !== bytes.length) continue // unmapped meanwhile
      if (!jumpTo(record).every((byte, i) => bytes[i] === byte)) continue // something else is there now
      this.#poke(slot, site.address, site.original)
    }
  }

  #poke(slot: number, address: number, bytes: Uint8Array): boolean {
    const result = this.#tracer.requestNow((block) => {
      block.start(Request.poke, slot)
      block.setData(bytes, address)
    })
    return result === bytes.length
  }

  #record(slot: number, returnAddress: number, site: Site): number | undefined {
    const known = this.#records.get(returnAddress)
    if (known !== undefined && isSame(known.site, site)) return known.record // the file has been mapped anew
    if (!this.#map(slot)) return undefined
    const offset = this.#next * records.recordSize
    if (offset >= records.size) return undefined
    const record = records.address + offset
    const prologue = prologues.address + offset
    const code = record + records.code
    const bytes = new Uint8Array(records.recordSize)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, BigInt(site.prologue.length > 0 ? prologue : code), true)
    view.setUint32(records.nr, site.nr ?? 0, true)
    bytes.set(recordCode(site, record), records.code)
    view.setBigUint64(records.return, BigInt(returnAddress), true)
    const nr = site.nr ?? OFTEN_UNKNOWN
    const hint = this.#hints(nr)
    if (hint !== undefined) {
      for (const [i, word] of hintWords(hint).entries()) view.setUint16(records.hint + 2 * i, word, true)
      view.setUint32(records.when, nr, true)
    }
    const jump = jumpNear(prologue + site.prologue.length, code)
    if (!this.#poke(slot, prologue, Uint8Array.of(...site.prologue, ...jump))) return undefined
    if (!this.#poke(slot, record, bytes)) return undefined
    this.#next++
    this.#records.set(returnAddress, { site, record })
    return record
  }

  #map(slot: number): boolean {
    if (this.#state !== "unmapped") return this.#state === "mapped"
    const result = this.#tracer.requestNow((block) => {
      block.start(Request.orders, slot)
      const flags = MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE
      block.addOrder(sysno.mmap, records.address, END - records.address, PROT_READ_EXECUTE, flags, -1, 0)
    })
    this.#state = result < 0 ? "off" : "mapped"
    return result >= 0
  }
}

const isSame = (one: Site, other: Site): boolean =>
  one.nr === other.nr && one.address === other.address && one.original.every((byte, i) => byte === other.original[i])
