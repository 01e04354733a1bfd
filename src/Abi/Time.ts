/**
 * Times as system calls exchange them: clocks, timespec, timeval, itimerval. Inside the kernel a time is a bigint of
 * nanoseconds.
 */
import { EINVAL } from "./Errno.ts"
import * as Struct from "./Struct.ts"

export const CLOCK_REALTIME = 0
export const CLOCK_MONOTONIC = 1
export const CLOCK_PROCESS_CPUTIME_ID = 2
export const CLOCK_THREAD_CPUTIME_ID = 3
export const CLOCK_MONOTONIC_RAW = 4
export const CLOCK_REALTIME_COARSE = 5
export const CLOCK_MONOTONIC_COARSE = 6
export const CLOCK_BOOTTIME = 7
export const CLOCK_REALTIME_ALARM = 8
export const CLOCK_BOOTTIME_ALARM = 9
export const CLOCK_TAI = 11

export const CLOCK_NAMES: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  CLOCK_REALTIME,
  CLOCK_MONOTONIC,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_THREAD_CPUTIME_ID,
  CLOCK_MONOTONIC_RAW,
  CLOCK_REALTIME_COARSE,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_BOOTTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_TAI
})

export const TIMER_ABSTIME = 1

export const NANOS_PER_SECOND = 1_000_000_000n

/** `struct timespec`. */
export const Timespec = Struct.make("timespec", { tv_sec: Struct.i64, tv_nsec: Struct.i64 })
export type Timespec = Struct.Type<typeof Timespec>

/** `struct timeval`. */
export const Timeval = Struct.make("timeval", { tv_sec: Struct.i64, tv_usec: Struct.i64 })
export type Timeval = Struct.Type<typeof Timeval>

/** `struct itimerval`. */
export const ItimerVal = Struct.make("itimerval", { it_interval: Timeval, it_value: Timeval })
export type ItimerVal = Struct.Type<typeof ItimerVal>

/** `struct itimerspec`. */
export const ItimerSpec = Struct.make("itimerspec", { it_interval: Timespec, it_value: Timespec })
export type ItimerSpec = Struct.Type<typeof ItimerSpec>

/** Seconds are capped here (about 292 years), as the kernel's ktime_t is. */
const MAX_SECONDS = 9_223_372_035n

/** Nanoseconds of a valid timespec; -EINVAL for a negative second or a nanosecond outside 0 to 999,999,999. */
export const nanosOfTimespec = ({ tv_sec, tv_nsec }: Timespec): bigint | number => {
  if (tv_sec < 0n || tv_nsec < 0n || tv_nsec >= NANOS_PER_SECOND) return -EINVAL
  return (tv_sec > MAX_SECONDS ? MAX_SECONDS : tv_sec) * NANOS_PER_SECOND + tv_nsec
}

export const timespecOfNanos = (nanos: bigint): Timespec => ({
  tv_sec: nanos / NANOS_PER_SECOND,
  tv_nsec: nanos % NANOS_PER_SECOND
})

/** Nanoseconds of a valid timeval; -EINVAL as for a timespec. */
export const nanosOfTimeval = ({ tv_sec, tv_usec }: Timeval): bigint | number =>
  tv_usec >= 1_000_000n ? -EINVAL : nanosOfTimespec({ tv_sec, tv_nsec: tv_usec * 1000n })

export const timevalOfNanos = (nanos: bigint): Timeval => ({
  tv_sec: nanos / NANOS_PER_SECOND,
  tv_usec: (nanos % NANOS_PER_SECOND) / 1000n
})
