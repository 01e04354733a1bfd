/**
 * Asynchronous I/O of Linux's own, io_setup(2) and its relatives. Operations are performed when they are submitted, as
 * Linux itself does wherever a filesystem can't do better: on files, which never wait here, and on what blocks.
 *
 * A context is named by the address of a page that is mapped for it. Linux puts a ring of events there, which libraries
 * read only if a magic number says that they may; here it is empty.
 */
import * as Effect from "effect/Effect"
import {
  AIO_MAX_OPERATIONS,
  IOCB_CMD_FDSYNC,
  IOCB_CMD_FSYNC,
  IOCB_CMD_PREAD,
  IOCB_CMD_PREADV,
  IOCB_CMD_PWRITE,
  IOCB_CMD_PWRITEV,
  IOCB_FLAG_RESFD,
  Iocb,
  IoEvent
} from "../Abi/Aio.ts"
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, ERESTARTSYS } from "../Abi/Errno.ts"
import { isDirectory } from "../Abi/FileMode.ts"
import { MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { nanosOfTimespec, Timespec } from "../Abi/Time.ts"
import { AioContext } from "../Memory/AioContext.ts"
import { map, unmap } from "../Memory/MapRegion.ts"
import { address, declare, hex, long, type Result, struct, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { EventFd } from "../Vfs/EventFd.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { fileOf, waitUntil } from "./Blocking.ts"
import { withMaskAt } from "./SysPoll.ts"
import { checkRwFlags, readFile, transferFlagged, writeFile } from "./SysReadWrite.ts"
import { userBuffer, type UserVector, userVector } from "./UserVector.ts"

/** After `result`, now or later. */
const andThen = (result: Result, next: (value: number) => Result): Result => {
  if (typeof result === "number") return next(result)
  return Effect.flatMap(result, (value) => {
    const rest = next(value)
    return typeof rest === "number" ? Effect.succeed(rest) : rest
  })
}

/** Beyond this Linux would have to count more bytes than it wants to: 256 MiB of `struct kiocb`, two for each. */
const MOST_EVENTS = Math.floor(0x1000_0000 / 48 / 2)

const io_setup = (task: Task, count: number, pointer: number): Result => {
  const { memory, memoryManager } = task
  const aio = memoryManager.aioContexts
  const before = memory.readU64(pointer)
  if (before < 0) return -EFAULT
  if (before !== 0 || count === 0 || count > MOST_EVENTS) return -EINVAL
  const used = [...aio.values()].reduce((sum, { size }) => sum + size, 0)
  if (used + count > AIO_MAX_OPERATIONS) return -EAGAIN
  const page = map(memoryManager, {
    address: 0,
    length: PAGE_SIZE,
    protection: PROT_READ | PROT_WRITE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS,
    file: undefined,
    offset: 0,
    by: task.requester
  })
  return andThen(page, (at) => {
    if (at < 0) return at
    if (memory.writeU64(pointer, at) < 0) return andThen(unmap(memoryManager, at, PAGE_SIZE), () => -EFAULT)
    aio.get(at)?.destroy()
    aio.set(at, new AioContext(count))
    return 0
  })
}

const io_destroy = (task: Task, id: number): Result => {
  const context = task.memoryManager.aioContexts.get(id)
  if (context === undefined) return -EINVAL
  task.memoryManager.aioContexts.delete(id)
  context.destroy()
  return andThen(unmap(task.memoryManager, id, PAGE_SIZE), () => 0)
}

// ---- submitting

/** The operation at `at`, or -errno. */
const readOperation = (task: Task, at: number): Iocb | number => {
  const raw = new Uint8Array(Iocb.size)
  if (task.memory.copyIn(at, raw) < 0) return -EFAULT
  const operation = Iocb.decode(raw)
  return operation.aio_reserved2 === 0n ? operation : -EINVAL
}

const isEventFd = (file: OpenFileDescription | undefined): file is EventFd => file instanceof EventFd

/** The bytes that an operation is about; undefined for one without. */
const vectorOf = (task: Task, { aio_buf, aio_lio_opcode, aio_nbytes }: Iocb): UserVector | number | undefined => {
  switch (aio_lio_opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
      return userBuffer(task.memory, aio_buf, aio_nbytes)
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
      return userVector(task.memory, aio_buf, aio_nbytes)
    default:
      return undefined
  }
}

/** Performs one operation: what its event says, now or later; or -errno in an array, if it is refused as such. */
const perform = (task: Task, file: OpenFileDescription, operation: Iocb): Result | readonly [refusal: number] => {
  const { aio_buf, aio_lio_opcode, aio_nbytes, aio_offset, aio_rw_flags } = operation
  if (aio_lio_opcode === IOCB_CMD_FSYNC || aio_lio_opcode === IOCB_CMD_FDSYNC) {
    if (aio_buf !== 0 || aio_offset !== 0 || aio_nbytes !== 0 || aio_rw_flags !== 0) return [-EINVAL]
    const error = file.synchronize(aio_lio_opcode === IOCB_CMD_FDSYNC)
    return error === -EINVAL ? [error] : error
  }
  const reads = aio_lio_opcode === IOCB_CMD_PREAD || aio_lio_opcode === IOCB_CMD_PREADV
  const vector = vectorOf(task, operation)
  if (vector === undefined) return [-EINVAL]
  if (reads ? !file.readable : !file.writable) return [-EBADF]
  const stat = file.stat()
  if (typeof stat !== "number" && isDirectory(stat.mode)) return [-EINVAL]
  if (typeof vector === "number") return [vector]
  if (!file.pollable && aio_offset < 0) return [-EINVAL]
  const refused = checkRwFlags(file, aio_rw_flags, !reads)
  if (refused < 0) return [refused]
  const transfer = reads ? readFile : writeFile
  return transferFlagged(task, file, transfer, vector, file.pollable ? undefined : aio_offset, aio_rw_flags)
}

/** Submits the operation whose address is `at`: 0 once it is done, or why it is not accepted. */
const submitOne = (task: Task, context: AioContext, at: number): Result => {
  const operation = readOperation(task, at)
  if (typeof operation === "number") return operation
  if (!context.hasRoom) return -EAGAIN
  const file = fileOf(task, operation.aio_fildes)
  if (file === undefined) return -EBADF
  const counts = (operation.aio_flags & IOCB_FLAG_RESFD) !== 0
  const counter = counts ? task.fds.get(operation.aio_resfd) : undefined
  if (counts && !isEventFd(counter)) return counter === undefined ? -EBADF : -EINVAL
  // aio_key: what io_cancel(2) wants to see
  if (task.memory.writeU32(at + Iocb.offsets.aio_key, 0) < 0) return -EFAULT
  const outcome = perform(task, file, operation)
  if (Array.isArray(outcome)) return (outcome as readonly [number])[0]
  context.inFlight++
  return andThen(outcome as Result, (value) => {
    // no restart: the operation is over
    const res = value === -ERESTARTSYS ? -EINTR : value
    task.memory.settle()
    context.complete({ data: operation.aio_data, obj: at, res: BigInt(res), res2: 0n })
    if (isEventFd(counter)) counter.write(new Uint8Array(BigUint64Array.of(1n).buffer))
    return 0
  })
}

/** io_submit(2): how many were accepted, or why not even the first was. Blocks where an operation does. */
const io_submit = (task: Task, id: number, count: number, pointers: number): Result => {
  const context = task.memoryManager.aioContexts.get(id)
  if (context === undefined || count < 0) return -EINVAL
  const limit = Math.min(count, context.size)
  const from = (index: number): Result => {
    if (index === limit) return index
    const at = task.memory.readU64(pointers + 8 * index)
    const result = at < 0 ? -EFAULT : submitOne(task, context, at)
    return andThen(result, (value) => (value < 0 ? index || value : from(index + 1)))
  }
  return from(0)
}

/** io_cancel(2): nothing can be cancelled, since nothing that has been submitted is left to be done. */
const io_cancel = (task: Task, _id: number, at: number): number => {
  return task.memory.readU32(at + Iocb.offsets.aio_key) < 0 ? -EFAULT : -EINVAL
}

// ---- events

/** io_getevents(2). Blocks until `least` events are there, or the time is over. Errors: EINVAL, EFAULT, EINTR. */
const getEvents = (
  task: Task,
  id: number,
  least: number,
  most: number,
  into: number,
  deadline: bigint | undefined
): Result => {
  const context = task.memoryManager.aioContexts.get(id)
  if (context === undefined || least < 0 || least > most) return -EINVAL
  let taken = 0
  const take = (): number => {
    while (taken < most && context.done.length > 0) {
      const event = context.done[0]!
      if (task.memory.copyOut(into + taken * IoEvent.size, IoEvent.encode(event)) < 0) return taken || -EFAULT
      context.done.shift()
      taken++
    }
    return taken
  }
  const attempt = (): number => {
    const result = take()
    if (result < 0 || taken >= least) return result
    return context.destroyed ? taken || -EINVAL : -EAGAIN
  }
  const result = attempt()
  if (result !== -EAGAIN) return result
  return waitUntil(task, [{ queue: context.waiters, events: 1 }], attempt, {
    deadline,
    expired: () => taken,
    interrupted: () => taken || -EINTR
  })
}

/** When the relative time at `pointer` is over: undefined for never, a number for -errno. */
const deadlineAt = (task: Task, pointer: number): bigint | undefined | number => {
  if (pointer === 0) return undefined
  const raw = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(raw))
  return task.system.timekeeper.monotonic() + (typeof nanos === "number" ? 0n : nanos)
}

const EVENT_ARGUMENTS = [
  hex("ctx_id"),
  long("min_nr"),
  long("nr"),
  address("events"),
  struct("timeout", "timespec", "in")
] as const

const io_getevents = (task: Task, id: number, least: number, most: number, into: number, timeout: number): Result => {
  const deadline = deadlineAt(task, timeout)
  return typeof deadline === "number" ? deadline : getEvents(task, id, least, most, into, deadline)
}

/** io_pgetevents(2). Its last argument points at a signal mask's address and size. */
const io_pgetevents = (
  task: Task,
  id: number,
  least: number,
  most: number,
  into: number,
  timeout: number,
  maskPointer: number
): Result => {
  const deadline = deadlineAt(task, timeout)
  if (typeof deadline === "number") return deadline
  if (maskPointer === 0) return getEvents(task, id, least, most, into, deadline)
  const mask = task.memory.readU64(maskPointer)
  const size = task.memory.readU64(maskPointer + 8)
  if (mask < 0 || size < 0) return -EFAULT
  return withMaskAt(task, mask, size, () => getEvents(task, id, least, most, into, deadline))
}

export const sysAio: ReadonlyArray<Syscall> = [
  declare("io_setup", [uint("nr_events"), address("ctx_idp")], io_setup, {
    partial: "fs.aio-max-nr limits each address space"
  }),
  declare("io_destroy", [hex("ctx_id")], io_destroy),
  declare("io_submit", [hex("ctx_id"), long("nr"), address("iocbpp")], io_submit, {
    partial: "operations are done at once; IOCB_CMD_POLL gives EINVAL"
  }),
  declare("io_cancel", [hex("ctx_id"), address("iocb"), address("result")], io_cancel),
  declare("io_getevents", EVENT_ARGUMENTS, io_getevents),
  declare("io_pgetevents", [...EVENT_ARGUMENTS, address("usig")], io_pgetevents)
]
