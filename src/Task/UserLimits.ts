/**
 * Limits on what a user has in all, not one process: RLIMIT_NPROC and RLIMIT_SIGPENDING, getrlimit(2). Counted when
 * asked for, which is when a limit is there.
 */
import type { SigInfo } from "../Abi/SigInfo.ts"
import { CAP_SYS_ADMIN, CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { RLIMIT_NPROC, RLIMIT_SIGPENDING } from "../Abi/Resource.ts"
import { SIGRTMIN } from "../Abi/Signal.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import type { Task } from "./Task.ts"

/** The living threads and the zombies of a user. */
function* tasksOf(task: Task): Generator<Task> {
  const { ruid } = task.credentials
  for (const other of task.system.taskSet.tasks.values()) if (other.credentials.ruid === ruid) yield other
}

/** Whether RLIMIT_NPROC forbids one more thread: not for root, nor for who may exceed limits. */
export const refusesProcess = (parent: Task): boolean => {
  const { credentials, threadGroup } = parent
  const limit = threadGroup.limits.soft(RLIMIT_NPROC)
  if (limit === Infinity || credentials.ruid === 0) return false
  if (hasCapability(credentials, CAP_SYS_RESOURCE) || hasCapability(credentials, CAP_SYS_ADMIN)) return false
  let count = 1
  for (const _ of tasksOf(parent)) count++
  return count > limit
}

/** What of a user counts against RLIMIT_SIGPENDING: queued signals, and the room that each POSIX timer has for its own. */
export const queuedSignals = (of: Task): number => {
  let count = 0
  for (const task of tasksOf(of)) {
    count += task.pending.count
    if (task.isLeader) count += task.threadGroup.pending.count + task.threadGroup.posixTimers.count
  }
  return count
}

const isQueueFull = (task: Task): boolean => {
  const limit = task.threadGroup.limits.soft(RLIMIT_SIGPENDING)
  return limit !== Infinity && queuedSignals(task) >= limit
}

/**
 * Whether RLIMIT_SIGPENDING of `target` leaves no room for what comes with one more signal. For standard signals of the
 * kernel and of kill(2) there is always room.
 */
export const refusesQueueing = (target: Task, { code, signo }: SigInfo): boolean =>
  (signo >= SIGRTMIN || code < 0) && isQueueFull(target)

/** Whether RLIMIT_SIGPENDING leaves no room for a POSIX timer of the process. */
export const refusesTimer = (task: Task): boolean => isQueueFull(task)
