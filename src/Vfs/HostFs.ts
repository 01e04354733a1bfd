/**
 * Files of the host beneath one directory, for bind mounts and as the lower layer of an overlay.
 *
 * The host's path walk never sees a path of the guest: every call names one component in a directory that is held by a
 * descriptor, and symbolic links are never followed (see native/hostfile.c). Attributes, and with a volatile filesystem
 * names, are the host's at the time of asking. Devices, FIFOs and sockets of the host's are shown, not opened.
 */
import { realpathSync } from "node:fs"
import { EACCES, ENOENT, ENOTDIR, EPERM, ESTALE } from "../Abi/Errno.ts"
import { isRegular, isSpecial } from "../Abi/FileMode.ts"
import { MS_RDONLY } from "../Abi/MountFlags.ts"
import { O_DIRECTORY, O_PATH } from "../Abi/OpenFlags.ts"
import { Filesystem, type FilesystemSpace, type FilesystemStatus } from "./Filesystem.ts"
import * as Host from "./HostCalls.ts"
import type { HostData } from "./HostData.ts"
import { HostInode, identityOf } from "./HostInode.ts"
import type { Inode } from "./Inode.ts"
import type { Stat } from "./Stat.ts"

/**
 * f_type of procfs. The host's is never entered: through its "self" a guest would reach the sentry's own memory and
 * descriptors.
 */
const PROC_SUPER_MAGIC = 0x9fa0

/**
 * f_type of what else shows the host itself rather than files: sysfs, devpts, debugfs, tracefs, securityfs, cgroup,
 * cgroup2, bpf, efivarfs, mqueue, binfmt_misc, configfs, pstore. Not entered either, where it is mounted within what is
 * shown: the sandbox has its own in their usual places, but these can be unmounted there.
 */
const KERNEL_MAGIC: ReadonlySet<number> = new Set([
  PROC_SUPER_MAGIC,
  0x6265_6572,
  0x1cd1,
  0x6462_6720,
  0x7472_6163,
  0x7363_6673,
  0x27_e0eb,
  0x6367_7270,
  0xcafe_4a11,
  0xde5e_81e4,
  0x1980_0202,
  0x4249_4e4d,
  0x6265_6570,
  0x6165_676c
])

/** f_type of the filesystem of a directory; 0 if it cannot be told. */
const typeOf = (directory: number): number => {
  const status = Host.statfs(directory)
  return typeof status === "number" ? 0 : status.type
}

/** Descriptors of directories kept open, at most. */
const OPEN_DIRECTORIES = 512

export interface HostFsOptions {
  /** Whether a guest may change the host's files. */
  readonly writable: boolean
  /**
   * Whether changes that others make on the host are seen: every step of a path walk then asks the host. Without it
   * names that were found, or found missing, stay so.
   */
  readonly volatile: boolean
  /** What to say of its space; the default is what the host says. */
  readonly space?: FilesystemSpace | undefined
}

export class HostFs extends Filesystem {
  override readonly name = "host"
  override readonly device: number
  override readonly root: HostInode
  readonly writable: boolean
  readonly volatile: boolean
  /** Open O_PATH descriptors of directories, least recently used first. */
  readonly #directories = new Map<HostInode, number>()
  /** Files of several names: all lead to one inode. */
  readonly #linked = new Map<string, WeakRef<HostInode>>()
  /** FIFOs and sockets that a guest made here: the sandbox's own, not the host's. */
  readonly #ours = new Map<string, HostInode>()
  /** Everything open on behalf of descriptions. Atomic: HostData. */
  readonly openData = new Set<HostData>()
  /** Descriptor of the root directory; -1 once disposed, so that a late call cannot meet a number used anew. */
  #top: number
  readonly #space: FilesystemSpace | undefined

  private constructor(top: number, root: Stat, name: string | undefined, options: HostFsOptions) {
    super()
    this.#top = top
    this.writable = options.writable
    if (!options.writable) this.flags = MS_RDONLY
    this.volatile = options.volatile
    this.#space = options.space
    this.device = root.dev
    const directory = new HostInode(this, undefined, "", root)
    if (name === undefined) this.root = directory
    else {
      Host.statAt(top, name)
      this.root = new HostInode(this, directory, name, Host.lastStat())
    }
  }

