/**
 * seccomp(2) as it acts on a task: what its filters say of a call is carried out before the call is.
 */
import * as Effect from "effect/Effect"
import { ENOSYS, ERESTARTSYS } from "../Abi/Errno.ts"
import { PTRACE_EVENT_SECCOMP, PTRACE_O_SUSPEND_SECCOMP } from "../Abi/Ptrace.ts"
import { Reg, argumentRegisters, i386ArgumentRegisters } from "../Abi/Registers.ts"
import {
  AUDIT_ARCH_I386,
  AUDIT_ARCH_X86_64,
  MAX_ERRNO,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
  SYS_SECCOMP,
  SeccompData
} from "../Abi/Seccomp.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { SIGKILL, SIGSYS } from "../Abi/Signal.ts"
import { sysno } from "../Abi/Sysno.ts"
import { signaled } from "../Abi/Wait.ts"
import type { Notification, UserNotifications } from "../Seccomp/UserNotifications.ts"
import { type SeccompFilter, actionOf } from "../Seccomp/SeccompFilter.ts"
import { actionName } from "../Seccomp/SeccompLog.ts"
import { killWithCore } from "./CoreDumpStop.ts"
import { isRestartCode } from "./Restart.ts"
import type { Result } from "./Syscall.ts"
import { NO_CALL, type Task } from "./Task.ts"
import { forceSignal, hasDeliverableSignal, killTask } from "./TaskSignals.ts"

/** The calls of strict mode. */
const STRICT_CALLS: ReadonlySet<number> = new Set([sysno.read, sysno.write, sysno.exit, sysno.rt_sigreturn])

/** `struct seccomp_data` as words; filled for each call that has to be judged. */
const dataWords = new Uint32Array(SeccompData.size / 4)

/** Where the words of `struct seccomp_data` are. */
const INSTRUCTION_POINTER = SeccompData.offsets.instruction_pointer / 4
const ARGUMENTS = SeccompData.offsets.args / 4

/** Gives a new task what its parent has. */
export const inheritSeccomp = (parent: Task, child: Task): void => {
  const { seccomp } = parent
  child.seccomp = seccomp === undefined || seccomp === "Strict" ? seccomp : seccomp.retain()
}

/** Makes `filter`, which descends from what the task has, the task's. Atomic. */
export const setFilter = (task: Task, filter: SeccompFilter): void => {
  filter.retain()
  releaseSeccomp(task)
  task.seccomp = filter
}

/** The task needs its filters no more. */
export const releaseSeccomp = (task: Task): void => {
  const { seccomp } = task
  task.seccomp = undefined
  if (seccomp !== undefined && seccomp !== "Strict") seccomp.release()
}

/**
 * Lets the call that `task` makes through to `perform`, or does what the filters say in its place. `isTraced`: the tracer
 * has looked at it already, because they said so.
 */
export const screen = (task: Task, perform: (task: Task) => Result, isTraced = false): Result => {
  const { call, seccomp } = task
  const { nr } = call
  if (seccomp === undefined) return perform(task)
  if (seccomp === "Strict") {
    if (task.ptrace.hasOption(PTRACE_O_SUSPEND_SECCOMP)) return perform(task)
    return STRICT_CALLS.has(nr) ? perform(task) : killThread(task, SIGKILL)
  }
  if (seccomp.allowsAlways(nr) || task.ptrace.hasOption(PTRACE_O_SUSPEND_SECCOMP)) return perform(task)
  fillData(task)
  const verdict = seccomp.judge(dataWords)
  if (verdict === undefined) return perform(task)
  const { filter, value } = verdict
  const action = actionOf(value)
  const data = value & SECCOMP_RET_DATA
  log(task, action, filter.logs)
  switch (action) {
    case SECCOMP_RET_LOG:
      return perform(task)
    case SECCOMP_RET_ERRNO:
      return fail(task, Math.min(data, MAX_ERRNO))
    case SECCOMP_RET_TRAP:
      return trap(task, data)
    case SECCOMP_RET_TRACE:
      return isTraced ? perform(task) : askTracer(task, data)
    case SECCOMP_RET_USER_NOTIF:
      return ask(task, filter.notifications, perform)
    case SECCOMP_RET_KILL_THREAD:
      return isLastThread(task) ? killProcess(task, data) : killThread(task, SIGSYS)
    default: // SECCOMP_RET_KILL_PROCESS, and whatever else a filter may say
      return killProcess(task, data)
  }
}

/** The tracer is to look at the call first (TracedCall.ts), if there is one that wants to. */
const askTracer = (task: Task, data: number): number => {
  if (!task.ptrace.reports(PTRACE_EVENT_SECCOMP)) return -ENOSYS
  task.call.intercepted = true
  task.call.traceData = data
  return 0
}

/** Whether the call was made as 32-bit programs do, of which filters see the number that it has there. */
const isI386 = ({ call }: Task): boolean => call.nr === NO_CALL && call.isI386

