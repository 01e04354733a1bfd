/**
 * Decides where the segments of ELF files go in a new, empty memory: Linux's elf_load and load_elf_interp as a plan of
 * mappings, made real by one change of the address space.
 */
import { EEXIST, EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import { type Elf64Phdr, ET_EXEC } from "../Abi/Elf.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { MINIMUM_ADDRESS, pageAlign, pageStart } from "../Memory/AddressLayout.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { accounted, anonymous, type Vma } from "../Memory/Vma.ts"
import type { MappingChange } from "../Platform/Platform.ts"
import { type ElfImage, loadSegments, maximumAlignment, protectionOf, totalMappingSize } from "./ElfImage.ts"

/** Where a program went. Addresses are final (the load bias is in them). */
export interface LoadedImage {
  /** What was added to the addresses in the file. */
  readonly bias: number
  readonly entry: number
  /** Where the program headers are in memory. */
  readonly programHeaders: number
  readonly startCode: number
  readonly endCode: number
  readonly startData: number
  readonly endData: number
  /** End of the highest segment. */
  readonly brk: number
}

/** The mappings of a program that is being loaded. Owner: the execve in progress. */
export class SegmentMap {
  readonly changes: Array<MappingChange> = []
  readonly #manager: MemoryManager
  #zeros: Array<{ readonly address: number; readonly length: number }> = []

  constructor(manager: MemoryManager) {
    this.#manager = manager
  }

  /** Bytes to be cleared once the mappings are real: the rest of the last page of each segment's file part. */
  get zeros(): ReadonlyArray<{ readonly address: number; readonly length: number }> {
    return this.#zeros
  }

  /** Adds one mapping, in place of whatever it overlaps. */
  add(vma: Vma): void {
    this.#zeros = this.#zeros.filter(({ address }) => address < vma.start || address >= vma.end)
    this.#manager.areas.replace(vma.start, vma.end, [accounted(vma)])
    this.changes.push(this.#manager.mapChange(vma, false))
  }

  /** Maps the program itself. -errno when Linux, too, would find out only after the old program is gone. */
  addProgram(image: ElfImage, hasInterpreter: boolean): LoadedImage | number {
    const segments = loadSegments(image)
    const place = this.#programBias(image, segments, hasInterpreter)
    if (typeof place !== "object") return place
    const { bias } = place
    const { taskSize } = this.#manager.layout
    const first = segments[0]
    if (first !== undefined && (image.header.e_type === ET_EXEC || hasInterpreter)) {
      // MAP_FIXED_NOREPLACE: only the stack can be in the way
      const start = pageStart(bias + first.p_vaddr)
      if (this.#manager.areas.overlaps(start, start + pageAlign(Math.max(1, first.p_filesz)))) return -EEXIST
    }
    const { header } = image
    const end = { code: 0, data: 0, brk: 0 }
    let startCode = Infinity
    let startData = 0
    let programHeaders = 0
    for (const segment of segments) {
      const { p_filesz, p_flags, p_memsz, p_offset, p_vaddr } = segment
      const error = this.#addSegment(image, segment, bias)
      if (error !== 0) return error
      if (p_offset <= header.e_phoff && header.e_phoff < p_offset + p_filesz) {
        programHeaders = header.e_phoff - p_offset + p_vaddr
      }
      if (p_vaddr >= taskSize || p_filesz > p_memsz || p_memsz > taskSize || taskSize - p_memsz < p_vaddr)
        return -EINVAL
      if ((p_flags & 1) !== 0) {
        startCode = Math.min(startCode, p_vaddr)
        end.code = Math.max(end.code, p_vaddr + p_filesz)
      }
      startData = Math.max(startData, p_vaddr)
      end.data = Math.max(end.data, p_vaddr + p_filesz)
      end.brk = Math.max(end.brk, p_vaddr + p_memsz)
    }
    return {
      bias,
      entry: header.e_entry + bias,
      programHeaders: programHeaders + bias,
      startCode: (startCode === Infinity ? 0 : startCode) + bias,
      endCode: end.code + bias,
      startData: startData + bias,
      endData: end.data + bias,
      brk: end.brk + bias
    }
  }

  /** Maps the interpreter of a program whose load bias is `programBias`: its base and entry, or -errno. */
  addInterpreter(image: ElfImage, programBias: number): { readonly base: number; readonly entry: number } | number {
    const segments = loadSegments(image)
    const first = segments[0]
    if (first === undefined) return -EINVAL
    let base = 0
    if (image.header.e_type !== ET_EXEC) {
      const size = pageAlign(totalMappingSize(segments))
      // beside a program at a fixed address, the interpreter's own address is a hint
      const hint = programBias === 0 ? pageStart(first.p_vaddr) : 0
      const start =
        hint >= MINIMUM_ADDRESS && this.#manager.isFree(hint, hint + size) ? hint : this.#manager.findGap(size, 0)
      if (size === 0 || start === undefined) return -ENOMEM
      base = start - pageStart(first.p_vaddr)
    }
    const { taskSize } = this.#manager.layout
    for (const segment of segments) {
      const error = this.#addSegment(image, segment, base)
      if (error !== 0) return error
      const start = base + segment.p_vaddr
      const { p_filesz, p_memsz } = segment
      if (start >= taskSize || p_filesz > p_memsz || p_memsz > taskSize || taskSize - p_memsz < start) return -ENOMEM
    }
    return { base, entry: base + image.header.e_entry }
  }

  /** The load bias (which may be negative), or -errno. */
  #programBias(
    image: ElfImage,
    segments: ReadonlyArray<Elf64Phdr>,
    hasInterpreter: boolean
  ): { readonly bias: number } | number {
    const first = segments[0]
    if (image.header.e_type === ET_EXEC || first === undefined) return { bias: 0 }
    const size = pageAlign(totalMappingSize(segments))
    if (size === 0) return -EINVAL
    const alignment = maximumAlignment(segments)
    const place = hasInterpreter ? this.#manager.layout.programBase : this.#manager.findGap(size, 0)
    if (place === undefined) return -ENOMEM
    const aligned = alignment > 0 ? place - (place % alignment) : place
    // a program with an interpreter goes exactly there; another one where its first page fits
    return { bias: hasInterpreter ? pageStart(aligned - first.p_vaddr) : pageStart(aligned) - pageStart(first.p_vaddr) }
  }

  /** Linux's elf_load: the part from the file, the rest of its last page, and pages of zeros. 0 or -errno. */
  #addSegment(image: ElfImage, segment: Elf64Phdr, bias: number): number {
    const { p_filesz, p_memsz, p_offset, p_vaddr } = segment
    const { taskSize } = this.#manager.layout
    // out of any range: refused before arithmetic on it could lose digits
    if (p_vaddr > 2 ** 50 || p_memsz > taskSize || p_filesz > taskSize || p_offset > 2 ** 52) return -EINVAL
    const protection = protectionOf(segment)
    const address = bias + p_vaddr
    const start = pageStart(address)
    let fileEnd = address
    let mapped = start
    if (p_filesz > 0) {
      const offset = p_offset - (p_vaddr % PAGE_SIZE)
      if (offset < 0 || offset % PAGE_SIZE !== 0) return -EINVAL
      fileEnd = address + p_filesz
      mapped = pageAlign(fileEnd)
      const error = this.#refuse(start, mapped, (protection & PROT_WRITE) !== 0)
      if (error !== 0) return error
      const backing = { object: image.file, offset }
      this.add({ ...anonymous(start, mapped, protection), backing })
    }
    if (p_memsz <= p_filesz) return 0
    const end = pageAlign(address + p_memsz)
    if (fileEnd < mapped && (protection & PROT_WRITE) !== 0) {
      this.#zeros.push({ address: fileEnd, length: mapped - fileEnd })
    }
    if (end <= mapped) return 0
    const error = this.#refuse(mapped, end, true)
    if (error !== 0) return error
    this.add(anonymous(mapped, end, PROT_READ | PROT_WRITE | (protection & PROT_EXEC)))
    return 0
  }

  #refuse(start: number, end: number, writable: boolean): number {
    if (start < MINIMUM_ADDRESS) return -EPERM
    if (end > this.#manager.layout.taskSize) return -ENOMEM
    return writable && end - start > this.#manager.commitLimit ? -ENOMEM : 0
  }
}
