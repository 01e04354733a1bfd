/**
 * Interval timers, setitimer(2), and POSIX timers, timer_create(2).
 */
import { Sigevent, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID } from "../Abi/Sigevent.ts"
import { EAGAIN, EFAULT, EINVAL, EOPNOTSUPP } from "../Abi/Errno.ts"
import { NSIG, SIGALRM, SIGPROF, SIGVTALRM, SI_KERNEL } from "../Abi/Signal.ts"
import {
  CLOCK_NAMES,
  ItimerSpec,
  ItimerVal,
  NANOS_PER_SECOND,
  TIMER_ABSTIME,
  nanosOfTimespec,
  nanosOfTimeval,
  timespecOfNanos,
  timevalOfNanos
} from "../Abi/Time.ts"
import { ClockTimer, type TimerClock, type TimerState } from "../Task/ClockTimer.ts"
import { type Notification, PosixTimer } from "../Task/PosixTimer.ts"
import { type Result, address, declare, flags, int, oneOf, struct, uint } from "../Task/Syscall.ts"
import { findTask } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { sendToGroup } from "../Task/TaskSignals.ts"
import { refusesTimer } from "../Task/UserLimits.ts"
import { groupCpuTime, groupUsage } from "../Task/ThreadGroup.ts"
import { isAlarmClock, isCpuClock, isUntimed, readClock } from "./Clocks.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Interval timers
// ---------------------------------------------------------------------------------------------------------------------

const ITIMER_REAL = 0
const ITIMER_VIRTUAL = 1
const ITIMER_NAMES = Object.entries({ ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF: 2 })
/** The signal of each. */
const SIGNALS = [SIGALRM, SIGVTALRM, SIGPROF]

/** The process's timer of one kind, made at its first use. */
const intervalTimer = (task: Task, which: number): ClockTimer => {
  const { intervalTimers } = task.threadGroup
  const existing = intervalTimers[which]
  if (existing !== undefined) return existing
  const { timekeeper, timers } = task.system
  const group = task.threadGroup
  const clock: TimerClock = { now: () => nowOf(task, which), isCpuClock: which !== ITIMER_REAL }
  const timer = new ClockTimer(timers, timekeeper, clock, () =>
    sendToGroup(group, { _tag: "Kill", signo: SIGNALS[which]!, code: SI_KERNEL, pid: 0, uid: 0 })
  )
  intervalTimers[which] = timer
  return timer
}

/** What the clock of an interval timer shows. */
const nowOf = ({ system, threadGroup }: Task, which: number): bigint => {
  if (which === ITIMER_REAL) return system.timekeeper.monotonic()
  return which === ITIMER_VIRTUAL ? groupUsage(threadGroup).user : groupCpuTime(threadGroup)
}

/** Arms a timer; the state it had. */
const setInterval = (task: Task, which: number, value: bigint, interval: bigint): TimerState => {
  const timer = intervalTimer(task, which)
  const old = timer.state
  timer.set(value === 0n ? undefined : nowOf(task, which) + value, value === 0n ? 0n : interval)
  return old
}

const encodeItimer = ({ interval, left }: TimerState): Uint8Array =>
  // what is left of less than a microsecond is not nothing
  ItimerVal.encode({
    it_interval: timevalOfNanos(interval),
    it_value: timevalOfNanos(left > 0n && left < 1000n ? 1000n : left)
  })

const setitimer = (task: Task, which: number, value: number, old: number): Result => {
  const bytes = new Uint8Array(ItimerVal.size)
  if (value !== 0 && task.memory.copyIn(value, bytes) < 0) return -EFAULT
  if (which < 0 || which >= SIGNALS.length) return -EINVAL
  const decoded = ItimerVal.decode(bytes)
  const first = nanosOfTimeval(decoded.it_value)
  const period = nanosOfTimeval(decoded.it_interval)
  if (typeof first === "number" || typeof period === "number") return -EINVAL
  const previous = setInterval(task, which, first, period)
  return old === 0 ? 0 : task.memory.copyOut(old, encodeItimer(previous))
}

const getitimer = (task: Task, which: number, at: number): Result =>
  which < 0 || which >= SIGNALS.length
    ? -EINVAL
    : task.memory.copyOut(at, encodeItimer(intervalTimer(task, which).state))

const alarm = (task: Task, seconds: number): Result => {
  const { left } = setInterval(task, ITIMER_REAL, BigInt(seconds) * NANOS_PER_SECOND, 0n)
  // rounded as Linux does: to the nearest second, but never to 0 while something is left
  const whole = Number((left + NANOS_PER_SECOND / 2n) / NANOS_PER_SECOND)
  return left > 0n && whole === 0 ? 1 : whole
}

// ---------------------------------------------------------------------------------------------------------------------
// POSIX timers
// ---------------------------------------------------------------------------------------------------------------------

