/** One guest memory on a host that runs it as a stub process: which threads it has, and copying in and out. */
import { bind } from "./Native.ts"
import type { PresentRun } from "./Platform.ts"

const readNative = bind<[tid: number, address: number, into: Uint8Array, size: number], number>(
  "int64_t sentry_guest_read(int tid, uint64_t address, uint8_t *into, uint64_t size)"
)
const writeNative = bind<[tid: number, address: number, from: Uint8Array, size: number], number>(
  "int64_t sentry_guest_write(int tid, uint64_t address, const uint8_t *from, uint64_t size)"
)

const presentNative = bind<
  [pid: number, start: number, end: number, out: Float64Array, room: number, stopped: Float64Array],
  number
>("int sentry_guest_present(int pid, uint64_t start, uint64_t end, double *out, int room, double *stopped)")

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

const one = new Uint8Array(1)

/** Whether a process has no memory any more. `inside`: some address of its stub's. */
export const isGone = (pid: number, inside: number): boolean => readNative(pid, inside, one, 1) !== 1

/** Runs of pages that one look finds at most, each a start, an end and whether it is anonymous. */
const ROOM = 256
const runs = new Float64Array(3 * ROOM)
const stopped = new Float64Array(1)
/** Addresses that one look covers at most. */
const REACH = 2 ** 34

/** `AddressSpace.presentPages` of process `pid`. */
export const presentPages = (pid: number, start: number, end: number, found: PresentRun): number => {
  const count = presentNative(pid, start, Math.min(end, start + REACH), runs, ROOM, stopped)
  for (let run = 0; run < count; run++) found(runs[run * 3]!, runs[run * 3 + 1]!, runs[run * 3 + 2] === 1)
  return count < 0 ? count : stopped[0]!
}
