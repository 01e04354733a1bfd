/**
 * An inode, inode(7): a file itself, apart from its names.
 *
 * Every method is synchronous and never blocks; errors are negative errno numbers. Names are byte strings of 1 to 255
 * characters, never ".", ".." or containing "/". Callers (Vfs) have checked permissions, mount flags, that a name does
 * or does not exist, and sticky bits; an inode checks only what it alone knows (empty directories, space, what the
 * host says). The defaults refuse as Linux does where a filesystem lacks the operation.
 */
import { EACCES, EINVAL, ENOTDIR, ENXIO, EOPNOTSUPP, EPERM } from "../Abi/Errno.ts"
import { isRegular } from "../Abi/FileMode.ts"
import type { AccessList, AccessListKind } from "./AccessList.ts"
import type { Credentials } from "./Credentials.ts"
import type { Filesystem } from "./Filesystem.ts"
import type { FsContext } from "./FsContext.ts"
import type { Leases } from "./Leases.ts"
import type { Location } from "./Mount.ts"
import type { Watcher } from "./Notifications.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { FileTime, Stat } from "./Stat.ts"

/** Who asks: a task, as far as the VFS is concerned (`Task` is one). */
export interface Caller {
  readonly fs: FsContext
  readonly credentials: Credentials
  readonly tid: number
  readonly threadGroup: { readonly tgid: number }
}

/** `caller` as of now, for a description to keep: a description may outlive the task that opened it. */
export const openerOf = ({ fs, credentials, tid, threadGroup }: Caller): Caller => ({
  fs,
  credentials,
  tid,
  threadGroup: { tgid: threadGroup.tgid }
})

/** What a new inode begins with. The VFS has applied umask, set-group-id inheritance and ids. */
export interface NewNode {
  /** File type and permissions. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Device number, for devices; else 0. */
  readonly rdev: number
  /** An open(2) creates it: `open` follows at once, and may not fail for lack of permission. */
  readonly opens?: boolean
  /** The access control lists that its directory passes on. */
  readonly lists?: { readonly access: AccessList | undefined; readonly inherited: AccessList | undefined }
}

/** Changes to attributes; what is absent stays. The inode sets ctime itself. */
export interface AttributeChanges {
  /** Permission bits (07777). */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly size?: number
  readonly atime?: FileTime
  readonly mtime?: FileTime
}

/** An open(2) of an inode. */
export interface OpenRequest {
  /** O_* flags; O_CREAT, O_EXCL and O_TRUNC have been dealt with. */
  readonly flags: number
  /** Where it was found: what /proc/[pid]/fd shows, and fchdir and *at(2) start from. */
  readonly location: Location
  readonly caller: Caller
  /** This open created the file, so its permissions do not matter (a new file of mode 0444 opens for writing). */
  readonly created: boolean
  /** execve(2) opens it: nobody may write to it while this description is open (ETXTBSY). */
  readonly executes?: boolean
}

/**
 * Where a magic link of proc(5) leads: to a place, without regard to its name; or to an open file that has no place (a
 * pipe), which open(2) reopens.
 */
export type MagicTarget = Location | OpenFileDescription

/** An entry as a directory listing shows it. */
export interface DirectoryEntry {
  readonly name: string
  readonly ino: number
  /** DT_*. */
  readonly type: number
}

/** An entry with the offset that continues behind it: d_off of getdents64(2), 3 or more. */
export interface ListedEntry extends DirectoryEntry {
  readonly nextOffset: number
}

/** One pass over a directory without "." and "..". */
export interface DirectoryListing {
  /** The entries from `offset` (2, or the `nextOffset` of an entry) on. May go on while the directory changes. */
  from(offset: number): Iterator<ListedEntry>
}

export abstract class Inode {
  abstract readonly filesystem: Filesystem
  abstract get ino(): number
  /** Descriptions open for writing, and for execution, of a regular file: the two exclude each other (ETXTBSY). */
  writers = 0
  executors = 0
  /** Descriptions open for reading only. */
  readers = 0
  /** Atomic: Leases. */
  leases: Leases | undefined
  /** Descriptions of it, O_PATH included: without these and without a name it is gone. */
  descriptions = 0
  /** O_TMPFILE made it, without O_EXCL: it may get a first name, which else a file without a name can't. */
  linkable = false
  /** F_SET_RW_HINT. */
  lifetimeHint = 0
  /** Who is told what happens to it, Notifications.ts. */
  watchers: Set<Watcher> | undefined
  /** Type and permissions, as of the last lookup or change: cheap, for permission checks. */
  abstract get mode(): number
  abstract get uid(): number
  abstract get gid(): number

