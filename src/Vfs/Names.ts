/**
 * Changes to the tree of names: mknod(2), mkdir(2), symlink(2), link(2), unlink(2), rmdir(2), rename(2). The order in
 * which errors are found is Linux's.
 */
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT, R_OK, W_OK, X_OK } from "../Abi/At.ts"
import { CAP_MKNOD } from "../Abi/Capability.ts"
import { EBUSY, EEXIST, EINVAL, EISDIR, EMLINK, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, EROFS, EXDEV } from "../Abi/Errno.ts"
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_ISGID,
  S_ISUID,
  isDirectory,
  isRegular
} from "../Abi/FileMode.ts"
import { type Credentials, hasCapability } from "./Credentials.ts"
import type { Dentry } from "./Dentry.ts"
import type { Caller, Inode } from "./Inode.ts"
import type { Location } from "./Mount.ts"
import * as Notifications from "./Notifications.ts"
import type { PathWalk } from "./PathWalk.ts"
import { checkSticky, mayAccess, ownerOrCapable } from "./Permission.ts"
import { type Vfs, newNode } from "./Vfs.ts"

/** More names than this, and link(2) is EMLINK: ext4's limit is 65,000, tmpfs has none that is reached. */
const MAX_LINKS = 0x7fff_ffff

/** A name that is free: its directory and its negative dentry. */
interface FreeName {
  readonly walk: PathWalk
  readonly dentry: Dentry
}

/** The place for a new name, or -errno. A trailing slash is right only for a directory. */
const freeName = (
  vfs: Vfs,
  caller: Caller,
  start: Location,
  path: string,
  kind: "directory" | "other"
): FreeName | number => {
  const walk = vfs.walkToLast(caller, start, path)
  if (typeof walk === "number") return walk
  if (walk.kind !== "Normal") return -EEXIST
  const dentry = walk.lookupDentry(walk.last)
  if (typeof dentry === "number") return dentry
  if (dentry.inode !== undefined) return -EEXIST
  if (walk.trailingSlash && kind !== "directory") return -ENOENT
  if (walk.at.mount.refusesWrites) return -EROFS
  return { walk, dentry }
}

/** may_create: 0 or -errno. */
const mayCreate = (directory: Dentry, credentials: Credentials): number =>
  directory.unlinked ? -ENOENT : mayAccess(directory.inode!, W_OK | X_OK, credentials)

/** may_delete: 0 or -errno. */
const mayDelete = (directory: Dentry, victim: Inode, asDirectory: boolean, credentials: Credentials): number => {
  const denied = mayAccess(directory.inode!, W_OK | X_OK, credentials)
  if (denied < 0) return denied
  const sticky = checkSticky(directory.inode!, victim, credentials)
  if (sticky < 0) return sticky
  if (asDirectory !== isDirectory(victim.mode)) return asDirectory ? -ENOTDIR : -EISDIR
  return directory.unlinked ? -ENOENT : 0
}

const appear = ({ dentry }: FreeName, made: Inode | number): number => {
  if (typeof made === "number") return made
  dentry.inode = made
  Notifications.created(dentry)
  return 0
}

/** Whether mknod(2) makes such files: 0, or -errno, before it looks at the name. */
export const checkNodeType = (mode: number): number => {
  const type = mode & S_IFMT
  if (type === S_IFDIR) return -EPERM
  return type === 0 || isKnownType(type) ? 0 : -EINVAL
}

/** mknod(2). Directories are mkdir's; devices need CAP_MKNOD. */
export const mknod = (vfs: Vfs, caller: Caller, start: Location, path: string, mode: number, rdev: number): number => {
  const type = mode & S_IFMT
  const refused = checkNodeType(mode)
  if (refused < 0) return refused
  const free = freeName(vfs, caller, start, path, "other")
  if (typeof free === "number") return free
  const denied = mayCreate(free.walk.at.dentry, caller.credentials)
  if (denied < 0) return denied
  // device 0:0 is no device but an overlay's whiteout, which anybody may make
  const device = type === S_IFBLK || (type === S_IFCHR && rdev !== 0)
  if (device && !hasCapability(caller.credentials, CAP_MKNOD)) return -EPERM
  const directory = free.walk.at.dentry.inode!
  const node = newNode(caller, directory, (type === 0 ? S_IFREG : type) | (mode & 0o7777), device ? rdev : 0)
  return appear(free, directory.create(free.walk.last, node))
}

const isKnownType = (type: number): boolean => [0o010000, 0o020000, 0o060000, 0o100000, 0o140000].includes(type)

