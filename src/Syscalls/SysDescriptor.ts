/**
 * System calls on descriptors as such: close(2), dup(2), fcntl(2) but for its locks (SysLock), ioctl(2).
 */
import { CAP_SYS_RAWIO } from "../Abi/Capability.ts"
import { EBADF, EFAULT, EINVAL, ENOTTY, EPERM, ESRCH } from "../Abi/Errno.ts"
import { SEEK_CUR } from "../Abi/At.ts"
import * as F from "../Abi/Fcntl.ts"
import { S_IFMT, S_IFREG, isDirectory, isRegular } from "../Abi/FileMode.ts"
import { O_APPEND, O_ASYNC, O_CLOEXEC, O_DIRECT, O_NOATIME, O_NONBLOCK, O_PATH } from "../Abi/OpenFlags.ts"
import { Reg } from "../Abi/Registers.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { NSIG } from "../Abi/Signal.ts"
import {
  FIOASYNC,
  FIBMAP,
  FIOGETOWN,
  FIOSETOWN,
  SIOCGPGRP,
  SIOCSPGRP,
  FIGETBSZ,
  FIOCLEX,
  FIONBIO,
  FIONCLEX,
  FIONREAD,
  FIOQSIZE,
  IOCTL_NAMES
} from "../Abi/Termios.ts"
import { NotificationFd } from "../Seccomp/NotificationFd.ts"
import { declare, fd, flags, oneOf, type Result, size, type Syscall, uint, type NamedValues } from "../Task/Syscall.ts"
import { followAsyncFlag } from "../Task/SignalDrivenIo.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { ownerOrCapable } from "../Vfs/Permission.ts"
import { PipeDescription } from "../Vfs/Pipe.ts"
import { UnixSocket } from "../Vfs/SocketUnix.ts"
import { fileOf } from "./Blocking.ts"
import { getLease, notifyOfDirectory, setLease } from "./FileWatch.ts"
import { listenerRequest } from "./SeccompListener.ts"
import { namespaceRequest } from "./SysNamespace.ts"
import { terminalRequest } from "./SysTerminal.ts"
import { fcntlLock, isLockCommand } from "./SysLock.ts"

const noFile = (task: Task): number => task.threadGroup.limits.soft(RLIMIT_NOFILE)

export const close = declare("close", [fd("fd")], (task, fdNumber) => task.fds.close(fdNumber))

