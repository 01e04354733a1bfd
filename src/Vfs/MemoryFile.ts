/**
 * A regular file that lives in the sentry, or shows a lower file until the first write.
 */
import { SEEK_DATA, SEEK_HOLE } from "../Abi/At.ts"
import { EINVAL, ENXIO, EOPNOTSUPP, EPERM } from "../Abi/Errno.ts"
import * as Host from "./HostCalls.ts"
import type { OpenRequest } from "./Inode.ts"
import { ArrayContent, type Content, MEMORY_LIMIT, MemfdContent } from "./MemoryContent.ts"
import { type LowerInode, type MemoryFs, MemoryNode, type OwnAttributes } from "./MemoryNode.ts"
import type { Mappable, OpenFileDescription } from "./OpenFileDescription.ts"
import { privilegeBits } from "./Permission.ts"
import { allocateRange } from "./RangeAllocation.ts"
import { type FileData, RegularFile } from "./RegularFile.ts"

const F_SEAL_SEAL = 1

/** Bytes copied at a time from a lower file. */
const CHUNK = 1 << 18

export class MemoryFile extends MemoryNode implements FileData {
  /** Undefined while the lower file's bytes still hold. */
  #content: Content | undefined
  /** The lower file, open while any description is: also after the copy, because it may be mapped. */
  #below: FileData | undefined
  #descriptions = 0
  appendedTo = 0
  /** memfd_create(2) with MFD_ALLOW_SEALING. */
  sealable = false

  constructor(filesystem: MemoryFs, origin: OwnAttributes | LowerInode, device: number) {
    super(filesystem, origin, device)
    if (this.lower === undefined) this.#content = new ArrayContent(filesystem)
  }

  get lockTarget(): object {
    return this
  }

  override open(request: OpenRequest): OpenFileDescription | number {
    if (this.#content === undefined) {
      const below = this.#openBelow()
      if (typeof below === "number") return below
    }
    this.#descriptions++
    return new RegularFile(this, request)
  }

