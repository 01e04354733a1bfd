/**
 * Constants and structures of socket(7), unix(7), send(2), recv(2), x86-64 values.
 */
import { O_CLOEXEC, O_NONBLOCK } from "./OpenFlags.ts"
import * as Struct from "./Struct.ts"

export const AF_UNSPEC = 0
export const AF_UNIX = 1

export const AF_NAMES = [
  ["AF_UNSPEC", AF_UNSPEC],
  ["AF_UNIX", AF_UNIX],
  ["AF_INET", 2],
  ["AF_INET6", 10],
  ["AF_NETLINK", 16],
  ["AF_PACKET", 17],
  ["AF_VSOCK", 40]
] as const

/** Families from here on do not exist: EAFNOSUPPORT as well, but socketpair(2) of lower ones too. */
export const AF_MAX = 46

export const SOCK_STREAM = 1
export const SOCK_DGRAM = 2
export const SOCK_RAW = 3
export const SOCK_SEQPACKET = 5
export const SOCK_TYPE_MASK = 0xf
/** Types from here on do not exist, whatever the family. */
export const SOCK_MAX = 11
export const SOCK_NONBLOCK = O_NONBLOCK
export const SOCK_CLOEXEC = O_CLOEXEC

/** The type with its flags. Types are numbers, not bits: the larger come first. */
export const SOCK_NAMES = [
  ["SOCK_SEQPACKET", SOCK_SEQPACKET],
  ["SOCK_RAW", SOCK_RAW],
  ["SOCK_DGRAM", SOCK_DGRAM],
  ["SOCK_STREAM", SOCK_STREAM],
  ["SOCK_NONBLOCK", SOCK_NONBLOCK],
  ["SOCK_CLOEXEC", SOCK_CLOEXEC]
] as const

export const MSG_OOB = 0x1
export const MSG_PEEK = 0x2
export const MSG_CTRUNC = 0x8
export const MSG_TRUNC = 0x20
export const MSG_DONTWAIT = 0x40
export const MSG_EOR = 0x80
export const MSG_WAITALL = 0x100
export const MSG_NOSIGNAL = 0x4000
export const MSG_WAITFORONE = 0x10000
export const MSG_CMSG_CLOEXEC = 0x4000_0000

export const MSG_NAMES = [
  ["MSG_OOB", MSG_OOB],
  ["MSG_PEEK", MSG_PEEK],
  ["MSG_CTRUNC", MSG_CTRUNC],
  ["MSG_TRUNC", MSG_TRUNC],
  ["MSG_DONTWAIT", MSG_DONTWAIT],
  ["MSG_EOR", MSG_EOR],
  ["MSG_WAITALL", MSG_WAITALL],
  ["MSG_NOSIGNAL", MSG_NOSIGNAL],
  ["MSG_WAITFORONE", MSG_WAITFORONE],
  ["MSG_CMSG_CLOEXEC", MSG_CMSG_CLOEXEC]
] as const

export const SHUT_RD = 0
export const SHUT_WR = 1
export const SHUT_RDWR = 2

export const SHUT_NAMES = [
  ["SHUT_RD", SHUT_RD],
  ["SHUT_WR", SHUT_WR],
  ["SHUT_RDWR", SHUT_RDWR]
] as const

export const SOL_SOCKET = 1

export const SO_DEBUG = 1
export const SO_REUSEADDR = 2
export const SO_TYPE = 3
export const SO_ERROR = 4
export const SO_DONTROUTE = 5
export const SO_BROADCAST = 6
export const SO_SNDBUF = 7
export const SO_RCVBUF = 8
export const SO_KEEPALIVE = 9
export const SO_OOBINLINE = 10
export const SO_PRIORITY = 12
export const SO_LINGER = 13
export const SO_BSDCOMPAT = 14
export const SO_REUSEPORT = 15
export const SO_PASSCRED = 16
export const SO_PEERCRED = 17
export const SO_RCVLOWAT = 18
export const SO_SNDLOWAT = 19
export const SO_RCVTIMEO = 20
export const SO_SNDTIMEO = 21
/** Also the types of the control messages that they ask for. */
export const SO_TIMESTAMP = 29
export const SO_TIMESTAMPNS = 35
export const SO_PEERPIDFD = 77
export const SO_ACCEPTCONN = 30
export const SO_PROTOCOL = 38
export const SO_DOMAIN = 39

