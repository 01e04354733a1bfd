/**
 * Guest memory whatever its protection, as /proc/pid/mem gives it to a tracer: the thread that traces the guest reads
 * and writes it, in pieces.
 */
import { count, Request } from "./Slots.ts"
import type { Block, Tracer } from "./Tracer.ts"

/** The slot of a thread of the address space that the tracer holds; undefined if none is left. */
type Holder = () => number | undefined

/** Writes the first `size` bytes of `from`: how many were written. */
export const pokeGuest = (tracer: Tracer, holder: Holder, address: number, size: number, from: Uint8Array): number =>
  force(tracer, Request.poke, holder, address, from.subarray(0, size))

/** Reads `size` bytes into `into`: how many were read. */
export const peekGuest = (tracer: Tracer, holder: Holder, address: number, size: number, into: Uint8Array): number =>
  force(tracer, Request.peek, holder, address, into.subarray(0, size), (piece, { data }) =>
    piece.set(data.subarray(0, piece.length))
  )

const force = (
  tracer: Tracer,
  request: Request,
  holder: Holder,
  address: number,
  bytes: Uint8Array,
  onDone?: (piece: Uint8Array, block: Block) => void
): number => {
  let done = 0
  while (done < bytes.length) {
    const slot = holder()
    if (slot === undefined) break
    const piece = bytes.subarray(done, done + count.data)
    const moved = tracer.requestNow(
      (block) => {
        block.start(request, slot)
        block.setData(piece, address + done)
      },
      (result, block) => onDone?.(piece.subarray(0, Math.max(result, 0)), block)
    )
    if (moved <= 0) break
    done += moved
    if (moved < piece.length) break
  }
  return done
}
