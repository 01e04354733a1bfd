/**
 * The namespaces that a task lives in: Linux's nsproxy. The user namespace is part of its credentials; the PID namespace
 * of a task is where its id was given out and never changes; the mount namespace is part of its file context.
 */
import * as Effect from "effect/Effect"
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWTIME,
  CLONE_NEWUTS
} from "../Abi/Clone.ts"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EINVAL, ENOSPC, EPERM } from "../Abi/Errno.ts"
import type { IpcBudget } from "../Ipc/IpcBudget.ts"
import { IpcNamespace } from "../Ipc/IpcNamespace.ts"
import type { Actor } from "../Ipc/SharedMemory.ts"
import type { Timekeeper } from "../Time/Timekeeper.ts"
import { type Credentials, hasCapabilityIn } from "../Vfs/Credentials.ts"
import type { FsContext } from "../Vfs/FsContext.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { FIRST_NAMESPACE_INO, type NamespaceIdentity, type NamespaceKind } from "../Vfs/Namespace.ts"
import { firstUserNamespace } from "../Vfs/UserNamespace.ts"
import { CgroupNamespace } from "./CgroupNamespace.ts"
import { NetNamespace } from "./NetNamespace.ts"
import { PidNamespace } from "./PidNamespace.ts"
import type { System } from "./System.ts"
import type { Task } from "./Task.ts"
import { TimeNamespace, noOffsets } from "./TimeNamespace.ts"
import { UtsNamespace } from "./UtsNamespace.ts"

/** Immutable: unshare(2) and setns(2) give a task another value. */
export interface Namespaces {
  readonly uts: UtsNamespace
  readonly ipc: IpcNamespace
  /** In which children get their ids. */
  readonly pidForChildren: PidNamespace
  readonly net: NetNamespace
  readonly cgroup: CgroupNamespace
  readonly time: TimeNamespace
  /** The one that children enter, and execve(2). */
  readonly timeForChildren: TimeNamespace
}

/** Those that a sandbox begins with. */
export const firstNamespaces = (options: {
  readonly hostname: string
  readonly timekeeper: Timekeeper
  readonly actor: Actor
  readonly ipcBudget: IpcBudget
}): Namespaces => {
  const identity = (kind: NamespaceKind): NamespaceIdentity => ({
    ino: FIRST_NAMESPACE_INO[kind],
    owner: firstUserNamespace
  })
  const time = new TimeNamespace(identity("time"), noOffsets).enter()
  return {
    cgroup: new CgroupNamespace(identity("cgroup")),
    time,
    timeForChildren: time,
    uts: new UtsNamespace(identity("uts"), { hostname: options.hostname, domainname: "(none)" }),
    ipc: new IpcNamespace(identity("ipc"), options.timekeeper, options.actor, options.ipcBudget),
    pidForChildren: new PidNamespace(identity("pid"), undefined),
    net: new NetNamespace(identity("net"))
  }
}

/** Those of the task that acts as `caller`. */
export const namespacesOf = ({ namespaces, taskSet }: System, { tid }: Caller): Namespaces =>
  taskSet.tasks.get(tid)?.namespaces ?? namespaces

/** Flags of clone(2) and unshare(2) that ask for a new namespace of those in `Namespaces`. */
const KINDS = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME

/** "The kernel limits the maximum nesting depth for PID namespaces to 32." */
const MAX_LEVEL = 31

/**
 * The namespaces of a child, or of who calls unshare(2): the task's, but new ones of the kinds in `flags`, which belong to
 * the user namespace of `credentials`. -errno.
 */
export const copyNamespaces = (
  { namespaces: old, system, threadGroup }: Task,
  flags: number,
  credentials: Credentials
): Namespaces | number => {
  if ((flags & KINDS) === 0) return old
  const owner = credentials.userNamespace
  if (!hasCapabilityIn(credentials, owner, CAP_SYS_ADMIN)) return -EPERM
  const identity = (): NamespaceIdentity => ({ ino: system.namespaceNumbers.next(), owner })
  let { pidForChildren } = old
  if ((flags & CLONE_NEWPID) !== 0) {
    // one that was made and is waiting for its first process can't be nested in
    if (pidForChildren !== threadGroup.pidNamespace || !pidForChildren.owner.contains(owner)) return -EINVAL
    if (pidForChildren.level > MAX_LEVEL) return -ENOSPC
    pidForChildren = new PidNamespace(identity(), pidForChildren)
  }
  return {
    ...old,
    pidForChildren,
    uts: (flags & CLONE_NEWUTS) === 0 ? old.uts : new UtsNamespace(identity(), old.uts),
    ipc:
      (flags & CLONE_NEWIPC) === 0
        ? old.ipc
        : new IpcNamespace(identity(), system.timekeeper, system.actor, system.ipcBudget),
    net: (flags & CLONE_NEWNET) === 0 ? old.net : new NetNamespace(identity()),
    cgroup: (flags & CLONE_NEWCGROUP) === 0 ? old.cgroup : new CgroupNamespace(identity()),
    timeForChildren:
      (flags & CLONE_NEWTIME) === 0 ? old.timeForChildren : new TimeNamespace(identity(), old.timeForChildren.offsets)
  }
}

/**
 * The file context of a child, or of who calls unshare(2), that shares it with nobody: a copy of `fs`, with CLONE_NEWNS in
 * `flags` in a new mount namespace that belongs to the user namespace of `credentials`. -ENOSPC.
 */
export const copyFileContext = (
  { namespaceNumbers, vfs }: System,
  fs: FsContext,
  flags: number,
  credentials: Credentials
): FsContext | number => {
  if ((flags & CLONE_NEWNS) === 0) return fs.copy()
  const made = vfs.newNamespace({ ino: namespaceNumbers.next(), owner: credentials.userNamespace })
  const copies = vfs.tree.copyNamespace(fs.namespace, made)
  return typeof copies === "number" ? copies : fs.copyInto(made, copies)
}

/** `namespaces` in the time namespace that was made for children. */
export const enterTime = (namespaces: Namespaces): Namespaces =>
  namespaces.time === namespaces.timeForChildren
    ? namespaces
    : { ...namespaces, time: namespaces.timeForChildren.enter() }

/** Has the vdso of `task` tell the time of the namespace that it is in now. */
export const followTime = ({ memoryManager, namespaces, system }: Task): Effect.Effect<number> =>
  system.vdso?.tell(memoryManager, namespaces.time.isPlain) ?? Effect.succeed(0)
