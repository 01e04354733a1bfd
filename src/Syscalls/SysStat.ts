/**
 * stat(2), statx(2), access(2), readlink(2), statfs(2): looking at files.
 */
import {
  AT_EACCESS,
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_STATX_SYNC_TYPE,
  AT_SYMLINK_NOFOLLOW
} from "../Abi/At.ts"
import { major, minor } from "../Abi/Device.ts"
import { EBADF, EINVAL, ENOENT } from "../Abi/Errno.ts"
import { isSymlink } from "../Abi/FileMode.ts"
import { ACCESS_NAMES, AT_NAMES, FACCESSAT_NAMES, STATX_NAMES } from "../Abi/FileNames.ts"
import {
  MS_MANDLOCK,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RELATIME,
  MS_SYNCHRONOUS
} from "../Abi/MountFlags.ts"
import * as S from "../Abi/StatStruct.ts"
import {
  type Argument,
  bufferOut,
  declare,
  dirFd,
  fd,
  flags,
  size,
  string,
  struct,
  type Syscall
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { checkAccess, withRealIds } from "../Vfs/Attributes.ts"
import type { FilesystemStatus } from "../Vfs/Filesystem.ts"
import { Location, type Mount } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import type { FileTime, Stat } from "../Vfs/Stat.ts"
import { fileTarget, locationTarget, pathAt } from "./PathArgument.ts"

/** Attributes of what a call named, or -errno. */
const statOf = (target: Location | OpenFileDescription | number): Stat | number => {
  if (typeof target === "number") return target
  return target instanceof Location ? target.dentry.inode!.stat() : target.stat()
}

const copyOutStat = (task: Task, address: number, stat: Stat | number): number => {
  if (typeof stat === "number") return stat
  const { userNamespace } = task.credentials
  return task.memory.copyOut(
    address,
    S.StatStruct.encode({
      st_dev: stat.dev,
      st_ino: stat.ino,
      st_nlink: stat.nlink,
      st_mode: stat.mode,
      st_uid: userNamespace.userTo(stat.uid),
      st_gid: userNamespace.groupTo(stat.gid),
      pad0: 0,
      st_rdev: stat.rdev,
      st_size: stat.size,
      st_blksize: stat.blksize,
      st_blocks: stat.blocks,
      st_atime: stat.atime.seconds,
      st_atime_nsec: stat.atime.nanoseconds,
      st_mtime: stat.mtime.seconds,
      st_mtime_nsec: stat.mtime.nanoseconds,
      st_ctime: stat.ctime.seconds,
      st_ctime_nsec: stat.ctime.nanoseconds,
      unused0: 0,
      unused1: 0,
      unused2: 0
    })
  )
}

const statBuffer: Argument<number> = struct("statbuf", "stat", "out")

export const stat = declare("stat", [string("pathname"), statBuffer], (task, path, buffer) =>
  copyOutStat(task, buffer, statOf(fileTarget(task, AT_FDCWD, path, { follow: true })))
)

export const lstat = declare("lstat", [string("pathname"), statBuffer], (task, path, buffer) =>
  copyOutStat(task, buffer, statOf(fileTarget(task, AT_FDCWD, path, { follow: false })))
)

export const fstat = declare("fstat", [fd("fd"), statBuffer], (task, fdNumber, buffer) =>
  copyOutStat(task, buffer, task.fds.get(fdNumber)?.stat() ?? -EBADF)
)

/** newfstatat(2). Errors: EINVAL for unknown flags. */
export const newfstatat = declare(
  "newfstatat",
  [dirFd("dirfd"), string("pathname"), statBuffer, flags("flags", AT_NAMES, "0")],
  (task, dirFdNumber, path, buffer, bits) => {
    if ((bits & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) !== 0) return -EINVAL
    const options = { follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, empty: (bits & AT_EMPTY_PATH) !== 0 }
    return copyOutStat(task, buffer, statOf(fileTarget(task, dirFdNumber, path, options)))
  }
)

const statxTime = ({ seconds, nanoseconds }: FileTime) => ({ tv_sec: seconds, tv_nsec: nanoseconds, pad: 0 })

const NO_TIME = { seconds: 0, nanoseconds: 0 }
const STATX_SPARE = new Uint8Array(88)

/** statx(2). Gives what it has, whatever the mask asks for, as Linux may. */
export const statx = declare(
  "statx",
  [
    dirFd("dirfd"),
    string("pathname"),
    flags("flags", AT_NAMES, "0"),
    flags("mask", STATX_NAMES),
    struct("statxbuf", "statx", "out")
  ],
  (task, dirFdNumber, path, bits, mask, buffer) => {
    if ((mask & S.STATX_RESERVED) !== 0) return -EINVAL
    if ((bits & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) !== 0) return -EINVAL
    if ((bits & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return -EINVAL
    const options = { follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, empty: (bits & AT_EMPTY_PATH) !== 0 }
    const target = fileTarget(task, dirFdNumber, path, options)
    const found = statOf(target)
    if (typeof target === "number" || typeof found === "number") return found as number // a number if `target` is one
    const place = target instanceof Location ? target : target.location()
    const isRoot = place !== undefined && place.dentry === place.mount.root
    const { userNamespace } = task.credentials
    const encoded = S.StatxStruct.encode({
      stx_mask: S.STATX_BASIC_STATS | (found.btime === undefined ? 0 : S.STATX_BTIME) | S.STATX_MNT_ID,
      stx_blksize: found.blksize,
      stx_attributes: isRoot ? S.STATX_ATTR_MOUNT_ROOT : 0,
      stx_nlink: found.nlink,
      stx_uid: userNamespace.userTo(found.uid),
      stx_gid: userNamespace.groupTo(found.gid),
      stx_mode: found.mode,
      pad0: 0,
      stx_ino: found.ino,
      stx_size: found.size,
      stx_blocks: found.blocks,
      stx_attributes_mask: S.STATX_ATTR_MOUNT_ROOT,
      stx_atime: statxTime(found.atime),
      stx_btime: statxTime(found.btime ?? NO_TIME),
      stx_ctime: statxTime(found.ctime),
      stx_mtime: statxTime(found.mtime),
      stx_rdev_major: major(found.rdev),
      stx_rdev_minor: minor(found.rdev),
      stx_dev_major: major(found.dev),
      stx_dev_minor: minor(found.dev),
      stx_mnt_id: place?.mount.id ?? 0,
      stx_dio_mem_align: 0,
      stx_dio_offset_align: 0,
      stx_subvol: 0,
      spare: STATX_SPARE
    })
    return task.memory.copyOut(buffer, encoded)
  }
)

const accessOf = (task: Task, dirFdNumber: number, path: number, mask: number, bits: number): number => {
  if ((mask & ~7) !== 0) return -EINVAL
  if ((bits & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return -EINVAL
  const credentials = (bits & AT_EACCESS) !== 0 ? task.credentials : withRealIds(task.credentials)
  // the whole walk happens with these ids
  const { fs, tid, threadGroup, fds, memory, system } = task
  const asWhom = { fs, tid, threadGroup, fds, memory, system, credentials }
  const options = { follow: (bits & AT_SYMLINK_NOFOLLOW) === 0, empty: (bits & AT_EMPTY_PATH) !== 0 }
  const target = fileTarget(asWhom, dirFdNumber, path, options)
  if (typeof target === "number") return target
  const place = target instanceof Location ? target : target.location()
  if (place !== undefined) return checkAccess(place, mask, credentials)
  const attributes = statOf(target)
  return typeof attributes === "number" ? attributes : mayAccess(attributes, mask, credentials)
}

export const access = declare("access", [string("pathname"), flags("mode", ACCESS_NAMES, "F_OK")], (task, path, mask) =>
  accessOf(task, AT_FDCWD, path, mask, 0)
)

export const faccessat = declare(
  "faccessat",
  [dirFd("dirfd"), string("pathname"), flags("mode", ACCESS_NAMES, "F_OK")],
  (task, dirFdNumber, path, mask) => accessOf(task, dirFdNumber, path, mask, 0)
)

export const faccessat2 = declare(
  "faccessat2",
  [dirFd("dirfd"), string("pathname"), flags("mode", ACCESS_NAMES, "F_OK"), flags("flags", FACCESSAT_NAMES, "0")],
  (task, dirFdNumber, path, mask, bits) => accessOf(task, dirFdNumber, path, mask, bits)
)

/** readlink(2). An empty path means the link itself, opened with O_PATH | O_NOFOLLOW. */
const readlinkOf = (task: Task, dirFdNumber: number, path: number, buffer: number, length: number): number => {
  if (length <= 0) return -EINVAL
  const place = locationTarget(task, dirFdNumber, path, { follow: false, empty: dirFdNumber !== AT_FDCWD }, -ENOENT)
  if (typeof place === "number") return place
  const inode = place.dentry.inode!
  // "EINVAL The named file is not a symbolic link"; through an empty path ENOENT, as it is no path then
  if (!isSymlink(inode.mode)) return pathAt(task, path) === "" ? -ENOENT : -EINVAL
  const text = inode.readlink(task)
  if (typeof text === "number") return text
  return task.memory.copyOut(buffer, Buffer.from(text.slice(0, length), "latin1")) || Math.min(text.length, length)
}

export const readlink = declare(
  "readlink",
  [string("pathname"), bufferOut("buf"), size("bufsiz")],
  (task, path, buffer, length) => readlinkOf(task, AT_FDCWD, path, buffer, asInt(length))
)

export const readlinkat = declare(
  "readlinkat",
  [dirFd("dirfd"), string("pathname"), bufferOut("buf"), size("bufsiz")],
  (task, dirFdNumber, path, buffer, length) => readlinkOf(task, dirFdNumber, path, buffer, asInt(length))
)

/** The kernel takes the buffer size as an int. */
const asInt = (length: number): number => (length % 0x1_0000_0000) | 0

/** What statfs(2) says of the filesystems that pipes, sockets and the like live in: only what kind it is. */
const anonymousStatus = (file: OpenFileDescription): FilesystemStatus => {
  const name = file.describe()
  const type = name.startsWith("pipe:") ? PIPEFS_MAGIC : name.startsWith("socket:") ? SOCKFS_MAGIC : ANON_INODE_FS_MAGIC
  const nothing = { blocks: 0, blocksFree: 0, blocksAvailable: 0, files: 0, filesFree: 0 }
  return { type, blockSize: 4096, nameLength: 255, ...nothing }
}

const PIPEFS_MAGIC = 0x50495045
const SOCKFS_MAGIC = 0x534f434b
const ANON_INODE_FS_MAGIC = 0x09041934

const copyOutStatfs = (task: Task, address: number, target: Location | OpenFileDescription | number): number => {
  if (typeof target === "number") return target
  const mount = (target instanceof Location ? target : target.location())?.mount
  const status = mount?.filesystem.status() ?? (target instanceof Location ? -EINVAL : anonymousStatus(target))
  if (typeof status === "number") return status
  return task.memory.copyOut(
    address,
    S.StatfsStruct.encode({
      f_type: status.type,
      f_bsize: status.blockSize,
      f_blocks: status.blocks,
      f_bfree: status.blocksFree,
      f_bavail: status.blocksAvailable,
      f_files: status.files,
      f_ffree: status.filesFree,
      f_fsid: mount?.filesystem.device ?? 0,
      f_namelen: status.nameLength,
      f_frsize: status.blockSize,
      f_flags: S.ST_VALID | (mount === undefined ? S.ST_RELATIME : statfsFlags(mount)),
      spare: STATFS_SPARE
    })
  )
}

const statfsFlags = ({ filesystem, flags, refusesWrites }: Mount): number =>
  (refusesWrites ? S.ST_RDONLY : 0) |
  // these have the same value in mount(2)
  (flags & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)) |
  (filesystem.flags & (MS_SYNCHRONOUS | MS_MANDLOCK)) |
  ((flags & MS_RELATIME) === 0 ? 0 : S.ST_RELATIME) |
  ((flags & MS_NOSYMFOLLOW) === 0 ? 0 : S.ST_NOSYMFOLLOW)

const STATFS_SPARE = new Uint8Array(32)

const statfsBuffer: Argument<number> = struct("buf", "statfs", "out")

export const statfs = declare("statfs", [string("path"), statfsBuffer], (task, path, buffer) =>
  copyOutStatfs(task, buffer, fileTarget(task, AT_FDCWD, path, { follow: true }))
)

export const fstatfs = declare("fstatfs", [fd("fd"), statfsBuffer], (task, fdNumber, buffer) =>
  copyOutStatfs(task, buffer, task.fds.get(fdNumber) ?? -EBADF)
)

export const sysStat: ReadonlyArray<Syscall> = [
  stat,
  lstat,
  fstat,
  newfstatat,
  statx,
  access,
  faccessat,
  faccessat2,
  readlink,
  readlinkat,
  statfs,
  fstatfs
]
