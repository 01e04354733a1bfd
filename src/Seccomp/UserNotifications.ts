/**
 * Calls that wait for somebody's answer, seccomp_unotify(2): the queue behind a listener's descriptor.
 *
 *     Init ──RECV──▶ Sent ──SEND, ADDFD with SEND, listener closed──▶ Replied
 *
 * A caller that a signal interrupts takes its notification out of the queue, in whatever state.
 */
import { EAGAIN, EBADF, EINPROGRESS, EINVAL, EMFILE, ENOENT, ENOSYS } from "../Abi/Errno.ts"
import { POLLHUP, READABLE, WRITABLE } from "../Abi/Poll.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { SECCOMP_ADDFD_FLAG_SEND, SECCOMP_ADDFD_FLAG_SETFD, SECCOMP_USER_NOTIF_FLAG_CONTINUE } from "../Abi/Seccomp.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { FdTable } from "../Vfs/FdTable.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** What a notification needs to know of the task that waits. */
export interface NotifyingTask {
  readonly tid: number
  readonly fds: FdTable
  readonly threadGroup: { readonly limits: { readonly soft: (resource: number) => number } }
}

/** What the call is to end with. */
export interface Reply {
  readonly value: bigint
  /** 0, or an errno, negative as the listener gave it. */
  readonly error: number
  /** The kernel is to execute the call after all. */
  readonly continues: boolean
}

/** One call that waits. */
export class Notification {
  readonly id: bigint
  readonly task: NotifyingTask
  /** `struct seccomp_data` as it was when the call was made. */
  readonly data: Uint8Array
  state: "Init" | "Sent" | "Replied" = "Init"
  reply: Reply | undefined
  /** Wakes the caller. */
  wake: (() => void) | undefined

  constructor(id: bigint, task: NotifyingTask, data: Uint8Array) {
    this.id = id
    this.task = task
    this.data = data
  }

  get isAnswered(): boolean {
    return this.reply !== undefined
  }

  /** Atomic. */
  answer(reply: Reply): void {
    this.state = "Replied"
    this.reply = reply
    this.wake?.()
  }
}

/** Atomic: every method. */
export class UserNotifications {
  /** Woken with poll(2) bits. */
  readonly waiters = new WaitQueue()
  /** SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: once received, only a fatal signal interrupts a caller. */
  readonly killableWait: boolean
  readonly #queue = new Set<Notification>()
  #nextId: bigint
  /**
   * Calls to receive. As in Linux one that was interrupted before somebody received it still counts: whoever receives it
   * finds nothing (ENOENT).
   */
  #requests = 0
  #open = true

  constructor(firstId: bigint, killableWait: boolean) {
    this.#nextId = firstId
    this.killableWait = killableWait
  }

  /** The listener's descriptor is still open somewhere. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Queues a call. */
  post(task: NotifyingTask, data: Uint8Array): Notification {
    const notification = new Notification(this.#nextId, task, data)
    this.#nextId = BigInt.asUintN(64, this.#nextId + 1n)
    this.#queue.add(notification)
    this.#requests++
    this.waiters.notify(READABLE)
    return notification
  }

  /** The caller goes on. */
  withdraw(notification: Notification): void {
    this.#queue.delete(notification)
  }

  /** The next call to decide on, with -EAGAIN if there is none to wait for, and -ENOENT if it is gone again. */
  receive(isOrphan: boolean): Notification | number {
    if (!isOrphan) {
      if (this.#requests === 0) return -EAGAIN
      this.#requests--
    }
    for (const notification of this.#queue) {
      if (notification.state !== "Init") continue
      notification.state = "Sent"
      this.waiters.notify(WRITABLE)
      return notification
    }
    return -ENOENT
  }

  /** It could not be handed over: the next receiver gets it. */
  unreceive(notification: Notification): void {
    notification.state = "Init"
    this.#requests++
    this.waiters.notify(READABLE)
  }

  #find(id: bigint): Notification | undefined {
    for (const notification of this.#queue) if (notification.id === id) return notification
    return undefined
  }

  /** Whether the call `id` still waits for an answer: 0 or -ENOENT. */
  check(id: bigint): number {
    return this.#find(id)?.state === "Sent" ? 0 : -ENOENT
  }

  /** Answers call `id`: 0, -EINVAL, -ENOENT, or -EINPROGRESS if it was not received, or answered already. */
  send(id: bigint, value: bigint, error: number, flags: number): number {
    if ((flags & ~SECCOMP_USER_NOTIF_FLAG_CONTINUE) !== 0) return -EINVAL
    const continues = flags !== 0
    if (continues && (error !== 0 || value !== 0n)) return -EINVAL
    const notification = this.#find(id)
    if (notification === undefined) return -ENOENT
    if (notification.state !== "Sent") return -EINPROGRESS
    notification.answer({ value, error, continues })
    return 0
  }

  /** Gives the caller `file` as a descriptor: its number, and with the flag SEND that is the answer; or -errno. */
  addFile(id: bigint, file: OpenFileDescription, flags: number, wanted: number, closeOnExec: boolean): number {
    const notification = this.#find(id)
    if (notification === undefined) return -ENOENT
    if (notification.state !== "Sent") return -EINPROGRESS
    const { fds, threadGroup } = notification.task
    const limit = threadGroup.limits.soft(RLIMIT_NOFILE)
    let number = wanted
    if ((flags & SECCOMP_ADDFD_FLAG_SETFD) !== 0) {
      if (wanted >= limit) return -EBADF
      fds.replace(wanted, file.retain(), closeOnExec)
    } else {
      if (!fds.hasRoom(limit)) return -EMFILE
      number = fds.install(file.retain(), closeOnExec, limit)
    }
    if ((flags & SECCOMP_ADDFD_FLAG_SEND) !== 0) {
      notification.answer({ value: BigInt(number), error: 0, continues: false })
    }
    return number
  }

  /** poll(2) bits. */
  readiness(isOrphan: boolean): number {
    let bits = isOrphan ? POLLHUP : 0
    for (const { state } of this.#queue) {
      if (state === "Init") bits |= READABLE
      if (state === "Sent") bits |= WRITABLE
    }
    return bits
  }

  /** The listener is gone: nobody will answer. */
  close(): void {
    this.#open = false
    for (const notification of this.#queue) {
      if (notification.state !== "Replied") notification.answer({ value: 0n, error: -ENOSYS, continues: false })
    }
  }
}
