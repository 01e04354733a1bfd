/**
 * An open POSIX message queue: a descriptor as any other, which poll(2) knows and read(2) describes.
 */
import { SEEK_CUR, SEEK_END, SEEK_SET } from "../Abi/At.ts"
import { EBADF, EINVAL } from "../Abi/Errno.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { PosixQueue, PosixQueues } from "./PosixQueues.ts"

const S_IFREG = 0o100000
/** Of the file system that they are in. */
const DEVICE = 17
/** st_size: what read(2) may give at most. */
const TEXT_SIZE = 80

export class PosixQueueDescription extends OpenFileDescription {
  readonly queue: PosixQueue
  readonly #queues: PosixQueues
  readonly #name: string
  #offset = 0

  constructor(queues: PosixQueues, queue: PosixQueue, name: string, statusFlags: number) {
    super(statusFlags, queue.waiters)
    this.queue = queue
    this.#queues = queues
    this.#name = name
    queue.openings++
  }

  override get pollable(): boolean {
    return true
  }

  override readiness(): number {
    return this.queue.readiness()
  }

  override stat(): Stat {
    const { created, gid, ino, linked, mode, uid } = this.queue
    return {
      dev: DEVICE,
      ino,
      mode: S_IFREG | mode,
      nlink: linked ? 1 : 0,
      uid,
      gid,
      rdev: 0,
      size: TEXT_SIZE,
      blksize: 4096,
      blocks: 0,
      atime: created,
      mtime: created,
      ctime: created
    }
  }

  override describe(): string {
    return `/${this.#name}${this.queue.linked ? "" : " (deleted)"}`
  }

  #text(): Uint8Array {
    const { notification, size } = this.queue
    const { notify = 0, pid = 0, signo = 0 } = notification ?? {}
    const field = (value: number, width: number): string => String(value).padEnd(width)
    const text = `QSIZE:${field(size, 10)} NOTIFY:${field(notify, 5)} SIGNO:${field(signo, 5)} NOTIFY_PID:${field(pid, 6)}\n`
    return Buffer.from(text, "latin1")
  }

  override readAt(into: Uint8Array, offset: number): number {
    if (!this.readable) return -EBADF
    const rest = this.#text().subarray(offset, offset + into.length)
    into.set(rest)
    return rest.length
  }

  override read(into: Uint8Array): number {
    const count = this.readAt(into, this.#offset)
    if (count > 0) this.#offset += count
    return count
  }

  override seek(offset: number, whence: number): number {
    const origin = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? this.#offset : whence === SEEK_END ? TEXT_SIZE : NaN
    const to = origin + offset
    if (!(to >= 0)) return -EINVAL
    this.#offset = to
    return to
  }

  override onDescriptorClosed(table: object): void {
    if (this.queue.notification?.table === table) this.queue.notification = undefined
  }

  protected override onLastClose(): void {
    this.queue.openings--
    this.#queues.forget(this.queue)
  }
}
