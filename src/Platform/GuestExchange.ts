/** Compare-and-exchange in guest memory, which a stopped thread of the guest's stub makes on our behalf. */
import { EFAULT } from "../Abi/Errno.ts"
import { clip } from "./GuestMemory.ts"
import { Request } from "./Slots.ts"
import type { Block, Tracer } from "./Tracer.ts"

const WORD = 4

/**
 * Has the thread of `slot`, which is stopped, put `desired` in place of `expected` at `address`, below `limit`: what was
 * there, or -EFAULT. Waits for the tracer, some 20 µs, as the kernel's next step depends on the answer and nothing
 * may come between.
 */
export const exchangeGuest = (
  tracer: Tracer,
  slot: number,
  address: number,
  expected: number,
  desired: number,
  limit?: number
): number => {
  if (address % WORD !== 0 || clip(address, WORD, limit) < WORD) return -EFAULT
  const values = new Uint8Array(new Uint32Array([expected, desired]).buffer)
  let data: Uint8Array = values
  const result = tracer.requestNow((block: Block) => {
    block.start(Request.exchange, slot)
    block.setData(values, address)
    data = block.data
  })
  return result < 0 ? -EFAULT : new DataView(data.buffer, data.byteOffset).getUint32(0, true)
}
