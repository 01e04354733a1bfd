/**
 * Leaving and entering namespaces: unshare(2), setns(2), and the requests on their files, ioctl_nsfs(2).
 */
import * as Clone from "../Abi/Clone.ts"
import { CAP_SYS_ADMIN, CAP_SYS_CHROOT } from "../Abi/Capability.ts"
import { EBADF, EINVAL, EPERM, ESRCH, EUSERS } from "../Abi/Errno.ts"
import { IpcNamespace } from "../Ipc/IpcNamespace.ts"
import { CgroupNamespace } from "../Task/CgroupNamespace.ts"
import { NamespaceDescription } from "../Task/NamespaceFiles.ts"
import { type Namespaces, copyFileContext, copyNamespaces, followTime } from "../Task/Namespaces.ts"
import { NetNamespace } from "../Task/NetNamespace.ts"
import { PidFd } from "../Task/PidFd.ts"
import { PidNamespace } from "../Task/PidNamespace.ts"
import { hasEnded, mayInspectReally } from "../Task/ProcSubject.ts"
import { type Result, declare, fd, flags, longFlags } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { TimeNamespace } from "../Task/TimeNamespace.ts"
import { credentialsIn, credentialsInNew } from "../Task/UserNamespaces.ts"
import { UtsNamespace } from "../Task/UtsNamespace.ts"
import { type Credentials, hasCapabilityIn, hasOwnCapability } from "../Vfs/Credentials.ts"
import { MountNamespace } from "../Vfs/MountNamespace.ts"
import type { Namespace, NamespaceKind } from "../Vfs/Namespace.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { UserNamespace, firstUserNamespace } from "../Vfs/UserNamespace.ts"
import { installFile } from "./SysPipe.ts"

const {
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VM
} = Clone

const FLAGS: Readonly<Record<NamespaceKind, number>> = {
  cgroup: CLONE_NEWCGROUP,
  ipc: CLONE_NEWIPC,
  mnt: CLONE_NEWNS,
  net: CLONE_NEWNET,
  pid: CLONE_NEWPID,
  time: CLONE_NEWTIME,
  user: CLONE_NEWUSER,
  uts: CLONE_NEWUTS
}

// ---------------------------------------------------------------------------------------------------------------------
// unshare(2)
// ---------------------------------------------------------------------------------------------------------------------

const ALL_KINDS = Object.values(FLAGS).reduce((all, flag) => all | flag, 0)
const UNSHARABLE = ALL_KINDS | CLONE_THREAD | CLONE_FS | CLONE_SIGHAND | CLONE_VM | CLONE_FILES | CLONE_SYSVSEM

/** What asking for one thing asks for besides. */
const IMPLIED: ReadonlyArray<readonly [flag: number, also: number]> = [
  [CLONE_NEWUSER, CLONE_THREAD | CLONE_FS],
  [CLONE_VM, CLONE_SIGHAND],
  [CLONE_SIGHAND, CLONE_THREAD],
  [CLONE_NEWNS, CLONE_FS]
]

/** Whether another process has the same signal actions (CLONE_SIGHAND). */
const sharesHandlers = ({ system, threadGroup }: Task): boolean => {
  for (const other of system.taskSet.groups.values())
    if (other !== threadGroup && other.handlers === threadGroup.handlers && other.tasks.size > 0) return true
  return false
}

const unshare = (task: Task, requested: number): Result => {
  let wanted = requested
  for (const [flag, also] of IMPLIED) if ((wanted & flag) !== 0) wanted |= also
  if ((wanted & ~UNSHARABLE) !== 0) return -EINVAL
  // nothing that threads share can be unshared but by ending them: it must be unshared already
  if ((wanted & CLONE_THREAD) !== 0 && task.threadGroup.tasks.size > 1) return -EINVAL
  if ((wanted & CLONE_SIGHAND) !== 0 && sharesHandlers(task)) return -EINVAL
  if ((wanted & CLONE_VM) !== 0 && task.memoryManager.users > 1) return -EINVAL
  const credentials = (wanted & CLONE_NEWUSER) === 0 ? task.credentials : credentialsInNew(task)
  if (typeof credentials === "number") return credentials
  const namespaces = copyNamespaces(task, wanted, credentials)
  if (typeof namespaces === "number") return namespaces
  if ((wanted & CLONE_NEWNS) !== 0 || ((wanted & CLONE_FS) !== 0 && task.fs.shared)) {
    const copy = copyFileContext(task.system, task.fs, wanted, credentials)
    if (typeof copy === "number") return copy
    task.fs.leave()
    task.fs = copy
  }
  if ((wanted & CLONE_FILES) !== 0 && task.fds.shared) {
    const copy = task.fds.copy()
    task.fds.leave()
    task.fds = copy
  }
  // what operations undo belongs to an IPC namespace
  if ((wanted & (CLONE_SYSVSEM | CLONE_NEWIPC)) !== 0 && task.semaphoreUndo !== undefined) {
    task.semaphoreUndo.leave(task.threadGroup.tgid)
    task.semaphoreUndo = undefined
  }
  task.credentials = credentials
  task.namespaces = namespaces
  return 0
}

