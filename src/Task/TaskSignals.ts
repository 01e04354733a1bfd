/**
 * Signals between tasks: sending, choosing who receives, group stops. Delivery is in TaskDelivery.ts.
 *
 * Everything that touches pending sets or actions runs under the signal mutex of the receiving group's handlers.
 */
import * as Effect from "effect/Effect"
import { POLLIN } from "../Abi/Poll.ts"
import {
  ALL_SIGNALS,
  SIGCHLD,
  SIGCONT,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SI_KERNEL,
  STOP_SIGNALS,
  CLD_CONTINUED,
  CLD_STOPPED,
  SA_NOCLDSTOP,
  SIGRTMIN,
  SI_USER,
  defaultAction,
  hasSignal,
  signalBit
} from "../Abi/Signal.ts"
import { type SigInfo, kernelSigInfo } from "../Abi/SigInfo.ts"
import { SIG_DFL, SIG_IGN } from "../Abi/SigAction.ts"
import { NANOS_PER_TICK } from "../Abi/Sysinfo.ts"
import { type ExitStatus, signaled } from "../Abi/Wait.ts"
import type { Task } from "./Task.ts"
import { type ThreadGroup, groupUsage } from "./ThreadGroup.ts"
import { refusesQueueing } from "./UserLimits.ts"

/** Whether a pending signal would be delivered if the task looked now. */
export const hasDeliverableSignal = (task: Task): boolean =>
  ((task.pending.set | task.threadGroup.pending.set) & ~task.blocked) !== 0n

/** Sends a signal to one thread, tgkill(2). */
export const sendToTask = (task: Task, info: SigInfo): void => {
  task.threadGroup.handlers.mutex.runSoon(() => send(task.threadGroup, task, info))
}

/** Sends a signal to a process, kill(2): `preferred`, else the leader, else any thread that does not block it takes it. */
export const sendToGroup = (group: ThreadGroup, info: SigInfo, preferred?: Task): void => {
  group.handlers.mutex.runSoon(() => send(group, undefined, info, preferred))
}

/** Sends a POSIX timer's signal; false if it was ignored. Guarded by: signal mutex. */
export const sendTimerSignal = (group: ThreadGroup, task: Task | undefined, info: SigInfo): boolean => {
  if (isIgnored(group, task ?? group.leader, info)) return false
  send(group, task, info)
  return true
}

/** As `sendToTask`, at once. Guarded by: signal mutex. */
export const sendToTaskNow = (task: Task, info: SigInfo): void => send(task.threadGroup, task, info)

/** As `sendToGroup`, at once. Guarded by: signal mutex. */
export const sendToGroupNow = (group: ThreadGroup, info: SigInfo): void => send(group, undefined, info)

/** A fault's signal: cannot be blocked or ignored; if it is, the action is reset first, as Linux forces it. */
export const forceSignal = (task: Task, info: SigInfo): Effect.Effect<void> => {
  const { handlers } = task.threadGroup
  return handlers.mutex.section(() => {
    const bit = signalBit(info.signo)
    if (handlers.ignores(info.signo) || (task.blocked & bit) !== 0n) {
      handlers.set(info.signo, { sa_handler: SIG_DFL, sa_flags: 0, sa_restorer: 0, sa_mask: 0n })
      task.blocked &= ~bit
    }
    // who debugs a namespace's init does not expect it to end
    if (handlers.get(info.signo).sa_handler === SIG_DFL && !task.ptrace.traced) task.threadGroup.shielded = false
    task.pending.enqueue(info)
    task.interrupt()
  })
}

/** SIGSEGV for memory that isn't as it must be; if that is because the host has killed the process, its end as by SIGKILL. */
export const forceSegv = (task: Task): Effect.Effect<void> =>
  Effect.suspend(() =>
    task.context.addressSpace.isGone?.() === true ? killedByHost(task) : forceSignal(task, kernelSigInfo(SIGSEGV))
  )

/** The host has killed the process (it was out of memory, say). */
export const killedByHost = ({ threadGroup }: Task): Effect.Effect<void> =>
  threadGroup.handlers.mutex.section(() => killGroup(threadGroup, signaled(SIGKILL, false)))

