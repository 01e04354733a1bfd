/**
 * Signals: actions, masks, sending, waiting for them.
 */
import * as Effect from "effect/Effect"
import { E2BIG, EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM, EPERM, ERESTARTNOHAND, ESRCH } from "../Abi/Errno.ts"
import { CAP_KILL } from "../Abi/Capability.ts"
import { Reg } from "../Abi/Registers.ts"
import { SIG_IGN, SigAction, StackT } from "../Abi/SigAction.ts"
import {
  decodeSigInfo,
  encodeSigInfo,
  hasKnownLayout,
  MEANINGFUL_SIGINFO,
  SIGINFO_SIZE,
  type SigInfo
} from "../Abi/SigInfo.ts"
import {
  MINSIGSTKSZ,
  NSIG,
  SA_KNOWN,
  SIGCONT,
  SIGKILL,
  SIGSTOP,
  SIG_BLOCK,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SI_SIGIO,
  SI_TIMER,
  SI_TKILL,
  SI_USER,
  SS_AUTODISARM,
  SS_DISABLE,
  SS_ONSTACK,
  UNBLOCKABLE
} from "../Abi/Signal.ts"
import { Timespec, nanosOfTimespec } from "../Abi/Time.ts"
import { disabledSignalStack, isOnStack, toStackT } from "../Signals/SignalStack.ts"
import { type Result, declare, oneOf, pid, signal, size, struct } from "../Task/Syscall.ts"
import { findGroup, findProcessGroup, findTask, idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { returnFromHandler } from "../Task/TaskDelivery.ts"
import {
  dequeueSignal,
  discardIgnored,
  hasDeliverableSignal,
  lacksRoom,
  sendToGroup,
  sendToTask,
  uidSeenBy
} from "../Task/TaskSignals.ts"
import type { ThreadGroup } from "../Task/ThreadGroup.ts"
import { hasCapabilityIn } from "../Vfs/Credentials.ts"

const isSignal = (signo: number): boolean => signo >= 1 && signo <= NSIG

/** A sigset_t; -errno if its size is wrong or memory is. */
const readMask = (task: Task, at: number, length: number): bigint | number => {
  if (length !== 8) return -EINVAL
  const bytes = new Uint8Array(8)
  return task.memory.copyIn(at, bytes) < 0 ? -EFAULT : new DataView(bytes.buffer).getBigUint64(0, true)
}

// ---------------------------------------------------------------------------------------------------------------------
// Actions and masks
// ---------------------------------------------------------------------------------------------------------------------

const rt_sigaction = (task: Task, signo: number, action: number, old: number, length: number): Result => {
  if (length !== 8) return -EINVAL
  const bytes = new Uint8Array(SigAction.size)
  if (action !== 0 && task.memory.copyIn(action, bytes) < 0) return -EFAULT
  if (!isSignal(signo) || (action !== 0 && (signo === SIGKILL || signo === SIGSTOP))) return -EINVAL
  const { handlers } = task.threadGroup
  const previous = handlers.mutex.run(() => {
    const before = handlers.get(signo)
    if (action !== 0) {
      const { sa_flags, sa_mask, ...rest } = SigAction.decode(bytes)
      handlers.set(signo, { ...rest, sa_flags: (sa_flags & SA_KNOWN) >>> 0, sa_mask: sa_mask & ~UNBLOCKABLE })
      discardIgnored(task.threadGroup, signo)
      if (before.sa_handler === SIG_IGN && !handlers.ignores(signo)) task.threadGroup.posixTimers.unignored(signo)
    }
    return before
  })
  const finish = (value: SigAction): number => (old === 0 ? 0 : task.memory.copyOut(old, SigAction.encode(value)))
  return Effect.isEffect(previous) ? Effect.map(previous, finish) : finish(previous)
}

const rt_sigprocmask = (task: Task, how: number, set: number, old: number, length: number): Result => {
  if (length !== 8) return -EINVAL
  const before = task.blocked
  if (set !== 0) {
    const mask = readMask(task, set, length)
    if (typeof mask === "number") return mask
    if (how === SIG_BLOCK) task.setBlocked(before | mask)
    else if (how === SIG_UNBLOCK) task.setBlocked(before & ~mask)
    else if (how === SIG_SETMASK) task.setBlocked(mask)
    else return -EINVAL
  }
  return old === 0 ? 0 : task.memory.writeBigU64(old, before)
}

const rt_sigpending = (task: Task, set: number, length: number): Result => {
  if (length > 8) return -EINVAL
  const finish = (pending: bigint): number => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, pending, true)
    return task.memory.copyOut(set, bytes.subarray(0, length))
  }
  const { handlers, pending: ofGroup } = task.threadGroup
  const pending = handlers.mutex.run(() => (task.pending.set | ofGroup.set) & task.blocked)
  return Effect.isEffect(pending) ? Effect.map(pending, finish) : finish(pending)
}

