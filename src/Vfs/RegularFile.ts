/**
 * An open regular file: offset, O_APPEND, seeking; the bytes are a `FileData`'s business.
 */
import { SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from "../Abi/At.ts"
import { CAP_FSETID } from "../Abi/Capability.ts"
import { EBADF, EFBIG, EINVAL, EOPNOTSUPP } from "../Abi/Errno.ts"
import { O_APPEND, O_NOATIME } from "../Abi/OpenFlags.ts"
import { hasCapability } from "./Credentials.ts"
import type { Inode, OpenRequest } from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import { type Mappable, OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

/** Larger sizes fail with EFBIG. What a JavaScript number still counts exactly; ext4 ends far below. */
export const MAX_FILE_SIZE = 2 ** 53 - 1

/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE, F_SEAL_EXEC. */
const SEALS = 0x3f

/** The bytes of one regular file as its descriptions use them. Counts and sizes, or -errno. */
export interface FileData {
  /** What flock(2) and fcntl(2) locks are held on: the inode. */
  readonly lockTarget: object
  stat(): Stat | number
  size(): number
  readAt(into: Uint8Array, offset: number): number
  /** Writes, extending the file. `clearPrivileges`: set-id bits are to go, as after a write by an ordinary user. */
  writeAt(from: Uint8Array, offset: number, clearPrivileges: boolean): number
  /** Writes at the end: the count; the new offset is then `appendedTo`. */
  append(from: Uint8Array, clearPrivileges: boolean): number
  /** The end of the last append. */
  readonly appendedTo: number
  truncate(length: number): number
  allocate(mode: number, offset: number, length: number): number
  /** SEEK_DATA or SEEK_HOLE from `offset` on, which is below the size. -ENXIO when there is no more data. */
  seekData(offset: number): number
  seekHole(offset: number): number
  synchronize(dataOnly: boolean): number
  /** What mmap(2) maps; `writable` when the mapping may be a shared one that is written through. */
  mappable(writable: boolean): Mappable | number
  /** F_ADD_SEALS (none: F_GET_SEALS): the seals that then hold, or -errno. Absent where there are none. */
  seal?(seals: number): number
  /** The last description that used this is gone. */
  close(): void
}

export class RegularFile extends OpenFileDescription {
  readonly #data: FileData
  readonly #location: Location
  readonly #inode: Inode
  /** The root of who opened it. */
  readonly #root: Location
  /** Differs from Linux: who opened the file counts, not who writes. */
  readonly #clearsPrivileges: boolean
  readonly #executes: boolean
  #offset = 0

  constructor(data: FileData, request: OpenRequest) {
    super(request.flags)
    this.#data = data
    this.#location = request.location
    this.#root = request.caller.fs.root
    this.#executes = request.executes ?? false
    const inode = request.location.dentry.inode!
    this.#inode = inode
    if (this.#executes) inode.executors++
    else if (this.writable) inode.writers++
    if (!this.writable) inode.readers++
    this.#clearsPrivileges = !hasCapability(request.caller.credentials, CAP_FSETID)
  }

  override stat(): Stat | number {
    return this.#data.stat()
  }

  override get movesBytes(): boolean {
    return true
  }

  override location(): Location {
    return this.#location
  }

  override describe(): string {
    return pathOf(this.#location, this.#root)
  }

  override lockTarget(): object {
    return this.#data.lockTarget
  }

  override read(into: Uint8Array): number {
    const count = this.readAt(into, this.#offset)
    if (count > 0) this.#offset += count
    return count
  }

  override readAt(into: Uint8Array, offset: number): number {
    if (offset < 0) return -EINVAL
    if ((this.statusFlags & O_NOATIME) === 0) this.#inode.accessed(this.#location.mount.flags)
    return this.#data.readAt(into, offset)
  }

  override write(from: Uint8Array): number {
    if ((this.statusFlags & O_APPEND) !== 0) {
      if (from.length === 0) return 0
      const count = this.#data.append(from, this.#clearsPrivileges)
      if (count > 0) this.#offset = this.#data.appendedTo
      return count
    }
    const count = this.writeAt(from, this.#offset)
    if (count > 0) this.#offset += count
    return count
  }

  override writeAt(from: Uint8Array, offset: number): number {
    if (offset < 0) return -EINVAL
    if (from.length === 0) return 0
    // "on Linux, if a file is opened with O_APPEND, pwrite() appends data to the end of the file": pwrite(2), BUGS
    if ((this.statusFlags & O_APPEND) !== 0) return this.#data.append(from, this.#clearsPrivileges)
    if (offset + from.length > MAX_FILE_SIZE) return -EFBIG
    return this.#data.writeAt(from, offset, this.#clearsPrivileges)
  }

  override seek(offset: number, whence: number): number {
    const target = this.#seekTarget(offset, whence)
    if (target < 0) return target > -4096 ? target : -EINVAL
    if (target > MAX_FILE_SIZE) return -EINVAL
    this.#offset = target
    return target
  }

  #seekTarget(offset: number, whence: number): number {
    if (whence === SEEK_SET) return offset < 0 ? -EINVAL : offset
    if (whence === SEEK_CUR) return this.#offset + offset < 0 ? -EINVAL : this.#offset + offset
    if (whence === SEEK_END) {
      const size = this.#data.size()
      if (size < 0) return size
      return size + offset < 0 ? -EINVAL : size + offset
    }
    if (whence === SEEK_DATA) return this.#data.seekData(offset)
    if (whence === SEEK_HOLE) return this.#data.seekHole(offset)
    return -EINVAL
  }

  override truncate(length: number): number {
    if (!this.writable) return -EINVAL
    if (length < 0) return -EINVAL
    return length > MAX_FILE_SIZE ? -EFBIG : this.#data.truncate(length)
  }

  override synchronize(dataOnly: boolean): number {
    return this.#data.synchronize(dataOnly)
  }

  override allocate(mode: number, offset: number, length: number): number {
    if (offset < 0 || length <= 0) return -EINVAL
    if (!this.writable) return -EBADF
    if (offset + length > MAX_FILE_SIZE) return -EFBIG
    return mode === mode >>> 0 ? this.#data.allocate(mode, offset, length) : -EOPNOTSUPP
  }

  override mappable(): Mappable | number {
    return this.#data.mappable(this.writable)
  }

  override seals(): number {
    return this.#data.seal?.(0) ?? -EINVAL
  }

  override addSeals(seals: number): number {
    if ((seals & ~SEALS) !== 0) return -EINVAL
    const result = this.#data.seal?.(seals) ?? -EINVAL
    return Math.min(result, 0)
  }

  override withinSizeLimit(length: number, offset: number | undefined, limit: number): number {
    if (length === 0) return 0
    const at = (this.statusFlags & O_APPEND) !== 0 ? this.#data.size() : (offset ?? this.#offset)
    if (at < 0) return at
    return at >= limit ? -EFBIG : Math.min(length, limit - at)
  }

  protected override onLastClose(): void {
    if (this.#executes) this.#inode.executors--
    else if (this.writable) this.#inode.writers--
    if (!this.writable) this.#inode.readers--
    this.#data.close()
  }
}
