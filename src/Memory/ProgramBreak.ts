/**
 * brk(2): the heap.
 */
import * as Effect from "effect/Effect"
import { PAGE_SIZE, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { RLIMIT_DATA } from "../Abi/Resource.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import { pageAlign } from "./AddressLayout.ts"
import type { MemoryManager, Outcome, Requester } from "./MemoryManager.ts"
import { accounted, anonymous, VMA_MAYWRITE } from "./Vma.ts"

/** Linux's own brk(2): the new break, or the old one if it cannot be set. */
export const setBreak = (manager: MemoryManager, address: number, by: Requester): Outcome =>
  address < manager.image.startBrk
    ? manager.brkEnd
    : manager.exclusive(Effect.suspend(() => setExclusive(manager, address, by)))

const setExclusive = (
  manager: MemoryManager,
  address: number,
  by: Requester
): Effect.Effect<number, PlatformFailed> => {
  const { areas, futureFlags, image, layout } = manager
  const old = manager.brkEnd
  const refused = Effect.succeed(old)
  if (address - image.startBrk + (image.endData - image.startData) > by.limits.soft(RLIMIT_DATA)) return refused
  const commit = (): number => (manager.brkEnd = address)
  const from = pageAlign(old)
  const to = pageAlign(address)
  if (to === from) return Effect.succeed(commit())
  if (address <= old) return Effect.map(manager.unmapExclusive(to, from), (result) => (result < 0 ? old : commit()))

  if (to > layout.taskSize || !manager.isFree(from, to + PAGE_SIZE)) return refused
  if (futureFlags !== 0 && manager.refuseLock(by, to - from) !== 0) return refused
  const vma = accounted({ ...anonymous(from, to, PROT_READ | PROT_WRITE), flags: VMA_MAYWRITE | futureFlags })
  if (manager.refuseGrowth(by, [vma], []) !== 0) return refused
  const grow = manager.apply([manager.mapChange(vma, futureFlags !== 0)], () => {
    areas.replace(from, to, [vma])
    return commit()
  })
  return Effect.map(grow, (result) => (result < 0 ? old : result))
}
