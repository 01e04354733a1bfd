/**
 * Small ELF programs, made byte by byte, and files that exist only in memory.
 */
import {
  Elf64Ehdr,
  Elf64Phdr,
  EM_X86_64,
  ET_DYN,
  PF_R,
  PF_W,
  PF_X,
  PT_GNU_STACK,
  PT_INTERP,
  PT_LOAD
} from "../../src/Abi/Elf.ts"
import { ENOENT } from "../../src/Abi/Errno.ts"
import { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"

/** Where the file parts of the segments are. */
export const CODE = 0x1000
export const DATA = 0x2000
const INTERPRETER = 0x2800
const FILE_SIZE = 0x2a00

/** mov $42, %edi; mov $60, %eax; syscall; hlt: exit(42). */
const EXIT_42 = [0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05, 0xf4]

export interface ElfOptions {
  readonly type: number
  /** Address of the first segment. */
  readonly base: number
  readonly interpreter?: string
  readonly executableStack?: boolean
}

/** A program of three segments: headers (r), code (rx) that exits with 42, data with a bss of two pages (rw). */
export const makeElf = ({ base, executableStack, interpreter, type }: ElfOptions): Uint8Array => {
  const bytes = Buffer.alloc(FILE_SIZE)
  const segment = (p_type: number, p_flags: number, p_offset: number, p_filesz: number, p_memsz: number) => ({
    p_type,
    p_flags,
    p_offset,
    p_vaddr: base + p_offset,
    p_paddr: base + p_offset,
    p_filesz,
    p_memsz,
    p_align: 0x1000
  })
  const segments = [
    segment(PT_LOAD, PF_R, 0, 0x400, 0x400),
    segment(PT_LOAD, PF_R | PF_X, CODE, 0x20, 0x20),
    segment(PT_LOAD, PF_R | PF_W, DATA, 0x10, 0x2800),
    { ...segment(PT_GNU_STACK, PF_R | PF_W | (executableStack === true ? PF_X : 0), 0, 0, 0), p_vaddr: 0, p_align: 16 }
  ]
  if (interpreter !== undefined) {
    segments.unshift({
      ...segment(PT_INTERP, PF_R, INTERPRETER, interpreter.length + 1, interpreter.length + 1),
      p_align: 1
    })
    bytes.write(interpreter, INTERPRETER, "latin1")
  }
  bytes.set(
    Elf64Ehdr.encode({
      e_ident: Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
      e_type: type,
      e_machine: EM_X86_64,
      e_version: 1,
      e_entry: base + CODE,
      e_phoff: Elf64Ehdr.size,
      e_shoff: 0,
      e_flags: 0,
      e_ehsize: Elf64Ehdr.size,
      e_phentsize: Elf64Phdr.size,
      e_phnum: segments.length,
      e_shentsize: 64,
      e_shnum: 0,
      e_shstrndx: 0
    })
  )
  for (const [index, header] of segments.entries()) {
    bytes.set(Elf64Phdr.encode(header), Elf64Ehdr.size + index * Elf64Phdr.size)
  }
  bytes.set(EXIT_42, CODE)
  bytes.write("data", DATA, "latin1")
  return Uint8Array.from(bytes)
}

/** A shared object that starts at address 0, as interpreters do. */
export const makeInterpreter = (): Uint8Array => makeElf({ type: ET_DYN, base: 0 })

/** A change of bytes. */
export interface Patch {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Every field of the ELF header and of the program headers, with each of some values on the edge of something. */
export const headerPatches = (elf: Uint8Array): ReadonlyArray<Patch> => {
  const view = new DataView(elf.buffer, elf.byteOffset)
  const patches: Array<Patch> = []
  const field = (offset: number, size: number): void => {
    const old =
      size === 8
        ? view.getBigUint64(offset, true)
        : BigInt(size === 4 ? view.getUint32(offset, true) : view.getUint16(offset, true))
    const values = [
      0n,
      1n,
      2n,
      3n,
      7n,
      0xfffn,
      0x1001n,
      0x1_8000n,
      0x2_0000n,
      0x7fff_ffff_f000n,
      1n << 47n,
      1n << 63n,
      (1n << 64n) - 1n
    ]
    for (const value of [...values, old + 1n, old - 1n, old + 0x1000n, old + 0x10_0000n]) {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt.asUintN(size * 8, value))
      patches.push({ offset, bytes: Uint8Array.from(bytes.subarray(0, size)) })
    }
  }
  for (const [name, at] of Object.entries(Elf64Ehdr.offsets)) {
    if (name !== "e_ident") field(at, at >= 24 && at < 48 ? 8 : at === 20 || at === 48 ? 4 : 2)
  }
  for (let at = 0; at < 8; at++) patches.push({ offset: at, bytes: Uint8Array.of(0) })
  const count = view.getUint16(Elf64Ehdr.offsets.e_phnum, true)
  for (let index = 0; index < count; index++) {
    for (const at of Object.values(Elf64Phdr.offsets))
      field(Elf64Ehdr.size + index * Elf64Phdr.size + at, at < 8 ? 4 : 8)
  }
  return patches
}

/** `elf` with one change. */
export const patched = (elf: Uint8Array, { bytes, offset }: Patch): Uint8Array => {
  const result = elf.slice()
  result.set(bytes, offset)
  return result
}

/** An open file in memory. */
export class BytesFile extends OpenFileDescription {
  readonly name: string
  readonly bytes: Uint8Array
  closed = false

  constructor(name: string, bytes: Uint8Array) {
    super(0)
    this.name = name
    this.bytes = bytes
  }
  stat(): number {
    return 0
  }
  describe(): string {
    return this.name
  }
  override readAt(into: Uint8Array, offset: number): number {
    if (offset >= this.bytes.length) return 0
    const part = this.bytes.subarray(offset, offset + into.length)
    into.set(part)
    return part.length
  }
  override mappable(): { readonly fd: number; readonly offset: number } {
    return { fd: 7, offset: 0 }
  }
  protected override onLastClose(): void {
    this.closed = true
  }
}

/** Files by path (with single slashes): contents, or the errno (negative) of opening it. */
export type Files = Readonly<Record<string, Uint8Array | string | number>>

/** Opens files as execve(2) would; remembers every description it gave out. */
export const memoryFiles = (files: Files) => {
  const opened: Array<BytesFile> = []
  const open = (path: string): OpenFileDescription | number => {
    const content = files[path.replaceAll(/\/+/g, "/")] ?? -ENOENT
    if (typeof content === "number") return content
    const file = new BytesFile(path, typeof content === "string" ? Buffer.from(content, "latin1") : content)
    opened.push(file)
    return file
  }
  return { open, opened }
}