/** Ends a whole group, exit_group(2) or a fatal signal: the first status counts. */
export const killGroup = (group: ThreadGroup, status: ExitStatus): void => {
  if (group.exitStatus !== undefined) {
    if (group.coreDump !== undefined && status._tag === "Signaled" && status.signal === SIGKILL)
      group.coreDump.killed = true
    return
  }
  group.exitStatus = status
  group.groupStop = undefined // a stopped process dies without being continued
  group.taskExits.notify(1) // an execve(2) that waits for others to go
  for (const task of group.unreaped) task.ptrace.ended = status // what the whole group ends with is theirs, too
  for (const task of group.tasks) killTask(task)
}

/** Makes one task leave, whatever it is doing. */
export const killTask = (task: Task): void => {
  task.killed = true
  task.stops.endInternal()
  task.interrupt()
}

/** Guarded by: signal mutex of `group.handlers`. */
const send = (group: ThreadGroup, task: Task | undefined, info: SigInfo, preferred = group.leader): void => {
  const { signo } = info
  if (group.coreDump !== undefined && signo === SIGKILL) return killGroup(group, signaled(SIGKILL, false))
  if (group.state !== "Alive" || group.exitStatus !== undefined) return
  if (signo === SIGCONT) continueGroup(group)
  else if (hasSignal(STOP_SIGNALS, signo)) discardEverywhere(group, signalBit(SIGCONT))
  const addressee = task ?? preferred
  if (isIgnored(group, addressee, info)) return
  const queue = task === undefined ? group.pending : task.pending
  const hasRoom = info._tag === "Timer" || addressee === undefined || !refusesQueueing(addressee, info)
  if (!hasRoom && signo >= SIGRTMIN && info.code !== SI_USER) return
  if (!queue.enqueue(hasRoom ? info : { _tag: "Lost", signo, code: SI_USER })) return
  group.signalArrivals.notify(POLLIN)
  const receiver = chooseReceiver(group, signo, task, preferred)
  if (receiver === undefined) return
  if (isFatal(group, receiver, addressee ?? receiver, signo)) {
    // nobody runs on until the receiver has looked: whoever sends its own process a fatal signal does not return
    group.fatalSignal = { task: receiver, info }
    killGroup(group, signaled(signo, false))
  } else receiver.interrupt()
}

/**
 * A blocked signal is kept even if ignored now: the action may change before it is unblocked. So is what a tracer is to
 * see.
 */
const isIgnored = (group: ThreadGroup, addressee: Task | undefined, info: SigInfo): boolean => {
  const { signo } = info
  if (!group.handlers.ignores(signo) && !isWardedOff(group, info)) return false
  if (addressee === undefined) return true
  return !hasSignal(addressee.blocked, signo) && (signo === SIGKILL || !addressee.ptrace.traced)
}

/**
 * "Signals … for which the init process has established a signal handler" alone reach one from within its PID namespace,
 * pid_namespaces(7); from outside, and from the kernel, SIGKILL and SIGSTOP do too.
 */
const isWardedOff = (group: ThreadGroup, info: SigInfo): boolean => {
  if (!group.shielded || group.handlers.get(info.signo).sa_handler !== SIG_DFL) return false
  const isOutsiders = info.code === SI_KERNEL || (info._tag === "Kill" && info.pid === 0)
  return !isOutsiders || (info.signo !== SIGKILL && info.signo !== SIGSTOP)
}

/** Whether sending `addressee` a signal fails with EAGAIN: what came with it must not be lost, and there is no room. */
export const lacksRoom = (addressee: Task, info: SigInfo): boolean =>
  info.signo >= SIGRTMIN &&
  info.code !== SI_USER &&
  !isIgnored(addressee.threadGroup, addressee, info) &&
  refusesQueueing(addressee, info)

/**
 * Whether a signal that `receiver` is about to take ends the group without further ado. A tracer is to see it first, but only
 * that of the thread whom it was sent to.
 */
const isFatal = (group: ThreadGroup, receiver: Task, addressee: Task, signo: number): boolean =>
  group.handlers.get(signo).sa_handler === SIG_DFL &&
  defaultAction(signo) === "Terminate" &&
  (signo === SIGKILL || !addressee.ptrace.traced) &&
  (!group.shielded || signo === SIGKILL) &&
  !hasSignal(receiver.blocked, signo) // blocked and awaited: it may be taken by sigtimedwait

