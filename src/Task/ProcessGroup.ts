/**
 * Process groups and sessions, setpgid(2), setsid(2), credentials(7).
 *
 * Guarded by: TaskSet mutex.
 */
import type { TtyOwner } from "../Vfs/TtyOwner.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

export class Session {
  readonly id: number
  /** Undefined once it has been waited for. */
  leader: ThreadGroup | undefined
  /** Its controlling terminal, if that agrees; Task/Terminal.ts. */
  terminal: TtyOwner | undefined

  constructor(id: number, leader?: ThreadGroup) {
    this.id = id
    this.leader = leader
  }
}

export class ProcessGroup {
  readonly id: number
  readonly session: Session
  readonly members = new Set<ThreadGroup>()

  constructor(id: number, session: Session) {
    this.id = id
    this.session = session
  }

  /** The members in the order in which a signal to all of them goes: who came last, first. */
  get newestFirst(): ReadonlyArray<ThreadGroup> {
    return [...this.members].toReversed()
  }
}
