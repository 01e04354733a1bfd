/**
 * Building blocks for synthetic filesystems (proc, dev): static and dynamic directories, files whose content is made
 * when they are read, symbolic and magic links, device nodes.
 *
 * Nothing here can be created, removed or renamed by a guest; the kernel fills the tree.
 */
import { MAX_FILE_SIZE } from "./RegularFile.ts"
import { S_IFDIR, S_IFLNK, S_IFREG, direntType, isDirectory } from "../Abi/FileMode.ts"
import { EINVAL, ENOENT } from "../Abi/Errno.ts"
import { SEEK_CUR, SEEK_SET } from "../Abi/At.ts"
import { DirectoryFile, snapshotListing } from "./DirectoryFile.ts"
import { type FileClock, Filesystem, type FilesystemStatus } from "./Filesystem.ts"
import {
  type Caller,
  type DirectoryEntry,
  type DirectoryListing,
  type Inode,
  type MagicTarget,
  type NewNode,
  type OpenRequest,
  ReadOnlyInode,
  openerOf
} from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import type { FileTime, Stat } from "./Stat.ts"

/** A synthetic filesystem. Fill `root` before mounting it. */
export class PseudoFs extends Filesystem {
  override readonly name: string
  override readonly device: number
  override readonly root: StaticDirectory
  readonly created: FileTime
  /**
   * The directory that it is mounted on: the root shows that one's size, link count and times as its own, so that a
   * listing of the parent directory is the same as without the sandbox.
   */
  mountPoint: Stat | undefined
  /** What creating a name says: proc finds no such name, before it could say that nothing can be created. */
  readonly refusal: number | undefined
  readonly #magic: number
  #lastIno = 0

  /** `magic`: f_type of statfs(2). */
  constructor(options: { name: string; device: number; magic: number; clock: FileClock; rootMode?: number }) {
    super()
    this.name = options.name
    this.device = options.device
    this.created = options.clock()
    this.refusal = options.name === "proc" ? -ENOENT : undefined
    this.#magic = options.magic
    this.root = new StaticDirectory(this, { mode: options.rootMode ?? 0o555 })
  }

  override get noExecute(): boolean {
    return this.name === "proc" || this.name === "sysfs"
  }

  nextIno(): number {
    return ++this.#lastIno
  }

  override status(): FilesystemStatus {
    return {
      type: this.#magic,
      blockSize: 4096,
      blocks: 0,
      blocksFree: 0,
      blocksAvailable: 0,
      files: 0,
      filesFree: 0,
      nameLength: 255
    }
  }
}

/** What every synthetic inode may say about itself. */
export interface PseudoAttributes {
  /** Permission bits. */
  readonly mode?: number
  /** Who owns it, asked each time; default root. */
  readonly owner?: () => { readonly uid: number; readonly gid: number }
  readonly rdev?: number
  readonly size?: () => number
}

const ROOT_OWNER = { uid: 0, gid: 0 }

abstract class PseudoInode extends ReadOnlyInode {
  override readonly filesystem: PseudoFs
  override readonly ino: number
  readonly #mode: number
  readonly #attributes: PseudoAttributes

  constructor(filesystem: PseudoFs, mode: number, attributes: PseudoAttributes) {
    super()
    this.filesystem = filesystem
    this.ino = filesystem.nextIno()
    this.#mode = mode
    this.#attributes = attributes
  }

  override get mode(): number {
    return this.#mode
  }

