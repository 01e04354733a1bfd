/**
 * Reads the headers of an ELF file: the checks that Linux's load_elf_binary makes before it gives up the old program.
 */
import { EINVAL, EIO } from "../Abi/Errno.ts"
import { Elf64Ehdr, Elf64Phdr, ELFMAG, EM_X86_64, ET_DYN, ET_EXEC, PF_R, PF_W, PF_X, PT_LOAD } from "../Abi/Elf.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { pageAlign, pageStart } from "../Memory/AddressLayout.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** An open ELF file and its headers. Nothing in the headers is to be believed. */
export interface ElfImage {
  readonly file: OpenFileDescription
  readonly header: Elf64Ehdr
  readonly programHeaders: ReadonlyArray<Elf64Phdr>
}

/** Reads up to `length` bytes at `offset`; fewer at the end of the file; or -errno. */
export const readBytes = (file: OpenFileDescription, length: number, offset: number): Uint8Array | number => {
  const bytes = new Uint8Array(length)
  let count = 0
  while (count < length) {
    const got = file.readAt(bytes.subarray(count), offset + count)
    if (got < 0) return got
    if (got === 0) break
    count += got
  }
  return bytes.subarray(0, count)
}

/** Reads exactly `length` bytes, or -EIO if the file ends before; -EINVAL for an offset that is negative in C. */
export const readExactly = (file: OpenFileDescription, length: number, offset: number): Uint8Array | number => {
  if (offset >= 2 ** 63) return -EINVAL
  if (offset > Number.MAX_SAFE_INTEGER - length) return -EIO
  const bytes = readBytes(file, length, offset)
  return typeof bytes === "number" || bytes.length === length ? bytes : -EIO
}

/** Whether `bytes` begin with the ELF magic number. */
export const hasElfMagic = (bytes: Uint8Array): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset, ELFMAG.length).toString("latin1") === ELFMAG

/** Whether this is a program or shared object for x86-64 (a 32-bit one says another machine). */
export const isLoadable = ({ e_machine, e_type }: Elf64Ehdr): boolean =>
  isMachine(e_machine) && (e_type === ET_EXEC || e_type === ET_DYN)

export const isMachine = (machine: number): boolean => machine === EM_X86_64

/** The program headers; undefined if they are of the wrong size, none, more than a page, or beyond the file. */
export const readProgramHeaders = (
  file: OpenFileDescription,
  header: Elf64Ehdr
): ReadonlyArray<Elf64Phdr> | undefined => {
  const size = header.e_phnum * Elf64Phdr.size
  if (header.e_phentsize !== Elf64Phdr.size || size === 0 || size > PAGE_SIZE) return undefined
  const bytes = readExactly(file, size, header.e_phoff)
  if (typeof bytes === "number") return undefined
  return Array.from({ length: header.e_phnum }, (_, index) => Elf64Phdr.decode(bytes.subarray(index * Elf64Phdr.size)))
}

/** The first 64 bytes as an ELF header. */
export const decodeHeader = (bytes: Uint8Array): Elf64Ehdr => Elf64Ehdr.decode(bytes)

/** The loadable segments, in the file's order. */
export const loadSegments = (image: ElfImage): ReadonlyArray<Elf64Phdr> =>
  image.programHeaders.filter((segment) => segment.p_type === PT_LOAD)

/** Bytes from the lowest page of the segments to their highest byte; 0 without segments. May be absurdly large. */
export const totalMappingSize = (segments: ReadonlyArray<Elf64Phdr>): number => {
  if (segments.length === 0) return 0
  const low = Math.min(...segments.map((segment) => pageStart(segment.p_vaddr)))
  return Math.max(...segments.map((segment) => segment.p_vaddr + segment.p_memsz)) - low
}

/** The largest p_align that is a power of two, at least a page; 0 if there is none. */
export const maximumAlignment = (segments: ReadonlyArray<Elf64Phdr>): number =>
  pageAlign(Math.max(0, ...segments.map((segment) => segment.p_align).filter(isPowerOfTwo)))

const isPowerOfTwo = (n: number): boolean => n > 0 && n < 2 ** 53 && n === 2 ** Math.round(Math.log2(n))

/** PROT_* bits of a segment. */
export const protectionOf = ({ p_flags }: Elf64Phdr): number =>
  ((p_flags & PF_R) !== 0 ? PROT_READ : 0) |
  ((p_flags & PF_W) !== 0 ? PROT_WRITE : 0) |
  ((p_flags & PF_X) !== 0 ? PROT_EXEC : 0)
