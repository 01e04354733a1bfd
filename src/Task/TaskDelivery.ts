/**
 * What a task does about its pending signals before the application goes on: signal(7), and the way into and out of a
 * handler, rt_sigreturn(2).
 */
import * as Effect from "effect/Effect"
import { EFAULT } from "../Abi/Errno.ts"
import { SIG_DFL, SIG_IGN, type SigAction, type StackT } from "../Abi/SigAction.ts"
import {
  MINSIGSTKSZ,
  NSIG,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESTORER,
  SIGKILL,
  SIGSEGV,
  SIGSTOP,
  SI_USER,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
  defaultAction,
  hasSignal,
  signalBit
} from "../Abi/Signal.ts"
import { Reg } from "../Abi/Registers.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { signaled } from "../Abi/Wait.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import * as SignalFrame from "../Signals/SignalFrame.ts"
import { disabledSignalStack, isEnabled, isOnStack } from "../Signals/SignalStack.ts"
import { killWithCore } from "./CoreDumpStop.ts"
import { isOrphaned } from "./JobControl.ts"
import { idFor } from "./PidLookup.ts"
import { restartWithHandler } from "./Restart.ts"
import { App, CoreDump, Exit, type RunState, type SignalOwner, TrapStop } from "./RunState.ts"
import type { Result } from "./Syscall.ts"
import { abortSection } from "./TaskRseq.ts"
import type { Task } from "./Task.ts"
import { concealStep, rereadCall, stopAfterHandlerEntry, stopForSignal, stopForTrap } from "./TaskTrace.ts"
import {
  beginGroupStop,
  dequeueSignal,
  forceSegv,
  joinGroupStop,
  killGroup,
  sendToGroupNow,
  sendToTaskNow,
  uidSeenBy,
  unblockedSignals
} from "./TaskSignals.ts"

/**
 * Looks at everything that may want the task's attention, after entering the handler of `first`, a signal that a tracer
 * has let through. The state to go on with; `App` may still be stopped.
 */
export const deliverPending = Effect.fnUntraced(function* (
  task: Task,
  first?: Taken
): Effect.fn.Return<RunState, PlatformFailed> {
  const group = task.threadGroup
  let extendedState: Uint8Array | undefined
  let entered = false
  let decided = first
  let next: RunState = App
  while (true) {
    let taken: Taken | "TrapStop" | undefined = decided
    decided = undefined
    if (taken === undefined) {
      task.clearAttention()
      if (isLeaving(task)) {
        const { fatalSignal } = group
        if (fatalSignal?.task === task && fatalSignal.info.signo !== SIGKILL) {
          task.system.observer?.signal(task, fatalSignal.info)
        }
        return group.coreDump?.dumper === task ? CoreDump : Exit
      }
      // first of all, as it takes time: what comes after a signal must not come between it and its frame
      if (extendedState === undefined && mayEnterHandler(task)) extendedState = yield* task.context.readExtendedState
      taken = yield* group.handlers.mutex.section(() => takeNext(task))
    }
    if (taken === "TrapStop") next = TrapStop
    if (taken === undefined || taken === "TrapStop") break
    if (taken.stopped !== undefined) {
      next = { _tag: "SignalStop", info: taken.info, from: taken.stopped }
      break
    }
    if (taken.handler === undefined) continue
    extendedState ??= yield* task.context.readExtendedState
    if (enterHandler(task, taken.info, taken.handler, extendedState)) {
      extendedState = task.system.frameState.initial
      entered = true
      if (task.ptrace.stepping) break
    } else yield* refuseHandler(task, taken.info, taken.handler)
  }
  if (!entered) return next
  yield* task.context.writeExtendedState(task.system.frameState.initial)
  if (task.ptrace.stepping) yield* group.handlers.mutex.section(() => stopAfterHandlerEntry(task))
  return next
})

/**
 * As `deliverPending`, for a task that is neither traced nor about to stop or end, in the pump and without waking its
 * fiber: what a signal to oneself costs. True if the application may go on; false leaves the rest to the fiber.
 */
