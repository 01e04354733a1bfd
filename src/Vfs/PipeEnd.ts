/**
 * One end of a kernel pipe in the hands of the embedding program: how bytes get in and out of a sandbox with
 * back-pressure. The other end is an ordinary open file of a guest.
 */
import * as Effect from "effect/Effect"
import { EAGAIN } from "../Abi/Errno.ts"
import { POLLERR, POLLHUP, READABLE, WRITABLE } from "../Abi/Poll.ts"
import type { AnonymousFiles } from "./AnonymousFiles.ts"
import { PipeDescription } from "./Pipe.ts"

/** How many bytes one read takes at most. */
const CHUNK = 65_536

/** Runs something soon, never at once: the sandbox's run queue. */
type Schedule = (task: () => void) => void

export class PipeEnd {
  readonly #file: PipeDescription
  readonly #schedule: Schedule
  #closed = false

  constructor(file: PipeDescription, schedule: Schedule) {
    this.#file = file
    this.#schedule = schedule
  }

  /** Resumes when one of `events` may hold. Interruptible. */
  #wait(events: number): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      const { waiters } = this.#file
      const waiter = {
        events,
        wake: () => {
          waiters.remove(waiter)
          this.#schedule(() => resume(Effect.void))
        }
      }
      waiters.add(waiter)
      if ((this.#file.readiness() & (events | POLLERR | POLLHUP)) !== 0) waiter.wake()
      return Effect.sync(() => waiters.remove(waiter))
    })
  }

  /** The next bytes, at least one, as soon as there are any; undefined once every writer is gone. */
  readonly readChunk: Effect.Effect<Uint8Array | undefined> = Effect.suspend(() => {
    const chunk = new Uint8Array(Math.min(CHUNK, Math.max(1, this.#file.pipe.available)))
    const count = this.#closed ? 0 : this.#file.read(chunk)
    if (count === -EAGAIN) return Effect.andThen(this.#wait(READABLE), this.readChunk)
    return Effect.succeed(count > 0 ? chunk.subarray(0, count) : undefined)
  })

  /** Writes everything, waiting for the reader as needed: false if there is none any more. */
  writeAll(bytes: Uint8Array): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (bytes.length === 0) return Effect.succeed(true)
      const count = this.#closed ? -1 : this.#file.write(bytes)
      if (count === bytes.length) return Effect.succeed(true)
      if (count < 0 && count !== -EAGAIN) return Effect.succeed(false)
      return Effect.andThen(this.#wait(WRITABLE), this.writeAll(bytes.subarray(Math.max(0, count))))
    })
  }

  /** Lets go of the end: the guest then sees the end of file, or EPIPE. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#file.release()
  }
}

/** A pipe with one end for a guest and one for the embedding program, which "writes" or "reads". */
export const makePipeEnd = (
  files: AnonymousFiles,
  schedule: Schedule,
  direction: "writes" | "reads"
): { readonly guest: PipeDescription; readonly end: PipeEnd } => {
  const { reader, writer } = PipeDescription.pair(files.attributes("pipe", { fsuid: 0, fsgid: 0 }), 0)
  return direction === "writes"
    ? { guest: reader, end: new PipeEnd(writer, schedule) }
    : { guest: writer, end: new PipeEnd(reader, schedule) }
}
