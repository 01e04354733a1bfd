/** One guest memory on a host that runs it as a stub process: which threads it has, and copying in and out. */
import { bind } from "./Native.ts"

const readNative = bind<[tid: number, address: number, into: Uint8Array, size: number], number>(
  "int64_t sentry_guest_read(int tid, uint64_t address, uint8_t *into, uint64_t size)"
)
const writeNative = bind<[tid: number, address: number, from: Uint8Array, size: number], number>(
  "int64_t sentry_guest_write(int tid, uint64_t address, const uint8_t *from, uint64_t size)"
)

/** How much of a range is below `limit`, where the stub's memory begins; 0 for an address that is no address. */
export const clip = (address: number, length: number, limit: number): number =>
  address >= 0 && address < limit ? Math.min(length, limit - address) : 0

/** Copies in from the address space of host thread `tid`. Bytes copied, short at the first fault. */
export const readGuest = (tid: number, address: number, into: Uint8Array, limit: number): number => {
  const size = clip(address, into.length, limit)
  return size === 0 ? 0 : Math.max(0, readNative(tid, address, into, size))
}

/** Copies out, respecting page protections. Bytes copied, short at the first fault. */
export const writeGuest = (tid: number, address: number, from: Uint8Array, limit: number): number => {
  const size = clip(address, from.length, limit)
  return size === 0 ? 0 : Math.max(0, writeNative(tid, address, from, size))
}
