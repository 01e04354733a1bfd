/**
 * An open directory: getdents64(2) over what the inode lists. Offsets 0 and 1 are "." and "..".
 */
import { MAX_FILE_SIZE } from "./RegularFile.ts"
import { direntType } from "../Abi/FileMode.ts"
import { EINVAL, EISDIR, ENOENT } from "../Abi/Errno.ts"
import { SEEK_CUR, SEEK_SET } from "../Abi/At.ts"
import { O_NOATIME } from "../Abi/OpenFlags.ts"
import { type Caller, type Inode, type ListedEntry, type OpenRequest, openerOf } from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import type { Watcher } from "./Notifications.ts"
import { type DirectorySink, OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

const FIRST_ENTRY = 2

export class DirectoryFile extends OpenFileDescription {
  readonly inode: Inode
  /** Who asked by way of this, F_NOTIFY, by descriptor table. Atomic: DirectoryNotification. */
  readonly notifications = new Map<object, Watcher>()
  readonly #location: Location
  /** Who opened it: whose view of a synthetic directory it lists. */
  readonly #caller: Caller
  #offset = 0
  /** The pass in progress; undefined before the first entry and after a seek. */
  #pass: Iterator<ListedEntry> | undefined
  /** An entry that did not fit into the last buffer. */
  #pending: ListedEntry | undefined

  constructor(inode: Inode, request: OpenRequest) {
    super(request.flags)
    this.inode = inode
    this.#location = request.location
    this.#caller = openerOf(request.caller)
  }

  override stat(): Stat | number {
    return this.inode.stat()
  }

  override location(): Location {
    return this.#location
  }

  override describe(): string {
    return pathOf(this.#location, this.#caller.fs.root)
  }

  override lockTarget(): object {
    return this.inode
  }

  override onDescriptorClosed(table: object): void {
    this.notifications.get(table)?.end()
  }

  override read(_into: Uint8Array): number {
    return -EISDIR
  }

  override readAt(_into: Uint8Array, _offset: number): number {
    return -EISDIR
  }

  override synchronize(_dataOnly: boolean): number {
    return 0
  }

  override seek(offset: number, whence: number): number {
    if (whence === SEEK_CUR) offset += this.#offset
    else if (whence !== SEEK_SET) return -EINVAL
    if (offset < 0 || offset > MAX_FILE_SIZE) return -EINVAL
    if (offset !== this.#offset || offset === 0) {
      this.#offset = offset
      this.#pass = undefined
      this.#pending = undefined
    }
    return offset
  }

  override readDirectory(sink: DirectorySink): number {
    const { dentry } = this.#location
    if (dentry.unlinked) return -ENOENT
    if (this.#offset === 0) {
      if (!sink({ name: ".", ino: this.inode.ino, type: direntType(this.inode.mode), nextOffset: 1 })) return 0
      this.#offset = 1
    }
    if (this.#offset === 1) {
      const parent = parentInode(this.#location)
      if (!sink({ name: "..", ino: parent.ino, type: direntType(parent.mode), nextOffset: FIRST_ENTRY })) return 0
      this.#offset = FIRST_ENTRY
    }
    if (this.#pass === undefined) {
      const listing = this.inode.list(this.#caller)
      if (typeof listing === "number") return listing
      if ((this.statusFlags & O_NOATIME) === 0) this.inode.accessed(this.#location.mount.flags)
      this.#pass = listing.from(this.#offset)
    }
    for (;;) {
      if (this.#pending === undefined) {
        const next = this.#pass.next()
        if (next.done === true) {
          this.#pass = undefined // a later call sees what was added since
          return 0
        }
        this.#pending = next.value
      }
      if (!sink(this.#pending)) return 0
      this.#offset = this.#pending.nextOffset
      this.#pending = undefined
    }
  }
}

/** The inode of ".." of a directory, mounts crossed. */
const parentInode = ({ mount, dentry }: Location): Inode => {
  while (dentry === mount.root && mount.point !== undefined) ({ mount, dentry } = mount.point)
  return dentry.parent.inode ?? dentry.inode!
}

/** A listing of entries known at once; offsets count them. */
export const snapshotListing = (
  entries: ReadonlyArray<{ readonly name: string; readonly ino: number; readonly type: number }>
) => ({
  *from(offset: number): Generator<ListedEntry> {
    for (let index = offset - FIRST_ENTRY; index < entries.length; index++) {
      const { name, ino, type } = entries[index]!
      yield { name, ino, type, nextOffset: index + FIRST_ENTRY + 1 }
    }
  }
})
