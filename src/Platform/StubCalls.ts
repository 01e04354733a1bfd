/**
 * Mapping changes as the host system calls that a stub makes for them.
 *
 * Nothing here may touch the stub's own pages at the top of user space: every range is checked against the limit of guest memory.
 */
import { EINVAL, ENOMEM } from "../Abi/Errno.ts"
import { sysno } from "../Abi/Sysno.ts"
import type { MappingChange } from "./Platform.ts"
import { count } from "./Slots.ts"
import type { Block } from "./Tracer.ts"

const MAP_SHARED = 0x01
const MAP_PRIVATE = 0x02
const MAP_FIXED = 0x10
const MAP_ANONYMOUS = 0x20
const MAP_NORESERVE = 0x4000
const MAP_POPULATE = 0x8000
const MREMAP_MAYMOVE = 1
const MREMAP_FIXED = 2
const MREMAP_DONTUNMAP = 4
const MSG_DONTWAIT = 0x40

/** Where a received descriptor lands: the lowest free one, above the stub's socket. */
const STUB_FD = 1
const STUB_SOCKET = 0
/** `sizeof(struct message)` of native/inject.c; the stub's scratch page is its first. */
const messageSize = 256

/** Most orders that one change takes: recvmsg, mmap, close. */
const ordersPerChange = 3

/** 0, or the errno for a range that is not inside guest memory. Written so that NaN fails too. */
const checkRange = (address: number, length: number, limit: number): number => {
  if (!(Number.isSafeInteger(address) && Number.isSafeInteger(length) && address >= 0 && length >= 0)) return EINVAL
  return address + length <= limit ? 0 : ENOMEM
}

/** 0, or the errno, positive, for a change that must not be made: it reaches beyond guest memory, to `limit`. */
export const checkChange = (change: MappingChange, limit: number): number => {
  if (change._tag !== "Remap") return checkRange(change.address, change.length, limit)
  return checkRange(change.address, change.oldLength, limit) || checkRange(change.newAddress, change.newLength, limit)
}

/**
 * Writes changes from index `from` on into `block`: as many as fit and `checkChange` allows, and at least the first.
 * The index of the first that isn't in it. `limit`: where guest memory ends; `scratch`: the stub's page of message
 * headers.
 */
export const encodeChanges = (
  changes: ReadonlyArray<MappingChange>,
  from: number,
  block: Block,
  limit: number,
  scratch: number
): number => {
  let openFd = -1
  let next = from
  for (; next < changes.length; next++) {
    const change = changes[next]!
    const fd = change._tag === "Map" && change.backing !== undefined ? change.backing.fd : -1
    if (block.orderCount + ordersPerChange >= count.orders || checkChange(change, limit) !== 0) break
    if (fd !== openFd) {
      if (fd >= 0 && block.fdCount === count.fds) break
      if (openFd >= 0) block.addOrder(sysno.close, STUB_FD)
      if (fd >= 0) {
        block.addOrder(sysno.recvmsg, STUB_SOCKET, scratch + block.fdCount * messageSize, MSG_DONTWAIT)
        block.addFd(fd)
      }
      openFd = fd
    }
    addChange(block, change)
  }
  if (openFd >= 0) block.addOrder(sysno.close, STUB_FD)
  return next
}

/** Takes orders. */
export interface OrderSink {
  readonly addOrder: (nr: number, ...args: ReadonlyArray<number>) => void
}

/** Adds the one order that makes a change; a file to map is the descriptor received last. */
export const addChange = (block: OrderSink, change: MappingChange): void => {
  switch (change._tag) {
    case "Map": {
      const flags =
        MAP_FIXED |
        MAP_NORESERVE |
        (change.shared ? MAP_SHARED : MAP_PRIVATE) |
        (change.populate ? MAP_POPULATE : 0) |
        (change.backing === undefined ? MAP_ANONYMOUS : 0)
      const fd = change.backing === undefined ? -1 : STUB_FD
      const offset = change.backing?.offset ?? 0
      return block.addOrder(sysno.mmap, change.address, change.length, change.protection, flags, fd, offset)
    }
    case "Unmap":
      return block.addOrder(sysno.munmap, change.address, change.length)
    case "Protect":
      return block.addOrder(sysno.mprotect, change.address, change.length, change.protection)
    case "Remap": {
      // In place, MREMAP_FIXED is an error: the old range and the new one overlap.
      const moves = change.newAddress !== change.address
      const flags = moves ? MREMAP_MAYMOVE | MREMAP_FIXED | (change.keepOld ? MREMAP_DONTUNMAP : 0) : 0
      const to = moves ? change.newAddress : 0
      return block.addOrder(sysno.mremap, change.address, change.oldLength, change.newLength, flags, to)
    }
    case "Advise":
      return block.addOrder(sysno.madvise, change.address, change.length, change.advice)
    case "Synchronize":
      return block.addOrder(sysno.msync, change.address, change.length, change.flags)
    default:
      return change satisfies never
  }
}
