/**
 * One guest thread of the fast platform, as a slot of shared memory: what stopped it, its registers, whose turn it is.
 *
 * The registers are copied out of the slot once per event and back once per reply: in between, the thread's siblings
 * can write to the slot, and the kernel must not see a register change under its hands.
 */
import { Reg, Registers, registersSize } from "../Abi/Registers.ts"
import { AUDIT_ARCH_I386 } from "../Abi/Seccomp.ts"
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGSEGV, SIGSYS, SIGURG } from "../Abi/Signal.ts"
import type { Access, FaultOutcome } from "./Platform.ts"
import { Command, copies, FAST_CALL, field, FRAMED, State, windowSize } from "./SystrapLayout.ts"
import type { Bell, Sleeper, SystrapBells } from "./SystrapBells.ts"
import { slotAddress, type SystrapRegion } from "./SystrapRegion.ts"

/** What an event is. "stray": a signal that somebody outside sent; the thread has nothing to say. */
export type EventKind = "call" | "vsyscall" | "fault" | "interrupted" | "stray" | "framed"

const SYS_SECCOMP = 1
const STATE = field.state >> 2
const SLEEPING = field.sleeping >> 2
const SIGNAL = field.signal >> 2
const CODE = field.code >> 2
const NR = field.nr >> 2
const ERROR = field.error >> 2
const ADDRESS = field.address >> 2
const IN_ADDRESS = field.in_address >> 2
const IN_LENGTH = field.in_length >> 2
const OUT_LENGTH = field.out_length >> 2
const OUT_ADDRESS = field.out_address >> 2
const OUT_SKIPPED = field.out_skipped >> 2
const RING = field.ring >> 2
const RING_BIT = field.ring_bit >> 2
const WATCH = field.watch >> 2
const HAS_WATCHED = field.has_watched >> 2
const COMMAND = field.command >> 2
const INTERRUPTED = field.interrupted >> 2
/** Bytes of what is watched. */
const WATCHED = 8

/** Registers that user code may have; with others the processor would fault while the stub loads them. */
const USER_CS = 0x33
const USER_SS = 0x2b
const TOP = 0x8000

const RCX = Reg.rcx * 2
const RIP = Reg.rip * 2
const EFLAGS = Reg.eflags * 2
const FS = Reg.fs_base * 2
const GS = Reg.gs_base * 2
/** Flags that the path of patched sites restores; and what is clear in a handler. */
const ARITHMETIC = 0x8d5
const DIRECTION = 0x400
const ALIGNMENT_CHECK = 0x4_0000

export class SystrapThread implements Sleeper {
  readonly region: SystrapRegion
  /** Of the slot, in the region. */
  readonly slot: number
  readonly registers: Registers
  readonly bell: Bell
  due = 0
  readonly #bells: SystrapBells
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #shared: Uint32Array
  readonly #word = new Uint8Array(4)
  readonly #wordView = new DataView(this.#word.buffer)

  /** Of its window; made when it is needed. */
  #windowBytes: Uint8Array | undefined

  readonly #slotLow: number
  readonly #slotHigh: number
  /** The fs base that the thread has. */
  #fsLow = 0
  #fsHigh = 0
  /** The flags that it came with. */
  #flags = 0
  /** It waits in the path of patched call sites, without a signal frame. */
  fast = false
  /** Bytes that it is to copy out when it goes on, and where to; 0: none. */
  #later = 0
  #laterAddress = 0
  #laterSkipped = 0
  /** They are in its window. */
  #isLarge = false
  /** What it is to copy out is the frame of a handler, which it enters then. */
  #pushes = false
  /** Where the 8 bytes are that it copies in whenever a signal stops it. */
  #watched = 0
  readonly #write: (address: number, from: Uint8Array) => void
  readonly #writeForced: (address: number, from: Uint8Array) => void

