/**
 * Constants of epoll(7), eventfd(2) and timerfd_create(2). The readiness bits are those of poll(2).
 *
 * `struct epoll_event` is packed on x86-64 (12 bytes: u32 events, u64 data), unlike every other struct.
 */
import { O_CLOEXEC, O_NONBLOCK } from "./OpenFlags.ts"
import { POLL_NAMES } from "./Poll.ts"

export const EPOLL_CLOEXEC = O_CLOEXEC
export const EPOLL_CTL_ADD = 1
export const EPOLL_CTL_DEL = 2
export const EPOLL_CTL_MOD = 3

export const EPOLLEXCLUSIVE = 1 << 28
export const EPOLLWAKEUP = 1 << 29
export const EPOLLONESHOT = 1 << 30
/** Bit 31: compare with `!== 0`. */
export const EPOLLET = 0x8000_0000

export const EPOLL_EVENT_SIZE = 12

export const EPOLL_CTL_NAMES = [
  ["EPOLL_CTL_ADD", EPOLL_CTL_ADD],
  ["EPOLL_CTL_DEL", EPOLL_CTL_DEL],
  ["EPOLL_CTL_MOD", EPOLL_CTL_MOD]
] as const

/** "EPOLLIN" … */
export const EPOLL_NAMES: ReadonlyArray<readonly [string, number]> = [
  ...POLL_NAMES.map(([name, value]) => [`E${name}`, value] as const),
  ["EPOLLEXCLUSIVE", EPOLLEXCLUSIVE],
  ["EPOLLWAKEUP", EPOLLWAKEUP],
  ["EPOLLONESHOT", EPOLLONESHOT],
  ["EPOLLET", EPOLLET]
]

export const EPOLL_CREATE_NAMES = [["EPOLL_CLOEXEC", EPOLL_CLOEXEC]] as const

export const EFD_SEMAPHORE = 1
export const EFD_CLOEXEC = O_CLOEXEC
export const EFD_NONBLOCK = O_NONBLOCK

export const EFD_NAMES = [
  ["EFD_SEMAPHORE", EFD_SEMAPHORE],
  ["EFD_CLOEXEC", EFD_CLOEXEC],
  ["EFD_NONBLOCK", EFD_NONBLOCK]
] as const

export const TFD_CLOEXEC = O_CLOEXEC
export const TFD_NONBLOCK = O_NONBLOCK
export const TFD_TIMER_ABSTIME = 1
export const TFD_TIMER_CANCEL_ON_SET = 2

export const TFD_NAMES = [
  ["TFD_CLOEXEC", TFD_CLOEXEC],
  ["TFD_NONBLOCK", TFD_NONBLOCK]
] as const

export const TFD_TIMER_NAMES = [
  ["TFD_TIMER_ABSTIME", TFD_TIMER_ABSTIME],
  ["TFD_TIMER_CANCEL_ON_SET", TFD_TIMER_CANCEL_ON_SET]
] as const
