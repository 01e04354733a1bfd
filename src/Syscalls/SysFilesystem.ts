/**
 * Asking for filesystems by number, as programs did before /proc/filesystems and statfs(2): sysfs(2), ustat(2); quotactl(2).
 */
import { EFAULT, EINVAL, ENODEV, ENOENT, ENOTBLK } from "../Abi/Errno.ts"
import { S_IFBLK, S_IFMT } from "../Abi/FileMode.ts"
import * as Struct from "../Abi/Struct.ts"
import { address, declare, int, size, string, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { pathAt } from "./PathArgument.ts"

/** sysfs(2): the index of a type, the name of an index, or how many there are. */
const sysfs = (task: Task, option: number, first: number, second: number): number => {
  const names = [...task.system.vfs.filesystemTypes.keys()]
  switch (option) {
    case 1: {
      const name = pathAt(task, first)
      if (typeof name === "number") return name
      if (name === "") return -ENOENT
      const index = names.indexOf(name)
      return index < 0 ? -EINVAL : index
    }
    case 2: {
      const name = names[first % 2 ** 32]
      return name === undefined ? -EINVAL : task.memory.copyOut(second, Buffer.from(`${name}\0`, "latin1"))
    }
    case 3:
      return names.length
    default:
      return -EINVAL
  }
}

/** `struct ustat`; its names are empty on every filesystem of today. */
const Ustat = Struct.make("ustat", {
  f_tfree: Struct.i32,
  f_tinode: Struct.ulong,
  f_fname: Struct.u32,
  f_fpack: Struct.u64
})

/** ustat(2). Errors: EINVAL where nothing is mounted under that device number, EFAULT. */
const ustat = (task: Task, device: number, at: number): number => {
  const status = task.system.vfs.filesystemOn(device)?.status()
  if (status === undefined) return -EINVAL
  if (typeof status === "number") return status
  const { blocksFree, filesFree } = status
  const bytes = Ustat.encode({ f_tfree: blocksFree | 0, f_tinode: filesFree, f_fname: 0, f_fpack: 0n })
  return task.memory.copyOut(at, bytes) < 0 ? -EFAULT : 0
}

const MAX_QUOTA_TYPES = 3
const Q_SYNC = 0x80_0001

/** quotactl(2) where no filesystem has quotas. Errors: EINVAL, ENODEV, ENOTBLK, and what a path walk says. */
const quotactl = (task: Task, command: number, special: number): number => {
  if ((command & 0xff) >= MAX_QUOTA_TYPES) return -EINVAL
  if (special === 0) return command >>> 8 === Q_SYNC ? 0 : -ENODEV
  const path = pathAt(task, special)
  if (typeof path === "number") return path
  const place = task.system.vfs.walk(task, task.fs.workingDirectory, path, { follow: true })
  if (typeof place === "number") return place
  return (place.dentry.inode!.mode & S_IFMT) === S_IFBLK ? -ENODEV : -ENOTBLK
}

export const sysFilesystem: ReadonlyArray<Syscall> = [
  declare("sysfs", [int("option"), size("arg1"), size("arg2")], sysfs),
  declare("quotactl", [uint("cmd"), string("special"), int("id"), address("addr")], quotactl, {
    partial: "no filesystem has quotas"
  }),
  declare("ustat", [uint("dev"), address("ubuf")], ustat)
]
