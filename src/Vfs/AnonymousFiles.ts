/**
 * What files without a name share: pipes, sockets, epoll instances, eventfds, timerfds. One per sandbox.
 *
 * Their inode numbers are the kernel's own and count up from 1, so that they are the same in every run.
 */
import type { Timekeeper } from "../Time/Timekeeper.ts"
import type { Timers } from "../Time/Timers.ts"
import { InotifyUsers } from "./Inotify.ts"
import type { InFlight } from "./SocketMessage.ts"
import { SocketInodes } from "./SocketNames.ts"
import type { FileTime, Stat } from "./Stat.ts"

/** Who owns an anonymous file: the filesystem ids of its maker. */
export interface Owner {
  readonly fsuid: number
  readonly fsgid: number
}

/** Device numbers, as the first unnamed filesystems of a Linux host get them. */
const DEVICES = { socket: 8, pipe: 14, anon_inode: 15 } as const

const S_IFIFO = 0o010000
const S_IFSOCK = 0o140000
const TYPES = { socket: S_IFSOCK | 0o777, pipe: S_IFIFO | 0o600, anon_inode: 0o600 } as const

/** What kind of anonymous file, as /proc/[pid]/fd shows it. */
export type AnonymousKind = keyof typeof DEVICES

const NANOS_PER_SECOND = 1_000_000_000n

export class AnonymousFiles {
  readonly timekeeper: Timekeeper
  readonly timers: Timers
  /** Where sockets with names in the filesystem are found. */
  readonly sockets = new SocketInodes()
  readonly inotifyUsers = new InotifyUsers()
  readonly inFlight: InFlight = { count: 0 }
  #lastInode = 0

  constructor(timekeeper: Timekeeper, timers: Timers) {
    this.timekeeper = timekeeper
    this.timers = timers
  }

  nextInode(): number {
    this.#lastInode++
    return this.#lastInode
  }

  /** CLOCK_REALTIME as a file time. */
  now(): FileTime {
    const nanos = this.timekeeper.realtime()
    return { seconds: Number(nanos / NANOS_PER_SECOND), nanoseconds: Number(nanos % NANOS_PER_SECOND) }
  }

  /** The attributes of a new anonymous file; they never change. */
  attributes(kind: AnonymousKind, owner: Owner): Stat {
    const now = this.now()
    return {
      dev: DEVICES[kind],
      ino: this.nextInode(),
      mode: TYPES[kind],
      nlink: 1,
      uid: owner.fsuid,
      gid: owner.fsgid,
      rdev: 0,
      size: 0,
      blksize: 4096,
      blocks: 0,
      atime: now,
      mtime: now,
      ctime: now
    }
  }
}
