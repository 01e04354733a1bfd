/**
 * The clocks of clock_gettime(2).
 */
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID
} from "../Abi/Time.ts"
import { findGroup, findTask } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { groupCpuTime, groupUsage, taskCpuTime, taskUsage } from "../Task/ThreadGroup.ts"

/** What a clock shows, nanoseconds; undefined for a clock that does not exist. */
export const readClock = (task: Task, clock: number): bigint | undefined => {
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
      return timekeeper.monotonic() + task.namespaces.time.offsetOf(clock)
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return clock === CLOCK_THREAD_CPUTIME_ID ? taskCpuTime(task) : groupCpuTime(task.threadGroup)
    default:
      return clock < 0 ? readCpuClock(task, clock) : undefined
  }
}

/** Clocks for reading only. */
const untimed: ReadonlySet<number> = new Set([CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE])

/** Whether it is an alarm clock, which is none at all on a machine without one: found out last. */
export const isAlarmClock = (clock: number): boolean => clock === CLOCK_REALTIME_ALARM || clock === CLOCK_BOOTTIME_ALARM

/** Whether a clock exists but neither times nor wakes. */
export const isUntimed = (clock: number): boolean => untimed.has(clock)

/** Whether a clock stands still while its process, or thread, does not run. */
export const isCpuClock = (clock: number): boolean =>
  clock < 0 || clock === CLOCK_PROCESS_CPUTIME_ID || clock === CLOCK_THREAD_CPUTIME_ID

/** Whether it is the clock of the calling thread, by an id that names a thread. */
export const isOwnThreadClock = (task: Task, clock: number): boolean => {
  const id = ~(clock >> 3)
  return clock < 0 && (clock & CLOCK_OF_THREAD) !== 0 && (id === 0 || id === task.ownTid)
}

/** Bits of the id of a process's or thread's clock, as clock_getcpuclockid(3) makes them: ~pid above them. */
const CLOCK_KIND = 3
const CLOCK_OF_THREAD = 4
const CPUCLOCK_VIRT = 1
/** CPUCLOCK_PROF, CPUCLOCK_VIRT and CPUCLOCK_SCHED are below. */
const CLOCK_KINDS = 3

/** What the clock of another process, or of a thread of one's own process, shows. */
const readCpuClock = (task: Task, clock: number): bigint | undefined => {
  const id = ~(clock >> 3)
  if ((clock & CLOCK_KIND) === CLOCK_KINDS) return undefined // a device's clock, by descriptor
  const userOnly = (clock & CLOCK_KIND) === CPUCLOCK_VIRT
  if ((clock & CLOCK_OF_THREAD) !== 0) {
    const of = id === 0 ? task : findTask(task, id)
    if (of?.threadGroup !== task.threadGroup || !task.threadGroup.tasks.has(of)) return undefined
    return userOnly ? taskUsage(of).user : taskCpuTime(of)
  }
  const group = id === 0 ? task.threadGroup : findGroup(task, id)
  if (group === undefined) return undefined
  return userOnly ? groupUsage(group).user : groupCpuTime(group)
}