const wants = (task: Task, signo: number): boolean => {
  // who stops to tell its tracer of its exit(2) takes its process with it yet
  if (signo === SIGKILL) return !task.killed || isTraceStopped(task)
  if (task.killed || (hasSignal(task.blocked, signo) && !hasSignal(task.awaited, signo))) return false
  if (task.ptrace.trapNotifyPending) return false // it is on its way into a stop
  const stop = task.stops.internal?._tag
  // who waits for a vfork(2) child looks at nothing before that is over, and has been told to look once
  if (stop === "VforkStop") return !task.attention
  return stop !== "GroupStop" && stop !== "PtraceStop"
}

/** Which thread a signal interrupts, if any wants it: for one thread that, for a group the preferred one or else another. */
const chooseReceiver = (
  group: ThreadGroup,
  signo: number,
  task: Task | undefined,
  preferred: Task | undefined
): Task | undefined => {
  const first = task ?? preferred
  if (first !== undefined && group.tasks.has(first) && wants(first, signo)) return first
  if (task !== undefined) return undefined
  for (const candidate of ringOf(group, group.signalTarget)) {
    if (!wants(candidate, signo)) continue
    group.signalTarget = candidate
    return candidate
  }
  return undefined
}

/** The living threads in the order of their making, beginning with `first` and going round. */
export const ringOf = (group: ThreadGroup, first: Task | undefined): ReadonlyArray<Task> => {
  const tasks = [...group.tasks]
  const start = first === undefined ? -1 : tasks.indexOf(first)
  return start <= 0 ? tasks : [...tasks.slice(start), ...tasks.slice(0, start)]
}

/**
 * `task` will not take signals in `set` any more, as it blocks them or ends: pending ones of the group are for other
 * threads now. Guarded by: signal mutex.
 */
export const retarget = (task: Task, set: bigint): void => {
  const group = task.threadGroup
  let left = group.pending.set & set
  if (left === 0n) return
  for (const other of ringOf(group, task)) {
    if (other === task || other.killed || (left & ~other.blocked) === 0n) continue
    left &= other.blocked
    other.interrupt()
  }
}

const discardEverywhere = (group: ThreadGroup, set: bigint): void => {
  group.posixTimers.dropped(group.pending.discard(set))
  for (const task of group.tasks) group.posixTimers.dropped(task.pending.discard(set))
}

/** Discards what is pending of a signal whose action became "ignore", sigaction(2). Guarded by: signal mutex. */
export const discardIgnored = (group: ThreadGroup, signo: number): void => {
  if (group.handlers.ignores(signo)) discardEverywhere(group, signalBit(signo))
}

/** SIGCONT resumes a stopped group even if it is blocked or ignored. Guarded by: signal mutex. */
const continueGroup = (group: ThreadGroup): void => {
  discardEverywhere(group, STOP_SIGNALS)
  for (const task of group.tasks) {
    if (isTraceStopped(task)) task.ptrace.continued = true
    if (task.ptrace.seized) notifyTrap(task) // even if there is nothing to continue
  }
  const stop = group.groupStop
  if (stop === undefined) return
  group.groupStop = undefined
  for (const task of group.tasks) {
    if (task.stops.internal?._tag !== "GroupStop") continue
    task.stops.endInternal()
    if (hasDeliverableSignal(task)) task.interrupt() // what came meanwhile disturbed nobody
  }
  // a stop that some thread has not joined counts as continued as well, and as one whose signal nobody knows any more
  group.continued = true
  if (stop.completed) {
    group.stopToReport = undefined
    notifyParentOfJobControl(group, CLD_CONTINUED, SIGCONT)
  } else notifyParentOfJobControl(group, CLD_STOPPED, 0)
}

/** A task took a stop signal: the whole group is to stop. Guarded by: signal mutex. */
export const beginGroupStop = (group: ThreadGroup, signal: number): void => {
  const stop = (group.groupStop ??= { signal, reported: signal, pending: 0, completed: false })
  stop.signal = signal
  if (!stop.completed) stop.reported = signal
  stop.pending = 0
  for (const task of group.tasks) {
    if (task.stops.internal?._tag === "GroupStop") continue
    // those that a tracer has let run on while the group is stopped join once more
    task.joinedStop = undefined
    stop.pending++
    if (task.ptrace.seized) notifyTrap(task)
    else task.interrupt()
  }
}

/** A task has joined the group stop. Guarded by: signal mutex. */
export const joinGroupStop = (task: Task): void => {
  const group = task.threadGroup
  const stop = group.groupStop
  if (stop === undefined || task.stops.internal !== undefined) return
  task.stops.beginInternal({ _tag: "GroupStop", signal: stop.signal })
  if (task.joinedStop === stop) return // as a tracee, whose tracer has let go of it
  task.joinedStop = stop
  completeGroupStop(group, 1, task)
}