  /** All attributes, or -errno. */
  abstract stat(): Stat | number

  /**
   * Whether names below this directory may appear, vanish or change without this kernel doing it (host directories,
   * proc). If so every path walk calls `lookup` again; else the dentry cache answers.
   */
  get volatile(): boolean {
    return false
  }

  /** A FIFO, socket or device of the host's: shown, never opened. */
  get foreign(): boolean {
    return false
  }

  /**
   * The inode behind `name`, or -ENOENT or another -errno. `known` is what the last lookup of this name gave: return
   * that very object if it still stands, so that names, locks and working directories keep their identity.
   */
  lookup(_name: string, _known: Inode | undefined): Inode | number {
    return -ENOTDIR
  }

  /** Starts a pass over the directory (opendir, rewinddir): a listing or -errno. */
  list(_caller: Caller): DirectoryListing | number {
    return -ENOTDIR
  }

  /** It was read through a mount with these MS_* flags: its access time moves as mount(2) says. */
  accessed(_mountFlags: number): void {}

  /** Creates a regular file, directory, FIFO, socket or device named `name`, which does not exist. */
  create(_name: string, _node: NewNode): Inode | number {
    return -EPERM
  }

  /** symlink(2). */
  symlink(_name: string, _target: string, _node: NewNode): Inode | number {
    return -EPERM
  }

  /** link(2): one more name for `target`, an inode of the same filesystem. */
  link(_name: string, _target: Inode): number {
    return -EPERM
  }

  /** unlink(2) of `child`, which is not a directory. */
  unlink(_name: string, _child: Inode): number {
    return -EPERM
  }

  /** rmdir(2) of `child`; -ENOTEMPTY. */
  rmdir(_name: string, _child: Inode): number {
    return -EPERM
  }

  /**
   * rename(2) of `child`, from `name` here to `newName` in `newParent`, replacing `replaced` (same kind; -ENOTEMPTY).
   * With `exchange` the two swap names and both kinds are allowed.
   */
  rename(
    _name: string,
    _child: Inode,
    _newParent: Inode,
    _newName: string,
    _replaced: Inode | undefined,
    _exchange: boolean
  ): number {
    return -EPERM
  }

  /** O_TMPFILE: a regular file without a name. */
  createUnnamed(_node: NewNode): Inode | number {
    return -EOPNOTSUPP
  }

  /** Whether what it stands for has ended, and no name leads here any more although nobody removed it: a process. */
  get gone(): boolean {
    return false
  }

  /** The text of a symbolic link. */
  readlink(_caller: Caller): string | number {
    return -EINVAL
  }

  /** Whether following this symbolic link means `follow`, not reading its text. */
  get magic(): boolean {
    return false
  }

  /** Where a magic link leads, or -errno. */
  follow(_caller: Caller): MagicTarget | number {
    return -EINVAL
  }

  setAttributes(_changes: AttributeChanges): number {
    return -EPERM
  }

  /**
   * A description of the open file. Directories give a DirectoryFile. Never called for FIFOs and devices (see SpecialFiles in Vfs.ts), symbolic links
   * or O_PATH.
   */
  open(_request: OpenRequest): OpenFileDescription | number {
    return -ENXIO
  }

  /** Whether it can have access control lists. */
  get supportsAccessLists(): boolean {
    return false
  }

  /** An access control list, acl(5), where it has one that says more than the mode. */
  accessList(_kind: AccessListKind): AccessList | undefined {
    return undefined
  }

  /** Only where `supportsAccessLists`; the mode is not its business. */
  setAccessList(_kind: AccessListKind, _list: AccessList | undefined): number {
    return -EOPNOTSUPP
  }

  /** getxattr(2): the value, or -ENODATA. */
  getExtendedAttribute(_name: string): Uint8Array | number {
    return -EOPNOTSUPP
  }

  /** setxattr(2). `flags`: XATTR_CREATE, XATTR_REPLACE. Never for access control lists. */
  setExtendedAttribute(_name: string, _value: Uint8Array, _flags: number): number {
    return -EOPNOTSUPP
  }

  removeExtendedAttribute(_name: string): number {
    return -EOPNOTSUPP
  }

  listExtendedAttributes(): ReadonlyArray<string> | number {
    return []
  }
}

/** An inode of a filesystem that changes only by itself (proc, dev): every change is refused, as for Linux's proc. */
export abstract class ReadOnlyInode extends Inode {
  override create(_name: string, node: NewNode): Inode | number {
    return isRegular(node.mode) ? -EACCES : -EPERM
  }
}