/** mkdir(2). */
export const mkdir = (vfs: Vfs, caller: Caller, start: Location, path: string, mode: number): number => {
  const free = freeName(vfs, caller, start, path, "directory")
  if (typeof free === "number") return free
  const denied = mayCreate(free.walk.at.dentry, caller.credentials)
  if (denied < 0) return denied
  const directory = free.walk.at.dentry.inode!
  // "the mode is (mode & ~umask & 01777)": set-id bits come only from the parent
  return appear(free, directory.create(free.walk.last, newNode(caller, directory, S_IFDIR | (mode & 0o1777))))
}

/** symlink(2). */
export const symlink = (vfs: Vfs, caller: Caller, target: string, start: Location, path: string): number => {
  if (target === "") return -ENOENT
  const free = freeName(vfs, caller, start, path, "other")
  if (typeof free === "number") return free
  const denied = mayCreate(free.walk.at.dentry, caller.credentials)
  if (denied < 0) return denied
  const directory = free.walk.at.dentry.inode!
  return appear(free, directory.symlink(free.walk.last, target, newNode(caller, directory, S_IFLNK | 0o777)))
}

/** link(2) of what is at `source`. Who does not own the file needs read and write access (fs.protected_hardlinks). */
export const link = (vfs: Vfs, caller: Caller, source: Location, start: Location, path: string): number => {
  const free = freeName(vfs, caller, start, path, "other")
  if (typeof free === "number") return free
  const { at } = free.walk
  if (at.mount !== source.mount) return -EXDEV
  const inode = source.dentry.inode!
  const { credentials } = caller
  if (!ownerOrCapable(inode, credentials) && !isSafeSource(inode, credentials)) {
    return -EPERM
  }
  const denied = mayCreate(at.dentry, credentials)
  if (denied < 0) return denied
  if (isDirectory(inode.mode)) return -EPERM
  const stat = inode.stat()
  if (typeof stat === "number") return stat
  if (stat.nlink === 0 && !inode.linkable) return -ENOENT
  if (stat.nlink >= MAX_LINKS) return -EMLINK
  const error = at.dentry.inode!.link(free.walk.last, inode)
  if (error < 0) return error
  inode.linkable = false
  free.dentry.inode = inode
  Notifications.linked(free.dentry)
  return 0
}

const isSafeSource = (inode: Inode, credentials: Credentials): boolean => {
  const { mode } = inode
  if (!isRegular(mode) || (mode & S_ISUID) !== 0) return false
  if ((mode & (S_ISGID | 0o010)) === (S_ISGID | 0o010)) return false
  return mayAccess(inode, R_OK | W_OK, credentials) === 0
}

/** unlink(2). */
export const unlink = (vfs: Vfs, caller: Caller, start: Location, path: string): number => {
  const walk = vfs.walkToLast(caller, start, path)
  if (typeof walk === "number") return walk
  if (walk.kind !== "Normal") return -EISDIR
  if (walk.at.mount.refusesWrites) return -EROFS
  const dentry = childOf(walk)
  if (typeof dentry === "number") return dentry
  const inode = dentry.inode!
  if (walk.trailingSlash) return isDirectory(inode.mode) ? -EISDIR : -ENOTDIR
  const denied = mayDelete(walk.at.dentry, inode, false, caller.credentials)
  if (denied < 0) return denied
  if (isMountPoint(caller, dentry)) return -EBUSY
  const error = walk.at.dentry.inode!.unlink(walk.last, inode)
  if (error < 0) return error
  vfs.drop(dentry)
  Notifications.unlinked(dentry)
  return 0
}

/** rmdir(2). */
export const rmdir = (vfs: Vfs, caller: Caller, start: Location, path: string): number => {
  const walk = vfs.walkToLast(caller, start, path)
  if (typeof walk === "number") return walk
  if (walk.kind === "DotDot") return -ENOTEMPTY
  if (walk.kind === "Dot") return -EINVAL
  if (walk.kind === "Root") return -EBUSY
  if (walk.at.mount.refusesWrites) return -EROFS
  const dentry = childOf(walk)
  if (typeof dentry === "number") return dentry
  const inode = dentry.inode!
  const denied = mayDelete(walk.at.dentry, inode, true, caller.credentials)
  if (denied < 0) return denied
  if (isMountPoint(caller, dentry)) return -EBUSY
  const error = walk.at.dentry.inode!.rmdir(walk.last, inode)
  if (error < 0) return error
  vfs.drop(dentry)
  Notifications.removedDirectory(dentry)
  return 0
}

/** Whether something is mounted on it where `caller` can see it. */
const isMountPoint = ({ fs: { namespace } }: Caller, { mounts }: Dentry): boolean => {
  for (const parent of mounts?.keys() ?? []) if (parent.namespace === namespace) return true
  return false
}

