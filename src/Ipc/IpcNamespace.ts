/**
 * System V IPC objects and POSIX message queues that know nothing of others, ipc_namespaces(7).
 */
import type { Timekeeper } from "../Time/Timekeeper.ts"
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { IpcBudget } from "./IpcBudget.ts"
import { MessageQueues } from "./MessageQueues.ts"
import { PosixQueues } from "./PosixQueues.ts"
import { Semaphores } from "./Semaphores.ts"
import { type Actor, SharedMemory } from "./SharedMemory.ts"

const NANOS_PER_SECOND = 1_000_000_000n

export class IpcNamespace implements Namespace {
  readonly kind = "ipc"
  readonly ino: number
  readonly owner: UserNamespace
  readonly memory: SharedMemory
  readonly semaphores: Semaphores
  readonly messages: MessageQueues
  readonly posixQueues: PosixQueues
  /** Tasks that are in it, and open files that refer to it. Atomic: `use`, `unuse`. */
  #users = 0

  constructor({ ino, owner }: NamespaceIdentity, timekeeper: Timekeeper, actor: Actor, budget: IpcBudget) {
    this.ino = ino
    this.owner = owner
    const now = (): number => Number(timekeeper.realtime() / NANOS_PER_SECOND)
    this.memory = new SharedMemory(owner, now, actor, budget.segments)
    this.semaphores = new Semaphores(owner, now, budget.semaphores)
    this.messages = new MessageQueues(owner, now, budget.messages)
    this.posixQueues = new PosixQueues(budget)
  }

  use(): void {
    this.#users++
  }

  /** "When an IPC namespace is destroyed, all IPC objects in the namespace are automatically destroyed." */
  unuse(): void {
    this.#users--
    if (this.#users > 0) return
    for (const segment of this.memory.segments.all()) this.memory.markRemoved(segment)
    for (const set of this.semaphores.sets.all()) this.semaphores.remove(set)
    for (const queue of this.messages.queues.all()) this.messages.remove(queue)
    this.posixQueues.unlinkAll()
  }
}
