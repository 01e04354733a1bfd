/**
 * The exit path: a task gives everything back; the last one of a group makes it a zombie and tells the parent; a wait,
 * or a parent that does not care, makes it go.
 *
 *     Alive ──last task exits──▶ Zombie ──waited for──▶ Dead
 */
import * as Effect from "effect/Effect"
import { NSIG, SA_NOCLDWAIT, SIGCHLD, SIGKILL, SI_USER, CLD_EXITED, CLD_KILLED, CLD_DUMPED } from "../Abi/Signal.ts"
import { ENOSYS } from "../Abi/Errno.ts"
import { Reg } from "../Abi/Registers.ts"
import { SIG_IGN } from "../Abi/SigAction.ts"
import { POLLIN } from "../Abi/Poll.ts"
import { type ExitStatus, exited, signaled } from "../Abi/Wait.ts"
import { invariant } from "../Sync/Invariant.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { joinCoreDump } from "./CoreDumpStop.ts"
import { hangUpAfterAdoption, hangUpAfterExit } from "./JobControl.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import { releaseRobustList } from "./RobustList.ts"
import type { Result } from "./Syscall.ts"
import type { Task } from "./Task.ts"
import { releaseSeccomp } from "./TaskSeccomp.ts"
import {
  childSigInfo,
  completeGroupStop,
  isReparented,
  killGroup,
  killTask,
  retarget,
  ringOf,
  sendToGroup,
  uidSeenBy
} from "./TaskSignals.ts"
import { abandonTracees, isHeldByTracer, tellTracerOfEnd, unlink } from "./TaskTrace.ts"
import { hangUpForeground } from "./Terminal.ts"
import { type GroupState, type ThreadGroup, addUsage, taskUsage } from "./ThreadGroup.ts"

const next: Record<GroupState, GroupState | undefined> = { Alive: "Zombie", Zombie: "Dead", Dead: undefined }

/** Guarded by: TaskSet mutex. */
const advance = (group: ThreadGroup, to: GroupState): void => {
  invariant(next[group.state] === to, `thread group ${group.tgid}: ${group.state} → ${to}`)
  group.state = to
}

/**
 * Everything a task does when it ends. False if it has to wait first, in a stop, for its process's core file. Owner: the
 * task's fiber.
 */
export const exitTask = Effect.fnUntraced(function* (task: Task) {
  const { system, threadGroup } = task
  const begins = yield* threadGroup.handlers.mutex.section(() => {
    if (joinCoreDump(task)) return false
    beginExit(task)
    return true
  })
  if (!begins) return false
  const used = taskUsage(task)
  releaseMemory(task)
  task.semaphoreUndo?.leave(threadGroup.tgid)
  task.fds.leave()
  task.fs.leave()
  task.leaveNamespaces()
  releaseSeccomp(task)
  yield* task.context.release
  const { mutex } = system.taskSet
  const parent = threadGroup.parent?.handlers ?? threadGroup.handlers
  const isOver = yield* Mutex.sectionAll([mutex, threadGroup.handlers.mutex, parent.mutex], () => {
    addUsage(threadGroup.usage, used)
    system.observer?.exited(task, threadGroup.exitStatus ?? task.exitStatus)
    return leaveGroup(task)
  })
  if (!isOver) yield* endWithNamespace(task)
  return true
})

/** The init of a PID namespace ends when everybody else in it is gone. */
const endWithNamespace = Effect.fnUntraced(function* (last: Task) {
  const { system, threadGroup } = last
  while (hasOthers(threadGroup, last)) yield* nextDeparture(last)
  const parent = threadGroup.parent?.handlers ?? threadGroup.handlers
  yield* Mutex.sectionAll([system.taskSet.mutex, threadGroup.handlers.mutex, parent.mutex], () =>
    endGroup(threadGroup, last)
  )
})

