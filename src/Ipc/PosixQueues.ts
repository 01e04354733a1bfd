/**
 * POSIX message queues, mq_overview(7): by name, until they are unlinked and nobody has them open. Messages come out by
 * priority, equal ones in the order in which they were sent.
 */
import { CAP_FOWNER, CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EAGAIN, EINVAL, EMFILE, ENOENT, ENOMEM, ENOSPC, EOVERFLOW, EPERM } from "../Abi/Errno.ts"
import { HARD_MSG_MAX, HARD_MSGSIZE_MAX, MQ_PRIO_MAX, MSG_MAX, MSGSIZE_MAX, QUEUES_MAX } from "../Abi/Mqueue.ts"
import { POLLIN, POLLOUT, READABLE, WRITABLE } from "../Abi/Poll.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import { type Credentials, hasCapability } from "../Vfs/Credentials.ts"
import type { FileTime } from "../Vfs/Stat.ts"
import type { IpcBudget } from "./IpcBudget.ts"

export interface PosixMessage {
  readonly priority: number
  readonly text: Uint8Array
}

/** Who is told when a message comes to an empty queue and nobody waits for it. */
export interface QueueNotification {
  /** Of who asked: closing the queue by it ends this. */
  readonly table: object
  readonly pid: number
  /** What /proc and reading the descriptor show. */
  readonly notify: number
  readonly signo: number
  /** Tells, `sender` being who has sent the message. */
  readonly tell: (sender: Sender) => void
}

export interface Sender {
  readonly pid: number
  readonly uid: number
}

/** What Linux's structures for a message and a priority take: they count against RLIMIT_MSGQUEUE. Bytes. */
const MESSAGE_OVERHEAD = 48
const PRIORITY_OVERHEAD = 48

const bytesOf = (maxMessages: number, messageSize: number): number =>
  maxMessages * (MESSAGE_OVERHEAD + messageSize) + Math.min(maxMessages, MQ_PRIO_MAX) * PRIORITY_OVERHEAD

/** Atomic: every method. */
/** What keeping a message takes, about, bytes. */
const costOf = ({ text }: PosixMessage): number => text.length + MESSAGE_OVERHEAD

export class PosixQueue {
  readonly ino: number
  readonly uid: number
  readonly gid: number
  readonly mode: number
  readonly maxMessages: number
  /** Bytes that a message may have. */
  readonly messageSize: number
  readonly waiters = new WaitQueue()
  readonly created: FileTime
  /** Against whose limit it counts. */
  readonly payer: number
  notification: QueueNotification | undefined
  /** Calls of mq_receive(3) that wait: the next message is theirs, and no news to anybody else. */
  receivers = 0
  linked = true
  openings = 0
  /** Highest priority first. */
  readonly #messages: Array<PosixMessage> = []
  readonly #account: IpcBudget["messages"]

  constructor(
    options: Pick<PosixQueue, "ino" | "uid" | "gid" | "mode" | "maxMessages" | "messageSize" | "created" | "payer">,
    account: IpcBudget["messages"]
  ) {
    this.#account = account
    this.ino = options.ino
    this.uid = options.uid
    this.gid = options.gid
    this.mode = options.mode
    this.maxMessages = options.maxMessages
    this.messageSize = options.messageSize
    this.created = options.created
    this.payer = options.payer
  }

  get count(): number {
    return this.#messages.length
  }

  /** Bytes of all messages. */
  get size(): number {
    return this.#messages.reduce((sum, { text }) => sum + text.length, 0)
  }

  /** Bytes that count against RLIMIT_MSGQUEUE. */
  get accounted(): number {
    return bytesOf(this.maxMessages, this.messageSize)
  }

  readiness(): number {
    return (this.count > 0 ? READABLE : 0) | (this.count < this.maxMessages ? WRITABLE : 0)
  }

