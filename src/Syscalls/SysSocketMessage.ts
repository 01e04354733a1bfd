/**
 * Sending and receiving through sockets: send(2), recv(2) and all their forms.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EFAULT, EINTR, EINVAL, EISCONN, EMSGSIZE, ENOTCONN, EOPNOTSUPP, ERESTARTSYS } from "../Abi/Errno.ts"
import { UIO_MAXIOV } from "../Abi/Fcntl.ts"
import { READABLE } from "../Abi/Poll.ts"
import {
  MMSGHDR_SIZE,
  MSG_CMSG_CLOEXEC,
  MSG_DONTWAIT,
  MSG_NAMES,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  MSG_WAITFORONE,
  MsgHdr,
  SOCK_DGRAM,
  SOCK_STREAM
} from "../Abi/Socket.ts"
import { nanosOfTimespec, Timespec } from "../Abi/Time.ts"
import {
  address,
  bufferIn,
  bufferOut,
  declare,
  fd,
  flags,
  int,
  type Result,
  size,
  struct,
  type Syscall,
  uint
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { Received } from "../Vfs/SocketMessage.ts"
import type { UnixSocket } from "../Vfs/SocketUnix.ts"
import { isNonBlocking, waitForFile, withTimeout } from "./Blocking.ts"
import { hostSocketAt, receiveFromHost, sendToHost } from "./HostSocketMessage.ts"
import { credentialsMessage, readControl, timeMessage, writeControl } from "./SocketControl.ts"
import { credentialsOf, encodeName, nameOf, readAddress, socketOf, writeAddress } from "./SocketAddress.ts"
import { sendAll } from "./SocketSending.ts"
import { messageBuffer, TRANSFER_SIZE, transferBuffer, type UserVector, userVector } from "./UserVector.ts"

// ---------------------------------------------------------------- sending

/** MSG_OOB is for streams, and for the last byte of something. */
const mayBeUrgent = ({ type }: UnixSocket, { length }: UserVector): boolean => type === SOCK_STREAM && length > 0

/** Where a send with an explicit address goes; undefined: to the peer. */
const destination = (
  task: Task,
  socket: UnixSocket,
  pointer: number,
  length: number
): Uint8Array | undefined | number => {
  if (pointer === 0 || length === 0) return undefined
  const where = readAddress(task, pointer, length)
  if (typeof where === "number") return where
  if (socket.type === SOCK_STREAM) return socket.state === "Connected" ? -EISCONN : -EOPNOTSUPP
  if (socket.type !== SOCK_DGRAM) return socket.state === "Connected" ? undefined : -ENOTCONN
  return nameOf(where)
}

export const sendto = declare(
  "sendto",
  [fd("sockfd"), bufferIn("buf", 2), size("len"), flags("flags", MSG_NAMES, "0"), address("dest_addr"), int("addrlen")],
  (task, fdNumber, buf, length, flagBits, pointer, addressLength): Result => {
    const vector = messageBuffer(task.memory, buf, length)
    if (typeof vector === "number") return vector
    const stream = hostSocketAt(task, fdNumber)
    if (stream !== undefined) return sendToHost(task, stream, vector, flagBits, pointer !== 0)
    const socket = socketOf(task, fdNumber)
    if (typeof socket === "number") return socket
    if ((flagBits & MSG_OOB) !== 0 && !mayBeUrgent(socket, vector)) return -EOPNOTSUPP
    const to = destination(task, socket, pointer, addressLength)
    if (typeof to === "number") return to
    return sendAll(task, socket, vector, { credentials: credentialsOf(task), rights: [] }, to, flagBits)
  }
)

