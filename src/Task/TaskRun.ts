/**
 * The task's fiber: wait while stopped, execute the run state, repeat.
 */
import * as Effect from "effect/Effect"
import { ESRCH } from "../Abi/Errno.ts"
import { Reg } from "../Abi/Registers.ts"
import { SEGV_MAPERR, SIGSEGV, SIGTRAP, SI_KERNEL } from "../Abi/Signal.ts"
import type { FaultOutcome, PlatformFailed, SwitchOutcome } from "../Platform/Platform.ts"
import { dumpCore } from "./CoreDump.ts"
import { emulateTimestampCounter } from "./TimestampCounter.ts"
import { restartWithoutHandler } from "./Restart.ts"
import { trapAfter } from "./CpuTrap.ts"
import { App, Dead, Exit, type RunState, SeccompEnter, Syscall, SyscallEnter } from "./RunState.ts"
import { type Rseq, awaitCpu, leaveCpu, settleArea } from "./TaskRseq.ts"
import type { Task } from "./Task.ts"
import { Sleep, waitOf } from "./Sleep.ts"
import { deliverNow, deliverPending, deliverTraced } from "./TaskDelivery.ts"
import { exitTask } from "./TaskExit.ts"
import { forceSegv, forceSignal, killedByHost } from "./TaskSignals.ts"
import { rereadCall } from "./TaskTrace.ts"
import { finishSyscall, handleSyscall } from "./TaskSyscall.ts"
import {
  announceExit,
  enterSyscall,
  enterTraced,
  startTraced,
  leaveSyscall,
  leftSyscall,
  skipEmulated,
  startEnteredSyscall
} from "./TracedCall.ts"

/** The whole life of a task. Ends when it is dead. */
export const run = Effect.fnUntraced(function* (task: Task): Effect.fn.Return<void, PlatformFailed> {
  const handler = (): boolean => guarded(task, answer)
  while (task.runState !== Dead) {
    if (task.stops.stopped) {
      yield* task.stops.wait
      if (task.rseq !== undefined) task.rseq.disturbed = true // as one that has slept
    }
    task.runState = yield* step(task, handler)
  }
})

/** A defect in a handler ends this sandbox with a report: the fiber dies of it, not the pump, which others share. */
const guarded = (task: Task, answers: (task: Task) => boolean): boolean => {
  try {
    const goesOn = answers(task)
    task.wakesBefore = task.system.futexes.wakes
    return goesOn
  } catch (defect) {
    task.parked?.close()
    task.parked = undefined
    task.call.effect = Effect.die(defect)
    return false
  }
}

const answer = (task: Task): boolean => handleSyscall(task) || (!parks(task) && goesOnAtOnce(task))

/** Whether what is left of the call is but a wait, which goes on inside the switch. */
const parks = (task: Task): boolean => {
  const { call, context } = task
  if (call.effect === undefined || task.attention || task.ptrace.afterCall.length > 0) return false
  const wait = waitOf(call.effect)
  if (wait === undefined || context.mayPark?.() !== true) return false
  call.effect = undefined
  const parked = new Sleep(task, wait, () => context.retry?.(() => guarded(task, answerParked)))
  const result = parked.begin(true)
  if (result !== undefined) finishSyscall(task, result)
  else {
    task.parked = parked
    if (task.rseq !== undefined) leaveCpu(task, task.rseq, true)
    context.park?.()
  }
  return result === undefined
}

/** What a parked call waits for may have come. */
const answerParked = (task: Task): boolean => {
  const result = task.parked?.look()
  if (result === undefined) {
    task.context.park?.()
    return false
  }
  endParked(task, result)
  return hasCpu(task) && goesOnAtOnce(task)
}

/** Whether a thread that has given its CPU up may run again at once. */
const hasCpu = (task: Task): boolean => {
  const { rseq } = task
  return rseq === undefined || (rseq.cpus.take(rseq) && settleArea(task, rseq))
}

/** The result of a parked call, which somebody may want to look at who hadn't wanted to when it began. */
const endParked = (task: Task, result: number): void => {
  task.parked = undefined
  if (task.interceptsCalls || task.ptrace.afterCall.length > 0) task.call.effect = Effect.succeed(result)
  else finishSyscall(task, result)
}

/** Whether the application may go on after all, once the signals that a finished call has brought about are delivered. */
const goesOnAtOnce = (task: Task): boolean => {
  if (task.call.intercepted || task.call.effect !== undefined || task.stops.stopped) return false
  if (task.attention && !deliverNow(task)) return false
  settleCall(task)
  return !task.attention
}

/** What is left of a call when all signals have been delivered: to restart it, and the mask that it replaced. */
const settleCall = (task: Task): void => {
  if (task.restart !== 0) {
    restartWithoutHandler(task.registers, task.call.nr, task.restart)
    task.restart = 0
  }
  task.restoreMask()
}

const step = (task: Task, handler: () => boolean): Effect.Effect<RunState, PlatformFailed> => {
  switch (task.runState._tag) {
    case "App":
      return runApp(task, handler)
    case "Syscall":
      return runSyscall(task)
    case "SyscallEnter":
      return enterSyscall(task)
    case "SyscallEntered":
      return startEnteredSyscall(task)
    case "SyscallEmulated":
      return skipEmulated(task)
    case "SeccompEnter":
      return enterTraced(task)
    case "SeccompEntered":
      return startTraced(task)
    case "SyscallLeave":
      return leaveSyscall(task, task.runState.result)
    case "SyscallLeft":
      return leftSyscall(task)
    case "SignalStop":
      return Effect.catchTag(
        deliverTraced(task, task.runState.info, task.runState.from),
        "PlatformFailed",
        onLostThread(task)
      )
    case "TrapStop":
      rereadCall(task)
      return toApp
    case "Exit":
      return Effect.flatMap(announceExit(task), (next) => (next === Exit ? leave(task) : Effect.succeed(next)))
    case "ExitStop":
      return leave(task)
    case "CoreDump":
      return Effect.as(dumpCore(task), Exit)
    case "Dead":
      return Effect.succeed(Dead)
  }
}

