/**
 * clone(2): a new thread, or a new process.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EBADF, EINVAL, EPERM, ERESTARTNOINTR } from "../Abi/Errno.ts"
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_DETACHED,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWIPC,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_SYSVSEM,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM
} from "../Abi/Clone.ts"
import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { hasCapabilityIn } from "../Vfs/Credentials.ts"
import { Reg } from "../Abi/Registers.ts"
import { SemaphoreUndo } from "../Ipc/Semaphores.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import type { PlatformContext, PlatformFailed } from "../Platform/Platform.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { noSignalStack } from "../Signals/SignalStack.ts"
import { watchCpuLimit } from "./CpuLimit.ts"
import { orRefused } from "./HostRefusal.ts"
import { copyFileContext, copyNamespaces, enterTime, followTime } from "./Namespaces.ts"
import { idFor } from "./PidLookup.ts"
import { PID_MAX, type PidNamespace } from "./PidNamespace.ts"
import { inheritScheduling } from "./Scheduling.ts"
import { Task } from "./Task.ts"
import { inheritSeccomp } from "./TaskSeccomp.ts"
import { hasDeliverableSignal } from "./TaskSignals.ts"
import { noteClone, traceChild } from "./TaskTrace.ts"
import { ThreadGroup } from "./ThreadGroup.ts"
import { credentialsInNew } from "./UserNamespaces.ts"
import { refusesProcess } from "./UserLimits.ts"

/** What clone(2), fork(2), vfork(2) and clone3(2) come down to. */
export interface CloneRequest {
  /** CLONE_* bits, without the exit signal. */
  readonly flags: number
  readonly exitSignal: number
  /** The child's stack pointer; 0: the parent's. */
  readonly stackPointer: number
  readonly tls: bigint
  readonly parentTid: number
  readonly childTid: number
  /** Makes the descriptor of CLONE_PIDFD; what it returns goes to `pidFdAddress`. */
  readonly openPidFd: ((child: ThreadGroup) => number) | undefined
  readonly pidFdAddress: number
  /** No signal has a handler in the child: CLONE_CLEAR_SIGHAND. */
  readonly clearHandlers: boolean
  /** CLONE_INTO_CGROUP. */
  readonly intoCgroup: boolean
  /** Its ids, in its own PID namespace and those above it, as far as they are asked for: clone3(2)'s set_tid. */
  readonly wantedIds: ReadonlyArray<number>
}

/** As whom the child runs, and where. */
type Standing = Pick<Task, "credentials" | "namespaces">

/** 0, or -errno for what clone(2) refuses. */
const validate = ({ namespaces, threadGroup }: Task, { flags, intoCgroup }: CloneRequest): number => {
  if ((flags & CLONE_FS) !== 0 && (flags & (CLONE_NEWNS | CLONE_NEWUSER)) !== 0) return -EINVAL
  if ((flags & CLONE_THREAD) !== 0 && (flags & CLONE_SIGHAND) === 0) return -EINVAL
  if ((flags & CLONE_SIGHAND) !== 0 && (flags & CLONE_VM) === 0) return -EINVAL
  // its sibling would be nobody's to reap
  if ((flags & CLONE_PARENT) !== 0 && threadGroup.shielded) return -EINVAL
  if ((flags & CLONE_THREAD) !== 0 && namespaces.pidForChildren !== threadGroup.pidNamespace) return -EINVAL
  if ((flags & CLONE_PIDFD) !== 0 && (flags & (CLONE_THREAD | CLONE_DETACHED)) !== 0) return -EINVAL
  if ((flags & CLONE_THREAD) !== 0 && (flags & (CLONE_NEWUSER | CLONE_NEWPID)) !== 0) return -EINVAL
  // there is no cgroup filesystem from which the descriptor could come
  return intoCgroup ? -EBADF : 0
}

