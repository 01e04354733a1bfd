/**
 * execve(2): another program in the same process.
 *
 * The new program is loaded into a fresh address space while the old one still exists; then the other threads go, and
 * the task moves over.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, X_OK } from "../Abi/At.ts"
import { EACCES, EAGAIN, EBADF, EINVAL, ELOOP, ENOENT, ENOTDIR, ETXTBSY } from "../Abi/Errno.ts"
import { isDirectory, isRegular, isSymlink } from "../Abi/FileMode.ts"
import { IN_ACCESS } from "../Abi/InotifyFlags.ts"
import { O_RDONLY } from "../Abi/OpenFlags.ts"
import { RLIMIT_STACK } from "../Abi/Resource.ts"
import { Reg } from "../Abi/Registers.ts"
import { SIGCHLD, SIGSEGV } from "../Abi/Signal.ts"
import { signaled } from "../Abi/Wait.ts"
import * as Loader from "../Loader/Loader.ts"
import { inheritedPolicy } from "../Memory/MemoryPolicy.ts"
import type { PlatformContext, PlatformFailed } from "../Platform/Platform.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { noSignalStack } from "../Signals/SignalStack.ts"
import { limitsExec } from "../Ptrace/PtraceAccess.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { Location } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import { type ExecCredentials, credentialsForExec } from "./ExecCredentials.ts"
import { orRefused } from "./HostRefusal.ts"
import { nextExit } from "./CoreDumpStop.ts"
import type { System } from "./System.ts"
import { forgetRseq } from "./TaskRseq.ts"
import type { Task } from "./Task.ts"
import { releaseMemory } from "./TaskExit.ts"
import { killGroup, killTask } from "./TaskSignals.ts"
import { followCounterControl } from "./TimestampCounter.ts"
import { forgetLeader, noteExec } from "./TaskTrace.ts"
import { enterTime } from "./Namespaces.ts"
import type { TimeNamespace } from "./TimeNamespace.ts"
import { addThreadUsage } from "./ThreadGroup.ts"

/** The arguments of execveat(2); strings are byte strings. */
export interface ExecRequest {
  /** A directory's descriptor, or AT_FDCWD. */
  readonly dir: number
  readonly path: string
  /** Copies in argv and envp; called when the program was found, as their errors come after its. */
  readonly strings: () => ExecStrings | number
  /** AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
  readonly flags: number
}

export interface ExecStrings {
  readonly argv: ReadonlyArray<string>
  readonly envp: ReadonlyArray<string>
}

/** Opens the file at `path` to be executed: a regular file with execute permission, readable or not. */
export const openExecutable = (
  system: System,
  caller: Caller,
  start: Location,
  path: string,
  follow: boolean
): OpenFileDescription | number => {
  const found = system.vfs.find(caller, start, path, { follow })
  if (typeof found === "number") return found
  if (found instanceof OpenFileDescription) return -EACCES
  return openLocation(caller, found)
}

const openLocation = (caller: Caller, location: Location): OpenFileDescription | number => {
  const inode = location.dentry.inode
  if (inode === undefined) return -ENOENT
  if (isSymlink(inode.mode)) return -ELOOP
  if (isDirectory(inode.mode) || !isRegular(inode.mode) || location.mount.noExecute) return -EACCES
  const denied = mayAccess(inode, X_OK, caller.credentials)
  if (denied < 0) return denied
  if (inode.writers > 0) return -ETXTBSY
  const file = inode.open({ flags: O_RDONLY, location, caller, created: false, executes: true })
  if (typeof file === "number") return file
  file.announce(location).tell(IN_ACCESS)
  return file
}

/** How execveat(2) finds its program. */
const openRequested = (task: Task, request: ExecRequest): OpenFileDescription | number => {
  const { path } = request
  const follow = (request.flags & AT_SYMLINK_NOFOLLOW) === 0
  const { fs, system } = task
  if (path.startsWith("/") || request.dir === AT_FDCWD)
    return openExecutable(system, task, fs.workingDirectory, path, follow)
  const file = task.fds.get(request.dir)
  if (file === undefined) return -EBADF
  const location = file.location()
  if (location === undefined) return path === "" ? -EACCES : -ENOTDIR
  if (path !== "") return openExecutable(system, task, location, path, follow)
  return (request.flags & AT_EMPTY_PATH) === 0 ? -ENOENT : openLocation(task, location)
}

/** The path that the program and its scripts see: execveat(2) of a descriptor names it /dev/fd/N. */
const visiblePath = ({ dir, path }: ExecRequest): string => {
  if (path.startsWith("/") || dir === AT_FDCWD) return path
  return path === "" ? `/dev/fd/${dir}` : `/dev/fd/${dir}/${path}`
}

/** personality(2): addresses as they were last time. */
const ADDR_NO_RANDOMIZE = 0x4_0000
/** What a set-user-ID program must not inherit of a personality: besides that, ADDR_COMPAT_LAYOUT, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO. */
const PER_CLEAR_ON_SETID = ADDR_NO_RANDOMIZE | 0x20_0000 | 0x40_0000 | 0x10_0000

/** The personality that a program begins with. */
const personalityFor = (identity: ExecCredentials, personality: number): number =>
  identity.hasSetId ? personality & ~PER_CLEAR_ON_SETID : personality

/** Loads a prepared program into a fresh context, which is released again if that fails. */
export const loadInto = Effect.fnUntraced(function* (
  context: PlatformContext,
  system: System,
  prepared: Loader.PreparedProgram,
  identity: ExecCredentials,
  personality: number,
  time: TimeNamespace
): Effect.fn.Return<Loader.LoadedProgram | number, PlatformFailed> {
  const program = yield* Loader.commit(prepared, {
    context,
    platform: system.platform,
    credentials: identity.credentials,
    secure: identity.secure,
    entropy: system.entropy,
    randomize: (personalityFor(identity, personality) & ADDR_NO_RANDOMIZE) === 0,
    hardware: system.hardware,
    vdso: system.vdso,
    tellsTime: time.isPlain
  })
  if (typeof program === "number") yield* context.release
  return program
})

/** Runs `request` in place of the task's program. -errno, or 0 with the task ready to start the new one. */
export const execute = Effect.fnUntraced(function* (
  task: Task,
  request: ExecRequest
): Effect.fn.Return<number, PlatformFailed> {
  if ((request.flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return -EINVAL
  const group = task.threadGroup
  const visible = visiblePath(request)
  let program: OpenFileDescription | number | undefined = openRequested(task, request)
  if (typeof program === "number") return program
  const strings = request.strings()
  if (typeof strings === "number") {
    program.release()
    return strings
  }
  // the host makes it while we read the program
  const making = yield* Effect.forkChild(orRefused(task.system.platform.makeContext), { startImmediately: true })
  const prepared = Loader.prepare({
    open: (path) => {
      const opened = program ?? openExecutable(task.system, task, task.fs.workingDirectory, path, true)
      program = undefined // only the first is the program itself
      return opened
    },
    path: visible,
    ...strings,
    stackLimit: group.limits.soft(RLIMIT_STACK),
    pathInaccessible: visible !== request.path && task.fds.closeOnExec(request.dir) === true,
    binaryFormat: task.system.platform.binaryFormat
  })
  const context = yield* Fiber.join(making)
  if (typeof context === "number") {
    if (typeof prepared !== "number") Loader.release(prepared)
    return typeof prepared === "number" ? prepared : context
  }
  if (typeof prepared === "number") {
    yield* context.release
    return prepared
  }
  const formerTid = task.tid
  if (!(yield* takeOver(task))) {
    Loader.release(prepared)
    yield* context.release
    return -EAGAIN
  }
  const { credentials: old, noNewPrivs, fs, personality } = task
  const { tracer } = task.ptrace
  const unsafe = fs.shared || (tracer !== undefined && limitsExec(tracer.credentials, old))
  const identity = credentialsForExec({ old, noNewPrivs, unsafe }, prepared.program.file)
  const loaded = yield* loadInto(context, task.system, prepared, identity, personality, task.namespaces.timeForChildren)
  if (typeof loaded === "number") {
    // the old program is beyond return: as Linux has it, this one dies of what it tried
    yield* group.handlers.mutex.section(() => killGroup(group, signaled(SIGSEGV, false)))
    return loaded
  }
  yield* moveTo(task, context, loaded, identity)
  noteExec(task, formerTid)
  return 0
})

/** Ends the other threads and makes the task the leader. False if the group is on its way out or another was first. */
const takeOver = Effect.fnUntraced(function* (task: Task) {
  const group = task.threadGroup
  const first = yield* group.handlers.mutex.section(() => {
    if (group.execing !== undefined || group.exitStatus !== undefined) return false
    group.execing = task
    for (const other of group.tasks) if (other !== task) killTask(other)
    return true
  })
  if (!first) return false
  // those whose tracer has not waited for them yet still have their ids; who knows when it will
  while (group.tasks.size > 1 || group.unreaped.size > 0) {
    if (group.tasks.size === 1 && group.exitStatus !== undefined) return false
    yield* nextExit(group)
  }
  yield* Mutex.sectionAll([task.system.taskSet.mutex, group.handlers.mutex], () => {
    becomeLeader(task)
    group.execing = undefined
  })
  return true
})

/** execve(2) by a thread that is not the leader: it takes the leader's id. Guarded by: TaskSet mutex. */
const becomeLeader = (task: Task): void => {
  if (task.isLeader) return
  const { taskSet } = task.system
  const group = task.threadGroup
  const former = task.tid
  taskSet.tasks.delete(former)
  taskSet.releaseId(former)
  if (group.leader !== undefined) forgetLeader(group.leader)
  task.tid = group.tgid
  task.ownTid = group.ownTgid
  taskSet.tasks.set(task.tid, task)
  group.leader = task
}

/** What of a task execve(2) replaces, and what it resets. */
const moveTo = Effect.fnUntraced(function* (
  task: Task,
  context: PlatformContext,
  program: Loader.LoadedProgram,
  identity: ExecCredentials
) {
  const group = task.threadGroup
  const old = task.context
  program.memoryManager.coredumpFilter = task.memoryManager.coredumpFilter
  program.memoryManager.policy = inheritedPolicy(task.memoryManager.policy)
  forgetRseq(task)
  releaseMemory(task)
  task.context = context
  task.memoryManager = program.memoryManager
  task.namespaces = enterTime(task.namespaces)
  task.commandName = program.commandName
  context.registers.words[Reg.orig_rax] = old.registers.words[Reg.orig_rax]!
  task.ptrace.trapFlagForced = false
  addThreadUsage(task.earlierUsage, old.usage())
  yield* old.release
  if (task.controls.timestampFaults) yield* followCounterControl(task)
  if (task.fds.shared) {
    const copy = task.fds.copy()
    task.fds.leave()
    task.fds = copy
  }
  task.fds.closeForExec()
  yield* group.handlers.mutex.section(() => {
    group.handlers = group.handlers.copyForExec()
  })
  group.exitSignal = SIGCHLD
  group.posixTimers.clear()
  group.hasExeced = true
  group.execs++
  task.signalStack = noSignalStack
  task.robustList = 0
  task.keepCapabilities = false
  group.dumpable = identity.isDumpable ? 1 : task.system.coreSettings.suidDumpable
  task.credentials = identity.credentials
  task.personality = personalityFor(identity, task.personality)
  if (identity.forgetsDeathSignal) task.parentDeathSignal = 0
})
