/**
 * The slots of one address space on the fast platform: memory that its guest threads can read and write as they like.
 *
 * Nothing read from here is trusted: a value is read once, and whatever it says can hurt only the address space it
 * comes from. Which thread an event comes from is told by the slot it is found in, never by what is in it.
 */
import { bind, view } from "./Native.ts"
import {
  field,
  orderPageSize,
  orders,
  slotCount,
  slotSize,
  stackEnd,
  stackOffset,
  systrapSlots,
  windowSize
} from "./SystrapLayout.ts"

const openRegion = bind<[out: BigUint64Array], number>("int sentry_systrap_region(_Out_ uint64_t *out)")
const closeFd = bind<[fd: number], void>("void sentry_systrap_close(int fd)")
const unmap = bind<[address: number], void>("void sentry_systrap_unmap(uint64_t address)")
const wakeNative = bind<[address: number], void>("void sentry_systrap_wake(uint64_t address)")

export class SystrapRegion {
  /** Where the region is in our own memory, and in it the slots. */
  readonly #windowsAddress: number
  readonly #address: number
  /** To be sent to the stub; -1 once it has it. */
  fd: number
  /** Views of the slots that have been in use. Not of all: Node would think that much memory had been allocated. */
  readonly #slots: Array<ArrayBuffer> = []
  /** Views of windows that have been in use, by the number of the slot. */
  readonly #windows = new Map<number, ArrayBuffer>()
  readonly #free: Array<number> = []

  /** The order page of the worker. */
  readonly orders: ArrayBuffer

  constructor(address: number, fd: number) {
    this.#windowsAddress = address
    this.#address = address + slotCount * windowSize
    this.fd = fd
    this.#slots.push(view(BigInt(this.#address), slotSize)) // the worker's
    this.orders = view(BigInt(this.#address + slotCount * slotSize), orderPageSize)
  }

  /** A fresh one, or -errno. */
  static open(): SystrapRegion | number {
    const out = new BigUint64Array(2)
    const result = openRegion(out)
    return result < 0 ? result : new SystrapRegion(Number(out[0]), Number(out[1]))
  }

  closeFd(): void {
    if (this.fd >= 0) closeFd(this.fd)
    this.fd = -1
  }

  /** Every view of the memory becomes empty. */
  close(): void {
    this.closeFd()
    this.orders.transfer()
    for (const slot of this.#slots) slot.transfer() // detaches: who still holds a context must not reach freed memory
    for (const window of this.#windows.values()) window.transfer()
    unmap(this.#windowsAddress)
  }

  /** The number of a slot that no thread has, made ready for one; or undefined if there are no more. */
  take(): number | undefined {
    // the thread that had it may still be on its way out, on the stack there
    const at = this.#free.findIndex((index) => Atomics.load(this.#words(index), field.alive >> 2) === 0)
    const index = at >= 0 ? this.#free.splice(at, 1)[0]! : this.#slots.length
    if (index === slotCount) return undefined
    if (index === this.#slots.length) this.#slots.push(view(BigInt(this.#address + index * slotSize), slotSize))
    const words = this.#words(index)
    words.fill(0, 0, stackOffset >> 2)
    const stack = slotAddress(index) + stackOffset
    words[field.alive >> 2] = 1
    words[field.stack_sp >> 2] = stack | 0
    words[(field.stack_sp + 4) >> 2] = Math.floor(stack / 2 ** 32)
    words[field.stack_size >> 2] = stackEnd - stackOffset
    return index
  }

  #words(index: number): Int32Array {
    return new Int32Array(this.#slots[index]!)
  }

  /** Gives it back. `unborn`: no thread ever had it. */
  giveBack(index: number, unborn = false): void {
    if (unborn) this.#words(index)[field.alive >> 2] = 0
    this.#free.push(index)
  }

  /** The memory of a slot in use. */
  memory(index: number): ArrayBuffer {
    return this.#slots[index]!
  }

  /** The window of a slot in use. */
  window(index: number): ArrayBuffer {
    let window = this.#windows.get(index)
    if (window === undefined) {
      window = view(BigInt(this.#windowsAddress + index * windowSize), windowSize)
      this.#windows.set(index, window)
    }
    return window
  }

  /** Wakes the worker if it sleeps. */
  wakeWorker(): void {
    wakeNative(this.#address + slotCount * slotSize + orders.sequence)
  }
}

/** Where the guest has the slot. */
export const slotAddress = (index: number): number => systrapSlots + index * slotSize
