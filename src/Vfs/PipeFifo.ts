/**
 * FIFOs, fifo(7): pipes found by name. The data belongs to the inode while anybody has it open, and open(2) waits for
 * the other end.
 */
import { EAGAIN, EINVAL, ENXIO } from "../Abi/Errno.ts"
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from "../Abi/OpenFlags.ts"
import type { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Inode, OpenRequest } from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import { PendingOpen } from "./PendingOpen.ts"
import { Pipe, PipeDescription } from "./Pipe.ts"

/** An open that waits until the other end was opened: that the peer came and went counts. */
class PendingFifo extends PendingOpen {
  readonly #file: PipeDescription
  readonly #place: Location
  readonly #partners: () => number
  readonly #before: number

  constructor(file: PipeDescription, place: Location, partners: () => number) {
    super()
    this.#file = file
    this.#place = place
    this.#partners = partners
    this.#before = partners()
  }

  override get waiters(): WaitQueue {
    return this.#file.waiters
  }

  override complete(): OpenFileDescription | number {
    return this.#partners() === this.#before ? -EAGAIN : this.#file.announce(this.#place)
  }

  override cancel(): void {
    this.#file.release()
  }
}

/** The FIFOs of one sandbox. */
export class Fifos {
  readonly #pipes = new WeakMap<Inode, Pipe>()

  /** open(2) of a FIFO. -ENXIO for O_WRONLY|O_NONBLOCK without a reader. */
  open(inode: Inode, request: OpenRequest): OpenFileDescription | PendingOpen | number {
    let pipe = this.#pipes.get(inode)
    if (pipe === undefined) {
      pipe = new Pipe()
      this.#pipes.set(inode, pipe)
    }
    const fifo = pipe
    const access = request.flags & O_ACCMODE
    const nonBlocking = (request.flags & O_NONBLOCK) !== 0
    if (access !== O_RDONLY && access !== O_WRONLY && access !== O_RDWR) return -EINVAL
    if (access === O_WRONLY && nonBlocking && fifo.readers === 0) return -ENXIO
    const mustWait =
      !nonBlocking && (access === O_RDONLY ? fifo.writers === 0 : access === O_WRONLY && fifo.readers === 0)
    const file = new PipeDescription(fifo, request.flags, {
      stat: () => inode.stat(),
      describe: () => pathOf(request.location, request.caller.fs.root),
      location: request.location,
      lockTarget: inode
    })
    if (!mustWait) return file
    const partners = access === O_RDONLY ? () => fifo.writersEver : () => fifo.readersEver
    return new PendingFifo(file, request.location, partners)
  }
}
