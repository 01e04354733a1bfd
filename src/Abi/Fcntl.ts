/**
 * Constants and structures of fcntl(2), flock(2), dup3(2), pipe2(2), preadv2(2) and splice(2), x86-64 values.
 */
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from "./OpenFlags.ts"
import * as Struct from "./Struct.ts"

export const F_DUPFD = 0
export const F_GETFD = 1
export const F_SETFD = 2
export const F_GETFL = 3
export const F_SETFL = 4
export const F_GETLK = 5
export const F_SETLK = 6
export const F_SETLKW = 7
export const F_SETOWN = 8
export const F_GETOWN = 9
export const F_SETSIG = 10
export const F_GETSIG = 11
export const F_SETOWN_EX = 15
export const F_GETOWN_EX = 16
export const F_GETOWNER_UIDS = 17
export const F_OFD_GETLK = 36
export const F_OFD_SETLK = 37
export const F_OFD_SETLKW = 38
export const F_SETLEASE = 1024
export const F_GETLEASE = 1025
export const F_NOTIFY = 1026
export const DN_ACCESS = 0x1
export const DN_MODIFY = 0x2
export const DN_CREATE = 0x4
export const DN_DELETE = 0x8
export const DN_RENAME = 0x10
export const DN_ATTRIB = 0x20
/** F_NOTIFY: go on after the first event. */
export const DN_MULTISHOT = 0x8000_0000
export const F_DUPFD_QUERY = 1027
export const F_CREATED_QUERY = 1028
export const F_DUPFD_CLOEXEC = 1030
export const F_SETPIPE_SZ = 1031
export const F_GETPIPE_SZ = 1032
export const F_ADD_SEALS = 1033
export const F_GET_SEALS = 1034
export const F_GET_RW_HINT = 1035
export const F_SET_RW_HINT = 1036
/** The last of RWH_WRITE_LIFE_*: how long what is written will stay. */
export const RWH_WRITE_LIFE_EXTREME = 5

export const FCNTL_NAMES = [
  ["F_DUPFD", F_DUPFD],
  ["F_GETFD", F_GETFD],
  ["F_SETFD", F_SETFD],
  ["F_GETFL", F_GETFL],
  ["F_SETFL", F_SETFL],
  ["F_GETLK", F_GETLK],
  ["F_SETLK", F_SETLK],
  ["F_SETLKW", F_SETLKW],
  ["F_SETOWN", F_SETOWN],
  ["F_GETOWN", F_GETOWN],
  ["F_SETSIG", F_SETSIG],
  ["F_GETSIG", F_GETSIG],
  ["F_SETOWN_EX", F_SETOWN_EX],
  ["F_GETOWN_EX", F_GETOWN_EX],
  ["F_GETOWNER_UIDS", F_GETOWNER_UIDS],
  ["F_OFD_GETLK", F_OFD_GETLK],
  ["F_OFD_SETLK", F_OFD_SETLK],
  ["F_OFD_SETLKW", F_OFD_SETLKW],
  ["F_SETLEASE", F_SETLEASE],
  ["F_GETLEASE", F_GETLEASE],
  ["F_NOTIFY", F_NOTIFY],
  ["F_DUPFD_QUERY", F_DUPFD_QUERY],
  ["F_DUPFD_CLOEXEC", F_DUPFD_CLOEXEC],
  ["F_SETPIPE_SZ", F_SETPIPE_SZ],
  ["F_GETPIPE_SZ", F_GETPIPE_SZ],
  ["F_ADD_SEALS", F_ADD_SEALS],
  ["F_GET_SEALS", F_GET_SEALS],
  ["F_CREATED_QUERY", F_CREATED_QUERY],
  ["F_GET_RW_HINT", F_GET_RW_HINT],
  ["F_SET_RW_HINT", F_SET_RW_HINT]
] as const

export const FD_CLOEXEC = 1

export const F_RDLCK = 0
export const F_WRLCK = 1
export const F_UNLCK = 2

/** `struct flock`, 32 bytes. */
export const Flock = Struct.make("flock", {
  l_type: Struct.i16,
  l_whence: Struct.i16,
  l_start: Struct.i64,
  l_len: Struct.i64,
  l_pid: Struct.i32
})
export type Flock = Struct.Type<typeof Flock>

/** `struct f_owner_ex`, 8 bytes. */
export const FOwnerEx = Struct.make("f_owner_ex", { type: Struct.i32, pid: Struct.i32 })
export const F_OWNER_TID = 0
export const F_OWNER_PID = 1
export const F_OWNER_PGRP = 2

export const LOCK_SH = 1
export const LOCK_EX = 2
export const LOCK_NB = 4
export const LOCK_UN = 8
/** Was once a lock that binds; the call does nothing now. */
export const LOCK_MAND = 32

export const LOCK_NAMES = [
  ["LOCK_SH", LOCK_SH],
  ["LOCK_EX", LOCK_EX],
  ["LOCK_NB", LOCK_NB],
  ["LOCK_UN", LOCK_UN]
] as const

export const DUP3_NAMES = [["O_CLOEXEC", O_CLOEXEC]] as const

export const PIPE2_NAMES = [
  ["O_NONBLOCK", O_NONBLOCK],
  ["O_DIRECT", O_DIRECT],
  ["O_CLOEXEC", O_CLOEXEC]
] as const

export const CLOSE_RANGE_UNSHARE = 2
export const CLOSE_RANGE_CLOEXEC = 4

export const CLOSE_RANGE_NAMES = [
  ["CLOSE_RANGE_UNSHARE", CLOSE_RANGE_UNSHARE],
  ["CLOSE_RANGE_CLOEXEC", CLOSE_RANGE_CLOEXEC]
] as const

export const RWF_HIPRI = 0x1
export const RWF_DSYNC = 0x2
export const RWF_SYNC = 0x4
export const RWF_NOWAIT = 0x8
export const RWF_APPEND = 0x10
export const RWF_NOAPPEND = 0x20
export const RWF_DONTCACHE = 0x80
export const RWF_NOSIGNAL = 0x100

export const RWF_NAMES = [
  ["RWF_HIPRI", RWF_HIPRI],
  ["RWF_DSYNC", RWF_DSYNC],
  ["RWF_SYNC", RWF_SYNC],
  ["RWF_NOWAIT", RWF_NOWAIT],
  ["RWF_APPEND", RWF_APPEND],
  ["RWF_NOAPPEND", RWF_NOAPPEND],
  ["RWF_DONTCACHE", RWF_DONTCACHE],
  ["RWF_NOSIGNAL", RWF_NOSIGNAL]
] as const

export const SPLICE_F_MOVE = 1
export const SPLICE_F_NONBLOCK = 2
export const SPLICE_F_MORE = 4
export const SPLICE_F_GIFT = 8

export const SPLICE_NAMES = [
  ["SPLICE_F_MOVE", SPLICE_F_MOVE],
  ["SPLICE_F_NONBLOCK", SPLICE_F_NONBLOCK],
  ["SPLICE_F_MORE", SPLICE_F_MORE],
  ["SPLICE_F_GIFT", SPLICE_F_GIFT]
] as const

/** Most bytes one read or write moves: INT_MAX rounded down to a page. */
export const MAX_RW_COUNT = 0x7fff_f000
/** Most buffers one readv or writev takes. */
export const UIO_MAXIOV = 1024
