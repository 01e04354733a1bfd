/**
 * Signals between tasks: sending, choosing who receives, group stops. Delivery is in TaskDelivery.ts.
 *
 * Everything that touches pending sets or actions runs under the signal mutex of the receiving group's handlers.
 */
import { POLLIN } from "../Abi/Poll.ts"
import {
  ALL_SIGNALS,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  STOP_SIGNALS,
  CLD_CONTINUED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  hasSignal,
  signalBit
} from "../Abi/Signal.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { SIG_DFL } from "../Abi/SigAction.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import type { Task } from "./Task.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** Whether a pending signal would be delivered if the task looked now. */
export const hasDeliverableSignal = (task: Task): boolean =>
  ((task.pending.set | task.threadGroup.pending.set) & ~task.blocked) !== 0n

/** Sends a signal to one thread, tgkill(2). */
export const sendToTask = (task: Task, info: SigInfo): void => {
  task.threadGroup.handlers.mutex.runSoon(() => send(task.threadGroup, task, info))
}

/** Sends a signal to a process: any thread that does not block it takes it, kill(2). */
export const sendToGroup = (group: ThreadGroup, info: SigInfo): void => {
  group.handlers.mutex.runSoon(() => send(group, undefined, info))
}

/** A fault's signal: cannot be blocked or ignored; if it is, the action is reset first, as Linux forces it. */
export const forceSignal = (task: Task, info: SigInfo): void => {
  const { handlers } = task.threadGroup
  handlers.mutex.runSoon(() => {
    const bit = signalBit(info.signo)
    if (handlers.ignores(info.signo) || (task.blocked & bit) !== 0n) {
      handlers.set(info.signo, { sa_handler: SIG_DFL, sa_flags: 0, sa_restorer: 0, sa_mask: 0n })
      task.blocked &= ~bit
    }
    task.pending.enqueue(info)
    task.interrupt()
  })
}

/** Ends a whole group, exit_group(2) or a fatal signal: the first status counts. */
export const killGroup = (group: ThreadGroup, status: ExitStatus): void => {
  if (group.exitStatus !== undefined) return
  group.exitStatus = status
  for (const task of group.tasks) killTask(task)
}

/** Makes one task leave, whatever it is doing. */
export const killTask = (task: Task): void => {
  task.killed = true
  task.stops.endInternal()
  task.interrupt()
}

/** Guarded by: signal mutex of `group.handlers`. */
const send = (group: ThreadGroup, task: Task | undefined, info: SigInfo): void => {
  if (group.state !== "Alive" || group.exitStatus !== undefined) return
  const { signo } = info
  if (signo === SIGCONT) continueGroup(group)
  else if (hasSignal(STOP_SIGNALS, signo)) discardEverywhere(group, signalBit(SIGCONT))
  const candidates = task === undefined ? group.tasks : [task]
  const isBlocked = [...candidates].every((candidate) => hasSignal(candidate.blocked | candidate.awaited, signo))
  // a blocked signal is kept even if ignored now: the action may change before it is unblocked
  if (!isBlocked && signo !== SIGKILL && signo !== SIGSTOP && group.handlers.ignores(signo)) return
  const queue = task === undefined ? group.pending : task.pending
  if (!queue.enqueue(info)) return
  group.signalArrivals.notify(POLLIN)
  if (signo === SIGKILL) {
    group.groupStop = undefined // a stopped process dies without being continued
    for (const member of group.tasks) {
      member.stops.endInternal()
      member.interrupt()
    }
    return
  }
  const receiver = task ?? chooseReceiver(group, signo)
  if (receiver !== undefined && wants(receiver, signo)) receiver.interrupt()
}

const wants = (task: Task, signo: number): boolean =>
  !task.killed && (!hasSignal(task.blocked, signo) || hasSignal(task.awaited, signo))

/** The leader if it wants the signal, else any thread that does. */
const chooseReceiver = (group: ThreadGroup, signo: number): Task | undefined => {
  if (group.leader !== undefined && group.tasks.has(group.leader) && wants(group.leader, signo)) return group.leader
  for (const task of group.tasks) if (wants(task, signo)) return task
  return undefined
}

const discardEverywhere = (group: ThreadGroup, set: bigint): void => {
  group.pending.discard(set)
  for (const task of group.tasks) task.pending.discard(set)
}

/** Discards what is pending of a signal whose action became "ignore", sigaction(2). Guarded by: signal mutex. */
export const discardIgnored = (group: ThreadGroup, signo: number): void => {
  if (group.handlers.ignores(signo)) discardEverywhere(group, signalBit(signo))
}

/** SIGCONT resumes a stopped group even if it is blocked or ignored. Guarded by: signal mutex. */
const continueGroup = (group: ThreadGroup): void => {
  discardEverywhere(group, STOP_SIGNALS)
  const stop = group.groupStop
  if (stop === undefined) return
  group.groupStop = undefined
  for (const task of group.tasks) if (task.stops.internal?._tag === "GroupStop") task.stops.endInternal()
  if (stop.completed) {
    group.stopToReport = undefined
    group.continued = true
    notifyParentOfJobControl(group, CLD_CONTINUED, SIGCONT)
  }
}

/** A task took a stop signal: the whole group is to stop. Guarded by: signal mutex. */
export const beginGroupStop = (group: ThreadGroup, signal: number): void => {
  if (group.groupStop !== undefined) return
  group.groupStop = { signal, pending: group.tasks.size, completed: false }
  for (const task of group.tasks) task.interrupt()
}

/** A task has joined the group stop. Guarded by: signal mutex. */
export const joinGroupStop = (task: Task): void => {
  const group = task.threadGroup
  const stop = group.groupStop
  if (stop === undefined || task.stops.internal !== undefined) return
  task.stops.beginInternal({ _tag: "GroupStop", signal: stop.signal })
  completeGroupStop(group, 1)
}

/** `leaving` tasks stopped or exited: the stop is complete when none is left. Guarded by: signal mutex. */
export const completeGroupStop = (group: ThreadGroup, leaving: number): void => {
  const stop = group.groupStop
  if (stop === undefined || stop.completed) return
  stop.pending -= leaving
  if (stop.pending > 0) return
  stop.completed = true
  group.stopToReport = stop.signal
  notifyParentOfJobControl(group, CLD_STOPPED, stop.signal)
}

const notifyParentOfJobControl = (group: ThreadGroup, code: number, status: number): void => {
  const { parent } = group
  if (parent === undefined) return
  const action = parent.handlers.get(SIGCHLD)
  if ((action.sa_flags & SA_NOCLDSTOP) === 0) sendToGroup(parent, childSigInfo(group, code, status))
  parent.childChanges.notify(1)
}

/** The siginfo of SIGCHLD about `group`. */
export const childSigInfo = (group: ThreadGroup, code: number, status: number): SigInfo => ({
  _tag: "Child",
  signo: SIGCHLD,
  code,
  pid: group.tgid,
  uid: group.leader?.credentials.ruid ?? 0,
  status,
  userTicks: 0,
  systemTicks: 0
})

/** Takes the next signal for `task` that is in `wanted`: its own first, then the group's. Guarded by: signal mutex. */
export const dequeueSignal = (task: Task, wanted: bigint): SigInfo | undefined => {
  const info = task.pending.dequeue(wanted) ?? task.threadGroup.pending.dequeue(wanted)
  return info?._tag === "Timer" ? (task.threadGroup.posixTimers.get(info.timerId)?.taken(info) ?? info) : info
}

/** What a task looks at before it goes on: everything it does not block. */
export const unblockedSignals = (task: Task): bigint => ALL_SIGNALS & ~task.blocked
