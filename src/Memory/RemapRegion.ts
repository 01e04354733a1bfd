/**
 * mremap(2).
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EFAULT, EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import { MREMAP_DONTUNMAP, MREMAP_FIXED, MREMAP_MAYMOVE } from "../Abi/Mman.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import { isPageAligned, MAX_MAP_COUNT, MINIMUM_ADDRESS, pageAlign } from "./AddressLayout.ts"
import type { MemoryManager, Outcome, Requester } from "./MemoryManager.ts"
import { isSealed, slice, type Vma, VMA_LOCKED } from "./Vma.ts"

/** The arguments of mremap(2). */
export interface RemapRequest {
  readonly address: number
  readonly oldLength: number
  readonly newLength: number
  readonly flags: number
  /** Where to, for MREMAP_FIXED and (as a hint) MREMAP_DONTUNMAP. */
  readonly newAddress: number
  readonly by: Requester
}

/** A request whose numbers make sense; lengths are whole pages. */
interface Move extends RemapRequest {
  readonly keepOld: boolean
}

/** Resizes, moves or (with an old length of 0) duplicates a mapping: its new address, or -errno. */
export const remap = (manager: MemoryManager, request: RemapRequest): Outcome => {
  const { address, flags, newAddress } = request
  const { taskSize } = manager.layout
  if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0 || !isPageAligned(address)) return -EINVAL
  const oldLength = pageAlign(request.oldLength)
  const newLength = pageAlign(request.newLength)
  if (newLength === 0 || newLength > taskSize) return -EINVAL
  const placed = (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0
  if (placed) {
    if (!isPageAligned(newAddress) || newAddress > taskSize - newLength) return -EINVAL
    if ((flags & MREMAP_MAYMOVE) === 0) return -EINVAL
    if ((flags & MREMAP_DONTUNMAP) !== 0 && oldLength !== newLength) return -EINVAL
    if (address + oldLength > newAddress && newAddress + newLength > address) return -EINVAL
  }
  const move: Move = { ...request, oldLength, newLength, keepOld: (flags & MREMAP_DONTUNMAP) !== 0 || oldLength === 0 }
  return manager.exclusive(
    Effect.suspend(() => {
      const vma = manager.areas.find(address)
      if (vma === undefined) return Effect.succeed(-EFAULT)
      if (oldLength === 0 && !vma.shared) return Effect.succeed(-EINVAL)
      const changed = manager.areas.overlapping(address, address + Math.max(oldLength, 1))
      const replaced = placed ? manager.areas.overlapping(newAddress, newAddress + newLength) : []
      if (changed.some(isSealed) || replaced.some(isSealed)) return Effect.succeed(-EPERM)
      if (!placed) return resize(manager, vma, move)
      const fixed = (flags & MREMAP_FIXED) !== 0
      return fixed && oldLength === newLength ? moveAll(manager, move) : moveTo(manager, vma, move)
    })
  )
}

const resize = (manager: MemoryManager, vma: Vma, move: Move): Effect.Effect<number, PlatformFailed> => {
  const { address, newLength, oldLength } = move
  const end = address + oldLength
  if (newLength === oldLength) return Effect.succeed(address)
  if (newLength < oldLength) {
    return Effect.map(manager.unmapExclusive(address + newLength, end), (result) => (result < 0 ? result : address))
  }
  const refused = refuse(manager, vma, move, newLength - oldLength)
  if (refused !== 0) return Effect.succeed(refused)
  const newEnd = address + newLength
  if (end === vma.end && newEnd <= manager.layout.taskSize && manager.isFree(vma.end, newEnd)) {
    return manager.apply([change(move, address)], () => {
      manager.areas.replace(vma.start, newEnd, [{ ...vma, end: newEnd }])
      return address
    })
  }
  if ((move.flags & MREMAP_MAYMOVE) === 0) return Effect.succeed(-ENOMEM)
  const start = manager.findGap(newLength, 0)
  return start === undefined ? Effect.succeed(-ENOMEM) : transfer(manager, vma, move, start)
}

