/**
 * Writing the core file of a process that ends by a signal, core(5), elf(5): headers, notes, and the memory's pages.
 *
 * It goes through the process's own filesystem, with its rights, in slices between which everybody else runs; SIGKILL ends
 * it early. What is not there is a hole. Memory and files are the guest's to make as large as it likes: no step's time and
 * no buffer's size depends on them.
 */
import * as Effect from "effect/Effect"
import { ELFMAG, Elf64Ehdr, Elf64Phdr, EM_X86_64, ET_CORE, PF_R, PF_W, PF_X, PT_LOAD, PT_NOTE } from "../Abi/Elf.ts"
import { IN_MODIFY } from "../Abi/InotifyFlags.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { Reg } from "../Abi/Registers.ts"
import { RLIMIT_CORE, RLIMIT_FSIZE } from "../Abi/Resource.ts"
import { pageAlign } from "../Memory/AddressLayout.ts"
import type { AddressSpace } from "../Platform/Platform.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { type CoreArea, CoreAreas, CorePages } from "./CoreAreas.ts"
import { endCoreDump, nextExit } from "./CoreDumpStop.ts"
import { openCore } from "./CoreFile.ts"
import { CoreNotes, partsOf } from "./CoreNotes.ts"
import type { System } from "./System.ts"
import type { Task } from "./Task.ts"
import type { CoreDump } from "./ThreadGroup.ts"

/** Bytes that are copied at a time. */
const PIECE = 256 * 1024
/** Milliseconds after which others have their turn. */
const SLICE = 2

/** Writes the core file of `task`'s process, which `killWithCore` has begun. Owner: the task's fiber. */
export const dumpCore = Effect.fnUntraced(function* (task: Task) {
  const group = task.threadGroup
  const dump = group.coreDump
  if (dump === undefined) return
  while (dump.missing.size > 0) yield* nextExit(group)
  const file = openCore(dump)
  let dumped = false
  if (typeof file !== "number") {
    dumped = !dump.killed
    yield* new CoreWriter(dump, file).write
    file.release()
  }
  yield* group.handlers.mutex.section(() => endCoreDump(group, dumped))
})

/** The event loop, and everybody who can run, has a turn. */
const otherTurns = ({ runQueue }: System): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    runQueue.scheduleLater(() => resume(Effect.void))
  })

/** e_ident after the magic number: 64 bits, little-endian, version 1. */
const ELFCLASS64 = "\x02"
const ELFDATA2LSB = "\x01"
const EV_CURRENT = "\x01"

const flagsOf = (protection: number): number =>
  ((protection & PROT_READ) !== 0 ? PF_R : 0) |
  ((protection & PROT_WRITE) !== 0 ? PF_W : 0) |
  ((protection & PROT_EXEC) !== 0 ? PF_X : 0)

/** One core file. Owner: the dumper's fiber. */
class CoreWriter {
  readonly #dump: CoreDump
  readonly #file: OpenFileDescription
  readonly #space: AddressSpace
  readonly #buffer = new Uint8Array(PIECE)
  readonly #fileLimit: number
  /** Bytes that may still be written; holes are free. */
  #allowance: number
  /** Where the next byte goes. */
  #position = 0
  #sliceEnd = 0

  constructor(dump: CoreDump, file: OpenFileDescription) {
    const { memoryManager, threadGroup } = dump.dumper
    this.#dump = dump
    this.#file = file
    this.#space = memoryManager.addressSpace
    this.#allowance = threadGroup.limits.soft(RLIMIT_CORE)
    this.#fileLimit = threadGroup.limits.soft(RLIMIT_FSIZE)
  }

