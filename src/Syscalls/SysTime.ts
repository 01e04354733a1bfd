/**
 * Clocks, sleeping, interval timers.
 */
import * as Effect from "effect/Effect"
import { EFAULT, EINTR, EINVAL, EPERM, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } from "../Abi/Errno.ts"
import { SIGALRM, SI_KERNEL } from "../Abi/Signal.ts"
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_NAMES,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
  ItimerVal,
  NANOS_PER_SECOND,
  TIMER_ABSTIME,
  Timespec,
  Timeval,
  nanosOfTimespec,
  nanosOfTimeval,
  timespecOfNanos,
  timevalOfNanos
} from "../Abi/Time.ts"
import { type Result, address, declare, flags, oneOf, struct, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { sendToGroup } from "../Task/TaskSignals.ts"
import { type ThreadGroup, groupUsage, taskUsage } from "../Task/ThreadGroup.ts"
import { futexWait } from "./SysFutex.ts"
import { pollRestartably } from "./SysPoll.ts"

/** What a clock shows, nanoseconds; undefined for a clock that does not exist. */
const readClock = (task: Task, clock: number): bigint | undefined => {
  const { timekeeper } = task.system
  switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
      return timekeeper.realtime()
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
      return timekeeper.monotonic()
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return clock === CLOCK_THREAD_CPUTIME_ID ? taskUsage(task).user : groupUsage(task.threadGroup).user
    default:
      return undefined
  }
}

const clock_gettime = (task: Task, clock: number, at: number): Result => {
  const now = readClock(task, clock)
  return now === undefined ? -EINVAL : task.memory.copyOut(at, Timespec.encode(timespecOfNanos(now)))
}

const COARSE_RESOLUTION = 4_000_000n

const clock_getres = (task: Task, clock: number, at: number): Result => {
  if (readClock(task, clock) === undefined) return -EINVAL
  const isCoarse = clock === CLOCK_REALTIME_COARSE || clock === CLOCK_MONOTONIC_COARSE
  return at === 0 ? 0 : task.memory.copyOut(at, Timespec.encode(timespecOfNanos(isCoarse ? COARSE_RESOLUTION : 1n)))
}

const gettimeofday = (task: Task, at: number, zone: number): Result => {
  if (at !== 0) {
    const error = task.memory.copyOut(at, Timeval.encode(timevalOfNanos(task.system.timekeeper.realtime())))
    if (error < 0) return error
  }
  return zone === 0 ? 0 : task.memory.copyOut(zone, new Uint8Array(8))
}

const time = (task: Task, at: number): Result => {
  const seconds = Number(task.system.timekeeper.realtime() / NANOS_PER_SECOND)
  return at !== 0 && task.memory.writeU64(at, seconds) < 0 ? -EFAULT : seconds
}

// ---------------------------------------------------------------------------------------------------------------------
// Sleeping
// ---------------------------------------------------------------------------------------------------------------------

/** Sleeps until `deadline` (CLOCK_MONOTONIC); interrupted, a relative sleep (`remain` defined) tells what is left. */
const sleepUntil = (task: Task, clock: number, deadline: bigint, remain: number | undefined): Effect.Effect<number> =>
  Effect.map(
    task.block(() => () => {}, deadline),
    (wakeup) => {
      if (wakeup === "Expired") return 0
      const left = deadline - task.system.timekeeper.monotonic()
      if (left <= 0n) return 0
      if (remain === undefined) return -ERESTARTNOHAND
      if (remain !== 0 && task.memory.copyOut(remain, Timespec.encode(timespecOfNanos(left))) < 0) return -EFAULT
      task.restartBlock = { _tag: "Sleep", clock, deadline, remain }
      return -ERESTART_RESTARTBLOCK
    }
  )

const clock_nanosleep = (task: Task, clock: number, options: number, request: number, remain: number): Result => {
  const now = readClock(task, clock)
  if (now === undefined || clock === CLOCK_THREAD_CPUTIME_ID) return -EINVAL
  const bytes = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(request, bytes) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(bytes))
  if (typeof nanos === "number") return nanos
  const { timekeeper } = task.system
  const isAbsolute = (options & TIMER_ABSTIME) !== 0
  const deadline = timekeeper.monotonic() + (isAbsolute ? nanos - now : nanos)
  if (deadline <= timekeeper.monotonic()) return 0
  return sleepUntil(task, clock, deadline, isAbsolute ? undefined : remain)
}

