/**
 * Niceness and I/O priority of threads, process groups and users: kept, checked and reported, as with sched(7).
 */
import { CAP_SYS_ADMIN, CAP_SYS_NICE } from "../Abi/Capability.ts"
import { EACCES, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import {
  IOPRIO_CLASS_BE,
  IOPRIO_CLASS_IDLE,
  IOPRIO_CLASS_NONE,
  IOPRIO_CLASS_RT,
  IOPRIO_CLASS_SHIFT,
  IOPRIO_LEVELS,
  IOPRIO_WHO_NAMES,
  IOPRIO_WHO_PGRP,
  IOPRIO_WHO_PROCESS,
  IOPRIO_WHO_USER,
  PRIO_NAMES,
  PRIO_PGRP,
  PRIO_PROCESS,
  PRIO_USER,
  SCHED_IDLE
} from "../Abi/Sched.ts"
import { allowsNice, clampNice, isRealTime } from "../Task/Scheduling.ts"
import { type Result, declare, int, oneOf } from "../Task/Syscall.ts"
import { findProcessGroup, findTaskOrSelf } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability, hasCapabilityIn } from "../Vfs/Credentials.ts"

const isCapable = (task: Task): boolean => hasCapability(task.credentials, CAP_SYS_NICE)

/** For what others may be asked about or told. */
const isCapableOver = (task: Task, { credentials }: Task): boolean =>
  hasCapabilityIn(task.credentials, credentials.userNamespace, CAP_SYS_NICE)

const livingTasks = function* (groups: Iterable<{ readonly tasks: Iterable<Task> }>): Generator<Task> {
  for (const group of groups) yield* group.tasks
}

/** The tasks of a process group; 0: the caller's own. */
const groupTasks = (task: Task, who: number): Iterable<Task> => {
  const group = who === 0 ? task.threadGroup.processGroup : findProcessGroup(task, who)
  return group === undefined ? [] : livingTasks(group.members)
}

/** The tasks of a real user; 0: the caller's own. */
const userTasks = function* (task: Task, who: number): Generator<Task> {
  const uid = who === 0 ? task.credentials.ruid : task.credentials.userNamespace.userFrom(who >>> 0)
  for (const each of livingTasks(task.system.taskSet.groups.values())) if (each.credentials.ruid === uid) yield each
}

const processTasks = (task: Task, who: number): Iterable<Task> => {
  const target = findTaskOrSelf(task, who)
  return target === undefined ? [] : [target]
}

/** Whom setpriority(2) means; undefined for an unknown `which`. */
const priorityTargets = (task: Task, which: number, who: number): Iterable<Task> | undefined => {
  switch (which) {
    case PRIO_PROCESS:
      return processTasks(task, who)
    case PRIO_PGRP:
      return groupTasks(task, who)
    case PRIO_USER:
      return userTasks(task, who)
    default:
      return undefined
  }
}

/** The highest priority among those meant, as 20 − nice so that it is never negative. */
const getpriority = (task: Task, which: number, who: number): Result => {
  const targets = priorityTargets(task, which, who)
  if (targets === undefined) return -EINVAL
  let highest = -ESRCH
  for (const target of targets) highest = Math.max(highest, 20 - target.niceness)
  return highest
}

const setOnePriority = (task: Task, target: Task, nice: number): number => {
  const { credentials } = target
  const own = credentials.ruid === task.credentials.euid || credentials.euid === task.credentials.euid
  if (!own && !isCapableOver(task, target)) return -EPERM
  if (nice < target.niceness && !allowsNice(target, nice) && !isCapable(task)) return -EACCES
  target.niceness = nice
  return 0
}

const setpriority = (task: Task, which: number, who: number, priority: number): Result => {
  const targets = priorityTargets(task, which, who)
  if (targets === undefined) return -EINVAL
  const nice = clampNice(priority)
  // Linux: the last failure counts; success only replaces "no such process"
  let result = -ESRCH
  for (const target of [...targets]) {
    const error = setOnePriority(task, target, nice)
    if (error < 0 || result === -ESRCH) result = error
  }
  return result
}

const ioPriority = (klass: number, level: number): number => (klass << IOPRIO_CLASS_SHIFT) | level

/** What counts for a task that has chosen none: it follows policy and niceness. */
const effectiveIoPriority = ({ niceness, scheduling }: Task): number => {
  if (scheduling.ioPriority >>> IOPRIO_CLASS_SHIFT !== IOPRIO_CLASS_NONE) return scheduling.ioPriority
  const level = Math.floor((niceness + 20) / 5)
  if (scheduling.policy === SCHED_IDLE) return ioPriority(IOPRIO_CLASS_IDLE, level)
  return ioPriority(isRealTime(scheduling.policy) ? IOPRIO_CLASS_RT : IOPRIO_CLASS_BE, level)
}

const ioTargets = (task: Task, which: number, who: number): Iterable<Task> | undefined => {
  switch (which) {
    case IOPRIO_WHO_PROCESS:
      return processTasks(task, who)
    case IOPRIO_WHO_PGRP:
      return groupTasks(task, who)
    case IOPRIO_WHO_USER:
      return userTasks(task, who)
    default:
      return undefined
  }
}

const ioprio_get = (task: Task, which: number, who: number): Result => {
  const targets = ioTargets(task, which, who)
  if (targets === undefined) return -EINVAL
  if (which === IOPRIO_WHO_PROCESS) return findTaskOrSelf(task, who)?.scheduling.ioPriority ?? -ESRCH
  let best = Infinity
  for (const target of targets) best = Math.min(best, effectiveIoPriority(target))
  return best === Infinity ? -ESRCH : best
}

/** 0, -EINVAL, or -EPERM: the real-time class needs CAP_SYS_ADMIN or CAP_SYS_NICE. */
const checkIoPriority = (task: Task, priority: number): number => {
  switch (priority >> IOPRIO_CLASS_SHIFT) {
    case IOPRIO_CLASS_RT:
      return isCapable(task) || hasCapability(task.credentials, CAP_SYS_ADMIN) ? 0 : -EPERM
    case IOPRIO_CLASS_BE:
    case IOPRIO_CLASS_IDLE:
      return 0
    case IOPRIO_CLASS_NONE:
      return priority % IOPRIO_LEVELS === 0 ? 0 : -EINVAL
    default:
      return -EINVAL
  }
}

const ioprio_set = (task: Task, which: number, who: number, priority: number): Result => {
  const invalid = checkIoPriority(task, priority)
  if (invalid < 0) return invalid
  const targets = ioTargets(task, which, who)
  if (targets === undefined) return -EINVAL
  let result = -ESRCH
  for (const target of [...targets]) {
    const { ruid } = target.credentials
    if (ruid !== task.credentials.euid && ruid !== task.credentials.ruid && !isCapable(task)) return -EPERM
    target.scheduling = { ...target.scheduling, ioPriority: priority & 0xffff }
    result = 0
  }
  return result
}

const KEPT = { ignored: "kept and reported; the host schedules guest threads as its own" }

export const sysPriority = [
  declare("getpriority", [oneOf("which", PRIO_NAMES), int("who")], getpriority),
  declare("setpriority", [oneOf("which", PRIO_NAMES), int("who"), int("prio")], setpriority, KEPT),
  declare("ioprio_get", [oneOf("which", IOPRIO_WHO_NAMES), int("who")], ioprio_get),
  declare("ioprio_set", [oneOf("which", IOPRIO_WHO_NAMES), int("who"), int("ioprio")], ioprio_set, KEPT)
]
