/**
 * How a task asks to be scheduled, sched(7), ioprio_set(2). Kept and reported; the host schedules guest threads as it
 * sees fit. Immutable: a change makes a new value.
 */
import { MAX_NICE, MIN_NICE, SCHED_FIFO, SCHED_OTHER, SCHED_RR } from "../Abi/Sched.ts"
import { RLIMIT_NICE } from "../Abi/Resource.ts"
import type { Task } from "./Task.ts"

export interface Scheduling {
  /** SCHED_*. */
  readonly policy: number
  /** 1 to 99 with a real-time policy, else 0. */
  readonly priority: number
  /** SCHED_RESET_ON_FORK. */
  readonly resetOnFork: boolean
  /** A slice asked for by sched_setattr(2), nanoseconds; 0: the default. */
  readonly slice: number
  /** The CPUs it may run on, as a bit mask; undefined: all. */
  readonly affinity: bigint | undefined
  /** ioprio_set(2): class and level; 0: follows the niceness. */
  readonly ioPriority: number
}

export const defaultScheduling: Scheduling = {
  policy: SCHED_OTHER,
  priority: 0,
  resetOnFork: false,
  slice: 0,
  affinity: undefined,
  ioPriority: 0
}

export const isRealTime = (policy: number): boolean => policy === SCHED_FIFO || policy === SCHED_RR

/** What a new task gets from the one that made it. Owner: the parent's fiber. */
export const inheritScheduling = (parent: Task, child: Task): void => {
  const { scheduling } = parent
  child.niceness = parent.niceness
  child.scheduling = scheduling
  if (!scheduling.resetOnFork) return
  child.scheduling = { ...scheduling, resetOnFork: false }
  if (isRealTime(scheduling.policy)) {
    child.scheduling = { ...child.scheduling, policy: SCHED_OTHER, priority: 0 }
    child.niceness = 0
  } else child.niceness = Math.max(0, parent.niceness)
}

/** The CPUs a task may run on, among the `count` there are. */
export const affinityOf = ({ affinity }: Scheduling, count: number): bigint => affinity ?? (1n << BigInt(count)) - 1n

/** The CPU a task runs on, as it is told: the one that it occupies (TaskRseq.ts) where somebody counts on it, else the lowest it may use. */
export const cpuOf = ({ rseq, scheduling, system }: Task): number => {
  if (rseq?.shown !== undefined && rseq.shown >= 0) return rseq.shown
  let mask = affinityOf(scheduling, system.cpuCount)
  let cpu = 0
  for (; (mask & 1n) === 0n; mask >>= 1n) cpu++
  return cpu
}

export const clampNice = (nice: number): number => Math.min(MAX_NICE, Math.max(MIN_NICE, nice))

/** Whether RLIMIT_NICE of `target` allows `nice`. */
export const allowsNice = (target: Task, nice: number): boolean =>
  20 - nice <= target.threadGroup.limits.soft(RLIMIT_NICE)
