/**
 * pidfd_open(2): a process as a file. It stays this process's, whoever gets its number later, and becomes readable when
 * the process ends.
 */
import { O_RDWR } from "../Abi/OpenFlags.ts"
import { POLLHUP, POLLIN, POLLRDNORM } from "../Abi/Poll.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

export class PidFd extends OpenFileDescription {
  readonly group: ThreadGroup
  readonly #stat: Stat

  /** `statusFlags`: O_NONBLOCK (PIDFD_NONBLOCK) or 0. */
  constructor(group: ThreadGroup, stat: Stat, statusFlags: number) {
    super(O_RDWR | statusFlags, group.ended)
    this.group = group
    this.#stat = stat
  }

  override get pollable(): boolean {
    return true
  }

  override stat(): Stat {
    return this.#stat
  }

  override describe(): string {
    return "anon_inode:[pidfd]"
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
