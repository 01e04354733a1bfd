/**
 * Runs programs written in TypeScript, in this process, on the same kernel: no native code, no host processes. For tests
 * of the kernel and of protocols, in which every interleaving is the run queue's to choose.
 *
 * A program is a generator (SimulatedGuest.ts). Its executable file holds a mark and its name (`imageOf`), so that it is
 * found, opened and executed like any other: execve(2), `#!` lines and permissions work.
 *
 * Threads lose the processor at system calls and faults only, so what a program does in between is atomic.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ELFMAG, EM_X86_64, ET_EXEC, Elf64Ehdr, Elf64Phdr, PF_R, PF_X, PT_LOAD } from "../Abi/Elf.ts"
import { TASK_SIZE } from "../Abi/Mman.ts"
import { type BinaryFormat, Platform } from "./Platform.ts"
import type { Program } from "./SimulatedProcess.ts"
import { SimulatedMemory } from "./SimulatedMemory.ts"
import { CodeTable, extendedState, type Host, SimulatedThread, TEXT, TEXT_SIZE } from "./SimulatedThread.ts"

/** The first bytes of a simulated program's file. */
const MARK = "\x7fSIM"
/** What a file's beginning has room for. */
const NAME_MAX = 200

export interface SimulatedOptions {
  /** By name. */
  readonly programs: Readonly<Record<string, Program>>
  /**
   * System calls of one thread in a row before others get their turn; 1 lets the run queue choose after each. Default:
   * 256.
   */
  readonly slice?: number
}

/** The contents of the executable file of program `name`. */
export const imageOf = (name: string): Uint8Array => {
  if (name.length > NAME_MAX) throw new Error(`the name of a simulated program is too long: ${name}`)
  return Buffer.from(`${MARK}${name}\n`, "latin1")
}

/** The name in an executable file; undefined if it is none of ours. */
const nameIn = (head: Uint8Array): string | undefined => {
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1")
  return text.startsWith(MARK) ? text.slice(MARK.length, text.indexOf("\n")) : undefined
}

/** An ELF file with nothing but an entry point and a place for all code. */
const elfOf = (entry: number): ReturnType<BinaryFormat> => ({
  header: {
    e_ident: Buffer.from(ELFMAG.padEnd(16, "\0"), "latin1"),
    e_type: ET_EXEC,
    e_machine: EM_X86_64,
    e_version: 1,
    e_entry: entry,
    e_phoff: 0,
    e_shoff: 0,
    e_flags: 0,
    e_ehsize: Elf64Ehdr.size,
    e_phentsize: Elf64Phdr.size,
    e_phnum: 1,
    e_shentsize: 0,
    e_shnum: 0,
    e_shstrndx: 0
  },
  programHeaders: [
    {
      p_type: PT_LOAD,
      p_flags: PF_R | PF_X,
      p_offset: 0,
      p_vaddr: TEXT,
      p_paddr: TEXT,
      p_filesz: 0,
      p_memsz: TEXT_SIZE,
      p_align: 4096
    }
  ]
})

/** A platform that runs `programs`. */
export const layer = ({ programs, slice = 256 }: SimulatedOptions): Layer.Layer<Platform> =>
  Layer.sync(Platform, () => {
    const host: Host = { code: new CodeTable(), slice }
    const binaryFormat: BinaryFormat = (head) => {
      const name = nameIn(head)
      const run = name !== undefined && Object.hasOwn(programs, name) ? programs[name] : undefined
      return run === undefined ? undefined : elfOf(host.code.addressOf({ _tag: "Program", run }))
    }
    return Platform.of({
      name: "simulated",
      taskSize: TASK_SIZE,
      extendedState,
      makeContext: Effect.sync(() => new SimulatedThread(host, new SimulatedMemory())),
      binaryFormat
    })
  })
