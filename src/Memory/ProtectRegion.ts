/**
 * mprotect(2).
 */
import * as Effect from "effect/Effect"
import { EACCES, EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import { PROT_ALL, PROT_EXEC, PROT_GROWSDOWN, PROT_GROWSUP, PROT_SEM, PROT_WRITE } from "../Abi/Mman.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import { isPageAligned, MAX_MAP_COUNT, pageAlign } from "./AddressLayout.ts"
import { refuseExecGain } from "./MemoryPolicy.ts"
import type { MemoryManager, Outcome, Requester } from "./MemoryManager.ts"
import { accounted, isData, isSealed, VMA_GROWSDOWN, VMA_MAYWRITE, VMA_NOEXEC } from "./Vma.ts"

/**
 * Changes the protection of [address, address + length). Areas below a hole, or below one that may not be written, are
 * changed although the call fails (-ENOMEM, -EACCES), as in Linux.
 */
export const protect = (
  manager: MemoryManager,
  address: number,
  length: number,
  protection: number,
  by: Requester
): Outcome => {
  const grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP)
  if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || !isPageAligned(address)) return -EINVAL
  if (length === 0) return 0
  const size = pageAlign(length)
  if (size === 0 || address + size >= 2 ** 64) return -ENOMEM
  if ((protection & ~(PROT_ALL | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL
  return manager.exclusive(
    Effect.suspend(() => {
      const start = firstAddress(manager, address, address + size, grows)
      return start < 0
        ? Effect.succeed(start)
        : protectExclusive(manager, start, address + size, protection & PROT_ALL, by)
    })
  )
}

/** Where the change begins: PROT_GROWSDOWN takes in the stack below. -errno if nothing is mapped there. */
const firstAddress = (manager: MemoryManager, start: number, end: number, grows: number): number => {
  const first = manager.areas.firstEndingAfter(start)
  if (first === undefined) return -ENOMEM
  if (grows === PROT_GROWSDOWN) {
    if (first.start >= end) return -ENOMEM
    return (first.flags & VMA_GROWSDOWN) === 0 ? -EINVAL : first.start
  }
  if (first.start > start) return -ENOMEM
  return grows === PROT_GROWSUP ? -EINVAL : start
}

const protectExclusive = (
  manager: MemoryManager,
  start: number,
  end: number,
  protection: number,
  by: Requester
): Effect.Effect<number, PlatformFailed> => {
  const refuse = (vma: Parameters<typeof isData>[0]): number => {
    if (isSealed(vma)) return -EPERM
    if ((protection & PROT_EXEC) !== 0 && (vma.flags & VMA_NOEXEC) !== 0) return -EACCES
    const gains = refuseExecGain(manager.policy, vma.protection, protection)
    if (gains !== 0 || (protection & PROT_WRITE) === 0) return gains
    if ((vma.flags & VMA_MAYWRITE) === 0) return -EACCES
    return isData(vma) ? 0 : manager.refuseGrowth(by, [{ ...vma, protection }], [vma])
  }
  let reached = start
  let failure = 0
  for (const vma of manager.areas.clipped(start, end)) {
    if (vma.start > reached) break
    failure = refuse(vma)
    if (failure !== 0) break
    reached = vma.end
  }
  if (failure === 0 && reached < end) failure = -ENOMEM
  if (reached === start) return Effect.succeed(failure)
  if (manager.areas.size + 2 > MAX_MAP_COUNT) return Effect.succeed(-ENOMEM)
  return manager.apply([{ _tag: "Protect", address: start, length: reached - start, protection }], () => {
    manager.areas.modify(start, reached, (vma) => accounted({ ...vma, protection }))
    return failure
  })
}
