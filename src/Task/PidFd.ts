/**
 * pidfd_open(2): a process as a file. It stays this process's, whoever gets its number later, and becomes readable when
 * the process ends.
 */
import { POLLHUP, POLLIN, POLLRDNORM } from "../Abi/Poll.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

export class PidFd extends AnonymousFile {
  readonly group: ThreadGroup

  /** `statusFlags`: O_NONBLOCK (PIDFD_NONBLOCK) or 0. */
  constructor(group: ThreadGroup, stat: Stat, statusFlags: number) {
    super("pidfd", stat, statusFlags, group.ended)
    this.group = group
  }

  override details(): string {
    const id = this.group.state === "Dead" ? -1 : this.group.tgid
    return `Pid:\t${id}\nNSpid:\t${id}\n`
  }

  override readiness(): number {
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
