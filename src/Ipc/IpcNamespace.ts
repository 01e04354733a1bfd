/**
 * The System V IPC objects of one sandbox, ipc_namespaces(7).
 */
import type { Timekeeper } from "../Time/Timekeeper.ts"
import { MessageQueues } from "./MessageQueues.ts"
import { Semaphores } from "./Semaphores.ts"
import { SharedMemory } from "./SharedMemory.ts"

const NANOS_PER_SECOND = 1_000_000_000n

export class IpcNamespace {
  readonly memory: SharedMemory
  readonly semaphores: Semaphores
  readonly messages: MessageQueues

  constructor(timekeeper: Timekeeper) {
    const now = (): number => Number(timekeeper.realtime() / NANOS_PER_SECOND)
    this.memory = new SharedMemory(now)
    this.semaphores = new Semaphores(now)
    this.messages = new MessageQueues(now)
  }
}
