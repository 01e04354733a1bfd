/**
 * Sockets of the AF_UNIX family, unix(7): streams, sequenced packets and datagrams within the sandbox.
 *
 * A message lies in the receiver's queue and is charged to its sender's buffer until it is read.
 *
 * Atomic: every method.
 */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOTCONN,
  EOPNOTSUPP,
  EPERM,
  EPIPE
} from "../Abi/Errno.ts"
import { O_RDWR } from "../Abi/OpenFlags.ts"
import { POLLERR, POLLHUP, POLLPRI, POLLRDHUP, POLLWRBAND, READABLE, WRITABLE } from "../Abi/Poll.ts"
import { SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_DGRAM, SOCK_STREAM, type Ucred } from "../Abi/Socket.ts"
import { FIONREAD, SIOCATMARK, SIOCOUTQ } from "../Abi/Termios.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import {
  DEFAULT_BUFFER,
  type InFlight,
  MAX_DATAGRAMS,
  MAX_STREAM_CHUNK,
  type Message,
  messageCharge,
  nobody,
  type Outgoing,
  type Received,
  sameWriter,
  type SocketName,
  unreadBytes
} from "./SocketMessage.ts"
import { AbstractNames } from "./SocketNames.ts"
import { UrgentData } from "./SocketUrgent.ts"
import type { AttributeChanges } from "./Inode.ts"
import { changedStat, type Stat } from "./Stat.ts"

export type SocketState = "Unconnected" | "Listening" | "Connected"

export class UnixSocket extends OpenFileDescription {
  /** SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET. */
  readonly type: number
  #stat: Stat
  readonly #inFlight: InFlight
  /** Of its maker: what goes with a plain write(2). */
  readonly credentials: Ucred
  /** SO_PEERCRED. */
  peerCredentials: Ucred = nobody
  #state: SocketState = "Unconnected"
  name: SocketName
  /** Undoes `bind`; runs at the last close. */
  #unbind: (() => void) | undefined
  /** The other end; for a datagram socket where sends go and whence alone messages come. Stays when that end closes. */
  #peer: UnixSocket | undefined
  #closed = false
  #receiveShut = false
  #sendShut = false
  /** SO_ERROR, positive. */
  #error = 0
  #queue: Array<Message> = []
  readonly urgent = new UrgentData()
  /** What the last read of a stream took from each message, for `unread`. */
  #lastTaken: Array<{ readonly message: Message; readonly count: number }> = []
  /** Charged to this socket and not yet read by others. */
  #charged = 0
  /** Connections not yet accepted. */
  readonly #backlog: Array<UnixSocket> = []
  #maxBacklog = 0
  /** Woken when this socket's queue or backlog has room again. */
  readonly room = new WaitQueue()
  /** SO_SNDBUF, SO_RCVBUF, SO_PASSCRED and what else setsockopt(2) keeps. */
  sendBuffer = DEFAULT_BUFFER
  receiveBuffer = DEFAULT_BUFFER
  passCredentials = false
  /** SO_TIMESTAMP or SO_TIMESTAMPNS. */
  timestamps: "micro" | "nano" | undefined
  /** SO_RCVTIMEO and SO_SNDTIMEO, nanoseconds. */
  #readTimeout: bigint | undefined
  #writeTimeout: bigint | undefined
  /** SO_LINGER: without effect, as a close loses nothing here. */
  linger = { l_onoff: 0, l_linger: 0 }
  readonly options = new Map<number, number>()
  /** The abstract names of the network namespace that it was made in. */
  readonly names: AbstractNames

  /** `statusFlags`: O_NONBLOCK or 0. */
  constructor(
    stat: Stat,
    type: number,
    statusFlags: number,
    credentials: Ucred,
    inFlight: InFlight = { count: 0 },
    names: AbstractNames = new AbstractNames()
  ) {
    super(O_RDWR | statusFlags)
    this.#inFlight = inFlight
    this.#stat = stat
    this.type = type
    this.credentials = credentials
    this.names = names
  }

  get state(): SocketState {
    return this.#state
  }