/** close_range(2). Errors: EINVAL for unknown flags or first > last; EMFILE never, as no new descriptor is made. */
export const close_range = declare(
  "close_range",
  [uint("first"), uint("last"), flags("flags", F.CLOSE_RANGE_NAMES)],
  (task, first, last, flagBits) => {
    if ((flagBits & ~(F.CLOSE_RANGE_UNSHARE | F.CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return -EINVAL
    if ((flagBits & F.CLOSE_RANGE_UNSHARE) !== 0 && task.fds.shared) {
      const own = task.fds.copy()
      task.fds.leave()
      task.fds = own
    }
    for (const number of task.fds.descriptors()) {
      if (number < first || number > last) continue
      if ((flagBits & F.CLOSE_RANGE_CLOEXEC) !== 0) task.fds.setCloseOnExec(number, true)
      else task.fds.close(number)
    }
    return 0
  }
)

/** Gives `file` one more descriptor, from `minimum` on. */
const duplicate = (task: Task, file: OpenFileDescription, closeOnExec: boolean, minimum: number): number => {
  const number = task.fds.install(file.retain(), closeOnExec, noFile(task), minimum)
  if (number < 0) file.release()
  return number
}

export const dup = declare("dup", [fd("oldfd")], (task, oldFd) => {
  const file = task.fds.get(oldFd)
  return file === undefined ? -EBADF : duplicate(task, file, false, 0)
})

const replace = (task: Task, oldFd: number, newFd: number, closeOnExec: boolean): number => {
  if (newFd < 0 || newFd >= noFile(task)) return -EBADF
  const file = task.fds.get(oldFd)
  if (file === undefined) return -EBADF
  task.fds.replace(newFd, file.retain(), closeOnExec)
  return newFd
}

export const dup2 = declare("dup2", [fd("oldfd"), fd("newfd")], (task, oldFd, newFd) => {
  if (oldFd === newFd) return task.fds.get(oldFd) === undefined ? -EBADF : newFd
  return replace(task, oldFd, newFd, false)
})

export const dup3 = declare(
  "dup3",
  [fd("oldfd"), fd("newfd"), flags("flags", F.DUP3_NAMES)],
  (task, oldFd, newFd, flagBits) => {
    if ((flagBits & ~O_CLOEXEC) !== 0 || oldFd === newFd) return -EINVAL
    return replace(task, oldFd, newFd, (flagBits & O_CLOEXEC) !== 0)
  }
)

/** What F_SETFL can change; every other bit is ignored. */
const SETTABLE = O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME

const setFlags = (task: Task, fd: number, file: OpenFileDescription, wanted: number): number => {
  if ((wanted & O_NOATIME) !== 0 && (file.statusFlags & O_NOATIME) === 0) {
    const stat = file.stat()
    if (typeof stat !== "number" && !ownerOrCapable(stat, task.credentials)) return -EPERM
  }
  const changed = file.statusFlags ^ wanted
  // O_ASYNC stays as it is where it has no effect
  const settable = file.signalsReadiness ? SETTABLE : SETTABLE & ~O_ASYNC
  file.statusFlags = (file.statusFlags & ~settable) | (wanted & settable)
  if ((changed & O_ASYNC) !== 0) followAsyncFlag(task.system, file, fd)
  return 0
}

const setOwner = (task: Task, file: OpenFileDescription, type: number, pid: number): number => {
  if (type !== F.F_OWNER_TID && type !== F.F_OWNER_PID && type !== F.F_OWNER_PGRP) return -EINVAL
  const owner = pid === 0 ? 0 : task.threadGroup.pidNamespace.toOutside(pid)
  if (owner !== 0 && !task.system.taskSet.isUsed(owner)) return -ESRCH
  const { ruid, euid } = task.credentials
  file.asyncOwner = { ...file.asyncOwner, type, pid: owner, uid: ruid, euid }
  return 0
}

/** The real and effective user ids of who set the owner. */
const uidsOf = (file: OpenFileDescription, { userNamespace }: Task["credentials"]): Uint8Array => {
  const { uid, euid } = file.asyncOwner
  return new Uint8Array(Uint32Array.of(userNamespace.userTo(uid), userNamespace.userTo(euid)).buffer)
}

const ownerCommand = (task: Task, file: OpenFileDescription, command: number, argument: number): number => {
  const { type, pid: owner, signal } = file.asyncOwner
  // one that is gone is nobody
  const pid = task.system.taskSet.isUsed(owner) ? idFor(task, owner) : 0
  switch (command) {
    case F.F_GETOWN:
      return type === F.F_OWNER_PGRP ? -pid : pid
    case F.F_SETOWN: {
      const id = argument | 0
      if (id === -0x8000_0000) return -EINVAL // it has no opposite
      return id < 0 ? setOwner(task, file, F.F_OWNER_PGRP, -id) : setOwner(task, file, F.F_OWNER_PID, id)
    }
    case F.F_GETOWN_EX:
      return task.memory.copyOut(argument, F.FOwnerEx.encode({ type, pid }))
    case F.F_SETOWN_EX: {
      const raw = new Uint8Array(F.FOwnerEx.size)
      if (task.memory.copyIn(argument, raw) < 0) return -EFAULT
      const owner = F.FOwnerEx.decode(raw)
      return setOwner(task, file, owner.type, owner.pid)
    }
    case F.F_GETOWNER_UIDS:
      return task.memory.copyOut(argument, uidsOf(file, task.credentials))
    case F.F_GETSIG:
      return signal
    case F.F_SETSIG:
      if (argument > NSIG) return -EINVAL
      file.asyncOwner = { ...file.asyncOwner, signal: argument }
      return 0
    default:
      return -EINVAL
  }
}

/** FIOSETOWN and FIOGETOWN of a socket: F_SETOWN and F_GETOWN by pointer. */
const socketOwner = (task: Task, file: OpenFileDescription, sets: boolean, pointer: number): number => {
  if (!(file instanceof UnixSocket)) return -ENOTTY
  if (!sets) return task.memory.writeU32(pointer, ownerCommand(task, file, F.F_GETOWN, 0) >>> 0)
  const id = task.memory.readU32(pointer)
  return id < 0 ? -EFAULT : ownerCommand(task, file, F.F_SETOWN, id)
}

const isSameFile = (task: Task, file: OpenFileDescription, fd: number): number => {
  const other = task.fds.get(fd)
  return other === undefined ? -EBADF : other === file ? 1 : 0
}

/** F_GET_RW_HINT, F_SET_RW_HINT: kept with the file, and of no other use. */
const lifetimeHint = (task: Task, file: OpenFileDescription, command: number, pointer: number): number => {
  const holder = file.location()?.dentry.inode ?? file
  if (command === F.F_GET_RW_HINT) return task.memory.writeU64(pointer, holder.lifetimeHint)
  const stat = file.stat()
  if (typeof stat !== "number" && !ownerOrCapable(stat, task.credentials)) return -EPERM
  const hint = task.memory.readU64(pointer)
  if (hint < 0) return -EFAULT
  if (hint > F.RWH_WRITE_LIFE_EXTREME) return -EINVAL
  holder.lifetimeHint = hint
  return 0
}

/** The commands that a descriptor opened O_PATH accepts too. */
const descriptorCommand = (
  task: Task,
  fdNumber: number,
  file: OpenFileDescription,
  command: number,
  argument: number
) => {
  switch (command) {
    case F.F_DUPFD:
    case F.F_DUPFD_CLOEXEC: {
      const minimum = argument | 0
      if (minimum < 0 || minimum >= noFile(task)) return -EINVAL
      return duplicate(task, file, command === F.F_DUPFD_CLOEXEC, minimum)
    }
    case F.F_DUPFD_QUERY:
      return isSameFile(task, file, argument | 0)
    case F.F_CREATED_QUERY:
      return file.created ? 1 : 0
    case F.F_GETFD:
      return task.fds.closeOnExec(fdNumber) === true ? F.FD_CLOEXEC : 0
    case F.F_SETFD:
      task.fds.setCloseOnExec(fdNumber, (argument & F.FD_CLOEXEC) !== 0)
      return 0
    case F.F_GETFL:
      return file.statusFlags
    default:
      return undefined
  }
}

const fileCommand = (task: Task, fd: number, file: OpenFileDescription, command: number, argument: number): number => {
  switch (command) {
    case F.F_SETFL:
      return setFlags(task, fd, file, argument)
    case F.F_SETPIPE_SZ:
      return file instanceof PipeDescription ? file.pipe.resize(task.registers.uint(Reg.rdx)) : -EBADF
    case F.F_GETPIPE_SZ:
      return file instanceof PipeDescription ? file.pipe.capacity : -EBADF
    case F.F_NOTIFY:
      return notifyOfDirectory(task, fd, file, argument | 0)
    case F.F_GETLEASE:
      return getLease(file)
    case F.F_SETLEASE:
      return setLease(task, fd, file, argument | 0)
    case F.F_GET_RW_HINT:
    case F.F_SET_RW_HINT:
      return lifetimeHint(task, file, command, argument)
    case F.F_GET_SEALS:
      return file.seals()
    case F.F_ADD_SEALS:
      return file.writable ? file.addSeals(argument % 2 ** 32) : -EPERM
    default:
      return ownerCommand(task, file, command, argument)
  }
}

/** fcntl(2). Blocks only for F_SETLKW and F_OFD_SETLKW (Restart: ERESTARTSYS). */
export const fcntl = declare(
  "fcntl",
  [fd("fd"), oneOf("cmd", F.FCNTL_NAMES), size("arg")],
  (task, fdNumber, command, argument): Result => {
    const file = task.fds.get(fdNumber)
    if (file === undefined) return -EBADF
    const done = descriptorCommand(task, fdNumber, file, command, argument)
    if (done !== undefined) return done
    if ((file.statusFlags & O_PATH) !== 0) return -EBADF
    return isLockCommand(command)
      ? fcntlLock(task, fdNumber, file, command, argument)
      : fileCommand(task, fdNumber, file, command, argument)
  },
  { partial: "execve(2) breaks no lease" }
)

const setFlagFromInt = (task: Task, file: OpenFileDescription, pointer: number, flag: number): number => {
  const raw = new Uint8Array(4)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const on = raw.some((byte) => byte !== 0)
  file.statusFlags = on ? file.statusFlags | flag : file.statusFlags & ~flag
  return 0
}

/** FIONBIO's sibling. */
const setAsync = (task: Task, fd: number, file: OpenFileDescription, pointer: number): number => {
  const before = file.statusFlags
  const result = setFlagFromInt(task, file, pointer, O_ASYNC)
  if (file.statusFlags === before) return result
  if (!file.signalsReadiness) {
    file.statusFlags = before
    return -ENOTTY
  }
  followAsyncFlag(task.system, file, fd)
  return result
}

/** FIGETBSZ: the block size of the filesystem that `file` is on. */
const blockSize = (task: Task, file: OpenFileDescription, pointer: number): number => {
  const status = file.location()?.mount.filesystem.status()
  const size = status === undefined || typeof status === "number" ? 4096 : status.blockSize
  return task.memory.writeU32(pointer, size)
}

/** FIOQSIZE: the bytes that are allocated to a file, directory or link. */
const allocatedSize = (task: Task, file: OpenFileDescription, pointer: number): number => {
  const stat = file.stat()
  if (typeof stat === "number" || !(isRegular(stat.mode) || isDirectory(stat.mode))) return -ENOTTY
  return task.memory.writeU64(pointer, stat.blocks * 512)
}

/** FIBMAP: no file here has blocks of a device. */
const blockNumber = (task: Task, file: OpenFileDescription): number => {
  const stat = file.stat()
  if (typeof stat === "number" || !isRegular(stat.mode)) return -ENOTTY
  return hasCapability(task.credentials, CAP_SYS_RAWIO) ? -EINVAL : -EPERM
}

/** Bytes left in a regular file, as FIONREAD reports for it. */
const remainingBytes = (task: Task, file: OpenFileDescription, pointer: number): number => {
  const stat = file.stat()
  if (typeof stat === "number" || (stat.mode & S_IFMT) !== S_IFREG) return -ENOTTY
  const offset = file.seek(0, SEEK_CUR)
  return offset < 0 ? -ENOTTY : task.memory.writeU32(pointer, stat.size - offset)
}

export const ioctl = declare(
  "ioctl",
  [fd("fd"), { ...oneOf("request", IOCTL_NAMES as NamedValues), decoding: "uint" }, size("arg")],
  (task, fdNumber, request, argument) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    switch (request) {
      case FIOCLEX:
      case FIONCLEX:
        task.fds.setCloseOnExec(fdNumber, request === FIOCLEX)
        return 0
      case FIONBIO:
        return setFlagFromInt(task, file, argument, O_NONBLOCK)
      case FIOASYNC:
        return setAsync(task, fdNumber, file, argument)
      case FIOSETOWN:
      case SIOCSPGRP:
        return socketOwner(task, file, true, argument)
      case FIOGETOWN:
      case SIOCGPGRP:
        return socketOwner(task, file, false, argument)
      case FIGETBSZ:
        return blockSize(task, file, argument)
      case FIOQSIZE:
        return allocatedSize(task, file, argument)
      case FIBMAP:
        return blockNumber(task, file)
      default: {
        if (file instanceof NotificationFd) return listenerRequest(task, file, request, argument)
        const result =
          terminalRequest(task, file, request, argument) ??
          namespaceRequest(task, file, request, argument) ??
          file.ioctl(request, argument, task.memory)
        return result === -ENOTTY && request === FIONREAD ? remainingBytes(task, file, argument) : result
      }
    }
  }
)

export const sysDescriptor: ReadonlyArray<Syscall> = [close, close_range, dup, dup2, dup3, fcntl, ioctl]