const nextDeparture = ({ system, threadGroup }: Task): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const { departures } = threadGroup.pidNamespace
    const waiter = {
      events: 1,
      wake: () => {
        departures.remove(waiter)
        // through the run queue: whoever departs holds mutexes
        system.runQueue.schedule(() => resume(Effect.void))
      }
    }
    departures.add(waiter)
    return Effect.sync(() => departures.remove(waiter))
  })

/** Whether there is another process than its init in the PID namespace of `init`, or below it. */
const hasOthers = (init: ThreadGroup, { system }: Task): boolean => {
  for (const group of system.taskSet.groups.values())
    if (group !== init && init.pidNamespace.contains(group.pidNamespace)) return true
  return false
}

/** Nobody comes to the namespace any more, all in it are killed, and who waits to be reaped is. Guarded by: TaskSet mutex. */
const closeNamespace = (init: ThreadGroup, last: Task): void => {
  const { pidNamespace } = init
  pidNamespace.closed = true
  for (const group of last.system.taskSet.groups.values()) {
    if (group === init || !pidNamespace.contains(group.pidNamespace)) continue
    group.handlers.mutex.runSoon(() => killGroup(group, signaled(SIGKILL, false)))
  }
  for (const child of [...init.children]) if (child.state === "Zombie") reap(child, last)
}

const isClosing = (group: ThreadGroup): boolean => group.pidNamespace.closed && group.pidNamespace.init === group

/** The last thread to leave decides what the group ends with, if nobody has said. Guarded by: signal mutex. */
const beginExit = (task: Task): void => {
  const group = task.threadGroup
  task.exiting = true
  for (const other of group.tasks) if (!other.exiting) return
  group.exitStatus ??= task.exitStatus
}

/** The memory may be somebody else's too: tell the joining thread, and the vfork(2) parent. */
export const releaseMemory = (task: Task): void => {
  const { clearChildTid, memoryManager, system } = task
  releaseRobustList(task)
  system.futexes.pi.releaseAll(task)
  if (clearChildTid !== 0 && memoryManager.users > 1) {
    if (task.memory.writeU32(clearChildTid, 0) === 0) {
      const key = system.futexes.key(memoryManager, clearChildTid, false)
      if (typeof key !== "number") system.futexes.wake(key, 1, 0xffff_ffff)
    }
  }
  task.clearChildTid = 0
  system.actor.actingFor(task.threadGroup.tgid, () => memoryManager.leave())
  if (task.vforkParent?.stops.internal?._tag === "VforkStop") task.vforkParent.stops.endInternal()
  task.vforkParent = undefined
}

/** False if the group still has to wait for its PID namespace. Guarded by: TaskSet mutex, signal mutexes of the group and its parent. */
const leaveGroup = (task: Task): boolean => {
  const group = task.threadGroup
  if (group.signalTarget === task) group.signalTarget = ringOf(group, task)[1]
  group.tasks.delete(task)
  abandonTracees(task, (tracee) => releaseTracee(tracee, task))
  if (task.ptrace.traced) leaveTracer(task)
  // the leader's id stays taken until the group is waited for, a traced thread's until its tracer has
  else if (!task.isLeader) forgetThread(task)
  if (group.tasks.size > 0) {
    if (group.groupStop !== undefined && task.joinedStop !== group.groupStop) completeGroupStop(group, 1, task)
    retarget(task, ~task.blocked)
  }
  group.taskExits.notify(1)
  const [heir] = group.tasks
  if (heir !== undefined) {
    bequeath(task, heir)
    return true
  }
  if (group.pidNamespace.init === group) {
    closeNamespace(group, task)
    if (hasOthers(group, task)) return false
  }
  endGroup(group, task)
  return true
}

/** The id of a thread that is not the leader becomes free. Guarded by: TaskSet mutex. */
const forgetThread = ({ system, tid }: Task): void => {
  system.taskSet.tasks.delete(tid)
  system.taskSet.releaseId(tid)
}

