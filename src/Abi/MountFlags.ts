/**
 * mount(2), umount2(2): flags, x86-64 values.
 */

import { AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW } from "./At.ts"
import { O_CLOEXEC } from "./OpenFlags.ts"

type Names = ReadonlyArray<readonly [name: string, value: number]>

export const MS_RDONLY = 0x1
export const MS_NOSUID = 0x2
export const MS_NODEV = 0x4
export const MS_NOEXEC = 0x8
export const MS_SYNCHRONOUS = 0x10
export const MS_REMOUNT = 0x20
export const MS_MANDLOCK = 0x40
export const MS_DIRSYNC = 0x80
export const MS_NOSYMFOLLOW = 0x100
export const MS_NOATIME = 0x400
export const MS_NODIRATIME = 0x800
export const MS_BIND = 0x1000
export const MS_MOVE = 0x2000
export const MS_REC = 0x4000
export const MS_SILENT = 0x8000
export const MS_POSIXACL = 0x1_0000
export const MS_UNBINDABLE = 0x2_0000
export const MS_PRIVATE = 0x4_0000
export const MS_SLAVE = 0x8_0000
export const MS_SHARED = 0x10_0000
export const MS_RELATIME = 0x20_0000
export const MS_KERNMOUNT = 0x40_0000
export const MS_I_VERSION = 0x80_0000
export const MS_STRICTATIME = 0x100_0000
export const MS_LAZYTIME = 0x200_0000
export const MS_ACTIVE = 0x4000_0000
/** Only the kernel mounts it. */
export const MS_NOUSER = 0x8000_0000

/** Once proof that the other flags meant something; without effect for long. */
export const MS_MGC_VAL = 0xc0ed_0000
export const MS_MGC_MSK = 0xffff_0000

/** What a mount itself may be told, not its filesystem. MS_STRICTATIME is kept as neither NOATIME nor RELATIME. */
export const MOUNT_FLAGS = [
  MS_RDONLY,
  MS_NOSUID,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOATIME,
  MS_NODIRATIME,
  MS_RELATIME,
  MS_NOSYMFOLLOW
].reduce((all, flag) => all | flag, 0)

/** What a filesystem may be told, and keeps. */
export const FILESYSTEM_FLAGS = MS_RDONLY | MS_SYNCHRONOUS | MS_MANDLOCK | MS_DIRSYNC | MS_LAZYTIME

export const ACCESS_TIME_FLAGS = MS_NOATIME | MS_NODIRATIME | MS_RELATIME
export const PROPAGATION_FLAGS = MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE

export const MS_NAMES: Names = Object.entries({
  MS_RDONLY,
  MS_NOSUID,
  MS_NODEV,
  MS_NOEXEC,
  MS_SYNCHRONOUS,
  MS_REMOUNT,
  MS_MANDLOCK,
  MS_DIRSYNC,
  MS_NOSYMFOLLOW,
  MS_NOATIME,
  MS_NODIRATIME,
  MS_BIND,
  MS_MOVE,
  MS_REC,
  MS_SILENT,
  MS_POSIXACL,
  MS_UNBINDABLE,
  MS_PRIVATE,
  MS_SLAVE,
  MS_SHARED,
  MS_RELATIME,
  MS_KERNMOUNT,
  MS_I_VERSION,
  MS_STRICTATIME,
  MS_LAZYTIME,
  MS_ACTIVE,
  MS_NOUSER
})

export const MNT_FORCE = 0x1
export const MNT_DETACH = 0x2
export const MNT_EXPIRE = 0x4
export const UMOUNT_NOFOLLOW = 0x8

export const UMOUNT_NAMES: Names = Object.entries({
  MNT_FORCE,
  MNT_DETACH,
  MNT_EXPIRE,
  UMOUNT_NOFOLLOW
})

// ---- mounts by descriptors: <linux/mount.h>

export const OPEN_TREE_CLONE = 0x1

export const OPEN_TREE_NAMES: Names = Object.entries({
  OPEN_TREE_CLONE,
  AT_SYMLINK_NOFOLLOW,
  AT_NO_AUTOMOUNT,
  AT_EMPTY_PATH,
  AT_RECURSIVE,
  OPEN_TREE_CLOEXEC: O_CLOEXEC
})

