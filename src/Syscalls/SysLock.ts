/**
 * File locks: flock(2), and fcntl(2) with F_SETLK and its kin, both of POSIX (owned by the descriptor table, as Linux
 * has it) and of open file descriptions.
 */
import * as Effect from "effect/Effect"
import { SEEK_CUR, SEEK_END, SEEK_SET } from "../Abi/At.ts"
import { EAGAIN, EBADF, EFAULT, EINVAL, EOVERFLOW } from "../Abi/Errno.ts"
import * as F from "../Abi/Fcntl.ts"
import { declare, fd, flags, type Result, type Syscall } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { type LockRange, MAX_OFFSET, type RecordLock } from "../Vfs/FileLocks.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { fileOf, holding, waitHolding, waitUntil } from "./Blocking.ts"

const GET = new Set([F.F_GETLK, F.F_OFD_GETLK])
const WAIT = new Set([F.F_SETLKW, F.F_OFD_SETLKW])
const OFD = new Set([F.F_OFD_GETLK, F.F_OFD_SETLK, F.F_OFD_SETLKW])
const LOCK_COMMANDS = new Set([F.F_GETLK, F.F_SETLK, F.F_SETLKW, ...OFD])

export const isLockCommand = (command: number): boolean => LOCK_COMMANDS.has(command)

/** The bytes that a `struct flock` names, made absolute. -EINVAL, -EOVERFLOW. */
const rangeOf = (file: OpenFileDescription, flock: F.Flock): LockRange | number => {
  let base = 0n
  if (flock.l_whence === SEEK_CUR) base = BigInt(Math.max(0, file.seek(0, SEEK_CUR)))
  else if (flock.l_whence === SEEK_END) {
    const stat = file.stat()
    if (typeof stat === "number") return stat
    base = BigInt(stat.size)
  } else if (flock.l_whence !== SEEK_SET) return -EINVAL
  if (flock.l_start > MAX_OFFSET - base) return -EOVERFLOW
  const start = base + flock.l_start
  if (start < 0n) return -EINVAL
  if (flock.l_len === 0n) return { start, end: MAX_OFFSET }
  if (flock.l_len < 0n) return start + flock.l_len < 0n ? -EINVAL : { start: start + flock.l_len, end: start - 1n }
  if (flock.l_len - 1n > MAX_OFFSET - start) return -EOVERFLOW
  return { start, end: start + flock.l_len - 1n }
}

/** F_GETLK: says which lock is in the way, or F_UNLCK. */
const report = (task: Task, address: number, asked: F.Flock, held: RecordLock | undefined): number =>
  task.memory.copyOut(
    address,
    F.Flock.encode(
      held === undefined
        ? { ...asked, l_type: F.F_UNLCK }
        : {
            l_type: held.exclusive ? F.F_WRLCK : F.F_RDLCK,
            l_whence: SEEK_SET,
            l_start: held.start,
            l_len: held.end === MAX_OFFSET ? 0n : held.end - held.start + 1n,
            l_pid: held.pid < 0 ? held.pid : idFor(task, held.pid)
          }
    )
  )

/** Waits for a conflicting lock to go. An OFD lock takes no part in the detection of deadlocks. */
const wait = (
  task: Task,
  file: OpenFileDescription,
  target: object,
  request: RecordLock,
  attempt: () => number
): Result => {
  const { locks } = task.fds
  const sources = [{ queue: locks.waiters(target), events: 1 }]
  if (request.owner === file) return waitHolding(task, [file], sources, attempt)
  return holding(
    [file],
    Effect.suspend(() => {
      const deadlock = locks.beginWait(target, request)
      if (deadlock < 0) return Effect.succeed(deadlock)
      return Effect.ensuring(
        waitUntil(task, sources, attempt),
        Effect.sync(() => locks.endWait(request))
      )
    })
  )
}

/** fcntl(2) with a lock command. Errors: EAGAIN, EDEADLK, ENOLCK, EBADF for the wrong access mode, EINVAL, EOVERFLOW, EFAULT. */
export const fcntlLock = (
  task: Task,
  fdNumber: number,
  file: OpenFileDescription,
  command: number,
  address: number
): Result => {
  const raw = new Uint8Array(F.Flock.size)
  if (task.memory.copyIn(address, raw) < 0) return -EFAULT
  const flock = F.Flock.decode(raw)
  const isOfd = OFD.has(command)
  if (isOfd && flock.l_pid !== 0) return -EINVAL
  const isGet = GET.has(command)
  const { l_type } = flock
  if (l_type !== F.F_RDLCK && l_type !== F.F_WRLCK && (l_type !== F.F_UNLCK || command === F.F_GETLK)) return -EINVAL
  const range = rangeOf(file, flock)
  if (typeof range === "number") return range
  const target = file.lockTarget()
  const { locks } = task.fds
  const owner: object = isOfd ? file : task.fds
  const pid = isOfd ? -1 : task.threadGroup.tgid
  const request: RecordLock = { owner, exclusive: l_type === F.F_WRLCK, pid, ...range }
  if (isGet) {
    // F_UNLCK asks for one's own lock
    const found = l_type === F.F_UNLCK ? locks.held(target, owner, range) : locks.conflict(target, request)
    return report(task, address, flock, found)
  }
  if (l_type === F.F_UNLCK) {
    locks.release(target, owner, range)
    return 0
  }
  if (l_type === F.F_RDLCK ? !file.readable : !file.writable) return -EBADF
  const attempt = (): number => {
    const result = locks.acquire(target, request)
    // The descriptor may have been closed by another thread meanwhile: its close could not release this lock.
    if (result === 0 && !isOfd && task.fds.get(fdNumber) !== file) {
      locks.release(target, owner, range)
      return -EBADF
    }
    return result
  }
  if (isOfd) locks.endAtRelease(target, file)
  const result = attempt()
  return result === -EAGAIN && WAIT.has(command) ? wait(task, file, target, request, attempt) : result
}

/** flock(2). Blocks unless LOCK_NB. Restart: ERESTARTSYS. Errors: EINVAL, EAGAIN, EBADF. */
export const flock = declare("flock", [fd("fd"), flags("operation", F.LOCK_NAMES)], (task, fdNumber, operation) => {
  if ((operation & F.LOCK_MAND) !== 0) return 0
  const kind = operation & ~F.LOCK_NB
  if (kind !== F.LOCK_SH && kind !== F.LOCK_EX && kind !== F.LOCK_UN) return -EINVAL
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  const target = file.lockTarget()
  const { locks } = task.fds
  if (kind === F.LOCK_UN) {
    locks.releaseFlock(target, file)
    return 0
  }
  locks.endAtRelease(target, file)
  const attempt = (): number => locks.flock(target, file, kind === F.LOCK_EX)
  const result = attempt()
  if (result !== -EAGAIN || (operation & F.LOCK_NB) !== 0) return result
  return waitHolding(task, [file], [{ queue: locks.waiters(target), events: 1 }], attempt)
})

export const sysLock: ReadonlyArray<Syscall> = [flock]