const restart_syscall = (task: Task): Result => {
  const block = task.restartBlock
  task.restartBlock = undefined
  switch (block?._tag) {
    case "Sleep":
      return sleepUntil(task, block.clock, block.deadline, block.remain)
    case "Futex":
      return futexWait(task, block.address, block.value, block.operation, block.bitset, block.deadline)
    case "Poll":
      return pollRestartably(task, block.fds, block.count, block.deadline)
    case undefined:
      return -EINTR
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// Interval timers
// ---------------------------------------------------------------------------------------------------------------------

const ITIMER_REAL = 0
const ITIMER_NAMES = Object.entries({ ITIMER_REAL, ITIMER_VIRTUAL: 1, ITIMER_PROF: 2 })

const expire = (task: Task, group: ThreadGroup): void => {
  const timer = group.realTimer
  if (timer === undefined) return
  if (timer.interval === 0n) group.realTimer = undefined
  else {
    // never in the past, however late we are: missed expiries coalesce into one signal
    const now = task.system.timekeeper.monotonic()
    timer.deadline += timer.interval * ((now - timer.deadline) / timer.interval + 1n)
    timer.cancel = task.system.timers.at(timer.deadline, () => expire(task, group))
  }
  sendToGroup(group, { _tag: "Kill", signo: SIGALRM, code: SI_KERNEL, pid: 0, uid: 0 })
}

/** Sets ITIMER_REAL; what was left of the old one, and its interval. */
const setRealTimer = (task: Task, value: bigint, interval: bigint): { left: bigint; interval: bigint } => {
  const group = task.threadGroup
  const old = realTimerOf(task)
  group.realTimer?.cancel()
  group.realTimer = undefined
  if (value > 0n) {
    const deadline = task.system.timekeeper.monotonic() + value
    group.realTimer = { deadline, interval, cancel: task.system.timers.at(deadline, () => expire(task, group)) }
  }
  return old
}

const realTimerOf = (task: Task): { left: bigint; interval: bigint } => {
  const timer = task.threadGroup.realTimer
  if (timer === undefined) return { left: 0n, interval: 0n }
  const left = timer.deadline - task.system.timekeeper.monotonic()
  return { left: left > 0n ? left : 1000n, interval: timer.interval }
}

const encodeItimer = ({ interval, left }: { left: bigint; interval: bigint }): Uint8Array =>
  ItimerVal.encode({ it_interval: timevalOfNanos(interval), it_value: timevalOfNanos(left) })

const setitimer = (task: Task, which: number, value: number, old: number): Result => {
  if (which !== ITIMER_REAL) return -EINVAL
  let next = 0n
  let interval = 0n
  if (value !== 0) {
    const bytes = new Uint8Array(ItimerVal.size)
    if (task.memory.copyIn(value, bytes) < 0) return -EFAULT
    const decoded = ItimerVal.decode(bytes)
    const first = nanosOfTimeval(decoded.it_value)
    const period = nanosOfTimeval(decoded.it_interval)
    if (typeof first === "number" || typeof period === "number") return -EINVAL
    next = first
    interval = period
  }
  const previous = setRealTimer(task, next, interval)
  return old === 0 ? 0 : task.memory.copyOut(old, encodeItimer(previous))
}

const alarm = (task: Task, seconds: number): Result => {
  const { left } = setRealTimer(task, BigInt(seconds) * NANOS_PER_SECOND, 0n)
  // rounded as Linux does: to the nearest second, but never to 0 while something is left
  const whole = Number((left + NANOS_PER_SECOND / 2n) / NANOS_PER_SECOND)
  return left > 0n && whole === 0 ? 1 : whole
}

export const sysTime = [
  declare("clock_gettime", [oneOf("clockid", CLOCK_NAMES), struct("tp", "timespec", "out")], clock_gettime),
  declare("clock_getres", [oneOf("clockid", CLOCK_NAMES), struct("res", "timespec", "out")], clock_getres),
  declare("clock_settime", [oneOf("clockid", CLOCK_NAMES), struct("tp", "timespec", "in")], () => -EPERM),
  declare("gettimeofday", [struct("tv", "timeval", "out"), struct("tz", "timezone", "out")], gettimeofday),
  declare("time", [address("tloc")], time),
  declare(
    "clock_nanosleep",
    [
      oneOf("clockid", CLOCK_NAMES),
      flags("flags", [["TIMER_ABSTIME", TIMER_ABSTIME]], "0"),
      struct("request", "timespec", "in"),
      struct("remain", "timespec", "out")
    ],
    clock_nanosleep
  ),
  declare("nanosleep", [struct("req", "timespec", "in"), struct("rem", "timespec", "out")], (task, request, remain) =>
    clock_nanosleep(task, CLOCK_MONOTONIC, 0, request, remain)
  ),
  declare("restart_syscall", [], restart_syscall),
  declare(
    "setitimer",
    [oneOf("which", ITIMER_NAMES), struct("new_value", "itimerval", "in"), struct("old_value", "itimerval", "out")],
    setitimer,
    { partial: "ITIMER_REAL only" }
  ),
  declare(
    "getitimer",
    [oneOf("which", ITIMER_NAMES), struct("curr_value", "itimerval", "out")],
    (task, which, at) => (which === ITIMER_REAL ? task.memory.copyOut(at, encodeItimer(realTimerOf(task))) : -EINVAL),
    { partial: "ITIMER_REAL only" }
  ),
  declare("alarm", [uint("seconds")], alarm)
]
