/**
 * Pipes and FIFOs, pipe(7): a ring of slots of at most one page each, as in Linux, because the slots are visible: a
 * write goes into the last slot only if all of its odd tail fits there, so a pipe can be full with fewer bytes in it
 * than its capacity says.
 *
 * Atomic: every method. Nothing here blocks; -EAGAIN says that a caller must wait on `waiters`.
 */
import { EAGAIN, EBUSY, EINVAL, EPERM, EPIPE } from "../Abi/Errno.ts"
import { O_ACCMODE, O_DIRECT, O_RDONLY, O_WRONLY } from "../Abi/OpenFlags.ts"
import { POLLERR, POLLHUP, READABLE, WRITABLE } from "../Abi/Poll.ts"
import { FIONREAD } from "../Abi/Termios.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Location } from "./Mount.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import type { AttributeChanges } from "./Inode.ts"
import { changedStat, type Stat } from "./Stat.ts"

const PAGE_SIZE = 4096
const DEFAULT_SLOTS = 16
/** /proc/sys/fs/pipe-max-size. */
const MAX_BYTES = 1024 * 1024
/** Pages kept for the next write, so that a busy pipe does not allocate. */
const SPARE_PAGES = 16

interface Slot {
  readonly page: Uint8Array
  start: number
  end: number
  /** Written with O_DIRECT: one read takes it whole and nothing joins it. */
  readonly packet: boolean
}

/** The data of a pipe, and who has it open. */
export class Pipe {
  readonly waiters = new WaitQueue()
  #slots: Array<Slot> = []
  #maxSlots = DEFAULT_SLOTS
  readonly #spare: Array<Uint8Array> = []
  #readers = 0
  #writers = 0
  /** How many ever opened for reading and for writing: what an opener of a FIFO waits for. */
  #readersEver = 0
  #writersEver = 0
  /** Bytes that the last read took from each slot, for `unread`. */
  #lastTaken: Array<number> = []
  #lastSlots: Array<Slot> = []

  get readers(): number {
    return this.#readers
  }

  get writers(): number {
    return this.#writers
  }

  get readersEver(): number {
    return this.#readersEver
  }

  get writersEver(): number {
    return this.#writersEver
  }

