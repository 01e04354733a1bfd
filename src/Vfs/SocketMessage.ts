/**
 * What lies in the receive queue of a socket, and what it costs its sender.
 */
import type { Ucred } from "../Abi/Socket.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { UnixSocket } from "./SocketUnix.ts"

/** `sun_path` of an address: a path with its NUL, or an abstract name that starts with one. Undefined: unnamed. */
export type SocketName = Uint8Array | undefined

/** How many descriptors are in messages that nobody has received: what ETOOMANYREFS limits. One per sandbox. */
export interface InFlight {
  count: number
}

export interface Message {
  readonly data: Uint8Array
  /** Bytes of `data` already read (streams). */
  offset: number
  /** Who pays for it until it is read. */
  readonly sender: UnixSocket
  readonly charge: number
  readonly from: SocketName
  readonly credentials: Ucred
  /** Descriptors in flight (SCM_RIGHTS): each is one reference. Empty once received. */
  rights: ReadonlyArray<OpenFileDescription>
}

/** The credentials of a socket that nobody made. */
export const nobody: Ucred = { pid: 0, uid: 0xffff_ffff, gid: 0xffff_ffff }

/** How much of `messages` has not been read. */
export const unreadBytes = (messages: ReadonlyArray<Message>): number =>
  messages.reduce((sum, { data, offset }) => sum + data.length - offset, 0)

/** What goes out with a send. */
export interface Outgoing {
  readonly credentials: Ucred
  /** References that move into the message. */
  readonly rights: ReadonlyArray<OpenFileDescription>
}

export const sameWriter = (a: Ucred, b: Ucred): boolean => a.pid === b.pid && a.uid === b.uid && a.gid === b.gid

/** What one receive found. */
export interface Received {
  /** Bytes stored. */
  readonly count: number
  /** Bytes of the whole message; for a stream the same as `count`. */
  readonly length: number
  readonly from: SocketName
  readonly credentials: Ucred | undefined
  /** One reference each, the receiver's now. */
  readonly rights: ReadonlyArray<OpenFileDescription>
}

/** net.core.wmem_default. */
export const DEFAULT_BUFFER = 212_992
/** net.unix.max_dgram_qlen: a queue longer than this refuses more, except from its own peer. */
export const MAX_DATAGRAMS = 10
const PAGE_SIZE = 4096
/** sizeof(struct sk_buff), rounded as its cache rounds it. */
const BUFFER_HEAD = 256
/** What follows the data of a buffer: struct skb_shared_info. */
const BUFFER_TAIL = 320
/** Data that lies beside them: one page of a stream's buffer, four of a packet's. More goes into pages of its own. */
const LINEAR = { stream: PAGE_SIZE - BUFFER_TAIL, packet: 4 * PAGE_SIZE - BUFFER_TAIL } as const
/** Largest piece of a stream write in one message. */
export const MAX_STREAM_CHUNK = LINEAR.stream + 32_768

/**
 * What a message of `length` bytes takes off its sender's buffer: Linux's `truesize`, since it decides how many small
 * messages fit, and programs notice.
 */
export const messageCharge = (length: number, kind: keyof typeof LINEAR): number => {
  const paged = Math.min(length, Math.ceil(Math.max(0, length - LINEAR[kind]) / PAGE_SIZE) * PAGE_SIZE)
  let block = 512
  while (block < length - paged + BUFFER_TAIL) block *= 2
  return BUFFER_HEAD + block + Math.ceil(paged / PAGE_SIZE) * PAGE_SIZE
}
