/**
 * open(2), openat2(2), creat(2), memfd_create(2).
 */
import { AT_FDCWD } from "../Abi/At.ts"
import * as At from "../Abi/At.ts"
import { E2BIG, EAGAIN, EFAULT, EINVAL, EMFILE } from "../Abi/Errno.ts"
import { MEMFD_NAMES, MFD_ALLOW_SEALING, MFD_CLOEXEC, MFD_EXEC, MFD_NOEXEC_SEAL } from "../Abi/FileNames.ts"
import {
  O_ACCMODE,
  O_APPEND,
  O_ASYNC,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_DSYNC,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_SYNC,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
  OPEN_NAMES
} from "../Abi/OpenFlags.ts"
import { POLLIN } from "../Abi/Poll.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { OpenHow } from "../Abi/StatStruct.ts"
import { declare, dirFd, flags, mode, type Result, size, string, struct, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { memoryFile } from "../Vfs/MemoryFiles.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { PendingOpen } from "../Vfs/PendingOpen.ts"
import { waitUntil } from "./Blocking.ts"
import { directoryOf, pathAt, startOf } from "./PathArgument.ts"
import { opened } from "./SysTerminal.ts"

const VALID_FLAGS =
  O_ACCMODE |
  O_CREAT |
  O_EXCL |
  O_NOCTTY |
  O_TRUNC |
  O_APPEND |
  O_NONBLOCK |
  O_SYNC |
  O_DSYNC |
  O_ASYNC |
  O_DIRECT |
  O_LARGEFILE |
  O_DIRECTORY |
  O_NOFOLLOW |
  O_NOATIME |
  O_CLOEXEC |
  O_PATH |
  O_TMPFILE

/** What matters with O_PATH; open(2) ignores the rest. */
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC

/** O_TMPFILE without the O_DIRECTORY in it. */
const TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY

/** Checks that openat2(2) and open(2) share: 0 or -EINVAL. */
const checkFlags = (bits: number): number => {
  if ((bits & TMPFILE_BIT) !== 0) {
    if ((bits & O_TMPFILE) !== O_TMPFILE || (bits & O_CREAT) !== 0) return -EINVAL
    return (bits & O_ACCMODE) === 0 ? -EINVAL : 0
  }
  return (bits & (O_DIRECTORY | O_CREAT)) === (O_DIRECTORY | O_CREAT) ? -EINVAL : 0
}

const install = (task: Task, file: OpenFileDescription | number, bits: number): number => {
  if (typeof file === "number") return file
  const fd = task.fds.install(file, (bits & O_CLOEXEC) !== 0, task.threadGroup.limits.soft(RLIMIT_NOFILE))
  if (fd < 0) file.release()
  return fd
}

/** Opens `path` and installs the lowest descriptor. Blocks: on a FIFO whose other end is not open. */
const openFile = (
  task: Task,
  dirFdNumber: number,
  path: string | number,
  bits: number,
  permissions: number,
  resolve = 0
): Result => {
  if (typeof path === "number") return path
  const confined = (resolve & (At.RESOLVE_BENEATH | At.RESOLVE_IN_ROOT)) !== 0
  const start = confined ? directoryOf(task, dirFdNumber) : startOf(task, dirFdNumber, path)
  if (typeof start === "number") return start
  // before the file is created: "EMFILE The per-process limit … has been reached"
  if (!task.fds.hasRoom(task.threadGroup.limits.soft(RLIMIT_NOFILE))) return -EMFILE
  const file = task.system.vfs.open(task, start, path, bits, permissions, resolve)
  if (file instanceof PendingOpen) return waitForPeer(task, file, bits)
  if (typeof file !== "number" && (bits & O_NOCTTY) === 0) opened(task, file)
  return install(task, file, bits)
}

const waitForPeer = (task: Task, pending: PendingOpen, bits: number): Result => {
  let opened = false
  const attempt = (): number => {
    const file = pending.complete()
    if (file === -EAGAIN) return -EAGAIN
    opened = true
    return install(task, file, bits)
  }
  const { patience } = pending
  const expiry =
    patience === undefined
      ? {}
      : {
          deadline: task.system.timekeeper.monotonic() + patience,
          expired: () => {
            pending.expire()
            return attempt()
          }
        }
  return waitUntil(task, [{ queue: pending.waiters, events: POLLIN }], attempt, {
    ...expiry,
    finally: () => {
      if (!opened) pending.cancel()
    }
  })
}

/** open(2) ignores what it does not know; and mode where nothing is created. */
const openLegacy = (task: Task, dirFdNumber: number, pathAddress: number, raw: number, permissions: number): Result => {
  const bits = (raw & O_PATH) !== 0 ? raw & PATH_FLAGS : (raw & VALID_FLAGS) | O_LARGEFILE
  const error = checkFlags(bits)
  return error < 0 ? error : openFile(task, dirFdNumber, pathAt(task, pathAddress), bits, permissions & 0o7777)
}

export const open = declare(
  "open",
  [string("pathname"), flags("flags", OPEN_NAMES, "O_RDONLY"), mode("mode")],
  (task, path, bits, permissions) => openLegacy(task, AT_FDCWD, path, bits, permissions)
)

export const openat = declare(
  "openat",
  [dirFd("dirfd"), string("pathname"), flags("flags", OPEN_NAMES, "O_RDONLY"), mode("mode")],
  (task, dirFdNumber, path, bits, permissions) => openLegacy(task, dirFdNumber, path, bits, permissions)
)

export const creat = declare("creat", [string("pathname"), mode("mode")], (task, path, permissions) =>
  openLegacy(task, AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, permissions)
)

const RESOLVE_KNOWN =
  At.RESOLVE_NO_XDEV |
  At.RESOLVE_NO_MAGICLINKS |
  At.RESOLVE_NO_SYMLINKS |
  At.RESOLVE_BENEATH |
  At.RESOLVE_IN_ROOT |
  At.RESOLVE_CACHED

/**
 * openat2(2). Every path walk here is answered without waiting, so RESOLVE_CACHED asks for nothing more.
 * Errors: EINVAL for unknown flags, a mode without O_CREAT, or an unknown size; E2BIG for extensions that are not zero.
 */
export const openat2 = declare(
  "openat2",
  [dirFd("dirfd"), string("pathname"), struct("how", "open_how", "in"), size("size")],
  (task, dirFdNumber, pathAddress, howAddress, length) => {
    if (length < OpenHow.size) return -EINVAL
    if (length > 4096) return -E2BIG
    const bytes = new Uint8Array(length)
    if (task.memory.copyIn(howAddress, bytes) < 0) return -EFAULT
    if (bytes.subarray(OpenHow.size).some((byte) => byte !== 0)) return -E2BIG
    const how = OpenHow.decode(bytes)
    if (how.flags > 0xffff_ffffn || how.resolve > 0xffn || how.mode > 0o7777n) return -EINVAL
    const bits = Number(how.flags)
    const resolve = Number(how.resolve)
    if ((bits & ~VALID_FLAGS) !== 0 || (resolve & ~RESOLVE_KNOWN) !== 0) return -EINVAL
    const confined = At.RESOLVE_BENEATH | At.RESOLVE_IN_ROOT
    if ((resolve & confined) === confined) return -EINVAL
    const creates = (bits & O_CREAT) !== 0 || (bits & TMPFILE_BIT) !== 0
    if (!creates && how.mode !== 0n) return -EINVAL
    if ((bits & O_PATH) !== 0 && (bits & ~PATH_FLAGS) !== 0) return -EINVAL
    const error = checkFlags(bits)
    if (error < 0) return error
    if ((resolve & At.RESOLVE_CACHED) !== 0 && (creates || (bits & O_TRUNC) !== 0)) return -EAGAIN
    const final = (bits & O_PATH) !== 0 ? bits : bits | O_LARGEFILE
    return openFile(task, dirFdNumber, pathAt(task, pathAddress), final, Number(how.mode), resolve)
  }
)

const F_SEAL_EXEC = 0x20

/** Longest name, without the "memfd:" that /proc shows before it. */
const MEMFD_NAME_MAX = 249

/** memfd_create(2). No huge pages. */
export const memfd_create = declare(
  "memfd_create",
  [string("name"), flags("flags", MEMFD_NAMES)],
  (task, nameAddress, bits) => {
    if ((bits & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)) !== 0) return -EINVAL
    if ((bits & MFD_EXEC) !== 0 && (bits & MFD_NOEXEC_SEAL) !== 0) return -EINVAL
    const name = task.memory.copyInString(nameAddress, MEMFD_NAME_MAX + 1)
    if (typeof name === "number") return name === -EFAULT ? name : -EINVAL
    const executable = (bits & MFD_NOEXEC_SEAL) === 0
    const sealable = (bits & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) !== 0
    const file = memoryFile(task.system.vfs, task, `memfd:${name}`, executable ? 0o777 : 0o666, sealable)
    if (!executable && file instanceof OpenFileDescription) file.addSeals(F_SEAL_EXEC)
    return install(task, file, (bits & MFD_CLOEXEC) !== 0 ? O_CLOEXEC : 0)
  },
  { partial: "MFD_HUGETLB" }
)

export const sysOpen: ReadonlyArray<Syscall> = [open, openat, creat, openat2, memfd_create]
