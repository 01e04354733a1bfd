/**
 * One send(2) in progress: copying in, finding who it is for, and waiting for room.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EFAULT, EINTR, EMSGSIZE, EPIPE, ERESTARTSYS } from "../Abi/Errno.ts"
import { WRITABLE } from "../Abi/Poll.ts"
import { MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB, SOCK_STREAM } from "../Abi/Socket.ts"
import { SIGPIPE } from "../Abi/Signal.ts"
import { sendUrgentSignal } from "../Task/SignalDrivenIo.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { Outgoing } from "../Vfs/SocketMessage.ts"
import type { UnixSocket } from "../Vfs/SocketUnix.ts"
import { isNonBlocking, type Source, waitHolding, withTimeout } from "./Blocking.ts"
import { findSocket } from "./SocketAddress.ts"
import { TRANSFER_SIZE, transferBuffer, type UserVector } from "./UserVector.ts"

/** One send in progress: a whole packet, or a stream piece by piece. */
class Sending {
  readonly #task: Task
  readonly #socket: UnixSocket
  readonly #vector: UserVector
  readonly #outgoing: Outgoing
  /** An address that is not the peer's, and who was found there. */
  readonly #name: Uint8Array | undefined
  #to: UnixSocket | undefined
  readonly #flags: number
  #done = 0
  #rightsSent = false

  constructor(
    task: Task,
    socket: UnixSocket,
    vector: UserVector,
    outgoing: Outgoing,
    name: Uint8Array | undefined,
    flagBits: number
  ) {
    this.#task = task
    this.#socket = socket
    this.#vector = vector
    this.#outgoing = outgoing
    this.#name = name
    this.#flags = flagBits
  }

  settle(otherwise: number): number {
    return this.#done > 0 ? this.#done : otherwise
  }

  /** Where it goes, once that is known. */
  get target(): UnixSocket | undefined {
    return this.#to ?? this.#socket.peer
  }

  /** Finds who has the address, after the bytes are copied: the order of errors is Linux's. */
  #find(): number {
    if (this.#name === undefined || this.#to !== undefined) return 0
    const found = findSocket(this.#task, this.#name, this.#socket)
    if (typeof found === "number") return found
    this.#to = found
    return 0
  }

  /** As `WriteTransfer.attempt`. */
  readonly attempt = (): number => {
    const isStream = this.#socket.type === SOCK_STREAM
    const refused = this.#socket.refuseWrite(this.#vector.length)
    if (refused < 0) return this.#fail(refused)
    if (!isStream && this.#vector.length > TRANSFER_SIZE) return -EMSGSIZE
    do {
      const left = this.#vector.length - this.#done
      // the last byte is the urgent one
      const urgent = (this.#flags & MSG_OOB) !== 0 && left === 1
      const ordinary = (this.#flags & MSG_OOB) !== 0 && !urgent ? left - 1 : left
      const wanted = transferBuffer.subarray(0, Math.min(ordinary, TRANSFER_SIZE))
      const copied = this.#vector.copyIn(this.#done, wanted)
      const good = copied === wanted.length || !isStream ? copied : copied - (copied % this.#socket.copyUnit)
      if (good < wanted.length && (!isStream || good <= 0)) return this.settle(-EFAULT)
      const chunk = wanted.subarray(0, good)
      const lost = this.#find()
      if (lost < 0) return lost
      const outgoing = { ...this.#outgoing, rights: this.#rightsSent ? [] : this.#outgoing.rights }
      const count = urgent ? this.#socket.sendUrgent(chunk, outgoing) : this.#socket.send(chunk, outgoing, this.#to)
      if (count < 0) return this.#fail(count)
      if (urgent) sendUrgentSignal(this.#task.system, this.#socket.peer!)
      if (count > 0 || !isStream) this.#rightsSent = true
      this.#done += count
    } while (this.#done < this.#vector.length)
    return this.#done
  }

  #fail(error: number): number {
    if (error === -EAGAIN) return error
    if (error === -EPIPE && this.#done === 0 && (this.#flags & MSG_NOSIGNAL) === 0 && this.#socket.raisesSigpipe) {
      this.#task.raise(SIGPIPE)
    }
    return this.settle(error)
  }

  /** Lets go of descriptors that were not sent. */
  close(): void {
    if (!this.#rightsSent) for (const file of this.#outgoing.rights) file.release()
  }
}

/** Sends everything. Blocks unless told otherwise. Restart: ERESTARTSYS if nothing was sent. */
export const sendAll = (
  task: Task,
  socket: UnixSocket,
  vector: UserVector,
  outgoing: Outgoing,
  name: Uint8Array | undefined,
  flagBits: number
): Result => {
  const sending = new Sending(task, socket, vector, outgoing, name, flagBits)
  const result = sending.attempt()
  if (result !== -EAGAIN || isNonBlocking(socket) || (flagBits & MSG_DONTWAIT) !== 0) {
    sending.close()
    return result === -EAGAIN ? sending.settle(-EAGAIN) : result
  }
  const { target } = sending
  const sources: Array<Source> = [{ queue: socket.waiters, events: WRITABLE }]
  if (target !== undefined) sources.push({ queue: target.room, events: WRITABLE })
  const timeout = socket.writeTimeout
  const waiting = waitHolding(task, [socket], sources, sending.attempt, {
    ...withTimeout(task, timeout),
    interrupted: () => sending.settle(timeout === undefined ? -ERESTARTSYS : -EINTR),
    expired: () => sending.settle(-EAGAIN)
  })
  return Effect.ensuring(
    waiting,
    Effect.sync(() => sending.close())
  )
}
