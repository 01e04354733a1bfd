/**
 * Directories: getdents(2), getcwd(2), chdir(2), chroot(2), umask(2).
 */
import { AT_FDCWD, SEEK_CUR, SEEK_SET, X_OK } from "../Abi/At.ts"
import { CAP_SYS_CHROOT } from "../Abi/Capability.ts"
import { EBADF, EINVAL, ENOENT, ENOTDIR, EPERM, ERANGE } from "../Abi/Errno.ts"
import { IN_ACCESS } from "../Abi/InotifyFlags.ts"
import { isDirectory } from "../Abi/FileMode.ts"
import { DIRENT, DIRENT64 } from "../Abi/StatStruct.ts"
import { address, bufferOut, declare, fd, mode, size, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasOwnCapability } from "../Vfs/Credentials.ts"
import { type Location, isReachable, pathOf } from "../Vfs/Mount.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import { fileOf } from "./Blocking.ts"
import { fileTarget, locationTarget } from "./PathArgument.ts"

/** At most this much is filled per call; a reader just calls again. */
const LARGEST_BUFFER = 65_536

const putU64 = (view: DataView, at: number, value: number): void => {
  view.setUint32(at, value >>> 0, true)
  view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000) >>> 0, true)
}

/** Fills a buffer with entries. Errors: EINVAL when not even one fits. */
const readEntries = (task: Task, fdNumber: number, address: number, count: number, layout: "old" | "new"): number => {
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  const buffer = Buffer.alloc(Math.min(count, LARGEST_BUFFER))
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length)
  const before = file.seek(0, SEEK_CUR)
  let used = 0
  let full = false
  const error = file.readDirectory(({ name, ino, type, nextOffset }) => {
    const header = layout === "new" ? DIRENT64.name : DIRENT.name + 1 // the old layout has the type after the NUL
    const length = Math.ceil((header + name.length + 1) / 8) * 8
    if (used + length > buffer.length) {
      full = true
      return false
    }
    putU64(view, used + DIRENT64.ino, ino)
    putU64(view, used + DIRENT64.off, nextOffset)
    view.setUint16(used + DIRENT64.reclen, length, true)
    if (layout === "new") buffer[used + DIRENT64.type] = type
    else buffer[used + length - 1] = type
    buffer.write(name, used + (layout === "new" ? DIRENT64.name : DIRENT.name), "latin1")
    used += length
    return true
  })
  if (error < 0) return error
  file.tell(IN_ACCESS)
  if (used === 0) return full ? -EINVAL : 0
  const fault = task.memory.copyOut(address, buffer.subarray(0, used))
  if (fault < 0) {
    file.seek(before, SEEK_SET) // these entries were not read
    return fault
  }
  return used
}

export const getdents = declare(
  "getdents",
  [fd("fd"), address("dirp"), size("count")],
  (task, fdNumber, buffer, count) => readEntries(task, fdNumber, buffer, count % 0x1_0000_0000, "old")
)

export const getdents64 = declare(
  "getdents64",
  [fd("fd"), address("dirp"), size("count")],
  (task, fdNumber, buffer, count) => readEntries(task, fdNumber, buffer, count % 0x1_0000_0000, "new")
)

/** getcwd(2): the length with the NUL. Errors: ENOENT when the directory is gone, ERANGE. */
export const getcwd = declare("getcwd", [bufferOut("buf"), size("size")], (task, buffer, length) => {
  const { root, workingDirectory } = task.fs
  if (workingDirectory.dentry.unlinked) return -ENOENT
  const path = pathOf(workingDirectory, root)
  const shown = isReachable(workingDirectory, root) ? path : `(unreachable)${path}`
  const bytes = Buffer.from(`${shown}\0`, "latin1")
  if (bytes.length > length) return -ERANGE
  return task.memory.copyOut(buffer, bytes) || bytes.length
})

/** 0 if `place` can be a working or root directory. */
const enterable = (task: Task, place: Location): number => {
  const inode = place.dentry.inode!
  return isDirectory(inode.mode) ? mayAccess(inode, X_OK, task.credentials) : -ENOTDIR
}

export const chdir = declare("chdir", [string("path")], (task, path) => {
  const place = locationTarget(task, AT_FDCWD, path, { follow: true }, -ENOTDIR)
  if (typeof place === "number") return place
  const error = enterable(task, place)
  if (error < 0) return error
  task.fs.workingDirectory = place
  return 0
})

export const fchdir = declare("fchdir", [fd("fd")], (task, fdNumber) => {
  const file = task.fds.get(fdNumber)
  if (file === undefined) return -EBADF
  const place = file.location()
  if (place === undefined) return -ENOTDIR
  const error = enterable(task, place)
  if (error < 0) return error
  task.fs.workingDirectory = place
  return 0
})

/** chroot(2). Errors: EPERM without CAP_SYS_CHROOT. */
export const chroot = declare("chroot", [string("path")], (task, path) => {
  const place = fileTarget(task, AT_FDCWD, path, { follow: true })
  if (typeof place === "number") return place
  if (!("mount" in place)) return -ENOTDIR
  const error = enterable(task, place)
  if (error < 0) return error
  if (!hasOwnCapability(task.credentials, CAP_SYS_CHROOT)) return -EPERM
  task.fs.root = place
  return 0
})

export const umask = declare("umask", [mode("mask")], (task, mask) => {
  const old = task.fs.umask
  task.fs.umask = mask & 0o777
  return old
})

export const sysDirectory: ReadonlyArray<Syscall> = [getdents, getdents64, getcwd, chdir, fchdir, chroot, umask]
