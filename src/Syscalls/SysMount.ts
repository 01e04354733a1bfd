/**
 * The tree of mounts: mount(2), umount2(2), pivot_root(2).
 */
import { EFAULT, EINVAL, ENAMETOOLONG, EPERM } from "../Abi/Errno.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_NAMES,
  MS_NOUSER,
  UMOUNT_NAMES,
  UMOUNT_NOFOLLOW
} from "../Abi/MountFlags.ts"
import { address, declare, flags, longFlags, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { mayMount, mount, pivotRoot, unmount } from "../Vfs/MountChanges.ts"
import type { Location } from "../Vfs/Mount.ts"
import type { WalkOptions } from "../Vfs/Vfs.ts"
import { pathAt } from "./PathArgument.ts"

/** A string that may be NULL. Errors: EINVAL where it is longer than a page. */
const optionalString = (task: Task, at: number): string | undefined | number => {
  if (at === 0) return undefined
  const text = task.memory.copyInString(at)
  return text === -ENAMETOOLONG ? -EINVAL : text
}

/** The options: whatever of a page can be read, up to a NUL. */
const optionsAt = (task: Task, at: number): string | number => {
  if (at === 0) return ""
  const page = Buffer.alloc(PAGE_SIZE - 1)
  const count = task.memory.copyInPartial(at, page)
  if (count <= 0) return -EFAULT
  const text = page.toString("latin1", 0, count)
  const end = text.indexOf("\0")
  return end < 0 ? text : text.slice(0, end)
}

/** The place that a path names, which a call changes. */
const placeAt = (task: Task, path: number, options: WalkOptions) => {
  const text = pathAt(task, path)
  if (typeof text === "number") return text
  return task.system.vfs.walk(task, task.fs.workingDirectory, text, options)
}

const mountCall = (task: Task, sourceAt: number, targetAt: number, typeAt: number, bits: number, dataAt: number) => {
  const type = optionalString(task, typeAt)
  if (typeof type === "number") return type
  const source = optionalString(task, sourceAt)
  if (typeof source === "number") return source
  const data = optionsAt(task, dataAt)
  if (typeof data === "number") return data
  const target = placeAt(task, targetAt, { follow: true })
  if (typeof target === "number") return target
  // an unsigned long: the upper half means nothing
  let wanted = (bits % 2 ** 32) | 0
  if ((wanted & MS_MGC_MSK) === (MS_MGC_VAL | 0)) wanted &= ~MS_MGC_MSK
  if ((wanted & MS_NOUSER) !== 0) return -EINVAL
  if (!mayMount(task)) return -EPERM
  return mount(task.system.vfs, task, target, { source, type, flags: wanted, data })
}

const umount2 = (task: Task, path: number, bits: number): number => {
  if ((bits & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return -EINVAL
  const target = placeAt(task, path, { follow: (bits & UMOUNT_NOFOLLOW) === 0, unmounts: true })
  // what is mounted last, also where the path ends in "." below it
  return typeof target === "number" ? target : unmount(task.system.vfs, task, target.covered, bits)
}

const pivot_root = (task: Task, newPath: number, oldPath: number): number => {
  if (!mayMount(task)) return -EPERM
  const newRoot = placeAt(task, newPath, { follow: true, directory: true })
  if (typeof newRoot === "number") return newRoot
  const putOld = placeAt(task, oldPath, { follow: true, directory: true })
  if (typeof putOld === "number") return putOld
  const { root } = task.fs
  const error = pivotRoot(task.system.vfs, task, newRoot, putOld)
  if (error === 0) moveEverybody(task, root, newRoot)
  return error
}

/** "changes the root directory and the current working directory of each process or thread … to new_root if they point
 * to the old root directory" */
const moveEverybody = ({ system }: Task, from: Location, to: Location): void => {
  for (const { fs } of system.taskSet.tasks.values()) {
    if (fs.root.equals(from)) fs.root = to
    if (fs.workingDirectory.equals(from)) fs.workingDirectory = to
  }
}

export const sysMount: ReadonlyArray<Syscall> = [
  declare(
    "mount",
    [string("source"), string("target"), string("filesystemtype"), longFlags("mountflags", MS_NAMES), address("data")],
    mountCall,
    { partial: "tmpfs, ramfs, proc, sysfs, devpts, devtmpfs; MS_SYNCHRONOUS, MS_DIRSYNC, MS_LAZYTIME are only shown" }
  ),
  declare("umount2", [string("target"), flags("flags", UMOUNT_NAMES, "0")], umount2),
  declare("pivot_root", [string("new_root"), string("put_old")], pivot_root)
]
