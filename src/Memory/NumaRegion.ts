/**
 * mbind(2) and set_mempolicy_home_node(2): policies of ranges of memory.
 */
import * as Effect from "effect/Effect"
import { EFAULT, EINVAL, ENOENT, EOPNOTSUPP } from "../Abi/Errno.ts"
import { MPOL_BIND, MPOL_PREFERRED_MANY } from "../Abi/Mempolicy.ts"
import { isPageAligned, pageAlign } from "./AddressLayout.ts"
import type { MemoryManager, Outcome } from "./MemoryManager.ts"
import type { NumaPolicy } from "./NumaPolicy.ts"
import type { Vma } from "./Vma.ts"

/** The end of a range of `length` bytes; -EINVAL for a range that wraps or begins within a page. */
const endOf = (address: number, length: number): number => {
  const end = address + pageAlign(length)
  return !isPageAligned(address) || end >= 2 ** 64 || end < address ? -EINVAL : end
}

/** Gives [address, address + length) a policy, if all of it is mapped (-EFAULT). */
export const bindRange = (
  manager: MemoryManager,
  address: number,
  length: number,
  make: () => NumaPolicy | undefined | number
): Outcome => {
  const end = endOf(address, length)
  if (end < 0 || end === address) return end < 0 ? end : 0
  const policy = make()
  if (typeof policy === "number") return policy
  return manager.exclusive(
    Effect.sync(() => {
      let reached = address
      for (const vma of manager.areas.clipped(address, end)) {
        if (vma.start > reached) return -EFAULT
        reached = vma.end
      }
      if (reached < end) return -EFAULT
      manager.areas.modify(address, end, (vma) => ({ ...vma, numa: policy }))
      return 0
    })
  )
}

const hasHome = ({ numa }: Vma): boolean => numa?.mode === MPOL_BIND || numa?.mode === MPOL_PREFERRED_MANY

/** Names the node that a range's policies prefer. There is but one, so that this only checks. */
export const setHomeNode = (manager: MemoryManager, address: number, length: number): Outcome => {
  const end = endOf(address, length)
  if (end < 0 || end === address) return end < 0 ? end : 0
  return manager.exclusive(
    Effect.sync(() => {
      const bound = manager.areas.clipped(address, end).filter(({ numa }) => numa !== undefined)
      if (bound.length === 0) return -ENOENT
      return bound.every(hasHome) ? 0 : -EOPNOTSUPP
    })
  )
}
