/**
 * The virtual filesystem of one sandbox: what is mounted, and from a path to a place, open(2).
 *
 * Changes to the tree (mkdir, rename, …) are in Names.ts, changes to attributes in Attributes.ts. Everything here is
 * synchronous; errors are -errno.
 */
import { R_OK, W_OK, X_OK } from "../Abi/At.ts"
import { CAP_FSETID } from "../Abi/Capability.ts"
import { makedev } from "../Abi/Device.ts"
import {
  EACCES,
  EAGAIN,
  EEXIST,
  EFBIG,
  EISDIR,
  ELOOP,
  ENOENT,
  ENOTDIR,
  ENXIO,
  EPERM,
  EROFS,
  ETXTBSY,
  EXDEV
} from "../Abi/Errno.ts"
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  S_ISGID,
  isDirectory,
  isSymlink
} from "../Abi/FileMode.ts"
import { IN_MODIFY } from "../Abi/InotifyFlags.ts"
import {
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY
} from "../Abi/OpenFlags.ts"
import { inheritList } from "./AccessList.ts"
import { hasCapabilityOver, inGroup } from "./Credentials.ts"
import { Dentry, DentryCache } from "./Dentry.ts"
import type { FileClock, Filesystem } from "./Filesystem.ts"
import type { FilesystemType } from "./FilesystemType.ts"
import type { AttributeChanges, Caller, Inode, NewNode, OpenRequest } from "./Inode.ts"
import { MemoryBudget } from "./MemoryContent.ts"
import { Location, type Mount, type MountOptions } from "./Mount.ts"
import { MountNamespace } from "./MountNamespace.ts"
import { MountTree, enter } from "./MountTree.ts"
import { changedAttributes, created } from "./Notifications.ts"
import { FIRST_NAMESPACE_INO, type NamespaceIdentity } from "./Namespace.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import { PathFile } from "./PathFile.ts"
import { PathWalk } from "./PathWalk.ts"
import { LeasedOpen, type PendingOpen } from "./PendingOpen.ts"
import { mayAccess, ownerOrCapable, withoutPrivileges } from "./Permission.ts"
import { MAX_FILE_SIZE } from "./RegularFile.ts"
import { TmpFs, defaultLimit } from "./TmpFs.ts"
import { firstUserNamespace } from "./UserNamespace.ts"

/** Opens what is not a file of any filesystem. */
export interface SpecialFiles {
  /** open(2) of a FIFO. The pipe belongs to the inode. */
  openFifo(inode: Inode, request: OpenRequest): OpenFileDescription | PendingOpen | number
  /** open(2) of a device; -ENXIO for an unknown number. */
  openDevice(
    type: "Character" | "Block",
    rdev: number,
    inode: Inode,
    request: OpenRequest
  ): OpenFileDescription | PendingOpen | number
}

/** No FIFOs, no devices. */
export const noSpecialFiles: SpecialFiles = {
  openFifo: () => -ENXIO,
  openDevice: () => -ENXIO
}

export interface WalkOptions {
  /** Follow a symbolic link at the end. */
  readonly follow: boolean
  /** RESOLVE_* of openat2(2). */
  readonly resolve?: number
  /** -ENOTDIR unless it ends at a directory. */
  readonly directory?: boolean
  /** The walk of umount2(2) is no use of what it finds (MNT_EXPIRE). */
  readonly unmounts?: boolean
}

export class Vfs {
  /** Joins the two events of a rename(2), inotify(7). */
  #lastCookie = 0
  /** Now, for file times. */
  readonly clock: FileClock
  readonly dentries = new DentryCache()
  #special: SpecialFiles
  #lastDevice = 0x30
  #root: Location | undefined
  #unnamed: Location | undefined
  readonly #filesystems = new Set<Filesystem>()
  /** What filesystems in memory take of the sentry's own: each may take half of the memory, and so may all together. */
  readonly heap = new MemoryBudget(defaultLimit())
  /** What mount(2) can mount, by name. */
  readonly filesystemTypes = new Map<string, FilesystemType>()
  /** What is mounted where. */
  readonly tree = new MountTree((filesystem) => {
    this.#filesystems.delete(filesystem)
    filesystem.dispose()
    this.dentries.forget(filesystem)
  })

