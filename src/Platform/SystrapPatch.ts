/**
 * Patching of call sites on the fast platform: a hot `mov $nr, %eax; syscall` of a program file becomes a jump to the
 * stub, whose calls need no signal.
 *
 * Only five bytes change, `jmp *RECORD` for the mov: RECORD is an address whose upper half reads `syscall`, so that a
 * jump to the old `syscall` still finds one. Records are in a page of the guest's own memory, private, read-execute,
 * which fork copies together with the patches. A site is patched when it has trapped a few times, when its bytes are in
 * a private mapping of a file that can't be written, and while no other thread of the address space runs.
 *
 * A traced program is to find its code as it was: its sites are put back and patched no more (`restore`).
 *
 * Differs from Linux: an untraced program that reads its own code sees the patch, and it can't map anything at the records.
 */
import { readFileSync } from "node:fs"
import { sysno } from "../Abi/Sysno.ts"
import { readGuest } from "./GuestMemory.ts"
import { Request } from "./Slots.ts"
import { fastEntry, records, systrapBase } from "./SystrapLayout.ts"
import type { Tracer } from "./Tracer.ts"

/** Traps of a site until it is patched: a patch costs as much as some fifty. */
const THRESHOLD = 24
/** Calls that tend to end in a signal handler, for which the thread needs the signal frame that a trap comes with. */
const RAISING: ReadonlySet<number> = new Set([
  sysno.kill,
  sysno.tkill,
  sysno.tgkill,
  sysno.rt_sigqueueinfo,
  sysno.rt_tgsigqueueinfo
])
/** Sites that are counted at most. */
const MOST = 4096

const SITE = 7
const PROT_READ_EXECUTE = 5
const MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x10_0022
const FIRST_RECORD = 1

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

/** The start of `jmp *record`, whose last two bytes read `syscall`. */
const jumpTo = (record: number): Uint8Array => Uint8Array.of(0xff, 0x24, 0x25, record & 0xff, (record >> 8) & 0xff)

export class SystrapPatch {
  readonly #tracer: Tracer
  /** By return address. */
  readonly #counts: Map<number, number>
  /** By return address: the number that a record was made for, and the record. */
  readonly #records: Map<number, { readonly nr: number; readonly record: number }>
  #next = FIRST_RECORD
  #state: "off" | "unmapped" | "mapped"
  /** No more sites are patched. */
  #closed = false
  /** Those that were have been put back. */
  #restored = false

  constructor(tracer: Tracer, enabled: boolean, parent?: SystrapPatch) {
    this.#tracer = tracer
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
    return this.#state === "mapped" && address < records.address + records.size && address + length > records.address
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
    if (RAISING.has(nr)) return
    const site = returnAddress - SITE
    const bytes = new Uint8Array(SITE)
    if (readGuest(pid, site, bytes, systrapBase) !== SITE) return
    const view = new DataView(bytes.buffer)
    if (bytes[0] !== 0xb8 || view.getUint32(1, true) !== nr || bytes[5] !== 0x0f || bytes[6] !== 0x05) return
    if (!isProgramText(pid, site, returnAddress)) return
    const record = this.#record(slot, returnAddress, nr)
    if (record === undefined) return
    this.#poke(slot, site, jumpTo(record))
  }

  /**
   * Patches no more, and puts back what was patched, if no thread of the address space runs: otherwise call it again. The
   * records stay, as threads that wait may have come by way of them.
   */
  restore(pid: number, slot: number, isQuiet: () => boolean): void {
    this.#closed = true
    if (this.#restored || !isQuiet()) return
    this.#restored = true
    const bytes = new Uint8Array(SITE)
    for (const [returnAddress, { nr, record }] of this.#records) {
      const site = returnAddress - SITE
      if (readGuest(pid, site, bytes, systrapBase) !== SITE) continue // unmapped meanwhile
      if (!jumpTo(record).every((byte, i) => bytes[i] === byte)) continue // something else is there now
      this.#poke(slot, site, Uint8Array.of(0xb8, nr & 0xff, (nr >> 8) & 0xff, (nr >> 16) & 0xff, nr >>> 24))
    }
  }

  #poke(slot: number, address: number, bytes: Uint8Array): boolean {
    const result = this.#tracer.requestNow((block) => {
      block.start(Request.poke, slot)
      block.setData(bytes, address)
    })
    return result === bytes.length
  }

  #record(slot: number, returnAddress: number, nr: number): number | undefined {
    const known = this.#records.get(returnAddress)
    if (known?.nr === nr) return known.record // the file has been mapped anew
    if (!this.#map(slot)) return undefined
    const record = records.address + this.#next * records.recordSize
    if (record >= records.address + records.size) return undefined
    const bytes = new Uint8Array(records.recordSize)
    const view = new DataView(bytes.buffer)
    view.setBigUint64(0, BigInt(record + records.code), true)
    view.setUint32(records.nr, nr, true)
    bytes.set([0x9f, 0x0f, 0x90, 0xc0, 0xb9], records.code) // lahf; seto %al; mov $record,%ecx
    view.setUint32(records.code + 5, record, true)
    bytes.set([0x49, 0xbb], records.code + 9) // movabs $fastEntry,%r11
    view.setBigUint64(records.code + 11, BigInt(fastEntry), true)
    bytes.set([0x41, 0xff, 0xe3], records.code + 19) // jmp *%r11
    view.setBigUint64(records.return, BigInt(returnAddress), true)
    if (!this.#poke(slot, record, bytes)) return undefined
    this.#next++
    this.#records.set(returnAddress, { nr, record })
    return record
  }

  #map(slot: number): boolean {
    if (this.#state !== "unmapped") return this.#state === "mapped"
    const result = this.#tracer.requestNow((block) => {
      block.start(Request.orders, slot)
      const flags = MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE
      block.addOrder(sysno.mmap, records.address, records.size, PROT_READ_EXECUTE, flags, -1, 0)
    })
    this.#state = result < 0 ? "off" : "mapped"
    return result >= 0
  }
}
