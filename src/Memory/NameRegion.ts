/**
 * PR_SET_VMA_ANON_NAME of prctl(2): names for memory, which /proc/[pid]/maps shows.
 */
import * as Effect from "effect/Effect"
import { EBADF, EINVAL, ENOMEM } from "../Abi/Errno.ts"
import { isPageAligned, MAX_MAP_COUNT, pageAlign } from "./AddressLayout.ts"
import type { MemoryManager, Outcome } from "./MemoryManager.ts"
import { isFile, type Vma } from "./Vma.ts"

const named = (vma: Vma, name: string | undefined): string | undefined => {
  if (name === undefined) return undefined
  return vma.shared ? `[anon_shmem:${name}]` : `[anon:${name}]`
}

/**
 * Names [address, address + length), or takes its name away. Holes make the call fail (-ENOMEM) after what is mapped
 * got its name; a file ends it with -EBADF.
 */
export const nameRegion = (
  manager: MemoryManager,
  address: number,
  length: number,
  name: string | undefined
): Outcome => {
  if (!isPageAligned(address)) return -EINVAL
  const size = pageAlign(length)
  if (length !== 0 && size === 0) return -EINVAL
  const end = address + size
  if (end >= 2 ** 64) return -EINVAL
  if (size === 0) return 0
  return manager.exclusive(Effect.sync(() => nameExclusive(manager, address, end, name)))
}

const nameExclusive = (manager: MemoryManager, start: number, end: number, name: string | undefined): number => {
  let reached = start
  let hole = false
  for (const vma of [...manager.areas.clipped(start, end)]) {
    if (vma.start > reached) hole = true
    if (vma.backing !== undefined && isFile(vma.backing.object)) return -EBADF
    if (manager.areas.size + 2 > MAX_MAP_COUNT) return -ENOMEM
    manager.areas.modify(vma.start, vma.end, (area) => ({ ...area, name: named(area, name) }))
    reached = vma.end
  }
  return hole || reached < end ? -ENOMEM : 0
}
