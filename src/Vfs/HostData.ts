/**
 * A regular file of the host's, open: the bytes behind one or more descriptions.
 */
import { SEEK_CUR, SEEK_DATA, SEEK_HOLE } from "../Abi/At.ts"
import * as Host from "./HostCalls.ts"
import type { HostInode } from "./HostInode.ts"
import type { Mappable } from "./OpenFileDescription.ts"
import { privilegeBits } from "./Permission.ts"
import type { FileData } from "./RegularFile.ts"
import type { Stat } from "./Stat.ts"

export class HostData implements FileData {
  /** -1 once closed. */
  fd: number
  readonly #inode: HostInode
  #open = true
  appendedTo = 0

  constructor(inode: HostInode, fd: number) {
    this.fd = fd
    this.#inode = inode
    inode.openFiles.add(this)
    inode.filesystem.openData.add(this)
  }

  get lockTarget(): object {
    return this.#inode
  }

  stat(): Stat | number {
    const error = Host.stat(this.fd)
    return error < 0 ? error : Host.lastStat()
  }

  size(): number {
    const error = Host.stat(this.fd)
    return error < 0 ? error : Host.lastStat().size
  }

  readAt(into: Uint8Array, offset: number): number {
    return Host.read(this.fd, into, offset)
  }

  writeAt(from: Uint8Array, offset: number, clearPrivileges: boolean): number {
    const count = Host.write(this.fd, from, offset)
    if (count > 0 && clearPrivileges) this.#clearPrivileges()
    return count
  }

  append(from: Uint8Array, clearPrivileges: boolean): number {
    const count = Host.append(this.fd, from)
    if (count > 0) {
      this.appendedTo = Host.seek(this.fd, 0, SEEK_CUR)
      if (clearPrivileges) this.#clearPrivileges()
    }
    return count
  }

  /** The host does so itself for an ordinary user; not when the sentry runs as root. */
  #clearPrivileges(): void {
    const drop = privilegeBits(this.#inode.mode)
    if (drop !== 0) this.#inode.setAttributes({ mode: this.#inode.mode & 0o7777 & ~drop })
  }

  truncate(length: number): number {
    return Host.truncate(this.fd, length)
  }

  allocate(mode: number, offset: number, length: number): number {
    return Host.allocate(this.fd, mode, offset, length)
  }

  seekData(offset: number): number {
    return Host.seek(this.fd, offset, SEEK_DATA)
  }

  seekHole(offset: number): number {
    return Host.seek(this.fd, offset, SEEK_HOLE)
  }

  synchronize(dataOnly: boolean): number {
    return this.#inode.filesystem.writable ? Host.sync(this.fd, dataOnly ? 1 : 0) : 0
  }

  mappable(_writable: boolean): Mappable | number {
    return { fd: this.fd, offset: 0 }
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    this.#inode.openFiles.delete(this)
    this.#inode.filesystem.openData.delete(this)
    Host.close(this.fd)
    this.fd = -1
  }
}
