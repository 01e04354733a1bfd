/**
 * Extended attributes, xattr(7): user.* and trusted.* of files that live in the sentry; other namespaces are empty.
 */
import { AT_FDCWD, R_OK, W_OK } from "../Abi/At.ts"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { E2BIG, EBADF, EFAULT, EINVAL, ENODATA, EOPNOTSUPP, EPERM, ERANGE, EROFS } from "../Abi/Errno.ts"
import { isDirectory, isRegular } from "../Abi/FileMode.ts"
import { XATTR_NAMES } from "../Abi/FileNames.ts"
import { IN_ATTRIB } from "../Abi/InotifyFlags.ts"
import { address, bufferOut, declare, fd, flags, size, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import type { Inode } from "../Vfs/Inode.ts"
import type { Location } from "../Vfs/Mount.ts"
import { changedAttributes } from "../Vfs/Notifications.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import { fileOf } from "./Blocking.ts"
import { locationTarget } from "./PathArgument.ts"

const NAME_MAX = 255
const VALUE_MAX = 65_536
const XATTR_FLAGS = 3

type Place = Location | number

const named = (task: Task, path: number, follow: boolean): Place =>
  locationTarget(task, AT_FDCWD, path, { follow }, -EOPNOTSUPP)

const opened = (task: Task, fdNumber: number): Place => {
  const file = fileOf(task, fdNumber)
  return file === undefined ? -EBADF : (file.location() ?? -EOPNOTSUPP)
}

const nameAt = (task: Task, at: number): string | number => {
  const name = task.memory.copyInString(at, NAME_MAX + 1)
  if (typeof name === "number") return name === -EFAULT ? name : -ERANGE
  return name === "" ? -ERANGE : name
}

/** xattr_permission: 0 or -errno. */
const permitted = (task: Task, inode: Inode, name: string, mask: typeof R_OK | typeof W_OK): number => {
  if (name.startsWith("security.") || name.startsWith("system.")) return 0
  const refusal = mask === W_OK ? -EPERM : -ENODATA
  if (name.startsWith("trusted.")) return hasCapability(task.credentials, CAP_SYS_ADMIN) ? 0 : refusal
  if (!name.startsWith("user.")) return -EOPNOTSUPP
  if (!isRegular(inode.mode) && !isDirectory(inode.mode)) return refusal
  return mayAccess(inode, mask, task.credentials)
}

const set = (task: Task, place: Place, nameAddress: number, value: number, length: number, bits: number): number => {
  if ((bits & ~XATTR_FLAGS) !== 0) return -EINVAL
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (length > VALUE_MAX) return -E2BIG
  const bytes = new Uint8Array(length)
  if (task.memory.copyIn(value, bytes) < 0) return -EFAULT
  if (typeof place === "number") return place
  if (place.mount.refusesWrites) return -EROFS
  const inode = place.dentry.inode!
  const denied = permitted(task, inode, name, W_OK)
  if (denied < 0) return denied
  const error = inode.setExtendedAttribute(name, bytes, bits)
  if (error === 0) changedAttributes(place.dentry, IN_ATTRIB)
  return error
}

const get = (task: Task, place: Place, nameAddress: number, value: number, length: number): number => {
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (typeof place === "number") return place
  const inode = place.dentry.inode!
  const denied = permitted(task, inode, name, R_OK)
  if (denied < 0) return denied
  const bytes = inode.getExtendedAttribute(name)
  return typeof bytes === "number" ? bytes : copyOut(task, value, length, bytes)
}

const list = (task: Task, place: Place, into: number, length: number): number => {
  if (typeof place === "number") return place
  const names = place.dentry.inode!.listExtendedAttributes()
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

const remove = (task: Task, place: Place, nameAddress: number): number => {
  const name = nameAt(task, nameAddress)
  if (typeof name === "number") return name
  if (typeof place === "number") return place
  if (place.mount.refusesWrites) return -EROFS
  const inode = place.dentry.inode!
  const denied = permitted(task, inode, name, W_OK)
  if (denied < 0) return denied
  const error = inode.removeExtendedAttribute(name)
  if (error === 0) changedAttributes(place.dentry, IN_ATTRIB)
  return error
}

const SUPPORT = { partial: "only user.* on files that live in the sandbox" }
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