const sigaltstack = (task: Task, stack: number, old: number): Result => {
  const stackPointer = task.registers.ulong(Reg.rsp)
  const before = toStackT(task.signalStack, stackPointer)
  if (stack !== 0) {
    const bytes = new Uint8Array(StackT.size)
    if (task.memory.copyIn(stack, bytes) < 0) return -EFAULT
    const { ss_flags, ss_size, ss_sp } = StackT.decode(bytes)
    if (isOnStack(task.signalStack, stackPointer)) return -EPERM
    const mode = (ss_flags & ~SS_AUTODISARM) >>> 0
    if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return -EINVAL
    if (mode !== SS_DISABLE && ss_size < MINSIGSTKSZ) return -ENOMEM
    task.signalStack =
      mode === SS_DISABLE
        ? { ...disabledSignalStack, flags: ss_flags }
        : { base: ss_sp, size: ss_size, flags: ss_flags }
  }
  return old === 0 ? 0 : task.memory.copyOut(old, StackT.encode(before))
}

// ---------------------------------------------------------------------------------------------------------------------
// Sending
// ---------------------------------------------------------------------------------------------------------------------

/** Whether kill(2) permits it. */
export const mayKill = (task: Task, target: ThreadGroup, signo: number): boolean => {
  const { euid, ruid } = task.credentials
  const theirs = (target.leader ?? task).credentials
  return (
    target === task.threadGroup ||
    hasCapabilityIn(task.credentials, theirs.userNamespace, CAP_KILL) ||
    euid === theirs.ruid ||
    euid === theirs.suid ||
    ruid === theirs.ruid ||
    ruid === theirs.suid ||
    (signo === SIGCONT && target.processGroup.session === task.threadGroup.processGroup.session)
  )
}

/** Whether `target` can see the task: not if that is further up in the tree of PID namespaces. */
const isVisibleTo = ({ threadGroup }: Task, { pidNamespace }: ThreadGroup): boolean =>
  pidNamespace.toInside(threadGroup.tgid) !== 0

/** What `target` is told of a signal that the task sends. */
export const userInfo = (task: Task, target: ThreadGroup, signo: number, code: number): SigInfo => ({
  _tag: "Kill",
  signo,
  code,
  pid: isVisibleTo(task, target) ? task.threadGroup.ownTgid : 0,
  uid: uidSeenBy(target, task.credentials.ruid)
})

/** What the guest composed, as `target` is told it: an id is called what it is called there. */
export const toldTo = (task: Task, target: ThreadGroup, info: SigInfo): SigInfo => {
  if (info._tag !== "Raw" || info.code === SI_TIMER || info.code === SI_SIGIO) return info // nobody's id is in it
  const rest = info.rest.slice()
  const view = new DataView(rest.buffer)
  const uid = task.credentials.userNamespace.userFrom(view.getUint32(SENDER_UID, true))
  view.setUint32(SENDER_UID, uidSeenBy(target, uid), true)
  if (!isVisibleTo(task, target)) {
    // nobody sees what came with these; who sent them decides what becomes of an init
    if (info.signo === SIGKILL || info.signo === SIGSTOP) return userInfo(task, target, info.signo, info.code)
    view.setInt32(SENDER_PID, 0, true)
  }
  return { ...info, rest }
}

/** Where si_pid and si_uid are in `rest`. */
const SENDER_PID = 4
const SENDER_UID = 8

/** The number of the signal is looked at only once there is somebody to send it to. */
const killOne = (task: Task, target: ThreadGroup, signo: number, info?: SigInfo, preferred?: Task): number => {
  if (signo !== 0 && !isSignal(signo)) return -EINVAL
  if (!mayKill(task, target, signo)) return -EPERM
  if (signo !== 0) {
    const sent = info === undefined ? userInfo(task, target, signo, SI_USER) : toldTo(task, target, info)
    sendToGroup(target, sent, preferred)
  }
  return 0
}

/** What a call that has sent `group` a signal returns, once the signal is there: one to oneself comes before the result. */
export const sent = (group: ThreadGroup, result: number): Result => {
  const { mutex } = group.handlers
  return mutex.held ? mutex.section(() => result) : result
}

