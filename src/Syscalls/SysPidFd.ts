/**
 * Processes as files: pidfd_open(2) and its calls.
 */
import * as Effect from "effect/Effect"
import { EACCES, EBADF, EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { O_NONBLOCK } from "../Abi/OpenFlags.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { NSIG, SI_USER } from "../Abi/Signal.ts"
import { CAP_SYS_NICE, CAP_SYS_PTRACE } from "../Abi/Capability.ts"
import { MADV_COLD, MADV_COLLAPSE, MADV_NAMES, MADV_PAGEOUT, MADV_WILLNEED } from "../Abi/Mman.ts"
import { advise } from "../Memory/AdviseRegion.ts"
import { PIDFD_THREAD, PidFd } from "../Task/PidFd.ts"
import { mayInspect } from "../Task/ProcSubject.ts"
import { TaskDirectory } from "../Task/ProcTask.ts"
import { type Result, address, declare, fd, flags, oneOf, pid, signal, size, struct, uint } from "../Task/Syscall.ts"
import { findGroup, findTask, idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { sendToGroup, sendToTask } from "../Task/TaskSignals.ts"
import { ThreadGroup } from "../Task/ThreadGroup.ts"
import { hasCapability, hasCapabilityIn } from "../Vfs/Credentials.ts"
import { killMany, mayKill, readInfo, sent, toldTo, userInfo } from "./SysSignal.ts"
import { installFile } from "./SysPipe.ts"
import { userVector } from "./UserVector.ts"

/** A new descriptor for `group`; always close-on-exec. */
export const openPidFd = (task: Task, subject: ThreadGroup | Task, statusFlags: number): number =>
  installFile(
    task,
    new PidFd(subject, task.system.anonymous.attributes("anon_inode", task.credentials), statusFlags),
    true
  )

const PIDFD_NAMES = [
  ["PIDFD_NONBLOCK", O_NONBLOCK],
  ["PIDFD_THREAD", PIDFD_THREAD]
] as const

const pidfd_open = (task: Task, id: number, flagBits: number): Result => {
  if ((flagBits & ~(O_NONBLOCK | PIDFD_THREAD)) !== 0 || id <= 0) return -EINVAL
  if ((flagBits & PIDFD_THREAD) !== 0) {
    const thread = findTask(task, id)
    return thread === undefined ? -ESRCH : openPidFd(task, thread, flagBits)
  }
  const group = findGroup(task, id)
  if (group === undefined) return findTask(task, id) !== undefined ? -EINVAL : -ESRCH // a thread that leads no group
  return openPidFd(task, group, flagBits)
}

/** The process that a descriptor refers to, or the thread: one of pidfd_open(2), or of the directory /proc/[pid]. */
const subjectOf = (task: Task, descriptor: number): ThreadGroup | Task | undefined => {
  const file = task.fds.get(descriptor)
  if (file instanceof PidFd) return file.thread ?? file.group
  const inode = file?.location()?.dentry.inode
  return inode instanceof TaskDirectory ? inode.process : undefined
}

/** Flags of pidfd_send_signal(2): whom the signal is for, whatever the descriptor says. */
const PIDFD_SIGNAL_THREAD = 1
const PIDFD_SIGNAL_THREAD_GROUP = 2
const PIDFD_SIGNAL_PROCESS_GROUP = 4
const SIGNAL_NAMES = Object.entries({
  PIDFD_SIGNAL_THREAD,
  PIDFD_SIGNAL_THREAD_GROUP,
  PIDFD_SIGNAL_PROCESS_GROUP
})

const pidfd_send_signal = (task: Task, descriptor: number, signo: number, info: number, scope: number): Result => {
  if (scope > PIDFD_SIGNAL_PROCESS_GROUP || (scope & (scope - 1)) !== 0) return -EINVAL
  const subject = subjectOf(task, descriptor)
  if (subject === undefined) return -EBADF
  const [group, thread] = subject instanceof ThreadGroup ? [subject, subject.leader] : [subject.threadGroup, subject]
  if (!task.threadGroup.pidNamespace.contains(group.pidNamespace)) return -EINVAL
  const id = subject instanceof ThreadGroup ? subject.tgid : subject.tid
  const given = pidFdInfo(task, scope === PIDFD_SIGNAL_PROCESS_GROUP ? 0 : idFor(task, id), signo, info)
  if (typeof given === "number") return given
  if (scope === PIDFD_SIGNAL_PROCESS_GROUP) {
    const members = task.system.taskSet.processGroups.get(id)?.newestFirst ?? []
    return sent(task.threadGroup, killMany(task, members, signo, given))
  }
  if (signo < 0 || signo > NSIG) return -EINVAL
  if (group.state === "Dead") return -ESRCH
  const toThread = scope === PIDFD_SIGNAL_THREAD || (scope === 0 && group !== subject)
  if (toThread && group !== subject && !group.tasks.has(subject as Task)) return -ESRCH
  if (!mayKill(task, group, signo)) return -EPERM
  if (signo === 0) return 0
  const told = given === undefined ? userInfo(task, group, signo, SI_USER) : toldTo(task, group, given)
  if (!toThread) sendToGroup(group, told)
  else if (thread !== undefined) sendToTask(thread, told)
  return sent(group, 0)
}

/** What the caller wants to go with the signal, if anything; `id` is whom it is for. */
const pidFdInfo = (task: Task, id: number, signo: number, at: number): SigInfo | undefined | number => {
  if (at === 0) return undefined
  const given = task.memory.readU32(at)
  if (given < 0) return -EFAULT
  return given === signo ? readInfo(task, id, signo, at) : -EINVAL
}

const pidfd_getfd = (task: Task, descriptor: number, target: number, flagBits: number): Result => {
  if (flagBits !== 0) return -EINVAL
  const file = task.fds.get(descriptor)
  if (!(file instanceof PidFd)) return -EBADF
  const other = file.thread ?? file.group.leader
  if (file.group.state !== "Alive" || other === undefined) return -ESRCH
  const { credentials } = task
  const theirs = other.credentials
  const same = credentials.ruid === theirs.ruid && credentials.ruid === theirs.euid && credentials.ruid === theirs.suid
  if (!same && !hasCapabilityIn(credentials, theirs.userNamespace, CAP_SYS_PTRACE)) return -EPERM
  const found = other.fds.get(target)
  return found === undefined ? -EBADF : installFile(task, found.retain(), true)
}

// ---- the memory of a process

/** Advice that one process may give about the memory of another: it changes nothing that the other could notice. */
const REMOTE_ADVICE: ReadonlySet<number> = new Set([MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, MADV_COLLAPSE])

/** process_madvise(2): how many bytes were advised on. Errors: EBADF, ESRCH, EACCES, EPERM, EINVAL, EFAULT, ENOMEM. */
const process_madvise = (
  task: Task,
  descriptor: number,
  iov: number,
  count: number,
  advice: number,
  flagBits: number
): Result => {
  if (flagBits !== 0) return -EINVAL
  const vector = userVector(task.memory, iov, count)
  if (typeof vector === "number") return vector
  const file = task.fds.get(descriptor)
  if (!(file instanceof PidFd)) return -EBADF
  const other = file.thread ?? file.group.leader
  if (file.group.state !== "Alive" || other === undefined) return -ESRCH
  if (!mayInspect(task, other)) return -EACCES
  const { memoryManager } = other
  if (memoryManager !== task.memoryManager) {
    if (!REMOTE_ADVICE.has(advice)) return -EINVAL
    if (!hasCapability(task.credentials, CAP_SYS_NICE)) return -EPERM
  }
  const ranges = vector.segments
  const from = (index: number, done: number): Result => {
    const range = ranges[index]
    if (range === undefined) return done
    const after = (result: number): Result => (result < 0 ? done || result : from(index + 1, done + range.length))
    const result = advise(memoryManager, range.address, range.length, advice)
    if (typeof result === "number") return after(result)
    return Effect.flatMap(result, (value) => {
      const rest = after(value)
      return typeof rest === "number" ? Effect.succeed(rest) : rest
    })
  }
  return from(0, 0)
}

/** process_mrelease(2): a killed process gives its memory back by itself here, in no time. */
const process_mrelease = (task: Task, descriptor: number, flagBits: number): number => {
  if (flagBits !== 0) return -EINVAL
  const file = task.fds.get(descriptor)
  if (!(file instanceof PidFd)) return -EBADF
  const { exitStatus, state } = file.group
  if (state !== "Alive") return -ESRCH
  return exitStatus === undefined ? -EINVAL : 0
}

export const sysPidFd = [
  declare("pidfd_open", [pid("pid"), flags("flags", PIDFD_NAMES, "0")], pidfd_open),
  declare(
    "pidfd_send_signal",
    [fd("pidfd"), signal("sig"), struct("info", "siginfo", "in"), flags("flags", SIGNAL_NAMES, "0")],
    pidfd_send_signal
  ),
  declare("pidfd_getfd", [fd("pidfd"), fd("targetfd"), uint("flags")], pidfd_getfd),
  declare(
    "process_madvise",
    [fd("pidfd"), address("iovec"), size("vlen"), oneOf("advice", MADV_NAMES), uint("flags")],
    process_madvise,
    { partial: "hints on readahead, reclaim and merging have no effect" }
  ),
  declare("process_mrelease", [fd("pidfd"), uint("flags")], process_mrelease)
]
