/**
 * read(2), write(2) and their relatives: at an offset, into several buffers; lseek(2); fsync(2).
 */
import { EAGAIN, EBADF, EINTR, EINVAL, EOPNOTSUPP, ERESTARTSYS, ESPIPE } from "../Abi/Errno.ts"
import { SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from "../Abi/At.ts"
import { S_IFIFO, S_IFMT, isDirectory, isRegular } from "../Abi/FileMode.ts"
import {
  RWF_APPEND,
  RWF_DONTCACHE,
  RWF_DSYNC,
  RWF_HIPRI,
  RWF_NAMES,
  RWF_NOAPPEND,
  RWF_NOSIGNAL,
  RWF_NOWAIT,
  RWF_SYNC
} from "../Abi/Fcntl.ts"
import { IN_ACCESS } from "../Abi/InotifyFlags.ts"
import { O_APPEND, O_NONBLOCK } from "../Abi/OpenFlags.ts"
import { READABLE, WRITABLE } from "../Abi/Poll.ts"
import { Reg } from "../Abi/Registers.ts"
import {
  address,
  bufferIn,
  bufferOut,
  declare,
  fd,
  flags,
  hex,
  int,
  long,
  oneOf,
  type Result,
  size,
  type Syscall,
  uint
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { TmpFs } from "../Vfs/TmpFs.ts"
import { attemptOrWait, fileOf, isNonBlocking, waitForFile, withStatusFlags, withTimeout } from "./Blocking.ts"
import { mayRead, mayWrite, rawRead } from "./SysTerminal.ts"
import { readInto, transferBuffer, userBuffer, userVector, type UserVector, WriteTransfer } from "./UserVector.ts"

const SEEK_NAMES = [
  ["SEEK_SET", SEEK_SET],
  ["SEEK_CUR", SEEK_CUR],
  ["SEEK_END", SEEK_END],
  ["SEEK_DATA", SEEK_DATA],
  ["SEEK_HOLE", SEEK_HOLE]
] as const

/** Reads into `vector`. Blocks unless the file is non-blocking. Restart: ERESTARTSYS. */
export const readFile = (
  task: Task,
  file: OpenFileDescription,
  vector: UserVector | number,
  offset?: number
): Result => {
  if (typeof vector === "number") return vector
  const seen = file.facing(task)
  const attempt = (): number => {
    const count = readInto(seen, vector, offset)
    if (count === -EAGAIN && !isNonBlocking(file)) return count
    task.accounts.readCalls++
    if (count > 0) {
      task.accounts.readCharacters += count
      file.tell(IN_ACCESS)
    }
    return count
  }
  if (file.tty !== undefined && vector.length > 0) {
    const result = readTerminal(task, file, vector)
    if (result !== undefined) return result
  }
  return attemptOrWait(task, file, READABLE, attempt, withTimeout(task, file.readTimeout))
}

/** What a terminal does otherwise than other files when it is read; undefined if nothing. */
const readTerminal = (task: Task, file: OpenFileDescription, vector: UserVector): Result | undefined => {
  const refused = mayRead(task, file)
  if (refused < 0) return refused
  if (isNonBlocking(file)) return undefined
  return rawRead(task, file, vector.length, (position) => {
    const chunk = transferBuffer.subarray(0, Math.min(vector.length - position, transferBuffer.length))
    const count = file.read(chunk)
    return count <= 0 ? count : vector.copyOut(position, chunk.subarray(0, count))
  })
}

/** Writes all of `vector`. `signals`: EPIPE may raise SIGPIPE. Blocks unless the file is non-blocking. Restart: ERESTARTSYS if nothing was written yet. */
export const writeFile = (
  task: Task,
  file: OpenFileDescription,
  vector: UserVector | number,
  offset?: number,
  signals = file.raisesSigpipe
): Result => {
  if (typeof vector === "number") return vector
  if (file.tty !== undefined) {
    const refused = mayWrite(task, file)
    if (refused < 0) return refused
  }
  const transfer = new WriteTransfer(task, file, vector, offset, signals)
  const result = transfer.attempt()
  if (result !== -EAGAIN) return result
  if (isNonBlocking(file)) return transfer.settle(-EAGAIN)
  const timeout = file.writeTimeout
  return waitForFile(task, file, WRITABLE, transfer.attempt, {
    ...withTimeout(task, timeout),
    interrupted: () => transfer.settle(timeout === undefined ? -ERESTARTSYS : -EINTR),
    expired: () => transfer.settle(-EAGAIN)
  })
}

type Transfer = (
  task: Task,
  file: OpenFileDescription,
  vector: UserVector | number,
  offset?: number,
  signals?: boolean
) => Result

/** Offsets from here on are at most 4 GiB before the last, 2^63 - 1. No file reaches as far. */
const LAST_OFFSETS = 2 ** 63 - 2 ** 32

/** Finds the file open for reading (`transfer` is `readFile`) or writing. */
const transferAt = (
  task: Task,
  fdNumber: number,
  transfer: Transfer,
  vector: () => UserVector | number,
  offset?: number,
  flagBits = 0
): Result => {
  if (offset !== undefined && offset < 0) return -EINVAL
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  if (offset !== undefined && !file.hasOffsets) return -ESPIPE
  if (transfer === readFile ? !file.readable : !file.writable) return -EBADF
  const pieces = vector()
  if (typeof pieces === "number" && !(transfer === readFile ? file.facing(task).canRead : file.canWrite)) return -EINVAL
  if (offset !== undefined && offset >= LAST_OFFSETS && typeof pieces !== "number") {
    // the number is rounded: what is between it and the end is in the register that all these calls have it in
    if (pieces.length > 2 ** 32 - 1 - task.registers.uint(Reg.r10)) return -EINVAL
    offset = LAST_OFFSETS
  }
  if (typeof pieces !== "number" && pieces.length === 0 && pieces.isVector) {
    const seen = file.facing(task)
    return (transfer === readFile ? seen.canRead : seen.canWrite) ? 0 : -EINVAL
  }
  return flagBits === 0
    ? transfer(task, file, pieces, offset)
    : transferFlagged(task, file, transfer, pieces, offset, flagBits)
}

export const read = declare("read", [fd("fd"), bufferOut("buf"), size("count")], (task, fdNumber, buf, count) =>
  transferAt(task, fdNumber, readFile, () => userBuffer(task.memory, buf, count))
)

export const write = declare("write", [fd("fd"), bufferIn("buf", 2), size("count")], (task, fdNumber, buf, count) =>
  transferAt(task, fdNumber, writeFile, () => userBuffer(task.memory, buf, count))
)

export const pread64 = declare(
  "pread64",
  [fd("fd"), bufferOut("buf"), size("count"), long("offset")],
  (task, fdNumber, buf, count, offset) =>
    transferAt(task, fdNumber, readFile, () => userBuffer(task.memory, buf, count), offset)
)

export const pwrite64 = declare(
  "pwrite64",
  [fd("fd"), bufferIn("buf", 2), size("count"), long("offset")],
  (task, fdNumber, buf, count, offset) =>
    transferAt(task, fdNumber, writeFile, () => userBuffer(task.memory, buf, count), offset)
)

export const readv = declare("readv", [fd("fd"), address("iov"), uint("iovcnt")], (task, fdNumber, iov, count) =>
  transferAt(task, fdNumber, readFile, () => userVector(task.memory, iov, count))
)

export const writev = declare("writev", [fd("fd"), address("iov"), uint("iovcnt")], (task, fdNumber, iov, count) =>
  transferAt(task, fdNumber, writeFile, () => userVector(task.memory, iov, count))
)

// On x86-64 the offset arrives whole in its first half and the second is ignored.
const POSITION = [fd("fd"), address("iov"), uint("iovcnt"), long("offset"), hex("offset_high")] as const

export const preadv = declare("preadv", POSITION, (task, fdNumber, iov, count, offset) =>
  transferAt(task, fdNumber, readFile, () => userVector(task.memory, iov, count), offset)
)

export const pwritev = declare("pwritev", POSITION, (task, fdNumber, iov, count, offset) =>
  transferAt(task, fdNumber, writeFile, () => userVector(task.memory, iov, count), offset)
)

const RWF_KNOWN =
  RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND | RWF_DONTCACHE | RWF_NOSIGNAL

/** What a disk's filesystem can do and tmpfs can't: never wait for the disk, drop what was read from the cache. */
const isOnDisk = (file: OpenFileDescription): boolean => {
  const place = file.location()
  return place !== undefined && isRegular(place.dentry.inode!.mode) && !(place.mount.filesystem instanceof TmpFs)
}

/** Whether `file` can do what `flagBits` of preadv2(2) or pwritev2(2) (`writes`) ask for: 0 or -errno. */
export const checkRwFlags = (file: OpenFileDescription, flagBits: number, writes: boolean): number => {
  if ((flagBits & ~RWF_KNOWN) !== 0) return -EOPNOTSUPP
  if ((flagBits & RWF_APPEND) !== 0 && (flagBits & RWF_NOAPPEND) !== 0) return -EINVAL
  if ((flagBits & RWF_DONTCACHE) !== 0 && !isOnDisk(file)) return -EOPNOTSUPP
  if ((flagBits & RWF_NOWAIT) === 0) return 0
  const place = file.location()
  const isFile = place !== undefined && isRegular(place.dentry.inode!.mode)
  return file.tty !== undefined || (isFile && (writes || !isOnDisk(file))) ? -EOPNOTSUPP : 0
}

/** What preadv2(2), pwritev2(2) and io_submit(2) do with flags. */
export const transferFlagged = (
  task: Task,
  file: OpenFileDescription,
  transfer: Transfer,
  vector: UserVector | number,
  offset: number | undefined,
  flagBits: number
): Result => {
  const refused = checkRwFlags(file, flagBits, transfer === writeFile)
  if (refused < 0) return refused
  const signals = file.raisesSigpipe && (flagBits & RWF_NOSIGNAL) === 0
  const operation = () => transfer(task, file, vector, offset, signals)
  if ((flagBits & (RWF_NOWAIT | RWF_APPEND | RWF_NOAPPEND)) === 0) return operation()
  const nowait = (flagBits & RWF_NOWAIT) !== 0
  // what may wait is no file with an end to append to
  if (!nowait && file.pollable) return operation()
  const set = (nowait ? O_NONBLOCK : 0) | ((flagBits & RWF_APPEND) !== 0 ? O_APPEND : 0)
  return withStatusFlags(file, set, (flagBits & RWF_NOAPPEND) !== 0 ? O_APPEND : 0, operation)
}

/** An offset of -1 is the file's own. */
const ownOrGiven = (offset: number): number | undefined => (offset === -1 ? undefined : offset)

export const preadv2 = declare(
  "preadv2",
  [...POSITION, flags("flags", RWF_NAMES)],
  (task, fdNumber, iov, count, offset, _high, flagBits) =>
    transferAt(task, fdNumber, readFile, () => userVector(task.memory, iov, count), ownOrGiven(offset), flagBits)
)

export const pwritev2 = declare(
  "pwritev2",
  [...POSITION, flags("flags", RWF_NAMES)],
  (task, fdNumber, iov, count, offset, _high, flagBits) => {
    const vector = () => userVector(task.memory, iov, count)
    const result = transferAt(task, fdNumber, writeFile, vector, ownOrGiven(offset), flagBits)
    if ((flagBits & (RWF_DSYNC | RWF_SYNC)) !== 0 && typeof result === "number" && result > 0) {
      const error = fileOf(task, fdNumber)?.synchronize((flagBits & RWF_SYNC) === 0) ?? 0
      if (error < 0 && error !== -EINVAL) return error
    }
    return result
  }
)

export const lseek = declare(
  "lseek",
  [fd("fd"), long("offset"), oneOf("whence", SEEK_NAMES)],
  (task, fdNumber, offset, whence) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    return whence >= SEEK_SET && whence <= SEEK_HOLE ? file.seek(offset, whence) : -EINVAL
  }
)

const synchronize = (task: Task, fdNumber: number, dataOnly: boolean): number =>
  fileOf(task, fdNumber)?.synchronize(dataOnly) ?? -EBADF

export const fsync = declare("fsync", [fd("fd")], (task, fdNumber) => synchronize(task, fdNumber, false))

export const fdatasync = declare("fdatasync", [fd("fd")], (task, fdNumber) => synchronize(task, fdNumber, true))

/** sync_file_range(2). Errors: EINVAL for unknown flags or a bad range; ESPIPE for what has no offsets. */
export const sync_file_range = declare(
  "sync_file_range",
  [fd("fd"), long("offset"), long("nbytes"), uint("flags")],
  (task, fdNumber, offset, count, flagBits) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    if ((flagBits & ~7) !== 0 || offset < 0 || count < 0 || offset + count >= 2 ** 63) return -EINVAL
    const stat = file.stat()
    if (typeof stat === "number") return stat
    if (!isRegular(stat.mode) && !isDirectory(stat.mode)) return -ESPIPE
    const error = file.synchronize(true)
    return error === -EINVAL ? 0 : error
  }
)

const HINT = { ignored: "the host reads ahead by itself" }

export const readahead = declare(
  "readahead",
  [fd("fd"), long("offset"), size("count")],
  (task, fdNumber) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined || !file.readable) return -EBADF
    const stat = file.stat()
    return typeof stat !== "number" && isRegular(stat.mode) ? 0 : -EINVAL
  },
  HINT
)

/** posix_fadvise(2). Errors: EINVAL for unknown advice or a negative length; ESPIPE for a pipe. */
export const fadvise64 = declare(
  "fadvise64",
  [fd("fd"), long("offset"), long("len"), int("advice")],
  (task, fdNumber, _offset, length, advice) => {
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    const stat = file.stat()
    if (typeof stat !== "number" && (stat.mode & S_IFMT) === S_IFIFO) return -ESPIPE
    return length < 0 || advice < 0 || advice > 5 ? -EINVAL : 0
  },
  HINT
)

export const sysReadWrite: ReadonlyArray<Syscall> = [
  read,
  write,
  pread64,
  pwrite64,
  readv,
  writev,
  preadv,
  pwritev,
  preadv2,
  pwritev2,
  lseek,
  fsync,
  fdatasync,
  sync_file_range,
  readahead,
  fadvise64
]
