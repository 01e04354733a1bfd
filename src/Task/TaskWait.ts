/**
 * wait4(2) and waitid(2): what became of a child.
 */
import * as Effect from "effect/Effect"
import { ECHILD, ERESTARTSYS } from "../Abi/Errno.ts"
import {
  CLD_CONTINUED,
  CLD_DUMPED,
  CLD_EXITED,
  CLD_KILLED,
  CLD_STOPPED,
  CLD_TRAPPED,
  SIGCHLD,
  SIGCONT
} from "../Abi/Signal.ts"
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
  type ExitStatus,
  stoppedStatus,
  waitStatus
} from "../Abi/Wait.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { idFor } from "./PidLookup.ts"
import { Dead } from "./RunState.ts"
import type { Task } from "./Task.ts"
import { reap, releaseTracee } from "./TaskExit.ts"
import { isReparented, isTraceStopped, ringOf } from "./TaskSignals.ts"
import { type ThreadGroup, type Usage, addUsage, groupUsage } from "./ThreadGroup.ts"

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
  const { childWaiters } = task.threadGroup
  let signaled = false
  while (true) {
    const found = yield* mutex.section(() => look(task, selector, options))
    const result = typeof found === "object" && "waitee" in found ? yield* takeStop(task, found, options) : found
    if (result === "Gone") continue
    if (result !== undefined || (options & WNOHANG) !== 0) return result
    if (signaled) return -ERESTARTSYS
    const wakeup = yield* task.block((wake) => {
      const waiter = { asksFor: (child: Task) => asksFor(task, child, selector, options), wake }
      childWaiters.add(waiter)
      if (findChange(task, selector, options) !== undefined) wake() // since we looked
      return () => childWaiters.remove(waiter)
    })
    signaled = wakeup === "Signaled" // a child that changed meanwhile wins
  }
})

/** Somebody to wait for: a child process by its leader, or a thread that one traces. */
interface Waitee {
  readonly task: Task
  /** As its tracer sees it: ptrace-stops count, job-control stops don't. */
  readonly asTracer: boolean
}

/** What has happened to somebody. */
interface Change {
  readonly waitee: Waitee
  readonly kind: "Ended" | "Stopped" | "Continued"
}

const isSelected = (selector: WaitSelector, child: Task): boolean => {
  const group = child.threadGroup
  switch (selector._tag) {
    case "All":
      return true
    case "Pid":
      return child.tid === selector.pid
    case "Group":
      return child.isLeader && group === selector.group
    case "ProcessGroup":
      return group.processGroup.id === selector.id
  }
}

/** Whether a change of `child` wakes the sleeping `task`; what it asks for beyond this it finds when it looks. */
const asksFor = (task: Task, child: Task, selector: WaitSelector, options: number): boolean =>
  isSelected(selector, child) &&
  ((options & __WNOTHREAD) === 0 || task === (child.ptrace.tracer ?? child.threadGroup.parentTask))

const matches = ({ task: child, asTracer }: Waitee, selector: WaitSelector, options: number): boolean => {
  if ((options & __WALL) === 0 && !asTracer) {
    const isCloneChild = child.threadGroup.exitSignal !== SIGCHLD
    if (isCloneChild !== ((options & __WCLONE) !== 0)) return false
  }
  return isSelected(selector, child)
}

/** A zombie: a thread that its tracer has not waited for, or a whole group; a leader waits for its threads to go. */
const hasEnded = ({ isLeader, ptrace, threadGroup }: Task): boolean =>
  isLeader ? threadGroup.state === "Zombie" && threadGroup.unreaped.size === 0 : ptrace.ended !== undefined

/** A real parent that traces its child sees it as a tracer does. */
const seesAsTracer = ({ task, asTracer }: Waitee): boolean => asTracer || (task.ptrace.traced && !isReparented(task))

const changeOf = (waitee: Waitee, options: number): Change | undefined => {
  const { task } = waitee
  const { ptrace, threadGroup } = task
  const asTracer = seesAsTracer(waitee)
  if (hasEnded(task)) {
    // until its tracer has seen it, a zombie is none for its parent
    return (options & WEXITED) !== 0 && (asTracer || !ptrace.traced) ? { waitee, kind: "Ended" } : undefined
  }
  if (threadGroup.state !== "Alive") return undefined
  if (asTracer) {
    if (isTraceStopped(task) && !ptrace.listening && ptrace.code !== 0) return { waitee, kind: "Stopped" }
  } else if (threadGroup.stopToReport !== undefined && (options & WSTOPPED) !== 0) return { waitee, kind: "Stopped" }
  return threadGroup.continued && (options & WCONTINUED) !== 0 ? { waitee, kind: "Continued" } : undefined
}

