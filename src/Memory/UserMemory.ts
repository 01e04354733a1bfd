/**
 * Copying between the kernel and a guest: where EFAULT is born.
 *
 * Guest memory can change at any moment, so every value is copied exactly once and only the copy is looked at. A bad
 * pointer is an errno for the guest, never an exception here. Addresses are plain numbers; one that a register held
 * above 2^53 is still above every mapping, and so faults.
 */
import { EFAULT, ENAMETOOLONG } from "../Abi/Errno.ts"
import type { AddressSpace } from "../Platform/Platform.ts"

/** Bytes of a path, NUL included: PATH_MAX of limits.h. */
export const PATH_MAX = 4096

const PAGE_SIZE = 4096
/** Bytes that are worth writing later, by themselves: several pages. */
const WORTH_A_PIECE = 4 * PAGE_SIZE

export class UserMemory {
  readonly #space: AddressSpace
  readonly #scratch = new Uint8Array(16)
  readonly #view = new DataView(this.#scratch.buffer)
  readonly #string = Buffer.alloc(PAGE_SIZE)

  readonly #plainFrom: (address: number, length: number) => number

  /**
   * `plainFrom`: from where on a range is, up to its end, writable memory that no file is behind, where writing can't fail; its
   * end if nowhere.
   */
  constructor(space: AddressSpace, plainFrom = (address: number, length: number): number => address + length) {
    this.#space = space
    this.#plainFrom = plainFrom
  }

