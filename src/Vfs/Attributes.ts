/**
 * Changes to attributes: chmod(2), chown(2), utimensat(2), truncate(2); and access(2). Each says who may.
 */
import { R_OK, W_OK, X_OK } from "../Abi/At.ts"
import { CAP_CHOWN, CAP_FSETID } from "../Abi/Capability.ts"
import { EACCES, EINVAL, EISDIR, EOPNOTSUPP, EPERM, EROFS, ETXTBSY } from "../Abi/Errno.ts"
import { S_ISGID, S_ISUID, isDirectory, isRegular, isSpecial, isSymlink } from "../Abi/FileMode.ts"
import { IN_ACCESS, IN_ATTRIB, IN_MODIFY } from "../Abi/InotifyFlags.ts"
import { NO_ID } from "./IdMap.ts"
import { type Credentials, hasCapabilityOver, inGroup } from "./Credentials.ts"
import type { AttributeChanges, Caller } from "./Inode.ts"
import type { Location } from "./Mount.ts"
import { changedAttributes } from "./Notifications.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import { mayAccess, ownerOrCapable, type Protected } from "./Permission.ts"
import type { FileTime } from "./Stat.ts"
import type { Vfs } from "./Vfs.ts"

/** What has attributes that can change: a place in the tree, or an open file without one (a pipe, a socket). */
type Subject = Location | OpenFileDescription

/** The attributes that decide who may change them: -EROFS where nobody may. */
const attributesOf = (subject: Subject): Protected | number => {
  if (subject instanceof OpenFileDescription) return subject.stat()
  return subject.mount.refusesWrites ? -EROFS : subject.dentry.inode!
}

/** Makes the changes, and tells who watches. */
const set = (subject: Subject, changes: AttributeChanges, event: number): number => {
  if (subject instanceof OpenFileDescription) return subject.setAttributes(changes)
  const error = subject.dentry.inode!.setAttributes(changes)
  if (error === 0) changedAttributes(subject.dentry, event)
  return error
}

/** chmod(2). */
export const changeMode = (caller: Caller, subject: Subject, mode: number): number => {
  const now = attributesOf(subject)
  if (typeof now === "number") return now
  const { credentials } = caller
  if (isSymlink(now.mode)) return -EOPNOTSUPP
  if (!ownerOrCapable(now, credentials)) return -EPERM
  let wanted = mode & 0o7777
  // a set-group-id file of a group one is not in would lend that group
  if (!inGroup(credentials, now.gid) && !hasCapabilityOver(credentials, now, CAP_FSETID)) wanted &= ~S_ISGID
  return set(subject, { mode: wanted }, IN_ATTRIB)
}

/** chown(2); 0xffffffff leaves an id. */
export const changeOwner = (caller: Caller, subject: Subject, uid: number, gid: number): number => {
  const now = attributesOf(subject)
  if (typeof now === "number") return now
  const { credentials } = caller
  const newUid = uid === NO_ID ? undefined : uid
  const newGid = gid === NO_ID ? undefined : gid
  const isOwner = now.uid === credentials.fsuid
  const privileged = hasCapabilityOver(credentials, now, CAP_CHOWN)
  if (newUid !== undefined && !privileged && !(isOwner && newUid === now.uid)) return -EPERM
  if (newGid !== undefined && !privileged) {
    if (!isOwner || (newGid !== now.gid && !inGroup(credentials, newGid))) return -EPERM
  }
  const changes: { -readonly [K in keyof AttributeChanges]: AttributeChanges[K] } = {}
  if (newUid !== undefined) changes.uid = newUid
  if (newGid !== undefined) changes.gid = newGid
  const mode = modeAfterChown(now, credentials)
  if (mode !== now.mode) changes.mode = mode & 0o7777
  return set(subject, changes, IN_ATTRIB)
}

/** "When the owner or group of an executable file is changed …, the S_ISUID and S_ISGID mode bits are cleared." */
const modeAfterChown = (inode: Protected, credentials: Credentials): number => {
  const { mode } = inode
  if (isDirectory(mode)) return mode
  let after = mode & ~S_ISUID
  if ((mode & 0o010) !== 0) after &= ~S_ISGID
  else if (!inGroup(credentials, inode.gid) && !hasCapabilityOver(credentials, inode, CAP_FSETID)) after &= ~S_ISGID
  return after
}

/** Two times for utimensat(2): a time, "Now", or undefined to leave it. */
export interface NewTimes {
  readonly atime: FileTime | "Now" | undefined
  readonly mtime: FileTime | "Now" | undefined
}

/** utimensat(2). */
export const changeTimes = (vfs: Vfs, caller: Caller, subject: Subject, times: NewTimes): number => {
  const { atime, mtime } = times
  const before = attributesOf(subject)
  if (typeof before === "number") return before
  if (!ownerOrCapable(before, caller.credentials)) {
    // "now" for both is a mere touch, which whoever may write may do
    if (atime !== "Now" || mtime !== "Now") return -EPERM
    const denied = mayAccess(before, W_OK, caller.credentials)
    if (denied < 0) return denied
  }
  const now = vfs.clock()
  const changes: { -readonly [K in keyof AttributeChanges]: AttributeChanges[K] } = {}
  if (atime !== undefined) changes.atime = atime === "Now" ? now : atime
  if (mtime !== undefined) changes.mtime = mtime === "Now" ? now : mtime
  // one time alone looks like the access or the write that changes it
  const event = mtime === undefined ? IN_ACCESS : atime === undefined ? IN_MODIFY : IN_ATTRIB
  return set(subject, changes, event)
}

/** truncate(2). */
export const changeSize = (vfs: Vfs, caller: Caller, location: Location, length: number): number => {
  const inode = location.dentry.inode!
  if (isDirectory(inode.mode)) return -EISDIR
  if (!isRegular(inode.mode)) return -EINVAL
  if (location.mount.refusesWrites) return -EROFS
  const denied = mayAccess(inode, W_OK, caller.credentials)
  if (denied < 0) return denied
  return inode.executors > 0 ? -ETXTBSY : vfs.truncate(caller, location.dentry, length)
}

/** access(2) of what is at `location`, with the ids and capabilities of `credentials`. */
export const checkAccess = (location: Location, mask: number, credentials: Credentials): number => {
  const inode = location.dentry.inode!
  if ((mask & X_OK) !== 0 && isRegular(inode.mode) && location.mount.noExecute) return -EACCES
  const denied = mayAccess(inode, mask & (R_OK | W_OK | X_OK), credentials)
  if (denied < 0) return denied
  return (mask & W_OK) !== 0 && !isSpecial(inode.mode) && location.mount.refusesWrites ? -EROFS : 0
}

/** What access(2) judges by: the real ids instead of the filesystem ids. */
export const withRealIds = (credentials: Credentials): Credentials => {
  const { ruid, rgid, permitted, userNamespace } = credentials
  return { ...credentials, fsuid: ruid, fsgid: rgid, effective: ruid === userNamespace.root ? permitted : 0n }
}
