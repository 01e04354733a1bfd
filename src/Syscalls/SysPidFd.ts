/**
 * Processes as files: pidfd_open(2) and its calls.
 */
import { EBADF, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { O_NONBLOCK } from "../Abi/OpenFlags.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { NSIG, SI_USER } from "../Abi/Signal.ts"
import { CAP_SYS_PTRACE } from "../Abi/Capability.ts"
import { PidFd } from "../Task/PidFd.ts"
import { TaskDirectory } from "../Task/ProcTask.ts"
import { type Result, declare, fd, flags, pid, signal, struct, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { sendToGroup } from "../Task/TaskSignals.ts"
import type { ThreadGroup } from "../Task/ThreadGroup.ts"
import { hasCapabilityIn } from "../Vfs/Credentials.ts"
import { mayKill, readInfo, toldTo, userInfo } from "./SysSignal.ts"
import { installFile } from "./SysPipe.ts"

/** A new descriptor for `group`; always close-on-exec. */
export const openPidFd = (task: Task, group: ThreadGroup, statusFlags: number): number =>
  installFile(
    task,
    new PidFd(group, task.system.anonymous.attributes("anon_inode", task.credentials), statusFlags),
    true
  )

const PIDFD_NAMES = [["PIDFD_NONBLOCK", O_NONBLOCK]] as const

const pidfd_open = (task: Task, id: number, flagBits: number): Result => {
  if ((flagBits & ~O_NONBLOCK) !== 0 || id <= 0) return -EINVAL
  const { groups, tasks } = task.system.taskSet
  const group = groups.get(id)
  if (group === undefined) return tasks.has(id) ? -EINVAL : -ESRCH // a thread that leads no group
  return openPidFd(task, group, flagBits)
}

/** The process that a descriptor refers to: one of pidfd_open(2), or of the directory /proc/[pid]. */
const processOf = (task: Task, descriptor: number): ThreadGroup | undefined => {
  const file = task.fds.get(descriptor)
  if (file instanceof PidFd) return file.group
  const inode = file?.location()?.dentry.inode
  return inode instanceof TaskDirectory ? inode.process : undefined
}

const pidfd_send_signal = (task: Task, descriptor: number, signo: number, info: number, flagBits: number): Result => {
  if (flagBits !== 0) return -EINVAL
  const group = processOf(task, descriptor)
  if (group === undefined) return -EBADF
  const given: SigInfo | number =
    info === 0 ? userInfo(task, group, signo, SI_USER) : readInfo(task, group.tgid, signo, info)
  if (typeof given === "number") return given
  if (signo < 0 || signo > NSIG) return -EINVAL
  if (group.state === "Dead") return -ESRCH
  if (!mayKill(task, group, signo)) return -EPERM
  if (signo !== 0) sendToGroup(group, info === 0 ? given : toldTo(task, group, given))
  return 0
}

const pidfd_getfd = (task: Task, descriptor: number, target: number, flagBits: number): Result => {
  if (flagBits !== 0) return -EINVAL
  const file = task.fds.get(descriptor)
  if (!(file instanceof PidFd)) return -EBADF
  const other = file.group.leader
  if (file.group.state !== "Alive" || other === undefined) return -ESRCH
  const { credentials } = task
  const theirs = other.credentials
  const same = credentials.ruid === theirs.ruid && credentials.ruid === theirs.euid && credentials.ruid === theirs.suid
  if (!same && !hasCapabilityIn(credentials, theirs.userNamespace, CAP_SYS_PTRACE)) return -EPERM
  const found = other.fds.get(target)
  return found === undefined ? -EBADF : installFile(task, found.retain(), true)
}

export const sysPidFd = [
  declare("pidfd_open", [pid("pid"), flags("flags", PIDFD_NAMES, "0")], pidfd_open),
  declare(
    "pidfd_send_signal",
    [fd("pidfd"), signal("sig"), struct("info", "siginfo", "in"), uint("flags")],
    pidfd_send_signal
  ),
  declare("pidfd_getfd", [fd("pidfd"), fd("targetfd"), uint("flags")], pidfd_getfd)
]
