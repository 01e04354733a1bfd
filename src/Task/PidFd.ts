/**
 * pidfd_open(2): a process as a file. It stays this process's, whoever gets its number later, and becomes readable when
 * the process ends.
 */
import { EINVAL, ESPIPE } from "../Abi/Errno.ts"
import { O_EXCL } from "../Abi/OpenFlags.ts"
import { POLLHUP, POLLIN, POLLRDNORM } from "../Abi/Poll.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { Task } from "./Task.ts"
import { ThreadGroup } from "./ThreadGroup.ts"

/** The descriptor refers to one thread. */
export const PIDFD_THREAD = O_EXCL

export class PidFd extends AnonymousFile {
  readonly group: ThreadGroup
  /** The thread that it refers to, with PIDFD_THREAD. */
  readonly thread: Task | undefined

  /** `statusFlags`: O_NONBLOCK (PIDFD_NONBLOCK), PIDFD_THREAD. */
  constructor(subject: ThreadGroup | Task, stat: Stat, statusFlags: number) {
    const group = subject instanceof ThreadGroup ? subject : subject.threadGroup
    super("pidfd", stat, statusFlags, group === subject ? group.ended : group.taskExits)
    this.group = group
    this.thread = subject instanceof ThreadGroup ? undefined : subject
  }

  override lockTarget(): object {
    return this.thread ?? this.group
  }

  override get hasOffsets(): boolean {
    return true
  }

  override readAt(_into: Uint8Array, _offset: number): number {
    return -EINVAL
  }

  override writeAt(_from: Uint8Array, _offset: number): number {
    return -EINVAL
  }

  override seek(_offset: number, _whence: number): number {
    return -ESPIPE
  }

  override details(): string {
    const id = this.#isGone ? -1 : (this.thread?.tid ?? this.group.tgid)
    return `Pid:\t${id}\nNSpid:\t${id}\n`
  }

  get #isGone(): boolean {
    const { group, thread } = this
    return thread === undefined || thread.isLeader ? group.state === "Dead" : !group.tasks.has(thread)
  }

  override readiness(): number {
    const { group, thread } = this
    if (thread !== undefined && !thread.isLeader) {
      return group.tasks.has(thread) ? 0 : POLLIN | POLLRDNORM | POLLHUP
    }
    switch (this.group.state) {
      case "Alive":
        return 0
      case "Zombie":
        return POLLIN | POLLRDNORM
      case "Dead":
        return POLLIN | POLLRDNORM | POLLHUP
    }
  }
}
