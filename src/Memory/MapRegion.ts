/**
 * mmap(2) and munmap(2).
 */
import * as Effect from "effect/Effect"
import { EACCES, EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM } from "../Abi/Errno.ts"
import {
  MAP_32BIT,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_SYNC,
  MAP_TYPE,
  PAGE_SIZE,
  PROT_ALL,
  PROT_EXEC,
  PROT_WRITE
} from "../Abi/Mman.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import { isPageAligned, MINIMUM_ADDRESS, pageAlign, pageStart } from "./AddressLayout.ts"
import { refuseExecGain } from "./MemoryPolicy.ts"
import type { MemoryManager, Outcome, Requester } from "./MemoryManager.ts"
import {
  accounted,
  type Backing,
  guardBelow,
  isSealed,
  type MappedFile,
  SharedAnonymous,
  slice,
  VMA_GROWSDOWN,
  VMA_LOCKED,
  VMA_MAYWRITE,
  VMA_NOEXEC,
  VMA_NORESERVE
} from "./Vma.ts"

/** The arguments of mmap(2); `file` is undefined for MAP_ANONYMOUS. */
export interface MapRequest {
  readonly address: number
  readonly length: number
  readonly protection: number
  readonly flags: number
  readonly file: MappedFile | undefined
  readonly offset: number
  /** The file is on a mount with the noexec option. */
  readonly noExecute?: boolean
  readonly by: Requester
}

/**
 * What MAP_SHARED_VALIDATE accepts: Linux's LEGACY_MAP_MASK, in which MAP_FIXED_NOREPLACE is missing and the sizes of huge
 * pages have bits.
 */
const KNOWN_MAP_FLAGS = 0x7c03_f9f3
/** Large anonymous memory starts at a multiple of this, as the host may then use huge pages. */
const HUGE_PAGE = 2 * 1024 * 1024
/** Where MAP_32BIT looks. */
const LOW_START = 0x4000_0000
const LOW_END = 0x8000_0000

/** mmap(2): the address, or -errno. */
export const map = (manager: MemoryManager, request: MapRequest): Outcome => {
  const { file, flags, length, offset } = request
  if (!isPageAligned(offset)) return -EINVAL
  // no huge pages are reserved: Linux fails like this, too, where vm.nr_hugepages is 0
  if ((flags & MAP_HUGETLB) !== 0) return file === undefined ? -ENOMEM : -EINVAL
  if (length === 0) return -EINVAL
  if (pageAlign(length) === 0) return -ENOMEM
  if (offset + length >= 2 ** 64) return -EOVERFLOW
  const mapping = manager.exclusive(Effect.suspend(() => mapExclusive(manager, request)))
  if (file === undefined) return mapping
  file.retain() // a sibling may close it while this waits
  return Effect.ensuring(
    mapping,
    Effect.sync(() => file.release())
  )
}

