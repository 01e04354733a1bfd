/**
 * An open(2) that must wait: of a FIFO whose other end nobody has opened yet. The syscall layer waits on `waiters`,
 * tries again, and gives up when a signal arrives.
 */
import type { WaitQueue } from "../Sync/WaitQueue.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"

export abstract class PendingOpen {
  /** Woken (POLLIN) when `complete` may succeed. */
  abstract readonly waiters: WaitQueue
  /** The description, -EAGAIN while it must go on waiting, or another -errno. */
  abstract complete(): OpenFileDescription | number
  /** A signal ended the wait: forget that this end was being opened. */
  abstract cancel(): void
}