  override get uid(): number {
    return (this.#attributes.owner?.() ?? ROOT_OWNER).uid
  }

  override get gid(): number {
    return (this.#attributes.owner?.() ?? ROOT_OWNER).gid
  }

  override create(name: string, node: NewNode): Inode | number {
    return this.filesystem.refusal ?? super.create(name, node)
  }

  override symlink(name: string, target: string, node: NewNode): Inode | number {
    return this.filesystem.refusal ?? super.symlink(name, target, node)
  }

  protected get nlink(): number {
    return 1
  }

  override stat(): Stat | number {
    const { uid, gid } = this.#attributes.owner?.() ?? ROOT_OWNER
    const { created, device } = this.filesystem
    return {
      dev: device,
      ino: this.ino,
      mode: this.#mode,
      nlink: this.nlink,
      uid,
      gid,
      rdev: this.#attributes.rdev ?? 0,
      size: this.#attributes.size?.() ?? 0,
      blksize: 1024,
      blocks: 0,
      atime: created,
      mtime: created,
      ctime: created
    }
  }
}

/** A directory whose entries the kernel adds and removes. */
export class StaticDirectory extends PseudoInode {
  readonly #entries = new Map<string, Inode>()

  constructor(filesystem: PseudoFs, attributes: PseudoAttributes = {}) {
    super(filesystem, S_IFDIR | (attributes.mode ?? 0o555), attributes)
  }

  override stat(): Stat | number {
    const own = super.stat()
    const point = this === this.filesystem.root ? this.filesystem.mountPoint : undefined
    if (point === undefined || typeof own === "number") return own
    const { atime, ctime, mtime, nlink, size } = point
    return { ...own, atime, ctime, mtime, nlink, size }
  }

  /** Adds `inode` as `name`, and gives it back. */
  add<I extends Inode>(name: string, inode: I): I {
    this.#entries.set(name, inode)
    return inode
  }

  remove(name: string): void {
    this.#entries.delete(name)
  }

  /** By name, in the order they were added. */
  get entries(): Iterable<readonly [name: string, inode: Inode]> {
    return this.#entries
  }

  /** Adds a directory. */
  directory(name: string, attributes?: PseudoAttributes): StaticDirectory {
    return this.add(name, new StaticDirectory(this.filesystem, attributes))
  }

  /** Entries come and go without the dentry cache being told. */
  override get volatile(): boolean {
    return true
  }

  protected override get nlink(): number {
    let subdirectories = 0
    for (const inode of this.#entries.values()) if (isDirectory(inode.mode)) subdirectories++
    return 2 + subdirectories
  }

  override lookup(name: string, _known: Inode | undefined): Inode | number {
    return this.#entries.get(name) ?? -ENOENT
  }

  override list(_caller: Caller): DirectoryListing {
    return snapshotListing(
      [...this.#entries].map(([name, inode]) => ({ name, ino: inode.ino, type: direntType(inode.mode) }))
    )
  }

  override open(request: OpenRequest): OpenFileDescription {
    return new DirectoryFile(this, request)
  }
}

/** A directory whose entries are computed at every lookup and listing. */
export class DynamicDirectory extends PseudoInode {
  readonly #source: DynamicEntries

  constructor(filesystem: PseudoFs, source: DynamicEntries, attributes: PseudoAttributes = {}) {
    super(filesystem, S_IFDIR | (attributes.mode ?? 0o555), attributes)
    this.#source = source
  }

  override get volatile(): boolean {
    return true
  }

  protected override get nlink(): number {
    return 2
  }

  override lookup(name: string, known: Inode | undefined): Inode | number {
    return this.#source.lookup(name, known) ?? -ENOENT
  }

  override list(caller: Caller): DirectoryListing | number {
    const entries = this.#source.list(caller)
    return typeof entries === "number" ? entries : snapshotListing([...entries])
  }

  override open(request: OpenRequest): OpenFileDescription {
    return new DirectoryFile(this, request)
  }
}

export interface DynamicEntries {
  /**
   * The inode behind `name`, -errno, or undefined if there is none. `known` is what the last lookup of that name gave:
   * give it back as long as it means the same.
   */
  lookup(name: string, known: Inode | undefined): Inode | number | undefined
  list(caller: Caller): Iterable<DirectoryEntry> | number
}

export interface GeneratedContent {
  /** The whole content (a byte string or bytes) as `caller`, who opened the file, sees it now; or -errno. */
  readonly read?: (caller: Caller) => string | Uint8Array | number
  /** One write(2) by `writer` into what `caller` has opened: the count or -errno. */
  readonly write?: (bytes: Uint8Array, caller: Caller, writer: Caller) => number
  /** Runs before the file is opened: 0 or -errno. */
  readonly check?: (caller: Caller, flags: number) => number
}

/** A file whose content is made when it is read from the start, like a seq_file of Linux. Its size shows as 0. */
export class GeneratedFile extends PseudoInode {
  readonly #content: GeneratedContent

  constructor(filesystem: PseudoFs, content: GeneratedContent, attributes: PseudoAttributes = {}) {
    super(filesystem, S_IFREG | (attributes.mode ?? (content.write === undefined ? 0o444 : 0o644)), attributes)
    this.#content = content
  }

  /** Accepted and without effect: O_TRUNC by a shell's `>` before it writes. */
  override setAttributes(changes: { readonly size?: number }): number {
    return changes.size === undefined ? super.setAttributes(changes) : 0
  }

  override open(request: OpenRequest): OpenFileDescription | number {
    const error = this.#content.check?.(request.caller, request.flags) ?? 0
    return error < 0 ? error : new GeneratedFileDescription(this, this.#content, request)
  }
}

class GeneratedFileDescription extends OpenFileDescription {
  readonly #inode: GeneratedFile
  readonly #content: GeneratedContent
  readonly #request: OpenRequest
  /** Who uses it just now. Owner: the system call that has it face its caller. */
  #user: Caller
  #bytes: Uint8Array | undefined
  #offset = 0

  constructor(inode: GeneratedFile, content: GeneratedContent, request: OpenRequest) {
    super(request.flags)
    this.#inode = inode
    this.#content = content
    this.#request = { ...request, caller: openerOf(request.caller) }
    this.#user = this.#request.caller
  }

  override facing(caller: object): OpenFileDescription {
    this.#user = caller as Caller // whoever makes system calls is a task
    return this
  }

  override stat(): Stat | number {
    return this.#inode.stat()
  }

  override location(): Location {
    return this.#request.location
  }

  override describe(): string {
    return pathOf(this.#request.location, this.#request.caller.fs.root)
  }

  override lockTarget(): object {
    return this.#inode
  }

  override read(into: Uint8Array): number {
    const count = this.readAt(into, this.#offset)
    if (count > 0) this.#offset += count
    return count
  }

  override readAt(into: Uint8Array, offset: number): number {
    if (this.#bytes === undefined || offset === 0) {
      const made = this.#content.read?.(this.#request.caller) ?? -EINVAL
      if (typeof made === "number") return made
      this.#bytes = typeof made === "string" ? Buffer.from(made, "latin1") : made
    }
    const part = this.#bytes.subarray(offset, offset + into.length)
    into.set(part)
    return part.length
  }

  override write(from: Uint8Array): number {
    const count = this.#content.write?.(from, this.#request.caller, this.#user) ?? -EINVAL
    if (count > 0) this.#offset += count
    return count
  }

  override writeAt(from: Uint8Array, _offset: number): number {
    return this.#content.write?.(from, this.#request.caller, this.#user) ?? -EINVAL
  }

  override truncate(_length: number): number {
    return 0
  }

  override seek(offset: number, whence: number): number {
    if (whence === SEEK_CUR) offset += this.#offset
    else if (whence !== SEEK_SET) return -EINVAL
    if (offset < 0 || offset > MAX_FILE_SIZE) return -EINVAL
    this.#offset = offset
    return offset
  }
}

/** A symbolic link whose text is asked for each time. */
export class PseudoLink extends PseudoInode {
  readonly #target: (caller: Caller) => string | number

  constructor(filesystem: PseudoFs, target: (caller: Caller) => string | number, attributes: PseudoAttributes = {}) {
    super(filesystem, S_IFLNK | (attributes.mode ?? 0o777), attributes)
    this.#target = target
  }

  override readlink(caller: Caller): string | number {
    return this.#target(caller)
  }
}

/** A link of proc(5) that leads to a place or an open file itself, whatever its text says. */
export class MagicLink extends PseudoLink {
  readonly #follow: (caller: Caller) => MagicTarget | number

  constructor(
    filesystem: PseudoFs,
    text: (caller: Caller) => string | number,
    follow: (caller: Caller) => MagicTarget | number,
    attributes: PseudoAttributes = {}
  ) {
    super(filesystem, text, attributes)
    this.#follow = follow
  }

  override get magic(): boolean {
    return true
  }

  override follow(caller: Caller): MagicTarget | number {
    return this.#follow(caller)
  }
}

/** A device, FIFO or socket node; `mode` includes the type. Opened through the VFS's SpecialFiles. */
export class PseudoNode extends PseudoInode {
  constructor(filesystem: PseudoFs, mode: number, attributes: PseudoAttributes = {}) {
    super(filesystem, mode, attributes)
  }
}
