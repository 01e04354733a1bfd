/**
 * Commands of fcntl(2) by which a process hears what others are about to do with a file, or have done: leases, and
 * directory notification.
 */
import * as Effect from "effect/Effect"
import { CAP_LEASE } from "../Abi/Capability.ts"
import { EACCES, EAGAIN, EINVAL, ENOTDIR } from "../Abi/Errno.ts"
import * as F from "../Abi/Fcntl.ts"
import { isRegular } from "../Abi/FileMode.ts"
import { POLL_MSG } from "../Abi/Signal.ts"
import { DirectoryNotification } from "../Task/DirectoryNotification.ts"
import { sendIoSignal } from "../Task/SignalDrivenIo.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapabilityOver } from "../Vfs/Credentials.ts"
import { DirectoryFile } from "../Vfs/DirectoryFile.ts"
import type { Inode } from "../Vfs/Inode.ts"
import { LEASE_BREAK_TIME, Leases } from "../Vfs/Leases.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { waitUntil } from "./Blocking.ts"

/** Who is to be told, unless F_SETOWN has said. */
const own = (task: Task, file: OpenFileDescription): void => {
  if (file.asyncOwner.pid !== 0) return
  const { euid, ruid } = task.credentials
  file.asyncOwner = { ...file.asyncOwner, type: F.F_OWNER_PID, pid: task.threadGroup.tgid, uid: ruid, euid }
}

/** F_SETLEASE. Errors: EACCES, EINVAL, EAGAIN for a conflict, or for nothing to give up. */
export const setLease = (task: Task, fd: number, file: OpenFileDescription, type: number): number => {
  const inode = file.location()?.dentry.inode
  if (inode === undefined || !isRegular(inode.mode)) return -EINVAL
  const { credentials, system } = task
  if (inode.uid !== credentials.fsuid && !hasCapabilityOver(credentials, inode, CAP_LEASE)) return -EACCES
  if (type !== F.F_RDLCK && type !== F.F_WRLCK && type !== F.F_UNLCK) return -EINVAL
  const error = Leases.set(inode, file, type, () => sendIoSignal(system, file, fd, POLL_MSG))
  if (error === 0 && type !== F.F_UNLCK) own(task, file)
  return error
}

export const getLease = (file: OpenFileDescription): number =>
  file.location()?.dentry.inode?.leases?.typeOf(file) ?? F.F_UNLCK

/** Has holders of leases on `inode` told of a change to it, and waits for them. Blocks. Restart: ERESTARTSYS. */
export const whenLeasesAllow = (task: Task, inode: Inode, operation: () => number): Result => {
  const { leases } = inode
  if (leases === undefined || !leases.break(true)) return operation()
  return Effect.suspend(() =>
    waitUntil(
      task,
      [{ queue: leases.waiters, events: 1 }],
      () => (inode.leases?.break(true) === true ? -EAGAIN : operation()),
      {
        deadline: task.system.timekeeper.monotonic() + LEASE_BREAK_TIME,
        expired: () => {
          inode.leases?.expire()
          return operation()
        }
      }
    )
  )
}

/** F_NOTIFY; without an event it ends what was asked before. */
export const notifyOfDirectory = (task: Task, fd: number, file: OpenFileDescription, wanted: number): number => {
  if (!(file instanceof DirectoryFile)) return (wanted & ~F.DN_MULTISHOT) === 0 ? 0 : -ENOTDIR
  const known = file.notifications.get(task.fds)
  if ((wanted & ~F.DN_MULTISHOT) === 0) {
    known?.end()
    return 0
  }
  const notification =
    known instanceof DirectoryNotification ? known : new DirectoryNotification(task.system, file, task.fds)
  notification.watch(wanted, fd)
  own(task, file)
  return 0
}