/** kill(2) of several: succeeds if one could be signalled. */
export const killMany = (task: Task, targets: Iterable<ThreadGroup>, signo: number, info?: SigInfo): number => {
  let result = -ESRCH
  for (const target of targets) {
    const outcome = killOne(task, target, signo, info)
    if (outcome === 0 || result === -ESRCH) result = outcome
  }
  return result
}

/** The process that an id, of it or of one of its threads, stands for. */
const groupOf = (task: Task, id: number): ThreadGroup | undefined =>
  findGroup(task, id) ?? findTask(task, id)?.threadGroup

const kill = (task: Task, id: number, signo: number): Result => {
  if (id > 0) {
    const target = groupOf(task, id)
    // the thread that the id is of takes it if it will
    return target === undefined ? -ESRCH : sent(target, killOne(task, target, signo, undefined, findTask(task, id)))
  }
  if (id === -1) {
    const others = [...task.system.taskSet.groups.values()].filter(
      (group) => group !== task.threadGroup && idFor(task, group.tgid) > 1
    )
    return killMany(task, others, signo)
  }
  const processGroup = id === 0 ? task.threadGroup.processGroup : findProcessGroup(task, -id)
  return processGroup === undefined ? -ESRCH : sent(task.threadGroup, killMany(task, processGroup.newestFirst, signo))
}

const sendToThread = (
  task: Task,
  tgid: number | undefined,
  tid: number,
  infoFor: (target: ThreadGroup) => SigInfo
): Result => {
  const target = findTask(task, tid)
  if (target === undefined) return -ESRCH
  if (tgid !== undefined && idFor(task, target.threadGroup.tgid) !== tgid) return -ESRCH
  const info = infoFor(target.threadGroup)
  if (info.signo !== 0 && !isSignal(info.signo)) return -EINVAL
  if (!mayKill(task, target.threadGroup, info.signo)) return -EPERM
  if (info.signo !== 0 && lacksRoom(target, info)) return -EAGAIN
  // a dead leader's id still exists, and signals to it succeed without effect
  if (info.signo !== 0) sendToTask(target, info)
  return sent(target.threadGroup, 0)
}

const tgkill = (task: Task, tgid: number, tid: number, signo: number): Result => {
  if (tgid <= 0 || tid <= 0) return -EINVAL
  return sendToThread(task, tgid, tid, (target) => userInfo(task, target, signo, SI_TKILL))
}

const tkill = (task: Task, tid: number, signo: number): Result => {
  if (tid <= 0) return -EINVAL
  return sendToThread(task, undefined, tid, (target) => userInfo(task, target, signo, SI_TKILL))
}

/** siginfo as the guest composed it, of `signo` if that is given; -EFAULT or -E2BIG. */
export const copyInInfo = (task: Task, at: number, signo?: number): SigInfo | number => {
  const bytes = new Uint8Array(SIGINFO_SIZE)
  const view = new DataView(bytes.buffer)
  const count = task.memory.copyInPartial(at, bytes)
  if (count < MEANINGFUL_SIGINFO) return -EFAULT
  const signal = signo ?? view.getInt32(0, true)
  if (count < SIGINFO_SIZE && !hasKnownLayout(signal, view.getInt32(8, true))) return -EFAULT
  return decodeSigInfo(signal, bytes) ?? -E2BIG
}

/** siginfo as the guest composed it; pretending to be the kernel or kill(2) is refused towards all but the own thread. */
export const readInfo = (task: Task, id: number, signo: number, at: number): SigInfo | number => {
  const info = copyInInfo(task, at, signo)
  if (typeof info === "number") return info
  if ((info.code >= 0 || info.code === SI_TKILL) && id !== task.ownTid) return -EPERM
  return info
}

const rt_sigqueueinfo = (task: Task, tgid: number, signo: number, at: number): Result => {
  const info = readInfo(task, tgid, signo, at)
  if (typeof info === "number") return info
  const target = groupOf(task, tgid)
  if (target === undefined) return -ESRCH
  if (signo !== 0 && !isSignal(signo)) return -EINVAL
  if (!mayKill(task, target, signo)) return -EPERM
  if (signo !== 0 && target.leader !== undefined && lacksRoom(target.leader, info)) return -EAGAIN
  if (signo !== 0) sendToGroup(target, toldTo(task, target, info), findTask(task, tgid))
  return 0
}

