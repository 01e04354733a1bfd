/**
 * Leases on one file, fcntl(2), "Leases": who holds one is told before somebody else opens the file in a way that
 * conflicts, or shortens it, and has a while to let go of it.
 *
 * Atomic: every method. Nothing here blocks: who is in conflict waits on `waiters` and tries again.
 */
import { EAGAIN } from "../Abi/Errno.ts"
import { F_RDLCK, F_UNLCK, F_WRLCK } from "../Abi/Fcntl.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Inode } from "./Inode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"

/** Nanoseconds that a holder has: /proc/sys/fs/lease-break-time. */
export const LEASE_BREAK_TIME = 45_000_000_000n

interface Lease {
  /** F_RDLCK or F_WRLCK. */
  type: number
  /** What it is to become, once a break has begun: F_RDLCK, F_UNLCK. */
  breakTo: number | undefined
  /** Tells the holder: a signal. */
  readonly tell: () => void
}

export class Leases {
  readonly waiters = new WaitQueue()
  readonly #inode: Inode
  readonly #held = new Map<OpenFileDescription, Lease>()

  constructor(inode: Inode) {
    this.#inode = inode
  }

  /** F_SETLEASE by `file`, which is open on the inode: 0 or -EAGAIN. */
  static set(inode: Inode, file: OpenFileDescription, type: number, tell: () => void): number {
    if (type === F_UNLCK) return inode.leases?.release(file) ?? -EAGAIN
    if (type === F_RDLCK ? inode.writers > 0 : inode.writers + inode.readers > 1) return -EAGAIN
    const leases = inode.leases ?? new Leases(inode)
    for (const [holder, lease] of leases.#held) {
      if (holder !== file && (type === F_WRLCK || lease.breakTo === F_UNLCK)) return -EAGAIN
    }
    inode.leases = leases
    const own = leases.#held.get(file)
    if (own === undefined) {
      leases.#held.set(file, { type, breakTo: undefined, tell })
      file.atRelease(() => void leases.release(file))
    } else leases.#change(own, type)
    return 0
  }

  /** F_GETLEASE: what `file` holds, or what that is to become. */
  typeOf(file: OpenFileDescription): number {
    const lease = this.#held.get(file)
    return lease === undefined ? F_UNLCK : (lease.breakTo ?? lease.type)
  }

  #change(lease: Lease, type: number): void {
    lease.type = type
    lease.breakTo = undefined
    this.waiters.notify(1)
  }

  /** 0, or -EAGAIN if `file` holds none. */
  release(file: OpenFileDescription): number {
    if (!this.#held.delete(file)) return -EAGAIN
    if (this.#held.size === 0) this.#inode.leases = undefined
    this.waiters.notify(1)
    return 0
  }

  /** Whether opening the file, to write to it or only to read it, must wait; tells holders who have not been told. */
  break(writes: boolean): boolean {
    let conflict = false
    for (const lease of this.#held.values()) {
      if (!writes && lease.type !== F_WRLCK) continue
      conflict = true
      if (lease.breakTo === F_UNLCK || (!writes && lease.breakTo !== undefined)) continue
      lease.breakTo = writes ? F_UNLCK : F_RDLCK
      lease.tell()
    }
    return conflict
  }

  /** The time is over: leases become what they were to become. */
  expire(): void {
    for (const [file, lease] of this.#held) {
      if (lease.breakTo === F_UNLCK) this.release(file)
      else if (lease.breakTo !== undefined) this.#change(lease, lease.breakTo)
    }
  }
}
