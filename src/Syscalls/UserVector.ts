/**
 * Guest buffers of read(2), readv(2) and their kin, and the moving of bytes between them and open files.
 *
 * Bytes pass through one kernel buffer. It is shared by everything because a transfer never suspends between filling
 * and emptying it: its contents never outlive a critical section.
 */
import { EAGAIN, EFAULT, EFBIG, EINVAL, EPIPE } from "../Abi/Errno.ts"
import { MAX_RW_COUNT, UIO_MAXIOV } from "../Abi/Fcntl.ts"
import { IN_MODIFY } from "../Abi/InotifyFlags.ts"
import { RLIMIT_FSIZE } from "../Abi/Resource.ts"
import { SIGPIPE, SIGXFSZ } from "../Abi/Signal.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** At least the largest message of a datagram socket, which must pass in one piece. */
export const TRANSFER_SIZE = 256 * 1024

/** The kernel buffer. Scratch: whoever fills it empties it before suspending. */
export const transferBuffer = new Uint8Array(TRANSFER_SIZE)

const PAGE_SIZE = 4096
/** TASK_SIZE_MAX of x86-64: a range that ends above it is refused before anything is transferred. */
const USER_LIMIT = 2 ** 47 - PAGE_SIZE

/** One piece of guest memory, `struct iovec`. */
export interface Segment {
  readonly address: number
  readonly length: number
}

/** The guest's side of a transfer: one or more pieces of its memory. */
export class UserVector {
  readonly #memory: UserMemory
  readonly segments: ReadonlyArray<Segment>
  /** Total bytes. */
  readonly length: number
  /** Given as an array of iovecs: a transfer of nothing never reaches the file. */
  readonly isVector: boolean

  constructor(memory: UserMemory, segments: ReadonlyArray<Segment>, length: number, isVector = false) {
    this.#memory = memory
    this.isVector = isVector
    this.segments = segments
    this.length = length
  }

  /** Copies in from byte `position` on: the count until memory ends, or -EFAULT if that is none. */
  copyIn(position: number, into: Uint8Array): number {
    return this.#transfer(position, into, (address, piece) => this.#memory.copyInPartial(address, piece))
  }

  /** Copies out from byte `position` on: the count until memory ends, or -EFAULT if that is none. */
  copyOut(position: number, from: Uint8Array): number {
    return this.#transfer(position, from, (address, piece) => this.#memory.copyOutPartial(address, piece))
  }

  /** Where to put `length` bytes for `sendOut`: see UserMemory. Undefined if they go to several pieces of memory. */
  placeOut(position: number, length: number): Uint8Array | undefined {
    return this.segments.length === 1 ? this.#memory.placeOut(this.segments[0]!.address + position, length) : undefined
  }

  /** Copies out `count` bytes from there to byte `position`: the count until memory ends, or -EFAULT if that is none. */
  sendOut(position: number, place: Uint8Array, count: number): number {
    return this.#memory.sendOut(this.segments[0]!.address + position, place, count)
  }

  /** `length` bytes from byte `position` on where they have been copied in already, and can still change. */
  placeIn(position: number, length: number): Uint8Array | undefined {
    return this.segments.length === 1 ? this.#memory.placeIn(this.segments[0]!.address + position, length) : undefined
  }

  #transfer(position: number, bytes: Uint8Array, copy: (address: number, piece: Uint8Array) => number): number {
    let skip = position
    let done = 0
    for (const { address, length } of this.segments) {
      if (done === bytes.length) break
      if (skip >= length) {
        skip -= length
        continue
      }
      const piece = bytes.subarray(done, done + Math.min(length - skip, bytes.length - done))
      const count = copy(address + skip, piece)
      skip = 0
      if (count < 0) return done > 0 ? done : count
      done += count
      if (count < piece.length) break
    }
    return done
  }
}

/** The buffer of read(2) or write(2). -EFAULT outside user space, where a negative count always ends. */
export const userBuffer = (memory: UserMemory, address: number, count: number): UserVector | number => {
  if (address + count > USER_LIMIT) return -EFAULT
  const length = Math.min(count, MAX_RW_COUNT)
  return new UserVector(memory, [{ address, length }], length)
}

/** As `userBuffer`, of send(2) and recv(2), which cut the length to what one call can move before they look at the end. */
export const messageBuffer = (memory: UserMemory, address: number, count: number): UserVector | number =>
  userBuffer(memory, address, Math.min(count, MAX_RW_COUNT))

/**
 * The buffers of readv(2): an array of `count` `struct iovec` at `address`; they are in the memory `of` perhaps another
 * process. -EINVAL, -EFAULT.
 */