export const deliverNow = (task: Task): boolean => {
  const { context, threadGroup } = task
  const { mutex } = threadGroup.handlers
  if (task.ptrace.traced || threadGroup.groupStop !== undefined || isLeaving(task) || mutex.held) return false
  let extendedState = context.extendedStateNow()
  if (extendedState === undefined && context.mayPushFrame === undefined) return false
  task.clearAttention()
  const take = (): Taken | undefined => takeSignal(task)
  let entered = false
  let refused = false
  while (!refused) {
    const taken = mutex.tryRun(take, ignore)
    if (taken === undefined) break
    if (isLeaving(task) || task.stops.stopped) break // whatever else is pending, it comes later or never
    if (taken.handler === undefined) continue
    if (extendedState === undefined && !isForPushing(task, taken.handler)) {
      leaveToFiber(task, enterLater(task, taken.info, taken.handler))
      return false
    }
    refused = !enterHandler(task, taken.info, taken.handler, extendedState)
    if (refused) {
      leaveToFiber(task, refuseHandler(task, taken.info, taken.handler))
    } else {
      extendedState = task.system.frameState.initial
      entered = true
    }
  }
  if (entered) context.setExtendedStateNow(task.system.frameState.initial) // who pushes a frame does that itself
  return !refused && !task.attention && !task.stops.stopped
}

/** The registers are as they are to be, but for what `rest` does. */
const leaveToFiber = (task: Task, rest: Effect.Effect<void>): void => {
  task.keepRegisters = true
  task.call.effect = Effect.as(rest, 0)
}

const ignore = (): void => undefined

/** Begins a stop, if one is due, or takes a signal. Guarded by: signal mutex. */
const takeNext = (task: Task): Taken | "TrapStop" | undefined => {
  if (task.ptrace.traced) return stopForTrap(task) ? "TrapStop" : takeSignal(task)
  if (task.threadGroup.groupStop === undefined) return takeSignal(task)
  joinGroupStop(task)
  return undefined
}

/** Whether a signal is pending that has a handler. */
const mayEnterHandler = (task: Task): boolean => {
  const { handlers, pending } = task.threadGroup
  return handlers.catchesAny((task.pending.set | pending.set) & ~task.blocked)
}

/** exit(2) was called, the group ends, or another thread's execve(2) wants this one gone. */
const isLeaving = (task: Task): boolean => {
  const { execing, exitStatus } = task.threadGroup
  return task.killed || exitStatus !== undefined || (execing !== undefined && execing !== task)
}

/**
 * Takes the next signal and does what its action says; what is left to do is to enter a handler, if there is one. In one
 * step, so that no SIGCONT and no sigaction(2) comes between a signal and its effect. Guarded by: signal mutex.
 */
const takeSignal = (task: Task): Taken | undefined => {
  const unblocked = unblockedSignals(task)
  const from = (task.pending.set & unblocked) === 0n ? "Group" : "Thread"
  const info = task.pending.dequeueRaised(unblocked) ?? dequeueSignal(task, unblocked)
  if (info === undefined) return undefined
  if (task.ptrace.traced && stopForSignal(task, info)) return { info, handler: undefined, stopped: from }
  return act(task, info)
}

/** A signal, the handler that it is for, and if a tracer sees it first, whose it was. */
interface Taken {
  readonly info: SigInfo
  readonly handler: SigAction | undefined
  readonly stopped: SignalOwner | undefined
}

/** Does what the action of a signal says. Guarded by: signal mutex. */
const act = (task: Task, info: SigInfo, mayStop = true): Taken => {
  const group = task.threadGroup
  const { signo } = info
  const ignored: Taken = { info, handler: undefined, stopped: undefined }
  if (group.handlers.get(signo).sa_handler === SIG_IGN) return ignored
  const isCaught = group.handlers.catches(signo)
  const action = isCaught ? "Catch" : defaultAction(signo)
  if (action === "Ignore" || action === "Continue") return ignored
  if (action !== "Catch" && group.shielded && signo !== SIGKILL && signo !== SIGSTOP) return ignored
  if (action === "Stop" && !mayStop) return ignored
  // nobody would continue it
  if (action === "Stop" && signo !== SIGSTOP && isOrphaned(group.processGroup)) return ignored
  task.system.observer?.signal(task, info)
  if (action === "Catch") return { info, handler: group.handlers.take(signo), stopped: undefined }
  if (action === "Stop") {
    beginGroupStop(group, signo)
    if (!task.ptrace.traced) joinGroupStop(task)
  } else if (action === "Core") killWithCore(task, info)
  else killGroup(group, signaled(signo, false))
  return ignored
}

/**
 * Goes on after a signal-delivery-stop: with the signal that came, another one, or none, as the tracer said; then with
 * whatever else is pending.
 */
export const deliverTraced = Effect.fnUntraced(function* (
  task: Task,
  info: SigInfo,
  from: SignalOwner
): Effect.fn.Return<RunState, PlatformFailed> {
  const taken = yield* task.threadGroup.handlers.mutex.section(() => {
    rereadCall(task)
    const delivered = afterStop(task, info, from)
    if (delivered === undefined || task.killed) return undefined
    const { continued } = task.ptrace
    task.ptrace.continued = false
    return act(task, delivered, !continued)
  })
  return yield* deliverPending(task, taken)
})