  close(): void {
    this.#descriptions--
    if (this.#descriptions > 0) return
    this.#closeBelow()
    this.#freeIfUnused()
  }

  protected override extent(): { readonly size: number; readonly blocks: number } | undefined {
    return this.#content
  }

  size(): number {
    if (this.#content !== undefined) return this.#content.size
    if (this.#below !== undefined) return this.#below.size()
    const stat = this.lower!.stat()
    return typeof stat === "number" ? stat : stat.size
  }

  readAt(into: Uint8Array, offset: number): number {
    if (this.#content === undefined) return this.#below!.readAt(into, offset)
    return this.#content.read(into, offset)
  }

  writeAt(from: Uint8Array, offset: number, clearPrivileges: boolean): number {
    const content = this.#writable(offset + from.length)
    if (typeof content === "number") return content
    const count = content.write(from, offset)
    if (count > 0) {
      this.touch()
      this.dropCapabilities()
      if (clearPrivileges) this.own.mode &= ~privilegeBits(this.own.mode)
    }
    return count
  }

  append(from: Uint8Array, clearPrivileges: boolean): number {
    const end = this.size()
    if (end < 0) return end
    const count = this.writeAt(from, end, clearPrivileges)
    if (count > 0) this.appendedTo = end + count
    return count
  }

  truncate(length: number): number {
    const error = this.resize(length)
    if (error === 0) this.touch()
    return error
  }

  /** truncate(2), ftruncate(2), O_TRUNC: a truncated lower file is never copied whole. */
  protected override resize(length: number): number {
    this.dropCapabilities()
    if (this.#content === undefined && length === 0) {
      this.dropLowerCapabilities()
      this.becomeOwn()
      this.#content = new ArrayContent(this.filesystem)
      return 0
    }
    const content = this.#writable(length)
    if (typeof content === "number") return content
    const error = content.truncate(length)
    if (error === 0) this.own.mtime = this.filesystem.clock()
    return error
  }

  allocate(mode: number, offset: number, length: number): number {
    const memfd = this.#memfd()
    if (typeof memfd === "number") return memfd
    const error = allocateRange(memfd, mode, offset, length, this.filesystem.ranges)
    if (error === 0) this.touch()
    return error
  }

  seekData(offset: number): number {
    return this.#seekIn(offset, SEEK_DATA)
  }

  seekHole(offset: number): number {
    return this.#seekIn(offset, SEEK_HOLE)
  }

  #seekIn(offset: number, whence: typeof SEEK_DATA | typeof SEEK_HOLE): number {
    if (offset < 0 || offset >= this.size()) return -ENXIO
    if (this.#content !== undefined) return this.#content.seek(offset, whence)
    return whence === SEEK_DATA ? this.#below!.seekData(offset) : this.#below!.seekHole(offset)
  }

  synchronize(_dataOnly: boolean): number {
    return 0
  }

  mappable(writable: boolean): Mappable | number {
    if (this.#content === undefined && !writable) return this.#below!.mappable(false)
    const memfd = this.#memfd()
    if (typeof memfd === "number") return memfd
    // bytes may now change without a write(2); Linux, too, moves mtime of a mapped file late
    if (writable) this.touch()
    return { fd: memfd.fd, offset: 0 }
  }

  /**
   * Seals are the host's: it alone knows whether a guest has the file mapped for writing. Only files made for it can be
   * sealed; another tmpfs file counts as sealed against sealing.
   */
  seal(seals: number): number {
    if (this.filesystem.name !== "tmpfs") return -EINVAL
    if (this.lower !== undefined || !this.sealable) return seals === 0 ? F_SEAL_SEAL : -EPERM
    const memfd = this.#memfd()
    return typeof memfd === "number" ? memfd : Host.seal(memfd.fd, seals)
  }

  /** The content, the node's own, fit for a size of `length`. */
  #writable(length: number): Content | number {
    this.becomeOwn() // attributes first: a file with bytes of its own is never a lower one
    if (this.#content === undefined) {
      const error = this.#copyUp()
      if (error < 0) return error
    }
    if (length > MEMORY_LIMIT && this.#content instanceof ArrayContent) return this.#memfd()
    return this.#content!
  }

  #memfd(): MemfdContent | number {
    if (this.#content instanceof MemfdContent) return this.#content
    const memfd = MemfdContent.make(this.filesystem.budget)
    if (typeof memfd === "number") return memfd
    const error = this.#content instanceof ArrayContent ? this.#content.moveTo(memfd) : this.#copyUp(memfd)
    if (error < 0) {
      memfd.dispose()
      return error
    }
    this.#content = memfd
    this.filesystem.holders.add(this)
    return memfd
  }

  /** Copies the lower file's bytes, to `target` or to where they fit. 0 or -errno. */
  #copyUp(target?: Content): number {
    const wasOpen = this.#below !== undefined
    const below = this.#openBelow()
    if (typeof below === "number") return below
    const error = this.#copyFrom(below, target)
    if (!wasOpen && this.#descriptions === 0) this.#closeBelow()
    return error
  }

  #copyFrom(below: FileData, target: Content | undefined): number {
    const size = below.size()
    if (size < 0) return size
    let content: Content | number = target ?? new ArrayContent(this.filesystem)
    if (target === undefined && size > MEMORY_LIMIT) content = MemfdContent.make(this.filesystem.budget)
    if (typeof content === "number") return content
    const chunk = new Uint8Array(Math.min(CHUNK, Math.max(size, 1)))
    let at = 0
    while (at < size) {
      const data = below.seekData(at)
      if (data === -ENXIO) break // only a hole is left
      if (data > at) at = data
      const hole = below.seekHole(at)
      const wanted = hole > at ? Math.min(hole - at, chunk.length) : chunk.length
      const count = below.readAt(chunk.subarray(0, wanted), at)
      if (count === 0) break
      const written = count < 0 ? count : content.write(chunk.subarray(0, count), at)
      if (written < 0) {
        if (target === undefined) content.dispose()
        return written
      }
      at += count
    }
    if (content instanceof MemfdContent) this.filesystem.holders.add(this)
    if (content.size < size) {
      const error = content.truncate(size)
      if (error < 0) {
        if (target === undefined) content.dispose()
        return error
      }
    }
    this.dropLowerCapabilities()
    this.becomeOwn()
    this.#content = content
    return 0
  }

  #openBelow(): FileData | number {
    if (this.#below === undefined) {
      const below = this.lower!.openData()
      if (typeof below === "number") return below === -ENXIO ? -EOPNOTSUPP : below
      this.#below = below
      this.filesystem.holders.add(this)
    }
    return this.#below
  }

  protected override forgotten(): void {
    super.forgotten()
    this.#freeIfUnused()
  }

  #freeIfUnused(): void {
    if (this.#descriptions > 0 || !this.isOwn || this.own.nlink > 0) return
    this.#content?.dispose()
    this.#content = new ArrayContent(this.filesystem)
    this.filesystem.holders.delete(this)
  }

  #closeBelow(): void {
    this.#below?.close()
    this.#below = undefined
    if (!(this.#content instanceof MemfdContent)) this.filesystem.holders.delete(this)
  }

  /** The sandbox ends: nothing of the host's stays open. */
  dispose(): void {
    this.#below?.close()
    this.#below = undefined
    if (this.#content instanceof MemfdContent) this.#content.dispose()
    this.#content = new ArrayContent(this.filesystem)
  }
}