export const SO_NAMES = [
  ["SO_DEBUG", SO_DEBUG],
  ["SO_REUSEADDR", SO_REUSEADDR],
  ["SO_TYPE", SO_TYPE],
  ["SO_ERROR", SO_ERROR],
  ["SO_DONTROUTE", SO_DONTROUTE],
  ["SO_BROADCAST", SO_BROADCAST],
  ["SO_SNDBUF", SO_SNDBUF],
  ["SO_RCVBUF", SO_RCVBUF],
  ["SO_KEEPALIVE", SO_KEEPALIVE],
  ["SO_OOBINLINE", SO_OOBINLINE],
  ["SO_PRIORITY", SO_PRIORITY],
  ["SO_LINGER", SO_LINGER],
  ["SO_BSDCOMPAT", SO_BSDCOMPAT],
  ["SO_REUSEPORT", SO_REUSEPORT],
  ["SO_PASSCRED", SO_PASSCRED],
  ["SO_PEERCRED", SO_PEERCRED],
  ["SO_RCVLOWAT", SO_RCVLOWAT],
  ["SO_SNDLOWAT", SO_SNDLOWAT],
  ["SO_RCVTIMEO", SO_RCVTIMEO],
  ["SO_SNDTIMEO", SO_SNDTIMEO],
  ["SO_TIMESTAMP", SO_TIMESTAMP],
  ["SO_TIMESTAMPNS", SO_TIMESTAMPNS],
  ["SO_PEERPIDFD", SO_PEERPIDFD],
  ["SO_ACCEPTCONN", SO_ACCEPTCONN],
  ["SO_PROTOCOL", SO_PROTOCOL],
  ["SO_DOMAIN", SO_DOMAIN]
] as const

export const SOL_NAMES = [["SOL_SOCKET", SOL_SOCKET]] as const

export const SCM_RIGHTS = 1
export const SCM_CREDENTIALS = 2
/** Most descriptors in one message. */
export const SCM_MAX_FD = 253

/** Bytes of `sockaddr_un`, and of the family in front of the path. */
export const SOCKADDR_UN_SIZE = 110
export const SUN_PATH_OFFSET = 2
/** Bytes of `sockaddr_storage`: no address is longer. */
export const SOCKADDR_MAX = 128

/** `struct ucred`, 12 bytes. */
export const Ucred = Struct.make("ucred", { pid: Struct.i32, uid: Struct.u32, gid: Struct.u32 })
export type Ucred = Struct.Type<typeof Ucred>

/** `struct msghdr`, 56 bytes. */
export const MsgHdr = Struct.make("msghdr", {
  msg_name: Struct.ulong,
  msg_namelen: Struct.i32,
  msg_iov: Struct.ulong,
  msg_iovlen: Struct.ulong,
  msg_control: Struct.ulong,
  msg_controllen: Struct.ulong,
  msg_flags: Struct.i32
})
export type MsgHdr = Struct.Type<typeof MsgHdr>

/** `struct cmsghdr`, 16 bytes, in front of each control message; each is aligned to 8. */
export const CmsgHdr = Struct.make("cmsghdr", { cmsg_len: Struct.ulong, cmsg_level: Struct.i32, cmsg_type: Struct.i32 })

/** `struct linger`, 8 bytes. */
export const Linger = Struct.make("linger", { l_onoff: Struct.i32, l_linger: Struct.i32 })

/** Bytes of `struct mmsghdr`: a msghdr, the length sent or received, padding. */
export const MMSGHDR_SIZE = 64