/** The signal that a tracer lets through, if any; one that is blocked meanwhile waits. Guarded by: signal mutex. */
const afterStop = (task: Task, info: SigInfo, from: SignalOwner): SigInfo | undefined => {
  const { ptrace, threadGroup } = task
  const current = ptrace.info ?? info
  const signo = ptrace.takeCode()
  if (signo < 1 || signo > NSIG) return undefined
  const tracer = ptrace.tracer ?? threadGroup.parentTask
  const delivered: SigInfo =
    signo === current.signo
      ? current
      : {
          _tag: "Kill",
          signo,
          code: SI_USER,
          pid: tracer === undefined ? 0 : idFor(task, tracer.tid),
          uid: tracer === undefined ? 0 : uidSeenBy(threadGroup, tracer.credentials.ruid)
        }
  if (!hasSignal(task.blocked, signo)) return delivered
  if (from === "Group") sendToGroupNow(threadGroup, delivered)
  else sendToTaskNow(task, delivered)
  return undefined
}

/** Where the frame of a handler goes. */
const placeFrame = (
  task: Task,
  action: SigAction
): { readonly alternate: boolean; readonly layout: SignalFrame.FrameLayout } => {
  const { signalStack } = task
  const stackPointer = task.registers.ulong(Reg.rsp)
  const alternate =
    (action.sa_flags & SA_ONSTACK) !== 0 && isEnabled(signalStack) && !isOnStack(signalStack, stackPointer)
  const top = alternate ? signalStack.base + signalStack.size : stackPointer
  return { alternate, layout: SignalFrame.layoutFrame(top, alternate, task.system.frameState.size) }
}

/**
 * Whether the frame of that handler can be pushed by the thread: writing can't fail where it goes, and the thread will go on at
 * once, as the frame isn't there before; no other signal is going to stop it.
 */
const isForPushing = (task: Task, action: SigAction): boolean => {
  const { context, memory, pending, system, threadGroup } = task
  const { frame } = placeFrame(task, action).layout
  const length = SignalFrame.frameReach(system.frameState.size)
  return (
    ((pending.set | threadGroup.pending.set) & unblockedSignals(task)) === 0n &&
    context.mayPushFrame?.(frame, length) === true &&
    memory.isPlain(frame, length)
  )
}

/** What is left to be done when a signal has been taken, and there was no room for its frame at once. */
const enterLater = (task: Task, info: SigInfo, action: SigAction): Effect.Effect<void> => {
  const { context, system } = task
  const refuse = (): Effect.Effect<void> => refuseHandler(task, info, action)
  return context.readExtendedState.pipe(
    Effect.flatMap((extendedState) =>
      enterHandler(task, info, action, extendedState) ? context.writeExtendedState(system.frameState.initial) : refuse()
    ),
    Effect.catchTag("PlatformFailed", refuse) // the host may have killed the thread
  )
}

/**
 * Puts a frame on the stack, with the extended state that was interrupted (undefined: the thread pushes it, as `isForPushing`
 * says that it can); false if there is no room for one, or an area of rseq(2) is no good.
 */
const enterHandler = (task: Task, info: SigInfo, action: SigAction, extendedState: Uint8Array | undefined): boolean => {
  const { registers, signalStack } = task
  concealStep(task)
  if (!task.ptrace.traced && task.ptrace.stepping) {
    // a tracer that has ended left it so
    task.ptrace.stepping = false
    task.interceptsCalls = false
  }
  if (task.restart !== 0) {
    restartWithHandler(registers, task.call.nr, task.restart, action.sa_flags)
    task.restart = 0
  }
  if (task.rseq !== undefined && !abortSection(task, task.rseq)) return false
  const stackPointer = registers.ulong(Reg.rsp)
  const { alternate, layout } = placeFrame(task, action)
  // a frame that would leave the alternate stack is as bad as one that cannot be written
  if ((alternate || isOnStack(signalStack, stackPointer)) && layout.frame < signalStack.base) return false
  // x86-64 has no other way back than the program's own
  if ((action.sa_flags & SA_RESTORER) === 0) return false
  if (writeFrame(task, info, action, layout, extendedState) < 0) return false
  SignalFrame.enterHandler(registers, action.sa_handler, info.signo, layout)
  task.savedMask = undefined
  const deferred = (action.sa_flags & SA_NODEFER) !== 0 ? 0n : signalBit(info.signo)
  task.setBlocked(task.blocked | action.sa_mask | deferred)
  if ((signalStack.flags & SS_AUTODISARM) !== 0) task.signalStack = disabledSignalStack
  return true
}

