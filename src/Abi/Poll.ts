/**
 * Readiness bits and structures of poll(2) and select(2).
 */
import * as Struct from "./Struct.ts"

export const POLLIN = 0x1
export const POLLPRI = 0x2
export const POLLOUT = 0x4
export const POLLERR = 0x8
export const POLLHUP = 0x10
export const POLLNVAL = 0x20
export const POLLRDNORM = 0x40
export const POLLRDBAND = 0x80
export const POLLWRNORM = 0x100
export const POLLWRBAND = 0x200
export const POLLMSG = 0x400
export const POLLRDHUP = 0x2000

export const POLL_NAMES = [
  ["POLLIN", POLLIN],
  ["POLLPRI", POLLPRI],
  ["POLLOUT", POLLOUT],
  ["POLLERR", POLLERR],
  ["POLLHUP", POLLHUP],
  ["POLLNVAL", POLLNVAL],
  ["POLLRDNORM", POLLRDNORM],
  ["POLLRDBAND", POLLRDBAND],
  ["POLLWRNORM", POLLWRNORM],
  ["POLLWRBAND", POLLWRBAND],
  ["POLLMSG", POLLMSG],
  ["POLLRDHUP", POLLRDHUP]
] as const

/** What "can read" and "can write" look like for everything but sockets' urgent data. */
export const READABLE = POLLIN | POLLRDNORM
export const WRITABLE = POLLOUT | POLLWRNORM

/** `struct pollfd`, 8 bytes. */
export const PollFd = Struct.make("pollfd", {
  fd: Struct.i32,
  /** Asked for. */
  events: Struct.u16,
  /** Found. */
  revents: Struct.u16
})
export type PollFd = Struct.Type<typeof PollFd>

/** `fd_set` holds this many descriptors in glibc; the kernel itself takes any number. */
export const FD_SETSIZE = 1024
