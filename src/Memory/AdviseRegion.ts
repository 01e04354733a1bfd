/**
 * madvise(2) and msync(2).
 */
import * as Effect from "effect/Effect"
import { EACCES, EBUSY, EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import * as Mman from "../Abi/Mman.ts"
import type { MappingChange } from "../Platform/Platform.ts"
import { isPageAligned, pageAlign } from "./AddressLayout.ts"
import type { MemoryManager, Outcome } from "./MemoryManager.ts"
import {
  isSealed,
  type Vma,
  VMA_DONTDUMP,
  VMA_DONTFORK,
  VMA_HUGEPAGE,
  VMA_LOCKED,
  VMA_MAYWRITE,
  VMA_MERGEABLE,
  VMA_NOHUGEPAGE,
  VMA_RANDOM,
  VMA_SEQUENTIAL,
  VMA_WIPEONFORK
} from "./Vma.ts"

const HUGE_PAGE = 2 * 1024 * 1024

/** What one kind of advice is to this kernel. */
interface Advice {
  /** Errno (negative) for an area that cannot take it, else 0. */
  readonly refuse?: (vma: Vma) => number
  /** Told to the host: the contents, the copy at fork, or speed depend on it. */
  readonly host?: true
  /** The area's flags afterwards. */
  readonly flags?: (flags: number, vma: Vma) => number
}

/** What takes contents away is a change, too, where the program itself could not make it. */
const isSealedAgainst = (advice: number, vma: Vma): boolean =>
  isSealed(vma) && isPrivateAnonymous(vma) && (vma.protection & Mman.PROT_WRITE) === 0 && DISCARDS.has(advice)

const DISCARDS = new Set([
  Mman.MADV_DONTNEED,
  Mman.MADV_FREE,
  Mman.MADV_DONTNEED_LOCKED,
  Mman.MADV_REMOVE,
  Mman.MADV_DONTFORK,
  Mman.MADV_WIPEONFORK,
  Mman.MADV_GUARD_INSTALL
])

const isPrivateAnonymous = (vma: Vma): boolean => !vma.shared && vma.backing === undefined
const unlessLocked = (vma: Vma): number => ((vma.flags & VMA_LOCKED) !== 0 ? -EINVAL : 0)
const onlyAnonymous = (vma: Vma): number => (isPrivateAnonymous(vma) ? 0 : -EINVAL)
const onlySharedWritable = (vma: Vma): number => {
  if ((vma.flags & VMA_LOCKED) !== 0 || vma.backing === undefined) return -EINVAL
  return vma.shared && (vma.flags & VMA_MAYWRITE) !== 0 ? 0 : -EACCES
}
const onlyUnlockedAnonymous = (vma: Vma): number => unlessLocked(vma) || onlyAnonymous(vma)

/** Whether a huge page fits. */
const unlessHuge = ({ end, start }: Vma): number =>
  Math.ceil(start / HUGE_PAGE) * HUGE_PAGE + HUGE_PAGE > end ? -EINVAL : 0

/** In which order it is read; in what pages it should be. */
const ORDER = VMA_RANDOM | VMA_SEQUENTIAL
const HUGE = VMA_HUGEPAGE | VMA_NOHUGEPAGE

/** A hint without a visible effect. */
const hint: Advice = {}

const advices: ReadonlyMap<number, Advice> = new Map<number, Advice>([
  [Mman.MADV_NORMAL, { flags: (flags) => flags & ~ORDER }],
  [Mman.MADV_RANDOM, { flags: (flags) => (flags & ~ORDER) | VMA_RANDOM }],
  [Mman.MADV_SEQUENTIAL, { flags: (flags) => (flags & ~ORDER) | VMA_SEQUENTIAL }],
  [Mman.MADV_WILLNEED, hint],
  [Mman.MADV_DONTNEED, { host: true, refuse: unlessLocked }],
  [Mman.MADV_FREE, { host: true, refuse: onlyUnlockedAnonymous }],
  [Mman.MADV_REMOVE, { host: true, refuse: onlySharedWritable }],
  [Mman.MADV_DONTFORK, { host: true, flags: (flags) => flags | VMA_DONTFORK }],
  [Mman.MADV_DOFORK, { host: true, flags: (flags) => flags & ~VMA_DONTFORK }],
  [Mman.MADV_MERGEABLE, { flags: (flags, vma) => (vma.shared ? flags : flags | VMA_MERGEABLE) }],
  [Mman.MADV_UNMERGEABLE, { flags: (flags) => flags & ~VMA_MERGEABLE }],
  [Mman.MADV_HUGEPAGE, { host: true, flags: (flags) => (flags & ~HUGE) | VMA_HUGEPAGE }],
  [Mman.MADV_NOHUGEPAGE, { host: true, flags: (flags) => (flags & ~HUGE) | VMA_NOHUGEPAGE }],
  [Mman.MADV_DONTDUMP, { flags: (flags) => flags | VMA_DONTDUMP }],
  [Mman.MADV_DODUMP, { flags: (flags) => flags & ~VMA_DONTDUMP }],
  [Mman.MADV_WIPEONFORK, { host: true, refuse: onlyAnonymous, flags: (flags) => flags | VMA_WIPEONFORK }],
  [Mman.MADV_KEEPONFORK, { host: true, flags: (flags) => flags & ~VMA_WIPEONFORK }],
  [Mman.MADV_COLD, { refuse: unlessLocked }],
  [Mman.MADV_PAGEOUT, { refuse: unlessLocked }],
  [Mman.MADV_POPULATE_READ, { host: true }],
  [Mman.MADV_POPULATE_WRITE, { host: true }],
  [Mman.MADV_DONTNEED_LOCKED, { host: true }],
  [Mman.MADV_COLLAPSE, { refuse: unlessHuge }],
  [Mman.MADV_GUARD_INSTALL, { host: true, refuse: unlessLocked }],
  [Mman.MADV_GUARD_REMOVE, { host: true }]
])

/** Gives advice on [address, address + length). Holes are skipped, and reported as -ENOMEM in the end. */
export const advise = (manager: MemoryManager, address: number, length: number, advice: number): Outcome => {
  const rule = advices.get(advice)
  const size = pageAlign(length)
  if (rule === undefined || !isPageAligned(address) || (length > 0 && size === 0)) return -EINVAL
  if (address + size >= 2 ** 64) return -EINVAL
  if (size === 0) return 0
  return manager.exclusive(
    Effect.suspend(() => {
      const areas = manager.areas.clipped(address, address + size)
      const refuse = (vma: Vma): number => (isSealedAgainst(advice, vma) ? -EPERM : (rule.refuse?.(vma) ?? 0))
      const { covered, result } = walk(areas, address, address + size, refuse)
      const changes: ReadonlyArray<MappingChange> =
        rule.host === undefined
          ? []
          : covered.map(({ end, start }) => ({ _tag: "Advise", address: start, length: end - start, advice }))
      return manager.apply(changes, () => {
        const { flags } = rule
        if (advice === Mman.MADV_GUARD_INSTALL) for (const { end, start } of covered) manager.guard(start, end)
        if (flags !== undefined) {
          for (const { end, start } of covered) {
            manager.areas.modify(start, end, (vma) => ({ ...vma, flags: flags(vma.flags, vma) }))
          }
        }
        return result
      })
    })
  )
}

/**
 * The runs of addresses in [start, end) without holes, up to the first area that `refuse` refuses, and what the call
 * returns: that refusal, -ENOMEM if there was a hole, or 0.
 */
const walk = (
  areas: ReadonlyArray<Vma>,
  start: number,
  end: number,
  refuse: ((vma: Vma) => number) | undefined
): { readonly covered: ReadonlyArray<{ start: number; end: number }>; readonly result: number } => {
  const covered: Array<{ start: number; end: number }> = []
  let reached = start
  let result = 0
  for (const vma of areas) {
    if (vma.start > reached) result = -ENOMEM
    const refused = refuse?.(vma) ?? 0
    if (refused !== 0) return { covered, result: refused }
    const run = covered.at(-1)
    if (run !== undefined && run.end === vma.start) run.end = vma.end
    else covered.push({ start: vma.start, end: vma.end })
    reached = vma.end
  }
  return { covered, result: reached < end ? -ENOMEM : result }
}

/** msync(2): writes shared pages back to their files. */
export const synchronize = (manager: MemoryManager, address: number, length: number, flags: number): Outcome => {
  const { MS_ASYNC, MS_INVALIDATE, MS_SYNC } = Mman
  if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0 || !isPageAligned(address)) return -EINVAL
  if ((flags & MS_ASYNC) !== 0 && (flags & MS_SYNC) !== 0) return -EINVAL
  const size = pageAlign(length)
  if (address + size >= 2 ** 64) return -ENOMEM
  if (size === 0) return 0 // as for a length that is nothing once it is rounded up
  return manager.exclusive(
    Effect.suspend(() => {
      const busy = (vma: Vma): number => ((flags & MS_INVALIDATE) !== 0 && (vma.flags & VMA_LOCKED) !== 0 ? -EBUSY : 0)
      const areas = manager.areas.clipped(address, address + size)
      const { covered, result } = walk(areas, address, address + size, busy)
      const last = covered.at(-1)?.end ?? address
      const changes =
        (flags & MS_SYNC) === 0
          ? []
          : areas
              .filter((vma) => vma.shared && vma.backing !== undefined && vma.end <= last)
              .map(({ end, start }) => ({ _tag: "Synchronize", address: start, length: end - start, flags }) as const)
      return manager.apply(changes, () => result)
    })
  )
}
