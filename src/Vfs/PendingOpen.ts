/**
 * An open(2) that must wait: of a FIFO whose other end nobody has opened yet, or of a file that is leased. The syscall layer waits on `waiters`,
 * tries again, and gives up when a signal arrives.
 */
import { EAGAIN } from "../Abi/Errno.ts"
import type { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Inode } from "./Inode.ts"
import { LEASE_BREAK_TIME, type Leases } from "./Leases.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"

export abstract class PendingOpen {
  /** Woken (POLLIN) when `complete` may succeed. */
  abstract readonly waiters: WaitQueue
  /** The description, -EAGAIN while it must go on waiting, or another -errno. */
  abstract complete(): OpenFileDescription | number
  /** Nanoseconds after which `expire` is called and the wait ends with one last try. Undefined: it may last for ever. */
  get patience(): bigint | undefined {
    return undefined
  }
  expire(): void {}
  /** A signal ended the wait: forget that this end was being opened. */
  abstract cancel(): void
}

/** Holders of leases on `inode`, who have been told, must let go of them first. */
export class LeasedOpen extends PendingOpen {
  override readonly waiters: WaitQueue
  readonly #inode: Inode
  readonly #writes: boolean
  readonly #open: () => OpenFileDescription | number

  constructor(inode: Inode, leases: Leases, writes: boolean, open: () => OpenFileDescription | number) {
    super()
    this.waiters = leases.waiters
    this.#inode = inode
    this.#writes = writes
    this.#open = open
  }

  override get patience(): bigint {
    return LEASE_BREAK_TIME
  }

  complete(): OpenFileDescription | number {
    return this.#inode.leases?.break(this.#writes) === true ? -EAGAIN : this.#open()
  }

  override expire(): void {
    this.#inode.leases?.expire()
  }

  cancel(): void {}
}
