/**
 * signalfd(2).
 */
import { EBADF, EFAULT, EINVAL } from "../Abi/Errno.ts"
import { O_CLOEXEC, O_NONBLOCK } from "../Abi/OpenFlags.ts"
import { type Result, declare, fd, flags, size, struct } from "../Task/Syscall.ts"
import { SignalFd } from "../Task/SignalFd.ts"
import type { Task } from "../Task/Task.ts"
import { installFile } from "./SysPipe.ts"

const SFD_NAMES = Object.entries({ SFD_CLOEXEC: O_CLOEXEC, SFD_NONBLOCK: O_NONBLOCK })

const signalfd4 = (task: Task, descriptor: number, mask: number, length: number, flagBits: number): Result => {
  if (length !== 8 || (flagBits & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return -EINVAL
  const bytes = new Uint8Array(8)
  if (task.memory.copyIn(mask, bytes) < 0) return -EFAULT
  const set = new DataView(bytes.buffer).getBigUint64(0, true)
  if (descriptor !== -1) {
    const file = task.fds.get(descriptor)
    if (file === undefined) return -EBADF
    if (!(file instanceof SignalFd)) return -EINVAL
    file.setMask(task, set)
    return descriptor
  }
  const stat = task.system.anonymous.attributes("anon_inode", task.credentials)
  return installFile(task, new SignalFd(task, stat, set, flagBits & O_NONBLOCK), (flagBits & O_CLOEXEC) !== 0)
}

export const sysSignalFd = [
  declare("signalfd", [fd("fd"), struct("mask", "sigset", "in"), size("sizemask")], (task, descriptor, mask, length) =>
    signalfd4(task, descriptor, mask, length, 0)
  ),
  declare(
    "signalfd4",
    [fd("fd"), struct("mask", "sigset", "in"), size("sizemask"), flags("flags", SFD_NAMES, "0")],
    signalfd4
  )
]
