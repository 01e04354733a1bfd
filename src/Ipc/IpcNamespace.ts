/**
 * System V IPC objects and POSIX message queues that know nothing of others, ipc_namespaces(7).
 */
import type { Timekeeper } from "../Time/Timekeeper.ts"
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
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
  readonly posixQueues = new PosixQueues()

  constructor({ ino, owner }: NamespaceIdentity, timekeeper: Timekeeper, actor: Actor) {
    this.ino = ino
    this.owner = owner
    const now = (): number => Number(timekeeper.realtime() / NANOS_PER_SECOND)
    this.memory = new SharedMemory(owner, now, actor)
    this.semaphores = new Semaphores(owner, now)
    this.messages = new MessageQueues(owner, now)
  }
}
