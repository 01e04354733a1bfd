/**
 * eventfd(2): a 64-bit counter. A read takes all of it (or 1, EFD_SEMAPHORE), a write adds.
 */
import { EAGAIN, EINVAL } from "../Abi/Errno.ts"
import { POLLERR, POLLIN, POLLOUT, READABLE, WRITABLE } from "../Abi/Poll.ts"
import { AnonymousFile } from "./AnonymousFile.ts"
import type { Stat } from "./Stat.ts"

const MAX = 0xffff_ffff_ffff_ffffn

export class EventFd extends AnonymousFile {
  readonly #semaphore: boolean
  /** Atomic: read, write, add. */
  #count: bigint

  /** `statusFlags`: O_NONBLOCK or 0. */
  constructor(stat: Stat, initial: number, semaphore: boolean, statusFlags: number) {
    super("eventfd", stat, statusFlags)
    this.#semaphore = semaphore
    this.#count = BigInt(initial)
  }

  get count(): bigint {
    return this.#count
  }

  override details(): string {
    const count = this.#count.toString(16).padStart(16)
    return `eventfd-count: ${count}\neventfd-id: ${this.stat().ino}\neventfd-semaphore: ${this.#semaphore ? 1 : 0}\n`
  }

  override read(into: Uint8Array): number {
    if (into.length < 8) return -EINVAL
    if (this.#count === 0n) return -EAGAIN
    const taken = this.#semaphore ? 1n : this.#count
    this.#count -= taken
    new DataView(into.buffer, into.byteOffset).setBigUint64(0, taken, true)
    this.waiters.notify(WRITABLE)
    return 8
  }

  override get writesPieces(): boolean {
    return true
  }

  override refuseWrite(length: number): number {
    return length === 8 ? 0 : -EINVAL
  }

  override write(from: Uint8Array): number {
    if (from.length !== 8) return -EINVAL
    const amount = new DataView(from.buffer, from.byteOffset).getBigUint64(0, true)
    if (amount === MAX) return -EINVAL
    if (MAX - this.#count <= amount) return -EAGAIN
    this.#count += amount
    this.waiters.notify(READABLE)
    return 8
  }

  override readiness(): number {
    if (this.#count === MAX) return POLLIN | POLLERR
    return (this.#count > 0n ? POLLIN : 0) | (this.#count < MAX - 1n ? POLLOUT : 0)
  }
}