/** Makes the child: its tid, or -errno. The parent of a CLONE_VFORK is stopped afterwards until the child is done. */
export const clone = Effect.fnUntraced(function* (
  parent: Task,
  request: CloneRequest
): Effect.fn.Return<number, PlatformFailed> {
  const invalid = validate(parent, request)
  if (invalid < 0) return invalid
  const { flags } = request
  const credentials = (flags & CLONE_NEWUSER) === 0 ? parent.credentials : credentialsInNew(parent)
  if (typeof credentials === "number") return credentials
  if (refusesProcess(parent)) return -EAGAIN
  const copied = copyNamespaces(parent, flags, credentials)
  if (typeof copied === "number") return copied
  // who shares the memory shares what the vdso tells
  const namespaces = (flags & CLONE_VM) !== 0 ? copied : enterTime(copied)
  // what operations undo belongs to an IPC namespace
  if ((flags & CLONE_NEWIPC) !== 0 && (flags & CLONE_SYSVSEM) !== 0) return -EINVAL
  // as Linux does: a signal that came before the child exists must not be delivered to both
  if (hasDeliverableSignal(parent)) return -ERESTARTNOINTR
  const { taskSet } = parent.system
  const memory = yield* (flags & CLONE_VM) !== 0 ? shareMemory(parent) : copyMemory(parent)
  if (typeof memory === "number") return memory
  const { context, memoryManager } = memory
  const child = yield* Mutex.sectionAll([taskSet.mutex, parent.threadGroup.handlers.mutex], () => {
    // one that came meanwhile, for the whole process group: it must find the child there, or no child yet; and whoever ends
    // the process must not miss a thread
    if (parent.killed || hasDeliverableSignal(parent)) return -ERESTARTNOINTR
    const refused = refusesIds(parent, namespaces.pidForChildren, request.wantedIds)
    if (refused < 0) return refused
    const tid = taskSet.allocateId(namespaces.pidForChildren, request.wantedIds)
    return tid < 0 ? tid : makeTask(parent, request, tid, memory, { credentials, namespaces })
  })
  if (typeof child === "number") {
    memoryManager.leave()
    yield* context.release
    return child
  }
  if (namespaces.time !== parent.namespaces.time) yield* followTime(child)
  prepareChild(parent, child, request)
  const exitSignal = (flags & CLONE_THREAD) !== 0 ? 0 : request.exitSignal // a thread's end is nobody's SIGCHLD
  traceChild(parent, child, flags, exitSignal)
  if (request.openPidFd !== undefined) {
    const descriptor = request.openPidFd(child.threadGroup)
    if (descriptor >= 0) parent.memory.writeU32(request.pidFdAddress, descriptor)
  }
  if ((flags & CLONE_PARENT_SETTID) !== 0) parent.memory.writeU32(request.parentTid, idFor(parent, child.tid))
  if ((flags & CLONE_VFORK) !== 0) child.vforkParent = parent
  noteClone(parent, child.tid, flags, exitSignal)
  parent.system.startTask(child)
  return idFor(parent, child.tid)
})

/** 0, or why ids can't be chosen so: -EINVAL, -EPERM. */
const refusesIds = (parent: Task, innermost: PidNamespace, wanted: ReadonlyArray<number>): number => {
  if (wanted.length > innermost.level + 1) return -EINVAL
  let namespace: PidNamespace | undefined = innermost
  for (const id of wanted) {
    if (namespace === undefined || id < 1 || id >= PID_MAX) return -EINVAL
    // the first process of a namespace is its init
    if (id !== 1 && namespace.parent !== undefined && namespace.init === undefined && !namespace.closed) return -EINVAL
    const isPermitted =
      hasCapabilityIn(parent.credentials, namespace.owner, CAP_CHECKPOINT_RESTORE) ||
      hasCapabilityIn(parent.credentials, namespace.owner, CAP_SYS_ADMIN)
    if (!isPermitted) return -EPERM
    namespace = namespace.parent
  }
  return 0
}

interface ChildMemory {
  readonly context: PlatformContext
  readonly memoryManager: MemoryManager
}

const shareMemory = (parent: Task): Effect.Effect<ChildMemory | number> =>
  orRefused(
    Effect.map(parent.context.clone("share"), (context) => ({ context, memoryManager: parent.memoryManager.share() }))
  )

/** The host's copy and the list's are made in one step: a sibling's mmap must not come between. */
const copyMemory = (parent: Task): Effect.Effect<ChildMemory | number> =>
  parent.memoryManager.exclusive(
    orRefused(
      Effect.map(parent.context.clone("copy"), (context) => ({
        context,
        memoryManager: parent.system.actor.actingFor(parent.threadGroup.tgid, () =>
          parent.memoryManager.fork(context.addressSpace)
        )
      }))
    )
  )

