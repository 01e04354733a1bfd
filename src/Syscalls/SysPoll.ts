/**
 * poll(2), ppoll(2), select(2), pselect6(2).
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EBADF, EFAULT, EINVAL, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } from "../Abi/Errno.ts"
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM
} from "../Abi/Poll.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { nanosOfTimespec, nanosOfTimeval, Timespec, timespecOfNanos, Timeval, timevalOfNanos } from "../Abi/Time.ts"
import { address, declare, int, type Result, size, struct, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { fileOf, waitHolding } from "./Blocking.ts"

const SIGSET_SIZE = 8
const POLLFD_SIZE = 8
const MAX_FDS = 1_048_576
const NANOS_PER_MILLISECOND = 1_000_000n

/** Somebody's interest in one file. */
interface Interest {
  readonly file: OpenFileDescription
  readonly events: number
}

/**
 * Runs `scan` until it finds something (a count above 0, or an error), a signal arrives or the deadline passes: its
 * result, 0 when time is up, `interrupted` on a signal. The files stay open meanwhile. Blocks.
 */
const scanUntil = (
  task: Task,
  interests: ReadonlyArray<Interest>,
  scan: () => number,
  deadline: bigint | undefined,
  interrupted: number
): Result => {
  const found = scan()
  if (found !== 0) return found
  if (deadline !== undefined && deadline <= task.system.timekeeper.monotonic()) return 0
  const sources = interests.map(({ file, events }) => ({ queue: file.facing(task).waiters, events }))
  const options = { deadline, expired: () => 0, interrupted: () => interrupted }
  const files = interests.map(({ file }) => file)
  return waitHolding(task, files, sources, () => scan() || -EAGAIN, options)
}

// ---------------------------------------------------------------- poll

/**
 * poll(2) from its decoded arguments. The array is copied in once and its `revents`
 * copied out at the end. Restart: `interrupted`.
 */
const pollUntil = (
  task: Task,
  pointer: number,
  count: number,
  deadline: bigint | undefined,
  interrupted: number
): Result => {
  if (count > MAX_FDS || count > task.threadGroup.limits.soft(RLIMIT_NOFILE)) return -EINVAL
  const raw = new Uint8Array(count * POLLFD_SIZE)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const view = new DataView(raw.buffer)
  const interests: Array<Interest & { readonly at: number }> = []
  let invalid = 0
  for (let at = 0; at < raw.length; at += POLLFD_SIZE) {
    const fd = view.getInt32(at, true)
    view.setUint16(at + 6, 0, true)
    if (fd < 0) continue
    const file = fileOf(task, fd)
    if (file === undefined) {
      view.setUint16(at + 6, POLLNVAL, true)
      invalid++
    } else interests.push({ file, events: view.getUint16(at + 4, true) | POLLERR | POLLHUP, at })
  }
  const scan = (): number => {
    let ready = invalid
    for (const { file, events, at } of interests) {
      const found = file.facing(task).readiness() & events
      view.setUint16(at + 6, found, true)
      if (found !== 0) ready++
    }
    return ready
  }
  const finish = (result: number): number => {
    if (result < 0) return result
    // in one piece: a copy per entry would cost a host call each
    if (task.memory.copyOut(pointer, raw) < 0) return -EFAULT
    return result
  }
  const result = scanUntil(task, interests, scan, deadline, interrupted)
  return typeof result === "number" ? finish(result) : Effect.map(result, finish)
}

/** poll(2) that goes on through restart_syscall(2), towards the same deadline, when no handler ran. Blocks. */
export const pollRestartably = (task: Task, pointer: number, count: number, deadline: bigint | undefined): Result => {
  const result = pollUntil(task, pointer, count, deadline, -ERESTART_RESTARTBLOCK)
  if (typeof result === "number") return result
  return Effect.map(result, (value) => {
    if (value === -ERESTART_RESTARTBLOCK) task.restartBlock = { _tag: "Poll", fds: pointer, count, deadline }
    return value
  })
}

/** poll(2). */
export const poll = declare(
  "poll",
  [struct("fds", "pollfd", "both"), uint("nfds"), int("timeout")],
  (task, pointer, count, timeout) =>
    pollRestartably(
      task,
      pointer,
      count,
      timeout < 0 ? undefined : task.system.timekeeper.monotonic() + BigInt(timeout) * NANOS_PER_MILLISECOND
    )
)

// ---------------------------------------------------------------- timeouts and masks

/** How a call's timeout structure is read and, what is left of it, written back. */
interface TimeoutFormat {
  readonly size: number
  readonly decode: (raw: Uint8Array) => bigint | number
  readonly encode: (nanos: bigint) => Uint8Array
}

const timespecFormat: TimeoutFormat = {
  size: Timespec.size,
  decode: (raw) => nanosOfTimespec(Timespec.decode(raw)),
  encode: (nanos) => Timespec.encode(timespecOfNanos(nanos))
}

/** select(2) accepts microseconds of a second and more. */
const timevalFormat: TimeoutFormat = {
  size: Timeval.size,
  decode: (raw) => {
    const { tv_sec, tv_usec } = Timeval.decode(raw)
    if (tv_usec < 0n) return -EINVAL
    return nanosOfTimeval({ tv_sec: tv_sec + tv_usec / 1_000_000n, tv_usec: tv_usec % 1_000_000n })
  },
  encode: (nanos) => Timeval.encode(timevalOfNanos(nanos))
}

/**
 * Runs `call` with the deadline that the structure at `pointer` asks for (none if it is null), and writes the time left
 * back, as Linux does.
 */
