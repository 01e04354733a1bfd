/**
 * The requests of a seccomp(2) listener, seccomp_unotify(2).
 */
import { E2BIG, EAGAIN, EBADF, EFAULT, EINVAL } from "../Abi/Errno.ts"
import { O_CLOEXEC } from "../Abi/OpenFlags.ts"
import { READABLE } from "../Abi/Poll.ts"
import * as S from "../Abi/Seccomp.ts"
import type { NotificationFd } from "../Seccomp/NotificationFd.ts"
import type { Result } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { fileOf, waitForFile } from "./Blocking.ts"

/** The next call to decide on, to `pointer`, whose memory must be zero. Waits for one even with O_NONBLOCK. */
const receive = (task: Task, listener: NotificationFd, pointer: number): Result => {
  const given = new Uint8Array(S.SeccompNotif.size)
  if (task.memory.copyIn(pointer, given) < 0) return -EFAULT
  if (given.some((byte) => byte !== 0)) return -EINVAL
  const { notifications } = listener
  const attempt = (): number => {
    const notification = notifications.receive(listener.isOrphan)
    if (typeof notification === "number") return notification
    const { data, id } = notification
    const bytes = S.SeccompNotif.encode({ id, pid: idFor(task, notification.task.tid), flags: 0, data })
    if (task.memory.copyOut(pointer, bytes) === 0) return 0
    notifications.unreceive(notification)
    return -EFAULT
  }
  const result = attempt()
  return result === -EAGAIN ? waitForFile(task, listener, READABLE, attempt) : result
}

const send = (task: Task, { notifications }: NotificationFd, pointer: number): number => {
  const bytes = new Uint8Array(S.SeccompNotifResp.size)
  if (task.memory.copyIn(pointer, bytes) < 0) return -EFAULT
  const { error, flags, id, val } = S.SeccompNotifResp.decode(bytes)
  return notifications.send(id, val, error, flags)
}

const checkId = (task: Task, { notifications }: NotificationFd, pointer: number): number => {
  const id = new BigUint64Array(1)
  return task.memory.copyIn(pointer, new Uint8Array(id.buffer)) < 0 ? -EFAULT : notifications.check(id[0]!)
}

/** The request's number says how large the structure is: what lies beyond the known fields must be zero. */
const addFile = (task: Task, { notifications }: NotificationFd, pointer: number, size: number): number => {
  if (size < S.SeccompNotifAddfd.size || size >= 4096) return -EINVAL
  const bytes = new Uint8Array(size)
  if (task.memory.copyIn(pointer, bytes) < 0) return -EFAULT
  if (bytes.subarray(S.SeccompNotifAddfd.size).some((byte) => byte !== 0)) return -E2BIG
  const { flags, id, newfd, newfd_flags, srcfd } = S.SeccompNotifAddfd.decode(bytes)
  if ((newfd_flags & ~O_CLOEXEC) !== 0) return -EINVAL
  if ((flags & ~(S.SECCOMP_ADDFD_FLAG_SETFD | S.SECCOMP_ADDFD_FLAG_SEND)) !== 0) return -EINVAL
  if (newfd !== 0 && (flags & S.SECCOMP_ADDFD_FLAG_SETFD) === 0) return -EINVAL
  const file = fileOf(task, srcfd)
  return file === undefined ? -EBADF : notifications.addFile(id, file, flags, newfd, (newfd_flags & O_CLOEXEC) !== 0)
}

const setFlags = (flags: number): number => ((flags & ~S.SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP) !== 0 ? -EINVAL : 0) // nothing here depends on who runs where

/** _IOC_SIZE, and the bits of a request that say neither its size nor its direction. */
const sizeOfRequest = (request: number): number => (request >>> 16) & 0x3fff
const kindOfRequest = (request: number): number => request & 0xffff

/** ioctl(2) of a listener. */
export const listenerRequest = (task: Task, listener: NotificationFd, request: number, pointer: number): Result => {
  switch (request) {
    case S.SECCOMP_IOCTL_NOTIF_RECV:
      return receive(task, listener, pointer)
    case S.SECCOMP_IOCTL_NOTIF_SEND:
      return send(task, listener, pointer)
    case S.SECCOMP_IOCTL_NOTIF_ID_VALID:
    case S.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR:
      return checkId(task, listener, pointer)
    case S.SECCOMP_IOCTL_NOTIF_SET_FLAGS:
      return setFlags(pointer)
    default:
      return kindOfRequest(request) === kindOfRequest(S.SECCOMP_IOCTL_NOTIF_ADDFD)
        ? addFile(task, listener, pointer, sizeOfRequest(request))
        : -EINVAL
  }
}
