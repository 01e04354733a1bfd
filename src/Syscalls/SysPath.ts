/**
 * Changes to the tree of names: mkdir(2), rmdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2).
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_REMOVEDIR,
  AT_SYMLINK_FOLLOW,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  RENAME_WHITEOUT
} from "../Abi/At.ts"
import { CAP_DAC_READ_SEARCH } from "../Abi/Capability.ts"
import { EINVAL, ENOENT, EXDEV } from "../Abi/Errno.ts"
import { AT_NAMES, RENAME_NAMES, UNLINKAT_NAMES } from "../Abi/FileNames.ts"
import { declare, dirFd, flags, hex, mode, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import type { Location } from "../Vfs/Mount.ts"
import * as Names from "../Vfs/Names.ts"
import { locationTarget, pathAt, startOf } from "./PathArgument.ts"

/** Calls `operation` with the path at `address` and where it starts. */
const withPath = (
  task: Task,
  dirFdNumber: number,
  address: number,
  operation: (start: Location, path: string) => number
): number => {
  const path = pathAt(task, address)
  if (typeof path === "number") return path
  const start = startOf(task, dirFdNumber, path)
  return typeof start === "number" ? start : operation(start, path)
}

const makeDirectory = (task: Task, dirFdNumber: number, path: number, permissions: number): number =>
  withPath(task, dirFdNumber, path, (start, name) => Names.mkdir(task.system.vfs, task, start, name, permissions))

export const mkdir = declare("mkdir", [string("pathname"), mode("mode")], (task, path, permissions) =>
  makeDirectory(task, AT_FDCWD, path, permissions)
)

export const mkdirat = declare(
  "mkdirat",
  [dirFd("dirfd"), string("pathname"), mode("mode")],
  (task, dirFdNumber, path, permissions) => makeDirectory(task, dirFdNumber, path, permissions)
)

const makeNode = (task: Task, dirFdNumber: number, path: number, bits: number, rdev: number): number => {
  const refused = Names.checkNodeType(bits)
  if (refused < 0) return refused
  return withPath(task, dirFdNumber, path, (start, name) =>
    Names.mknod(task.system.vfs, task, start, name, bits & 0xffff, rdev % 0x1_0000_0000)
  )
}

export const mknod = declare("mknod", [string("pathname"), mode("mode"), hex("dev")], (task, path, bits, rdev) =>
  makeNode(task, AT_FDCWD, path, bits, rdev)
)

export const mknodat = declare(
  "mknodat",
  [dirFd("dirfd"), string("pathname"), mode("mode"), hex("dev")],
  (task, dirFdNumber, path, bits, rdev) => makeNode(task, dirFdNumber, path, bits, rdev)
)

const removeDirectory = (task: Task, dirFdNumber: number, path: number): number =>
  withPath(task, dirFdNumber, path, (start, name) => Names.rmdir(task.system.vfs, task, start, name))

const removeFile = (task: Task, dirFdNumber: number, path: number): number =>
  withPath(task, dirFdNumber, path, (start, name) => Names.unlink(task.system.vfs, task, start, name))

export const rmdir = declare("rmdir", [string("pathname")], (task, path) => removeDirectory(task, AT_FDCWD, path))

export const unlink = declare("unlink", [string("pathname")], (task, path) => removeFile(task, AT_FDCWD, path))

export const unlinkat = declare(
  "unlinkat",
  [dirFd("dirfd"), string("pathname"), flags("flags", UNLINKAT_NAMES, "0")],
  (task, dirFdNumber, path, bits) => {
    if ((bits & ~AT_REMOVEDIR) !== 0) return -EINVAL
    return bits === AT_REMOVEDIR ? removeDirectory(task, dirFdNumber, path) : removeFile(task, dirFdNumber, path)
  }
)