/**
 * `leaving` tasks stopped or exited, the last of them `by`: the stop is complete when none is left. A parent that traces
 * that one hears of it as its tracer. Guarded by: signal mutex.
 */
export const completeGroupStop = (group: ThreadGroup, leaving: number, by: Task): void => {
  const stop = group.groupStop
  if (stop === undefined || stop.completed) return
  stop.pending -= leaving
  if (stop.pending > 0) return
  stop.completed = true
  group.stopToReport = stop.reported
  group.continued = false
  if (!by.ptrace.traced || isReparented(by)) notifyParentOfJobControl(group, CLD_STOPPED, stop.reported)
}

/** Whether the task is in a ptrace-stop, PTRACE_LISTEN or not. */
export const isTraceStopped = (task: Task): boolean => task.stops.internal?._tag === "PtraceStop"

/** Whether the task is traced by another process than its real parent. */
export const isReparented = (task: Task): boolean => {
  const { tracer } = task.ptrace
  return tracer !== undefined && tracer.threadGroup !== task.threadGroup.parent
}

/** Whether the task has to stop for its tracer before it goes on. */
const hasPendingTrap = ({ joinedStop, ptrace, threadGroup }: Task): boolean =>
  ptrace.trapStopPending ||
  ptrace.trapNotifyPending ||
  (threadGroup.groupStop !== undefined && joinedStop !== threadGroup.groupStop)

/** Ends a ptrace-stop. What came meanwhile disturbed nobody. Guarded by: signal mutex. */
export const endTraceStop = (task: Task): void => {
  task.ptrace.listening = false
  task.clearAttention()
  if (hasDeliverableSignal(task) || hasPendingTrap(task)) task.interrupt()
  task.stops.endInternal()
}

/** JOBCTL_TRAP_NOTIFY: a group-stop of a seized task's group begins or ends. Guarded by: signal mutex. */
const notifyTrap = (task: Task): void => {
  task.ptrace.trapNotifyPending = true
  if (!isTraceStopped(task)) task.interrupt()
  else if (task.ptrace.listening) endTraceStop(task)
}

const notifyParentOfJobControl = (group: ThreadGroup, code: number, status: number): void => {
  const { parent, parentTask } = group
  if (parent === undefined) return
  const { sa_flags, sa_handler } = parent.handlers.get(SIGCHLD)
  if (sa_handler !== SIG_IGN && (sa_flags & SA_NOCLDSTOP) === 0) {
    sendToGroup(parent, childSigInfo(group, code, status), parentTask)
  }
  if (group.leader !== undefined) parent.childWaiters.notify(group.leader)
}

/** What the sandbox's `uid` is called in the user namespace of `receiver`. */
export const uidSeenBy = ({ leader }: ThreadGroup, uid: number): number =>
  leader === undefined ? uid : leader.credentials.userNamespace.userTo(uid)

/** The siginfo of SIGCHLD about `group`. */
export const childSigInfo = (group: ThreadGroup, code: number, status: number): SigInfo => {
  const { system, user } = groupUsage(group)
  return {
    _tag: "Child",
    signo: SIGCHLD,
    code,
    pid: group.parent === undefined ? group.tgid : group.parent.pidNamespace.toInside(group.tgid),
    uid: group.parent === undefined ? 0 : uidSeenBy(group.parent, group.leader?.credentials.ruid ?? 0),
    status,
    userTicks: Number(user / NANOS_PER_TICK),
    systemTicks: Number(system / NANOS_PER_TICK)
  }
}

/** Takes the next signal for `task` that is in `wanted`: its own first, then the group's. Guarded by: signal mutex. */
export const dequeueSignal = (task: Task, wanted: bigint): SigInfo | undefined => {
  const { pending, posixTimers } = task.threadGroup
  while (true) {
    const info = task.pending.dequeue(wanted) ?? pending.dequeue(wanted)
    if (info?._tag !== "Timer") return info
    const current = posixTimers.get(info.timerId)?.taken(info)
    if (current !== undefined) return current
  }
}

/** What a task looks at before it goes on: everything it does not block. */
export const unblockedSignals = (task: Task): bigint => ALL_SIGNALS & ~task.blocked
