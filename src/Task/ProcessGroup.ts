/**
 * Process groups and sessions, setpgid(2), setsid(2), credentials(7).
 *
 * Guarded by: TaskSet mutex.
 */
import type { ThreadGroup } from "./ThreadGroup.ts"

export interface Session {
  readonly id: number
  readonly leader: ThreadGroup
}

export class ProcessGroup {
  readonly id: number
  readonly session: Session
  readonly members = new Set<ThreadGroup>()

  constructor(id: number, session: Session) {
    this.id = id
    this.session = session
  }
}
