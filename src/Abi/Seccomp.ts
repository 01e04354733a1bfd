/**
 * seccomp(2) and seccomp_unotify(2), linux/seccomp.h.
 */
import * as Struct from "./Struct.ts"

// Modes, as prctl(PR_GET_SECCOMP) and /proc/[pid]/status say them.
export const SECCOMP_MODE_DISABLED = 0
export const SECCOMP_MODE_STRICT = 1
export const SECCOMP_MODE_FILTER = 2

export const SECCOMP_SET_MODE_STRICT = 0
export const SECCOMP_SET_MODE_FILTER = 1
export const SECCOMP_GET_ACTION_AVAIL = 2
export const SECCOMP_GET_NOTIF_SIZES = 3

export const SECCOMP_OPERATION_NAMES = Object.entries({
  SECCOMP_SET_MODE_STRICT,
  SECCOMP_SET_MODE_FILTER,
  SECCOMP_GET_ACTION_AVAIL,
  SECCOMP_GET_NOTIF_SIZES
})

export const SECCOMP_FILTER_FLAG_TSYNC = 1
export const SECCOMP_FILTER_FLAG_LOG = 2
export const SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
export const SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 16
export const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32

export const SECCOMP_FLAG_NAMES = Object.entries({
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
})

/** All of them. */
export const SECCOMP_FILTER_FLAG_MASK = 63

// What a filter returns: an action in the upper half, data in the lower. As signed words, the smaller one is stricter.
export const SECCOMP_RET_KILL_PROCESS = -0x8000_0000
export const SECCOMP_RET_KILL_THREAD = 0
export const SECCOMP_RET_TRAP = 0x0003_0000
export const SECCOMP_RET_ERRNO = 0x0005_0000
export const SECCOMP_RET_USER_NOTIF = 0x7fc0_0000
export const SECCOMP_RET_TRACE = 0x7ff0_0000
export const SECCOMP_RET_LOG = 0x7ffc_0000
export const SECCOMP_RET_ALLOW = 0x7fff_0000

export const SECCOMP_RET_ACTION_FULL = -0x1_0000
export const SECCOMP_RET_DATA = 0xffff

/** The actions and their names in /proc/sys/kernel/seccomp, in the order of that directory's files. */
export const SECCOMP_ACTIONS: ReadonlyArray<readonly [name: string, action: number]> = [
  ["kill_process", SECCOMP_RET_KILL_PROCESS],
  ["kill_thread", SECCOMP_RET_KILL_THREAD],
  ["trap", SECCOMP_RET_TRAP],
  ["errno", SECCOMP_RET_ERRNO],
  ["user_notif", SECCOMP_RET_USER_NOTIF],
  ["trace", SECCOMP_RET_TRACE],
  ["log", SECCOMP_RET_LOG],
  ["allow", SECCOMP_RET_ALLOW]
]

/** MAX_ERRNO: what SECCOMP_RET_ERRNO returns at most. */
export const MAX_ERRNO = 4095

/** linux/audit.h */
export const AUDIT_ARCH_X86_64 = 0xc000_003e
export const AUDIT_ARCH_I386 = 0x4000_0003

/** si_code of a SIGSYS from a filter. */
export const SYS_SECCOMP = 1

/** `struct seccomp_data`: what a filter looks at. */
export const SeccompData = Struct.make("seccomp_data", {
  nr: Struct.i32,
  arch: Struct.u32,
  instruction_pointer: Struct.u64,
  args: Struct.bytes(48)
})

/** `struct seccomp_notif`: a call that waits for somebody's answer. */
export const SeccompNotif = Struct.make("seccomp_notif", {
  id: Struct.u64,
  pid: Struct.u32,
  flags: Struct.u32,
  data: Struct.bytes(SeccompData.size)
})

/** `struct seccomp_notif_resp`: the answer. */
export const SeccompNotifResp = Struct.make("seccomp_notif_resp", {
  id: Struct.u64,
  val: Struct.i64,
  error: Struct.i32,
  flags: Struct.u32
})

/** `struct seccomp_notif_addfd`: a descriptor for whoever waits. */
export const SeccompNotifAddfd = Struct.make("seccomp_notif_addfd", {
  id: Struct.u64,
  flags: Struct.u32,
  srcfd: Struct.u32,
  newfd: Struct.u32,
  newfd_flags: Struct.u32
})

/** `struct seccomp_notif_sizes` */
export const SeccompNotifSizes = Struct.make("seccomp_notif_sizes", {
  seccomp_notif: Struct.u16,
  seccomp_notif_resp: Struct.u16,
  seccomp_data: Struct.u16
})

export const SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1

export const SECCOMP_ADDFD_FLAG_SETFD = 1
export const SECCOMP_ADDFD_FLAG_SEND = 2

// ioctl(2) requests of a listener.
export const SECCOMP_IOCTL_NOTIF_RECV = 0xc050_2100
export const SECCOMP_IOCTL_NOTIF_SEND = 0xc018_2101
export const SECCOMP_IOCTL_NOTIF_ID_VALID = 0x4008_2102
/** As it was before its direction was put right. */
export const SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR = 0x8008_2102
export const SECCOMP_IOCTL_NOTIF_ADDFD = 0x4018_2103
export const SECCOMP_IOCTL_NOTIF_SET_FLAGS = 0x4008_2104

/** SECCOMP_IOCTL_NOTIF_SET_FLAGS: wake the other side on this processor. */
export const SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP = 1
