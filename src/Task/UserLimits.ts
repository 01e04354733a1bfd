/**
 * Limits on what a user has in all, not one process: RLIMIT_NPROC and RLIMIT_SIGPENDING, getrlimit(2). Counted when
 * asked for, which is when a limit is there.
 */
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

/**
 * Whether RLIMIT_SIGPENDING of `target` keeps one more signal from being queued. Standard signals are pending all the
 * same, without what came with them.
 */
export const refusesQueueing = (target: Task, signo: number): boolean => {
  if (signo < SIGRTMIN) return false
  const limit = target.threadGroup.limits.soft(RLIMIT_SIGPENDING)
  if (limit === Infinity) return false
  let count = 1
  for (const task of tasksOf(target)) {
    count += task.pending.count
    if (task.isLeader) count += task.threadGroup.pending.count
    if (count > limit) return true
  }
  return count > limit
}
