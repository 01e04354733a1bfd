/**
 * Clocks and sleeping.
 */
import * as Effect from "effect/Effect"
import { EFAULT, EINTR, EINVAL, EOPNOTSUPP, EPERM, ERESTARTNOHAND, ERESTART_RESTARTBLOCK } from "../Abi/Errno.ts"
import {
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_NAMES,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_THREAD_CPUTIME_ID,
  NANOS_PER_SECOND,
  TIMER_ABSTIME,
  Timespec,
  Timeval,
  nanosOfTimespec,
  timespecOfNanos,
  timevalOfNanos
} from "../Abi/Time.ts"
import { type Result, address, declare, flags, oneOf, struct } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { isAlarmClock, isCpuClock, isOwnThreadClock, isUntimed, readClock } from "./Clocks.ts"
import { futexWait } from "./FutexWait.ts"
import { pollRestartably } from "./SysPoll.ts"

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

/** Nobody may set the sandbox's time, whatever capabilities a guest has; and no other clock can be set. */
const clock_settime = (task: Task, clock: number, at: number): Result => {
  // those of other processes are asked, and refuse
  if (clock !== CLOCK_REALTIME && clock >= 0) return -EINVAL
  const bytes = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(bytes))
  if (typeof nanos === "number") return nanos
  return readClock(task, clock) === undefined ? -EINVAL : -EPERM
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

/** CPU-time clocks are looked at this often at most. */
const CPU_RESOLUTION = 1_000_000n

/** Sleeps until `clock` shows `deadline`; interrupted, a relative sleep (`remain` defined) tells what is left. */
const sleepUntil = Effect.fnUntraced(function* (
  task: Task,
  clock: number,
  deadline: bigint,
  remain: number | undefined
) {
  while (true) {
    const left = deadline - (readClock(task, clock) ?? deadline) // the clock of a process that is gone has stopped
    if (left <= 0n) return 0
    // a CPU-time clock stands still at times: at the earliest moment at which it could be due, another look
    const wait = isCpuClock(clock) && left < CPU_RESOLUTION ? CPU_RESOLUTION : left
    if ((yield* task.block(noEvent, task.system.timekeeper.monotonic() + wait)) === "Signaled") break
  }
  const left = deadline - (readClock(task, clock) ?? deadline)
  if (left <= 0n) return 0
  if (remain === undefined) return -ERESTARTNOHAND
  if (remain !== 0 && task.memory.copyOut(remain, Timespec.encode(timespecOfNanos(left))) < 0) return -EFAULT
  task.restartBlock = { _tag: "Sleep", clock, deadline, remain }
  return -ERESTART_RESTARTBLOCK
})

const noEvent = () => (): void => {}

const clock_nanosleep = (task: Task, clock: number, options: number, request: number, remain: number): Result => {
  if (isUntimed(clock) || clock === CLOCK_THREAD_CPUTIME_ID) return -EOPNOTSUPP
  const now = isAlarmClock(clock) ? 0n : readClock(task, clock)
  if (now === undefined) return -EINVAL
  const bytes = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(request, bytes) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(bytes))
  if (typeof nanos === "number") return nanos
  if (isAlarmClock(clock)) return -EOPNOTSUPP
  if (isOwnThreadClock(task, clock)) return -EINVAL
  if ((options & TIMER_ABSTIME) !== 0) return nanos <= now ? 0 : sleepUntil(task, clock, nanos, undefined)
  if (nanos === 0n) return 0
  if (isCpuClock(clock)) return sleepUntil(task, clock, now + nanos, remain)
  // setting the clock does not change how long a relative sleep is
  const start = task.system.timekeeper.monotonic() + task.namespaces.time.offsets.monotonic
  return sleepUntil(task, CLOCK_MONOTONIC, start + nanos, remain)
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

export const sysTime = [
  declare("clock_gettime", [oneOf("clockid", CLOCK_NAMES), struct("tp", "timespec", "out")], clock_gettime),
  declare("clock_getres", [oneOf("clockid", CLOCK_NAMES), struct("res", "timespec", "out")], clock_getres),
  declare("clock_settime", [oneOf("clockid", CLOCK_NAMES), struct("tp", "timespec", "in")], clock_settime),
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
  declare("restart_syscall", [], restart_syscall)
]