/** A traced task has ended: its tracer is told before anybody else. Guarded by: TaskSet mutex, signal mutex. */
const leaveTracer = (task: Task): void => {
  const group = task.threadGroup
  const status = group.exitStatus ?? task.exitStatus
  task.ptrace.ended = status
  if (!task.isLeader) group.unreaped.add(task)
  // of a leader, whose threads may live on, the group's end tells
  if (!task.isLeader || group.tasks.size > 0) tellTracerOfEnd(task, ...exitCodes(status))
}

/** A tracee's end has been seen by its tracer, or that is gone. Guarded by: TaskSet mutex. */
export const releaseTracee = (task: Task, by: Task): void => {
  const group = task.threadGroup
  unlink(task)
  if (!task.isLeader) {
    forgetThread(task)
    group.unreaped.delete(task)
    group.taskExits.notify(1)
  }
  if (group.state === "Zombie") announceEnd(group, by)
}

/** The children of a thread become those of another, which is of the same process. Guarded by: TaskSet mutex. */
const bequeath = (task: Task, heir: Task): void => {
  const group = task.threadGroup
  for (const child of [...group.children]) {
    if (child.parentTask !== task) continue
    child.parentTask = heir
    group.children.delete(child)
    group.children.add(child) // behind the heir's own
    sendParentDeathSignals(child, task)
  }
}

/** prctl(PR_SET_PDEATHSIG): the parent is the thread that made the child, and its end counts. */
const sendParentDeathSignals = (child: ThreadGroup, parent: Task): void => {
  // what a leader that has ended asked for still counts
  const members = child.leader === undefined ? child.tasks : new Set([child.leader, ...child.tasks])
  for (const member of members) {
    if (member.parentDeathSignal === 0) continue
    const { credentials, threadGroup } = parent
    const info = {
      _tag: "Kill",
      code: SI_USER,
      pid: child.pidNamespace.toInside(threadGroup.tgid),
      uid: uidSeenBy(child, credentials.ruid)
    } as const
    sendToGroup(child, { ...info, signo: member.parentDeathSignal }, member)
  }
}

/** Guarded by: TaskSet mutex, signal mutexes of the group and its parent. */
const endGroup = (group: ThreadGroup, last: Task): void => {
  last.system.onGroupEnded(group)
  for (const timer of group.intervalTimers) timer?.set(undefined, 0n)
  group.cpuLimitTimer?.set(undefined, 0n)
  group.posixTimers.clear()
  for (const child of [...group.children]) giveAway(child, last)
  hangUpForeground(last.system, group)
  hangUpAfterExit(group)
  advance(group, "Zombie")
  group.ended.notify(POLLIN)
  announceEnd(group, last)
}

/** Tells of a zombie group's end: its leader's tracer first, its parent when that has seen it. Guarded by: TaskSet mutex. */
const announceEnd = (group: ThreadGroup, by: Task): void => {
  const status = group.exitStatus! // a zombie has one
  if (group.unreaped.size > 0) return // a leader is waited for after its threads
  const { leader } = group
  if (leader !== undefined && isReparented(leader)) tellTracerOfEnd(leader, ...exitCodes(status))
  else tellParent(group, status, by)
}

/** si_code and si_status of an end. */
const exitCodes = (status: ExitStatus): [code: number, status: number] =>
  status._tag === "Exited" ? [CLD_EXITED, status.code] : [status.coreDumped ? CLD_DUMPED : CLD_KILLED, status.signal]

