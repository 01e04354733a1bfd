/**
 * An asynchronous I/O context, io_setup(2), of an address space: what has been done and nobody has asked for yet.
 *
 * Atomic: every method.
 */
import type { IoEvent } from "../Abi/Aio.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"

export class AioContext {
  /** How many operations it has room for. */
  readonly size: number
  /** Woken (bit 1) when an operation is done, or the context ends. */
  readonly waiters = new WaitQueue()
  readonly done: Array<IoEvent> = []
  /** Operations accepted and not done. */
  inFlight = 0
  destroyed = false

  constructor(size: number) {
    this.size = size
  }

  get hasRoom(): boolean {
    return this.done.length + this.inFlight < this.size
  }

  complete(event: IoEvent): void {
    this.inFlight--
    this.done.push(event)
    this.waiters.notify(1)
  }

  destroy(): void {
    this.destroyed = true
    this.waiters.notify(1)
  }
}
