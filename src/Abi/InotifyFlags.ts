/**
 * Constants and the event of inotify(7).
 */
import { O_CLOEXEC, O_NONBLOCK } from "./OpenFlags.ts"

export const IN_ACCESS = 0x1
export const IN_MODIFY = 0x2
export const IN_ATTRIB = 0x4
export const IN_CLOSE_WRITE = 0x8
export const IN_CLOSE_NOWRITE = 0x10
export const IN_OPEN = 0x20
export const IN_MOVED_FROM = 0x40
export const IN_MOVED_TO = 0x80
export const IN_CREATE = 0x100
export const IN_DELETE = 0x200
export const IN_DELETE_SELF = 0x400
export const IN_MOVE_SELF = 0x800
export const IN_ALL_EVENTS = 0xfff

export const IN_UNMOUNT = 0x2000
export const IN_Q_OVERFLOW = 0x4000
export const IN_IGNORED = 0x8000

export const IN_ONLYDIR = 0x0100_0000
export const IN_DONT_FOLLOW = 0x0200_0000
export const IN_EXCL_UNLINK = 0x0400_0000
export const IN_MASK_CREATE = 0x1000_0000
export const IN_MASK_ADD = 0x2000_0000
export const IN_ISDIR = 0x4000_0000
/** Bit 31: compare with `!== 0`. */
export const IN_ONESHOT = 0x8000_0000

/** What inotify_add_watch(2) takes. */
export const IN_VALID =
  IN_ALL_EVENTS |
  IN_UNMOUNT |
  IN_Q_OVERFLOW |
  IN_IGNORED |
  IN_ONLYDIR |
  IN_DONT_FOLLOW |
  IN_EXCL_UNLINK |
  IN_MASK_CREATE |
  IN_MASK_ADD |
  IN_ISDIR |
  IN_ONESHOT

export const IN_CLOEXEC = O_CLOEXEC
export const IN_NONBLOCK = O_NONBLOCK

/** sizeof(struct inotify_event): int wd; u32 mask, cookie, len; then the name, padded to this size again. */
export const INOTIFY_EVENT_SIZE = 16

export const INOTIFY_INIT_NAMES = [
  ["IN_CLOEXEC", IN_CLOEXEC],
  ["IN_NONBLOCK", IN_NONBLOCK]
] as const

/** In strace's order. */
export const INOTIFY_NAMES = [
  ["IN_ALL_EVENTS", IN_ALL_EVENTS],
  ["IN_ACCESS", IN_ACCESS],
  ["IN_MODIFY", IN_MODIFY],
  ["IN_ATTRIB", IN_ATTRIB],
  ["IN_CLOSE_WRITE", IN_CLOSE_WRITE],
  ["IN_CLOSE_NOWRITE", IN_CLOSE_NOWRITE],
  ["IN_OPEN", IN_OPEN],
  ["IN_MOVED_FROM", IN_MOVED_FROM],
  ["IN_MOVED_TO", IN_MOVED_TO],
  ["IN_CREATE", IN_CREATE],
  ["IN_DELETE", IN_DELETE],
  ["IN_DELETE_SELF", IN_DELETE_SELF],
  ["IN_MOVE_SELF", IN_MOVE_SELF],
  ["IN_UNMOUNT", IN_UNMOUNT],
  ["IN_Q_OVERFLOW", IN_Q_OVERFLOW],
  ["IN_IGNORED", IN_IGNORED],
  ["IN_ONLYDIR", IN_ONLYDIR],
  ["IN_DONT_FOLLOW", IN_DONT_FOLLOW],
  ["IN_EXCL_UNLINK", IN_EXCL_UNLINK],
  ["IN_MASK_CREATE", IN_MASK_CREATE],
  ["IN_MASK_ADD", IN_MASK_ADD],
  ["IN_ISDIR", IN_ISDIR],
  ["IN_ONESHOT", IN_ONESHOT]
] as const
