/**
 * An O_PATH description, open(2): a place in the tree and nothing else. Every operation on content is EBADF.
 */
import { EBADF } from "../Abi/Errno.ts"
import type { OpenRequest } from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import { type DirectorySink, type Mappable, OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

export class PathFile extends OpenFileDescription {
  readonly #location: Location
  /** The root of who opened it. */
  readonly #root: Location

  constructor(request: OpenRequest) {
    super(request.flags)
    this.#location = request.location
    this.#root = request.caller.fs.root
  }

  override get readable(): boolean {
    return false
  }
  override get writable(): boolean {
    return false
  }
  override stat(): Stat | number {
    return this.#location.dentry.inode!.stat()
  }
  override describe(): string {
    return pathOf(this.#location, this.#root)
  }
  override location(): Location {
    return this.#location
  }
  override read(_into: Uint8Array): number {
    return -EBADF
  }
  override write(_from: Uint8Array): number {
    return -EBADF
  }
  override readAt(_into: Uint8Array, _offset: number): number {
    return -EBADF
  }
  override writeAt(_from: Uint8Array, _offset: number): number {
    return -EBADF
  }
  override seek(_offset: number, _whence: number): number {
    return -EBADF
  }
  override readiness(): number {
    return 0x20 // POLLNVAL
  }
  override ioctl(): number {
    return -EBADF
  }
  override readDirectory(_sink: DirectorySink): number {
    return -EBADF
  }
  override truncate(_length: number): number {
    return -EBADF
  }
  override synchronize(_dataOnly: boolean): number {
    return -EBADF
  }
  override allocate(_mode: number, _offset: number, _length: number): number {
    return -EBADF
  }
  override mappable(): Mappable | number {
    return -EBADF
  }
}