const makeSymlink = (task: Task, target: number, dirFdNumber: number, path: number): number => {
  const text = pathAt(task, target)
  if (typeof text === "number") return text
  if (text === "") return -ENOENT // before anything about `path`
  return withPath(task, dirFdNumber, path, (start, name) => Names.symlink(task.system.vfs, task, text, start, name))
}

export const symlink = declare("symlink", [string("target"), string("linkpath")], (task, target, path) =>
  makeSymlink(task, target, AT_FDCWD, path)
)

export const symlinkat = declare(
  "symlinkat",
  [string("target"), dirFd("newdirfd"), string("linkpath")],
  (task, target, dirFdNumber, path) => makeSymlink(task, target, dirFdNumber, path)
)

const makeLink = (task: Task, oldFd: number, oldPath: number, newFd: number, newPath: number, bits: number): number => {
  if ((bits & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL
  const empty = (bits & AT_EMPTY_PATH) !== 0
  if (empty && !hasCapability(task.credentials, CAP_DAC_READ_SEARCH)) return -ENOENT
  const source = locationTarget(task, oldFd, oldPath, { follow: (bits & AT_SYMLINK_FOLLOW) !== 0, empty }, -EXDEV)
  if (typeof source === "number") return source
  return withPath(task, newFd, newPath, (start, name) => Names.link(task.system.vfs, task, source, start, name))
}

export const link = declare("link", [string("oldpath"), string("newpath")], (task, oldPath, newPath) =>
  makeLink(task, AT_FDCWD, oldPath, AT_FDCWD, newPath, 0)
)

export const linkat = declare(
  "linkat",
  [dirFd("olddirfd"), string("oldpath"), dirFd("newdirfd"), string("newpath"), flags("flags", AT_NAMES, "0")],
  (task, oldFd, oldPath, newFd, newPath, bits) => makeLink(task, oldFd, oldPath, newFd, newPath, bits)
)

const move = (task: Task, oldFd: number, oldPath: number, newFd: number, newPath: number, bits: number): number => {
  if ((bits & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) !== 0) return -EINVAL
  const whiteout = (bits & RENAME_WHITEOUT) !== 0
  if ((bits & RENAME_EXCHANGE) !== 0 && ((bits & RENAME_NOREPLACE) !== 0 || whiteout)) return -EINVAL
  const { vfs } = task.system
  return withPath(task, oldFd, oldPath, (oldStart, oldName) => {
    // what is wrong with the way to the old name is found before anything about the new one
    const from = vfs.walkToLast(task, oldStart, oldName)
    if (typeof from === "number") return from
    return withPath(task, newFd, newPath, (newStart, newName) => {
      const to = vfs.walkToLast(task, newStart, newName)
      return typeof to === "number" ? to : Names.renameLast(vfs, task, from, to, bits)
    })
  })
}

export const rename = declare("rename", [string("oldpath"), string("newpath")], (task, oldPath, newPath) =>
  move(task, AT_FDCWD, oldPath, AT_FDCWD, newPath, 0)
)

export const renameat = declare(
  "renameat",
  [dirFd("olddirfd"), string("oldpath"), dirFd("newdirfd"), string("newpath")],
  (task, oldFd, oldPath, newFd, newPath) => move(task, oldFd, oldPath, newFd, newPath, 0)
)

export const renameat2 = declare(
  "renameat2",
  [dirFd("olddirfd"), string("oldpath"), dirFd("newdirfd"), string("newpath"), flags("flags", RENAME_NAMES, "0")],
  (task, oldFd, oldPath, newFd, newPath, bits) => move(task, oldFd, oldPath, newFd, newPath, bits),
  { partial: "no RENAME_WHITEOUT in a writable bind" }
)

export const sysPath: ReadonlyArray<Syscall> = [
  mkdir,
  mkdirat,
  mknod,
  mknodat,
  rmdir,
  unlink,
  unlinkat,
  symlink,
  symlinkat,
  link,
  linkat,
  rename,
  renameat,
  renameat2
]
