/**
 * Making, naming and connecting sockets: socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2),
 * shutdown(2), getsockname(2), getpeername(2). Only AF_UNIX exists; sending and receiving is in SysSocketMessage.
 */
import { HostStdio } from "../Vfs/HostStdio.ts"
import { fileOf } from "./Blocking.ts"
import {
  EADDRINUSE,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  EEXIST,
  EINVAL,
  ENOTCONN,
  EPROTONOSUPPORT,
  ESOCKTNOSUPPORT
} from "../Abi/Errno.ts"
import { READABLE, WRITABLE } from "../Abi/Poll.ts"
import {
  AF_MAX,
  AF_NAMES,
  AF_UNIX,
  AF_UNSPEC,
  SHUT_NAMES,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_MAX,
  SOCK_NAMES,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOCK_TYPE_MASK
} from "../Abi/Socket.ts"
import { address, declare, fd, flags, int, oneOf, type Result, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import * as Names from "../Vfs/Names.ts"
import { UnixSocket } from "../Vfs/SocketUnix.ts"
import { attemptOrWait, isNonBlocking, waitHolding, withTimeout } from "./Blocking.ts"
import {
  addressOf,
  copyAddress,
  credentialsOf,
  encodeName,
  findSocket,
  isAbstract,
  nameOf,
  pathOfName,
  readAddress,
  socketOf,
  writeAddress
} from "./SocketAddress.ts"
import { installFile, installPair } from "./SysPipe.ts"

const SOMAXCONN = 4096

const make = (task: Task, type: number, flagBits: number, names = task.namespaces.net.names): UnixSocket => {
  const stat = task.system.anonymous.attributes("socket", task.credentials)
  // An AF_UNIX raw socket is a datagram socket, "for historical reasons".
  const kind = type === SOCK_RAW ? SOCK_DGRAM : type
  return new UnixSocket(
    stat,
    kind,
    flagBits & SOCK_NONBLOCK,
    credentialsOf(task),
    task.system.anonymous.inFlight,
    names
  )
}

/** 0, -EINVAL for unknown flags, -EAFNOSUPPORT, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT. */
const checkKind = (family: number, typeAndFlags: number, protocol: number): number => {
  if ((typeAndFlags & ~(SOCK_TYPE_MASK | SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return -EINVAL
  const type = typeAndFlags & SOCK_TYPE_MASK
  if (family >>> 0 < AF_MAX && type >= SOCK_MAX) return -EINVAL
  if (family !== AF_UNIX) return -EAFNOSUPPORT
  if (protocol !== 0 && protocol !== AF_UNIX) return -EPROTONOSUPPORT
  const known = type === SOCK_STREAM || type === SOCK_DGRAM || type === SOCK_SEQPACKET || type === SOCK_RAW
  return known ? 0 : -ESOCKTNOSUPPORT
}

const PARTIAL = { partial: "AF_UNIX only; every other family gives EAFNOSUPPORT" }

export const socket = declare(
  "socket",
  [oneOf("domain", AF_NAMES), flags("type", SOCK_NAMES), int("protocol")],
  (task, family, type, protocol) => {
    const error = checkKind(family, type, protocol)
    if (error < 0) return error
    return installFile(task, make(task, type & SOCK_TYPE_MASK, type), (type & SOCK_CLOEXEC) !== 0)
  },
  PARTIAL
)

export const socketpair = declare(
  "socketpair",
  [oneOf("domain", AF_NAMES), flags("type", SOCK_NAMES), int("protocol"), address("sv")],
  (task, family, type, protocol, pointer) => {
    const error = checkKind(family, type, protocol)
    if (error < 0) return error
    const [first, second] = [make(task, type & SOCK_TYPE_MASK, type), make(task, type & SOCK_TYPE_MASK, type)]
    first.connectPair(second)
    return installPair(task, first, second, (type & SOCK_CLOEXEC) !== 0, pointer)
  },
  PARTIAL
)

/** Makes the name findable. Errors: EADDRINUSE, EINVAL if the socket has one, and those of mknod(2). */
const bindTo = (task: Task, file: UnixSocket, name: Uint8Array): number => {
  if (isAbstract(name)) {
    if (file.name !== undefined) return -EINVAL
    const error = file.names.bind(name, file)
    return error < 0 ? error : file.bind(name, () => file.names.forget(name))
  }
  const { anonymous, vfs } = task.system
  const path = pathOfName(name)
  const cwd = task.fs.workingDirectory
  if (file.name !== undefined) {
    // Linux makes the file first and looks at the socket then.
    const last = vfs.walkToLast(task, cwd, path)
    if (typeof last === "number") return last
    return typeof vfs.walk(task, cwd, path, { follow: false }) === "number" ? -EINVAL : -EADDRINUSE
  }
  const error = Names.mknod(vfs, task, cwd, path, file.stat().mode, 0)
  if (error < 0) return error === -EEXIST ? -EADDRINUSE : error
  const found = vfs.walk(task, cwd, path, { follow: false })
  if (typeof found === "number") return found
  const inode = found.dentry.inode! // made a moment ago
  anonymous.sockets.bind(inode, file)
  return file.bind(name, () => anonymous.sockets.forget(inode))
}

export const bind = declare(
  "bind",
  [fd("sockfd"), address("addr"), int("addrlen")],
  (task, fdNumber, pointer, length) => {
    const file = socketOf(task, fdNumber)
    if (typeof file === "number") return file
    const where = readAddress(task, pointer, length)
    if (typeof where === "number") return where
    if (where.family === AF_UNIX && where.rest.length === 0) {
      return file.name === undefined ? bindTo(task, file, file.names.unused()) : 0
    }
    const name = nameOf(where)
    return typeof name === "number" ? name : bindTo(task, file, name)
  }
)

export const listen = declare("listen", [fd("sockfd"), int("backlog")], (task, fdNumber, backlog) => {
  const file = socketOf(task, fdNumber)
  if (typeof file === "number") return file
  return file.listen(Math.min(backlog >>> 0, SOMAXCONN), credentialsOf(task))
})

const acceptOn = (task: Task, fdNumber: number, pointer: number, lengthPointer: number, flagBits: number): Result => {
  if (fileOf(task, fdNumber) === undefined) return -EBADF
  if ((flagBits & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) !== 0) return -EINVAL
  const file = socketOf(task, fdNumber)
  if (typeof file === "number") return file
  const attempt = (): number => {
    const end = file.accept()
    if (typeof end === "number") return end
    end.statusFlags |= flagBits & SOCK_NONBLOCK
    const number = installFile(task, end, (flagBits & SOCK_CLOEXEC) !== 0)
    if (number < 0 || pointer === 0) return number
    const error = writeAddress(task, pointer, lengthPointer, encodeName(end.peer?.name))
    if (error < 0) task.fds.close(number)
    return error < 0 ? error : number
  }
  return attemptOrWait(task, file, READABLE, attempt, withTimeout(task, file.readTimeout))
}

/** accept(2). Blocks. Restart: ERESTARTSYS. Errors: EINVAL if it does not listen; EOPNOTSUPP for datagrams. */
export const accept = declare(
  "accept",
  [fd("sockfd"), address("addr"), address("addrlen")],
  (task, fdNumber, pointer, length) => acceptOn(task, fdNumber, pointer, length, 0)
)

export const accept4 = declare(
  "accept4",
  [fd("sockfd"), address("addr"), address("addrlen"), flags("flags", SOCK_NAMES)],
  acceptOn
)

/** Connects a datagram socket: only a matter of remembering. */
const connectDatagram = (task: Task, file: UnixSocket, family: number, name: Uint8Array | number): number => {
  if (family === AF_UNSPEC) return file.setPeer(undefined)
  if (typeof name === "number") return name
  const target = findSocket(task, name, file)
  return typeof target === "number" ? target : file.setPeer(target)
}

const connectStream = (task: Task, file: UnixSocket, name: Uint8Array): Result => {
  const listener = findSocket(task, name, file)
  if (typeof listener === "number") return listener
  const credentials = credentialsOf(task)
  const attempt = (): number => file.connect(listener, () => make(task, file.type, 0, file.names), credentials)
  const result = attempt()
  if (result !== -EAGAIN || isNonBlocking(file)) return result
  const options = withTimeout(task, file.writeTimeout)
  return waitHolding(task, [file], [{ queue: listener.room, events: WRITABLE }], attempt, options)
}

/**
 * connect(2). Blocks while the listener's backlog is full. Restart: ERESTARTSYS. Errors: ECONNREFUSED, EPROTOTYPE,
 * EISCONN, EAGAIN, EINVAL, EPERM, and those of a path walk.
 */
export const connect = declare(
  "connect",
  [fd("sockfd"), address("addr"), int("addrlen")],
  (task, fdNumber, pointer, length): Result => {
    const file = socketOf(task, fdNumber)
    if (file === -EBADF) return file
    const raw = copyAddress(task, pointer, length)
    if (typeof raw === "number") return raw
    if (typeof file === "number") return file
    const where = addressOf(raw)
    if (typeof where === "number") return where
    const name = nameOf(where)
    if (file.type === SOCK_DGRAM) return connectDatagram(task, file, where.family, name)
    return typeof name === "number" ? name : connectStream(task, file, name)
  }
)

export const shutdown = declare("shutdown", [fd("sockfd"), oneOf("how", SHUT_NAMES)], (task, fdNumber, how) => {
  const file = socketOf(task, fdNumber)
  return typeof file === "number" ? file : file.shutdown(how)
})

const ADDRESS_OUT = [fd("sockfd"), address("addr"), address("addrlen")] as const

/** The address of a standard stream that is a socket of the host's. */
const hostSocketName = (task: Task, file: HostStdio, of: "own" | "peer", pointer: number, length: number): number => {
  const name = file.socketName(of)
  return typeof name === "number" ? name : writeAddress(task, pointer, length, name)
}

export const getsockname = declare("getsockname", ADDRESS_OUT, (task, fdNumber, pointer, length) => {
  const stream = fileOf(task, fdNumber)
  if (stream instanceof HostStdio) return hostSocketName(task, stream, "own", pointer, length)
  const file = socketOf(task, fdNumber)
  return typeof file === "number" ? file : writeAddress(task, pointer, length, encodeName(file.name))
})

export const getpeername = declare("getpeername", ADDRESS_OUT, (task, fdNumber, pointer, length) => {
  const stream = fileOf(task, fdNumber)
  if (stream instanceof HostStdio) return hostSocketName(task, stream, "peer", pointer, length)
  const file = socketOf(task, fdNumber)
  if (typeof file === "number") return file
  return file.peer === undefined ? -ENOTCONN : writeAddress(task, pointer, length, encodeName(file.peer.name))
})

export const sysSocket: ReadonlyArray<Syscall> = [
  socket,
  socketpair,
  bind,
  listen,
  accept,
  accept4,
  connect,
  shutdown,
  getsockname,
  getpeername
]