const fillData = (task: Task): void => {
  const { halves } = task.registers
  const foreign = isI386(task)
  const registers = foreign ? i386ArgumentRegisters : argumentRegisters
  dataWords[0] = foreign ? halves[Reg.orig_rax * 2]! : task.call.nr
  dataWords[1] = foreign ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64
  dataWords[INSTRUCTION_POINTER] = halves[Reg.rip * 2]!
  dataWords[INSTRUCTION_POINTER + 1] = halves[Reg.rip * 2 + 1]!
  for (let index = 0; index < registers.length; index++) {
    const register = registers[index]!
    dataWords[ARGUMENTS + index * 2] = halves[register * 2]!
    dataWords[ARGUMENTS + index * 2 + 1] = halves[register * 2 + 1]!
  }
}

const log = (task: Task, action: number, requested: boolean): void => {
  const { system, tid } = task
  if (!system.seccompLog.covers(action, requested)) return
  system.onEvent({ _tag: "SeccompAction", action: actionName(action), nr: task.call.nr, tid })
}

/** The call seems to have failed. Of the codes of a restart only a pending signal makes one, as in Linux. */
const fail = (task: Task, errno: number): number => {
  if (isRestartCode(-errno) && !hasDeliverableSignal(task)) {
    task.registers.set(Reg.rax, -errno)
    task.keepRegisters = true
  }
  return -errno
}

/** What the application's registers were at its `syscall` instruction, rax with them. */
const rollBack = (task: Task): void => {
  const { words } = task.registers
  words[Reg.rax] = words[Reg.orig_rax]!
  task.keepRegisters = true
}

const trap = (task: Task, data: number): Result => {
  rollBack(task)
  return Effect.as(forceSignal(task, sysSigInfo(task, data)), task.call.nr)
}

const sysSigInfo = (task: Task, data: number): SigInfo => ({
  _tag: "Sys",
  signo: SIGSYS,
  code: SYS_SECCOMP,
  errno: data,
  callAddress: task.registers.words[Reg.rip]!,
  syscall: task.registers.int(Reg.orig_rax),
  arch: isI386(task) ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64
})

const killProcess = (task: Task, data: number): Result => {
  rollBack(task)
  return task.threadGroup.handlers.mutex.run(() => {
    killWithCore(task, sysSigInfo(task, data))
    return 0
  })
}

/** Whether the process has no other thread, but perhaps on its way out. */
const isLastThread = (task: Task): boolean => {
  for (const other of task.threadGroup.tasks) if (other !== task && !other.exiting) return false
  return true
}

/** Ends this thread alone; the process ends as it does if there is no other. */
const killThread = (task: Task, signal: number): Result => {
  task.exitStatus = signaled(signal, false)
  task.keepRegisters = true
  return task.threadGroup.handlers.mutex.run(() => {
    killTask(task)
    return 0
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// SECCOMP_RET_USER_NOTIF
// ---------------------------------------------------------------------------------------------------------------------

/** Lets the listener decide, and waits for that. Without one: ENOSYS. */
const ask = (task: Task, notifications: UserNotifications | undefined, perform: (task: Task) => Result): Result => {
  if (notifications?.isOpen !== true) return -ENOSYS
  const data = new Uint8Array(dataWords.slice().buffer)
  return Effect.suspend(() => waitForReply(task, notifications, data, perform))
}

const waitForReply = Effect.fnUntraced(function* (
  task: Task,
  notifications: UserNotifications,
  data: Uint8Array,
  perform: (task: Task) => Result
) {
  if (!notifications.isOpen) return -ENOSYS
  const notification = notifications.post(task, data)
  const outcome = yield* Effect.ensuring(
    awaitReply(task, notifications, notification),
    Effect.sync(() => notifications.withdraw(notification))
  )
  if (outcome === "Signaled") return -ERESTARTSYS
  const { continues, error, value } = notification.reply!
  if (continues) {
    const result = perform(task)
    return typeof result === "number" ? result : yield* result
  }
  // any 64 bits may be the result: they are no restart code of ours
  const result = error !== 0 ? BigInt(error) : value
  task.registers.words[Reg.rax] = BigInt.asUintN(64, result)
  task.keepRegisters = true
  return Number(result)
})

const awaitReply = Effect.fnUntraced(function* (
  task: Task,
  notifications: UserNotifications,
  notification: Notification
): Effect.fn.Return<"Replied" | "Signaled"> {
  const subscribe = (wake: () => void): (() => void) => {
    if (notification.isAnswered) wake()
    else notification.wake = wake
    return () => {
      notification.wake = undefined
    }
  }
  /** A signal came while only a fatal one counts. */
  let disturbed = false
  while (true) {
    const wakeup = yield* task.block(subscribe)
    if (notification.isAnswered) break
    if (wakeup !== "Signaled") continue
    const deaf = notifications.killableWait && notification.state === "Sent"
    if (!deaf || isDying(task)) return "Signaled"
    disturbed = true
    task.clearAttention()
  }
  if (disturbed) task.interrupt()
  return "Replied"
})

const isDying = ({ killed, threadGroup }: Task): boolean =>
  killed || threadGroup.exitStatus !== undefined || threadGroup.execing !== undefined