// ---------------------------------------------------------------------------------------------------------------------
// setns(2)
// ---------------------------------------------------------------------------------------------------------------------

/** What a task becomes when all namespaces have let it in. */
interface Entry {
  readonly credentials: Credentials
  readonly namespaces: Namespaces
  readonly mounts: MountNamespace
}

/** One namespace more, or -errno. */
const enter = (task: Task, entry: Entry, namespace: Namespace): Entry | number => {
  if (namespace instanceof UserNamespace) return enterUser(task, entry, namespace)
  const { credentials, namespaces } = entry
  if (namespace instanceof TimeNamespace && task.threadGroup.tasks.size > 1) return -EUSERS
  const owner = namespace.owner ?? firstUserNamespace
  const isPermitted =
    hasCapabilityIn(task.credentials, owner, CAP_SYS_ADMIN) &&
    hasCapabilityIn(task.credentials, credentials.userNamespace, CAP_SYS_ADMIN)
  if (!isPermitted) return -EPERM
  if (namespace instanceof UtsNamespace) return { ...entry, namespaces: { ...namespaces, uts: namespace } }
  if (namespace instanceof IpcNamespace) return { ...entry, namespaces: { ...namespaces, ipc: namespace } }
  if (namespace instanceof NetNamespace) return { ...entry, namespaces: { ...namespaces, net: namespace } }
  if (namespace instanceof CgroupNamespace) return { ...entry, namespaces: { ...namespaces, cgroup: namespace } }
  if (namespace instanceof TimeNamespace) {
    const entered = { ...namespaces, time: namespace.enter(), timeForChildren: namespace }
    return { ...entry, namespaces: entered }
  }
  if (namespace instanceof PidNamespace) {
    // never up: one's children are not to be seen by whom one can't see
    if (!task.threadGroup.pidNamespace.contains(namespace)) return -EINVAL
    return { ...entry, namespaces: { ...namespaces, pidForChildren: namespace } }
  }
  if (namespace instanceof MountNamespace) {
    if (!hasOwnCapability(credentials, CAP_SYS_CHROOT)) return -EPERM
    return task.fs.shared ? -EINVAL : { ...entry, mounts: namespace }
  }
  return -EINVAL
}

/** A user namespace: not one's own, through which capabilities could be gained, nor one that threads would not share. */
const enterUser = (task: Task, entry: Entry, namespace: UserNamespace): Entry | number => {
  if (namespace === task.credentials.userNamespace) return -EINVAL
  if (task.threadGroup.tasks.size > 1 || task.fs.shared) return -EINVAL
  if (!hasCapabilityIn(task.credentials, namespace, CAP_SYS_ADMIN)) return -EPERM
  return { ...entry, credentials: credentialsIn(entry.credentials, namespace) }
}

/** The namespaces of the kinds in `wanted` that the process of a pidfd lives in; -errno. */
const namespacesOfProcess = (task: Task, { group }: PidFd, wanted: number): ReadonlyArray<Namespace> | number => {
  const target = group.leader
  if (group.state === "Dead" || target === undefined) return -ESRCH
  if (!mayInspectReally(task, target)) return -EPERM
  if (hasEnded(target)) return -ESRCH
  const { cgroup, ipc, net, time, uts } = target.namespaces
  const all: ReadonlyArray<Namespace> = [
    target.credentials.userNamespace,
    target.fs.namespace,
    uts,
    ipc,
    group.pidNamespace,
    cgroup,
    net,
    time
  ]
  return all.filter(({ kind }) => (wanted & FLAGS[kind]) !== 0)
}