/** The dentry of the last component itself, mounts not crossed; -ENOENT where there is no such file. */
const childOf = (walk: PathWalk): Dentry | number => {
  const dentry = walk.lookupDentry(walk.last)
  if (typeof dentry === "number") return dentry
  return dentry.inode === undefined ? -ENOENT : dentry
}

/** renameat2(2); `flags` are RENAME_* bits that the caller has found valid. */
export const rename = (
  vfs: Vfs,
  caller: Caller,
  oldStart: Location,
  oldPath: string,
  newStart: Location,
  newPath: string,
  flags: number
): number => {
  const from = vfs.walkToLast(caller, oldStart, oldPath)
  if (typeof from === "number") return from
  const to = vfs.walkToLast(caller, newStart, newPath)
  return typeof to === "number" ? to : renameLast(vfs, caller, from, to, flags)
}

/** rename(2) once both ways have been walked, but for their last components. */
export const renameLast = (vfs: Vfs, caller: Caller, from: PathWalk, to: PathWalk, flags: number): number => {
  if (from.at.mount !== to.at.mount) return -EXDEV
  if (from.kind !== "Normal") return -EBUSY
  if (to.kind !== "Normal") return (flags & RENAME_NOREPLACE) !== 0 ? -EEXIST : -EBUSY
  if (from.at.mount.refusesWrites) return -EROFS

  const source = childOf(from)
  if (typeof source === "number") return source
  const target = to.lookupDentry(to.last)
  if (typeof target === "number") return target

  const whiteout = (flags & RENAME_WHITEOUT) !== 0
  if (whiteout && !from.at.mount.filesystem.hasWhiteouts) return -EINVAL
  const exchange = (flags & RENAME_EXCHANGE) !== 0
  const inode = source.inode!
  const replaced = target.inode
  if ((flags & RENAME_NOREPLACE) !== 0 && replaced !== undefined) return -EEXIST
  if (exchange) {
    if (replaced === undefined) return -ENOENT
    if (!isDirectory(replaced.mode) && to.trailingSlash) return -ENOTDIR
  }
  if (!isDirectory(inode.mode)) {
    if (from.trailingSlash || (!exchange && to.trailingSlash)) return -ENOTDIR
  }
  // neither may be above the other
  if (to.at.dentry.isBelow(source)) return -EINVAL
  if (replaced !== undefined && from.at.dentry.isBelow(target)) return exchange ? -EINVAL : -ENOTEMPTY
  if (inode === replaced) return 0 // two names of one file: rename(2) does nothing

  const denied = mayRename(from.at.dentry, inode, to.at.dentry, replaced, exchange, caller.credentials)
  if (denied < 0) return denied
  if (isMountPoint(caller, source) || isMountPoint(caller, target)) return -EBUSY
  const error = from.at.dentry.inode!.rename(from.last, inode, to.at.dentry.inode!, to.last, replaced, exchange)
  if (error < 0) return error
  if (whiteout) from.at.dentry.inode!.create(from.last, newNode(caller, from.at.dentry.inode!, S_IFCHR))
  const [oldDirectory, newDirectory] = [from.at.dentry.inode!, to.at.dentry.inode!]
  if (exchange) {
    source.exchange(target)
    Notifications.moved(oldDirectory, from.last, source, undefined, vfs.nextCookie())
    Notifications.moved(newDirectory, to.last, target, undefined, vfs.nextCookie())
  } else {
    vfs.drop(target)
    source.move(to.at.dentry, to.last)
    Notifications.moved(oldDirectory, from.last, source, target, vfs.nextCookie())
  }
  return 0
}

const mayRename = (
  oldDirectory: Dentry,
  inode: Inode,
  newDirectory: Dentry,
  replaced: Inode | undefined,
  exchange: boolean,
  credentials: Credentials
): number => {
  const isDir = isDirectory(inode.mode)
  const away = mayDelete(oldDirectory, inode, isDir, credentials)
  if (away < 0) return away
  const here =
    replaced === undefined
      ? mayCreate(newDirectory, credentials)
      : mayDelete(newDirectory, replaced, exchange ? isDirectory(replaced.mode) : isDir, credentials)
  if (here < 0) return here
  if (oldDirectory === newDirectory) return 0
  // a directory that moves gets another "..": that is a write to it
  if (isDir) {
    const denied = mayAccess(inode, W_OK, credentials)
    if (denied < 0) return denied
  }
  return exchange && replaced !== undefined && isDirectory(replaced.mode) ? mayAccess(replaced, W_OK, credentials) : 0
}
