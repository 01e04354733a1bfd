/**
 * All tasks of a sandbox, and the mutex over the family tree: parents and children, process groups, sessions, ids.
 */
import { EAGAIN } from "../Abi/Errno.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { Identities } from "./Identities.ts"
import type { ProcessGroup, Session } from "./ProcessGroup.ts"
import type { Task } from "./Task.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** PID_MAX_LIMIT of a default kernel. */
const PID_MAX = 4_194_304

/** Id 1 is the kernel's own, the parent of the first program and of orphans. */
export const INIT_PID = 1

export class TaskSet {
  /** Protects everything here, and `parent`, `children`, `processGroup`, the exit states of all thread groups. */
  readonly mutex = new Mutex()
  /** For kcmp(2). */
  readonly identities = new Identities()
  readonly tasks = new Map<number, Task>()
  readonly groups = new Map<number, ThreadGroup>()
  readonly processGroups = new Map<number, ProcessGroup>()
  readonly sessions = new Map<number, Session>()
  #lastId = INIT_PID

  /** An id that no task, process group or session uses; -EAGAIN if all are taken. */
  allocateId(): number {
    for (let tries = 0; tries < PID_MAX; tries++) {
      this.#lastId = this.#lastId + 1 >= PID_MAX ? INIT_PID + 1 : this.#lastId + 1
      const id = this.#lastId
      if (!this.tasks.has(id) && !this.groups.has(id) && !this.processGroups.has(id) && !this.sessions.has(id))
        return id
    }
    return -EAGAIN
  }
}