  /** The whole file, or as much of it as there may be. */
  readonly write: Effect.Effect<void> = Effect.suspend(() => Effect.asVoid(this.#writeAll()))

  readonly #writeAll = Effect.fnUntraced(function* (this: CoreWriter) {
    const { dumper } = this.#dump
    const memory = dumper.memoryManager
    memory.noteStackPointer(dumper.registers.ulong(Reg.rsp))
    this.#space.keepCode?.()
    const decisions = new CoreAreas(memory)
    const areas: Array<CoreArea> = []
    for (const vma of [...memory.vmas()]) {
      areas.push(decisions.decide(vma))
      if (this.#isDue) yield* this.#rest()
    }
    const notes = new CoreNotes(
      this.#dump,
      areas.map(({ vma }) => vma)
    )
    const notesStart = Elf64Ehdr.size + (areas.length + 1) * Elf64Phdr.size
    const dataStart = pageAlign(notesStart + notes.size)
    if (!this.#put(fileHeader(areas.length + 1))) return
    if (!this.#put(notesHeader(notesStart, notes.size))) return
    let offset = dataStart
    for (const area of areas) {
      if (!this.#put(areaHeader(area, offset))) return
      offset += area.dumped
      if (this.#isDue) yield* this.#rest()
    }
    for (let index = 0; index < notes.threads.length; index++) {
      for (const note of yield* notes.ofThread(index)) if (!this.#putNote(note)) return
      if (this.#isDue) yield* this.#rest()
    }
    for (const note of notes.last) if (!this.#putNote(note)) return
    const end = yield* this.#writeMemory(areas, dataStart)
    if (end === undefined || this.#position === end) return
    // debuggers would say that the file is cut
    this.#position = end - 1
    this.#put(new Uint8Array(1))
  })

  /** The pages of the areas, in their places from `start` on: where they end, or undefined if not all could be written. */
  readonly #writeMemory = Effect.fnUntraced(function* (
    this: CoreWriter,
    areas: ReadonlyArray<CoreArea>,
    start: number
  ): Effect.fn.Return<number | undefined> {
    const pages = new CorePages(this.#dump.dumper.memoryManager)
    let place = start
    for (const area of areas) {
      const end = area.start + area.dumped
      let at = area.start
      while (at < end) {
        if (this.#isDue) yield* this.#rest()
        if (this.#dump.killed) return undefined
        const next = pages.next(area, at)
        at = typeof next === "number" ? next : next.start
        for (const stop = typeof next === "number" ? at : next.end; at < stop;) {
          const length = Math.min(PIECE, stop - at)
          if (!this.#copy(at, length, place + (at - area.start))) return undefined
          at += length
          if (this.#isDue) yield* this.#rest()
        }
      }
      place += area.dumped
    }
    return place
  })

  /** Copies pages to `position` of the file, those that can't be read excepted: false when the file is to end. */
  #copy(address: number, length: number, position: number): boolean {
    let from = 0
    let to = 0
    while (to < length) {
      let count = this.#space.read(address + to, this.#buffer.subarray(to, length))
      // what the process itself can't read is there, too
      if (count === 0) count = this.#space.readForced(address + to, this.#buffer.subarray(to, to + PAGE_SIZE))
      to += count
      if (count > 0 && to < length) continue
      this.#position = position + from
      if (!this.#put(this.#buffer.subarray(from, to), PAGE_SIZE)) return false
      if (count === 0) to += PAGE_SIZE
      from = to
    }
    return true
  }

  /** Writes, in whole pieces of `granule` or all at once, what RLIMIT_CORE and RLIMIT_FSIZE allow: false when the file ends with that. */
  #put(bytes: Uint8Array, granule = bytes.length): boolean {
    if (this.#dump.killed) return false
    if (bytes.length === 0) return true
    const allowed = Math.floor(Math.min(bytes.length, this.#allowance) / granule) * granule
    const within = this.#file.withinSizeLimit(allowed, this.#position, this.#fileLimit)
    const count = within <= 0 ? 0 : this.#file.writeAt(bytes.subarray(0, within), this.#position)
    if (count <= 0) return false
    this.#file.tell(IN_MODIFY)
    this.#position += count
    this.#allowance -= count
    return count === bytes.length
  }

  /** As `#put`. Where the file ends with it, it ends where Linux lets it: of a note, before what it says. */
  #putNote(note: Uint8Array): boolean {
    const { padding, said } = partsOf(note)
    if (note.length - padding <= this.#allowance) {
      this.#allowance += padding
      return this.#put(note)
    }
    this.#put(note.subarray(0, said))
    return false
  }

  /** Where every step is chosen, a core file is one: how often it rested would depend on the host's speed. */
  get #isDue(): boolean {
    return this.#dump.dumper.system.runQueue.idle === undefined && performance.now() >= this.#sliceEnd
  }

  #rest(): Effect.Effect<void> {
    return Effect.map(otherTurns(this.#dump.dumper.system), () => {
      this.#sliceEnd = performance.now() + SLICE
    })
  }
}

const fileHeader = (segments: number): Uint8Array =>
  Elf64Ehdr.encode({
    e_ident: Buffer.from(`${ELFMAG}${ELFCLASS64}${ELFDATA2LSB}${EV_CURRENT}`.padEnd(16, "\0"), "latin1"),
    e_type: ET_CORE,
    e_machine: EM_X86_64,
    e_version: 1,
    e_entry: 0,
    e_phoff: Elf64Ehdr.size,
    e_shoff: 0,
    e_flags: 0,
    e_ehsize: Elf64Ehdr.size,
    e_phentsize: Elf64Phdr.size,
    e_phnum: segments, // fits: there are fewer areas than vm.max_map_count
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0
  })

const notesHeader = (offset: number, size: number): Uint8Array =>
  Elf64Phdr.encode({
    p_type: PT_NOTE,
    p_flags: 0,
    p_offset: offset,
    p_vaddr: 0,
    p_paddr: 0,
    p_filesz: size,
    p_memsz: 0,
    p_align: 4
  })

const areaHeader = ({ dumped, end, start, vma }: CoreArea, offset: number): Uint8Array =>
  Elf64Phdr.encode({
    p_type: PT_LOAD,
    p_flags: flagsOf(vma.protection),
    p_offset: offset,
    p_vaddr: start,
    p_paddr: 0,
    p_filesz: dumped,
    p_memsz: end - start,
    p_align: PAGE_SIZE
  })