/** `bytes`: a struct sigevent, or none. */
const notificationOf = (task: Task, bytes: Uint8Array | undefined, id: number): Notification | number => {
  if (bytes === undefined) return { _tag: "Process", signo: SIGALRM, value: BigInt(id) }
  const { sigev_notify, sigev_signo, sigev_tid, sigev_value } = Sigevent.decode(bytes)
  if (sigev_notify === SIGEV_NONE) return { _tag: "None" }
  if (sigev_signo < 1 || sigev_signo > NSIG) return -EINVAL
  switch (sigev_notify) {
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
      return { _tag: "Process", signo: sigev_signo, value: sigev_value }
    case SIGEV_SIGNAL | SIGEV_THREAD_ID: {
      const target = findTask(task, sigev_tid)
      if (target === undefined || target.threadGroup !== task.threadGroup) return -EINVAL
      return { _tag: "Thread", signo: sigev_signo, value: sigev_value, tid: target.tid }
    }
    default:
      return -EINVAL
  }
}

const timer_create = (task: Task, clockId: number, event: number, idAddress: number): Result => {
  const bytes = event === 0 ? undefined : new Uint8Array(Sigevent.size)
  if (bytes !== undefined && task.memory.copyIn(event, bytes) < 0) return -EFAULT
  if (isUntimed(clockId)) return -EOPNOTSUPP
  if (!isAlarmClock(clockId) && readClock(task, clockId) === undefined) return -EINVAL
  const { posixTimers } = task.threadGroup
  if (refusesTimer(task)) return -EAGAIN
  const id = posixTimers.allocateId()
  const notification = notificationOf(task, bytes, id)
  if (typeof notification === "number") return notification
  if (task.memory.writeU32(idAddress, id) < 0) return -EFAULT
  if (isAlarmClock(clockId)) return -EOPNOTSUPP
  const clock: TimerClock = {
    now: () => readClock(task, clockId) ?? 0n,
    isCpuClock: isCpuClock(clockId)
  }
  posixTimers.add(new PosixTimer(task, id, clockId, clock, notification))
  return 0
}

const encodeSpec = ({ interval, left }: TimerState): Uint8Array =>
  ItimerSpec.encode({ it_interval: timespecOfNanos(interval), it_value: timespecOfNanos(left) })

const timer_settime = (task: Task, id: number, options: number, value: number, old: number): Result => {
  if (value === 0) return -EINVAL
  const bytes = new Uint8Array(ItimerSpec.size)
  if (task.memory.copyIn(value, bytes) < 0) return -EFAULT
  const decoded = ItimerSpec.decode(bytes)
  const first = nanosOfTimespec(decoded.it_value)
  const period = nanosOfTimespec(decoded.it_interval)
  if (typeof first === "number" || typeof period === "number") return -EINVAL
  const posix = task.threadGroup.posixTimers.get(id)
  if (posix === undefined) return -EINVAL
  const isAbsolute = (options & TIMER_ABSTIME) !== 0
  return task.threadGroup.handlers.mutex.run(() => {
    const previous = posix.state
    posix.set(first === 0n ? undefined : isAbsolute ? first : posix.clock.now() + first, period)
    return old === 0 ? 0 : task.memory.copyOut(old, encodeSpec(previous))
  })
}

const timer_gettime = (task: Task, id: number, at: number): Result => {
  const posix = task.threadGroup.posixTimers.get(id)
  return posix === undefined ? -EINVAL : task.memory.copyOut(at, encodeSpec(posix.state))
}

export const sysTimer = [
  declare(
    "setitimer",
    [oneOf("which", ITIMER_NAMES), struct("new_value", "itimerval", "in"), struct("old_value", "itimerval", "out")],
    setitimer
  ),
  declare("getitimer", [oneOf("which", ITIMER_NAMES), struct("curr_value", "itimerval", "out")], getitimer),
  declare("alarm", [uint("seconds")], alarm),
  declare(
    "timer_create",
    [oneOf("clockid", CLOCK_NAMES), struct("sevp", "sigevent", "in"), address("timerid")],
    timer_create
  ),
  declare(
    "timer_settime",
    [
      int("timerid"),
      flags("flags", [["TIMER_ABSTIME", TIMER_ABSTIME]], "0"),
      struct("new_value", "itimerspec", "in"),
      struct("old_value", "itimerspec", "out")
    ],
    timer_settime
  ),
  declare("timer_gettime", [int("timerid"), struct("curr_value", "itimerspec", "out")], timer_gettime),
  declare(
    "timer_getoverrun",
    [int("timerid")],
    (task, id) => task.threadGroup.posixTimers.get(id)?.lastOverrun ?? -EINVAL
  ),
  declare("timer_delete", [int("timerid")], (task, id) =>
    task.threadGroup.handlers.mutex.run(() => (task.threadGroup.posixTimers.delete(id) ? 0 : -EINVAL))
  )
]