const rt_tgsigqueueinfo = (task: Task, tgid: number, tid: number, signo: number, at: number): Result => {
  const info = readInfo(task, tid, signo, at)
  if (typeof info === "number") return info
  if (tgid <= 0 || tid <= 0) return -EINVAL
  return sendToThread(task, tgid, tid, (target) => toldTo(task, target, info))
}

// ---------------------------------------------------------------------------------------------------------------------
// Waiting
// ---------------------------------------------------------------------------------------------------------------------

/** Waits for nothing but a signal. */
const sleepForSignal = (task: Task): Effect.Effect<number> =>
  Effect.as(
    task.block(() => () => {}),
    -ERESTARTNOHAND
  )

const rt_sigsuspend = (task: Task, set: number, length: number): Result => {
  const mask = readMask(task, set, length)
  return typeof mask === "number" ? mask : task.withTemporaryMask(mask, () => sleepForSignal(task))
}

const rt_sigtimedwait = (task: Task, set: number, info: number, timeout: number, length: number): Result => {
  const mask = readMask(task, set, length)
  if (typeof mask === "number") return mask
  let deadline: bigint | undefined
  if (timeout !== 0) {
    const bytes = new Uint8Array(Timespec.size)
    if (task.memory.copyIn(timeout, bytes) < 0) return -EFAULT
    const nanos = nanosOfTimespec(Timespec.decode(bytes))
    if (typeof nanos === "number") return nanos
    deadline = task.system.timekeeper.monotonic() + nanos
  }
  return waitForSignal(task, mask & ~UNBLOCKABLE, info, deadline)
}

const waitForSignal = Effect.fnUntraced(function* (
  task: Task,
  wanted: bigint,
  info: number,
  deadline: bigint | undefined
) {
  const { mutex } = task.threadGroup.handlers
  const take = mutex.section(() => dequeueSignal(task, wanted))
  let received = yield* take
  if (received === undefined && (deadline === undefined || deadline > task.system.timekeeper.monotonic())) {
    task.awaited = wanted
    const wakeup = yield* task.block((wake) => {
      if (((task.pending.set | task.threadGroup.pending.set) & wanted) !== 0n) wake() // since we looked
      return () => {}
    }, deadline)
    task.awaited = 0n
    received = yield* take
    if (received === undefined) return wakeup === "Expired" ? -EAGAIN : -EINTR
    // the interrupt was for this signal: if nothing else is there, nothing wants attention
    if (!task.killed && !hasDeliverableSignal(task)) task.clearAttention()
  }
  if (received === undefined) return -EAGAIN
  if (info !== 0 && task.memory.copyOut(info, encodeSigInfo(received)) < 0) return -EFAULT
  return received.signo
})

const HOW_NAMES = Object.entries({ SIG_BLOCK, SIG_UNBLOCK, SIG_SETMASK })

export const sysSignal = [
  declare(
    "rt_sigaction",
    [signal("signum"), struct("act", "sigaction", "in"), struct("oldact", "sigaction", "out"), size("sigsetsize")],
    rt_sigaction
  ),
  declare(
    "rt_sigprocmask",
    [oneOf("how", HOW_NAMES), struct("set", "sigset", "in"), struct("oldset", "sigset", "out"), size("sigsetsize")],
    rt_sigprocmask
  ),
  declare("rt_sigpending", [struct("set", "sigset", "out"), size("sigsetsize")], rt_sigpending),
  declare("rt_sigreturn", [], returnFromHandler),
  declare("sigaltstack", [struct("ss", "stack_t", "in"), struct("old_ss", "stack_t", "out")], sigaltstack),
  declare("kill", [pid("pid"), signal("sig")], kill),
  declare("tkill", [pid("tid"), signal("sig")], tkill),
  declare("tgkill", [pid("tgid"), pid("tid"), signal("sig")], tgkill),
  declare("rt_sigqueueinfo", [pid("tgid"), signal("sig"), struct("info", "siginfo", "in")], rt_sigqueueinfo),
  declare(
    "rt_tgsigqueueinfo",
    [pid("tgid"), pid("tid"), signal("sig"), struct("info", "siginfo", "in")],
    rt_tgsigqueueinfo
  ),
  declare("rt_sigsuspend", [struct("mask", "sigset", "in"), size("sigsetsize")], rt_sigsuspend),
  declare(
    "rt_sigtimedwait",
    [
      struct("set", "sigset", "in"),
      struct("info", "siginfo", "out"),
      struct("timeout", "timespec", "in"),
      size("sigsetsize")
    ],
    rt_sigtimedwait
  ),
  declare("pause", [], sleepForSignal)
]