const mapExclusive = (manager: MemoryManager, request: MapRequest): Effect.Effect<number, PlatformFailed> => {
  const { by, flags } = request
  const length = pageAlign(request.length)
  const fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0
  const start = fixed ? fixedAddress(manager, request, length) : chooseAddress(manager, request, length)
  if (start < 0) return Effect.succeed(start)
  const end = start + length
  if ((flags & MAP_FIXED_NOREPLACE) !== 0 && manager.areas.overlaps(start, end)) return Effect.succeed(-EEXIST)

  if (fixed && manager.areas.overlapping(start, end).some(isSealed)) return Effect.succeed(-EPERM)

  const locked = ((flags & MAP_LOCKED) !== 0 ? VMA_LOCKED : 0) | manager.futureFlags
  const refusedLock = locked === 0 ? 0 : manager.refuseLock(by, length)
  if (refusedLock !== 0) {
    return Effect.succeed(refusedLock === -EPERM && (flags & MAP_LOCKED) !== 0 ? -EPERM : -EAGAIN)
  }
  const source = sourceOf(request)
  if (typeof source === "number") return Effect.succeed(source)
  const gains = refuseExecGain(manager.policy, request.protection, request.protection)
  if (gains !== 0) return Effect.succeed(gains)

  const vma = accounted({
    start,
    end,
    protection: request.protection & PROT_ALL,
    shared: source.shared,
    backing: source.backing,
    flags:
      locked |
      (source.mayWrite ? VMA_MAYWRITE : 0) |
      (request.noExecute === true ? VMA_NOEXEC : 0) |
      ((flags & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0) |
      ((flags & MAP_GROWSDOWN) !== 0 ? VMA_GROWSDOWN : 0),
    name: undefined,
    ungrown: 0
  })
  const refused = manager.refuseGrowth(by, [vma], fixed ? manager.areas.clipped(start, end) : [])
  if (refused !== 0) return Effect.succeed(refused)
  const populate = locked !== 0 || (flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE
  return manager.apply([manager.mapChange(vma, populate)], () => {
    manager.areas.replace(start, end, [vma])
    return start
  })
}

/** remap_file_pages(2): a part of a shared mapping of a file shows the file from page `page` on. */
export const remapPages = (manager: MemoryManager, address: number, length: number, page: number): Outcome => {
  const start = pageStart(address)
  const end = start + pageStart(length)
  if (end <= start || end >= 2 ** 64) return -EINVAL
  return manager.exclusive(
    Effect.suspend(() => {
      const vma = manager.areas.find(start)
      const backing = vma?.backing
      if (vma === undefined || backing === undefined || !vma.shared || end > vma.end) return Effect.succeed(-EINVAL)
      if (backing.object instanceof SharedAnonymous) return Effect.succeed(-EINVAL)
      if (isSealed(vma)) return Effect.succeed(-EPERM)
      const shown = { ...slice(vma, start, end), backing: { object: backing.object, offset: page * PAGE_SIZE } }
      return manager.apply([manager.mapChange(shown, true)], () => {
        manager.areas.replace(start, end, [shown])
        return 0
      })
    })
  )
}

/** What the pages of a request come from. */
interface Source {
  readonly backing: Backing | undefined
  readonly shared: boolean
  /** PROT_WRITE is allowed, now or later. */
  readonly mayWrite: boolean
}

/** The checks of Linux's do_mmap, in their order. */
const sourceOf = ({ file, flags, noExecute, offset, protection }: MapRequest): Source | number => {
  const type = flags & MAP_TYPE
  if (file === undefined) {
    if (type === MAP_PRIVATE) return { backing: undefined, shared: false, mayWrite: true }
    if (type !== MAP_SHARED || (flags & MAP_GROWSDOWN) !== 0) return -EINVAL
    return { backing: { object: new SharedAnonymous(), offset: 0 }, shared: true, mayWrite: true }
  }
  if (offset >= 2 ** 63 - PAGE_SIZE) return -EOVERFLOW
  if (type !== MAP_PRIVATE && type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE) return -EINVAL
  if (type === MAP_SHARED_VALIDATE && (flags & ~(KNOWN_MAP_FLAGS | MAP_SYNC)) !== 0) return -EOPNOTSUPP
  const shared = type !== MAP_PRIVATE
  if (shared && (protection & PROT_WRITE) !== 0 && !file.writable) return -EACCES
  if (!file.readable) return -EACCES
  if (noExecute === true && (protection & PROT_EXEC) !== 0) return -EPERM
  const host = file.mappable()
  if (typeof host === "number") return host < 0 ? host : -ENODEV
  if ((flags & MAP_GROWSDOWN) !== 0) return -EINVAL
  if (type !== MAP_SHARED && (flags & MAP_SYNC) !== 0) return -EOPNOTSUPP // no file is persistent memory
  return { backing: { object: file, offset }, shared, mayWrite: !shared || file.writable }
}

const fixedAddress = (manager: MemoryManager, { address }: MapRequest, length: number): number => {
  if (length > manager.layout.taskSize || address > manager.layout.taskSize - length) return -ENOMEM
  if (!isPageAligned(address)) return -EINVAL
  return address < MINIMUM_ADDRESS ? -EPERM : address
}

const chooseAddress = (manager: MemoryManager, request: MapRequest, length: number): number => {
  const low = (request.flags & MAP_32BIT) !== 0
  const limit = low ? LOW_END : manager.layout.taskSize
  if (length > limit - MINIMUM_ADDRESS) return -ENOMEM
  if (request.address >= PAGE_SIZE) {
    // a hint: taken if it is free, rounded as Linux's round_hint_to_min does
    const hint = Math.max(pageStart(request.address), MINIMUM_ADDRESS)
    if (hint <= limit - length && manager.isFree(hint, hint + length)) return hint
  }
  if (low) return manager.areas.lowestGap(length, LOW_START, LOW_END, guardBelow) ?? -ENOMEM
  const aligned =
    request.file === undefined && length % HUGE_PAGE === 0 ? manager.findGap(length, HUGE_PAGE) : undefined
  return aligned ?? manager.findGap(length, 0) ?? -ENOMEM
}

/** munmap(2). */
export const unmap = (manager: MemoryManager, address: number, length: number): Outcome => {
  const size = pageAlign(length)
  const { taskSize } = manager.layout
  if (!isPageAligned(address) || address > taskSize || length > taskSize - address || size === 0) return -EINVAL
  return manager.exclusive(Effect.suspend(() => manager.unmapExclusive(address, address + size)))
}