  /** Copies out; bytes copied. The platform may do that later, where it can't fail. */
  #write(address: number, from: Uint8Array): number {
    const space = this.#space
    if (space.outgoing === undefined) return space.write(address, from)
    const first = this.#plainFrom(address, from.length) - address
    const place = this.#place(address, from.length, first)
    if (place === undefined) return space.write(address, from)
    place.set(from)
    return this.#send(address, place, from.length, first)
  }

  /** Where the platform takes `length` bytes for later, of which the first `first` are to be written at once. */
  #place(address: number, length: number, first: number): Uint8Array | undefined {
    // a buffer in a program's own data may begin in the last page that is the file's
    const isWorth = first === 0 || length - first >= WORTH_A_PIECE
    return isWorth ? this.#space.outgoing?.(address, length) : undefined
  }

  /** Copies out the first `count` bytes that have been put in `place`; bytes copied. */
  #send(address: number, place: Uint8Array, count: number, first: number): number {
    const now = Math.min(count, first)
    const written = now === 0 ? 0 : this.#space.write(address, place.subarray(0, now))
    if (written < now) return written
    if (count > now) this.#space.send?.(address, count, now)
    return count
  }

  /**
   * Where to put up to `length` bytes that are copied out to `address`: `sendOut` does that, or can, later. Guest threads can
   * change what is there. Undefined where the platform has no such place, or the bytes are too few.
   */
  placeOut(address: number, length: number): Uint8Array | undefined {
    if (length < WORTH_A_PIECE) return undefined
    return this.#place(address, length, this.#plainFrom(address, length) - address)
  }

  /** Copies out the first `count` bytes that have been put in `place`; bytes copied, or -EFAULT. */
  sendOut(address: number, place: Uint8Array, count: number): number {
    return this.#send(address, place, count, this.#plainFrom(address, place.length) - address) || -EFAULT
  }

  /** `length` bytes, not few, that have been copied in beforehand: guest threads can change them while they are looked at. */
  placeIn(address: number, length: number): Uint8Array | undefined {
    return length < WORTH_A_PIECE ? undefined : this.#space.incoming?.(address, length)
  }

  /** What has been copied out so far is in memory before anybody is told. */
  settle(): void {
    this.#space.settle?.()
  }

  /** Whether writing there can't fail. */
  isPlain(address: number, length: number): boolean {
    return this.#plainFrom(address, length) === address
  }

  /** Copies in all of `into`, or fails with -EFAULT. 0 when done. */
  copyIn(address: number, into: Uint8Array): number {
    return into.length === 0 || this.#space.read(address, into) === into.length ? 0 : -EFAULT
  }

  /** Copies in as much as is readable: the count, or -EFAULT if that is none of a non-empty buffer. */
  copyInPartial(address: number, into: Uint8Array): number {
    if (into.length === 0) return 0
    const count = this.#space.read(address, into)
    return count === 0 ? -EFAULT : count
  }

  /** Copies out all of `from`, or fails with -EFAULT (having written a part, as Linux may). 0 when done. */
  copyOut(address: number, from: Uint8Array): number {
    return from.length === 0 || this.#write(address, from) === from.length ? 0 : -EFAULT
  }

  /** Copies out as much as is writable: the count, or -EFAULT if that is none of a non-empty buffer. */
  copyOutPartial(address: number, from: Uint8Array): number {
    if (from.length === 0) return 0
    const count = this.#write(address, from)
    return count === 0 ? -EFAULT : count
  }

  /**
   * A NUL-terminated string as a byte string (one character per byte), without its NUL. -ENAMETOOLONG if there is no
   * NUL within `limit` bytes, -EFAULT if memory ends first.
   */
  copyInString(address: number, limit: number = PATH_MAX): string | number {
    const known = this.#space.prefetched?.(address, this.#string.subarray(0, limit)) ?? 0
    const knownEnd = this.#string.subarray(0, known).indexOf(0)
    if (knownEnd >= 0) return this.#string.toString("latin1", 0, knownEnd)
    let text = ""
    let at = address
    while (at - address < limit) {
      // never across a page in one go: the next page may be unmapped although the string ends before it
      const chunk = this.#string.subarray(0, Math.min(PAGE_SIZE - (at % PAGE_SIZE), limit - (at - address)))
      if (this.copyIn(at, chunk) < 0) return -EFAULT
      const end = chunk.indexOf(0)
      if (end >= 0) return text + chunk.toString("latin1", 0, end)
      text += chunk.toString("latin1")
      at += chunk.length
    }
    return -ENAMETOOLONG
  }

  /** A u32, or -EFAULT. */
  readU32(address: number): number {
    const error = this.copyIn(address, this.#scratch.subarray(0, 4))
    return error < 0 ? error : this.#view.getUint32(0, true)
  }

  /** A u32 that others change while we look, as it is at this moment; or -EFAULT. */
  loadU32(address: number): number {
    const word = this.#scratch.subarray(0, 4)
    const { readNow } = this.#space
    const count = readNow === undefined ? this.#space.read(address, word) : readNow(address, word)
    return count < word.length ? -EFAULT : this.#view.getUint32(0, true)
  }

  /** A u64 as a number (exact up to 2^53), or -EFAULT. */
  readU64(address: number): number {
    const error = this.copyIn(address, this.#scratch.subarray(0, 8))
    return error < 0 ? error : this.#view.getUint32(0, true) + this.#view.getUint32(4, true) * 0x1_0000_0000
  }

  /** 0 or -EFAULT. */
  writeU32(address: number, value: number): number {
    this.#view.setUint32(0, value, true)
    return this.copyOut(address, this.#scratch.subarray(0, 4))
  }

  /** `AddressSpace.compareExchange`: what the word held, perhaps not `expected`, or -EFAULT. */
  compareExchange(address: number, expected: number, desired: number): number {
    const exchange = this.#space.compareExchange
    if (exchange !== undefined) return exchange(address, expected, desired)
    const found = this.loadU32(address)
    return found === expected && this.writeU32(address, desired) < 0 ? -EFAULT : found
  }

  /** `AddressSpace.updateWord`: the value before, or -EFAULT, or -EAGAIN. */
  update(address: number, mask: number, flip: number, sum: number): number {
    const update = this.#space.updateWord
    if (update !== undefined) return update(address, mask, flip, sum)
    const found = this.loadU32(address)
    return found >= 0 && this.writeU32(address, (((found & mask) ^ flip) + sum) >>> 0) < 0 ? -EFAULT : found
  }

  /** 0 or -EFAULT; `value` within ±2^53. */
  writeU64(address: number, value: number): number {
    this.#view.setUint32(0, value >>> 0, true)
    this.#view.setUint32(4, Math.floor(value / 0x1_0000_0000) >>> 0, true)
    return this.copyOut(address, this.#scratch.subarray(0, 8))
  }

  /** 0 or -EFAULT. */
  writeBigU64(address: number, value: bigint): number {
    this.#view.setBigUint64(0, value, true)
    return this.copyOut(address, this.#scratch.subarray(0, 8))
  }
}
