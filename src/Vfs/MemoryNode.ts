/**
 * Inodes that live in the sentry: of tmpfs, and of the overlay, where a node shows a *lower* inode (of a host
 * directory) until something about it changes.
 *
 * Attributes are copied from the lower inode at the first change (`own`), content at the first write. The node itself
 * stays the same object, so open descriptions, locks and hard links keep seeing one file.
 */
import { ENODATA, ENOSPC, EOPNOTSUPP, EPERM } from "../Abi/Errno.ts"
import { S_IFMT, isDirectory, isSymlink } from "../Abi/FileMode.ts"
import { MS_NOATIME, MS_NODIRATIME, MS_RDONLY, MS_RELATIME } from "../Abi/MountFlags.ts"
import { type AccessList, type AccessListKind, withMode } from "./AccessList.ts"
import { ExtendedAttributes, FILE_CAPABILITIES } from "./ExtendedAttributes.ts"
import type { FileClock, FilesystemStatus } from "./Filesystem.ts"
import { Filesystem } from "./Filesystem.ts"
import { type AttributeChanges, type Caller, type DirectoryEntry, Inode } from "./Inode.ts"
import { MemoryBudget } from "./MemoryContent.ts"
import type { RangeSupport } from "./RangeAllocation.ts"
import type { FileData } from "./RegularFile.ts"
import type { FileTime, Stat } from "./Stat.ts"

/** What an overlay needs of the inodes below it. */
export interface LowerInode extends Inode {
  /** Tells files apart for as long as the sandbox lives, whatever their names. */
  readonly identity: string
  lookup(name: string, known: Inode | undefined): LowerInode | number
  /** The entries of a directory, without "." and "..", or -errno. */
  entries(): ReadonlyArray<DirectoryEntry> | number
  /** The bytes, read-only. */
  openData(): FileData | number
}

/** Attributes a node has of its own. */
export interface OwnAttributes {
  mode: number
  uid: number
  gid: number
  nlink: number
  rdev: number
  atime: FileTime
  mtime: FileTime
  ctime: FileTime
  btime: FileTime | undefined
}

/** The filesystem of such nodes. */
export abstract class MemoryFs extends Filesystem {
  readonly clock: FileClock
  /** Pages of files: the filesystem's size. */
  readonly budget: MemoryBudget
  /** What names, attributes and contents take of the sentry's own memory. */
  readonly heap: MemoryBudget
  /** How many inodes there may be. */
  maxInodes: number
  #lastIno: number
  /** Inodes of its own that exist. Atomic: MemoryNode. */
  inodes = 0
  /** Files that hold descriptors of the host's. Atomic: MemoryFile. */
  readonly holders = new Set<{ dispose(): void }>()

  /** `whole`: the heap that all filesystems of a sandbox share. */
  constructor(clock: FileClock, limit: number, firstIno: number, whole: MemoryBudget) {
    super()
    this.clock = clock
    this.budget = new MemoryBudget(limit)
    this.heap = new MemoryBudget(whole.limit, whole)
    this.maxInodes = Math.min(MAX_INODES, Math.max(16, Math.floor(this.heap.limit / 4096)))
    this.#lastIno = firstIno - 1
  }

  override get hasWhiteouts(): boolean {
    return true
  }

  nextIno(): number {
    return ++this.#lastIno
  }

  /** Whether one more inode, or name, of `bytes` fits. */
  hasRoom(bytes: number): boolean {
    return this.inodes < this.maxInodes && this.heap.has(bytes)
  }

  override dispose(): void {
    for (const holder of this.holders) holder.dispose()
    this.holders.clear()
    this.heap.add(-this.heap.used)
  }

  /** `node`, which shows a lower inode, is about to get attributes of its own: it must not be forgotten. */
  abstract changed(node: MemoryNode): void

  /** `node` has no name left. */
  abstract unnamed(node: MemoryNode): void

  /** What st_size and st_blocks of a directory with `entries` own entries are. */
  abstract directorySize(entries: number): { readonly size: number; readonly blocks: number }

  /** What is in directory `lower` under `name`, as a node; `known` as in Inode.lookup. */
  abstract lowerChild(lower: LowerInode, name: string, known: Inode | undefined): Inode | number

  /** What fallocate(2) can do. */
  abstract get ranges(): RangeSupport

  /** Whether lower directories may change by themselves. */
  abstract get lowerIsVolatile(): boolean

  protected memoryStatus(type: number): FilesystemStatus {
    const { limit, used } = this.budget
    const free = Math.max(0, Math.floor((limit - used) / 4096))
    const files = this.maxInodes
    return {
      type,
      blockSize: 4096,
      blocks: Math.floor(limit / 4096),
      blocksFree: free,
      blocksAvailable: free,
      files,
      filesFree: Math.max(0, files - this.inodes),
      nameLength: 255
    }
  }
}

/** A million inodes are about a gigabyte of the sentry's heap. */
const MAX_INODES = 1_000_000

const A_DAY = 86_400

