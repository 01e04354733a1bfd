/**
 * Being traced, ptrace(2): ptrace-stops of a task, what ends them, and the tie between a task and its tracer.
 *
 * A ptrace-stop is begun by the task's own fiber (or by PTRACE_ATTACH for a task that is stopped already), as a
 * `TaskStop`; the run state says how the task goes on once its tracer has resumed it. Who traces whom is guarded by the
 * TaskSet mutex, stops by the signal mutex of the traced task.
 */
import { CLONE_VFORK } from "../Abi/Clone.ts"
import { PTRACE_EVENT_EXEC, PTRACE_EVENT_STOP, PTRACE_O_EXITKILL, PTRACE_O_TRACESYSGOOD } from "../Abi/Ptrace.ts"
import { Reg } from "../Abi/Registers.ts"
import { kernelSigInfo, type SigInfo } from "../Abi/SigInfo.ts"
import { SIG_IGN } from "../Abi/SigAction.ts"
import { CLD_STOPPED, NSIG, SA_NOCLDSTOP, SIGCHLD, SIGKILL, SIGSTOP, SIGTRAP } from "../Abi/Signal.ts"
import { mayBeTracedBy } from "../Ptrace/PtraceAccess.ts"
import { cloneEvent, tracesChild } from "../Ptrace/PtraceEvents.ts"
import type { Resumption } from "../Ptrace/PtraceState.ts"
import {
  eventStop,
  groupStop,
  type PtraceStop,
  signalStop,
  type Stopper,
  syscallStop,
  trapStop
} from "../Ptrace/PtraceStop.ts"
import { idFor } from "./PidLookup.ts"
import { isRestartCode } from "./Restart.ts"
import type { Task } from "./Task.ts"
import {
  completeGroupStop,
  endTraceStop,
  isReparented,
  isTraceStopped,
  sendToGroup,
  sendToTask,
  sendToTaskNow,
  uidSeenBy
} from "./TaskSignals.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** EFLAGS.TF. */
const TRAP_FLAG = 0x100n

const stopperOf = (task: Task): Stopper => ({
  tid: task.ownTid,
  uid: task.credentials.userNamespace.userTo(task.credentials.ruid)
})

// ---------------------------------------------------------------------------------------------------------------------
// Telling the tracer
// ---------------------------------------------------------------------------------------------------------------------

/** SIGCHLD about one thread to whoever traces it, unless `SA_NOCLDSTOP` is heeded, and a look for those who wait. */
const tellTracer = (task: Task, reason: number, status: number, heeded = SA_NOCLDSTOP): void => {
  const { tracer } = task.ptrace
  if (tracer === undefined) return
  const group = tracer.threadGroup
  const { sa_flags, sa_handler } = group.handlers.get(SIGCHLD)
  if (sa_handler !== SIG_IGN && (sa_flags & heeded) === 0) {
    const info: SigInfo = {
      _tag: "Child",
      signo: SIGCHLD,
      code: reason,
      pid: idFor(tracer, task.tid),
      uid: uidSeenBy(group, task.credentials.ruid),
      status,
      userTicks: 0,
      systemTicks: 0
    }
    sendToGroup(group, info, tracer)
  }
  group.childWaiters.notify(task)
}

// ---------------------------------------------------------------------------------------------------------------------
// Stops
// ---------------------------------------------------------------------------------------------------------------------

/** Begins a ptrace-stop. Guarded by: signal mutex. */
const begin = (task: Task, stop: PtraceStop): void => {
  const { ptrace, threadGroup } = task
  concealStep(task)
  ptrace.code = stop.code
  ptrace.info = stop.info
  ptrace.message = stop.message
  ptrace.trapStopPending = false
  ptrace.listening = false
  ptrace.continued = false
  if (stop.info !== undefined && stop.info.code >> 8 === PTRACE_EVENT_STOP) ptrace.trapNotifyPending = false
  task.stops.beginInternal({ _tag: "PtraceStop" })
  const group = threadGroup.groupStop
  if (stop.reason === CLD_STOPPED && group !== undefined && task.joinedStop !== group) {
    task.joinedStop = group
    completeGroupStop(threadGroup, 1, task)
  }
  tellTracer(task, stop.reason, stop.reason === CLD_STOPPED ? (group?.reported ?? 0) : stop.code & 0x7f)
}

