/**
 * Scheduling policies and attributes, sched(7), sched_setattr(2), and I/O priorities, ioprio_set(2).
 */
import * as Struct from "./Struct.ts"

export const SCHED_OTHER = 0
export const SCHED_FIFO = 1
export const SCHED_RR = 2
export const SCHED_BATCH = 3
export const SCHED_IDLE = 5
export const SCHED_DEADLINE = 6
export const SCHED_EXT = 7

/** Goes with the policy of sched_setscheduler(2). */
export const SCHED_RESET_ON_FORK = 0x4000_0000

export const SCHED_NAMES = Object.entries({
  SCHED_OTHER,
  SCHED_FIFO,
  SCHED_RR,
  SCHED_BATCH,
  SCHED_IDLE,
  SCHED_DEADLINE,
  SCHED_EXT
})

export const SCHED_FLAG_RESET_ON_FORK = 0x01
export const SCHED_FLAG_RECLAIM = 0x02
export const SCHED_FLAG_DL_OVERRUN = 0x04
export const SCHED_FLAG_KEEP_POLICY = 0x08
export const SCHED_FLAG_KEEP_PARAMS = 0x10
export const SCHED_FLAG_UTIL_CLAMP_MIN = 0x20
export const SCHED_FLAG_UTIL_CLAMP_MAX = 0x40
export const SCHED_FLAG_ALL = 0x7f

/** `struct sched_attr`. */
export const SchedAttr = Struct.make("sched_attr", {
  size: Struct.u32,
  sched_policy: Struct.u32,
  sched_flags: Struct.u64,
  sched_nice: Struct.i32,
  sched_priority: Struct.u32,
  sched_runtime: Struct.u64,
  sched_deadline: Struct.u64,
  sched_period: Struct.u64,
  sched_util_min: Struct.u32,
  sched_util_max: Struct.u32
})
export type SchedAttr = Struct.Type<typeof SchedAttr>

/** Bytes of the first version of `struct sched_attr`. */
export const SCHED_ATTR_SIZE_VER0 = 48

export const IOPRIO_CLASS_NONE = 0
export const IOPRIO_CLASS_RT = 1
export const IOPRIO_CLASS_BE = 2
export const IOPRIO_CLASS_IDLE = 3
export const IOPRIO_CLASS_SHIFT = 13
export const IOPRIO_LEVELS = 8

export const IOPRIO_WHO_PROCESS = 1
export const IOPRIO_WHO_PGRP = 2
export const IOPRIO_WHO_USER = 3
export const IOPRIO_WHO_NAMES = Object.entries({ IOPRIO_WHO_PROCESS, IOPRIO_WHO_PGRP, IOPRIO_WHO_USER })

export const PRIO_PROCESS = 0
export const PRIO_PGRP = 1
export const PRIO_USER = 2
export const PRIO_NAMES = Object.entries({ PRIO_PROCESS, PRIO_PGRP, PRIO_USER })

export const MIN_NICE = -20
export const MAX_NICE = 19