const withTimeout = (
  task: Task,
  pointer: number,
  format: TimeoutFormat,
  call: (deadline: bigint | undefined) => Result
): Result => {
  if (pointer === 0) return call(undefined)
  const raw = new Uint8Array(format.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const timeout = format.decode(raw)
  if (typeof timeout === "number") return timeout
  const { timekeeper } = task.system
  const deadline = timekeeper.monotonic() + timeout
  const finish = (result: number): number => {
    const left = timeout === 0n ? 0n : deadline - timekeeper.monotonic()
    // A timeout in read-only memory is no error, but then the call cannot be restarted with what is left of it.
    task.memory.copyOut(pointer, format.encode(left < 0n ? 0n : left))
    return result
  }
  const result = call(deadline)
  return typeof result === "number" ? finish(result) : Effect.map(result, finish)
}

/** Runs `call` under the signal mask at `pointer`, if it is not null. -EINVAL for a wrong size, -EFAULT. */
export const withMaskAt = (task: Task, pointer: number, sigsetSize: number, call: () => Result): Result => {
  if (pointer === 0) return call()
  if (sigsetSize !== SIGSET_SIZE) return -EINVAL
  const raw = new Uint8Array(SIGSET_SIZE)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  return task.withTemporaryMask(new DataView(raw.buffer).getBigUint64(0, true), call)
}

/** ppoll(2). Blocks. Restart: ERESTARTNOHAND, with the timeout updated. */
export const ppoll = declare(
  "ppoll",
  [
    struct("fds", "pollfd", "both"),
    uint("nfds"),
    struct("tmo_p", "timespec", "both"),
    address("sigmask"),
    size("sigsetsize")
  ],
  (task, pointer, count, timeout, mask, sigsetSize) =>
    withTimeout(task, timeout, timespecFormat, (deadline) =>
      withMaskAt(task, mask, sigsetSize, () => pollUntil(task, pointer, count, deadline, -ERESTARTNOHAND))
    )
)

// ---------------------------------------------------------------- select

const SELECT_IN = POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR
const SELECT_OUT = POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR
const SELECT_EXCEPT = POLLPRI
const SELECT_SETS = [SELECT_IN, SELECT_OUT, SELECT_EXCEPT] as const

/** One `fd_set`: what was asked for, and what was found. */
interface FdSet {
  readonly address: number
  readonly asked: Uint8Array
  readonly found: Uint8Array
  readonly bits: number
}

const has = (set: Uint8Array, fd: number): boolean => (set[fd >> 3]! & (1 << (fd & 7))) !== 0

const selectUntil = (
  task: Task,
  count: number,
  addresses: readonly [number, number, number],
  deadline: bigint | undefined
): Result => {
  if (count < 0) return -EINVAL
  // Linux looks only at as many descriptors as its table has room for: others are not even EBADF
  const limit = Math.min(count, task.fds.capacity)
  const bytes = Math.ceil(limit / 64) * 8
  const sets: Array<FdSet> = []
  for (const [index, pointer] of addresses.entries()) {
    if (pointer === 0) continue
    const asked = new Uint8Array(bytes)
    if (task.memory.copyIn(pointer, asked) < 0) return -EFAULT
    sets.push({ address: pointer, asked, found: new Uint8Array(bytes), bits: SELECT_SETS[index]! })
  }
  const interests: Array<Interest & { readonly fd: number }> = []
  for (let fd = 0; fd < limit; fd++) {
    let events = 0
    for (const set of sets) if (has(set.asked, fd)) events |= set.bits
    if (events === 0) continue
    const file = fileOf(task, fd)
    if (file === undefined) return -EBADF
    interests.push({ file, events, fd })
  }
  const scan = (): number => {
    let ready = 0
    for (const set of sets) set.found.fill(0)
    for (const { file, fd } of interests) {
      const readiness = file.facing(task).readiness()
      for (const { asked, found, bits } of sets) {
        if ((readiness & bits) === 0 || !has(asked, fd)) continue
        found[fd >> 3]! |= 1 << (fd & 7)
        ready++
      }
    }
    return ready
  }
  const finish = (result: number): number => {
    if (result < 0) return result
    for (const set of sets) if (task.memory.copyOut(set.address, set.found) < 0) return -EFAULT
    return result
  }
  const result = scanUntil(task, interests, scan, deadline, -ERESTARTNOHAND)
  return typeof result === "number" ? finish(result) : Effect.map(result, finish)
}

const SELECT_ARGUMENTS = [int("nfds"), address("readfds"), address("writefds"), address("exceptfds")] as const

/** select(2). Blocks. Restart: ERESTARTNOHAND, with the timeout updated. */
export const select = declare(
  "select",
  [...SELECT_ARGUMENTS, struct("timeout", "timeval", "both")],
  (task, count, reads, writes, excepts, timeout) =>
    withTimeout(task, timeout, timevalFormat, (deadline) =>
      selectUntil(task, count, [reads, writes, excepts], deadline)
    )
)

/** pselect6(2). Its last argument points at the mask's address and size. */
export const pselect6 = declare(
  "pselect6",
  [...SELECT_ARGUMENTS, struct("timeout", "timespec", "both"), address("sigmask")],
  (task, count, reads, writes, excepts, timeout, maskPointer) => {
    let mask = 0
    let sigsetSize = SIGSET_SIZE
    if (maskPointer !== 0) {
      mask = task.memory.readU64(maskPointer)
      sigsetSize = task.memory.readU64(maskPointer + 8)
      if (mask < 0 || sigsetSize < 0) return -EFAULT
    }
    return withTimeout(task, timeout, timespecFormat, (deadline) =>
      withMaskAt(task, mask, sigsetSize, () => selectUntil(task, count, [reads, writes, excepts], deadline))
    )
  }
)

export const sysPoll: ReadonlyArray<Syscall> = [poll, ppoll, select, pselect6]