/** In the order in which Linux looks: a thread's own children and tracees first, then those of the other threads. */
const waiteesOf = (task: Task, options: number): ReadonlyArray<Waitee> => {
  const { children } = task.threadGroup
  const alone = (options & __WNOTHREAD) !== 0
  const waitees: Array<Waitee> = []
  for (const each of alone ? [task] : ringOf(task.threadGroup, task)) {
    for (const { leader, parentTask } of children) {
      if (parentTask === each && leader !== undefined) waitees.push({ task: leader, asTracer: false })
    }
    for (const tracee of each.tracees) waitees.push({ task: tracee, asTracer: true })
  }
  return waitees
}

/**
 * Whether there can be something to report yet. A zombie has nothing to tell those who do not ask for ends, unless a tracer has
 * to see it first; a leader that other threads survive can't stop any more, as its tracer sees it.
 */
const mayChange = (waitee: Waitee, options: number): boolean => {
  const { task } = waitee
  const asTracer = seesAsTracer(waitee)
  if (hasEnded(task)) return task.ptrace.traced && !asTracer
  return !(asTracer && task.runState === Dead) || (options & (WEXITED | WCONTINUED)) !== 0
}

/** A change, undefined if there is none yet, or -errno. */
const findChange = (task: Task, selector: WaitSelector, options: number): Change | undefined | number => {
  let eligible = false
  for (const waitee of waiteesOf(task, options)) {
    if (!matches(waitee, selector, options)) continue
    const change = changeOf(waitee, options)
    if (change !== undefined) return change
    if (mayChange(waitee, options)) eligible = true
  }
  return eligible ? undefined : -ECHILD
}

/** As `findChange`, and takes an end (leaves it, WNOWAIT). Guarded by: TaskSet mutex. */
const look = (task: Task, selector: WaitSelector, options: number): WaitResult | Change | undefined | number => {
  const found = findChange(task, selector, options)
  return typeof found === "object" && found.kind === "Ended" ? takeEnd(task, found.waitee, options) : found
}

/** Takes a stop or continuation, which the signal mutex of `found` guards; "Gone" if it has changed again since. */
const takeStop = (task: Task, found: Change, options: number): Effect.Effect<WaitResult | "Gone"> =>
  Mutex.sectionAll([task.system.taskSet.mutex, found.waitee.task.threadGroup.handlers.mutex], () => {
    const { waitee, kind } = found
    const isStillThere = waiteesOf(task, options).some(
      (each) => each.task === waitee.task && each.asTracer === waitee.asTracer
    )
    if (!isStillThere || changeOf(waitee, options)?.kind !== kind) return "Gone"
    return kind === "Stopped" ? reportStop(task, waitee, options) : reportContinuation(task, waitee, options)
  })

const commonOf = (task: Task, { credentials, threadGroup, tid }: Task) => {
  // getrusage(2)'s RUSAGE_BOTH: children it has waited for count too
  const usage = groupUsage(threadGroup)
  addUsage(usage, threadGroup.childUsage)
  return { pid: idFor(task, tid), uid: task.credentials.userNamespace.userTo(credentials.ruid), usage }
}

const statusOf = ({ exitStatus, isLeader, ptrace, threadGroup }: Task): ExitStatus =>
  (isLeader ? threadGroup.exitStatus : ptrace.ended) ?? exitStatus

const takeEnd = (task: Task, waitee: Waitee, options: number): WaitResult => {
  const { task: child } = waitee
  const { threadGroup } = child
  const status = statusOf(child)
  const common = commonOf(task, child)
  if ((options & WNOWAIT) === 0) {
    if (!child.isLeader || isReparented(child)) releaseTracee(child, task)
    else {
      addUsage(task.threadGroup.childUsage, common.usage)
      reap(threadGroup, task)
    }
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

const reportStop = (task: Task, waitee: Waitee, options: number): WaitResult => {
  const { ptrace, threadGroup } = waitee.task
  const keep = (options & WNOWAIT) !== 0
  const common = commonOf(task, waitee.task)
  if (seesAsTracer(waitee)) {
    const { code } = ptrace
    if (!keep) ptrace.code = 0
    return { ...common, status: stoppedStatus(code), code: CLD_TRAPPED, detail: code }
  }
  const signal = threadGroup.stopToReport! // looked at in this section
  if (!keep) threadGroup.stopToReport = undefined
  return { ...common, status: stoppedStatus(signal), code: CLD_STOPPED, detail: signal }
}

const reportContinuation = (task: Task, { task: child }: Waitee, options: number): WaitResult => {
  if ((options & WNOWAIT) === 0) child.threadGroup.continued = false
  return { ...commonOf(task, child), status: CONTINUED_STATUS, code: CLD_CONTINUED, detail: SIGCONT }
}