export const MOVE_MOUNT_F_SYMLINKS = 0x1
export const MOVE_MOUNT_F_AUTOMOUNTS = 0x2
export const MOVE_MOUNT_F_EMPTY_PATH = 0x4
export const MOVE_MOUNT_T_SYMLINKS = 0x10
export const MOVE_MOUNT_T_AUTOMOUNTS = 0x20
export const MOVE_MOUNT_T_EMPTY_PATH = 0x40
export const MOVE_MOUNT_SET_GROUP = 0x100
export const MOVE_MOUNT_BENEATH = 0x200

export const MOVE_MOUNT_NAMES: Names = Object.entries({
  MOVE_MOUNT_F_SYMLINKS,
  MOVE_MOUNT_F_AUTOMOUNTS,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
  MOVE_MOUNT_T_AUTOMOUNTS,
  MOVE_MOUNT_T_EMPTY_PATH,
  MOVE_MOUNT_SET_GROUP,
  MOVE_MOUNT_BENEATH
})

export const MOVE_MOUNT_FLAGS = MOVE_MOUNT_NAMES.reduce((all, [, flag]) => all | flag, 0)

export const FSOPEN_CLOEXEC = 0x1
export const FSOPEN_NAMES: Names = Object.entries({ FSOPEN_CLOEXEC })

export const FSPICK_CLOEXEC = 0x1
export const FSPICK_SYMLINK_NOFOLLOW = 0x2
export const FSPICK_NO_AUTOMOUNT = 0x4
export const FSPICK_EMPTY_PATH = 0x8

export const FSPICK_NAMES: Names = Object.entries({
  FSPICK_CLOEXEC,
  FSPICK_SYMLINK_NOFOLLOW,
  FSPICK_NO_AUTOMOUNT,
  FSPICK_EMPTY_PATH
})

export const FSCONFIG_SET_FLAG = 0
export const FSCONFIG_SET_STRING = 1
export const FSCONFIG_SET_BINARY = 2
export const FSCONFIG_SET_PATH = 3
export const FSCONFIG_SET_PATH_EMPTY = 4
export const FSCONFIG_SET_FD = 5
export const FSCONFIG_CMD_CREATE = 6
export const FSCONFIG_CMD_RECONFIGURE = 7
export const FSCONFIG_CMD_CREATE_EXCL = 8

export const FSCONFIG_NAMES: Names = Object.entries({
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSCONFIG_SET_BINARY,
  FSCONFIG_SET_PATH,
  FSCONFIG_SET_PATH_EMPTY,
  FSCONFIG_SET_FD,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_CMD_CREATE_EXCL
})

export const FSMOUNT_CLOEXEC = 0x1
export const FSMOUNT_NAMES: Names = Object.entries({ FSMOUNT_CLOEXEC })

export const MOUNT_ATTR_RDONLY = 0x1
export const MOUNT_ATTR_NOSUID = 0x2
export const MOUNT_ATTR_NODEV = 0x4
export const MOUNT_ATTR_NOEXEC = 0x8
/** The bits of the setting of access times: RELATIME is none of them. */
export const MOUNT_ATTR__ATIME = 0x70
export const MOUNT_ATTR_NOATIME = 0x10
export const MOUNT_ATTR_STRICTATIME = 0x20
export const MOUNT_ATTR_NODIRATIME = 0x80
export const MOUNT_ATTR_NOSYMFOLLOW = 0x20_0000

/** Each MOUNT_ATTR_* that is one bit, and its MS_* bit. */
export const MOUNT_ATTR_BITS = [
  [MOUNT_ATTR_RDONLY, MS_RDONLY],
  [MOUNT_ATTR_NOSUID, MS_NOSUID],
  [MOUNT_ATTR_NODEV, MS_NODEV],
  [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  [MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
  [MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW]
] as const

export const MOUNT_ATTR_FLAGS = MOUNT_ATTR_BITS.reduce((all, [bit]) => all | bit, MOUNT_ATTR__ATIME)

export const MOUNT_ATTR_NAMES: Names = Object.entries({
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOSYMFOLLOW
})