  /** `write` copies to its address space, `writeForced` also where nobody may write. `features`: the components of its extended state. */
  constructor(
    region: SystrapRegion,
    slot: number,
    bells: SystrapBells,
    write: (address: number, from: Uint8Array) => void,
    writeForced: (address: number, from: Uint8Array) => void,
    features: bigint
  ) {
    this.region = region
    this.#bells = bells
    this.bell = bells.give()
    this.#write = write
    this.#writeForced = writeForced
    this.slot = slot
    const memory = region.memory(slot)
    this.#slotLow = slotAddress(slot) % 2 ** 32
    this.#slotHigh = Math.floor(slotAddress(slot) / 2 ** 32)
    this.registers = new Registers(new ArrayBuffer(registersSize), 0)
    this.#words = new Int32Array(memory)
    this.#bytes = new Uint8Array(memory)
    this.#shared = new Uint32Array(memory, 0, registersSize / 4)
    this.#words[field.bell >> 2] = this.bell.offset
    this.#words[field.bell_bit >> 2] = this.bell.bit
    this.#words[field.features >> 2] = Number(features & 0xffff_ffffn)
    this.#words[(field.features + 4) >> 2] = Number(features >> 32n)
  }

  hasEvent(): boolean {
    return Atomics.load(this.#words, STATE) === State.event
  }

  /** Takes the event: what it is, and the registers if that matters. */
  take(): EventKind {
    const words = this.#words
    const signal = words[SIGNAL]!
    if (signal === FRAMED) {
      if (this.#later > 0 && words[OUT_LENGTH] !== 0) this.#force()
      this.#later = 0
      return "framed"
    }
    // interrupted before it had copied out: its registers don't say so, and it won't
    if (this.#later > 0 && (signal !== SIGURG || words[OUT_LENGTH] === 0)) this.#later = 0
    const { halves } = this.registers
    halves.set(this.#shared)
    this.#fsLow = halves[FS]!
    this.#fsHigh = halves[FS + 1]!
    this.#flags = halves[EFLAGS]!
    // the gs base is the slot's address unless the guest has chosen one
    if (halves[GS] === this.#slotLow && halves[GS + 1] === this.#slotHigh) halves[GS] = halves[GS + 1] = 0
    this.fast = signal === FAST_CALL
    if (this.fast) return "call"
    if (signal === SIGSYS && words[CODE] === SYS_SECCOMP) return words[ADDRESS + 1] === -1 ? "vsyscall" : "call"
    if (signal === SIGURG) return "interrupted"
    return words[CODE]! > 0 ? "fault" : "stray"
  }

  /** Of the last event, the number of the system call as the guest gave it. */
  get nr(): number {
    return this.fast ? this.registers.uint(Reg.orig_rax) : this.#words[NR]! >>> 0
  }

  /** Whether the system call of the last event was made as 32-bit programs do. */
  get isI386(): boolean {
    return !this.fast && this.#words[ERROR] === AUDIT_ARCH_I386
  }

  /** Of the last event. */
  fault(): FaultOutcome {
    const words = this.#words
    const signal = words[SIGNAL]! & 63
    const code = words[CODE]!
    const error = words[ERROR]!
    const address = (BigInt(words[ADDRESS + 1]! >>> 0) << 32n) | BigInt(words[ADDRESS]! >>> 0)
    const isPageFault =
      (signal === SIGSEGV && (code === SEGV_MAPERR || code === SEGV_ACCERR)) ||
      (signal === SIGBUS && code === BUS_ADRERR)
    const access: Access = isPageFault
      ? (error & 2) !== 0
        ? "write"
        : (error & 16) !== 0
          ? "execute"
          : "read"
      : "unknown"
    return { _tag: "Fault", signal, code, address, access }
  }

  /** Whether the processor would take these registers. */
  isLoadable(): boolean {
    const { halves } = this.registers
    return (
      halves[Reg.fs_base * 2 + 1]! < TOP &&
      halves[Reg.gs_base * 2 + 1]! < TOP &&
      halves[Reg.cs * 2] === USER_CS &&
      halves[Reg.ss * 2] === USER_SS
    )
  }

  /** At each signal that stops the thread it copies in the 8 bytes at `address`. */
  watch(address: number): void {
    if (address === this.#watched) return
    this.#watched = address
    const words = this.#words
    words[WATCH] = address | 0
    words[WATCH + 1] = Math.floor(address / 2 ** 32)
    words[HAS_WATCHED] = 0
  }

  /** What it has copied in is of no use any more: time has passed. */
  forgetPrefetched(): void {
    this.unwatch()
    this.#words[IN_LENGTH] = 0
  }

  /** The kernel has written to guest memory, perhaps there. */
  unwatch(): void {
    this.#words[HAS_WATCHED] = 0
  }

  /** What it has copied in from `address` on, before it made the call: into `into`. How many bytes. */
  prefetched(address: number, into: Uint8Array): number {
    const words = this.#words
    if (this.#later > 0 || this.#pushes) return 0
    if (address === this.#watched && into.length === WATCHED) {
      if (words[HAS_WATCHED] === 0) return 0
      into.set(this.#bytes.subarray(field.watched, field.watched + WATCHED))
      return WATCHED
    }
    const bytes = this.#incoming(address, into.length)
    if (bytes === undefined) return 0
    into.set(bytes)
    return bytes.length
  }

  /** Where the thread has copied in all of `length` bytes from `address` on; it can still change them. */
  incoming(address: number, length: number): Uint8Array | undefined {
    if (this.#later > 0 || this.#pushes) return undefined
    const bytes = this.#incoming(address, length)
    return bytes?.length === length ? bytes : undefined
  }

  #incoming(address: number, most: number): Uint8Array | undefined {
    const words = this.#words
    const length = words[IN_LENGTH]! >>> 0
    if (length > windowSize) return undefined
    const offset = address - ((words[IN_ADDRESS]! >>> 0) + (words[IN_ADDRESS + 1]! >>> 0) * 2 ** 32)
    if (offset < 0 || offset >= length) return undefined
    const count = Math.min(length - offset, most)
    const isLarge = length > copies.size
    const start = isLarge ? offset : copies.in + offset
    return (isLarge ? this.#window() : this.#bytes).subarray(start, start + count)
  }

  /** Has it copy out when it goes on; false if it can't. One piece at a time: a second one has the first written now. */
  writeLater(address: number, from: Uint8Array): boolean {
    const place = this.outgoing(from.length)
    if (place === undefined) return false
    place.set(from)
    this.send(address, from.length, 0)
    return true
  }

  /** Where to put so many bytes for it to copy out, which are sent then. */
  outgoing(length: number): Uint8Array | undefined {
    this.settle()
    if (length > windowSize || this.#pushes) return undefined
    this.#isLarge = length > copies.size
    return this.#outgoing().subarray(0, length)
  }

  /** Has it copy out, from `address` on, the bytes that have been put in their place, but for the first `skipped`. */
  send(address: number, length: number, skipped: number): void {
    this.unwatch()
    if (this.#isLarge && length <= copies.size) {
      this.#isLarge = false
      this.#outgoing().set(this.#window().subarray(skipped, skipped + length))
      skipped = 0
    }
    const words = this.#words
    words[OUT_ADDRESS] = address | 0
    words[OUT_ADDRESS + 1] = Math.floor(address / 2 ** 32)
    words[OUT_SKIPPED] = skipped
    words[OUT_LENGTH] = length
    this.#later = length
    this.#laterAddress = address
    this.#laterSkipped = skipped
  }

  /** Whether it waits for its answer where it can push a frame, and has none to push yet. */
  get pushesFrames(): boolean {
    return this.fast && !this.#pushes
  }

  /**
   * Has a thread that came from a patched site copy out the frame of a handler, with its extended state at
   * `stateOffset`, and enter the handler with the initial one. False if it can't.
   */
  pushFrame(address: number, frame: Uint8Array, stateOffset: number): boolean {
    if (!this.pushesFrames || frame.length > copies.size) return false
    if (!this.writeLater(address, frame)) return false
    this.#later = 0
    this.#pushes = true
    const words = this.#words
    words[field.state_offset >> 2] = stateOffset
    words[INTERRUPTED] = 0
    return true
  }

  /** Writes what it could not, because a sibling has made the memory read-only since: that comes after the call. */
  #force(): void {
    this.#words[OUT_LENGTH] = 0
    this.#writeForced(this.#laterAddress, this.#laterBytes())
  }

  /** Writes now what was to be written later. */
  settle(): void {
    if (this.#later === 0) return
    const bytes = this.#laterBytes()
    this.#later = 0
    this.#words[OUT_LENGTH] = 0
    this.#write(this.#laterAddress, bytes)
  }

  /** A copy of what it is to copy out. */
  #laterBytes(): Uint8Array {
    return this.#outgoing().slice(this.#laterSkipped, this.#laterSkipped + this.#later)
  }

  /** Where the bytes are that it is to copy out. */
  #outgoing(): Uint8Array {
    return this.#isLarge ? this.#window() : this.#bytes.subarray(copies.out, copies.out + copies.size)
  }

  #window(): Uint8Array {
    return (this.#windowBytes ??= new Uint8Array(this.region.window(this.slot)))
  }

  /** The thread's turn, with these registers. `soon`: if it sleeps, another that runs where it will may wake it. */
  reply(soon: boolean): void {
    const { halves } = this.registers
    const words = this.#words
    if (this.fast && !(this.#pushes ? this.#isPlainEntry() : this.#isPlainReturn())) return this.requestFrame()
    if (this.fast && (halves[EFLAGS]! & ALIGNMENT_CHECK) !== 0) this.settle() // its copies would not be aligned
    const shared = this.#shared
    shared.set(halves)
    if (halves[GS] === 0 && halves[GS + 1] === 0) {
      shared[GS] = this.#slotLow
      shared[GS + 1] = this.#slotHigh
    }
    this.fast = false
    if (this.#pushes) {
      this.#pushes = false
      words[COMMAND] = Command.handler
    }
    this.#pass(soon)
  }

  /** Whether a patched site can return so: as from a system call, with nothing changed that only a frame can carry. */
  #isPlainReturn(): boolean {
    const { halves } = this.registers
    return halves[RCX] === halves[RIP] && halves[RCX + 1] === halves[RIP + 1] && this.#keepsRest(this.#flags)
  }

  /** The same of the way into a handler. */
  #isPlainEntry(): boolean {
    return this.#keepsRest(this.#flags & ~DIRECTION)
  }

  /** Whether the flags are `flags`, but for arithmetic ones, and the bases of segments have been kept. */
  #keepsRest(flags: number): boolean {
    const { halves } = this.registers
    return (
      ((halves[EFLAGS]! ^ flags) & ~ARITHMETIC) === 0 &&
      halves[FS] === this.#fsLow &&
      halves[FS + 1] === this.#fsHigh &&
      halves[GS] === 0 &&
      halves[GS + 1] === 0
    )
  }

  /** Has a thread that came from a patched site get a signal frame; it reports as "framed". */
  requestFrame(): void {
    this.settle()
    this.fast = false
    const words = this.#words
    if (this.#pushes) words[INTERRUPTED] = 1 // it reports when it has done that
    words[COMMAND] = this.#pushes ? Command.handler : Command.frame
    this.#pushes = false
    this.#pass()
  }

  /** Has a thread that has a signal frame set whether it can read the time-stamp counter; it reports as "framed". */
  setCounter(mode: number): void {
    this.#words[CODE] = mode
    this.#words[COMMAND] = Command.counter
    this.#pass()
  }

  #pass(soon = false): void {
    Atomics.store(this.#words, STATE, State.run) // before sleeping is read; the thread does the reverse
    if (!this.isAsleep()) return
    if (soon) this.#bells.owe(this)
    else this.#bells.ring(this)
  }

  isAsleep(): boolean {
    return this.#words[SLEEPING] !== 0
  }

  /** A word that it has copied in; undefined if it has not. */
  glimpse(address: number): number | undefined {
    const isThere = this.fast && this.prefetched(address, this.#word) === this.#word.length
    return isThere ? this.#wordView.getUint32(0, true) : undefined
  }

  /** Marks the event as seen, so that it isn't found again. The thread is going to sleep, and first rings a bell that is owed. */
  taken(): void {
    this.settle()
    const words = this.#words
    if (this.isAsleep()) this.#bells.settle()
    const bell = this.#bells.take()
    if (bell !== undefined) words[RING_BIT] = bell.bit
    Atomics.store(words, RING, bell?.offset ?? 0)
    Atomics.store(words, STATE, State.taken)
  }

  /** Has the thread end itself. */
  exit(): void {
    this.#words[COMMAND] = Command.exit
    this.#pass()
  }

  /** Where the extended state is in the slot, as the thread says. */
  get extendedStateOffset(): number {
    return this.#words[field.fpstate >> 2]! >>> 0
  }

  /** The part of the signal stack where the extended state is. */
  extendedState(offset: number, size: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + size)
  }
}