/** As `begin`, unless nobody traces the task or it is on its way out: whether it stops. Guarded by: signal mutex. */
const beginUnlessLeaving = (task: Task, stop: () => PtraceStop): boolean => {
  if (!task.ptrace.traced || task.killed) {
    task.ptrace.takeCode() // nobody passes anything on
    return false
  }
  begin(task, stop())
  return true
}

/** A signal-delivery-stop. Guarded by: signal mutex. */
export const stopForSignal = (task: Task, info: SigInfo): boolean =>
  info.signo !== SIGKILL && beginUnlessLeaving(task, () => signalStop(info))

/** PTRACE_EVENT_*, if the tracer asked for it: whether the task stops. Guarded by: signal mutex. */
export const stopForEvent = (task: Task, event: number, message: bigint): boolean =>
  task.ptrace.reports(event) && beginUnlessLeaving(task, () => eventStop(stopperOf(task), event, message))

/** PTRACE_EVENT_EXIT: a task that is killed stops too. Guarded by: signal mutex. */
export const stopForExit = (task: Task, event: number, message: bigint): boolean => {
  if (!task.ptrace.reports(event) || task.stops.internal !== undefined) return false
  begin(task, eventStop(stopperOf(task), event, message))
  return true
}

/** At the entry of a system call or at its exit. Guarded by: signal mutex. */
export const stopForSyscall = (task: Task, message: bigint): boolean =>
  beginUnlessLeaving(task, () => syscallStop(stopperOf(task), task.ptrace.hasOption(PTRACE_O_TRACESYSGOOD), message))

/**
 * A group-stop that the task has not told its tracer of yet, or a stop that PTRACE_INTERRUPT or the end of a group-stop
 * wants. Guarded by: signal mutex.
 */
export const stopForTrap = (task: Task): boolean => {
  const { joinedStop, ptrace, threadGroup } = task
  const group = threadGroup.groupStop
  const joins = group !== undefined && joinedStop !== group
  if (!joins && !ptrace.trapStopPending && !ptrace.trapNotifyPending) return false
  if (!ptrace.seized) return group !== undefined && beginUnlessLeaving(task, () => groupStop(group.signal))
  return beginUnlessLeaving(task, () => trapStop(stopperOf(task), group?.signal ?? SIGTRAP))
}

/** The tracer lets the task go on, with a signal or 0. Guarded by: signal mutex. */
export const resume = (task: Task, resumption: Resumption, stepping: boolean, signal: number): void => {
  const { ptrace } = task
  ptrace.resumption = resumption
  ptrace.stepping = stepping
  ptrace.code = signal
  task.interceptsCalls = ptrace.interceptsCalls
  if (stepping) forceStep(task)
  endTraceStop(task)
}

/** PTRACE_INTERRUPT. Guarded by: signal mutex. */
export const interruptTracee = (task: Task): void => {
  const { ptrace } = task
  ptrace.trapStopPending = true
  if (!isTraceStopped(task)) task.interrupt()
  else if (ptrace.listening) endTraceStop(task)
}

/** PTRACE_LISTEN, in a stop of a seized task that PTRACE_EVENT_STOP reported: false in any other. Guarded by: signal mutex. */
export const listen = (task: Task): boolean => {
  const { ptrace } = task
  if (!ptrace.seized || ptrace.info === undefined || ptrace.info.code >> 8 !== PTRACE_EVENT_STOP) return false
  ptrace.listening = true
  if (ptrace.trapNotifyPending) endTraceStop(task)
  return true
}

/** What a tracer passes on after a stop that was not for a signal: the task gets it as from the kernel. */
export const raiseInjected = (task: Task): void => {
  const signo = task.ptrace.takeCode()
  if (signo >= 1 && signo <= NSIG) sendToTask(task, { ...kernelSigInfo(signo) })
}

/** The tracer may have changed the registers: what they say now decides whether the interrupted call is restarted. */
export const rereadCall = (task: Task): void => {
  const { call, registers } = task
  const nr = registers.int(Reg.orig_rax)
  const result = registers.long(Reg.rax)
  call.nr = nr
  task.restart = nr !== -1 && isRestartCode(result) ? -result : 0
}

