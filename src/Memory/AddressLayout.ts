/**
 * Where things go in a 64-bit address space: the constants and the random offsets of Linux's arch/x86/mm/mmap.c and
 * fs/binfmt_elf.c.
 */
import { PAGE_SIZE } from "../Abi/Mman.ts"
import type { Entropy } from "../Time/Entropy.ts"

const MIB = 1024 * 1024
const GIB = 1024 * MIB

/** vm.mmap_min_addr. */
export const MINIMUM_ADDRESS = 65536
/** vm.max_map_count. */
export const MAX_MAP_COUNT = 65530
/** Free addresses kept below a stack: stack_guard_gap, 256 pages. */
export const STACK_GUARD_GAP = 256 * PAGE_SIZE
/** Rounded up to a page. 0 for what a 64-bit sum would wrap to. */
export const pageAlign = (length: number): number => {
  const aligned = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE
  return aligned >= 2 ** 64 ? 0 : aligned
}
/** Rounded down to a page. */
export const pageStart = (address: number): number => Math.floor(address / PAGE_SIZE) * PAGE_SIZE
export const isPageAligned = (address: number): boolean => address % PAGE_SIZE === 0

/** Fixed at execve(2). */
export interface AddressLayout {
  /** First address that can never be mapped. */
  readonly taskSize: number
  /** Where the stack ends. */
  readonly stackTop: number
  /** mmap(2) places mappings downwards from here. */
  readonly mmapBase: number
  /** Where a position-independent program with an interpreter is loaded, before alignment. */
  readonly programBase: number
  /** ELF_ET_DYN_BASE: two thirds up; the heap of a program that is its own interpreter starts above it. */
  readonly dynamicBase: number
}

/** A random multiple of a page with `bits` (at most 31) random bits; 0 without randomness. */
export const randomPages = (entropy: Entropy | undefined, bits: number): number => {
  if (entropy === undefined) return 0
  const bytes = new Uint8Array(4)
  entropy.fill(bytes)
  return (new DataView(bytes.buffer).getUint32(0, true) % 2 ** bits) * PAGE_SIZE
}

/**
 * A layout for a stack of at most `stackLimit` bytes (RLIMIT_STACK). Without `entropy`, addresses are always the same.
 */
export const makeLayout = (taskSize: number, stackLimit: number, entropy: Entropy | undefined): AddressLayout => {
  const stackTop = taskSize - randomPages(entropy, 22)
  const stackRandom = entropy === undefined ? 0 : 2 ** 22 * PAGE_SIZE
  // a limit of "infinity" makes the gap as large as it gets
  const gap = Math.min(Math.max(stackLimit + stackRandom + STACK_GUARD_GAP, 128 * MIB), Math.floor(taskSize / 6) * 5)
  return {
    taskSize,
    stackTop,
    mmapBase: pageStart(taskSize - gap - randomPages(entropy, 28)),
    programBase: Math.floor(taskSize / 3) * 2 + randomPages(entropy, 28),
    dynamicBase: Math.floor(taskSize / 3) * 2
  }
}

/** Where the heap starts, given the end of the program: up to 1 GiB above it (arch_randomize_brk). */
export const randomizeHeap = (end: number, entropy: Entropy | undefined): number =>
  entropy === undefined ? end : end + (randomPages(entropy, 31) % GIB)
