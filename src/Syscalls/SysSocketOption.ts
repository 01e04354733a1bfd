/**
 * getsockopt(2), setsockopt(2): level SOL_SOCKET.
 */
import { HostStdio } from "../Vfs/HostStdio.ts"
import { fileOf } from "./Blocking.ts"
import { EDOM, EFAULT, EINVAL, ENODATA, ENOPROTOOPT, EOPNOTSUPP } from "../Abi/Errno.ts"
import * as S from "../Abi/Socket.ts"
import { nanosOfTimeval, Timeval, timevalOfNanos } from "../Abi/Time.ts"
import { address, declare, fd, int, oneOf, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { UnixSocket } from "../Vfs/SocketUnix.ts"
import { credentialsFor, socketOf } from "./SocketAddress.ts"
import { openPidFd } from "./SysPidFd.ts"

/** net.core.wmem_max as most hosts have it: what an unprivileged program may ask for. */
const MAX_BUFFER = 212_992
const MIN_SEND_BUFFER = 4608
const MIN_RECEIVE_BUFFER = 2304

/** Options that are kept and given back, and change nothing for AF_UNIX. */
const KEPT = new Set([
  S.SO_DEBUG,
  S.SO_REUSEADDR,
  S.SO_DONTROUTE,
  S.SO_BROADCAST,
  S.SO_KEEPALIVE,
  S.SO_PRIORITY,
  S.SO_RCVLOWAT
])
/** Of those, the ones that are not just on or off. */
const NUMBERS = new Set([S.SO_PRIORITY, S.SO_RCVLOWAT])

const ofInt = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer)

const ofTimeout = (timeout: bigint | undefined): Uint8Array => Timeval.encode(timevalOfNanos(timeout ?? 0n))

/** The value of an option, or -ENOPROTOOPT. */
const optionOf = (task: Task, file: UnixSocket, option: number): Uint8Array | number => {
  switch (option) {
    case S.SO_TYPE:
      return ofInt(file.type)
    case S.SO_DOMAIN:
      return ofInt(S.AF_UNIX)
    case S.SO_PROTOCOL:
      return ofInt(0)
    case S.SO_ERROR:
      return ofInt(file.takeError())
    case S.SO_SNDBUF:
      return ofInt(file.sendBuffer)
    case S.SO_RCVBUF:
      return ofInt(file.receiveBuffer)
    case S.SO_PASSCRED:
      return ofInt(file.passCredentials ? 1 : 0)
    case S.SO_ACCEPTCONN:
      return ofInt(file.state === "Listening" ? 1 : 0)
    case S.SO_TIMESTAMP:
      return ofInt(file.timestamps === "micro" ? 1 : 0)
    case S.SO_TIMESTAMPNS:
      return ofInt(file.timestamps === "nano" ? 1 : 0)
    case S.SO_PEERPIDFD: {
      const group = task.system.taskSet.groups.get(file.peerCredentials.pid)
      const pidFd = group === undefined ? -ENODATA : openPidFd(task, group, 0)
      return pidFd < 0 ? pidFd : ofInt(pidFd)
    }
    case S.SO_PEERCRED:
      return S.Ucred.encode(credentialsFor(task, file.peerCredentials))
    case S.SO_RCVTIMEO:
      return ofTimeout(file.readTimeout)
    case S.SO_SNDTIMEO:
      return ofTimeout(file.writeTimeout)
    case S.SO_OOBINLINE:
      return ofInt(file.urgent.inline ? 1 : 0)
    case S.SO_SNDLOWAT:
      return ofInt(1)
    case S.SO_BSDCOMPAT:
    case S.SO_REUSEPORT:
      return ofInt(0)
    case S.SO_LINGER:
      return S.Linger.encode(file.linger)
    default:
      return KEPT.has(option) ? ofInt(file.options.get(option) ?? (option === S.SO_RCVLOWAT ? 1 : 0)) : -ENOPROTOOPT
  }
}

const ARGUMENTS = [fd("sockfd"), oneOf("level", S.SOL_NAMES), oneOf("optname", S.SO_NAMES), address("optval")] as const

