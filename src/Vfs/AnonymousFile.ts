/**
 * What the files of the anonymous inode have in common (epoll, eventfd, timerfd, signalfd, pidfd): attributes that never
 * change, readiness, and a name in /proc/[pid]/fd.
 */
import { O_RDWR } from "../Abi/OpenFlags.ts"
import type { WaitQueue } from "../Sync/WaitQueue.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

/** What locks on all of them are held on: they share one inode. Each sandbox has its own table of locks. */
const ANONYMOUS_INODE = Object.freeze({})

export abstract class AnonymousFile extends OpenFileDescription {
  readonly #stat: Stat
  readonly #kind: string

  /** `kind`: as in "anon_inode:[eventfd]". `statusFlags`: O_NONBLOCK or 0. */
  constructor(kind: string, stat: Stat, statusFlags: number, waiters?: WaitQueue) {
    super(O_RDWR | statusFlags, waiters)
    this.#kind = kind
    this.#stat = stat
  }

  override get pollable(): boolean {
    return true
  }

  override stat(): Stat {
    return this.#stat
  }

  override describe(): string {
    return `anon_inode:[${this.#kind}]`
  }

  override lockTarget(): object {
    return ANONYMOUS_INODE
  }

  override get hasOffsets(): boolean {
    return false
  }

  /** Accepted and without effect, as in Linux. */
  override seek(_offset: number, _whence: number): number {
    return 0
  }
}