const setns = (task: Task, descriptor: number, type: number): Result => {
  const file = task.fds.get(descriptor)
  if (file === undefined) return -EBADF
  let targets: ReadonlyArray<Namespace> | number
  if (file instanceof NamespaceDescription) {
    if (type !== 0 && type !== FLAGS[file.namespace.kind]) return -EINVAL
    targets = [file.namespace]
  } else if (file instanceof PidFd) {
    if (type === 0 || (type & ~ALL_KINDS) !== 0) return -EINVAL
    targets = namespacesOfProcess(task, file, type)
  } else return -EINVAL
  if (typeof targets === "number") return targets
  let entry: Entry = { credentials: task.credentials, namespaces: task.namespaces, mounts: task.fs.namespace }
  for (const target of targets) {
    const next = enter(task, entry, target)
    if (typeof next === "number") return next
    entry = next
  }
  if (entry.namespaces.ipc !== task.namespaces.ipc && task.semaphoreUndo !== undefined) {
    task.semaphoreUndo.leave(task.threadGroup.tgid)
    task.semaphoreUndo = undefined
  }
  // also into the one it is in: root and working directory become that one's root
  const { mounts } = entry
  if (targets.includes(mounts)) task.fs.enter(mounts, mounts.top, mounts.top)
  task.credentials = entry.credentials
  task.namespaces = entry.namespaces
  return targets.some((target) => target instanceof TimeNamespace) ? followTime(task) : 0
}

// ---------------------------------------------------------------------------------------------------------------------
// ioctl_nsfs(2)
// ---------------------------------------------------------------------------------------------------------------------

const NS_GET_USERNS = 0xb701
const NS_GET_PARENT = 0xb702
const NS_GET_NSTYPE = 0xb703
const NS_GET_OWNER_UID = 0xb704

/** `namespace` if it is `own` or below it, so that the caller may know of it; else -EPERM. */
const visibleFrom = (namespace: UserNamespace | undefined, own: UserNamespace): UserNamespace | number =>
  namespace !== undefined && own.contains(namespace) ? namespace : -EPERM

/** The namespace that `namespace` is nested in. */
const parentOf = (task: Task, namespace: Namespace): Namespace | number => {
  if (namespace instanceof UserNamespace) return visibleFrom(namespace.parent, task.credentials.userNamespace)
  if (!(namespace instanceof PidNamespace)) return -EINVAL
  const { parent } = namespace
  return parent !== undefined && task.threadGroup.pidNamespace.contains(parent) ? parent : -EPERM
}

/** What an ioctl(2) means for the file of a namespace; undefined if nothing. */
export const namespaceRequest = (
  task: Task,
  file: OpenFileDescription,
  request: number,
  argument: number
): number | undefined => {
  if (!(file instanceof NamespaceDescription)) return undefined
  const { namespace } = file
  const own = task.credentials.userNamespace
  switch (request) {
    case NS_GET_USERNS:
      return openNamespace(task, visibleFrom(namespace.owner, own))
    case NS_GET_PARENT:
      return openNamespace(task, parentOf(task, namespace))
    case NS_GET_NSTYPE:
      return FLAGS[namespace.kind]
    case NS_GET_OWNER_UID:
      if (!(namespace instanceof UserNamespace)) return -EINVAL
      return task.memory.writeU32(argument, own.userTo(namespace.uid))
    default:
      return undefined
  }
}

const openNamespace = (task: Task, namespace: Namespace | number): number => {
  if (typeof namespace === "number") return namespace
  const location = task.system.namespaceFiles.place(namespace)
  const file = location.dentry.inode!.open({ flags: 0, location, caller: task, created: false })
  return typeof file === "number" ? file : installFile(task, file, true)
}

const UNSHARE_NAMES = Clone.CLONE3_NAMES.filter(([, flag]) => (flag & UNSHARABLE) !== 0)
const SETNS_NAMES = Clone.CLONE3_NAMES.filter(([, flag]) => (flag & ALL_KINDS) !== 0)

export const sysNamespace = [
  declare("unshare", [longFlags("flags", UNSHARE_NAMES, "0")], unshare),
  declare("setns", [fd("fd"), flags("nstype", SETNS_NAMES, "0")], setns)
]
