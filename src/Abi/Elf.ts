/**
 * The ELF file format, elf(5), 64-bit little-endian.
 *
 * Every field comes out of a file that somebody hostile may have written. 64-bit fields are numbers: exact up to 2^53,
 * and beyond that still larger than any address or file, so a comparison with a limit is always right.
 */
import * as Struct from "./Struct.ts"

/** `e_ident[0..3]`: 0x7f "ELF". */
export const ELFMAG = "\x7fELF"

export const ET_EXEC = 2
export const ET_DYN = 3
export const ET_CORE = 4
export const EM_X86_64 = 62

export const PT_LOAD = 1
export const PT_INTERP = 3
export const PT_NOTE = 4
export const PT_GNU_STACK = 0x6474_e551

export const PF_X = 1
export const PF_W = 2
export const PF_R = 4

export const Elf64Ehdr = Struct.make("Elf64_Ehdr", {
  e_ident: Struct.bytes(16),
  e_type: Struct.u16,
  e_machine: Struct.u16,
  e_version: Struct.u32,
  e_entry: Struct.ulong,
  e_phoff: Struct.ulong,
  e_shoff: Struct.ulong,
  e_flags: Struct.u32,
  e_ehsize: Struct.u16,
  e_phentsize: Struct.u16,
  e_phnum: Struct.u16,
  e_shentsize: Struct.u16,
  e_shnum: Struct.u16,
  e_shstrndx: Struct.u16
})
export type Elf64Ehdr = Struct.Type<typeof Elf64Ehdr>

export const Elf64Phdr = Struct.make("Elf64_Phdr", {
  p_type: Struct.u32,
  p_flags: Struct.u32,
  p_offset: Struct.ulong,
  p_vaddr: Struct.ulong,
  p_paddr: Struct.ulong,
  p_filesz: Struct.ulong,
  p_memsz: Struct.ulong,
  p_align: Struct.ulong
})
export type Elf64Phdr = Struct.Type<typeof Elf64Phdr>
