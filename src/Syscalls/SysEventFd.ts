/**
 * eventfd(2) and timerfd_create(2) with its calls.
 */
import { CAP_WAKE_ALARM } from "../Abi/Capability.ts"
import { EBADF, EFAULT, EINVAL, EPERM } from "../Abi/Errno.ts"
import {
  EFD_CLOEXEC,
  EFD_NAMES,
  EFD_NONBLOCK,
  EFD_SEMAPHORE,
  TFD_CLOEXEC,
  TFD_NAMES,
  TFD_NONBLOCK,
  TFD_TIMER_ABSTIME,
  TFD_TIMER_CANCEL_ON_SET,
  TFD_TIMER_NAMES
} from "../Abi/EpollFlags.ts"
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_NAMES,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  ItimerSpec,
  nanosOfTimespec,
  timespecOfNanos
} from "../Abi/Time.ts"
import { declare, fd, flags, oneOf, struct, type Syscall, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { EventFd } from "../Vfs/EventFd.ts"
import { TimerFd, type TimerSetting } from "../Vfs/TimerFd.ts"
import { fileOf } from "./Blocking.ts"
import { installFile } from "./SysPipe.ts"

const makeEventFd = (task: Task, initial: number, flagBits: number): number => {
  if ((flagBits & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK)) !== 0) return -EINVAL
  const stat = task.system.anonymous.attributes("anon_inode", task.credentials)
  const file = new EventFd(stat, initial, (flagBits & EFD_SEMAPHORE) !== 0, flagBits & EFD_NONBLOCK)
  return installFile(task, file, (flagBits & EFD_CLOEXEC) !== 0)
}

export const eventfd = declare("eventfd", [uint("initval")], (task, initial) => makeEventFd(task, initial, 0))

export const eventfd2 = declare("eventfd2", [uint("initval"), flags("flags", EFD_NAMES)], makeEventFd)

const REALTIME_CLOCKS = new Set([CLOCK_REALTIME, CLOCK_REALTIME_ALARM])
const ALARM_CLOCKS = new Set([CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM])
const CLOCKS = new Set([CLOCK_MONOTONIC, CLOCK_BOOTTIME, ...REALTIME_CLOCKS, ...ALARM_CLOCKS])

/** timerfd_create(2). Errors: EINVAL; EPERM for an alarm clock without CAP_WAKE_ALARM. */
export const timerfd_create = declare(
  "timerfd_create",
  [oneOf("clockid", CLOCK_NAMES), flags("flags", TFD_NAMES)],
  (task, clock, flagBits) => {
    if (!CLOCKS.has(clock) || (flagBits & ~(TFD_CLOEXEC | TFD_NONBLOCK)) !== 0) return -EINVAL
    if (ALARM_CLOCKS.has(clock) && !hasCapability(task.credentials, CAP_WAKE_ALARM)) return -EPERM
    const { anonymous } = task.system
    const stat = anonymous.attributes("anon_inode", task.credentials)
    return installFile(
      task,
      new TimerFd(anonymous, stat, clock, flagBits & TFD_NONBLOCK),
      (flagBits & TFD_CLOEXEC) !== 0
    )
  },
  { partial: "an alarm clock's timer wakes no suspended machine" }
)

const timerOf = (task: Task, fdNumber: number): TimerFd | number => {
  const file = fileOf(task, fdNumber)
  if (file === undefined) return -EBADF
  return file instanceof TimerFd ? file : -EINVAL
}

const encode = ({ value, interval }: TimerSetting): Uint8Array =>
  ItimerSpec.encode({ it_interval: timespecOfNanos(interval), it_value: timespecOfNanos(value) })

/** timerfd_settime(2). The clock cannot be set here, so TFD_TIMER_CANCEL_ON_SET never cancels. */
export const timerfd_settime = declare(
  "timerfd_settime",
  [
    fd("fd"),
    flags("flags", TFD_TIMER_NAMES),
    struct("new_value", "itimerspec", "in"),
    struct("old_value", "itimerspec", "out")
  ],
  (task, fdNumber, flagBits, newPointer, oldPointer) => {
    const raw = new Uint8Array(ItimerSpec.size)
    if (task.memory.copyIn(newPointer, raw) < 0) return -EFAULT
    const wanted = ItimerSpec.decode(raw)
    const value = nanosOfTimespec(wanted.it_value)
    const interval = nanosOfTimespec(wanted.it_interval)
    if ((flagBits & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return -EINVAL
    if (typeof value === "number" || typeof interval === "number") return -EINVAL
    const timer = timerOf(task, fdNumber)
    if (typeof timer === "number") return timer
    const old = timer.setting()
    timer.settingFlags = flagBits
    const { timekeeper } = task.system
    const now = timekeeper.monotonic()
    const shown = now + task.namespaces.time.offsetOf(timer.clock)
    const origin = REALTIME_CLOCKS.has(timer.clock) ? timekeeper.realtime() : shown
    const delay = (flagBits & TFD_TIMER_ABSTIME) !== 0 ? value - origin : value
    timer.set(value === 0n ? undefined : now + delay, interval)
    return oldPointer === 0 ? 0 : task.memory.copyOut(oldPointer, encode(old))
  }
)

export const timerfd_gettime = declare(
  "timerfd_gettime",
  [fd("fd"), struct("curr_value", "itimerspec", "out")],
  (task, fdNumber, pointer) => {
    const timer = timerOf(task, fdNumber)
    return typeof timer === "number" ? timer : task.memory.copyOut(pointer, encode(timer.setting()))
  }
)

export const sysEventFd: ReadonlyArray<Syscall> = [eventfd, eventfd2, timerfd_create, timerfd_settime, timerfd_gettime]