  constructor(options: { readonly clock: FileClock; readonly special?: SpecialFiles }) {
    this.clock = options.clock
    this.#special = options.special ?? noSpecialFiles
  }

  /** For the assembler: FIFOs and devices, where these need the Vfs to exist first. */
  set special(special: SpecialFiles) {
    this.#special = special
  }

  // ---- mounts

  /** A fresh anonymous device number (major 0) for a filesystem. */
  newDevice(): number {
    return makedev(0, ++this.#lastDevice)
  }

  /** A mount namespace without mounts. */
  newNamespace(identity: NamespaceIdentity): MountNamespace {
    return new MountNamespace(identity, (namespace) => this.tree.remove(namespace.root, { propagate: false }))
  }

  /** "/" of the first mount namespace. */
  get root(): Location {
    return this.#root!
  }

  /**
   * Mounts `filesystem` as the root of the first namespace: as in Linux on a filesystem that nobody sees, so that
   * pivot_root(2) can take it away.
   */
  mountRoot(filesystem: Filesystem, options?: MountOptions): Location {
    const namespace = this.newNamespace({ ino: FIRST_NAMESPACE_INO.mnt, owner: firstUserNamespace }).use()
    const bottom = this.newMount(new TmpFs({ device: this.newDevice(), clock: this.clock, heap: this.heap }), {
      source: "rootfs"
    })
    namespace.root = bottom
    enter(bottom, namespace)
    const mount = this.newMount(filesystem, options)
    mount.attach(new Location(bottom, bottom.root))
    enter(mount, namespace)
    this.#root = new Location(mount, mount.root)
    return this.#root
  }

  /** Mounts `filesystem` over `point`. Its root must be a directory exactly if `point` is one: -ENOTDIR. */
  mount(filesystem: Filesystem, point: Location, options?: MountOptions): Mount | number {
    if (isDirectory(point.dentry.inode!.mode) !== isDirectory(filesystem.root.mode)) return -ENOTDIR
    const mount = this.newMount(filesystem, options)
    const error = this.tree.graft(mount, point.covered)
    if (error === 0) return mount
    this.tree.discardTree(mount)
    return error
  }

  /** A mount of all of `filesystem` that is nowhere yet. */
  newMount(filesystem: Filesystem, options?: MountOptions): Mount {
    filesystem.top ??= new Dentry(this.dentries, undefined, "/", filesystem.root)
    this.#filesystems.add(filesystem)
    return this.tree.make(filesystem, filesystem.top, options)
  }

  /** A mount that is nowhere in the tree (memfds), for as long as the sandbox lives: its root. */
  mountInternal(filesystem: Filesystem, options?: MountOptions): Location {
    const mount = this.newMount(filesystem, options)
    mount.use()
    return new Location(mount, mount.root)
  }

  /** The root of an internal tmpfs, for files that never get a name. */
  get unnamedFiles(): Location {
    this.#unnamed ??= this.mountInternal(new TmpFs({ device: this.newDevice(), clock: this.clock, heap: this.heap }))
    return this.#unnamed
  }

  /** The name of `dentry` is gone, and with it what other namespaces have mounted there. */
  drop(dentry: Dentry): void {
    dentry.drop()
    if (dentry.mounts !== undefined) this.tree.removeFrom(dentry)
  }

  /** The filesystem that is mounted under device number `device`. */
  filesystemOn(device: number): Filesystem | undefined {
    return [...this.#filesystems].find((filesystem) => filesystem.device === device)
  }

  /** sync(2). */
  synchronize(): void {
    for (const filesystem of this.#filesystems) filesystem.synchronize()
  }

  /** The sandbox ends. */
  dispose(): void {
    for (const filesystem of this.#filesystems) filesystem.dispose()
    this.#filesystems.clear()
  }

  // ---- paths

  /** The place `path` leads to, which exists. A magic link to something without a place is -ENXIO. */
  walk(caller: Caller, start: Location, path: string, options: WalkOptions): Location | number {
    const found = this.find(caller, start, path, options)
    return found instanceof OpenFileDescription ? -ENXIO : found
  }

  /** As `walk`; a magic link may lead to an open file (stat of /proc/self/fd/0, a pipe). */
  find(caller: Caller, start: Location, path: string, options: WalkOptions): Location | OpenFileDescription | number {
    if (path === "") return -ENOENT
    const walk = new PathWalk(caller, start, path, options.resolve)
    const error = walk.toLast()
    walk.at.mount.expiring = false
    if (error < 0) return error
    for (;;) {
      const found = walk.lookupLast()
      if (typeof found === "number") return found
      if (options.unmounts !== true) found.mount.expiring = false
      const { inode } = found.dentry
      if (inode === undefined) return -ENOENT
      if (isSymlink(inode.mode) && (options.follow || walk.trailingSlash)) {
        const error = walk.followLast(inode)
        if (error < 0) return error
        if (walk.openFile !== undefined) return walk.openFile
        continue
      }
      const directory = (options.directory ?? false) || walk.trailingSlash
      return directory && !isDirectory(inode.mode) ? -ENOTDIR : found
    }
  }

  /** Walks to the directory of the last component: the walk, with `at`, `kind`, `last` and `trailingSlash`; or -errno. */
  walkToLast(caller: Caller, start: Location, path: string): PathWalk | number {
    if (path === "") return -ENOENT
    const walk = new PathWalk(caller, start, path)
    const error = walk.toLast()
    return error < 0 ? error : walk
  }

  nextCookie(): number {
    this.#lastCookie = (this.#lastCookie + 1) >>> 0
    return this.#lastCookie
  }

  // ---- open(2)

  /** openat2(2). `flags` are valid, the caller has seen to that; `mode` is that of a new file, before the umask. */
  open(
    caller: Caller,
    start: Location,
    path: string,
    flags: number,
    mode: number,
    resolve = 0
  ): OpenFileDescription | PendingOpen | number {
    if (path === "") return -ENOENT
    if ((flags & O_PATH) !== 0) return this.#openPath(caller, start, path, flags, resolve)
    if ((flags & O_TMPFILE) === O_TMPFILE) return this.#openUnnamed(caller, start, path, flags, mode, resolve)
    const walk = new PathWalk(caller, start, path, resolve)
    const create = (flags & O_CREAT) !== 0
    const exclusive = create && (flags & O_EXCL) !== 0
    const error = walk.toLast()
    if (error < 0) return error
    for (;;) {
      if (create && walk.kind === "Normal" && walk.trailingSlash) return -EISDIR
      const found = walk.lookupLast()
      if (typeof found === "number") return found
      const { inode } = found.dentry
      if (inode === undefined) return create ? this.#create(caller, walk, found.dentry, flags, mode) : -ENOENT
      if (isSymlink(inode.mode) && !exclusive && ((flags & O_NOFOLLOW) === 0 || walk.trailingSlash)) {
        const error = walk.followLast(inode)
        if (error < 0) return error
        if (walk.openFile !== undefined) {
          if ((flags & O_DIRECTORY) !== 0) return -ENOTDIR
          return walk.openFile.reopen({ flags: statusFlagsOf(flags), caller, created: false })
        }
        continue
      }
      if (exclusive) return -EEXIST
      if (create && isDirectory(inode.mode)) return -EISDIR
      const directory = (flags & O_DIRECTORY) !== 0 || walk.trailingSlash
      if (directory && !isDirectory(inode.mode)) return -ENOTDIR
      return this.openLocation(caller, found, flags)
    }
  }

  /** Opens what is at `location` (open after the walk): permission checks, O_TRUNC, special files. */
  openLocation(caller: Caller, location: Location, flags: number): OpenFileDescription | PendingOpen | number {
    const inode = location.dentry.inode!
    const { mode } = inode
    const access = accessOf(flags)
    const writes = (access & W_OK) !== 0
    const type = mode & S_IFMT
    if (type === S_IFLNK) return -ELOOP
    if (type === S_IFDIR && writes) return -EISDIR
    const truncates = (flags & O_TRUNC) !== 0 && type === S_IFREG
    if (truncates && location.mount.refusesWrites) return -EROFS
    if ((type === S_IFCHR || type === S_IFBLK) && location.mount.noDevices) return -EACCES
    const denied = mayAccess(inode, access, caller.credentials)
    if (denied < 0) return denied
    if ((flags & O_NOATIME) !== 0 && !ownerOrCapable(inode, caller.credentials)) return -EPERM
    if (writes && type === S_IFREG && location.mount.refusesWrites) return -EROFS
    if (writes && type === S_IFREG && inode.executors > 0) return -ETXTBSY
    const { leases } = inode
    if (leases !== undefined && leases.break(writes)) {
      if ((flags & O_NONBLOCK) !== 0) return -EAGAIN
      return new LeasedOpen(inode, leases, writes, () => this.#openAllowed(caller, location, flags, truncates))
    }
    if (type === S_IFREG) return this.#openAllowed(caller, location, flags, truncates)
    const file = this.#openInode(inode, { flags: statusFlagsOf(flags), location, caller, created: false })
    return file instanceof OpenFileDescription ? file.announce(location) : file
  }

  /** Opens the regular file at `location`, as nothing forbids it. */
  #openAllowed(caller: Caller, location: Location, flags: number, truncates: boolean): OpenFileDescription | number {
    const request = { flags: statusFlagsOf(flags), location, caller, created: false }
    const file = location.dentry.inode!.open(request)
    if (typeof file === "number") return file
    file.announce(location)
    if (truncates) {
      const error = this.truncate(caller, location.dentry, 0)
      if (error < 0) {
        file.release()
        return error
      }
    }
    return file
  }

  /** Changes the size, and takes set-id bits away where a write would. Permissions have been checked. */
  truncate(caller: Caller, dentry: Dentry, size: number): number {
    if (size > MAX_FILE_SIZE) return -EFBIG
    const inode = dentry.inode!
    const mode = withoutPrivileges(inode, caller.credentials)
    const changes: AttributeChanges = mode === undefined ? { size } : { size, mode }
    const error = inode.setAttributes(changes)
    if (error === 0) changedAttributes(dentry, IN_MODIFY)
    return error
  }

  #openInode(inode: Inode, request: OpenRequest): OpenFileDescription | PendingOpen | number {
    switch (inode.mode & S_IFMT) {
      case S_IFSOCK:
        return -ENXIO
      case S_IFIFO:
        return inode.foreign ? -ENXIO : this.#special.openFifo(inode, request)
      case S_IFCHR:
      case S_IFBLK: {
        if (inode.foreign) return -EACCES
        const stat = inode.stat()
        if (typeof stat === "number") return stat
        const type = (inode.mode & S_IFMT) === S_IFCHR ? "Character" : "Block"
        return this.#special.openDevice(type, stat.rdev, inode, request)
      }
      default:
        return inode.open(request)
    }
  }

  #openPath(
    caller: Caller,
    start: Location,
    path: string,
    flags: number,
    resolve: number
  ): OpenFileDescription | number {
    const found = this.find(caller, start, path, {
      follow: (flags & O_NOFOLLOW) === 0,
      directory: (flags & O_DIRECTORY) !== 0,
      resolve
    })
    if (typeof found === "number") return found
    if (found instanceof OpenFileDescription) return -ENXIO
    const options = { flags: flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW), location: found, caller, created: false }
    return new PathFile(options).announce(found)
  }

  #create(
    caller: Caller,
    walk: PathWalk,
    dentry: Dentry,
    flags: number,
    mode: number
  ): OpenFileDescription | PendingOpen | number {
    const parent = walk.at
    if (parent.dentry.unlinked) return -ENOENT
    if (parent.mount.refusesWrites) return -EROFS
    const directory = parent.dentry.inode!
    const denied = mayAccess(directory, W_OK | X_OK, caller.credentials)
    if (denied < 0) return denied
    const node = newNode(caller, directory, S_IFREG | (mode & 0o7777))
    const inode = directory.create(walk.last, { ...node, opens: true })
    if (typeof inode === "number") return inode
    dentry.inode = inode
    created(dentry)
    const location = new Location(parent.mount, dentry)
    return this.#openCreated(caller, location, flags)
  }

