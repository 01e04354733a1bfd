/**
 * Out of the way of a core file: the thread that writes it waits until all others of its process have stopped on their way
 * out, and they until it is written. What is written, CoreDump.ts.
 */
import * as Effect from "effect/Effect"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import { RLIMIT_CORE } from "../Abi/Resource.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { SIGKILL } from "../Abi/Signal.ts"
import { signaled } from "../Abi/Wait.ts"
import type { Task } from "./Task.ts"
import { killGroup } from "./TaskSignals.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** A file smaller than that is none. */
const MIN_CORE_SIZE = PAGE_SIZE

/**
 * Ends `task`'s process for a signal whose default action is to dump core; if it may have a core file, that is written
 * first, by `task`. Guarded by: signal mutex.
 */
export const killWithCore = (task: Task, info: SigInfo): void => {
  const group = task.threadGroup
  const { coreSettings } = task.system
  const dumps =
    group.exitStatus === undefined &&
    group.execing === undefined &&
    group.dumpable !== 0 &&
    coreSettings.isOn &&
    group.limits.soft(RLIMIT_CORE) >= MIN_CORE_SIZE
  if (dumps) {
    const missing = new Set<Task>()
    for (const other of group.tasks)
      if (other !== task && !other.exiting && other.runState._tag !== "ExitStop") missing.add(other)
    group.coreDump = { dumper: task, info, missing, waiting: [], killed: false }
  }
  killGroup(group, signaled(info.signo, false))
}

/** Whether `task`, which is about to leave, is to wait in a stop until a core file is written. Guarded by: signal mutex. */
export const joinCoreDump = (task: Task): boolean => {
  const { runState, stops, threadGroup } = task
  const { coreDump } = threadGroup
  if (coreDump === undefined || coreDump.dumper === task || runState._tag === "ExitStop") return false
  if (stops.internal?._tag === "CoreDumpStop") return true
  stops.endInternal()
  stops.beginInternal({ _tag: "CoreDumpStop" })
  coreDump.missing.delete(task)
  coreDump.waiting.unshift(task)
  threadGroup.taskExits.notify(1)
  return true
}

/** The core file is as complete as it will be, and `dumped` if there is one at all. Guarded by: signal mutex. */
export const endCoreDump = (group: ThreadGroup, dumped: boolean): void => {
  const { coreDump } = group
  if (coreDump === undefined) return
  const { info, killed, waiting } = coreDump
  group.coreDump = undefined
  const status = killed ? signaled(SIGKILL, false) : signaled(info.signo, dumped)
  group.exitStatus = status
  for (const task of group.unreaped) task.ptrace.ended = status
  for (const task of waiting) task.stops.endInternal()
}

/** Until a thread of the group has left, or has stopped for a core file. */
export const nextExit = (group: ThreadGroup): Effect.Effect<void> =>
  Effect.andThen(
    Effect.callback<void>((resume) => {
      const waiter = {
        events: 1,
        wake: () => {
          group.taskExits.remove(waiter)
          resume(Effect.void)
        }
      }
      group.taskExits.add(waiter)
      return Effect.sync(() => group.taskExits.remove(waiter))
    }),
    Effect.yieldNow
  )