  /** The file or directory at host path `path` (a byte string) and what is below it; or -errno. -EPERM in procfs. */
  static open(path: string, options: HostFsOptions): HostFs | number {
    let real: string
    try {
      real = realpathSync(Buffer.from(path, "latin1"), "buffer").toString("latin1")
    } catch {
      return -ENOENT
    }
    let top = Host.openRoot(real)
    let name: string | undefined
    if (top === -ENOTDIR) {
      const slash = real.lastIndexOf("/")
      name = real.slice(slash + 1)
      top = Host.openRoot(slash === 0 ? "/" : real.slice(0, slash))
    }
    if (top < 0) return top
    let error = Host.stat(top)
    const root = Host.lastStat()
    if (error === 0 && typeOf(top) === PROC_SUPER_MAGIC) error = -EPERM
    if (error === 0 && name !== undefined) error = Host.statAt(top, name)
    if (error < 0) {
      Host.close(top)
      return error
    }
    return new HostFs(top, root, name, options)
  }

  /** What the sandbox's owner bound read-only stays so. */
  override reconfigure(flags: number, options: string): number {
    if (!this.writable && (flags & MS_RDONLY) === 0) return -EACCES
    return super.reconfigure(flags, options)
  }

  override status(): FilesystemStatus | number {
    const status = Host.statfs(this.#top)
    return typeof status === "number" || this.#space === undefined ? status : { ...status, ...this.#space }
  }

  /** An O_PATH descriptor of a directory, good until the next call; or -errno. */
  directory(inode: HostInode): number {
    let fd = this.#cached(inode)
    if (fd !== undefined) return fd
    // upwards to the first that is open, then down again: directories may be nested deeper than the stack
    const chain: Array<HostInode> = []
    let at = inode
    for (; fd === undefined; fd = this.#cached(at)) {
      chain.push(at)
      at = at.parent!
    }
    for (let index = chain.length - 1; index >= 0; index--) {
      const next = chain[index]!
      fd = Host.openAt(fd, next.name, O_PATH | O_DIRECTORY)
      if (fd < 0) return fd
      if (!Host.lastIsSame(next.attributes)) {
        Host.close(fd)
        return -ESTALE
      }
      if (next.attributes.dev !== next.parent?.attributes.dev && KERNEL_MAGIC.has(typeOf(fd))) {
        Host.close(fd)
        return -EACCES
      }
      this.#keep(next, fd)
    }
    return fd
  }

  #cached(inode: HostInode): number | undefined {
    if (inode.parent === undefined) return this.#top
    const fd = this.#directories.get(inode)
    if (fd === undefined) return undefined
    this.#directories.delete(inode)
    this.#directories.set(inode, fd)
    return fd
  }

  #keep(inode: HostInode, fd: number): void {
    this.#directories.set(inode, fd)
    if (this.#directories.size <= OPEN_DIRECTORIES) return
    for (const [oldest, old] of this.#directories) {
      this.#directories.delete(oldest)
      Host.close(old)
      break
    }
  }

  /** The inode whose attributes were last read, found as `name` in `parent`. */
  found(parent: HostInode, name: string, known: Inode | undefined): HostInode {
    if (known instanceof HostInode && Host.lastIsSame(known.attributes)) return known.foundAgain(parent, name)
    const stat = Host.lastStat()
    if (isSpecial(stat.mode)) {
      const ours = this.#ours.get(identityOf(stat))
      if (ours !== undefined) return ours.foundAgain(parent, name)
    }
    if (!isRegular(stat.mode) || stat.nlink === 1) return new HostInode(this, parent, name, stat)
    const identity = identityOf(stat)
    const shared = this.#linked.get(identity)?.deref()
    if (shared !== undefined) return shared.foundAgain(parent, name)
    const inode = new HostInode(this, parent, name, stat)
    this.share(inode)
    return inode
  }

  /** `inode` has, or gets, several names. */
  share(inode: HostInode): void {
    if (this.#linked.size > 4096) {
      for (const [key, reference] of this.#linked) if (reference.deref() === undefined) this.#linked.delete(key)
    }
    this.#linked.set(inode.identity, new WeakRef(inode))
  }

  /** A guest made this FIFO or socket. */
  own(inode: HostInode): void {
    this.#ours.set(inode.identity, inode)
  }

  isOurs(inode: HostInode): boolean {
    return this.#ours.get(inode.identity) === inode
  }

  /** Name and descriptor of a directory that is gone. */
  forget(inode: HostInode): void {
    this.#ours.delete(inode.identity)
    const fd = this.#directories.get(inode)
    if (fd === undefined) return
    this.#directories.delete(inode)
    Host.close(fd)
  }

  override dispose(): void {
    for (const data of this.openData) data.close()
    for (const fd of this.#directories.values()) Host.close(fd)
    this.#directories.clear()
    Host.close(this.#top)
    this.#top = -1
  }
}