/** Tells the parent of a zombie's end; one that does not care will not wait for it. Guarded by: TaskSet mutex. */
const tellParent = (group: ThreadGroup, status: ExitStatus, last: Task): void => {
  const { parent, parentTask } = group
  if (parent === undefined) {
    reap(group, last)
    return
  }
  // another program than the one that asked for a signal of its own does not expect it
  const exitSignal = group.parentExecs !== parent.execs ? SIGCHLD : group.exitSignal
  const { sa_flags, sa_handler } = parent.handlers.get(SIGCHLD)
  const ignored = (exitSignal === SIGCHLD && sa_handler === SIG_IGN) || isClosing(parent)
  // clone(2) takes any number: what is no signal tells nothing
  if (exitSignal !== 0 && exitSignal <= NSIG && !ignored) {
    sendToGroup(parent, { ...childSigInfo(group, ...exitCodes(status)), signo: exitSignal }, parentTask)
  }
  const unwanted = ignored || (exitSignal === SIGCHLD && (sa_flags & SA_NOCLDWAIT) !== 0)
  if (unwanted && group.leader?.ptrace.traced !== true) reap(group, last) // a tracer waits in any case
  if (group.leader !== undefined) parent.childWaiters.notify(group.leader)
}

/** The nearest subreaper among the ancestors of the same PID namespace, else its init, or the kernel. */
const reaperFor = ({ parent, pidNamespace }: ThreadGroup): ThreadGroup | undefined => {
  for (let at = parent; at?.pidNamespace.level === pidNamespace.level; at = at.parent)
    if (at.isSubreaper && at.tasks.size > 0) return at
  return pidNamespace.init
}

/** An orphan gets another parent. Guarded by: TaskSet mutex. */
const giveAway = (child: ThreadGroup, last: Task): void => {
  const former = last.threadGroup
  const ancestor = reaperFor(former)
  former.children.delete(child)
  child.parent = ancestor
  child.parentTask = ancestor === undefined ? undefined : [...ancestor.tasks][0]
  child.exitSignal = SIGCHLD
  ancestor?.children.add(child)
  sendParentDeathSignals(child, last)
  if (child.state === "Zombie" && !isHeldByTracer(child)) tellParent(child, child.exitStatus!, last) // a zombie has a status
  hangUpAfterAdoption(child, former)
}

/** The last trace goes: ids become free. Guarded by: TaskSet mutex. */
export const reap = (group: ThreadGroup, reaper: Task): void => {
  const { taskSet } = reaper.system
  advance(group, "Dead")
  if (group.leader?.ptrace.traced === true) unlink(group.leader)
  taskSet.groups.delete(group.tgid)
  if (group.leader !== undefined) taskSet.tasks.delete(group.leader.tid)
  group.parent?.children.delete(group)
  leaveProcessGroup(group, reaper)
  taskSet.releaseId(group.tgid)
  for (let at: PidNamespace | undefined = group.pidNamespace; at?.parent !== undefined; at = at.parent)
    at.departures.notify(1)
  if (group.pidNamespace.init === group) taskSet.endNamespace(group.pidNamespace)
}

/** Guarded by: TaskSet mutex. */
export const leaveProcessGroup = (group: ThreadGroup, by: Task): void => {
  const { taskSet } = by.system
  const { processGroup } = group
  processGroup.members.delete(group)
  if (processGroup.members.size > 0) return
  taskSet.processGroups.delete(processGroup.id)
  taskSet.releaseId(processGroup.id)
  for (const other of taskSet.processGroups.values()) if (other.session === processGroup.session) return
  taskSet.sessions.delete(processGroup.session.id)
  taskSet.releaseId(processGroup.session.id)
}

/** exit_group(2). */
export const exitGroup = (task: Task, code: number): Result =>
  task.threadGroup.handlers.mutex.run(() => {
    killGroup(task.threadGroup, exited(code))
    return neverReturn(task)
  })

/** exit(2). */
export const exitThread = (task: Task, code: number): Result =>
  task.threadGroup.handlers.mutex.run(() => {
    task.exitStatus = exited(code)
    killTask(task)
    return neverReturn(task)
  })

/** A tracer that looks on finds the task in a call that has no result yet. */
const neverReturn = (task: Task): number => {
  task.registers.set(Reg.rax, -ENOSYS)
  task.keepRegisters = true
  return 0
}
