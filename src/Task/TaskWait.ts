/**
 * wait4(2) and waitid(2): what became of a child.
 */
import * as Effect from "effect/Effect"
import { ECHILD, ERESTARTSYS } from "../Abi/Errno.ts"
import { CLD_CONTINUED, CLD_DUMPED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, SIGCHLD, SIGCONT } from "../Abi/Signal.ts"
import {
  CONTINUED_STATUS,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  stoppedStatus,
  waitStatus
} from "../Abi/Wait.ts"
import { Mutex } from "../Sync/Mutex.ts"
import type { Task } from "./Task.ts"
import { reap } from "./TaskExit.ts"
import { ringOf } from "./TaskSignals.ts"
import { ThreadGroup, type Usage, addUsage } from "./ThreadGroup.ts"

/** Which children. */
export type WaitSelector =
  | { readonly _tag: "All" }
  | { readonly _tag: "Pid"; readonly pid: number }
  | { readonly _tag: "ProcessGroup"; readonly id: number }
  | { readonly _tag: "Group"; readonly group: ThreadGroup }

/** What happened to one child. */
export interface WaitResult {
  readonly pid: number
  readonly uid: number
  /** The status word of wait4(2). */
  readonly status: number
  /** CLD_* and the si_status of waitid(2). */
  readonly code: number
  readonly detail: number
  readonly usage: Usage
}

/** The change of a child, undefined if WNOHANG and there is none yet, or -errno. */
export const wait = Effect.fnUntraced(function* (
  task: Task,
  selector: WaitSelector,
  options: number
): Effect.fn.Return<WaitResult | undefined | number> {
  const { mutex } = task.system.taskSet
  const { childChanges } = task.threadGroup
  let signaled = false
  while (true) {
    const found = yield* mutex.section(() => look(task, selector, options))
    const result = found instanceof ThreadGroup ? yield* takeStop(task, found, selector, options) : found
    if (result === "Gone") continue
    if (result !== undefined || (options & WNOHANG) !== 0) return result
    if (signaled) return -ERESTARTSYS
    const wakeup = yield* task.block((wake) => {
      const waiter = { events: 1, wake }
      childChanges.add(waiter)
      if (hasChange(task, selector, options)) wake() // since we looked
      return () => childChanges.remove(waiter)
    })
    signaled = wakeup === "Signaled" // a child that changed meanwhile wins
  }
})

const matches = (task: Task, child: ThreadGroup, selector: WaitSelector, options: number): boolean => {
  if ((options & __WALL) === 0) {
    const isCloneChild = child.exitSignal !== SIGCHLD
    if (isCloneChild !== ((options & __WCLONE) !== 0)) return false
  }
  switch (selector._tag) {
    case "All":
      return true
    case "Pid":
      return child.tgid === selector.pid
    case "Group":
      return child === selector.group
    case "ProcessGroup":
      return child.processGroup.id === (selector.id === 0 ? task.threadGroup.processGroup.id : selector.id)
  }
}

const isWaitable = (child: ThreadGroup, options: number): boolean =>
  (child.state === "Zombie" && (options & WEXITED) !== 0) ||
  (child.state === "Alive" && child.stopToReport !== undefined && (options & WSTOPPED) !== 0) ||
  (child.state === "Alive" && child.continued && (options & WCONTINUED) !== 0)

/** In the order in which Linux looks: one's own children first, then those of the other threads. */
const childrenOf = (task: Task, options: number): Iterable<ThreadGroup> => {
  const { children, tasks } = task.threadGroup
  const alone = (options & __WNOTHREAD) !== 0
  if (tasks.size === 1) return children
  const all = [...children]
  return (alone ? [task] : ringOf(task.threadGroup, task)).flatMap((each) =>
    all.filter((child) => child.parentTask === each)
  )
}

const hasChange = (task: Task, selector: WaitSelector, options: number): boolean => {
  for (const child of childrenOf(task, options)) {
    if (matches(task, child, selector, options) && isWaitable(child, options)) return true
  }
  return false
}

/** Takes an end (leaves it, WNOWAIT); or finds a child with another change; undefined if there is none yet. Guarded by: TaskSet mutex. */
const look = (task: Task, selector: WaitSelector, options: number): WaitResult | ThreadGroup | undefined | number => {
  let eligible = false
  for (const child of childrenOf(task, options)) {
    if (!matches(task, child, selector, options)) continue
    if (isWaitable(child, options)) return child.state === "Zombie" ? take(task, child, options) : child
    // a zombie has nothing to tell to those who do not ask for ends
    if (child.state === "Alive") eligible = true
  }
  return eligible ? undefined : -ECHILD
}

/** Takes a child's stop or continuation, which its signal mutex guards; "Gone" if it has changed again since it was found. */
const takeStop = (
  task: Task,
  child: ThreadGroup,
  selector: WaitSelector,
  options: number
): Effect.Effect<WaitResult | "Gone"> =>
  Mutex.sectionAll([task.system.taskSet.mutex, child.handlers.mutex], () =>
    task.threadGroup.children.has(child) && matches(task, child, selector, options) && isWaitable(child, options)
      ? take(task, child, options)
      : "Gone"
  )

const take = (task: Task, child: ThreadGroup, options: number): WaitResult => {
  const keep = (options & WNOWAIT) !== 0
  const common = {
    pid: child.tgid,
    uid: task.credentials.userNamespace.userTo(child.leader?.credentials.ruid ?? 0),
    usage: { ...child.usage }
  }
  if (child.state === "Zombie" && (options & WEXITED) !== 0) {
    const status = child.exitStatus! // a zombie has one
    if (!keep) {
      addUsage(task.threadGroup.childUsage, child.usage)
      addUsage(task.threadGroup.childUsage, child.childUsage)
      reap(child, task)
    }
    return status._tag === "Exited"
      ? { ...common, status: waitStatus(status), code: CLD_EXITED, detail: status.code }
      : {
          ...common,
          status: waitStatus(status),
          code: status.coreDumped ? CLD_DUMPED : CLD_KILLED,
          detail: status.signal
        }
  }
  if (child.stopToReport !== undefined && (options & WSTOPPED) !== 0) {
    const signal = child.stopToReport
    if (!keep) child.stopToReport = undefined
    return { ...common, status: stoppedStatus(signal), code: CLD_STOPPED, detail: signal }
  }
  if (!keep) child.continued = false
  return { ...common, status: CONTINUED_STATUS, code: CLD_CONTINUED, detail: SIGCONT }
}