const leave = (task: Task): Effect.Effect<RunState> => Effect.map(exitTask(task), (ended) => (ended ? Dead : Exit))

const toApp: Effect.Effect<RunState> = Effect.succeed(App)
const toSyscall: Effect.Effect<RunState> = Effect.succeed(Syscall)

/** The handler's Effect, then its result into the registers. */
const runSyscall = (task: Task): Effect.Effect<RunState> => {
  const effect = task.call.effect
  task.call.effect = undefined
  if (effect === undefined) return toApp
  return Effect.map(effect, (result): RunState => {
    if (task.interceptsCalls || task.ptrace.afterCall.length > 0) return { _tag: "SyscallLeave", result }
    finishSyscall(task, result)
    return App
  })
}

const runApp = (task: Task, handler: () => boolean): Effect.Effect<RunState, PlatformFailed> => {
  if (!task.attention && task.threadGroup.groupStop === undefined) return switchToApp(task, handler)
  const delivery = Effect.catchTag(deliverPending(task), "PlatformFailed", onLostThread(task))
  return Effect.flatMap(delivery, (next) =>
    next !== App || task.stops.stopped ? Effect.succeed(next) : switchToApp(task, handler)
  )
}

const switchToApp = (task: Task, handler: () => boolean): Effect.Effect<RunState, PlatformFailed> => {
  settleCall(task)
  if (task.attention) return toApp
  const { rseq } = task
  if (rseq === undefined) return switchAtOnce(task, handler)
  if (rseq.cpus.take(rseq)) return switchOnCpu(task, rseq, handler)
  return Effect.flatMap(awaitCpu(task, rseq), (occupies) => (occupies ? switchOnCpu(task, rseq, handler) : toApp))
}

/** Runs a thread that occupies a CPU. */
const switchOnCpu = (task: Task, rseq: Rseq, handler: () => boolean): Effect.Effect<RunState, PlatformFailed> => {
  // it came while the thread waited
  const next = task.attention ? toApp : undefined
  if (next === undefined && settleArea(task, rseq)) return switchAtOnce(task, handler)
  leaveCpu(task, rseq, true)
  return next ?? Effect.as(forceSegv(task), App)
}

const switchAtOnce = (task: Task, handler: () => boolean): Effect.Effect<RunState, PlatformFailed> => {
  const now = task.context.switchNow?.(handler)
  if (now !== undefined) {
    if (task.rseq !== undefined) leaveCpu(task, task.rseq, now._tag === "Syscall")
    return afterSwitch(task, now)
  }
  return Effect.flatMap(task.interruptible(task.context.switch(handler)), (outcome) => {
    if (task.rseq !== undefined) leaveCpu(task, task.rseq, outcome?._tag === "Syscall")
    if (task.ptrace.traced) task.context.addressSpace.keepCode?.()
    if (task.parked !== undefined) endParked(task, task.parked.interrupt())
    if (outcome !== undefined) return afterSwitch(task, outcome)
    return task.call.effect === undefined ? toApp : toSyscall
  })
}

/** The host has killed the guest's thread (it was out of memory, say): what that means the next switch tells. */
const onLostThread =
  (task: Task) =>
  (error: PlatformFailed): Effect.Effect<RunState, PlatformFailed> =>
    error.errno === ESRCH ? afterSwitch(task, { _tag: "Killed" }) : Effect.fail(error)

const afterSwitch = (task: Task, outcome: SwitchOutcome): Effect.Effect<RunState, PlatformFailed> => {
  switch (outcome._tag) {
    case "Syscall":
      if (task.call.intercepted) return Effect.succeed(task.call.traceData === undefined ? SyscallEnter : SeccompEnter)
      return task.call.effect === undefined ? toApp : toSyscall
    case "Fault":
      return Effect.catchTag(Effect.as(handleFault(task, outcome), App), "PlatformFailed", onLostThread(task))
    case "Killed":
      return Effect.as(killedByHost(task), Exit)
  }
}

const handleFault = (task: Task, fault: FaultOutcome): Effect.Effect<void, PlatformFailed> => {
  if (fault.signal === SIGSEGV && fault.code === SI_KERNEL && emulateTimestampCounter(task)) return Effect.void
  if (fault.signal !== SIGSEGV || fault.code !== SEGV_MAPERR) return raiseFault(task, fault)
  return Effect.flatMap(task.memoryManager.handleFault(Number(fault.address), task.requester), (grown) =>
    grown ? Effect.void : raiseFault(task, fault)
  )
}

/** Whether the platform's si_addr is what Linux says; for int3 and a general protection fault that is 0. */
const hasAddress = ({ code, signal }: FaultOutcome): boolean =>
  signal === SIGSEGV || signal === SIGTRAP || code !== SI_KERNEL

const raiseFault = (task: Task, fault: FaultOutcome): Effect.Effect<void, PlatformFailed> => {
  task.call.nr = -1
  task.restart = 0
  const info = {
    _tag: "Fault",
    signo: fault.signal,
    access: fault.access,
    code: fault.code,
    address: hasAddress(fault) ? fault.address : task.registers.words[Reg.rip]!
  } as const
  return Effect.flatMap(trapAfter(task, info), (trap) => {
    task.trap = trap
    return forceSignal(task, info)
  })
}