  get peer(): UnixSocket | undefined {
    return this.#peer
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override get pollable(): boolean {
    return true
  }

  override get readTimeout(): bigint | undefined {
    return this.#readTimeout
  }

  override set readTimeout(timeout: bigint | undefined) {
    this.#readTimeout = timeout
  }

  override get writeTimeout(): bigint | undefined {
    return this.#writeTimeout
  }

  override set writeTimeout(timeout: bigint | undefined) {
    this.#writeTimeout = timeout
  }

  override get isStream(): boolean {
    return this.type === SOCK_STREAM
  }

  override get isMessage(): boolean {
    return this.type !== SOCK_STREAM
  }

  override setAttributes(changes: AttributeChanges): number {
    this.#stat = changedStat(this.#stat, changes)
    return 0
  }

  override get raisesSigpipe(): boolean {
    return this.type === SOCK_STREAM
  }

  override stat(): Stat {
    return this.#stat
  }

  override describe(): string {
    return `socket:[${this.#stat.ino}]`
  }

  // ---- names and connections

  /** Becomes findable as `name`; `unbind` makes it unfindable. -EINVAL if it has a name. */
  bind(name: Uint8Array, unbind: () => void): number {
    if (this.name !== undefined) return -EINVAL
    this.name = name
    this.#unbind = unbind
    return 0
  }

  /** Makes a pair, socketpair(2). */
  connectPair(other: UnixSocket): void {
    this.#join(other)
    other.#join(this)
    this.peerCredentials = other.credentials
    other.peerCredentials = this.credentials
  }

  #join(peer: UnixSocket): void {
    this.#peer = peer
    this.#state = "Connected"
  }

