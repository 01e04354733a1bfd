/**
 * A file or directory of the host, in a HostFs.
 */
import { EINVAL, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM, ESTALE } from "../Abi/Errno.ts"
import { S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK, isDirectory, isRegular, isSpecial, isSymlink } from "../Abi/FileMode.ts"
import { O_ACCMODE, O_DIRECTORY, O_DSYNC, O_NONBLOCK, O_RDONLY, O_RDWR, O_SYNC } from "../Abi/OpenFlags.ts"
import {
  type AccessList,
  type AccessListKind,
  accessListKind,
  attributeOfList,
  decodeAccessList,
  encodeAccessList
} from "./AccessList.ts"
import { DirectoryFile, snapshotListing } from "./DirectoryFile.ts"
import * as Host from "./HostCalls.ts"
import { HostData } from "./HostData.ts"
import type { HostFs } from "./HostFs.ts"
import {
  type AttributeChanges,
  type Caller,
  type DirectoryEntry,
  type DirectoryListing,
  Inode,
  type NewNode,
  type OpenRequest
} from "./Inode.ts"
import type { LowerInode } from "./MemoryNode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import { type FileData, RegularFile } from "./RegularFile.ts"
import type { Stat } from "./Stat.ts"
import { firstUserNamespace } from "./UserNamespace.ts"

/** Tells host files apart: numbers are reused, so the birth time counts where the host keeps one. */
export const identityOf = (stat: Stat): string =>
  `${stat.dev}:${stat.ino}:${stat.btime === undefined ? "" : `${stat.btime.seconds}.${stat.btime.nanoseconds}`}`

export class HostInode extends Inode implements LowerInode {
  override readonly filesystem: HostFs
  /** Where it was last seen. Atomic: `foundAgain`, `rename`. */
  parent: HostInode | undefined
  name: string
  /** As of the last look. */
  attributes: Stat
  /** Open on behalf of descriptions: the way to the file when its name is gone. Atomic: HostData. */
  readonly openFiles = new Set<HostData>()
  /** The access control lists, as of `attributes`: a change of a list changes these. */
  #lists: { of: Stat; access: AccessList | undefined; inherited: AccessList | undefined } | undefined
  /** Made by `create` for the open that follows. */
  #created: HostData | undefined

  constructor(filesystem: HostFs, parent: HostInode | undefined, name: string, attributes: Stat) {
    super()
    this.filesystem = filesystem
    this.parent = parent
    this.name = name
    this.attributes = attributes
  }

  override get ino(): number {
    return this.attributes.ino
  }
  override get mode(): number {
    return this.attributes.mode
  }
  override get uid(): number {
    return this.attributes.uid
  }
  override get gid(): number {
    return this.attributes.gid
  }
  get identity(): string {
    return identityOf(this.attributes)
  }
  override get volatile(): boolean {
    return this.filesystem.volatile
  }
  override get foreign(): boolean {
    return isSpecial(this.mode) && !this.filesystem.isOurs(this)
  }

  /** The attributes were read again through `name` in `parent`. */
  foundAgain(parent: HostInode, name: string): this {
    this.parent = parent
    this.name = name
    return this.#noticed()
  }

