/**
 * mseal(2); mlock(2), munlock(2), mlockall(2), munlockall(2), which are accounting. Pages of a guest are never locked in the host's memory,
 * which no guest can tell.
 */
import * as Effect from "effect/Effect"
import { EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import { MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT, MLOCK_ONFAULT, PAGE_SIZE } from "../Abi/Mman.ts"
import { RLIMIT_MEMLOCK } from "../Abi/Resource.ts"
import { pageAlign, pageStart } from "./AddressLayout.ts"
import type { MemoryManager, Outcome, Requester } from "./MemoryManager.ts"
import { countedSize, type Vma, VMA_LOCKED, VMA_SEALED } from "./Vma.ts"

const locked = (vma: Vma): Vma => ({ ...vma, flags: vma.flags | VMA_LOCKED })
const unlocked = (vma: Vma): Vma => ({ ...vma, flags: vma.flags & ~VMA_LOCKED })

/** mlock(2) and mlock2(2), whose `flags` may have MLOCK_ONFAULT. */
export const lock = (
  manager: MemoryManager,
  address: number,
  length: number,
  flags: number,
  by: Requester
): Outcome => {
  if ((flags & ~MLOCK_ONFAULT) !== 0) return -EINVAL
  const limit = by.mayLock ? Infinity : by.limits.soft(RLIMIT_MEMLOCK)
  if (limit === 0) return -EPERM
  const size = pageAlign(length + (address % PAGE_SIZE))
  return manager.exclusive(
    Effect.sync(() => {
      const start = pageStart(address)
      const already = manager.areas
        .clipped(start, start + size)
        .reduce((sum, vma) => ((vma.flags & VMA_LOCKED) !== 0 ? sum + countedSize(vma) : sum), 0)
      if (manager.locked + size - already > limit) return -ENOMEM
      const result = change(manager, start, start + size, locked)
      // Linux then reads every page in, unless on demand, and cannot where nobody may look
      const populates = size > 0 && (flags & MLOCK_ONFAULT) === 0
      const hidden = populates && manager.areas.overlapping(start, start + size).some((vma) => vma.protection === 0)
      return result === 0 && hidden ? -ENOMEM : result
    })
  )
}

/** munlock(2). */
export const unlock = (manager: MemoryManager, address: number, length: number): Outcome => {
  const start = pageStart(address)
  const size = pageAlign(length + (address % PAGE_SIZE))
  return manager.exclusive(Effect.sync(() => change(manager, start, start + size, unlocked)))
}

/** Changes areas up to the first hole, which is -ENOMEM. */
const change = (manager: MemoryManager, start: number, end: number, to: (vma: Vma) => Vma): number => {
  if (end >= 2 ** 64) return -EINVAL
  if (start === end) return 0
  let reached = start
  for (const vma of manager.areas.clipped(start, end)) {
    if (vma.start > reached) break
    reached = vma.end
  }
  if (reached > start) manager.areas.modify(start, reached, to)
  return reached < end ? -ENOMEM : 0
}

/** mseal(2): all of it, or nothing where there is a hole. */
export const seal = (manager: MemoryManager, address: number, length: number): Outcome => {
  const size = pageAlign(length)
  if (address % PAGE_SIZE !== 0 || (length > 0 && size === 0) || address + size >= 2 ** 64) return -EINVAL
  return manager.exclusive(
    Effect.sync(() => {
      const end = address + size
      let reached = address
      for (const vma of manager.areas.clipped(address, end)) if (vma.start === reached) reached = vma.end
      if (reached < end) return -ENOMEM
      if (size > 0) manager.areas.modify(address, end, (vma) => ({ ...vma, flags: vma.flags | VMA_SEALED }))
      return 0
    })
  )
}

/** mlockall(2). */
export const lockAll = (manager: MemoryManager, flags: number, by: Requester): Outcome => {
  if (flags === 0 || flags === MCL_ONFAULT || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return -EINVAL
  const limit = by.mayLock ? Infinity : by.limits.soft(RLIMIT_MEMLOCK)
  if (limit === 0) return -EPERM
  return manager.exclusive(
    Effect.sync(() => {
      if ((flags & MCL_CURRENT) !== 0) {
        if (manager.totals().size > limit) return -ENOMEM
        manager.areas.modify(0, manager.layout.taskSize, locked)
      }
      manager.futureFlags = (flags & MCL_FUTURE) !== 0 ? VMA_LOCKED : 0
      return 0
    })
  )
}

/** munlockall(2). */
export const unlockAll = (manager: MemoryManager): Outcome =>
  manager.exclusive(
    Effect.sync(() => {
      manager.areas.modify(0, manager.layout.taskSize, unlocked)
      manager.futureFlags = 0
      return 0
    })
  )