/** The trap flag that a single step set is no business of the task's. Owner: task fiber, or its tracer in a stop. */
export const concealStep = (task: Task): void => {
  const { ptrace, registers } = task
  if (!ptrace.trapFlagForced) return
  ptrace.trapFlagForced = false
  registers.words[Reg.eflags]! &= ~TRAP_FLAG
}

/** Has the processor trap after the next instruction. */
const forceStep = (task: Task): void => {
  const { ptrace, registers } = task
  if ((registers.words[Reg.eflags]! & TRAP_FLAG) !== 0n) return
  ptrace.trapFlagForced = !setsFlags(task)
  registers.words[Reg.eflags]! |= TRAP_FLAG
}

const LONGEST_INSTRUCTION = 15
const POPF = 0x9d
const IRET = 0xcf
/** Sizes, segments, LOCK and REP; in 64-bit code REX, too. */
const PREFIXES = new Set([0x66, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0xf0, 0xf2, 0xf3])
const isRex = (byte: number): boolean => byte >> 4 === 4

/** Whether the next instruction loads the flags: what the trap flag is afterwards is then the program's own affair. */
const setsFlags = ({ memory, registers }: Task): boolean => {
  const bytes = new Uint8Array(LONGEST_INSTRUCTION)
  const length = memory.copyInPartial(registers.ulong(Reg.rip), bytes)
  const opcode = bytes.subarray(0, Math.max(length, 0)).find((byte) => !PREFIXES.has(byte) && !isRex(byte))
  return opcode === POPF || opcode === IRET
}

/**
 * The tracer of a task that steps has ended without saying that a step was the last one: so there is another, or the rest of
 * the one that a system call takes long for, and SIGTRAP for nobody to see.
 */
const stepOn = (task: Task, isStopped: boolean): void => {
  task.ptrace.stepping = true
  task.interceptsCalls = true
  if (isStopped) forceStep(task)
}

/** A single step into a handler ends at its first instruction. Guarded by: signal mutex. */
export const stopAfterHandlerEntry = (task: Task): boolean =>
  beginUnlessLeaving(task, () => syscallStop(stopperOf(task), false, 0n))

// ---------------------------------------------------------------------------------------------------------------------
// Tracer and tracee
// ---------------------------------------------------------------------------------------------------------------------

/** `tracer` traces `task` from now on. Guarded by: TaskSet mutex, signal mutex of `task`. */
const link = (tracer: Task, task: Task, seized: boolean, options: number): void => {
  task.ptrace.link(tracer, seized, options)
  tracer.tracees.add(task)
}

/** PTRACE_TRACEME: false if that may not be. Guarded by: TaskSet mutex, signal mutex of `task`. */
export const traceMe = (task: Task): boolean => {
  const { parentTask } = task.threadGroup
  if (task.ptrace.traced) return false
  if (parentTask === undefined) return true
  const may = mayBeTracedBy(task.credentials, parentTask.credentials)
  if (may) link(parentTask, task, false, 0)
  return may
}

/** PTRACE_ATTACH, PTRACE_SEIZE. Guarded by: TaskSet mutex, signal mutex of `task`. */
export const attach = (tracer: Task, task: Task, seized: boolean, options: number): void => {
  link(tracer, task, seized, options)
  const { stops, threadGroup } = task
  if (stops.internal?._tag === "GroupStop") {
    // from one kind of stop to the other without running in between
    const { signal } = stops.internal
    stops.endInternal()
    begin(task, seized ? trapStop(stopperOf(task), signal) : groupStop(signal))
  }
  if (!seized && threadGroup.state === "Alive") sendToTask(task, kernelSigInfo(SIGSTOP))
}