  #noticed(): this {
    if (!Host.lastEquals(this.attributes)) this.attributes = Host.lastStat()
    return this
  }

  override stat(): Stat | number {
    if (!this.filesystem.volatile && !this.filesystem.writable) return this.attributes
    for (const data of this.openFiles) {
      if (Host.stat(data.fd) === 0) return this.#noticed().attributes
    }
    const directory = this.#parentDirectory()
    if (directory < 0) return this.attributes // gone from the host, yet a working directory or the like
    const error = this.parent === undefined ? Host.stat(directory) : Host.statAt(directory, this.name)
    return error === 0 && Host.lastIsSame(this.attributes) ? this.#noticed().attributes : this.attributes
  }

  /** The directory of its name (of the root: itself), or -errno. */
  #parentDirectory(): number {
    return this.filesystem.directory(this.parent ?? this)
  }

  override lookup(name: string, known: Inode | undefined): HostInode | number {
    if (!isDirectory(this.mode)) return -ENOTDIR
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory === -ESTALE ? -ENOENT : directory
    const error = Host.statAt(directory, name)
    return error < 0 ? error : this.filesystem.found(this, name, known)
  }

  entries(): ReadonlyArray<DirectoryEntry> | number {
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory
    const fd = Host.openPlainAt(directory, ".", O_RDONLY | O_DIRECTORY)
    if (fd < 0) return fd
    const list = Host.listDirectory(fd)
    Host.close(fd)
    return list
  }

  override list(_caller: Caller): DirectoryListing | number {
    const entries = this.entries()
    return typeof entries === "number" ? entries : snapshotListing(entries)
  }

  override readlink(_caller: Caller): string | number {
    const directory = this.#parentDirectory()
    return directory < 0 ? directory : Host.readlinkAt(directory, this.name)
  }

  override open(request: OpenRequest): OpenFileDescription | number {
    if (isDirectory(this.mode)) return new DirectoryFile(this, request)
    if (!isRegular(this.mode)) return -EINVAL
    const created = this.#created
    this.#created = undefined
    const data = created ?? this.#openData(request.flags & (O_ACCMODE | O_SYNC | O_DSYNC))
    return typeof data === "number" ? data : new RegularFile(data, request)
  }

  openData(): FileData | number {
    return this.#openData(O_RDONLY)
  }

  #openData(flags: number): HostData | number {
    const directory = this.#parentDirectory()
    if (directory < 0) return directory
    // O_ACCMODE 3 neither reads nor writes: for the host, reading is the nearest
    const access = (flags & O_ACCMODE) === O_ACCMODE ? flags & ~O_ACCMODE : flags
    const fd = Host.openAt(directory, this.name, access | O_NONBLOCK)
    if (fd < 0) return fd
    if (!Host.lastIsSame(this.attributes)) {
      Host.close(fd)
      return -ESTALE
    }
    this.#noticed()
    return new HostData(this, fd)
  }

  override create(name: string, node: NewNode): Inode | number {
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory
    const type = node.mode & S_IFMT
    if (type !== S_IFREG) return this.#createOther(directory, name, node)
    const fd = Host.createAt(directory, name, node.mode & 0o7777)
    if (fd < 0) return fd
    this.#chown(Host.lastStat(), node, (uid, gid) => Host.chown(fd, uid, gid))
    Host.stat(fd)
    const inode = new HostInode(this.filesystem, this, name, Host.lastStat())
    if (node.opens === true) inode.#created = new HostData(inode, fd)
    else Host.close(fd)
    return inode
  }

  #createOther(directory: number, name: string, node: NewNode): Inode | number {
    const permissions = node.mode & 0o7777
    const type = node.mode & S_IFMT
    if (!isDirectory(node.mode) && type !== S_IFIFO && type !== S_IFSOCK) return -EPERM
    const error = isDirectory(node.mode)
      ? Host.mkdirAt(directory, name, permissions)
      : Host.mknodAt(directory, name, node.mode)
    if (error < 0) return error
    const inode = this.#look(directory, name, node)
    if (inode instanceof HostInode && !isDirectory(node.mode)) this.filesystem.own(inode)
    return inode
  }

  /** A new name's inode, owned as `node` says where the host lets us. */
  #look(directory: number, name: string, node: NewNode): HostInode | number {
    const error = Host.statAt(directory, name)
    if (error < 0) return error
    this.#chown(Host.lastStat(), node, (uid, gid) => Host.chownAt(directory, name, uid, gid))
    const again = Host.statAt(directory, name)
    return again < 0 ? again : new HostInode(this.filesystem, this, name, Host.lastStat())
  }

  /** Differs from Linux: without the privilege to give files away, new files belong to whoever runs the sandbox. */
  #chown(stat: Stat, node: NewNode, change: (uid: number, gid: number) => number): void {
    if (stat.uid !== node.uid || stat.gid !== node.gid) change(node.uid, node.gid)
  }

  override symlink(name: string, target: string, node: NewNode): Inode | number {
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory
    const error = Host.symlinkAt(target, directory, name)
    return error < 0 ? error : this.#look(directory, name, node)
  }

  override link(name: string, target: Inode): number {
    if (!(target instanceof HostInode) || target.parent === undefined) return -EPERM
    return this.#withDirectories(target.parent, (from, to) => {
      const error = Host.linkAt(from, target.name, to, name)
      if (error === 0) {
        target.stat()
        this.filesystem.share(target)
      }
      return error
    })
  }

  override unlink(name: string, child: Inode): number {
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory
    const error = Host.unlinkAt(directory, name)
    if (error === 0 && child instanceof HostInode) this.filesystem.forget(child)
    return error
  }

  override rmdir(name: string, child: Inode): number {
    const directory = this.filesystem.directory(this)
    if (directory < 0) return directory
    const error = Host.rmdirAt(directory, name)
    if (error === 0 && child instanceof HostInode) this.filesystem.forget(child)
    return error
  }

  override rename(
    name: string,
    child: Inode,
    newParent: Inode,
    newName: string,
    replaced: Inode | undefined,
    exchange: boolean
  ): number {
    if (!(newParent instanceof HostInode) || !(child instanceof HostInode)) return -EINVAL
    const error = newParent.#withDirectories(this, (from, to) =>
      Host.renameAt(from, name, to, newName, exchange ? 2 : 0)
    )
    if (error < 0) return error
    child.parent = newParent
    child.name = newName
    if (!(replaced instanceof HostInode)) return 0
    if (exchange) {
      replaced.parent = this
      replaced.name = name
    } else this.filesystem.forget(replaced)
    return 0
  }

  /** Runs `operation` with descriptors of `other` and of this directory. */
  #withDirectories(other: HostInode, operation: (other: number, own: number) => number): number {
    const { filesystem } = this
    const first = filesystem.directory(other)
    if (first < 0) return first
    const own = filesystem.directory(this)
    if (own < 0) return own
    // opening this directory may have closed the other one, the least recently used; never both
    const again = filesystem.directory(other)
    return again < 0 ? again : operation(again, own)
  }

  override setAttributes(changes: AttributeChanges): number {
    if (changes.size !== undefined) {
      const error = this.#resize(changes.size)
      if (error < 0) return error
    }
    const { mode, atime, mtime } = changes
    const owner = changes.uid !== undefined || changes.gid !== undefined
    const uid = changes.uid ?? 0xffffffff
    const gid = changes.gid ?? 0xffffffff
    let error = 0
    const open = this.openFiles.values().next().value
    if (open !== undefined) {
      if (owner) error = Host.chown(open.fd, uid, gid)
      if (error === 0 && mode !== undefined) error = Host.chmod(open.fd, mode)
      if (error === 0 && (atime ?? mtime) !== undefined) error = Host.utimens(open.fd, atime, mtime)
    } else {
      // the root of the mount has no name in it: "." of itself
      const name = this.parent === undefined ? "." : this.name
      const directory = this.#parentDirectory()
      if (directory < 0) return directory
      error = Host.statAt(directory, name)
      if (error === 0 && !Host.lastIsSame(this.attributes)) error = -ENOENT
      if (error === 0 && owner) error = Host.chownAt(directory, name, uid, gid)
      if (error === 0 && mode !== undefined) error = Host.chmodAt(directory, name, mode)
      if (error === 0 && (atime ?? mtime) !== undefined) error = Host.utimensAt(directory, name, atime, mtime)
    }
    this.stat()
    return error
  }

  #resize(size: number): number {
    if (!isRegular(this.mode)) return -EINVAL
    const data = this.#openData(O_RDWR)
    if (typeof data !== "number") {
      const error = data.truncate(size)
      data.close()
      return error
    }
    for (const open of this.openFiles) {
      const error = open.truncate(size) // a new file without write permission, or one without a name
      if (error === 0) return 0
    }
    return data
  }

  // ---- extended attributes: read as the sentry may read them; of a writable bind, only user.* can be changed

  /** Runs `operation` on the file's name in its directory (of the root: "." in itself). */
  #atName<T>(operation: (directory: number, name: string) => T | number): T | number {
    const directory = this.#parentDirectory()
    return directory < 0 ? directory : operation(directory, this.parent === undefined ? "." : this.name)
  }

  override getExtendedAttribute(name: string): Uint8Array | number {
    return this.#atName((directory, own) => Host.getxattrAt(directory, own, name))
  }

  override listExtendedAttributes(): ReadonlyArray<string> | number {
    const names = this.#atName((directory, own) => Host.listxattrAt(directory, own))
    if (names === -EOPNOTSUPP) return []
    return typeof names === "number" ? names : names.filter((name) => accessListKind(name) === undefined)
  }

  override setExtendedAttribute(name: string, value: Uint8Array, flags: number): number {
    if (!name.startsWith("user.")) return -EOPNOTSUPP
    return this.#atName((directory, own) => Host.setxattrAt(directory, own, name, value, flags))
  }

  override removeExtendedAttribute(name: string): number {
    if (!name.startsWith("user.")) return -EOPNOTSUPP
    return this.#atName((directory, own) => Host.removexattrAt(directory, own, name))
  }

  override accessList(kind: AccessListKind): AccessList | undefined {
    // "inherited" is the host's business where it creates the file
    if (this.#lists?.of !== this.attributes) {
      this.#lists = { of: this.attributes, access: this.#readList("access"), inherited: this.#readList("inherited") }
    }
    return this.#lists[kind]
  }

  override get supportsAccessLists(): boolean {
    return !isSymlink(this.mode)
  }

  override setAccessList(kind: AccessListKind, list: AccessList | undefined): number {
    const attribute = attributeOfList(kind)
    return this.#atName((directory, own) => {
      if (list === undefined) return Host.removexattrAt(directory, own, attribute)
      return Host.setxattrAt(directory, own, attribute, encodeAccessList(list, firstUserNamespace), 0)
    })
  }

  #readList(kind: AccessListKind): AccessList | undefined {
    if (isSymlink(this.mode) || (kind === "inherited" && !isDirectory(this.mode))) return undefined
    const value = this.getExtendedAttribute(attributeOfList(kind))
    const list = typeof value === "number" ? undefined : decodeAccessList(value, firstUserNamespace)
    return typeof list === "number" ? undefined : list
  }
}
