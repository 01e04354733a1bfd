/**
 * Discretionary access control, path_resolution(7) and capabilities(7): may these credentials do that to an inode?
 */
import { R_OK, W_OK, X_OK } from "../Abi/At.ts"
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_FSETID } from "../Abi/Capability.ts"
import { EACCES, EPERM } from "../Abi/Errno.ts"
import { S_ISGID, S_ISUID, S_ISVTX, isDirectory, isRegular } from "../Abi/FileMode.ts"
import { type AccessList, listGrants } from "./AccessList.ts"
import { type Credentials, hasCapability, hasCapabilityOver, hasOwnCapability, inGroup } from "./Credentials.ts"
import type { Inode } from "./Inode.ts"

/** What decides about access to a file. */
export interface Protected {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Of an inode: its list, acl(5). */
  accessList?(kind: "access"): AccessList | undefined
}

/** 0, or -EACCES unless the filesystem ids may do all of `mask` (R_OK, W_OK, X_OK bits). */
export const mayAccess = (inode: Protected, mask: number, credentials: Credentials): number => {
  const { mode } = inode
  let granted = mode
  if (inode.uid === credentials.fsuid) granted = mode >>> 6
  // the group's bits are the mask: where they are none, no list grants anything that others have not
  else if ((mode & 0o070) !== 0 && inode.accessList?.("access") !== undefined) {
    granted = listGrants(inode.accessList("access")!, inode.gid, mask & 7, credentials) ? 7 : 0
  }
  // the group's bits count only where they differ from the others': spares looking through the groups
  else if ((((mode >>> 3) ^ mode) & mask & 7) !== 0 && inGroup(credentials, inode.gid)) granted = mode >>> 3
  if ((mask & ~granted & 7) === 0) return 0

  if (isDirectory(mode)) {
    if ((mask & W_OK) === 0 && hasCapabilityOver(credentials, inode, CAP_DAC_READ_SEARCH)) return 0
    return hasCapabilityOver(credentials, inode, CAP_DAC_OVERRIDE) ? 0 : -EACCES
  }
  if (mask === R_OK && hasCapabilityOver(credentials, inode, CAP_DAC_READ_SEARCH)) return 0
  // "CAP_DAC_OVERRIDE: … execute permission checks" only where some execute bit is set
  if ((mask & X_OK) === 0 || (mode & 0o111) !== 0) {
    if (hasCapabilityOver(credentials, inode, CAP_DAC_OVERRIDE)) return 0
  }
  return -EACCES
}

/** Whether the credentials own the inode or may act as if (CAP_FOWNER). */
export const ownerOrCapable = (inode: { readonly uid: number }, credentials: Credentials): boolean =>
  inode.uid === credentials.fsuid ||
  (hasOwnCapability(credentials, CAP_FOWNER) && credentials.userNamespace.hasUser(inode.uid))

/** 0 or -EPERM: in a sticky directory only its owner and the file's may remove or rename the file. */
export const checkSticky = (directory: Inode, victim: Inode, credentials: Credentials): number => {
  if ((directory.mode & S_ISVTX) === 0) return 0
  if (victim.uid === credentials.fsuid || directory.uid === credentials.fsuid) return 0
  return hasCapabilityOver(credentials, victim, CAP_FOWNER) ? 0 : -EPERM
}

/** The permission bits of a regular file after somebody without CAP_FSETID wrote to it; undefined if they stay. */
export const withoutPrivileges = (inode: Inode, credentials: Credentials): number | undefined => {
  const { mode } = inode
  const drop = privilegeBits(mode)
  return drop === 0 || !isRegular(mode) || hasCapability(credentials, CAP_FSETID) ? undefined : mode & 0o7777 & ~drop
}

/** The set-id bits of `mode` that mean privilege: set-group-id without group execute is only a lock mode. */
export const privilegeBits = (mode: number): number => (mode & S_ISUID) | ((mode & 0o010) !== 0 ? mode & S_ISGID : 0)
