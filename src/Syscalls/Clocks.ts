/**
 * The clocks of clock_gettime(2).
 */
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID
} from "../Abi/Time.ts"
import type { Task } from "../Task/Task.ts"
import { groupUsage, taskUsage } from "../Task/ThreadGroup.ts"

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
      return timekeeper.monotonic()
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
      return clock === CLOCK_THREAD_CPUTIME_ID ? taskUsage(task).user : groupUsage(task.threadGroup).user
    default:
      return undefined
  }
}
