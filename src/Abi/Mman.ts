/**
 * mmap(2), mprotect(2), mremap(2), madvise(2), msync(2), mlock(2), x86-64 values.
 */

/** Bytes of a page, and the mask of the bits within one. */
export const PAGE_SIZE = 4096

/** Where user space ends: the lower half of the canonical addresses, minus a guard page. */
export const TASK_SIZE = 2 ** 47 - 4096

export const PROT_NONE = 0
export const PROT_READ = 0x1
export const PROT_WRITE = 0x2
export const PROT_EXEC = 0x4
export const PROT_SEM = 0x8
/** The bits that say what may be done with a page. */
export const PROT_ALL = 0x7
export const PROT_GROWSDOWN = 0x0100_0000
export const PROT_GROWSUP = 0x0200_0000

export const MAP_SHARED = 0x01
export const MAP_PRIVATE = 0x02
export const MAP_SHARED_VALIDATE = 0x03
export const MAP_TYPE = 0x0f
export const MAP_FIXED = 0x10
export const MAP_ANONYMOUS = 0x20
export const MAP_32BIT = 0x40
export const MAP_GROWSDOWN = 0x0100
export const MAP_DENYWRITE = 0x0800
export const MAP_EXECUTABLE = 0x1000
export const MAP_LOCKED = 0x2000
export const MAP_NORESERVE = 0x4000
export const MAP_POPULATE = 0x8000
export const MAP_NONBLOCK = 0x1_0000
export const MAP_STACK = 0x2_0000
export const MAP_HUGETLB = 0x4_0000
export const MAP_SYNC = 0x8_0000
export const MAP_FIXED_NOREPLACE = 0x10_0000
export const MAP_HUGE_SHIFT = 26

export const MREMAP_MAYMOVE = 1
export const MREMAP_FIXED = 2
export const MREMAP_DONTUNMAP = 4

export const MS_ASYNC = 1
export const MS_INVALIDATE = 2
export const MS_SYNC = 4

export const MCL_CURRENT = 1
export const MCL_FUTURE = 2
export const MCL_ONFAULT = 4
export const MLOCK_ONFAULT = 1

export const MADV_NORMAL = 0
export const MADV_RANDOM = 1
export const MADV_SEQUENTIAL = 2
export const MADV_WILLNEED = 3
export const MADV_DONTNEED = 4
export const MADV_FREE = 8
export const MADV_REMOVE = 9
export const MADV_DONTFORK = 10
export const MADV_DOFORK = 11
export const MADV_MERGEABLE = 12
export const MADV_UNMERGEABLE = 13
export const MADV_HUGEPAGE = 14
export const MADV_NOHUGEPAGE = 15
export const MADV_DONTDUMP = 16
export const MADV_DODUMP = 17
export const MADV_WIPEONFORK = 18
export const MADV_KEEPONFORK = 19
export const MADV_COLD = 20
export const MADV_PAGEOUT = 21
export const MADV_POPULATE_READ = 22
export const MADV_POPULATE_WRITE = 23
export const MADV_DONTNEED_LOCKED = 24
export const MADV_COLLAPSE = 25
export const MADV_GUARD_INSTALL = 102
export const MADV_GUARD_REMOVE = 103

type Names = ReadonlyArray<readonly [name: string, value: number]>

export const PROT_NAMES: Names = Object.entries({
  PROT_READ,
  PROT_WRITE,
  PROT_EXEC,
  PROT_SEM,
  PROT_GROWSDOWN,
  PROT_GROWSUP
})

/** The type is not a bit set: MAP_SHARED_VALIDATE comes before its parts. */
export const MAP_NAMES: Names = Object.entries({
  MAP_SHARED_VALIDATE,
  MAP_SHARED,
  MAP_PRIVATE,
  MAP_FIXED,
  MAP_ANONYMOUS,
  MAP_32BIT,
  MAP_GROWSDOWN,
  MAP_DENYWRITE,
  MAP_EXECUTABLE,
  MAP_LOCKED,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_NONBLOCK,
  MAP_STACK,
  MAP_HUGETLB,
  MAP_SYNC,
  MAP_FIXED_NOREPLACE
})

export const MREMAP_NAMES: Names = Object.entries({ MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP })
export const MS_NAMES: Names = Object.entries({ MS_ASYNC, MS_INVALIDATE, MS_SYNC })
export const MCL_NAMES: Names = Object.entries({ MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT })
export const MLOCK_NAMES: Names = Object.entries({ MLOCK_ONFAULT })

export const MADV_NAMES: Names = Object.entries({
  MADV_NORMAL,
  MADV_RANDOM,
  MADV_SEQUENTIAL,
  MADV_WILLNEED,
  MADV_DONTNEED,
  MADV_FREE,
  MADV_REMOVE,
  MADV_DONTFORK,
  MADV_DOFORK,
  MADV_MERGEABLE,
  MADV_UNMERGEABLE,
  MADV_HUGEPAGE,
  MADV_NOHUGEPAGE,
  MADV_DONTDUMP,
  MADV_DODUMP,
  MADV_WIPEONFORK,
  MADV_KEEPONFORK,
  MADV_COLD,
  MADV_PAGEOUT,
  MADV_POPULATE_READ,
  MADV_POPULATE_WRITE,
  MADV_DONTNEED_LOCKED,
  MADV_COLLAPSE,
  MADV_GUARD_INSTALL,
  MADV_GUARD_REMOVE
})
