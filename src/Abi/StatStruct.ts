/**
 * `struct stat`, `struct statx`, `struct statfs` and directory entries as x86-64 Linux lays them out.
 */
import * as Struct from "./Struct.ts"

/** `struct stat`, 144 bytes. */
export const StatStruct = Struct.make("stat", {
  st_dev: Struct.ulong,
  st_ino: Struct.ulong,
  st_nlink: Struct.ulong,
  st_mode: Struct.u32,
  st_uid: Struct.u32,
  st_gid: Struct.u32,
  pad0: Struct.u32,
  st_rdev: Struct.ulong,
  st_size: Struct.long,
  st_blksize: Struct.long,
  st_blocks: Struct.long,
  st_atime: Struct.long,
  st_atime_nsec: Struct.ulong,
  st_mtime: Struct.long,
  st_mtime_nsec: Struct.ulong,
  st_ctime: Struct.long,
  st_ctime_nsec: Struct.ulong,
  unused0: Struct.ulong,
  unused1: Struct.ulong,
  unused2: Struct.ulong
})

/** `struct statx_timestamp`, 16 bytes. */
export const StatxTimestamp = Struct.make("statx_timestamp", {
  tv_sec: Struct.long,
  tv_nsec: Struct.u32,
  pad: Struct.u32
})

/** `struct statx`, 256 bytes. */
export const StatxStruct = Struct.make("statx", {
  stx_mask: Struct.u32,
  stx_blksize: Struct.u32,
  stx_attributes: Struct.ulong,
  stx_nlink: Struct.u32,
  stx_uid: Struct.u32,
  stx_gid: Struct.u32,
  stx_mode: Struct.u16,
  pad0: Struct.u16,
  stx_ino: Struct.ulong,
  stx_size: Struct.ulong,
  stx_blocks: Struct.ulong,
  stx_attributes_mask: Struct.ulong,
  stx_atime: StatxTimestamp,
  stx_btime: StatxTimestamp,
  stx_ctime: StatxTimestamp,
  stx_mtime: StatxTimestamp,
  stx_rdev_major: Struct.u32,
  stx_rdev_minor: Struct.u32,
  stx_dev_major: Struct.u32,
  stx_dev_minor: Struct.u32,
  stx_mnt_id: Struct.ulong,
  stx_dio_mem_align: Struct.u32,
  stx_dio_offset_align: Struct.u32,
  stx_subvol: Struct.ulong,
  spare: Struct.bytes(88)
})

export const STATX_BASIC_STATS = 0x7ff
export const STATX_BTIME = 0x800
export const STATX_MNT_ID = 0x1000
/** Reserved for future use: EINVAL. */
export const STATX_RESERVED = 0x8000_0000
export const STATX_ATTR_MOUNT_ROOT = 0x2000

/** `struct statfs`, 120 bytes. */
export const StatfsStruct = Struct.make("statfs", {
  f_type: Struct.ulong,
  f_bsize: Struct.long,
  f_blocks: Struct.ulong,
  f_bfree: Struct.ulong,
  f_bavail: Struct.ulong,
  f_files: Struct.ulong,
  f_ffree: Struct.ulong,
  f_fsid: Struct.ulong,
  f_namelen: Struct.long,
  f_frsize: Struct.long,
  f_flags: Struct.ulong,
  spare: Struct.bytes(32)
})

/** f_flags of statfs(2). */
export const ST_RDONLY = 1
export const ST_VALID = 0x20
export const ST_RELATIME = 0x1000
export const ST_NOSYMFOLLOW = 0x2000

/** Offsets in `struct linux_dirent64`; the name follows, NUL-terminated, and records are multiples of 8 bytes. */
export const DIRENT64 = { ino: 0, off: 8, reclen: 16, type: 18, name: 19 } as const

/** Offsets in `struct linux_dirent` of getdents(2); the type is the record's last byte. */
export const DIRENT = { ino: 0, off: 8, reclen: 16, name: 18 } as const

/** `struct open_how` of openat2(2), 24 bytes. */
export const OpenHow = Struct.make("open_how", { flags: Struct.u64, mode: Struct.u64, resolve: Struct.u64 })