/** What becomes of a task that had no room for a handler's frame: SIGSEGV, and if that was the signal, without its handler. */
const refuseHandler = (task: Task, info: SigInfo, action: SigAction): Effect.Effect<void> => {
  const { handlers } = task.threadGroup
  const reset =
    info.signo === SIGSEGV
      ? handlers.mutex.section(() => handlers.set(SIGSEGV, { ...action, sa_handler: SIG_DFL }))
      : Effect.void
  return Effect.andThen(reset, forceSegv(task))
}

/** 0 or -EFAULT. */
const writeFrame = (
  task: Task,
  info: SigInfo,
  action: SigAction,
  layout: SignalFrame.FrameLayout,
  extendedState: Uint8Array | undefined
): number => {
  const frame = SignalFrame.encodeFrame(task.system.frameState, {
    registers: task.registers,
    info,
    restorer: action.sa_restorer,
    mask: task.savedMask ?? task.blocked,
    stack: { ss_sp: task.signalStack.base, ss_size: task.signalStack.size, ss_flags: task.signalStack.flags },
    layout,
    trap: task.trap,
    extendedState
  })
  if (extendedState === undefined)
    return task.context.pushFrame?.(layout.frame, frame, layout.extendedState - layout.frame) === true ? 0 : -EFAULT
  return task.memory.copyOut(layout.frame, frame)
}

/** rt_sigreturn(2): everything comes back from the frame at the stack pointer, or SIGSEGV. Never returns a result. */
export const returnFromHandler = (task: Task): Result => {
  task.keepRegisters = true
  task.restart = 0
  task.registers.set(Reg.orig_rax, -1) // what comes back is in no system call
  // in one go the ucontext and what most likely follows
  const at = task.registers.ulong(Reg.rsp)
  const { frameState } = task.system
  const frame = frameState.bytes.subarray(0, SignalFrame.frameReach(frameState.size))
  const length = task.memory.copyInPartial(at, frame)
  if (length < SignalFrame.ucontextSize) return refuseReturn(task)
  const { extendedState, mask, stack } = SignalFrame.restoreFrame(frameState, task.registers)
  const image = readExtendedState(task, extendedState, at, length)
  if (image === undefined) return refuseReturn(task)
  const restore = (): number => {
    task.setBlocked(mask)
    restoreStack(task, stack, at)
    return 0
  }
  if (task.context.setExtendedStateNow(image)) return restore()
  // a processor may take less than we thought, and the host may have killed the thread
  return Effect.matchEffect(task.context.writeExtendedState(image.slice()), {
    onFailure: () => refuseReturn(task),
    onSuccess: () => Effect.sync(restore)
  })
}

/** What becomes of a task that returns from no handler's frame. */
const refuseReturn = (task: Task): Effect.Effect<number> => Effect.as(forceSegv(task), 0)

/**
 * The extended state that a frame has at `at` (0: none), of which `length` bytes from `start` on have been copied in;
 * undefined if it is no good.
 */
const readExtendedState = (task: Task, at: number, start: number, length: number): Uint8Array | undefined => {
  const { frameState } = task.system
  const { bytes, initial, view } = frameState
  if (at === 0) return initial
  const carried = frameState.size + 4
  const offset = at - start
  if (offset >= 0 && offset + carried <= length)
    return SignalFrame.decodeExtendedState(frameState, bytes, view, offset, carried)
  const elsewhere = new Uint8Array(carried)
  if (task.memory.copyIn(at, elsewhere) < 0) return undefined
  return SignalFrame.decodeExtendedState(frameState, elsewhere, new DataView(elsewhere.buffer), 0, carried)
}

/** sigaltstack(2) with what the frame says, its errors ignored; by who is still on the stack of the frame, at `stackPointer`. */
const restoreStack = (task: Task, { ss_flags, ss_size, ss_sp }: StackT, stackPointer: number): void => {
  if (isOnStack(task.signalStack, stackPointer)) return
  const mode = (ss_flags & ~SS_AUTODISARM) >>> 0
  if (ss_flags === task.signalStack.flags && ss_sp === task.signalStack.base && ss_size === task.signalStack.size)
    return
  if (mode === SS_DISABLE) task.signalStack = { ...disabledSignalStack, flags: ss_flags }
  else if ((mode === 0 || mode === SS_ONSTACK) && ss_size >= MINSIGSTKSZ) {
    task.signalStack = { base: ss_sp, size: ss_size, flags: ss_flags }
  }
}
