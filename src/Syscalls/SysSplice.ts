/**
 * Moving bytes between files without the application: sendfile(2), copy_file_range(2), splice(2), tee(2), vmsplice(2).
 *
 * Bytes are taken from the source only once the destination has them: what does not fit stays where it was.
 */
import { SEEK_CUR, SEEK_SET } from "../Abi/At.ts"
import {
  EAGAIN,
  EBADF,
  EFAULT,
  EFBIG,
  EINVAL,
  EISDIR,
  EOVERFLOW,
  EPIPE,
  ERESTARTSYS,
  ESPIPE,
  EXDEV
} from "../Abi/Errno.ts"
import { IN_ACCESS, IN_MODIFY } from "../Abi/InotifyFlags.ts"
import { MAX_RW_COUNT, SPLICE_F_NONBLOCK, SPLICE_NAMES } from "../Abi/Fcntl.ts"
import { S_IFMT, isDirectory, isRegular } from "../Abi/FileMode.ts"
import { O_APPEND, O_NONBLOCK } from "../Abi/OpenFlags.ts"
import { READABLE, WRITABLE } from "../Abi/Poll.ts"
import { RLIMIT_FSIZE } from "../Abi/Resource.ts"
import { SIGPIPE, SIGXFSZ } from "../Abi/Signal.ts"
import { address, declare, fd, flags, type Result, size, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { PipeDescription } from "../Vfs/Pipe.ts"
import { fileOf, isNonBlocking, waitForFile, waitHolding, withStatusFlags } from "./Blocking.ts"
import { readFile, writeFile } from "./SysReadWrite.ts"
import { TRANSFER_SIZE, transferBuffer, userVector } from "./UserVector.ts"

const isSeekable = (file: OpenFileDescription): boolean => file.seek(0, SEEK_CUR) !== -ESPIPE

/** A file with a position of its own or the application's, as the source or the destination of a transfer. */
class End {
  readonly file: OpenFileDescription
  /** Where the next byte is; undefined for what has no offsets. */
  position: number | undefined
  /** Where the application's copy of the position is; 0: the file's own position moves. */
  readonly #pointer: number

  /** RLIMIT_FSIZE cut the last write short. */
  reachedLimit = false

  constructor(file: OpenFileDescription, position: number | undefined, pointer: number) {
    this.file = file
    this.position = position
    this.#pointer = pointer
  }

  /** -ESPIPE for an offset into what has none, -EFAULT, -EINVAL for a negative one. `known`: what `pointer` leads to, if read. */
  static at(task: Task, file: OpenFileDescription, pointer: number, known?: number): End | number {
    if (pointer === 0) return new End(file, isSeekable(file) ? file.seek(0, SEEK_CUR) : undefined, 0)
    if (!file.hasOffsets) return -ESPIPE
    const position = known ?? task.memory.readU64(pointer)
    if (position < 0) return -EFAULT
    return position > 2 ** 63 ? -EINVAL : new End(file, position, pointer)
  }

  /** Looks at up to `into.length` bytes; `took` says how many of them were used. */
  look(into: Uint8Array): number {
    if (this.file instanceof PipeDescription) return this.file.pipe.peek(into)
    return this.position === undefined ? this.file.read(into) : this.file.readAt(into, this.position)
  }

  /** The destination took `used` of the `seen` bytes in `bytes`. */
  took(bytes: Uint8Array, seen: number, used: number): void {
    if (this.position !== undefined) this.position += used
    else if (this.file instanceof PipeDescription) this.file.pipe.read(bytes.subarray(0, used))
    else if (used < seen) this.file.unread(seen, used)
  }

  /** Writes as much as RLIMIT_FSIZE allows; -EFBIG and SIGXFSZ if that is nothing. */
  put(task: Task, from: Uint8Array): number {
    const { position } = this
    const file = this.file.facing(task)
    const allowed = file.withinSizeLimit(from.length, position, task.threadGroup.limits.soft(RLIMIT_FSIZE))
    if (allowed === -EFBIG) task.raise(SIGXFSZ)
    if (allowed < 0) return allowed
    this.reachedLimit = allowed < from.length
    const source = from.subarray(0, allowed)
    if (position === undefined || (file.statusFlags & O_APPEND) !== 0) return file.write(source)
    const count = file.writeAt(source, position)
    if (count > 0) this.position = position + count
    return count
  }

  /** Stores the position where it belongs. */
  finish(task: Task): number {
    if (this.position === undefined) return 0
    if (this.#pointer !== 0) return task.memory.writeU64(this.#pointer, this.position)
    this.file.seek(this.position, SEEK_SET)
    return 0
  }
}

interface TransferOptions {
  readonly nonBlocking: boolean
  /** Stop as soon as something was moved and more would block (splice), or go on until all was (sendfile). */
  readonly all: boolean
  /** The source keeps its bytes (tee). */
  readonly keep?: boolean
}

/** One call in progress. */
class Transfer {
  readonly #task: Task
  readonly #from: End
  readonly #to: End
  readonly #length: number
  readonly #options: TransferOptions
  #done = 0

  constructor(task: Task, from: End, to: End, length: number, options: TransferOptions) {
    this.#task = task
    this.#from = from
    this.#to = to
    this.#length = length
    this.#options = options
  }

  run(): Result {
    const result = this.#attempt()
    if (result !== -EAGAIN || this.#options.nonBlocking) return this.#end(result)
    const sources = [
      { queue: this.#from.file.waiters, events: READABLE },
      { queue: this.#to.file.waiters, events: WRITABLE }
    ]
    const attempt = (): number => this.#endUnlessBlocked(this.#attempt())
    const options = { interrupted: () => this.#end(-ERESTARTSYS) }
    return waitHolding(this.#task, [this.#from.file, this.#to.file], sources, attempt, options)
  }

  #endUnlessBlocked(result: number): number {
    return result === -EAGAIN ? result : this.#end(result)
  }

  #attempt(): number {
    while (this.#done < this.#length) {
      const chunk = transferBuffer.subarray(0, Math.min(this.#length - this.#done, TRANSFER_SIZE))
      const seen = this.#from.look(chunk)
      if (seen === 0) return 0
      if (seen < 0) return this.#stop(withoutOffsets(seen))
      const used = this.#to.put(this.#task, chunk.subarray(0, seen))
      if (used > 0 && this.#options.keep === true) return this.#count(used)
      this.#from.took(chunk, seen, Math.max(0, used))
      if (used === -EPIPE && this.#to.file.raisesSigpipe) this.#task.raise(SIGPIPE)
      if (used <= 0) return this.#stop(withoutOffsets(used))
      this.#count(used)
      if (used < seen && !this.#options.all) {
        if (this.#to.reachedLimit) this.#task.raise(SIGXFSZ) // as Linux, which tries to write the rest
        return 0
      }
    }
    return 0
  }

  #count(bytes: number): number {
    this.#done += bytes
    return 0
  }

  /** Only sendfile(2) and copy_file_range(2) count as reading and writing. */
  #account(): void {
    const { accounts } = this.#task
    accounts.readCalls++
    accounts.writeCalls++
    accounts.readCharacters += this.#done
    accounts.writtenCharacters += this.#done
  }

  #stop(error: number): number {
    return error === -EAGAIN && this.#done > 0 && !this.#options.all ? 0 : error
  }

  #end(result: number): number {
    const errors = [this.#from.finish(this.#task), this.#to.finish(this.#task)]
    if (this.#options.all) this.#account()
    if (this.#done === 0) return result
    this.#from.file.tell(IN_ACCESS)
    this.#to.file.tell(IN_MODIFY)
    return errors.find((error) => error < 0) ?? this.#done
  }
}

/** A file that only pretends to have offsets, as an eventfd, can't be spliced at all. */
const withoutOffsets = (error: number): number => (error === -ESPIPE ? -EINVAL : error)

const limited = (count: number): number => Math.min(count, MAX_RW_COUNT)

const sendFile = (
  task: Task,
  output: OpenFileDescription | undefined,
  input: OpenFileDescription | undefined,
  pointer: number,
  position: number | undefined,
  count: number
): Result => {
  // everything about the source comes first
  if (input === undefined || !input.readable) return -EBADF
  const from = End.at(task, input, pointer, position)
  if (typeof from === "number") return from
  if (count >= 2 ** 63) return -EINVAL
  if (output === undefined || !output.writable) return -EBADF
  if (output instanceof AnonymousFile) return -EINVAL
  const stat = input.stat()
  if (typeof stat !== "number" && isDirectory(stat.mode)) return -EINVAL
  if ((output.statusFlags & O_APPEND) !== 0) return -EINVAL
  if (from.position === undefined && !(output instanceof PipeDescription)) return -EINVAL
  if (input instanceof PipeDescription) return -EINVAL
  const to = new End(output, isSeekable(output) ? output.seek(0, SEEK_CUR) : undefined, 0)
  const nonBlocking = isNonBlocking(output)
  return new Transfer(task, from, to, limited(count), { nonBlocking, all: true }).run()
}

/** sendfile(2). Blocks. Errors: EBADF; EINVAL for a source without offsets of its own kind or an O_APPEND destination. */
export const sendfile = declare(
  "sendfile",
  [fd("out_fd"), fd("in_fd"), address("offset"), size("count")],
  (task, outFd, inFd, pointer, count) => {
    const given = new Uint8Array(8)
    if (pointer !== 0 && task.memory.copyIn(pointer, given) < 0) return -EFAULT
    const position = pointer === 0 ? undefined : Number(new DataView(given.buffer).getBigUint64(0, true))
    const result = sendFile(task, fileOf(task, outFd), fileOf(task, inFd), pointer, position, count)
    if (pointer === 0 || typeof result !== "number" || result > 0) return result
    return task.memory.copyOut(pointer, given) < 0 ? -EFAULT : result // the position goes back even if nothing was moved
  }
)

/** copy_file_range(2), between regular files. Never blocks. Errors: EBADF, EISDIR, EINVAL for an overlap or flags, EXDEV. */
export const copy_file_range = declare(
  "copy_file_range",
  [fd("fd_in"), address("off_in"), fd("fd_out"), address("off_out"), size("len"), uint("flags")],
  (task, inFd, inPointer, outFd, outPointer, length, flagBits) => {
    const input = fileOf(task, inFd)
    const output = fileOf(task, outFd)
    if (input === undefined || output === undefined) return -EBADF
    const positions = [inPointer, outPointer].map((at) => (at === 0 ? 0 : task.memory.readU64(at)))
    if (positions.some((position) => position < 0)) return -EFAULT
    const from = End.at(task, input, inPointer, positions[0])
    const to = End.at(task, output, outPointer, positions[1])
    if (flagBits !== 0) return -EINVAL
    const stats = [input.stat(), output.stat()]
    const types = stats.map((stat) => (typeof stat === "number" ? 0 : stat.mode & S_IFMT))
    if (types.some(isDirectory)) return -EISDIR
    if (!types.every(isRegular)) return -EINVAL
    if (!input.readable || !output.writable || (output.statusFlags & O_APPEND) !== 0) return -EBADF
    const [one, other] = stats
    if (typeof one === "object" && typeof other === "object" && one.dev !== other.dev) return -EXDEV
    if (typeof from === "number" || typeof to === "number") return -EOVERFLOW
    const [start, end] = [from.position ?? 0, to.position ?? 0]
    const left = typeof one === "object" ? Math.max(0, Math.min(length, one.size - start)) : length
    if (input.lockTarget() === output.lockTarget() && start < end + left && end < start + left) return -EINVAL
    const allowed = output.withinSizeLimit(length, end, task.threadGroup.limits.soft(RLIMIT_FSIZE))
    if (allowed === -EFBIG) task.raise(SIGXFSZ)
    if (allowed < 0) return allowed
    return new Transfer(task, from, to, limited(allowed), { nonBlocking: true, all: true }).run()
  }
)

/** splice(2): one end at least is a pipe. Blocks unless SPLICE_F_NONBLOCK. */
export const splice = declare(
  "splice",
  [fd("fd_in"), address("off_in"), fd("fd_out"), address("off_out"), size("len"), flags("flags", SPLICE_NAMES)],
  (task, inFd, inPointer, outFd, outPointer, length, flagBits) => {
    if (length === 0) return 0
    if ((flagBits & ~0xf) !== 0) return -EINVAL
    const input = fileOf(task, inFd)
    const output = fileOf(task, outFd)
    if (input === undefined || output === undefined) return -EBADF
    const [inPipe, outPipe] = [input, output].map((file) => (file instanceof PipeDescription ? file.pipe : undefined))
    if ((inPipe !== undefined && inPointer !== 0) || (outPipe !== undefined && outPointer !== 0)) return -ESPIPE
    const positions = [inPointer, outPointer].map((at) => (at === 0 ? undefined : task.memory.readU64(at)))
    if (positions.some((position) => position !== undefined && position < 0)) return -EFAULT
    if (!input.readable || !output.writable) return -EBADF
    if ((inPipe === undefined && outPipe === undefined) || inPipe === outPipe) return -EINVAL
    if ((output.statusFlags & O_APPEND) !== 0 && outPipe === undefined) return -EINVAL
    if (length >= 2 ** 63 && (inPipe === undefined || outPipe === undefined)) return -EINVAL
    const from = End.at(task, input, inPointer, positions[0])
    const to = End.at(task, output, outPointer, positions[1])
    if (typeof from === "number") return from === -ESPIPE ? -EINVAL : from
    if (typeof to === "number") return to === -ESPIPE ? -EINVAL : to
    const stat = input.stat()
    if (typeof stat !== "number" && isDirectory(stat.mode)) return -EINVAL
    const pipes = [input, output].filter((file) => file instanceof PipeDescription)
    const nonBlocking = (flagBits & SPLICE_F_NONBLOCK) !== 0 || pipes.some(isNonBlocking)
    // Into a pipe goes no more than it holds: anything else read from a socket or terminal would be lost.
    const room = outPipe === undefined ? length : Math.min(length, outPipe.capacity)
    return new Transfer(task, from, to, limited(room), { nonBlocking, all: false }).run()
  }
)

/** tee(2): copies from pipe to pipe; the source keeps its bytes. Blocks unless SPLICE_F_NONBLOCK. */
export const tee = declare(
  "tee",
  [fd("fd_in"), fd("fd_out"), size("len"), flags("flags", SPLICE_NAMES)],
  (task, inFd, outFd, length, flagBits) => {
    if ((flagBits & ~0xf) !== 0) return -EINVAL
    if (length === 0) return 0
    const input = fileOf(task, inFd)
    const output = fileOf(task, outFd)
    if (input === undefined || !input.readable || output === undefined || !output.writable) return -EBADF
    if (!(input instanceof PipeDescription) || !(output instanceof PipeDescription)) return -EINVAL
    if (input.pipe === output.pipe) return -EINVAL
    const nonBlocking = (flagBits & SPLICE_F_NONBLOCK) !== 0 || isNonBlocking(input) || isNonBlocking(output)
    const [from, to] = [new End(input, undefined, 0), new End(output, undefined, 0)]
    return new Transfer(task, from, to, limited(length), { nonBlocking, all: false, keep: true }).run()
  }
)

/** vmsplice(2): memory into a pipe, or a pipe into memory. Copies; pages are never given away. */
export const vmsplice = declare(
  "vmsplice",
  [fd("fd"), address("iov"), uint("nr_segs"), flags("flags", SPLICE_NAMES)],
  (task, fdNumber, iov, count, flagBits) => {
    if ((flagBits & ~0xf) !== 0) return -EINVAL
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    const vector = userVector(task.memory, iov, count)
    if (typeof vector === "number") return vector
    if (vector.length === 0) return 0
    if (!(file instanceof PipeDescription)) return -EBADF
    const transfer = file.writable ? writeFile : readFile
    // "SPLICE_F_NONBLOCK: do not block", whatever the pipe's own O_NONBLOCK says; what fits at once is enough
    const attempt = (): number => withStatusFlags(file, O_NONBLOCK, 0, () => transfer(task, file, vector))
    const result = attempt()
    if (result !== -EAGAIN || (flagBits & SPLICE_F_NONBLOCK) !== 0) return result
    return waitForFile(task, file, file.writable ? WRITABLE : READABLE, attempt)
  }
)

export const sysSplice: ReadonlyArray<Syscall> = [sendfile, copy_file_range, splice, tee, vmsplice]