  #openCreated(caller: Caller, location: Location, flags: number): OpenFileDescription | number {
    const request = { flags: statusFlagsOf(flags), location, caller, created: true }
    const file = location.dentry.inode!.open(request)
    if (typeof file === "number") return file
    file.created = true
    return file.announce(location)
  }

  #openUnnamed(
    caller: Caller,
    start: Location,
    path: string,
    flags: number,
    mode: number,
    resolve: number
  ): OpenFileDescription | number {
    const at = this.walk(caller, start, path, { follow: (flags & O_NOFOLLOW) === 0, directory: true, resolve })
    if (typeof at === "number") return at
    if (at.mount.refusesWrites) return -EROFS
    const directory = at.dentry.inode!
    const denied = mayAccess(directory, W_OK | X_OK, caller.credentials)
    if (denied < 0) return denied
    const inode = directory.createUnnamed(newNode(caller, directory, S_IFREG | (mode & 0o7777)))
    if (typeof inode === "number") return inode
    inode.linkable = (flags & O_EXCL) === 0
    return this.#openCreated(
      caller,
      new Location(at.mount, this.unnamedDentry(at.dentry, `#${inode.ino}`, inode)),
      flags
    )
  }

  /** A dentry that is in no directory: O_TMPFILE, memfd_create. Its path ends in " (deleted)". */
  unnamedDentry(parent: Dentry, name: string, inode: Inode): Dentry {
    const dentry = new Dentry(this.dentries, parent, name, inode)
    dentry.unlinked = true
    return dentry
  }
}

