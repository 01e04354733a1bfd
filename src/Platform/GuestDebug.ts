/** The debug registers of guest threads that the tracer holds. */
import { EINVAL } from "../Abi/Errno.ts"
import type { DebugRegisters } from "./Platform.ts"
import { Request } from "./Slots.ts"
import type { Tracer } from "./Tracer.ts"

/** DR0 to DR3 hold addresses. */
const ADDRESSES = 4
/** The longest piece of memory that one of them watches. */
const WATCHED = 8n

/** Of the thread in `slot`. Each use waits for the tracer, some 20 µs. */
export const debugRegistersOf = (tracer: Tracer, slot: number): DebugRegisters => {
  const transfer = (index: number, bytes: Uint8Array, onDone?: (data: Uint8Array) => void): number =>
    tracer.requestNow(
      (block) => {
        block.start(Request.debug, slot)
        block.setFlags(index)
        block.setData(bytes, 0)
      },
      (_result, block) => onDone?.(block.data)
    )
  return {
    read: (index) => {
      let value = 0n
      const result = transfer(index, new Uint8Array(0), (data) => {
        value = new DataView(data.buffer, data.byteOffset).getBigUint64(0, true)
      })
      return result < 0 ? result : value
    },
    write: (index, value) => {
      // the stub's own code and data are not the guest's to watch
      if (index < ADDRESSES && value > BigInt(tracer.stubBase) - WATCHED) return -EINVAL
      return transfer(index, new Uint8Array(BigUint64Array.of(value).buffer))
    }
  }
}
