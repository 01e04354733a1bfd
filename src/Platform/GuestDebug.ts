/** The debug registers of guest threads. */
import { EINVAL } from "../Abi/Errno.ts"
import type { DebugRegisters } from "./Platform.ts"
import { Request } from "./Slots.ts"
import type { Tracer } from "./Tracer.ts"

/** DR0 to DR3 hold addresses. */
const ADDRESSES = 4
/** The longest piece of memory that one of them watches. */
const WATCHED = 8n

/** Of the thread that the tracer holds in `slot`. Each use waits for the tracer, some 20 µs. */
export const debugRegistersOf = (tracer: Tracer, slot: number): DebugRegisters =>
  new TracedRegisters(tracer, tracer.stubBase, Request.debug, slot, 0)

/**
 * Of a guest thread of the fast platform, which the tracer holds only meanwhile; `slot` is that of its address space,
 * `stubBase` where the stub begins there.
 */
export const debugRegistersOfGuest = (tracer: Tracer, slot: number, tid: number, stubBase: number): DebugRegisters =>
  new TracedRegisters(tracer, stubBase, Request.debugGuest, slot, tid)

class TracedRegisters implements DebugRegisters {
  readonly #tracer: Tracer
  readonly #stubBase: bigint
  readonly #request: Request
  readonly #slot: number
  readonly #tid: number

  constructor(tracer: Tracer, stubBase: number, request: Request, slot: number, tid: number) {
    this.#tracer = tracer
    this.#stubBase = BigInt(stubBase)
    this.#request = request
    this.#slot = slot
    this.#tid = tid
  }

  read(index: number): bigint | number {
    let value = 0n
    const result = this.#transfer(index, new Uint8Array(0), (data) => {
      value = new DataView(data.buffer, data.byteOffset).getBigUint64(0, true)
    })
    return result < 0 ? result : value
  }

  write(index: number, value: bigint): number {
    // the stub's own code and data are not the guest's to watch
    if (index < ADDRESSES && value > this.#stubBase - WATCHED) return -EINVAL
    return this.#transfer(index, new Uint8Array(BigUint64Array.of(value).buffer))
  }

  #transfer(index: number, bytes: Uint8Array, onDone?: (data: Uint8Array) => void): number {
    return this.#tracer.requestNow(
      (block) => {
        block.start(this.#request, this.#slot)
        block.setFlags(index)
        block.setData(bytes, this.#tid)
      },
      (_result, block) => onDone?.(block.data)
    )
  }
}