/** To a given address, in place of what is there; or, for MREMAP_DONTUNMAP alone, anywhere. */
const moveTo = (manager: MemoryManager, vma: Vma, move: Move): Effect.Effect<number, PlatformFailed> => {
  const { address, newLength, oldLength } = move
  const fixed = (move.flags & MREMAP_FIXED) !== 0
  const free = manager.isFree(move.newAddress, move.newAddress + newLength)
  const hinted = move.newAddress >= MINIMUM_ADDRESS && free ? move.newAddress : manager.findGap(newLength, 0)
  const start = fixed ? move.newAddress : hinted
  if (start === undefined) return Effect.succeed(-ENOMEM)
  if (start < MINIMUM_ADDRESS) return Effect.succeed(-EPERM)
  // a duplicate in place of itself: what is to be duplicated goes with what is there
  if (fixed && start === address)
    return Effect.map(manager.unmapExclusive(start, start + newLength), (result) => (result < 0 ? result : -EFAULT))
  const refused = refuse(manager, vma, move, move.keepOld ? newLength : newLength - oldLength)
  if (refused !== 0) return Effect.succeed(refused)
  if (oldLength <= newLength) return transfer(manager, vma, move, start)
  return Effect.flatMap(manager.unmapExclusive(address + newLength, address + oldLength), (result) =>
    result < 0 ? Effect.succeed(result) : transfer(manager, vma, { ...move, oldLength: newLength }, start)
  )
}

/** Without a change of size, a fixed move takes every mapping in the range, and keeps the holes between them. */
const moveAll = (manager: MemoryManager, move: Move): Effect.Effect<number, PlatformFailed> =>
  Effect.gen(function* () {
    const { address, newAddress, oldLength } = move
    for (const vma of manager.areas.clipped(address, address + oldLength)) {
      const length = vma.end - vma.start
      const target = newAddress + (vma.start - address)
      const part = { ...move, address: vma.start, oldLength: length, newLength: length, newAddress: target }
      const moved = yield* moveTo(manager, vma, part)
      if (moved < 0) return moved
    }
    return newAddress
  })

/** What Linux's vma_to_resize refuses when `growth` bytes are added. */
const refuse = (manager: MemoryManager, vma: Vma, move: Move, growth: number): number => {
  const kept = Math.min(move.oldLength, move.newLength)
  if (kept > vma.end - move.address) return -EFAULT // one mapping at a time
  if (manager.areas.size + 3 > MAX_MAP_COUNT) return -ENOMEM
  if (growth <= 0) return 0
  if ((vma.flags & VMA_LOCKED) !== 0 && manager.refuseLock(move.by, growth) !== 0) return -EAGAIN
  return manager.refuseGrowth(move.by, [{ ...vma, start: 0, end: growth, ungrown: 0 }], [])
}

const transfer = (
  manager: MemoryManager,
  vma: Vma,
  move: Move,
  start: number
): Effect.Effect<number, PlatformFailed> => {
  const { address, keepOld, newLength, oldLength } = move
  const end = address + oldLength
  return manager.apply([change(move, start)], () => {
    const moved: Vma = { ...slice(vma, address, end), start, end: start + newLength, ungrown: 0 }
    const left = keepOld && oldLength > 0 ? [{ ...slice(vma, address, end), flags: vma.flags & ~VMA_LOCKED }] : []
    // the new place first: the file stays retained throughout
    manager.areas.replace(start, start + newLength, [moved])
    if (oldLength > 0) manager.areas.replace(address, end, left)
    return start
  })
}

const change = ({ address, keepOld, newLength, oldLength }: Move, newAddress: number) =>
  ({ _tag: "Remap", address, oldLength, newLength, newAddress, keepOld: keepOld && oldLength > 0 }) as const