  /** listen(2). */
  listen(backlog: number, credentials: Ucred): number {
    if (this.type === SOCK_DGRAM) return -EOPNOTSUPP
    if (this.name === undefined || this.#state === "Connected") return -EINVAL
    this.#state = "Listening"
    this.#maxBacklog = backlog
    this.peerCredentials = credentials
    this.room.notify(WRITABLE)
    return 0
  }

  /**
   * connect(2) of a stream or packet socket: makes the server's end and puts it into the backlog of `listener`. -EAGAIN
   * while that is full.
   */
  connect(listener: UnixSocket, makeEnd: () => UnixSocket, credentials: Ucred): number {
    if (listener.#state !== "Listening" || listener.#closed || listener.#receiveShut) return -ECONNREFUSED
    if (listener.#backlog.length > listener.#maxBacklog) return -EAGAIN
    if (this.#state !== "Unconnected") return this.#state === "Connected" ? -EISCONN : -EINVAL
    const end = makeEnd()
    end.name = listener.name
    end.sendBuffer = listener.sendBuffer
    this.#join(end)
    end.#join(this)
    end.peerCredentials = credentials
    end.passCredentials = listener.passCredentials
    this.peerCredentials = listener.peerCredentials
    listener.#backlog.push(end)
    listener.waiters.notify(READABLE)
    return 0
  }

  /** connect(2) of a datagram socket: the only peer from now on; undefined for none. -EPERM if that one has another. */
  setPeer(peer: UnixSocket | undefined): number {
    if (peer !== undefined && peer.#peer !== undefined && peer.#peer !== this) return -EPERM
    this.#peer = peer
    this.#state = peer === undefined ? "Unconnected" : "Connected"
    this.waiters.notify(WRITABLE)
    return 0
  }

  /** accept(2): the next connection, -EAGAIN, or -EINVAL if it does not listen. */
  accept(): UnixSocket | number {
    if (this.type === SOCK_DGRAM) return -EOPNOTSUPP
    if (this.#state !== "Listening") return -EINVAL
    const end = this.#backlog.shift()
    if (end === undefined) return this.#receiveShut ? -EINVAL : -EAGAIN
    this.room.notify(WRITABLE)
    return end
  }

  /** shutdown(2). */
  shutdown(how: number): number {
    if (how !== SHUT_RD && how !== SHUT_WR && how !== SHUT_RDWR) return -EINVAL
    const peer = this.#peer
    if (how !== SHUT_WR) this.#receiveShut = true
    if (how !== SHUT_RD) this.#sendShut = true
    if (peer !== undefined && this.type !== SOCK_DGRAM) {
      if (how !== SHUT_WR) peer.#sendShut = true
      if (how !== SHUT_RD) peer.#receiveShut = true
      peer.#changed()
    }
    this.#changed()
    return 0
  }

  /** Everybody looks again: the state changed. */
  #changed(): void {
    const hangUp = this.#receiveShut && this.#sendShut ? POLLHUP : 0
    this.waiters.notify(READABLE | WRITABLE | POLLRDHUP | hangUp)
    this.room.notify(WRITABLE)
  }

  /** SO_ERROR: reads and clears it. */
  takeError(): number {
    const error = this.#error
    this.#error = 0
    return error
  }

  // ---- sending

  get #canWrite(): boolean {
    return this.#charged * 4 <= this.sendBuffer
  }

  /** Whether a datagram from `sender` must wait until this queue is shorter. */
  #isFullFor(sender: UnixSocket): boolean {
    return this.#peer !== sender && this.#queue.length > MAX_DATAGRAMS
  }

  /**
   * Sends to the peer, or (datagrams) to `to`: the count, for a stream maybe short; -EAGAIN when there is no room. The
   * references in `outgoing.rights` move into the message if anything is sent, and stay the caller's otherwise.
   */
  send(data: Uint8Array, outgoing: Outgoing, to?: UnixSocket): number {
    return this.isMessage ? this.#sendPacket(data, outgoing, to) : this.#sendStream(data, outgoing)
  }

  override get copyUnit(): number {
    return Math.min(MAX_STREAM_CHUNK, (this.sendBuffer >> 1) - 64)
  }

  override refuseWrite(length: number): number {
    if (this.isMessage && this.#error !== 0) return -this.takeError()
    if (this.type !== SOCK_DGRAM && this.#state !== "Connected") return -ENOTCONN
    if (this.isMessage && length > this.sendBuffer - 32) return -EMSGSIZE
    return this.#sendShut ? -EPIPE : 0
  }

  #sendStream(data: Uint8Array, outgoing: Outgoing): number {
    const refused = this.refuseWrite(data.length)
    if (refused < 0) return refused
    const peer = this.#peer!
    if (peer.#closed || peer.#receiveShut) return -EPIPE
    if (data.length === 0) return 0
    let done = 0
    while (done < data.length && this.#charged < this.sendBuffer) {
      const chunk = data.slice(done, done + this.copyUnit)
      peer.#enqueue(this, chunk, done === 0 ? outgoing : { ...outgoing, rights: [] })
      done += chunk.length
    }
    return done === 0 ? -EAGAIN : done
  }

  /** send(2) with MSG_OOB of one byte: 1, or -errno. */
  sendUrgent(byte: Uint8Array, outgoing: Outgoing): number {
    const sent = this.#sendStream(byte, outgoing)
    if (sent !== 1) return sent
    const peer = this.#peer!
    peer.urgent.message = peer.#queue.at(-1)
    peer.waiters.notify(POLLPRI)
    return 1
  }

  #sendPacket(data: Uint8Array, outgoing: Outgoing, to: UnixSocket | undefined): number {
    const target = this.type === SOCK_DGRAM ? (to ?? this.#peer) : this.#peer
    const refused = this.refuseWrite(data.length)
    if (refused < 0) return refused
    if (target === undefined) return -ENOTCONN
    if (target.#closed) {
      if (this.type !== SOCK_DGRAM) return -EPIPE
      if (target === this.#peer) this.setPeer(undefined)
      return -ECONNREFUSED
    }
    if (target.#peer !== undefined && target.#peer !== this) return -EPERM
    if (target.#receiveShut) return -EPIPE
    if (target.#isFullFor(this) || this.#charged >= this.sendBuffer) return -EAGAIN
    target.#enqueue(this, data.slice(), outgoing)
    return data.length
  }

  #enqueue(sender: UnixSocket, data: Uint8Array, { credentials, rights }: Outgoing): void {
    this.#inFlight.count += rights.length
    const charge = messageCharge(data.length, this.isMessage ? "packet" : "stream")
    sender.#charged += charge
    this.#queue.push({ data, offset: 0, sender, charge, from: sender.name, credentials, rights })
    this.waiters.notify(READABLE)
  }

  // ---- receiving

  /** The head of the queue is read: its sender has room again. */
  #dequeue(): void {
    const message = this.#queue.shift()!
    message.sender.#charged -= message.charge
    if (message.sender.#canWrite) message.sender.waiters.notify(WRITABLE | POLLWRBAND)
    if (this.#queue.length <= MAX_DATAGRAMS) this.room.notify(WRITABLE)
  }

  /**
   * Receives into `into`, leaving it in the queue with `peek`: what was found, -EAGAIN, or another -errno. The end of a
   * stream is a count of 0.
   */
  receive(into: Uint8Array, peek: boolean): Received | number {
    if (this.type !== SOCK_DGRAM && this.#state !== "Connected") return this.isMessage ? -ENOTCONN : -EINVAL
    const first = this.#queue[0]
    if (this.#error !== 0 && (this.isMessage || first === undefined)) return -this.takeError()
    if (first === undefined) return this.#none()
    return this.isMessage ? this.#receivePacket(first, into, peek) : this.#receiveStream(into, peek)
  }

  #receivePacket(message: Message, into: Uint8Array, peek: boolean): Received {
    const { data, from, credentials } = message
    const count = Math.min(data.length, into.length)
    into.set(data.subarray(0, count))
    const rights = this.#takeRights(message, peek)
    if (!peek) this.#dequeue()
    return { count, length: data.length, from, credentials, rights }
  }

  /** Joins messages, but never past descriptors, nor different writers where the reader asked who they are. */
  #receiveStream(into: Uint8Array, peek: boolean): Received | number {
    let index = this.urgent.skip(this.#queue, peek, () => this.#dequeue())
    const first = this.#queue[index]
    if (first === undefined) return this.#none()
    const { from, credentials } = first
    let rights: ReadonlyArray<OpenFileDescription> = []
    let count = 0
    this.#lastTaken = []
    while (count < into.length) {
      const message = this.#queue[index]
      if (message === undefined) break
      // a read ends where out-of-band data is, or was
      if (count > 0 && this.urgent.isMark(message)) break
      if (this.passCredentials && !sameWriter(message.credentials, credentials)) break
      if (message.rights.length > 0 && count > 0) break
      const part = message.data.subarray(message.offset, message.offset + into.length - count)
      into.set(part, count)
      count += part.length
      const carried = message.rights.length > 0
      if (carried) rights = this.#takeRights(message, peek)
      if (peek) index++
      else {
        message.offset += part.length
        this.#lastTaken.push({ message, count: part.length })
        if (message.offset === message.data.length) this.#dequeue()
      }
      if (carried) break
    }
    return { count, length: count, from, credentials, rights }
  }

  /** Nothing to read: the end, or nothing yet. "A datagram socket … returns 0" only after its own shutdown. */
  #none(): Received | number {
    return this.#receiveShut ? { count: 0, length: 0, from: undefined, credentials: undefined, rights: [] } : -EAGAIN
  }

  #takeRights(message: Message, peek: boolean): ReadonlyArray<OpenFileDescription> {
    const { rights } = message
    if (peek) return rights.map((file) => file.retain())
    message.rights = []
    this.#inFlight.count -= rights.length
    return rights
  }

  override read(into: Uint8Array): number {
    if (into.length === 0) return 0
    const received = this.receive(into, false)
    if (typeof received === "number") return received
    for (const file of received.rights) file.release()
    return received.count
  }

  /** What was not delivered whole goes back to the head of a stream; a datagram is lost, as in Linux. */
  override unread(_count: number, copied: number): number {
    if (this.isMessage) return copied
    let kept = 0
    const taken = this.#lastTaken
    while (taken.length > 0 && kept + taken[0]!.count <= copied) kept += taken.shift()!.count
    for (const { message, count } of taken.toReversed()) {
      if (message.offset === message.data.length) {
        this.#queue.unshift(message)
        message.sender.#charged += message.charge
      }
      message.offset -= count
    }
    this.#lastTaken = []
    return kept
  }

  override write(from: Uint8Array): number {
    return this.send(from, { credentials: this.credentials, rights: [] })
  }

  override readiness(): number {
    const listening = this.#state === "Listening"
    let events = this.#error === 0 ? 0 : POLLERR
    if (this.#receiveShut && this.#sendShut) events |= POLLHUP
    if (this.#receiveShut) events |= POLLRDHUP | READABLE
    if (this.#queue.length > 0 || this.#backlog.length > 0) events |= READABLE
    if (this.urgent.message !== undefined) events |= POLLPRI
    if (this.type !== SOCK_DGRAM && this.#state === "Unconnected") events |= POLLHUP
    const full = this.type === SOCK_DGRAM && this.#peer !== undefined && this.#peer.#isFullFor(this)
    if (!listening && this.#canWrite && !full) events |= WRITABLE | POLLWRBAND
    return events
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (request === SIOCOUTQ) return memory.writeU32(argument, this.#charged)
    if (request === SIOCATMARK)
      return this.isMessage ? -EOPNOTSUPP : memory.writeU32(argument, this.urgent.atMark(this.#queue) ? 1 : 0)
    if (request !== FIONREAD) return super.ioctl(request, argument, memory)
    if (this.#state === "Listening") return -EINVAL
    return memory.writeU32(argument, unreadBytes(this.type === SOCK_DGRAM ? this.#queue.slice(0, 1) : this.#queue))
  }

  protected override onLastClose(): void {
    this.#closed = true
    this.#unbind?.()
    for (const end of this.#backlog.splice(0)) end.#abandon()
    const peer = this.#peer
    if (peer !== undefined && this.type !== SOCK_DGRAM) {
      peer.#receiveShut = true
      peer.#sendShut = true
      if (this.#queue.length > 0) peer.#error = ECONNRESET
      peer.#changed()
    }
    const unread = [...this.#queue]
    while (this.#queue.length > 0) this.#dequeue()
    for (const message of unread) for (const file of this.#takeRights(message, false)) file.release()
    this.room.notify(WRITABLE)
  }

  /** A connection that nobody accepted: its client sees a reset. */
  #abandon(): void {
    if (this.#peer !== undefined) this.#peer.#error = ECONNRESET
    this.release()
  }
}
