/** Atomic changes of words in guest memory, which a stopped thread of the guest's stub makes on our behalf. */
import { EAGAIN, EFAULT } from "../Abi/Errno.ts"
import { clip } from "./GuestMemory.ts"
import { Request } from "./Slots.ts"
import type { Block, Tracer } from "./Tracer.ts"

const WORD = 4

/** For a block's `flags`. */
const UPDATE = 1

/**
 * Has the thread of `slot`, which is stopped, change the word at `address`, below `limit`: what was there, or -errno. Waits
 * for the tracer, some 20 µs, as the kernel's next step depends on the answer and nothing may come between.
 */
const change = (
  tracer: Tracer,
  slot: number,
  flags: number,
  address: number,
  values: Uint32Array,
  limit: number
): number => {
  if (address % WORD !== 0 || clip(address, WORD, limit) < WORD) return -EFAULT
  let data = new Uint8Array(values.buffer)
  const result = tracer.requestNow((block: Block) => {
    block.start(Request.exchange, slot)
    block.setFlags(flags)
    block.setData(data, address)
    data = block.data
  })
  if (result < 0) return result === -EAGAIN ? result : -EFAULT
  return new DataView(data.buffer, data.byteOffset).getUint32(0, true)
}

/** `AddressSpace.compareExchange` by the thread of `slot`. */
export const exchangeGuest = (
  tracer: Tracer,
  slot: number,
  address: number,
  expected: number,
  desired: number,
  limit: number
): number => change(tracer, slot, 0, address, Uint32Array.of(expected, desired), limit)

/** `AddressSpace.updateWord` by the thread of `slot`. */
export const updateGuest = (
  tracer: Tracer,
  slot: number,
  address: number,
  mask: number,
  flip: number,
  sum: number,
  limit: number
): number => change(tracer, slot, UPDATE, address, Uint32Array.of(mask, flip, sum), limit)
