/**
 * What ids that a guest gives mean, and what others are called to it: in its own PID namespace.
 */
import type { ProcessGroup } from "./ProcessGroup.ts"
import type { Task } from "./Task.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** The thread with id `id`. */
export const findTask = ({ system, threadGroup }: Task, id: number): Task | undefined =>
  system.taskSet.tasks.get(threadGroup.pidNamespace.toOutside(id))

/** The thread with id `id`; 0: the caller. */
export const findTaskOrSelf = (task: Task, id: number): Task | undefined => (id === 0 ? task : findTask(task, id))

/** The process with id `id`. */
export const findGroup = ({ system, threadGroup }: Task, id: number): ThreadGroup | undefined =>
  system.taskSet.groups.get(threadGroup.pidNamespace.toOutside(id))

/** The process group with id `id`. */
export const findProcessGroup = ({ system, threadGroup }: Task, id: number): ProcessGroup | undefined =>
  system.taskSet.processGroups.get(threadGroup.pidNamespace.toOutside(id))

/** What the sandbox's `id` is called to `task`; 0 if it can't be seen from there. */
export const idFor = ({ threadGroup }: Task, id: number): number => threadGroup.pidNamespace.toInside(id)
