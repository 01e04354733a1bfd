/**
 * epoll_create(2), epoll_ctl(2), epoll_wait(2) and its variants.
 */
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EPERM } from "../Abi/Errno.ts"
import {
  EPOLL_CLOEXEC,
  EPOLL_CREATE_NAMES,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_CTL_NAMES,
  EPOLL_EVENT_SIZE
} from "../Abi/EpollFlags.ts"
import { TASK_SIZE } from "../Abi/Mman.ts"
import { POLLIN } from "../Abi/Poll.ts"
import { nanosOfTimespec, Timespec } from "../Abi/Time.ts"
import { address, declare, fd, flags, int, oneOf, type Result, size, struct, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { asEpoll, EpollDescription, type EpollEvent, type EpollRequest } from "../Vfs/Epoll.ts"
import { fileOf, waitForFile } from "./Blocking.ts"
import { installFile } from "./SysPipe.ts"
import { withMaskAt } from "./SysPoll.ts"

const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_SIZE)
/** Events reported by one call at most, so that one call's buffer stays small; the rest stays ready. */
const MAX_AT_ONCE = 4096

const create = (task: Task, closeOnExec: boolean): number => {
  const stat = task.system.anonymous.attributes("anon_inode", task.credentials)
  return installFile(task, new EpollDescription(stat), closeOnExec)
}

export const epoll_create = declare("epoll_create", [int("size")], (task, hint) =>
  hint <= 0 ? -EINVAL : create(task, false)
)

export const epoll_create1 = declare("epoll_create1", [flags("flags", EPOLL_CREATE_NAMES)], (task, flagBits) =>
  (flagBits & ~EPOLL_CLOEXEC) !== 0 ? -EINVAL : create(task, flagBits !== 0)
)

const readRequest = (task: Task, pointer: number): EpollRequest | number => {
  const raw = new Uint8Array(EPOLL_EVENT_SIZE)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const view = new DataView(raw.buffer)
  return { events: view.getUint32(0, true), data: view.getBigUint64(4, true) }
}

/** epoll_ctl(2). Errors: EBADF, EINVAL, EPERM, EEXIST, ENOENT, ELOOP, EFAULT. */
export const epoll_ctl = declare(
  "epoll_ctl",
  [fd("epfd"), oneOf("op", EPOLL_CTL_NAMES), fd("fd"), struct("event", "epoll_event", "in")],
  (task, epollFd, operation, targetFd, pointer) => {
    const request = operation === EPOLL_CTL_DEL ? { events: 0, data: 0n } : readRequest(task, pointer)
    if (typeof request === "number") return request
    const target = fileOf(task, targetFd)
    const found = fileOf(task, epollFd)
    if (found === undefined || target === undefined) return -EBADF
    const epoll = asEpoll(found)
    if (typeof epoll === "number") return target.pollable ? epoll : -EPERM
    switch (operation) {
      case EPOLL_CTL_ADD:
        return epoll.add(targetFd, target, request, target.facing(task))
      case EPOLL_CTL_MOD:
        return epoll.modify(targetFd, target, request)
      case EPOLL_CTL_DEL:
        return epoll.remove(targetFd, target)
      default:
        return -EINVAL
    }
  }
)

const copyOutEvents = (task: Task, pointer: number, events: ReadonlyArray<EpollEvent>): number => {
  const raw = new Uint8Array(events.length * EPOLL_EVENT_SIZE)
  const view = new DataView(raw.buffer)
  for (const [index, event] of events.entries()) {
    view.setUint32(index * EPOLL_EVENT_SIZE, event.events, true)
    view.setBigUint64(index * EPOLL_EVENT_SIZE + 4, event.data, true)
  }
  return task.memory.copyOut(pointer, raw) < 0 ? -EFAULT : events.length
}

/** Waits for events; `timeout` in nanoseconds, undefined for ever. Blocks. A signal ends it with EINTR, always. */
const wait = (task: Task, epollFd: number, pointer: number, max: number, timeout: bigint | undefined): Result => {
  const file = fileOf(task, epollFd)
  if (file === undefined) return -EBADF
  if (max <= 0 || max > MAX_EVENTS) return -EINVAL
  if (pointer + max * EPOLL_EVENT_SIZE > TASK_SIZE) return -EFAULT
  const epoll = asEpoll(file)
  if (typeof epoll === "number") return epoll
  const attempt = (): number => {
    const events = epoll.collect(Math.min(max, MAX_AT_ONCE))
    return events.length === 0 ? -EAGAIN : copyOutEvents(task, pointer, events)
  }
  const result = attempt()
  if (result !== -EAGAIN) return result
  if (timeout === 0n) return 0
  const deadline = timeout === undefined ? undefined : task.system.timekeeper.monotonic() + timeout
  return waitForFile(task, epoll, POLLIN, attempt, { deadline, expired: () => 0, interrupted: () => -EINTR })
}

const ofMilliseconds = (timeout: number): bigint | undefined => (timeout < 0 ? undefined : BigInt(timeout) * 1_000_000n)

const WAIT_ARGUMENTS = [fd("epfd"), address("events"), int("maxevents")] as const

export const epoll_wait = declare(
  "epoll_wait",
  [...WAIT_ARGUMENTS, int("timeout")],
  (task, epollFd, pointer, max, timeout) => wait(task, epollFd, pointer, max, ofMilliseconds(timeout))
)

export const epoll_pwait = declare(
  "epoll_pwait",
  [...WAIT_ARGUMENTS, int("timeout"), address("sigmask"), size("sigsetsize")],
  (task, epollFd, pointer, max, timeout, mask, sigsetSize) =>
    withMaskAt(task, mask, sigsetSize, () => wait(task, epollFd, pointer, max, ofMilliseconds(timeout)))
)

export const epoll_pwait2 = declare(
  "epoll_pwait2",
  [...WAIT_ARGUMENTS, struct("timeout", "timespec", "in"), address("sigmask"), size("sigsetsize")],
  (task, epollFd, pointer, max, timeoutPointer, mask, sigsetSize) => {
    let timeout: bigint | undefined
    if (timeoutPointer !== 0) {
      const raw = new Uint8Array(Timespec.size)
      if (task.memory.copyIn(timeoutPointer, raw) < 0) return -EFAULT
      const nanos = nanosOfTimespec(Timespec.decode(raw))
      if (typeof nanos === "number") return nanos
      timeout = nanos
    }
    return withMaskAt(task, mask, sigsetSize, () => wait(task, epollFd, pointer, max, timeout))
  }
)

export const sysEpoll: ReadonlyArray<Syscall> = [
  epoll_create,
  epoll_create1,
  epoll_ctl,
  epoll_wait,
  epoll_pwait,
  epoll_pwait2
]
