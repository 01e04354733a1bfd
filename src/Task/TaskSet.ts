/**
 * All tasks of a sandbox, and the mutex over the family tree: parents and children, process groups, sessions, ids.
 */
import { EAGAIN, EEXIST } from "../Abi/Errno.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { Identities } from "./Identities.ts"
import { PID_MAX, type PidNamespace } from "./PidNamespace.ts"
import type { ProcessGroup, Session } from "./ProcessGroup.ts"
import type { Task } from "./Task.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

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
  /** Of ids that have, or had, a number in another PID namespace than the first: the innermost that remembers it. */
  readonly #nested = new Map<number, PidNamespace>()
  #lastId = INIT_PID

  /**
   * An id that no task, process group or session uses, with a number in `namespace` and those above it; -EAGAIN if all
   * are taken, -ENOMEM if the namespace has ended. `wanted`: what it is to be in that namespace and those above it, from
   * the innermost on, where that matters; -EEXIST if one is in use there.
   */
  allocateId(namespace: PidNamespace, wanted: ReadonlyArray<number> = []): number {
    const own = wanted[namespace.level]
    if (own !== undefined) return own === INIT_PID || this.isUsed(own) ? -EEXIST : this.#enroll(own, namespace, wanted)
    for (let tries = 0; tries < PID_MAX; tries++) {
      this.#lastId = this.#lastId + 1 >= PID_MAX ? INIT_PID + 1 : this.#lastId + 1
      const id = this.#lastId
      if (!this.isUsed(id))
        return namespace.parent === undefined && this.#nested.size === 0 ? id : this.#enroll(id, namespace, wanted)
    }
    return -EAGAIN
  }

  /** `id` may be in use no more: a task, process group or session went that had it. */
  releaseId(id: number): void {
    if (this.#nested.size === 0 || this.isUsed(id)) return
    for (let at = this.#nested.get(id); at !== undefined; at = at.parent) this.#release(id, at)
  }

  /** The init of `namespace` is gone. */
  endNamespace(namespace: PidNamespace): void {
    for (const id of namespace.end()) this.#forget(id, namespace)
  }

  #release(id: number, namespace: PidNamespace): void {
    const forgotten = namespace.release(id)
    if (forgotten !== undefined) this.#forget(forgotten, namespace)
  }

  /** `namespace` remembers `id` no more; one above it may. */
  #forget(id: number, namespace: PidNamespace): void {
    if (this.#nested.get(id) !== namespace) return
    let at = namespace.parent
    while (at !== undefined && !at.remembers(id)) at = at.parent
    if (at === undefined) this.#nested.delete(id)
    else this.#nested.set(id, at)
  }

  /** Whether a task, process group or session has `id`. */
  isUsed(id: number): boolean {
    return this.tasks.has(id) || this.groups.has(id) || this.processGroups.has(id) || this.sessions.has(id)
  }

  #enroll(id: number, namespace: PidNamespace, wanted: ReadonlyArray<number>): number {
    for (let at = this.#nested.get(id); at !== undefined; at = at.parent) at.forget(id)
    this.#nested.delete(id)
    for (let at: PidNamespace | undefined = namespace; at?.parent !== undefined; at = at.parent) {
      const error = at.add(id, wanted[namespace.level - at.level])
      if (error < 0) {
        for (let done: PidNamespace | undefined = namespace; done !== at && done !== undefined; done = done.parent) {
          this.#release(id, done)
          done.forget(id)
        }
        return error
      }
    }
    if (namespace.parent !== undefined) this.#nested.set(id, namespace)
    return id
  }
}