const readHeader = (task: Task, pointer: number): MsgHdr | number => {
  const raw = new Uint8Array(MsgHdr.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const header = MsgHdr.decode(raw)
  if (header.msg_namelen < 0) return -EINVAL
  return header.msg_iovlen > UIO_MAXIOV ? -EMSGSIZE : header
}

const sendMessage = (task: Task, socket: UnixSocket, pointer: number, flagBits: number): Result => {
  const header = readHeader(task, pointer)
  if (typeof header === "number") return header
  const vector = userVector(task.memory, header.msg_iov, header.msg_iovlen)
  if (typeof vector === "number") return vector
  if ((flagBits & MSG_OOB) !== 0 && !mayBeUrgent(socket, vector)) return -EOPNOTSUPP
  const outgoing =
    header.msg_control === 0
      ? { credentials: credentialsOf(task), rights: [] }
      : readControl(task, header.msg_control, header.msg_controllen)
  if (typeof outgoing === "number") return outgoing
  const to = destination(task, socket, header.msg_name, Math.min(header.msg_namelen, 128))
  if (typeof to === "number") {
    for (const file of outgoing.rights) file.release()
    return to
  }
  return sendAll(task, socket, vector, outgoing, to, flagBits)
}

export const sendmsg = declare(
  "sendmsg",
  [fd("sockfd"), struct("msg", "msghdr", "in"), flags("flags", MSG_NAMES, "0")],
  (task, fdNumber, pointer, flagBits): Result => {
    const socket = socketOf(task, fdNumber)
    return typeof socket === "number" ? socket : sendMessage(task, socket, pointer, flagBits)
  }
)

// ---------------------------------------------------------------- receiving

/** One receive in progress. */
class Receiving {
  readonly #socket: UnixSocket
  readonly #vector: UserVector
  readonly #flags: number
  /** Bytes delivered so far: more than one attempt only with MSG_WAITALL. */
  #done = 0
  /** What came first: whose address and credentials the caller is told. */
  #first: Received | undefined

  constructor(socket: UnixSocket, vector: UserVector, flagBits: number) {
    this.#socket = socket
    this.#vector = vector
    this.#flags = flagBits
  }

  settle(otherwise: number): number {
    return this.#first === undefined ? otherwise : this.#done
  }

  get received(): Received | undefined {
    return this.#first
  }

  readonly attempt = (): number => {
    const peek = (this.#flags & MSG_PEEK) !== 0
    const isStream = this.#socket.type === SOCK_STREAM
    for (;;) {
      const chunk = transferBuffer.subarray(0, Math.min(this.#vector.length - this.#done, TRANSFER_SIZE))
      const found = this.#socket.receive(chunk, peek)
      if (typeof found === "number") return this.#none(found)
      const copied = Math.max(0, this.#vector.copyOut(this.#done, chunk.subarray(0, found.count)))
      if (copied < found.count) return this.#fault(found, copied, peek)
      this.#first ??= found
      this.#done += found.count
      if (!isStream) return (this.#flags & MSG_TRUNC) !== 0 ? found.length : this.#done
      const wantsMore = (this.#flags & MSG_WAITALL) !== 0 || found.count === TRANSFER_SIZE
      if (this.#done === this.#vector.length || found.count === 0 || peek || found.rights.length > 0 || !wantsMore) {
        return this.#done
      }
    }
  }

  #none(error: number): number {
    if (this.#done === 0) return error
    return error === -EAGAIN && (this.#flags & MSG_WAITALL) !== 0 ? error : this.#done
  }

  /** A bad buffer: what could not be delivered stays in a stream, and is lost of a packet. */
  #fault(found: Received, copied: number, peek: boolean): number {
    if (!peek) this.#done += this.#socket.unread(found.count, this.#socket.type === SOCK_STREAM ? copied : 0)
    for (const file of found.rights) file.release()
    return this.#done > 0 ? this.#done : -EFAULT
  }
}

/** recv(2) with MSG_OOB: never waits. */
const receiveUrgent = (
  socket: UnixSocket,
  vector: UserVector,
  flagBits: number,
  finish: (received: Received | undefined, result: number) => number
): number => {
  if (socket.type !== SOCK_STREAM) return -EOPNOTSUPP
  if (socket.state !== "Connected") return -EINVAL
  const byte = transferBuffer.subarray(0, Math.min(1, vector.length))
  const count = socket.urgent.receive(byte, (flagBits & MSG_PEEK) !== 0)
  if (count > 0 && vector.copyOut(0, byte) < count) return -EFAULT
  return count < 0 ? count : finish(undefined, count)
}

/** Receives, then tells the rest by `finish` (given what came, and the result so far). Blocks. Restart: ERESTARTSYS. */
const receiveAll = (
  task: Task,
  socket: UnixSocket,
  vector: UserVector,
  flagBits: number,
  finish: (received: Received | undefined, result: number) => number
): Result => {
  if ((flagBits & MSG_OOB) !== 0) return receiveUrgent(socket, vector, flagBits, finish)
  const receiving = new Receiving(socket, vector, flagBits)
  const end = (result: number): number => (result < 0 ? result : finish(receiving.received, result))
  const result = receiving.attempt()
  if (result !== -EAGAIN) return end(result)
  if (isNonBlocking(socket) || (flagBits & MSG_DONTWAIT) !== 0) return end(receiving.settle(-EAGAIN))
  const timeout = socket.readTimeout
  const waiting = waitForFile(task, socket, READABLE, receiving.attempt, {
    ...withTimeout(task, timeout),
    interrupted: () => receiving.settle(timeout === undefined ? -ERESTARTSYS : -EINTR),
    expired: () => receiving.settle(-EAGAIN)
  })
  return Effect.map(waiting, end)
}

export const recvfrom = declare(
  "recvfrom",
  [
    fd("sockfd"),
    bufferOut("buf"),
    size("len"),
    flags("flags", MSG_NAMES, "0"),
    address("src_addr"),
    address("addrlen")
  ],
  (task, fdNumber, buf, length, flagBits, pointer, lengthPointer): Result => {
    const vector = messageBuffer(task.memory, buf, length)
    if (typeof vector === "number") return vector
    const stream = hostSocketAt(task, fdNumber)
    if (stream !== undefined) return receiveFromHost(task, stream, vector, flagBits)
    const socket = socketOf(task, fdNumber)
    if (typeof socket === "number") return socket
    return receiveAll(task, socket, vector, flagBits, (received, result) => {
      for (const file of received?.rights ?? []) file.release()
      if (pointer === 0) return result
      const raw = received?.from === undefined ? new Uint8Array(0) : encodeName(received.from)
      const error = writeAddress(task, pointer, lengthPointer, raw)
      return error < 0 ? error : result
    })
  }
)

/** Fills in the rest of a `struct msghdr` after a receive. */
const finishMessage = (
  task: Task,
  socket: UnixSocket,
  pointer: number,
  header: MsgHdr,
  room: number,
  flagBits: number,
  received: Received | undefined
): number => {
  const { memory } = task
  const { msg_name, msg_flags, msg_controllen } = MsgHdr.offsets
  const { from, credentials, rights = [], length = 0 } = received ?? {}
  let outFlags = flagBits & (MSG_CMSG_CLOEXEC | MSG_OOB)
  if (socket.type !== SOCK_STREAM && length > room) outFlags |= MSG_TRUNC
  let error = 0
  if (header.msg_name !== 0) {
    const raw = from === undefined ? new Uint8Array(0) : encodeName(from)
    const cut = raw.subarray(0, header.msg_namelen)
    if (memory.copyOut(header.msg_name, cut) < 0 || memory.writeU32(pointer + msg_name + 8, raw.length) < 0)
      error = -EFAULT
  }
  const controlRoom = header.msg_control === 0 ? 0 : header.msg_controllen
  const shown = []
  if (socket.timestamps !== undefined && socket.type !== SOCK_STREAM && received !== undefined) {
    shown.push(timeMessage(task, socket.timestamps))
  }
  if (socket.passCredentials && credentials !== undefined) shown.push(credentialsMessage(task, credentials))
  const control = writeControl(task, header.msg_control, controlRoom, flagBits, shown, rights)
  if (typeof control === "number") return control
  outFlags |= control.flags
  if (memory.writeU32(pointer + msg_flags, outFlags) < 0) error = -EFAULT
  return memory.writeU64(pointer + msg_controllen, control.length) < 0 ? -EFAULT : error
}

const receiveMessage = (task: Task, socket: UnixSocket, pointer: number, flagBits: number): Result => {
  const header = readHeader(task, pointer)
  if (typeof header === "number") return header
  const vector = userVector(task.memory, header.msg_iov, header.msg_iovlen)
  if (typeof vector === "number") return vector
  return receiveAll(task, socket, vector, flagBits, (received, result) => {
    const error = finishMessage(task, socket, pointer, header, vector.length, flagBits, received)
    return error < 0 ? error : result
  })
}

export const recvmsg = declare(
  "recvmsg",
  [fd("sockfd"), struct("msg", "msghdr", "both"), flags("flags", MSG_NAMES, "0")],
  (task, fdNumber, pointer, flagBits): Result => {
    const socket = socketOf(task, fdNumber)
    return typeof socket === "number" ? socket : receiveMessage(task, socket, pointer, flagBits)
  }
)

// ---------------------------------------------------------------- several at once

/** Runs `one` for each `struct mmsghdr`, storing its result: how many succeeded, or the error of the first. */
const each = (
  task: Task,
  pointer: number,
  count: number,
  one: (index: number, pointer: number) => Result,
  goesOn: (done: number) => boolean
): Result => {
  const limit = Math.min(count, UIO_MAXIOV)
  const from = (start: number): Result => {
    for (let index = start; index < limit; index++) {
      if (index > 0 && !goesOn(index)) return index
      const at = pointer + index * MMSGHDR_SIZE
      const result = one(index, at)
      if (typeof result !== "number") return Effect.flatMap(result, (value) => after(index, at, value))
      const stored = result < 0 ? result : task.memory.writeU32(at + MsgHdr.size, result)
      if (stored < 0) return index > 0 ? index : stored
    }
    return limit
  }
  const after = (index: number, at: number, result: number): Effect.Effect<number> => {
    const stored = result < 0 ? result : task.memory.writeU32(at + MsgHdr.size, result)
    if (stored < 0) return Effect.succeed(index > 0 ? index : stored)
    const rest = from(index + 1)
    return typeof rest === "number" ? Effect.succeed(rest) : rest
  }
  return from(0)
}

export const sendmmsg = declare(
  "sendmmsg",
  [fd("sockfd"), address("msgvec"), uint("vlen"), flags("flags", MSG_NAMES, "0")],
  (task, fdNumber, pointer, count, flagBits): Result => {
    const socket = socketOf(task, fdNumber)
    if (typeof socket === "number") return socket
    return each(
      task,
      pointer,
      count,
      (_index, at) => sendMessage(task, socket, at, flagBits),
      () => true
    )
  }
)

/** recvmmsg(2). "The timeout is checked only after the receipt of each datagram" here as there. */
export const recvmmsg = declare(
  "recvmmsg",
  [
    fd("sockfd"),
    address("msgvec"),
    uint("vlen"),
    flags("flags", MSG_NAMES, "0"),
    struct("timeout", "timespec", "both")
  ],
  (task, fdNumber, pointer, count, flagBits, timeoutPointer): Result => {
    const socket = socketOf(task, fdNumber)
    if (typeof socket === "number") return socket
    const { timekeeper } = task.system
    let deadline: bigint | undefined
    if (timeoutPointer !== 0) {
      const raw = new Uint8Array(Timespec.size)
      if (task.memory.copyIn(timeoutPointer, raw) < 0) return -EFAULT
      const timeout = nanosOfTimespec(Timespec.decode(raw))
      if (typeof timeout === "number") return timeout
      deadline = timekeeper.monotonic() + timeout
    }
    const flagsOf = (index: number): number =>
      (flagBits & MSG_WAITFORONE) !== 0 && index > 0 ? flagBits | MSG_DONTWAIT : flagBits
    return each(
      task,
      pointer,
      count,
      (index, at) => receiveMessage(task, socket, at, flagsOf(index) & ~MSG_WAITFORONE),
      () => deadline === undefined || timekeeper.monotonic() < deadline
    )
  },
  { partial: "the time left is not written back" }
)

export const sysSocketMessage: ReadonlyArray<Syscall> = [sendto, sendmsg, recvfrom, recvmsg, sendmmsg, recvmmsg]