export abstract class MemoryNode extends Inode {
  override readonly filesystem: MemoryFs
  override readonly ino: number
  /** The device number: of the lower inode's filesystem, so that it looks as it does natively, or of this one. */
  readonly device: number
  readonly lower: LowerInode | undefined
  /** Atomic: `own`. Undefined while the lower inode's attributes still hold. */
  #own: OwnAttributes | undefined
  /** Undefined while the lower inode's hold, or while there are none. Atomic: `#changedExtended`. */
  #extended: ExtendedAttributes | undefined
  /** The same for access control lists. Atomic: `setAccessList`. */
  #lists: Readonly<Record<AccessListKind, AccessList | undefined>> | undefined

  constructor(filesystem: MemoryFs, origin: OwnAttributes | LowerInode, device: number) {
    super()
    this.filesystem = filesystem
    this.device = device
    if (origin instanceof Inode) {
      this.lower = origin
      this.ino = origin.ino
    } else {
      this.ino = filesystem.nextIno()
      this.#own = origin
      filesystem.inodes++
    }
  }

  override get mode(): number {
    return this.#own === undefined ? this.lower!.mode : this.#own.mode
  }

  override get uid(): number {
    return this.#own === undefined ? this.lower!.uid : this.#own.uid
  }

  override get gid(): number {
    return this.#own === undefined ? this.lower!.gid : this.#own.gid
  }

  /** Whether it differs from its lower inode, or has none. */
  get isOwn(): boolean {
    return this.#own !== undefined
  }

  /** The node's own attributes, to be changed; made from the lower inode's at the first call. */
  get own(): OwnAttributes {
    return this.#own ?? this.becomeOwn()
  }

