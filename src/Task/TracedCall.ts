/**
 * The long way of a system call, and the last steps of a task, when a tracer looks on: ptrace(2), "Syscall-stops" and
 * "PTRACE_EVENT stops". Each function begins a stop, if there is to be one, and returns the state to go on with after it.
 */
import * as Effect from "effect/Effect"
import {
  PTRACE_EVENTMSG_SYSCALL_ENTRY,
  PTRACE_EVENTMSG_SYSCALL_EXIT,
  PTRACE_EVENT_EXIT,
  PTRACE_EVENT_SECCOMP,
  PTRACE_EVENT_VFORK_DONE
} from "../Abi/Ptrace.ts"
import { ENOSYS } from "../Abi/Errno.ts"
import { Reg } from "../Abi/Registers.ts"
import { SIGTRAP, TRAP_BRKPT } from "../Abi/Signal.ts"
import { waitStatus } from "../Abi/Wait.ts"
import { joinCoreDump } from "./CoreDumpStop.ts"
import type { Result } from "./Syscall.ts"
import {
  App,
  Exit,
  ExitStop,
  type RunState,
  SeccompEnter,
  SeccompEntered,
  Syscall,
  SyscallEmulated,
  SyscallEntered,
  SyscallLeft
} from "./RunState.ts"
import { NO_CALL, type Task } from "./Task.ts"
import { screen } from "./TaskSeccomp.ts"
import { forceSignal } from "./TaskSignals.ts"
import { finishSyscall, restartSyscall, startSyscall } from "./TaskSyscall.ts"
import { idForTracer, raiseInjected, rereadCall, stopForEvent, stopForExit, stopForSyscall } from "./TaskTrace.ts"

/** The entry: rax looks as if the call did not exist until it has a result. */
export const enterSyscall = (task: Task): Effect.Effect<RunState> => {
  const { call, ptrace, registers } = task
  call.intercepted = false
  registers.set(Reg.rax, -ENOSYS)
  if (ptrace.resumption === "Continue") {
    ptrace.takeCode() // of a stop before this call
    return Effect.succeed(SyscallEntered)
  }
  const emulates = ptrace.resumption === "Emulate"
  return task.threadGroup.handlers.mutex.section(() => {
    stopForSyscall(task, PTRACE_EVENTMSG_SYSCALL_ENTRY)
    return emulates ? SyscallEmulated : SyscallEntered
  })
}

/** Does the call that the registers say now. Number -1 is none, though filters see it: rax is the tracer's. */
export const startEnteredSyscall = (task: Task): Effect.Effect<RunState> => {
  raiseInjected(task)
  if (task.killed) return Effect.succeed(App)
  return Effect.suspend(() => Effect.succeed(start(task, rereadNumber(task) ? startSyscall : screenNothing)))
}

const screenNothing = (task: Task): Result => screen(task, doNothing)

const doNothing = (task: Task): number => {
  task.keepRegisters = true
  return 0
}

/** The call is what the tracer has left in orig_rax: whether there is one. A 32-bit program's stays one, of any number. */
const rereadNumber = ({ call, registers }: Task): boolean => {
  const nr = registers.uint(Reg.orig_rax)
  if (call.nr !== NO_CALL || !call.isI386) call.nr = nr
  return nr !== NO_CALL
}

/** Does nothing in place of the call: what it results in is the tracer's. */
export const skipEmulated = (task: Task): Effect.Effect<RunState> => {
  raiseInjected(task)
  return Effect.succeed(skipped)
}

const skipped: RunState = { _tag: "SyscallLeave", result: undefined }

const start = (task: Task, call: (task: Task) => Result): RunState => {
  const result = call(task)
  if (task.call.intercepted) return SeccompEnter
  if (typeof result === "number") return { _tag: "SyscallLeave", result }
  task.call.effect = result
  return Syscall
}

