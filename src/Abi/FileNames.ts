/**
 * Names of flag bits and values of file system calls, for strace output.
 */
import * as At from "./At.ts"

type Names = ReadonlyArray<readonly [name: string, value: number]>

const pick = <T extends Record<string, number>>(from: T, names: ReadonlyArray<keyof T & string>): Names =>
  names.map((name) => [name, from[name]!] as const)

export const AT_NAMES: Names = pick({ ...At }, [
  "AT_SYMLINK_NOFOLLOW",
  "AT_SYMLINK_FOLLOW",
  "AT_NO_AUTOMOUNT",
  "AT_EMPTY_PATH",
  "AT_STATX_FORCE_SYNC",
  "AT_STATX_DONT_SYNC"
])

export const FACCESSAT_NAMES: Names = pick({ ...At }, ["AT_EACCESS", "AT_SYMLINK_NOFOLLOW", "AT_EMPTY_PATH"])

export const UNLINKAT_NAMES: Names = pick({ ...At }, ["AT_REMOVEDIR"])

export const ACCESS_NAMES: Names = pick({ ...At }, ["R_OK", "W_OK", "X_OK"])

export const RENAME_NAMES: Names = pick({ ...At }, ["RENAME_NOREPLACE", "RENAME_EXCHANGE", "RENAME_WHITEOUT"])

export const FALLOC_NAMES: Names = pick({ ...At }, [
  "FALLOC_FL_KEEP_SIZE",
  "FALLOC_FL_PUNCH_HOLE",
  "FALLOC_FL_NO_HIDE_STALE",
  "FALLOC_FL_COLLAPSE_RANGE",
  "FALLOC_FL_ZERO_RANGE",
  "FALLOC_FL_INSERT_RANGE",
  "FALLOC_FL_UNSHARE_RANGE"
])

export const STATX_NAMES: Names = [
  ["STATX_ALL", 0xfff],
  ["STATX_BASIC_STATS", 0x7ff],
  ["STATX_TYPE", 0x1],
  ["STATX_MODE", 0x2],
  ["STATX_NLINK", 0x4],
  ["STATX_UID", 0x8],
  ["STATX_GID", 0x10],
  ["STATX_ATIME", 0x20],
  ["STATX_MTIME", 0x40],
  ["STATX_CTIME", 0x80],
  ["STATX_INO", 0x100],
  ["STATX_SIZE", 0x200],
  ["STATX_BLOCKS", 0x400],
  ["STATX_BTIME", 0x800],
  ["STATX_MNT_ID", 0x1000]
]

export const MFD_CLOEXEC = 0x1
export const MFD_ALLOW_SEALING = 0x2
export const MFD_HUGETLB = 0x4
export const MFD_NOEXEC_SEAL = 0x8
export const MFD_EXEC = 0x10

export const MEMFD_NAMES: Names = [
  ["MFD_CLOEXEC", MFD_CLOEXEC],
  ["MFD_ALLOW_SEALING", MFD_ALLOW_SEALING],
  ["MFD_HUGETLB", MFD_HUGETLB],
  ["MFD_NOEXEC_SEAL", MFD_NOEXEC_SEAL],
  ["MFD_EXEC", MFD_EXEC]
]

export const XATTR_NAMES: Names = [
  ["XATTR_CREATE", 1],
  ["XATTR_REPLACE", 2]
]
