/**
 * System V message queues, msgop(2). A message goes straight to who waits for its type, if somebody does.
 */
import { E2BIG, EAGAIN, EIDRM, ENOMEM, ENOMSG, ENOSPC } from "../Abi/Errno.ts"
import { MSG_COPY, MSG_EXCEPT, MSG_NOERROR, MSGMNB, MSGMNI, type Msqid64Ds } from "../Abi/Ipc.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { IpcBudget } from "./IpcBudget.ts"
import { IpcIds, IpcObject } from "./IpcIds.ts"

/** What a message costs besides its text, and a queue. */
const MESSAGE_COST = 256
const QUEUE_COST = 512

const costOf = ({ text }: Message): number => text.length + MESSAGE_COST

export interface Message {
  /** A positive `long`. */
  readonly type: bigint
  readonly text: Uint8Array
}

/** What msgrcv(2) asks for. */
export interface Wanted {
  /** 0: any; below 0: the lowest up to it; else this one, or with MSG_EXCEPT any other; with MSG_COPY a position. */
  readonly type: bigint
  /** Bytes that the caller takes. */
  readonly size: number
  readonly flags: number
  readonly pid: number
}

/** Somebody who waits for a message: gets one, or -errno. */
export interface Receiver extends Wanted {
  result: Message | number | undefined
  onResult: (() => void) | undefined
}

const accepts = ({ flags, type }: Wanted, message: Message): boolean => {
  if (type === 0n) return true
  if (type < 0n) return message.type <= -type
  return (message.type === type) !== ((flags & MSG_EXCEPT) !== 0)
}

export class MessageQueue extends IpcObject {
  readonly messages: Array<Message> = []
  bytes = 0
  maximumBytes = MSGMNB
  lastSender = 0
  lastReceiver = 0
  sendTime = 0
  receiveTime = 0
  /** Woken (bit 1) when there may be room, or the queue is gone. */
  readonly room = new WaitQueue()
  readonly #receivers = new Set<Receiver>()
  readonly #now: () => number
  readonly #account: IpcBudget["messages"]

  constructor(key: number, mode: number, creator: Credentials, now: () => number, account: IpcBudget["messages"]) {
    super(key, mode, creator, now())
    this.#now = now
    this.#account = account
  }

  status(viewer: UserNamespace): Msqid64Ds {
    return {
      msg_perm: this.permissions(viewer),
      msg_stime: this.sendTime,
      msg_rtime: this.receiveTime,
      msg_ctime: this.ctime,
      msg_cbytes: this.bytes,
      msg_qnum: this.messages.length,
      msg_qbytes: this.maximumBytes,
      msg_lspid: this.lastSender,
      msg_lrpid: this.lastReceiver,
      unused4: 0n,
      unused5: 0n
    }
  }

  /** 0, -EAGAIN if there is no room in the queue, -ENOMEM if there is none at all, -EIDRM. */
  send(message: Message, pid: number): number {
    if (this.removed) return -EIDRM
    const size = message.text.length
    if (this.bytes + size > this.maximumBytes || this.messages.length + 1 > this.maximumBytes) return -EAGAIN
    const isDelivered = this.#deliver(message)
    if (!isDelivered && !this.#account.take(costOf(message))) return -ENOMEM
    this.lastSender = pid
    this.sendTime = this.#now()
    if (isDelivered) return 0
    this.messages.push(message)
    this.bytes += size
    return 0
  }

  /** Takes the message that is wanted; -ENOMSG if there is none, -E2BIG, -EIDRM. */
  take(wanted: Wanted): Message | number {
    if (this.removed) return -EIDRM
    const index = this.#search(wanted)
    const message = this.messages[index]
    if (message === undefined) return -ENOMSG
    if (message.text.length > wanted.size && (wanted.flags & MSG_NOERROR) === 0) return -E2BIG
    if ((wanted.flags & MSG_COPY) !== 0) return message
    this.messages.splice(index, 1)
    this.bytes -= message.text.length
    this.#account.giveBack(costOf(message))
    this.#received(wanted)
    this.room.notify(1)
    return message
  }

  listen(receiver: Receiver): void {
    this.#receivers.add(receiver)
  }

  forget(receiver: Receiver): void {
    this.#receivers.delete(receiver)
  }

  /** Everybody who waits fails. */
  end(): void {
    for (const message of this.messages.splice(0)) this.#account.giveBack(costOf(message))
    for (const receiver of this.#receivers) this.#answer(receiver, -EIDRM)
    this.room.notify(1)
  }

  #search(wanted: Wanted): number {
    if ((wanted.flags & MSG_COPY) !== 0) return wanted.type >= 0n ? Number(wanted.type) : -1
    let best = -1
    for (let index = 0; index < this.messages.length; index++) {
      const message = this.messages[index]!
      if (!accepts(wanted, message)) continue
      if (wanted.type >= 0n) return index
      if (best < 0 || message.type < this.messages[best]!.type) best = index
    }
    return best
  }

  #deliver(message: Message): boolean {
    for (const receiver of this.#receivers) {
      if (!accepts(receiver, message)) continue
      if (message.text.length > receiver.size && (receiver.flags & MSG_NOERROR) === 0) {
        this.#answer(receiver, -E2BIG)
        continue
      }
      this.#received(receiver)
      this.#answer(receiver, message)
      return true
    }
    return false
  }

  #received({ pid }: Wanted): void {
    this.lastReceiver = pid
    this.receiveTime = this.#now()
  }

  #answer(receiver: Receiver, result: Message | number): void {
    this.#receivers.delete(receiver)
    receiver.result = result
    receiver.onResult?.()
  }
}

export class MessageQueues {
  readonly queues: IpcIds<MessageQueue>
  readonly now: () => number
  readonly #account: IpcBudget["messages"]

  /** `account`: the bytes of all messages of all namespaces. */
  constructor(userNamespace: UserNamespace, now: () => number, account: IpcBudget["messages"]) {
    this.#account = account
    this.queues = new IpcIds<MessageQueue>(MSGMNI, userNamespace)
    this.now = now
  }

  /** msgget(2): the id, or -errno. */
  open(key: number, flags: number, credentials: Credentials): number {
    return this.queues.open(
      key,
      flags,
      credentials,
      () =>
        this.queues.isFull || !this.#account.take(QUEUE_COST)
          ? -ENOSPC
          : new MessageQueue(key, flags, credentials, this.now, this.#account),
      () => 0
    )
  }

  /** IPC_RMID. */
  remove(queue: MessageQueue): void {
    this.queues.remove(queue)
    this.#account.giveBack(QUEUE_COST)
    queue.end()
  }
}