  /** 0, -EAGAIN if it is full, or -ENOMEM if there is no room for any. */
  send(message: PosixMessage, sender: Sender): number {
    if (this.count >= this.maxMessages) return -EAGAIN
    if (!this.#account.take(costOf(message))) return -ENOMEM
    const before = this.#messages.findIndex(({ priority }) => priority < message.priority)
    this.#messages.splice(before < 0 ? this.count : before, 0, message)
    this.waiters.notify(POLLIN)
    if (this.count === 1 && this.receivers === 0) {
      const { notification } = this
      this.notification = undefined // once
      notification?.tell(sender)
    }
    return 0
  }

  /** Undefined if it is empty. */
  receive(): PosixMessage | undefined {
    const message = this.#messages.shift()
    if (message === undefined) return undefined
    this.#account.giveBack(costOf(message))
    this.waiters.notify(POLLOUT)
    return message
  }

  /** Nobody can open it or reads from it any more. */
  end(): void {
    for (const message of this.#messages) this.#account.giveBack(costOf(message))
    this.#messages.length = 0
  }
}

/** What a new queue is to be like. */
export interface QueueRequest {
  readonly mode: number
  /** Undefined: as usual. */
  readonly shape: { readonly maxMessages: number; readonly messageSize: number } | undefined
  readonly credentials: Credentials
  /** RLIMIT_MSGQUEUE, bytes. */
  readonly limit: number
  readonly now: FileTime
}

/** Those of an IPC namespace. Atomic: every method. */
export class PosixQueues {
  readonly #queues = new Map<string, PosixQueue>()
  readonly #budget: IpcBudget
  #lastInode = 1

  constructor(budget: IpcBudget) {
    this.#budget = budget
  }

  find(name: string): PosixQueue | undefined {
    return this.#queues.get(name)
  }

  /** A new queue under a free name. -EINVAL, -EMFILE, -ENOSPC, -EOVERFLOW. */
  create(name: string, { credentials, limit, mode, now, shape }: QueueRequest): PosixQueue | number {
    const { fsgid, fsuid, ruid } = credentials
    const isPrivileged = hasCapability(credentials, CAP_SYS_RESOURCE)
    if (this.#queues.size >= QUEUES_MAX && !isPrivileged) return -ENOSPC
    const { maxMessages, messageSize } = shape ?? { maxMessages: MSG_MAX, messageSize: MSGSIZE_MAX }
    if (maxMessages <= 0 || messageSize <= 0) return -EINVAL
    if (maxMessages > (isPrivileged ? HARD_MSG_MAX : MSG_MAX)) return -EINVAL
    if (messageSize > (isPrivileged ? HARD_MSGSIZE_MAX : MSGSIZE_MAX)) return -EINVAL
    const bytes = bytesOf(maxMessages, messageSize)
    if (bytes > Number.MAX_SAFE_INTEGER) return -EOVERFLOW
    const { messages, posixQueues } = this.#budget
    const paid = bytes + (posixQueues.get(ruid) ?? 0)
    if (paid > limit) return -EMFILE
    posixQueues.set(ruid, paid)
    const ino = ++this.#lastInode
    const shared = { ino, uid: fsuid, gid: fsgid, mode, maxMessages, messageSize, created: now, payer: ruid }
    const queue = new PosixQueue(shared, messages)
    this.#queues.set(name, queue)
    return queue
  }

  /** mq_unlink(3). The directory is sticky: one's own only. */
  unlink(name: string, credentials: Credentials): number {
    const queue = this.#queues.get(name)
    if (queue === undefined) return -ENOENT
    if (queue.uid !== credentials.fsuid && !hasCapability(credentials, CAP_FOWNER)) return -EPERM
    this.#remove(name, queue)
    return 0
  }

  /** The namespace is gone. */
  unlinkAll(): void {
    for (const [name, queue] of this.#queues) this.#remove(name, queue)
  }

  #remove(name: string, queue: PosixQueue): void {
    this.#queues.delete(name)
    queue.linked = false
    this.forget(queue)
  }

  /** An opening has ended, or the name is gone: with the last of both the queue goes. */
  forget(queue: PosixQueue): void {
    if (queue.linked || queue.openings > 0) return
    const { posixQueues } = this.#budget
    const left = (posixQueues.get(queue.payer) ?? 0) - queue.accounted
    if (left > 0) posixQueues.set(queue.payer, left)
    else posixQueues.delete(queue.payer)
    queue.end()
  }
}