  becomeOwn(): OwnAttributes {
    if (this.#own !== undefined) return this.#own
    const stat = this.lower!.stat()
    const now = this.filesystem.clock()
    if (typeof stat !== "number") {
      const { mode, uid, gid, nlink, rdev, atime, mtime, ctime, btime } = stat
      this.#own = { mode, uid, gid, nlink, rdev, atime, mtime, ctime, btime }
    } else {
      // the host has removed it meanwhile; what is known of it must do
      const { mode, uid, gid } = this
      this.#own = { mode, uid, gid, nlink: 1, rdev: 0, atime: now, mtime: now, ctime: now, btime: undefined }
    }
    this.filesystem.inodes++
    this.filesystem.changed(this)
    return this.#own
  }

  /** Size and blocks as stat shows them, where the node's own; undefined: the lower inode's. */
  protected abstract extent(): { readonly size: number; readonly blocks: number } | undefined

  override stat(): Stat | number {
    const own = this.#own
    const extent = this.extent()
    if (own === undefined || extent === undefined) {
      const below = this.lower!.stat()
      if (own === undefined || typeof below === "number") return below
      return { ...below, ...own, btime: own.btime ?? own.ctime }
    }
    return {
      dev: this.device,
      ino: this.ino,
      mode: own.mode,
      nlink: own.nlink,
      uid: own.uid,
      gid: own.gid,
      rdev: own.rdev,
      size: extent.size,
      blksize: 4096,
      blocks: extent.blocks,
      atime: own.atime,
      mtime: own.mtime,
      ctime: own.ctime,
      btime: own.btime ?? own.ctime
    }
  }

  override setAttributes(changes: AttributeChanges): number {
    const error = changes.size === undefined ? 0 : this.resize(changes.size)
    if (error < 0) return error
    const own = this.own
    if (changes.mode !== undefined) {
      own.mode = (own.mode & S_IFMT) | (changes.mode & 0o7777)
      const list = this.accessList("access")
      if (list !== undefined) this.setAccessList("access", withMode(list, changes.mode))
    }
    if ((changes.uid ?? changes.gid) !== undefined) this.dropLowerCapabilities()
    if (changes.uid !== undefined) own.uid = changes.uid
    if (changes.gid !== undefined) own.gid = changes.gid
    if (changes.atime !== undefined) own.atime = changes.atime
    if (changes.mtime !== undefined) own.mtime = changes.mtime
    own.ctime = this.filesystem.clock()
    return 0
  }

  protected resize(_size: number): number {
    return -EPERM
  }

  /** Content, entries or attributes changed now. */
  touch(): void {
    const own = this.own
    own.mtime = own.ctime = this.filesystem.clock()
  }

  /** Moves atime; never makes attributes own just for that. */
  override accessed(mountFlags: number): void {
    const own = this.#own
    const never = MS_RDONLY | MS_NOATIME | (isDirectory(this.mode) ? MS_NODIRATIME : 0)
    if (own === undefined || (mountFlags & never) !== 0 || this.filesystem.readOnly) return
    const now = this.filesystem.clock()
    const isRecent = isAfter(own.atime, own.mtime) && isAfter(own.atime, own.ctime)
    // "the previous access time was earlier than the current modify or change time", or it is a day old
    if ((mountFlags & MS_RELATIME) !== 0 && isRecent && now.seconds - own.atime.seconds < A_DAY) return
    own.atime = now
  }

  /** One name more. */
  linked(): void {
    if (this.own.nlink++ === 0) this.filesystem.inodes++
    this.own.ctime = this.filesystem.clock()
  }

  /** One name fewer; the last one frees what no description holds. */
  unlinked(): void {
    const own = this.own
    own.nlink -= isDirectory(own.mode) ? own.nlink : 1
    own.ctime = this.filesystem.clock()
    if (own.nlink > 0) return
    this.filesystem.unnamed(this)
    this.forgotten()
  }

  /** The last name is gone. */
  protected forgotten(): void {
    this.filesystem.inodes--
    this.#extended?.clear()
    if (this.#lists !== undefined) this.filesystem.heap.add(-sizeOf(this.#lists.access) - sizeOf(this.#lists.inherited))
    this.#lists = undefined
  }

  override get supportsAccessLists(): boolean {
    return !isSymlink(this.mode)
  }

  override accessList(kind: AccessListKind): AccessList | undefined {
    return this.#lists === undefined ? this.lower?.accessList(kind) : this.#lists[kind]
  }

  override setAccessList(kind: AccessListKind, list: AccessList | undefined): number {
    const lists = { access: this.accessList("access"), inherited: this.accessList("inherited") }
    if (!this.filesystem.heap.take(sizeOf(list) - sizeOf(lists[kind]))) return -ENOSPC
    this.own.ctime = this.filesystem.clock()
    this.#lists = { ...lists, [kind]: list }
    return 0
  }

  override getExtendedAttribute(name: string): Uint8Array | number {
    if (!isKept(name)) return -EOPNOTSUPP
    return this.#extended === undefined
      ? (this.lower?.getExtendedAttribute(name) ?? -ENODATA)
      : this.#extended.get(name)
  }

  override setExtendedAttribute(name: string, value: Uint8Array, flags: number): number {
    if (!isKept(name)) return -EOPNOTSUPP
    const error = this.#changedExtended().set(name, value, flags)
    if (error === 0) this.own.ctime = this.filesystem.clock()
    return error
  }

  override removeExtendedAttribute(name: string): number {
    if (!isKept(name)) return -EOPNOTSUPP
    const error = this.#changedExtended().remove(name)
    if (error === 0) this.own.ctime = this.filesystem.clock()
    return error
  }

  override listExtendedAttributes(): ReadonlyArray<string> | number {
    return this.#extended === undefined ? (this.lower?.listExtendedAttributes() ?? []) : this.#extended.names
  }

  /** The attributes, of its own: those of the lower inode are copied. */
  #changedExtended(): ExtendedAttributes {
    if (this.#extended !== undefined) return this.#extended
    const extended = new ExtendedAttributes(this.filesystem.heap)
    const names = this.lower?.listExtendedAttributes() ?? []
    for (const name of typeof names === "number" ? [] : names) {
      const value = this.lower!.getExtendedAttribute(name)
      if (typeof value !== "number") extended.set(name, value, 0)
    }
    this.becomeOwn()
    this.#extended = extended
    return extended
  }

  /** Its content changed: capabilities that were given to another content go. */
  protected dropCapabilities(): void {
    this.#extended?.remove(FILE_CAPABILITIES)
  }

  /** The same where the content changes for the first time. */
  protected dropLowerCapabilities(): void {
    if (typeof this.getExtendedAttribute(FILE_CAPABILITIES) !== "number") {
      this.#changedExtended().remove(FILE_CAPABILITIES)
    }
  }
}

/** Attributes in these namespaces are kept; those of system.* have a meaning that nobody here gives them. */
const isKept = (name: string): boolean => /^(?:user|trusted|security)\../.test(name)

const sizeOf = (list: AccessList | undefined): number => (list?.length ?? 0) * 32

const isAfter = (a: FileTime, b: FileTime): boolean =>
  a.seconds > b.seconds || (a.seconds === b.seconds && a.nanoseconds > b.nanoseconds)

const NOTHING = { size: 0, blocks: 0 }

export class MemorySymlink extends MemoryNode {
  readonly #target: string | undefined

  constructor(filesystem: MemoryFs, origin: OwnAttributes | LowerInode, device: number, target?: string) {
    super(filesystem, origin, device)
    this.#target = target
    filesystem.heap.add(target?.length ?? 0)
  }

  protected override forgotten(): void {
    super.forgotten()
    this.filesystem.heap.add(-(this.#target?.length ?? 0))
  }

  protected override extent(): { readonly size: number; readonly blocks: number } | undefined {
    return this.#target === undefined ? undefined : { size: this.#target.length, blocks: 0 }
  }

  override readlink(caller: Caller): string | number {
    return this.#target ?? this.lower!.readlink(caller)
  }
}

/** A device, FIFO or socket. Those of a lower directory are the host's: shown, not opened. */
export class MemorySpecial extends MemoryNode {
  override get foreign(): boolean {
    return this.lower !== undefined
  }

  protected override extent(): { readonly size: number; readonly blocks: number } {
    return NOTHING
  }
}