  /** Bytes that can be read. */
  get available(): number {
    let sum = 0
    for (const slot of this.#slots) sum += slot.end - slot.start
    return sum
  }

  get isEmpty(): boolean {
    return this.#slots.length === 0
  }

  get isFull(): boolean {
    return this.#slots.length >= this.#maxSlots
  }

  /** Bytes of capacity, F_GETPIPE_SZ. */
  get capacity(): number {
    return this.#maxSlots * PAGE_SIZE
  }

  /**
   * F_SETPIPE_SZ: the capacity, a power of two of at least `bytes`. -EPERM above pipe-max-size, -EBUSY when what is in
   * the pipe does not fit.
   *
   * Differs from Linux: CAP_SYS_RESOURCE does not lift the limit.
   */
  resize(bytes: number): number {
    if (bytes < 0 || bytes > 2 ** 31) return -EINVAL
    let slots = 1
    while (slots * PAGE_SIZE < bytes) slots *= 2
    if (slots * PAGE_SIZE > MAX_BYTES) return -EPERM
    if (slots < this.#slots.length) return -EBUSY
    const wasFull = this.isFull
    this.#maxSlots = slots
    if (wasFull && !this.isFull) this.waiters.notify(WRITABLE)
    return this.capacity
  }

  /** One more has it open for reading. Wakes openers of the other end too. */
  addReader(): void {
    this.#readers++
    this.#readersEver++
    this.waiters.notify(READABLE | WRITABLE)
  }

  addWriter(): void {
    this.#writers++
    this.#writersEver++
    this.waiters.notify(READABLE | WRITABLE)
  }

  removeReader(): void {
    this.#readers--
    this.#afterRemoval()
  }

  removeWriter(): void {
    this.#writers--
    this.#afterRemoval()
  }

  #afterRemoval(): void {
    if (this.#readers === 0 && this.#writers === 0) {
      this.#slots = []
      this.#lastSlots = []
      this.#spare.length = 0
    }
    if (this.#readers === 0 || this.#writers === 0) {
      this.waiters.notify(READABLE | WRITABLE | POLLERR | POLLHUP)
    }
  }

  /** The count read; 0 at the end (nobody writes any more), -EAGAIN when empty. */
  read(into: Uint8Array): number {
    if (into.length === 0) return 0
    if (this.#slots.length === 0) return this.#writers === 0 ? 0 : -EAGAIN
    const wasFull = this.isFull
    this.#lastTaken = []
    this.#lastSlots = []
    let done = 0
    while (done < into.length && this.#slots.length > 0) {
      const slot = this.#slots[0]!
      const count = Math.min(slot.end - slot.start, into.length - done)
      into.set(slot.page.subarray(slot.start, slot.start + count), done)
      this.#lastTaken.push(slot.packet ? slot.end - slot.start : count)
      this.#lastSlots.push(slot)
      slot.start = slot.packet ? slot.end : slot.start + count
      done += count
      if (slot.start === slot.end) {
        this.#slots.shift() // its page is free for reuse only once it can no longer be unread: at the next write
      }
      if (slot.packet) break
    }
    if (wasFull && !this.isFull) this.waiters.notify(WRITABLE)
    return done
  }

  /**
   * Only `copied` bytes of the last read reached their reader: slots of which not everything did are put back, as
   * Linux consumes a slot only after it has copied it. The count that remains read.
   */
  unread(copied: number): number {
    let whole = 0
    let index = 0
    while (index < this.#lastTaken.length && whole + this.#lastTaken[index]! <= copied) {
      whole += this.#lastTaken[index]!
      index++
    }
    for (let back = this.#lastTaken.length - 1; back >= index; back--) {
      const slot = this.#lastSlots[back]!
      slot.start -= this.#lastTaken[back]!
      if (this.#slots[0] !== slot) this.#slots.unshift(slot)
    }
    this.#lastTaken = []
    this.#lastSlots = []
    return whole
  }

  /** The next bytes without taking them (tee(2)): the count, 0 at the end, -EAGAIN when empty. */
  peek(into: Uint8Array): number {
    if (this.#slots.length === 0) return this.#writers === 0 ? 0 : -EAGAIN
    let done = 0
    for (const slot of this.#slots) {
      if (done === into.length) break
      const count = Math.min(slot.end - slot.start, into.length - done)
      into.set(slot.page.subarray(slot.start, slot.start + count), done)
      done += count
    }
    return done
  }

  /**
   * The count written, short when the pipe filled up; -EAGAIN when nothing could be written. Up to PIPE_BUF (one page)
   * is written whole or not at all. -EPIPE when nobody reads.
   */
  write(from: Uint8Array, packets: boolean): number {
    if (from.length === 0) return 0
    if (this.#readers === 0) return -EPIPE
    let done = this.#mergeTail(from)
    while (done < from.length && this.#slots.length < this.#maxSlots) {
      const count = Math.min(PAGE_SIZE, from.length - done)
      const page = this.#takePage()
      page.set(from.subarray(done, done + count))
      this.#slots.push({ page, start: 0, end: count, packet: packets })
      done += count
    }
    if (done === 0) return -EAGAIN
    this.waiters.notify(READABLE)
    return done
  }

  /** Appends to the last slot what is over a multiple of the page size, if all of that fits there. */
  #mergeTail(from: Uint8Array): number {
    const odd = from.length % PAGE_SIZE
    const last = this.#slots.at(-1)
    if (odd === 0 || last === undefined || last.packet || last.end + odd > PAGE_SIZE) return 0
    last.page.set(from.subarray(0, odd), last.end)
    last.end += odd
    return odd
  }

  #takePage(): Uint8Array {
    for (const slot of this.#lastSlots) {
      if (slot.start === slot.end && this.#spare.length < SPARE_PAGES) {
        this.#spare.push(slot.page)
      }
    }
    this.#lastSlots = []
    this.#lastTaken = []
    return this.#spare.pop() ?? new Uint8Array(PAGE_SIZE)
  }
}

/** How an open pipe end looks from outside: an anonymous pipe, or the FIFO it was opened through. */
export interface PipeIdentity {
  readonly stat: () => Stat | number
  /** Of an anonymous pipe: a FIFO's are its inode's. */
  readonly setAttributes?: (changes: AttributeChanges) => void
  readonly describe: () => string
  /** Undefined for an anonymous pipe. */
  readonly location: Location | undefined
  /** What locks are held on. */
  readonly lockTarget: object
}

/** One end of a pipe, or both (a FIFO opened O_RDWR). */
export class PipeDescription extends OpenFileDescription {
  readonly pipe: Pipe
  readonly #identity: PipeIdentity
  /** How many writers had come when this FIFO was opened for reading without any: until it changes there is no hang-up. */
  readonly #writersBefore: number | undefined

  constructor(pipe: Pipe, statusFlags: number, identity: PipeIdentity) {
    super(statusFlags, pipe.waiters)
    this.pipe = pipe
    this.#identity = identity
    const first = identity.location !== undefined && !this.writable && pipe.writers === 0
    this.#writersBefore = first ? pipe.writersEver : undefined
    if (this.readable) pipe.addReader()
    if (this.writable) pipe.addWriter()
  }

  /** Both ends of a new anonymous pipe, pipe2(2); `statusFlags` of O_NONBLOCK and O_DIRECT. */
  static pair(stat: Stat, statusFlags: number): { readonly reader: PipeDescription; readonly writer: PipeDescription } {
    const pipe = new Pipe()
    let attributes = stat
    const identity: PipeIdentity = {
      stat: () => attributes,
      setAttributes: (changes) => {
        attributes = changedStat(attributes, changes)
      },
      describe: () => `pipe:[${stat.ino}]`,
      location: undefined,
      lockTarget: pipe
    }
    const end = (access: number) => new PipeDescription(pipe, access | statusFlags, identity)
    return { reader: end(O_RDONLY), writer: end(O_WRONLY) }
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override get pollable(): boolean {
    return true
  }

  override get isStream(): boolean {
    return true
  }

  override stat(): Stat | number {
    return this.#identity.stat()
  }

  override setAttributes(changes: AttributeChanges): number {
    this.#identity.setAttributes?.(changes)
    return 0
  }

  override describe(): string {
    return this.#identity.describe()
  }

  override location(): Location | undefined {
    return this.#identity.location
  }

  override lockTarget(): object {
    return this.#identity.lockTarget
  }

  /** /proc/[pid]/fd/N of an anonymous pipe: any end, at once. */
  override reopen(request: { readonly flags: number }): OpenFileDescription | number {
    if ((request.flags & O_ACCMODE) === O_ACCMODE) return -EINVAL
    return new PipeDescription(this.pipe, request.flags, this.#identity)
  }

  override read(into: Uint8Array): number {
    return this.pipe.read(into)
  }

  override unread(_count: number, copied: number): number {
    return this.pipe.unread(copied)
  }

  override write(from: Uint8Array): number {
    return this.pipe.write(from, (this.statusFlags & O_DIRECT) !== 0)
  }

  override readiness(): number {
    const pipe = this.pipe
    let events = 0
    if (this.readable) {
      if (!pipe.isEmpty) events |= READABLE
      if (pipe.writers === 0 && pipe.writersEver !== this.#writersBefore) events |= POLLHUP
    }
    if (this.writable) {
      if (!pipe.isFull) events |= WRITABLE
      if (pipe.readers === 0) events |= POLLERR
    }
    return events
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    return request === FIONREAD
      ? memory.writeU32(argument, this.pipe.available)
      : super.ioctl(request, argument, memory)
  }

  protected override onLastClose(): void {
    if (this.readable) this.pipe.removeReader()
    if (this.writable) this.pipe.removeWriter()
  }
}
