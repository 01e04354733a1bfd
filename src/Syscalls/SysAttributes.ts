/**
 * Changes to attributes and contents by name or descriptor: chmod(2), chown(2), utimensat(2), truncate(2),
 * fallocate(2), sync(2), xattr(7).
 */
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_UNSHARE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  UTIME_NOW,
  UTIME_OMIT
} from "../Abi/At.ts"
import { NO_ID } from "../Vfs/IdMap.ts"
import { EBADF, EFAULT, EFBIG, EINVAL, ENODEV, EOPNOTSUPP, ESPIPE } from "../Abi/Errno.ts"
import { S_IFIFO, S_IFMT, isRegular } from "../Abi/FileMode.ts"
import { AT_NAMES, FALLOC_NAMES } from "../Abi/FileNames.ts"
import { IN_MODIFY } from "../Abi/InotifyFlags.ts"
import { RLIMIT_FSIZE } from "../Abi/Resource.ts"
import { SIGXFSZ } from "../Abi/Signal.ts"
import * as Struct from "../Abi/Struct.ts"
import { address, declare, dirFd, fd, flags, int, long, mode, string, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { type NewTimes, changeMode, changeOwner, changeSize, changeTimes } from "../Vfs/Attributes.ts"
import type { Location } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { Stat } from "../Vfs/Stat.ts"
import { fileOf } from "./Blocking.ts"
import { whenLeasesAllow } from "./FileWatch.ts"
import { fileTarget, locationTarget } from "./PathArgument.ts"

const FOLLOW = { follow: true }
const NO_FOLLOW = { follow: false }

/** The file to change: a place, or an open file that has none (a pipe). */
type Target = Location | OpenFileDescription | number

const targetOf = (task: Task, dirFdNumber: number, path: number, bits: number): Target => {
  if ((bits & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL
  const options = { follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, empty: (bits & AT_EMPTY_PATH) !== 0 }
  const target = fileTarget(task, dirFdNumber, path, options)
  return target instanceof OpenFileDescription ? (target.location() ?? target) : target
}

/** The file behind a descriptor, not one opened O_PATH. */
const openTarget = (task: Task, fdNumber: number): Target => {
  const file = fileOf(task, fdNumber)
  return file === undefined ? -EBADF : (file.location() ?? file)
}

// ---- chmod

const setMode = (task: Task, place: Target, permissions: number): number =>
  typeof place === "number" ? place : changeMode(task, place, permissions)

export const chmod = declare("chmod", [string("pathname"), mode("mode")], (task, path, permissions) =>
  setMode(task, targetOf(task, AT_FDCWD, path, 0), permissions)
)

export const fchmod = declare("fchmod", [fd("fd"), mode("mode")], (task, fdNumber, permissions) =>
  setMode(task, openTarget(task, fdNumber), permissions)
)

export const fchmodat = declare(
  "fchmodat",
  [dirFd("dirfd"), string("pathname"), mode("mode")],
  (task, dirFdNumber, path, permissions) => setMode(task, targetOf(task, dirFdNumber, path, 0), permissions)
)

export const fchmodat2 = declare(
  "fchmodat2",
  [dirFd("dirfd"), string("pathname"), mode("mode"), flags("flags", AT_NAMES, "0")],
  (task, dirFdNumber, path, permissions, bits) => setMode(task, targetOf(task, dirFdNumber, path, bits), permissions)
)

// ---- chown

/** NO_ID leaves an id; one that means nothing in the caller's user namespace is -EINVAL. */
const setOwner = (task: Task, place: Target, uid: number, gid: number): number => {
  if (typeof place === "number") return place
  const { userNamespace } = task.credentials
  const [user, group] = [userNamespace.userFrom(uid), userNamespace.groupFrom(gid)]
  if ((user === NO_ID && uid !== NO_ID) || (group === NO_ID && gid !== NO_ID)) return -EINVAL
  return changeOwner(task, place, user, group)
}

export const chown = declare("chown", [string("pathname"), uint("owner"), uint("group")], (task, path, uid, gid) =>
  setOwner(task, targetOf(task, AT_FDCWD, path, 0), uid, gid)
)

export const lchown = declare("lchown", [string("pathname"), uint("owner"), uint("group")], (task, path, uid, gid) =>
  setOwner(task, targetOf(task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW), uid, gid)
)

export const fchown = declare("fchown", [fd("fd"), uint("owner"), uint("group")], (task, fdNumber, uid, gid) =>
  setOwner(task, openTarget(task, fdNumber), uid, gid)
)

export const fchownat = declare(
  "fchownat",
  [dirFd("dirfd"), string("pathname"), uint("owner"), uint("group"), flags("flags", AT_NAMES, "0")],
  (task, dirFdNumber, path, uid, gid, bits) => setOwner(task, targetOf(task, dirFdNumber, path, bits), uid, gid)
)

// ---- times

const TwoTimes = Struct.make("times", { s0: Struct.long, f0: Struct.long, s1: Struct.long, f1: Struct.long })
type TwoTimes = Struct.Type<typeof TwoTimes>

const NOW: NewTimes = { atime: "Now", mtime: "Now" }

const copyInTimes = (task: Task, address: number): TwoTimes | number => {
  const bytes = new Uint8Array(TwoTimes.size)
  return task.memory.copyIn(address, bytes) < 0 ? -EFAULT : TwoTimes.decode(bytes)
}

const setTimes = (task: Task, place: Target, times: NewTimes): number =>
  typeof place === "number" ? place : changeTimes(task.system.vfs, task, place, times)

/** What one timespec of utimensat(2) means: -EINVAL for nanoseconds out of range. */
const newTime = (seconds: number, nanoseconds: number): NewTimes["atime"] | number => {
  if (nanoseconds === UTIME_OMIT) return undefined
  if (nanoseconds === UTIME_NOW) return "Now"
  return nanoseconds < 0 || nanoseconds > 999_999_999 ? -EINVAL : { seconds, nanoseconds }
}

/** The two times at `address`: undefined to change nothing, or -errno. */
const newTimes = (task: Task, address: number): NewTimes | undefined | number => {
  const two = copyInTimes(task, address)
  if (typeof two === "number") return two
  const atime = newTime(two.s0, two.f0)
  const mtime = newTime(two.s1, two.f1)
  if (atime === undefined && mtime === undefined) return undefined
  if (typeof atime === "number") return atime
  return typeof mtime === "number" ? mtime : { atime, mtime }
}

/** utimensat(2). A null path means the descriptor itself (futimens(3)). */
export const utimensat = declare(
  "utimensat",
  [dirFd("dirfd"), string("pathname"), address("times"), flags("flags", AT_NAMES, "0")],
  (task, dirFdNumber, path, timesAddress, bits) => {
    const times = timesAddress === 0 ? NOW : newTimes(task, timesAddress)
    if (times === -EFAULT) return -EFAULT
    if (times === undefined) return 0 // "not even the path is checked"
    // the file is found before the times are looked at
    let place: Target = -EINVAL
    if (path !== 0 || dirFdNumber === AT_FDCWD) place = targetOf(task, dirFdNumber, path, bits)
    else if (bits === 0) place = openTarget(task, dirFdNumber)
    if (typeof place === "number") return place
    return typeof times === "number" ? times : setTimes(task, place, times)
  }
)

/** utimes(2), futimesat(2): microseconds. */
const setMicros = (task: Task, dirFdNumber: number, path: number, timesAddress: number): number => {
  let times = NOW
  if (timesAddress !== 0) {
    const two = copyInTimes(task, timesAddress)
    if (typeof two === "number") return two
    if (two.f0 < 0 || two.f0 > 999_999 || two.f1 < 0 || two.f1 > 999_999) return -EINVAL
    times = {
      atime: { seconds: two.s0, nanoseconds: two.f0 * 1000 },
      mtime: { seconds: two.s1, nanoseconds: two.f1 * 1000 }
    }
  }
  const place =
    path === 0 && dirFdNumber !== AT_FDCWD ? openTarget(task, dirFdNumber) : targetOf(task, dirFdNumber, path, 0)
  return setTimes(task, place, times)
}

export const utimes = declare("utimes", [string("filename"), address("times")], (task, path, times) =>
  setMicros(task, AT_FDCWD, path, times)
)

export const futimesat = declare(
  "futimesat",
  [dirFd("dirfd"), string("pathname"), address("times")],
  (task, dirFdNumber, path, times) => setMicros(task, dirFdNumber, path, times)
)

const Utimbuf = Struct.make("utimbuf", { actime: Struct.long, modtime: Struct.long })

/** utime(2): whole seconds. */
export const utime = declare("utime", [string("filename"), address("times")], (task, path, timesAddress) => {
  let times = NOW
  if (timesAddress !== 0) {
    const bytes = new Uint8Array(Utimbuf.size)
    if (task.memory.copyIn(timesAddress, bytes) < 0) return -EFAULT
    const { actime, modtime } = Utimbuf.decode(bytes)
    times = { atime: { seconds: actime, nanoseconds: 0 }, mtime: { seconds: modtime, nanoseconds: 0 } }
  }
  return setTimes(task, targetOf(task, AT_FDCWD, path, 0), times)
})

// ---- sizes

export const truncate = declare("truncate", [string("path"), long("length")], (task, path, length) => {
  if (length < 0) return -EINVAL
  const place = locationTarget(task, AT_FDCWD, path, FOLLOW, -EINVAL)
  if (typeof place === "number") return place
  if (isRegular(place.dentry.inode!.mode) && exceedsLimit(task, place.dentry.inode!.stat(), length)) return -EFBIG
  return whenLeasesAllow(task, place.dentry.inode!, () => changeSize(task.system.vfs, task, place, length))
})

/** Whether a file would grow beyond RLIMIT_FSIZE: then SIGXFSZ is sent, too. */
const exceedsLimit = (task: Task, stat: Stat | number, length: number): boolean => {
  const limit = task.threadGroup.limits.soft(RLIMIT_FSIZE)
  if (length <= limit || typeof stat === "number" || length <= stat.size) return false
  task.raise(SIGXFSZ)
  return true
}

export const ftruncate = declare("ftruncate", [fd("fd"), long("length")], (task, fdNumber, length) => {
  if (length < 0) return -EINVAL
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  if (!file.writable) return -EINVAL
  if (exceedsLimit(task, file.stat(), length)) return -EFBIG
  const error = file.truncate(length)
  if (error === 0) file.tell(IN_MODIFY)
  return error
})

const isFifo = (stat: Stat | number): boolean => typeof stat !== "number" && (stat.mode & S_IFMT) === S_IFIFO

const FALLOC_KINDS = new Set([
  0,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_ZERO_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_UNSHARE_RANGE
])

/** Whether fallocate(2) knows such a mode: at most one thing to do, and the size kept or not as that thing needs. */
const isKnownMode = (bits: number): boolean => {
  const kind = bits & ~FALLOC_FL_KEEP_SIZE
  const keeps = (bits & FALLOC_FL_KEEP_SIZE) !== 0
  if (kind === FALLOC_FL_PUNCH_HOLE) return keeps
  return FALLOC_KINDS.has(kind) && !(keeps && (kind === FALLOC_FL_COLLAPSE_RANGE || kind === FALLOC_FL_INSERT_RANGE))
}

/** fallocate(2). Errors: EINVAL, EOPNOTSUPP for what the filesystem can't do, EBADF, ESPIPE, ENODEV, EFBIG, ENOSPC. */
export const fallocate = declare(
  "fallocate",
  [fd("fd"), flags("mode", FALLOC_NAMES, "0"), long("offset"), long("len")],
  (task, fdNumber, bits, offset, length) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    if (offset < 0 || length <= 0) return -EINVAL
    if (!isKnownMode(bits)) return -EOPNOTSUPP
    if (!file.writable) return -EBADF
    const grows = (bits & ~FALLOC_FL_ZERO_RANGE) === 0
    if (grows && exceedsLimit(task, file.stat(), offset + length)) return -EFBIG
    const error = file.allocate(bits, offset, length)
    if (error === 0) file.tell(IN_MODIFY)
    return error === -ENODEV && isFifo(file.stat()) ? -ESPIPE : error
  }
)

// ---- sync

export const sync = declare("sync", [], (task) => {
  task.system.vfs.synchronize()
  return 0
})

export const syncfs = declare("syncfs", [fd("fd")], (task, fdNumber) => {
  const file = fileOf(task, fdNumber)
  return file === undefined ? -EBADF : (file.location()?.mount.filesystem.synchronize() ?? 0)
})

/** name_to_handle_at(2): no filesystem here gives handles out. */
export const name_to_handle_at = declare(
  "name_to_handle_at",
  [dirFd("dirfd"), string("pathname"), address("handle"), address("mount_id"), int("flags")],
  (task, dirFdNumber, path) => {
    const place = locationTarget(task, dirFdNumber, path, { ...NO_FOLLOW, empty: true }, -EOPNOTSUPP)
    return typeof place === "number" ? place : -EOPNOTSUPP
  },
  { partial: "always EOPNOTSUPP" }
)

export const sysAttributes: ReadonlyArray<Syscall> = [
  chmod,
  fchmod,
  fchmodat,
  fchmodat2,
  chown,
  lchown,
  fchown,
  fchownat,
  utimensat,
  utimes,
  futimesat,
  utime,
  truncate,
  ftruncate,
  fallocate,
  sync,
  syncfs,
  name_to_handle_at
]
