/**
 * Extended attributes, xattr(7), access control lists among them, acl(5). What attributes mean is Vfs's business; here is
 * who may ask for which.
 */
import { AT_FDCWD, R_OK, W_OK } from "../Abi/At.ts"
import { CAP_FSETID, CAP_SETFCAP, CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { E2BIG, EACCES, EBADF, EFAULT, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE, EROFS } from "../Abi/Errno.ts"
import { S_ISGID, S_ISVTX, isDirectory, isRegular, isSocket, isSymlink } from "../Abi/FileMode.ts"
import { XATTR_NAMES } from "../Abi/FileNames.ts"
import { IN_ATTRIB } from "../Abi/InotifyFlags.ts"
import { SOCK_STREAM } from "../Abi/Socket.ts"
import { address, bufferOut, declare, fd, flags, size, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import * as AccessList from "../Vfs/AccessList.ts"
import { hasCapability, hasCapabilityOver, inGroup } from "../Vfs/Credentials.ts"
import { FILE_CAPABILITIES, isValidCapabilities } from "../Vfs/ExtendedAttributes.ts"
import type { Inode } from "../Vfs/Inode.ts"
import { Location } from "../Vfs/Mount.ts"
import { changedAttributes } from "../Vfs/Notifications.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { mayAccess, ownerOrCapable, type Protected } from "../Vfs/Permission.ts"
import { UnixSocket } from "../Vfs/SocketUnix.ts"
import { fileOf } from "./Blocking.ts"
import { fileTarget } from "./PathArgument.ts"

const NAME_MAX = 255
const VALUE_MAX = 65_536
const XATTR_FLAGS = 3
/** The only attribute of a socket. */
const SOCKET_ATTRIBUTE = "system.sockprotoname"

/** A file, which may be an open one without a place (a pipe, a socket); or -errno. */
type Target = Location | OpenFileDescription | number

const named = (task: Task, path: number, follow: boolean): Target => fileTarget(task, AT_FDCWD, path, { follow })

const opened = (task: Task, fdNumber: number): Target => {
  const file = fileOf(task, fdNumber)
  return file === undefined ? -EBADF : (file.location() ?? file)
}

const nameAt = (task: Task, at: number): string | number => {
  const name = task.memory.copyInString(at, NAME_MAX + 1)
  if (typeof name === "number") return name === -EFAULT ? name : -ERANGE
  return name === "" ? -ERANGE : name
}

/** Whether `name` is a namespace of attributes without an attribute. */
const isBare = (name: string): boolean => /^(?:user|trusted|security)\.$/.test(name)

/** Whether `credentials` may read, or change, attribute `name` of `file`: 0 or -errno. */
const permitted = (task: Task, file: Protected, name: string, mask: typeof R_OK | typeof W_OK): number => {
  const { credentials } = task
  if (name.startsWith("security.") || name.startsWith("system.")) {
    if (mask === R_OK || name.startsWith("system.")) return 0
    const needed = name === FILE_CAPABILITIES ? CAP_SETFCAP : CAP_SYS_ADMIN
    return hasCapability(credentials, needed) ? 0 : -EPERM
  }
  const refusal = mask === W_OK ? -EPERM : -ENODATA
  if (name.startsWith("trusted.")) return hasCapability(credentials, CAP_SYS_ADMIN) ? 0 : refusal
  if (name.startsWith("user.")) {
    if (!isRegular(file.mode) && !isDirectory(file.mode)) return refusal
    // in a directory where everybody may write, only its owner may
    const sticky = isDirectory(file.mode) && (file.mode & S_ISVTX) !== 0
    if (mask === W_OK && sticky && !ownerOrCapable(file, credentials)) return -EPERM
  }
  return mayAccess(file, mask, credentials)
}

/** What such a call says of a file without a place, which has no attributes: of those that it may have asked for. */
const withoutPlace = (task: Task, file: OpenFileDescription, name: string, mask: typeof R_OK | typeof W_OK): number => {
  const stat = file.stat()
  if (typeof stat === "number") return stat
  const denied = permitted(task, stat, name, mask)
  return denied < 0 ? denied : -EOPNOTSUPP
}

/** Changes access control list `kind`: acl(5). */
const setList = (task: Task, inode: Inode, kind: AccessList.AccessListKind, value: Uint8Array): number => {
  if (!inode.supportsAccessLists) return -EOPNOTSUPP
  const { credentials } = task
  const list = AccessList.decodeAccessList(value, credentials.userNamespace)
  if (typeof list === "number") return list
  if (!ownerOrCapable(inode, credentials)) return -EPERM
  if (kind === "inherited") {
    if (isDirectory(inode.mode)) return inode.setAccessList(kind, list)
    return list === undefined ? 0 : -EACCES
  }
  if (list === undefined) return inode.accessList(kind) === undefined ? 0 : inode.setAccessList(kind, list)
  const keepsGroup = inGroup(credentials, inode.gid) || hasCapabilityOver(credentials, inode, CAP_FSETID)
  const kept = inode.mode & (keepsGroup ? 0o7000 : 0o7000 & ~S_ISGID)
  const error = inode.setAccessList(kind, AccessList.isMinimal(list) ? undefined : list)
  return error < 0 ? error : inode.setAttributes({ mode: kept | AccessList.modeOfList(list) })
}

const set = (task: Task, target: Target, nameAddress: number, value: number, length: number, bits: number): number => {
  if ((bits & ~XATTR_FLAGS) !== 0) return -EINVAL
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (length > VALUE_MAX) return -E2BIG
  const bytes = new Uint8Array(length)
  if (task.memory.copyIn(value, bytes) < 0) return -EFAULT
  if (typeof target === "number") return target
  if (target instanceof OpenFileDescription) return withoutPlace(task, target, name, W_OK)
  if (target.mount.refusesWrites) return -EROFS
  const error = setOf(task, target.dentry.inode!, name, bytes, bits)
  if (error === 0) changedAttributes(target.dentry, IN_ATTRIB)
  return error
}

const setOf = (task: Task, inode: Inode, name: string, bytes: Uint8Array, bits: number): number => {
  const kind = AccessList.accessListKind(name)
  if (kind !== undefined) return setList(task, inode, kind, bytes)
  const denied = permitted(task, inode, name, W_OK)
  if (denied < 0) return denied
  if (isBare(name) || (name === FILE_CAPABILITIES && bytes.length > 0 && !isValidCapabilities(bytes))) return -EINVAL
  return inode.setExtendedAttribute(name, bytes, bits)
}

const valueOf = (task: Task, target: Location | OpenFileDescription, name: string): Uint8Array | number => {
  if (target instanceof OpenFileDescription) {
    const isProtocol = name === SOCKET_ATTRIBUTE && target instanceof UnixSocket
    if (isProtocol) return Buffer.from(target.type === SOCK_STREAM ? "UNIX-STREAM\0" : "UNIX\0", "latin1")
    return withoutPlace(task, target, name, R_OK)
  }
  const inode = target.dentry.inode!
  const kind = AccessList.accessListKind(name)
  if (kind !== undefined) {
    if (!inode.supportsAccessLists) return -EOPNOTSUPP
    const list = inode.accessList(kind)
    return list === undefined ? -ENODATA : AccessList.encodeAccessList(list, task.credentials.userNamespace)
  }
  const denied = permitted(task, inode, name, R_OK)
  if (denied < 0) return denied
  return isBare(name) ? -EINVAL : inode.getExtendedAttribute(name)
}

const get = (task: Task, target: Target, nameAddress: number, value: number, length: number): number => {
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (typeof target === "number") return target
  const bytes = valueOf(task, target, name)
  return typeof bytes === "number" ? bytes : copyOut(task, value, length, bytes)
}

const namesOf = (target: Location | OpenFileDescription): ReadonlyArray<string> | number => {
  if (target instanceof OpenFileDescription) {
    const stat = target.stat()
    return typeof stat !== "number" && isSocket(stat.mode) ? [SOCKET_ATTRIBUTE] : []
  }
  const inode = target.dentry.inode!
  const names = inode.listExtendedAttributes()
  if (typeof names === "number" || isSymlink(inode.mode)) return names
  const lists = (["access", "inherited"] as const).filter((kind) => inode.accessList(kind) !== undefined)
  return [...names, ...lists.map(AccessList.attributeOfList)]
}

const list = (task: Task, target: Target, into: number, length: number): number => {
  if (typeof target === "number") return target
  const names = namesOf(target)
  if (typeof names === "number") return names
  const isPrivileged = hasCapability(task.credentials, CAP_SYS_ADMIN)
  const shown = isPrivileged ? names : names.filter((name) => !name.startsWith("trusted."))
  return copyOut(task, into, length, Buffer.from(shown.map((name) => `${name}\0`).join(""), "latin1"))
}

/** "If size is specified as zero, these calls return the current size." */
const copyOut = (task: Task, into: number, length: number, bytes: Uint8Array): number => {
  if (length === 0) return bytes.length
  if (length < bytes.length) return -ERANGE
  return task.memory.copyOut(into, bytes) || bytes.length
}

const remove = (task: Task, target: Target, nameAddress: number): number => {
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (typeof target === "number") return target
  if (target instanceof OpenFileDescription) return withoutPlace(task, target, name, W_OK)
  if (target.mount.refusesWrites) return -EROFS
  const inode = target.dentry.inode!
  const error = removeOf(task, inode, name)
  if (error === 0) changedAttributes(target.dentry, IN_ATTRIB)
  return error
}

const removeOf = (task: Task, inode: Inode, name: string): number => {
  const kind = AccessList.accessListKind(name)
  if (kind !== undefined) return setList(task, inode, kind, new Uint8Array(0))
  const denied = permitted(task, inode, name, W_OK)
  if (denied < 0) return denied
  return isBare(name) ? -EINVAL : inode.removeExtendedAttribute(name)
}

const SUPPORT = {
  partial: "system.* has only the access control lists; of a writable bind, trusted.* and security.* stay"
}
const setRest = [string("name"), address("value"), size("size"), flags("flags", XATTR_NAMES, "0")] as const
const getRest = [string("name"), bufferOut("value"), size("size")] as const
const listRest = [bufferOut("list"), size("size")] as const

export const sysXattr: ReadonlyArray<Syscall> = [
  declare(
    "setxattr",
    [string("path"), ...setRest],
    (task, path, name, value, length, bits) => set(task, named(task, path, true), name, value, length, bits),
    SUPPORT
  ),
  declare(
    "lsetxattr",
    [string("path"), ...setRest],
    (task, path, name, value, length, bits) => set(task, named(task, path, false), name, value, length, bits),
    SUPPORT
  ),
  declare(
    "fsetxattr",
    [fd("fd"), ...setRest],
    (task, number, name, value, length, bits) => set(task, opened(task, number), name, value, length, bits),
    SUPPORT
  ),
  declare(
    "getxattr",
    [string("path"), ...getRest],
    (task, path, name, value, length) => get(task, named(task, path, true), name, value, length),
    SUPPORT
  ),
  declare(
    "lgetxattr",
    [string("path"), ...getRest],
    (task, path, name, value, length) => get(task, named(task, path, false), name, value, length),
    SUPPORT
  ),
  declare(
    "fgetxattr",
    [fd("fd"), ...getRest],
    (task, number, name, value, length) => get(task, opened(task, number), name, value, length),
    SUPPORT
  ),
  declare(
    "listxattr",
    [string("path"), ...listRest],
    (task, path, into, length) => list(task, named(task, path, true), into, length),
    SUPPORT
  ),
  declare(
    "llistxattr",
    [string("path"), ...listRest],
    (task, path, into, length) => list(task, named(task, path, false), into, length),
    SUPPORT
  ),
  declare(
    "flistxattr",
    [fd("fd"), ...listRest],
    (task, number, into, length) => list(task, opened(task, number), into, length),
    SUPPORT
  ),
  declare(
    "removexattr",
    [string("path"), string("name")],
    (task, path, name) => remove(task, named(task, path, true), name),
    SUPPORT
  ),
  declare(
    "lremovexattr",
    [string("path"), string("name")],
    (task, path, name) => remove(task, named(task, path, false), name),
    SUPPORT
  ),
  declare(
    "fremovexattr",
    [fd("fd"), string("name")],
    (task, number, name) => remove(task, opened(task, number), name),
    SUPPORT
  )
]
