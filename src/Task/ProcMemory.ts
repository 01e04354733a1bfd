/**
 * /proc/[pid]/cmdline, environ, auxv and mem: a process's own memory.
 */
import { EACCES, EINVAL, EIO, ESRCH } from "../Abi/Errno.ts"
import { SEEK_CUR, SEEK_SET } from "../Abi/At.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { type Caller, type OpenRequest, openerOf } from "../Vfs/Inode.ts"
import { type Location, pathOf } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { GeneratedFile, type PseudoFs } from "../Vfs/PseudoFs.ts"
import type { Stat } from "../Vfs/Stat.ts"
import { type Subject, mayInspect, ownerOf } from "./ProcSubject.ts"

/** More than execve(2) takes of arguments and environment together. */
const MAX_TEXT = 8 * 1024 * 1024

/** What is readable of [start, end). */
const readRange = ({ addressSpace }: MemoryManager, start: number, end: number): Uint8Array => {
  const bytes = new Uint8Array(Math.min(MAX_TEXT, Math.max(0, end - start)))
  return bytes.subarray(0, addressSpace.read(start, bytes))
}

/**
 * The arguments, each with its NUL. A process that has overwritten the last NUL shows what it wrote in their place up to
 * the next one, into the environment if that follows: so do programs set their title.
 */
export const cmdline = ({ memory }: Subject): Uint8Array | string => {
  if (memory === undefined) return ""
  const { argEnd, argStart, envEnd, envStart } = memory.image
  const args = readRange(memory, argStart, argEnd)
  if (args.at(-1) === 0 || envStart !== argEnd) return args
  const title = readRange(memory, argStart, envEnd)
  const end = title.indexOf(0)
  return end < 0 ? title : title.subarray(0, end + 1)
}

export const environ = ({ memory }: Subject): Uint8Array | string =>
  memory === undefined ? "" : readRange(memory, memory.image.envStart, memory.image.envEnd)

export const auxv = ({ memory }: Subject): Uint8Array | string => memory?.image.auxv ?? ""

/** Opening what shows memory: -EACCES unless the caller may ptrace(2) the process. */
export const checkInspect = ({ task }: Subject, caller: Caller): number => (mayInspect(caller, task) ? 0 : -EACCES)

/** As `checkInspect`, and -ESRCH for a zombie. */
export const checkMemory = (subject: Subject, caller: Caller): number =>
  subject.memory === undefined ? -ESRCH : checkInspect(subject, caller)

/** /proc/[pid]/mem: reads and writes at an address, pages that the process itself cannot write included. */
export class MemoryInode extends GeneratedFile {
  readonly #subject: Subject

  constructor(filesystem: PseudoFs, subject: Subject) {
    super(filesystem, {}, { mode: 0o600, owner: () => ownerOf(subject) })
    this.#subject = subject
  }

  override open(request: OpenRequest): OpenFileDescription | number {
    const { gone, memory } = this.#subject
    if (gone || memory === undefined) return -ESRCH
    const error = checkInspect(this.#subject, request.caller)
    return error < 0 ? error : new MemoryFile(this, memory, request)
  }
}

/** The memory is the one at open: another program's, after execve(2), is not reached. */
class MemoryFile extends OpenFileDescription {
  readonly #inode: MemoryInode
  readonly #memory: MemoryManager
  readonly #location: Location
  readonly #opener: Caller
  #address = 0

  constructor(inode: MemoryInode, memory: MemoryManager, request: OpenRequest) {
    super(request.flags)
    this.#inode = inode
    this.#memory = memory
    this.#location = request.location
    this.#opener = openerOf(request.caller)
  }

  override stat(): Stat | number {
    return this.#inode.stat()
  }

  override location(): Location {
    return this.#location
  }

  override describe(): string {
    return pathOf(this.#location, this.#opener.fs.root)
  }

  override read(into: Uint8Array): number {
    const count = this.readAt(into, this.#address)
    if (count > 0) this.#address += count
    return count
  }

  override write(from: Uint8Array): number {
    const count = this.writeAt(from, this.#address)
    if (count > 0) this.#address += count
    return count
  }

  override readAt(into: Uint8Array, address: number): number {
    const { read, readForced } = this.#memory.addressSpace
    return this.#transfer(into, address, (from, bytes) => {
      const count = read(from, bytes)
      // what its owner cannot read is there, too
      return count === bytes.length ? count : count + readForced(from + count, bytes.subarray(count))
    })
  }

  override writeAt(from: Uint8Array, address: number): number {
    return this.#transfer(from, address, this.#memory.addressSpace.writeForced)
  }

  #transfer(bytes: Uint8Array, address: number, by: (address: number, bytes: Uint8Array) => number): number {
    if (this.#memory.users === 0 || bytes.length === 0) return 0
    if (address < 0) return -EIO
    const count = by(address, bytes)
    return count === 0 ? -EIO : count
  }

  /** As of any file of proc(5): nothing. */
  override truncate(): number {
    return 0
  }

  override seek(offset: number, whence: number): number {
    if (whence === SEEK_CUR) offset += this.#address
    else if (whence !== SEEK_SET) return -EINVAL
    this.#address = offset // above user memory, too: addresses there are negative
    return offset
  }
}
