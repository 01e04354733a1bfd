/**
 * The slots of one address space on the fast platform: memory that its guest threads can read and write as they like.
 *
 * Nothing read from here is trusted: a value is read once, and whatever it says can hurt only the address space it
 * comes from. Which thread an event comes from is told by the slot it is found in, never by what is in it.
 */
import { bind, view } from "./Native.ts"
import { field, slotCount, slotSize, stackOffset, systrapBase } from "./SystrapLayout.ts"

const openRegion = bind<[out: BigUint64Array], number>("int sentry_systrap_region(_Out_ uint64_t *out)")
const closeFd = bind<[fd: number], void>("void sentry_systrap_close(int fd)")
const unmap = bind<[address: number], void>("void sentry_systrap_unmap(uint64_t address)")
const wakeNative = bind<[address: number], void>("void sentry_systrap_wake(uint64_t address)")

export class SystrapRegion {
  /** Where the region is in our own memory. */
  readonly #address: number
  /** To be sent to the stub; -1 once it has it. */
  fd: number
  readonly memory: ArrayBuffer
  readonly #words: Int32Array
  readonly #free: Array<number> = []
  #used = 0

  constructor(address: number, fd: number, memory: ArrayBuffer) {
    this.#address = address
    this.fd = fd
    this.memory = memory
    this.#words = new Int32Array(memory)
  }

  /** A fresh one, or -errno. */
  static open(): SystrapRegion | number {
    const out = new BigUint64Array(2)
    const result = openRegion(out)
    if (result < 0) return result
    return new SystrapRegion(Number(out[0]), Number(out[1]), view(out[0]!, slotSize * slotCount))
  }

  closeFd(): void {
    if (this.fd >= 0) closeFd(this.fd)
    this.fd = -1
  }

  /** Every view of the memory becomes empty. */
  close(): void {
    this.closeFd()
    this.memory.transfer() // detaches: a context that somebody still holds must not reach freed memory
    unmap(this.#address)
  }

  /** The offset of a slot that no thread has, made ready for one; or undefined if there are no more. */
  take(): number | undefined {
    // the thread that had it may still be on its way out, on the stack there
    const at = this.#free.findIndex((offset) => Atomics.load(this.#words, (offset + field.alive) >> 2) === 0)
    const offset = at >= 0 ? this.#free.splice(at, 1)[0]! : this.#used < slotCount ? this.#used++ * slotSize : undefined
    if (offset === undefined) return undefined
    const words = this.#words
    words.fill(0, offset >> 2, (offset + stackOffset) >> 2)
    const stack = systrapBase + offset + stackOffset
    words[(offset + field.alive) >> 2] = 1
    words[(offset + field.stack_sp) >> 2] = stack | 0
    words[(offset + field.stack_sp + 4) >> 2] = Math.floor(stack / 2 ** 32)
    words[(offset + field.stack_size) >> 2] = slotSize - stackOffset
    return offset
  }

  /** Gives it back. `unborn`: no thread ever had it. */
  giveBack(offset: number, unborn = false): void {
    if (unborn) this.#words[(offset + field.alive) >> 2] = 0
    this.#free.push(offset)
  }

  /** Wakes the thread that sleeps on the state word of the slot at `offset`. */
  wake(offset: number): void {
    wakeNative(this.#address + offset + field.state)
  }
}
