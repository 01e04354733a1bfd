/**
 * One virtual memory area: a range of a guest's addresses with the same protection and backing. A value; a change makes
 * a new one.
 */
import { PROT_WRITE } from "../Abi/Mman.ts"
import { STACK_GUARD_GAP } from "./AddressLayout.ts"
import type { NumaPolicy } from "./NumaPolicy.ts"
import type { Range } from "./RangeMap.ts"

/** Attributes of a file that matter where it is mapped. */
export interface MappedStat {
  readonly dev: number
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly size: number
}

/** What memory management needs of an open file description. */
export interface MappedFile {
  readonly readable: boolean
  readonly writable: boolean
  /** A host file of the sentry's whose byte `offset + x` is byte `x` of this file; or -ENODEV. */
  mappable(): { readonly fd: number; readonly offset: number } | number
  stat(): MappedStat | number
  /** What /proc/[pid]/maps shows. */
  describe(): string
  /** The inode: what two descriptions of one file have in common. */
  lockTarget(): object
  retain(): MappedFile
  release(): void
}

/** The pages behind a MAP_SHARED | MAP_ANONYMOUS mapping: an identity, as the host has the pages. */
export class SharedAnonymous {
  /** Linux backs such memory by a deleted file of this name. */
  readonly name = "/dev/zero (deleted)"
}

/** Where pages come from: a file or shared object from a byte offset on. */
export interface Backing {
  readonly object: MappedFile | SharedAnonymous
  readonly offset: number
}

/** Faults just below it extend it, within RLIMIT_STACK. */
export const VMA_GROWSDOWN = 1
/** Counts against RLIMIT_MEMLOCK. */
export const VMA_LOCKED = 2
/** MADV_DONTFORK. */
export const VMA_DONTFORK = 4
/** MADV_WIPEONFORK. */
export const VMA_WIPEONFORK = 8
/** MADV_DONTDUMP. */
export const VMA_DONTDUMP = 16
export const VMA_NORESERVE = 32
/** mprotect(2) may add PROT_WRITE: false only for shared mappings of files not open for writing. */
export const VMA_MAYWRITE = 64

/** It was private and writable at some time. Only keeps areas apart that Linux, too, lists as two. */
export const VMA_ACCOUNT = 128

/** mprotect(2) may not add PROT_EXEC: the file is on a mount with the noexec option. */
export const VMA_NOEXEC = 256

/** mseal(2): it stays as it is until the program ends. */
export const VMA_SEALED = 512

/** MADV_SEQUENTIAL and so on, the last five: they keep areas apart, as Linux lists them. */
export const VMA_SEQUENTIAL = 1024
export const VMA_RANDOM = 2048
export const VMA_HUGEPAGE = 4096
export const VMA_NOHUGEPAGE = 8192
export const VMA_MERGEABLE = 16384

export const isSealed = ({ flags }: Vma): boolean => (flags & VMA_SEALED) !== 0

export interface Vma extends Range {
  /** PROT_READ, PROT_WRITE and PROT_EXEC bits. */
  readonly protection: number
  readonly shared: boolean
  /** Undefined: private pages of zeros. */
  readonly backing: Backing | undefined
  /** VMA_* bits. */
  readonly flags: number
  /** What /proc/[pid]/maps shows if there is no file: "[vdso]", "[anon:name]". The heap and the stack go by address. */
  readonly name: string | undefined
  /**
   * Bytes at the low end of a stack that the host has mapped already, though Linux would only do so at the first
   * fault: neither listed nor counted.
   */
  readonly ungrown: number
  /** mbind(2). Absent: as the task's policy says. */
  readonly numa?: NumaPolicy | undefined
}

/** Where the area begins as the guest may see it. */
export const visibleStart = (vma: Vma): number => vma.start + vma.ungrown

/** Bytes that count: against RLIMIT_AS, in VmSize. */
export const countedSize = (vma: Vma): number => vma.end - vma.start - vma.ungrown

/** Whether it counts against RLIMIT_DATA: private, writable, not a stack (Linux's is_data_mapping). */
export const isData = (vma: Vma): boolean =>
  !vma.shared && (vma.protection & PROT_WRITE) !== 0 && (vma.flags & VMA_GROWSDOWN) === 0

/** Whether every page of it might have to be stored: what Linux's overcommit accounting counts. */
export const isCommitted = (vma: Vma): boolean => {
  if ((vma.flags & VMA_NORESERVE) !== 0) return false
  return vma.shared ? vma.backing?.object instanceof SharedAnonymous : (vma.protection & PROT_WRITE) !== 0
}

/** `vma`, marked if its pages count as committed (Linux's VM_ACCOUNT, which stays when it becomes read-only). */
export const accounted = (vma: Vma): Vma =>
  !vma.shared && (vma.protection & PROT_WRITE) !== 0 && (vma.flags & (VMA_NORESERVE | VMA_ACCOUNT)) === 0
    ? { ...vma, flags: vma.flags | VMA_ACCOUNT }
    : vma

export const isFile = (object: MappedFile | SharedAnonymous): object is MappedFile =>
  !(object instanceof SharedAnonymous)

/** The part of `vma` from `start` to `end`. */
export const slice = (vma: Vma, start: number, end: number): Vma => ({
  ...vma,
  start,
  end,
  backing:
    vma.backing === undefined
      ? undefined
      : { object: vma.backing.object, offset: vma.backing.offset + (start - vma.start) },
  ungrown: Math.min(end - start, Math.max(0, visibleStart(vma) - start))
})

/** One area in place of two that touch, if nothing tells them apart. */
export const merge = (low: Vma, high: Vma): Vma | undefined => {
  if (
    low.protection !== high.protection ||
    low.shared !== high.shared ||
    low.flags !== high.flags ||
    low.name !== high.name ||
    low.numa !== high.numa ||
    high.ungrown !== 0
  ) {
    return undefined
  }
  if (low.backing === undefined || high.backing === undefined) {
    return low.backing === high.backing ? { ...low, end: high.end } : undefined
  }
  const follows =
    low.backing.object === high.backing.object && low.backing.offset + (low.end - low.start) === high.backing.offset
  return follows ? { ...low, end: high.end } : undefined
}

/** Bytes that must stay free below `vma`. */
export const guardBelow = (vma: Vma): number => ((vma.flags & VMA_GROWSDOWN) !== 0 ? STACK_GUARD_GAP : 0)

/** An area of private zero pages. */
export const anonymous = (start: number, end: number, protection: number): Vma => ({
  start,
  end,
  protection,
  shared: false,
  backing: undefined,
  flags: VMA_MAYWRITE,
  name: undefined,
  ungrown: 0
})