export const userVector = (
  memory: UserMemory,
  address: number,
  count: number,
  of: UserMemory = memory
): UserVector | number => {
  if (count < 0 || count > UIO_MAXIOV) return -EINVAL
  const raw = new Uint8Array(count * 16)
  if (memory.copyIn(address, raw) < 0) return -EFAULT
  const view = new DataView(raw.buffer)
  const word = (at: number): number => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  const segments: Array<Segment> = []
  let total = 0
  for (let index = 0; index < count; index++) if (raw[index * 16 + 15]! >= 0x80) return -EINVAL // negative
  for (let index = 0; index < count; index++) {
    const base = word(index * 16)
    const full = word(index * 16 + 8)
    // a buffer alone is cut to what one call can move before its end is looked at
    if (base + (count === 1 ? Math.min(full, MAX_RW_COUNT) : full) > USER_LIMIT) return -EFAULT
    const length = Math.min(full, MAX_RW_COUNT - total)
    segments.push({ address: base, length })
    total += length
  }
  return new UserVector(of, segments, total, true)
}

/**
 * Reads into guest memory without waiting, at `offset` or at the file's own: the count, -EAGAIN, or another -errno. A
 * bad buffer takes no more out of the file than Linux takes.
 */
export const readInto = (file: OpenFileDescription, vector: UserVector, offset?: number): number => {
  let done = 0
  do {
    const most = Math.min(vector.length - done, TRANSFER_SIZE)
    const place = file.movesBytes ? vector.placeOut(done, most) : undefined
    const chunk = place ?? transferBuffer.subarray(0, most)
    const count = offset === undefined ? file.read(chunk) : file.readAt(chunk, offset + done)
    if (count <= 0) return done > 0 ? done : count
    const sent =
      place === undefined ? vector.copyOut(done, chunk.subarray(0, count)) : vector.sendOut(done, place, count)
    const copied = Math.max(0, sent)
    if (copied < count) {
      done += offset === undefined ? file.unread(count, copied) : copied
      return done > 0 ? done : -EFAULT
    }
    done += count
    if (count < chunk.length) break
  } while (done < vector.length)
  return done
}

/**
 * A write from guest memory that may take several attempts. `attempt` writes what can be written now: the total once
 * everything is written or nothing more can be, -EAGAIN while a part is left that would block.
 */
export class WriteTransfer {
  readonly #task: Task
  readonly #file: OpenFileDescription
  readonly #vector: UserVector
  readonly #offset: number | undefined
  readonly #signals: boolean
  /** Bytes written so far. */
  #done = 0
  /** The next piece, of what writes them one by one. */
  #piece = 0
  /** RLIMIT_FSIZE. */
  readonly #sizeLimit: number

  /** `signals`: whether writing with nobody at the other end may raise SIGPIPE. */
  constructor(
    task: Task,
    file: OpenFileDescription,
    vector: UserVector,
    offset?: number,
    signals = file.raisesSigpipe
  ) {
    this.#task = task
    this.#signals = signals
    this.#sizeLimit = task.threadGroup.limits.soft(RLIMIT_FSIZE)
    this.#file = file.facing(task)
    this.#vector = vector
    this.#offset = offset
  }

  /** The end: the bytes written, or `otherwise` if there are none: partial progress wins over an error. */
  settle(otherwise: number): number {
    const { accounts } = this.#task
    accounts.writeCalls++
    accounts.writtenCharacters += this.#done
    if (this.#done === 0) return otherwise
    this.#file.tell(IN_MODIFY)
    return this.#done
  }

  readonly attempt = (): number => {
    const file = this.#file
    const offset = this.#offset
    do {
      const most = Math.min(this.#left(), TRANSFER_SIZE)
      const given = file.movesBytes ? this.#vector.placeIn(this.#done, most) : undefined
      const chunk = given ?? transferBuffer.subarray(0, most)
      const copied = given === undefined ? this.#copyIn(chunk) : most
      if (copied < 0) return this.settle(file.refuseWrite(this.#left()) || copied)
      const at = offset === undefined ? undefined : offset + this.#done
      const allowed = file.withinSizeLimit(copied, at, this.#sizeLimit)
      if (allowed < 0) {
        if (allowed === -EFBIG && this.#done === 0) this.#task.raise(SIGXFSZ)
        return this.settle(allowed)
      }
      const source = chunk.subarray(0, allowed)
      const count = offset === undefined ? file.write(source) : file.writeAt(source, offset + this.#done)
      if (count < 0) {
        if (count === -EAGAIN) return count
        if (count === -EPIPE && this.#signals) this.#task.raise(SIGPIPE)
        return this.settle(count)
      }
      this.#done += count
      this.#piece++
      if (count < chunk.length && (count === copied || !file.isStream)) break
    } while (this.#done < this.#vector.length)
    return this.settle(0)
  }

  /** How much one write takes: all, or a piece. */
  #left(): number {
    return this.#file.writesPieces
      ? (this.#vector.segments[this.#piece]?.length ?? 0)
      : this.#vector.length - this.#done
  }

  /** Streams take whole units or nothing of a buffer whose end is bad, as Linux copies one at a time. */
  #copyIn(chunk: Uint8Array): number {
    const copied = this.#vector.copyIn(this.#done, chunk)
    if (copied === chunk.length) return copied
    if (this.#file.isSink) return chunk.length
    if (copied < 0) return copied
    if (this.#file.isMessage) return -EFAULT
    if (!this.#file.isStream) return copied
    const whole = copied - (copied % this.#file.copyUnit)
    return whole === 0 ? -EFAULT : whole
  }
}