/** getsockopt(2). Errors: EOPNOTSUPP for another level, ENOPROTOOPT, EINVAL, EFAULT. */
export const getsockopt = declare(
  "getsockopt",
  [...ARGUMENTS, address("optlen")],
  (task, fdNumber, level, option, pointer, lengthPointer) => {
    const stream = fileOf(task, fdNumber)
    const file = stream instanceof HostStdio ? stream : socketOf(task, fdNumber)
    if (typeof file === "number") return file
    if (level !== S.SOL_SOCKET) return -EOPNOTSUPP
    const room = task.memory.readU32(lengthPointer)
    if (room < 0) return -EFAULT
    if (room > 0x7fff_ffff) return -EINVAL
    const value = file instanceof HostStdio ? file.socketOption(level, option, room) : optionOf(task, file, option)
    if (typeof value === "number") return value
    const part = value.subarray(0, room)
    if (task.memory.copyOut(pointer, part) < 0) return -EFAULT
    return task.memory.writeU32(lengthPointer, part.length)
  }
)

const readTimeout = (task: Task, pointer: number, length: number): bigint | undefined | number => {
  if (length < Timeval.size) return -EINVAL
  const raw = new Uint8Array(Timeval.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const { tv_sec, tv_usec } = Timeval.decode(raw)
  if (tv_usec < 0n || tv_usec >= 1_000_000n) return -EDOM
  // A negative time is no time at all: such a socket never waits. Zero is for ever.
  const nanos = tv_sec < 0n ? 1n : nanosOfTimeval({ tv_sec, tv_usec })
  return nanos === 0n ? undefined : nanos
}

const setTimeoutOption = (task: Task, file: UnixSocket, option: number, pointer: number, length: number): number => {
  const timeout = readTimeout(task, pointer, length)
  if (typeof timeout === "number") return timeout
  if (option === S.SO_RCVTIMEO) file.readTimeout = timeout
  else file.writeTimeout = timeout
  return 0
}

/** "The kernel doubles this value": for its own overhead. */
const bufferSize = (wanted: number, smallest: number): number =>
  Math.max(Math.min(wanted < 0 ? MAX_BUFFER : wanted, MAX_BUFFER) * 2, smallest)

const setOption = (file: UnixSocket, option: number, value: number): number => {
  switch (option) {
    case S.SO_PASSCRED:
      file.passCredentials = value !== 0
      return 0
    case S.SO_SNDBUF:
      file.sendBuffer = bufferSize(value, MIN_SEND_BUFFER)
      return 0
    case S.SO_RCVBUF:
      file.receiveBuffer = bufferSize(value, MIN_RECEIVE_BUFFER)
      return 0
    case S.SO_TIMESTAMP:
    case S.SO_TIMESTAMPNS:
      file.timestamps = value === 0 ? undefined : option === S.SO_TIMESTAMP ? "micro" : "nano"
      return 0
    case S.SO_OOBINLINE:
      file.urgent.inline = value !== 0
      return 0
    case S.SO_REUSEPORT:
      return value === 0 ? 0 : -EOPNOTSUPP
    default:
      if (!KEPT.has(option)) return -ENOPROTOOPT
      file.options.set(option, NUMBERS.has(option) ? value : value === 0 ? 0 : 1)
      return 0
  }
}

/** SO_LINGER: the time stays when it is switched off. */
const setLinger = (task: Task, file: UnixSocket, pointer: number, length: number): number => {
  if (length < S.Linger.size) return -EINVAL
  const raw = new Uint8Array(S.Linger.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const { l_linger, l_onoff } = S.Linger.decode(raw)
  file.linger = l_onoff === 0 ? { ...file.linger, l_onoff: 0 } : { l_onoff: 1, l_linger }
  return 0
}

/** setsockopt(2). Errors: as getsockopt; EDOM for a bad time. */
export const setsockopt = declare(
  "setsockopt",
  [...ARGUMENTS, int("optlen")],
  (task, fdNumber, level, option, pointer, length) => {
    const file = socketOf(task, fdNumber)
    if (typeof file === "number") return file
    if (length < 0) return -EINVAL
    if (level !== S.SOL_SOCKET) return -EOPNOTSUPP
    if (option === S.SO_RCVTIMEO || option === S.SO_SNDTIMEO) {
      return setTimeoutOption(task, file, option, pointer, length)
    }
    if (length < 4) return -EINVAL
    const raw = new Uint8Array(4)
    if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
    if (option === S.SO_LINGER) return setLinger(task, file, pointer, length)
    return setOption(file, option, new DataView(raw.buffer).getInt32(0, true))
  },
  { partial: "filters, marks, SO_PEEK_OFF and what only networks need give ENOPROTOOPT" }
)

export const sysSocketOption: ReadonlyArray<Syscall> = [getsockopt, setsockopt]