/** What F_GETFL shows of the flags of an open: not those that only matter while opening. */
const statusFlagsOf = (flags: number): number => flags & ~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC)

/** The access an open needs. O_ACCMODE 3 asks for both and gives neither, open(2). */
const accessOf = (flags: number): number => {
  const mode = flags & O_ACCMODE
  const access = mode === O_RDONLY ? R_OK : mode === O_WRONLY ? W_OK : R_OK | W_OK
  return (flags & O_TRUNC) !== 0 ? access | W_OK : access
}

/**
 * What a new inode in `directory` begins with: umask or the directory's default access control list, the caller's ids,
 * and what a set-group-id directory passes on.
 */
export const newNode = (caller: Caller, directory: Inode, mode: number, rdev = 0): NewNode => {
  const { credentials } = caller
  const inherited = isSymlink(mode) ? undefined : directory.accessList("inherited")
  const { list, mode: masked } =
    inherited === undefined
      ? { list: undefined, mode: isSymlink(mode) ? mode : mode & ~caller.fs.umask }
      : inheritList(inherited, mode)
  const lists = inherited && { access: list, inherited: isDirectory(mode) ? inherited : undefined }
  const node = { mode: masked, uid: credentials.fsuid, gid: credentials.fsgid, rdev, ...(lists && { lists }) }
  if ((directory.mode & S_ISGID) === 0) return node
  const gid = directory.gid
  if (isDirectory(mode)) return { ...node, mode: masked | S_ISGID, gid }
  // a group-executable set-group-id file of a foreign group would lend that group
  const lends = (mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010) && !inGroup(credentials, gid)
  const kept = lends && !hasCapabilityOver(credentials, directory, CAP_FSETID) ? masked & ~S_ISGID : masked
  return { ...node, mode: kept, gid }
}

/** 0, or -EXDEV where two places are not in one mount. */
export const sameMount = (a: Location, b: Location): number => (a.mount === b.mount ? 0 : -EXDEV)