/** Guarded by: TaskSet mutex, signal mutex. */
const makeTask = (
  parent: Task,
  request: CloneRequest,
  tid: number,
  { context, memoryManager }: ChildMemory,
  { credentials, namespaces }: Standing
): Task | number => {
  const { flags } = request
  const { system } = parent
  const fs = (flags & CLONE_FS) !== 0 ? parent.fs.share() : copyFileContext(system, parent.fs, flags, credentials)
  if (typeof fs === "number") return fs
  const threadGroup =
    (flags & CLONE_THREAD) !== 0 ? parent.threadGroup : makeGroup(parent, request, tid, namespaces.pidForChildren)
  const child = new Task({
    system,
    tid,
    threadGroup,
    context,
    memoryManager,
    fds: (flags & CLONE_FILES) !== 0 ? parent.fds.share() : parent.fds.copy(),
    fs,
    credentials,
    namespaces,
    commandName: parent.commandName
  })
  inheritSeccomp(parent, child) // with the group's list, so that TSYNC of a sibling misses nobody
  threadGroup.tasks.add(child)
  threadGroup.leader ??= child
  system.taskSet.tasks.set(tid, child)
  if (threadGroup.groupStop !== undefined && !threadGroup.groupStop.completed) threadGroup.groupStop.pending++
  return child
}

const makeGroup = (
  parent: Task,
  { clearHandlers, exitSignal, flags }: CloneRequest,
  tgid: number,
  pidNamespace: PidNamespace
): ThreadGroup => {
  const from = parent.threadGroup
  const copyHandlers = () => (clearHandlers ? from.handlers.copyForExec() : from.handlers.copy())
  const handlers = (flags & CLONE_SIGHAND) !== 0 ? from.handlers : copyHandlers()
  const group = new ThreadGroup({
    tgid,
    pidNamespace,
    parent: (flags & CLONE_PARENT) !== 0 ? from.parent : from,
    parentTask: (flags & CLONE_PARENT) !== 0 ? from.parentTask : parent,
    processGroup: from.processGroup,
    handlers,
    limits: from.limits.copy(),
    exitSignal: (flags & CLONE_PARENT) !== 0 ? from.exitSignal : exitSignal,
    startTime: parent.system.timekeeper.monotonic()
  })
  group.parentExecs = (flags & CLONE_PARENT) !== 0 ? from.parentExecs : from.execs
  group.dumpable = from.dumpable
  group.gaveUpTerminal = from.gaveUpTerminal
  group.oomScoreAdj = from.oomScoreAdj
  if (pidNamespace.parent !== undefined && pidNamespace.init === undefined) {
    pidNamespace.init = group
    group.shielded = true
  }
  watchCpuLimit(group, parent.system)
  group.parent?.children.add(group)
  group.processGroup.members.add(group)
  parent.system.taskSet.groups.set(tgid, group)
  return group
}

const prepareChild = (parent: Task, child: Task, request: CloneRequest): void => {
  const { flags } = request
  const { registers } = child
  registers.set(Reg.rax, 0)
  if (request.stackPointer !== 0) registers.set(Reg.rsp, request.stackPointer)
  if ((flags & CLONE_SETTLS) !== 0) registers.words[Reg.fs_base] = request.tls
  child.blocked = parent.blocked
  child.trap = parent.trap
  // a thread starts without an alternate stack; a process, and a vfork child, with its parent's
  child.signalStack = (flags & (CLONE_VM | CLONE_VFORK)) === CLONE_VM ? noSignalStack : parent.signalStack
  child.noNewPrivs = parent.noNewPrivs
  child.keepCapabilities = parent.keepCapabilities
  child.timerSlack = parent.timerSlack
  child.controls = parent.controls
  child.numaPolicy = parent.numaPolicy
  inheritScheduling(parent, child)
  if ((flags & CLONE_VM) === 0) child.rseq = parent.rseq?.copyFor(child)
  child.personality = parent.personality
  if ((flags & CLONE_SYSVSEM) !== 0) {
    parent.semaphoreUndo ??= new SemaphoreUndo()
    child.semaphoreUndo = parent.semaphoreUndo.share()
  }
  if ((flags & CLONE_CHILD_SETTID) !== 0) child.memory.writeU32(request.childTid, child.ownTid)
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid
}