/** A child, or a thread, that is traced like the one that makes it. Guarded by: TaskSet mutex, signal mutex of `child`. */
export const traceChild = (parent: Task, child: Task, flags: number, exitSignal: number): void => {
  const { ptrace } = parent
  // a step is its maker's alone
  if (ptrace.trapFlagForced) child.registers.words[Reg.eflags]! &= ~TRAP_FLAG
  if (ptrace.tracer === undefined || !tracesChild(ptrace, flags, exitSignal)) return
  link(ptrace.tracer, child, ptrace.seized, ptrace.options)
  if (ptrace.seized) child.ptrace.trapStopPending = true
  else child.pending.enqueue({ _tag: "Kill", signo: SIGSTOP, code: 0, pid: 0, uid: 0 })
  child.interrupt()
}

/** What the sandbox's `id` is called to whoever traces `task`. */
export const idForTracer = ({ ptrace: { tracer } }: Task, id: number): number =>
  tracer === undefined ? id : idFor(tracer, id)

/** What a clone(2) still has to tell a tracer, and to wait for, traced or not. Owner: task fiber. */
export const noteClone = (parent: Task, childTid: number, flags: number, exitSignal: number): void => {
  const { afterCall } = parent.ptrace
  const event = cloneEvent(parent.ptrace, flags, exitSignal)
  if (event !== 0) afterCall.push({ _tag: "Event", event, message: BigInt(idForTracer(parent, childTid)) })
  // a tracer may come while it waits
  if ((flags & CLONE_VFORK) !== 0) afterCall.push({ _tag: "VforkWait", childTid }, { _tag: "VforkDone", childTid })
}

/** execve(2) has succeeded: an event, or, for an old-fashioned tracer, SIGTRAP. Owner: task fiber. */
export const noteExec = (task: Task, formerTid: number): void => {
  const { afterCall, seized, traced } = task.ptrace
  if (task.ptrace.reports(PTRACE_EVENT_EXEC)) {
    afterCall.push({ _tag: "Event", event: PTRACE_EVENT_EXEC, message: BigInt(idForTracer(task, formerTid)) })
  } else if (traced && !seized) task.raise(SIGTRAP)
}

/** The task is nobody's tracee any more; one in a ptrace-stop goes on. Guarded by: TaskSet mutex, signal mutex of `task`. */
export const unlink = (task: Task): void => {
  task.ptrace.tracer?.tracees.delete(task)
  task.ptrace.unlink()
  task.interceptsCalls = false
  if (isTraceStopped(task)) endTraceStop(task)
  if (task.threadGroup.groupStop !== undefined) task.interrupt() // in which the tracer may have let it run
}

/** PTRACE_DETACH: it goes on with a signal, or 0. Guarded by: TaskSet mutex, signal mutex of `task`. */
export const detach = (task: Task, signal: number): void => {
  task.ptrace.code = signal
  unlink(task)
}

/** What becomes of tracees whose tracer ends: killed (PTRACE_O_EXITKILL) or let go. Guarded by: TaskSet mutex. */
export const abandonTracees = (tracer: Task, onEnded: (tracee: Task) => void): void => {
  for (const tracee of [...tracer.tracees]) {
    tracee.threadGroup.handlers.mutex.runSoon(() => {
      if (tracee.ptrace.tracer !== tracer) return
      const { ended, stepping } = tracee.ptrace
      if (tracee.ptrace.hasOption(PTRACE_O_EXITKILL)) sendToTaskNow(tracee, kernelSigInfo(SIGKILL))
      const isStopped = isTraceStopped(tracee)
      unlink(tracee)
      if (stepping) stepOn(tracee, isStopped)
      if (ended !== undefined) onEnded(tracee)
    })
  }
}

/** SIGCHLD about a tracee that has ended, or that its leader has although threads remain. */
export const tellTracerOfEnd = (task: Task, reason: number, status: number): void => tellTracer(task, reason, status, 0)

/** Whether a zombie group's end is first for a tracer to see: of its threads, or of its leader. */
export const isHeldByTracer = (group: ThreadGroup): boolean =>
  group.unreaped.size > 0 || (group.leader !== undefined && isReparented(group.leader))

/** The leader that another thread's execve(2) replaces is gone without a word to its tracer. Guarded by: TaskSet mutex. */
export const forgetLeader = (leader: Task): void => {
  const { tracer } = leader.ptrace
  if (tracer === undefined) return
  unlink(leader)
  tracer.threadGroup.childWaiters.notify(leader)
}
