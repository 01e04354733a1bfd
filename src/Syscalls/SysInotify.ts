/**
 * inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2).
 */
import { AT_FDCWD, R_OK } from "../Abi/At.ts"
import { EBADF, EINVAL, ENOTDIR } from "../Abi/Errno.ts"
import { isDirectory } from "../Abi/FileMode.ts"
import {
  IN_CLOEXEC,
  IN_DONT_FOLLOW,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_NONBLOCK,
  IN_ONLYDIR,
  IN_VALID,
  INOTIFY_INIT_NAMES,
  INOTIFY_NAMES
} from "../Abi/InotifyFlags.ts"
import { declare, fd, flags, int, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { Inotify } from "../Vfs/Inotify.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import { fileOf } from "./Blocking.ts"
import { locationTarget } from "./PathArgument.ts"
import { installFile } from "./SysPipe.ts"

const SUPPORT = {
  partial:
    "what the host changes behind a writable bind, and IN_UNMOUNT, are not seen; a file without a place is EINVAL"
}

const make = (task: Task, flagBits: number): number => {
  if ((flagBits & ~(IN_CLOEXEC | IN_NONBLOCK)) !== 0) return -EINVAL
  const { anonymous } = task.system
  const { credentials } = task
  const stat = anonymous.attributes("anon_inode", credentials)
  const file = Inotify.make(stat, anonymous.inotifyUsers, credentials.euid, flagBits & IN_NONBLOCK)
  return typeof file === "number" ? file : installFile(task, file, (flagBits & IN_CLOEXEC) !== 0)
}

export const inotify_init = declare("inotify_init", [], (task) => make(task, 0), SUPPORT)

export const inotify_init1 = declare("inotify_init1", [flags("flags", INOTIFY_INIT_NAMES, "0")], make, SUPPORT)

/** inotify_add_watch(2). Errors: EINVAL, EBADF, ENOTDIR with IN_ONLYDIR, EACCES without read permission. */
export const inotify_add_watch = declare(
  "inotify_add_watch",
  [fd("fd"), string("pathname"), flags("mask", INOTIFY_NAMES)],
  (task, fdNumber, path, mask) => {
    if ((mask & ~IN_VALID) !== 0 || (mask & IN_VALID) === 0) return -EINVAL
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    if ((mask & IN_MASK_ADD) !== 0 && (mask & IN_MASK_CREATE) !== 0) return -EINVAL
    if (!(file instanceof Inotify)) return -EINVAL
    const place = locationTarget(task, AT_FDCWD, path, { follow: (mask & IN_DONT_FOLLOW) === 0 }, -EINVAL)
    if (typeof place === "number") return place
    const inode = place.dentry.inode!
    if ((mask & IN_ONLYDIR) !== 0 && !isDirectory(inode.mode)) return -ENOTDIR
    const denied = mayAccess(inode, R_OK, task.credentials)
    return denied < 0 ? denied : file.watch(place, mask)
  },
  SUPPORT
)

export const inotify_rm_watch = declare("inotify_rm_watch", [fd("fd"), int("wd")], (task, fdNumber, wd) => {
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  return file instanceof Inotify ? file.forget(wd) : -EINVAL
})

export const sysInotify: ReadonlyArray<Syscall> = [inotify_init, inotify_init1, inotify_add_watch, inotify_rm_watch]