/** A filter said SECCOMP_RET_TRACE, and the tracer wants to hear of that: PTRACE_EVENT_SECCOMP. */
export const enterTraced = (task: Task): Effect.Effect<RunState> => {
  const { call, registers } = task
  const data = BigInt(call.traceData ?? 0)
  call.intercepted = false
  registers.set(Reg.rax, -ENOSYS)
  return task.threadGroup.handlers.mutex.section(() => {
    stopForEvent(task, PTRACE_EVENT_SECCOMP, data)
    return SeccompEntered
  })
}

/** After it: the call as the tracer has left it, which the filters judge again; to be traced now means to be let through. */
export const startTraced = (task: Task): Effect.Effect<RunState> => {
  task.ptrace.takeCode()
  task.call.traceData = undefined
  if (task.killed) return Effect.succeed(App)
  return Effect.suspend(() => {
    const isCall = rereadNumber(task) && task.registers.int(Reg.orig_rax) >= 0
    return Effect.succeed(isCall ? start(task, restartSyscall) : skipped)
  })
}

/** Reports what the call has caused, one stop at a time, then puts its result in place and reports the exit. */
export const leaveSyscall = (task: Task, result: number | undefined): Effect.Effect<RunState> => {
  const { call, ptrace, registers, stops } = task
  if (task.killed) ptrace.afterCall.length = 0
  const next = ptrace.afterCall.shift()
  if (next?._tag === "VforkWait") {
    const child = task.system.taskSet.tasks.get(next.childTid)
    if (child?.vforkParent === task) stops.beginInternal({ _tag: "VforkStop", childTid: next.childTid })
    return Effect.succeed({ _tag: "SyscallLeave", result })
  }
  if (next !== undefined) {
    registers.set(Reg.rax, -ENOSYS)
    return task.threadGroup.handlers.mutex.section(() => {
      if (next._tag === "Event") stopForEvent(task, next.event, next.message)
      else stopForEvent(task, PTRACE_EVENT_VFORK_DONE, BigInt(idForTracer(task, next.childTid)))
      return { _tag: "SyscallLeave", result }
    })
  }
  ptrace.takeCode() // what a tracer passes on after an event goes nowhere
  if (result !== undefined) finishSyscall(task, result)
  if (ptrace.stepping && ptrace.resumption !== "Emulate") return reportStep(task)
  if (ptrace.resumption !== "Syscall") return Effect.succeed(App)
  return task.threadGroup.handlers.mutex.section(() => {
    stopForSyscall(task, PTRACE_EVENTMSG_SYSCALL_EXIT)
    call.intercepted = false
    return SyscallLeft
  })
}

/** The step over a system call instruction ends behind it. */
const reportStep = (task: Task): Effect.Effect<RunState> =>
  Effect.as(
    forceSignal(task, {
      _tag: "Fault",
      signo: SIGTRAP,
      code: TRAP_BRKPT,
      address: task.registers.words[Reg.rip]!,
      access: "unknown"
    }),
    App
  )

/** After the exit stop: the tracer may have changed the result, even whether the call is to be made again. */
export const leftSyscall = (task: Task): Effect.Effect<RunState> => {
  rereadCall(task)
  raiseInjected(task)
  return Effect.succeed(App)
}

/** `Exit` if the task can leave at once; `ExitStop` with a stop begun that says so first. */
export const announceExit = (task: Task): Effect.Effect<RunState> => {
  if (!task.ptrace.reports(PTRACE_EVENT_EXIT)) return Effect.succeed(Exit)
  const group = task.threadGroup
  const status = BigInt(waitStatus(group.exitStatus ?? task.exitStatus))
  return group.handlers.mutex.section(() => {
    if (joinCoreDump(task)) return Exit
    // with its last thread a process is on its way out: signals that come now are nothing to it
    if (isLastToLeave(task)) group.exitStatus ??= task.exitStatus
    return stopForExit(task, PTRACE_EVENT_EXIT, status) ? ExitStop : Exit
  })
}

/** Whether all other threads are gone or going. */
const isLastToLeave = (task: Task): boolean => {
  for (const other of task.threadGroup.tasks) if (other !== task && !other.killed) return false
  return true
}
