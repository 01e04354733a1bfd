/**
 * The first program of a sandbox: found and loaded as execve(2) would, then given an id, a process group and a session
 * of its own.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { RLIMIT_STACK } from "../Abi/Resource.ts"
import { SIGCHLD } from "../Abi/Signal.ts"
import * as Loader from "../Loader/Loader.ts"
import type { PlatformContext, PlatformFailed } from "../Platform/Platform.ts"
import { SignalHandlers } from "../Signals/SignalHandlers.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import { FdTable } from "../Vfs/FdTable.ts"
import { FsContext } from "../Vfs/FsContext.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { watchCpuLimit } from "./CpuLimit.ts"
import { ProcessGroup, Session } from "./ProcessGroup.ts"
import type { ResourceLimits } from "./ResourceLimits.ts"
import type { System } from "./System.ts"
import { Task } from "./Task.ts"
import { credentialsForExec } from "./ExecCredentials.ts"
import { loadInto, openExecutable } from "./TaskExec.ts"
import { takeTerminal } from "./Terminal.ts"
import { ThreadGroup } from "./ThreadGroup.ts"

/** The first program could not be started: execve(2) or chdir(2) failed. */
export class StartFailed extends Data.TaggedError("StartFailed")<{
  /** Positive errno. */
  readonly errno: number
  /** The path, as given. */
  readonly path: string
}> {}

/** The first program. Strings are byte strings. */
export interface StartOptions {
  readonly path: string
  readonly argv: ReadonlyArray<string>
  readonly envp: ReadonlyArray<string>
  readonly cwd: string
  readonly umask?: number
  /** Become its descriptors 0, 1, 2; a hole is a closed descriptor. The kernel owns them from now on. */
  readonly stdio: ReadonlyArray<OpenFileDescription | undefined>
  /** Whether a shell with job control has started the sandbox and would continue a stopped program. Default: no. */
  readonly hasJobControlParent?: boolean
}

/** Whose program it is. */
export interface Identity {
  readonly credentials: Credentials
  readonly limits: ResourceLimits
}

/** Loads the program; the task is ready to be started. */
export const makeFirstTask = Effect.fnUntraced(function* (
  system: System,
  program: StartOptions,
  { credentials, limits }: Identity
): Effect.fn.Return<Task, StartFailed | PlatformFailed> {
  const { taskSet, vfs } = system
  const fs = new FsContext(vfs.root, vfs.root, program.umask ?? 0o022)
  const caller = { fs, credentials, tid: 0, threadGroup: { tgid: 0 } }
  const cwd = vfs.walk(caller, vfs.root, program.cwd, { follow: true, directory: true })
  if (typeof cwd === "number") return yield* new StartFailed({ errno: -cwd, path: program.cwd })
  fs.workingDirectory = cwd
  const prepared = Loader.prepare({
    open: (path) => openExecutable(system, caller, cwd, path, true),
    path: program.path,
    argv: program.argv,
    envp: program.envp,
    stackLimit: limits.soft(RLIMIT_STACK),
    binaryFormat: system.platform.binaryFormat
  })
  if (typeof prepared === "number") return yield* new StartFailed({ errno: -prepared, path: program.path })
  const context = yield* system.platform.makeContext
  const identity = credentialsForExec({ old: credentials, noNewPrivs: false, unsafe: false }, prepared.program.file)
  const loaded = yield* loadInto(context, system, prepared, identity, 0, system.namespaces.time)
  if (typeof loaded === "number") return yield* new StartFailed({ errno: -loaded, path: program.path })
  return yield* taskSet.mutex.section(() => {
    const group = makeGroup(system, limits)
    watchCpuLimit(group, system)
    group.hasJobControlParent = program.hasJobControlParent ?? false
    group.dumpable = identity.isDumpable ? 1 : system.coreSettings.suidDumpable
    return makeTask(system, group, context, loaded, fs, program, identity.credentials)
  })
})

/** A group that leads a process group and a session. Guarded by: TaskSet mutex. */
const makeGroup = ({ namespaces, taskSet, timekeeper }: System, limits: ResourceLimits): ThreadGroup => {
  const tgid = taskSet.allocateId(namespaces.pidForChildren)
  const session = new Session(tgid)
  const processGroup = new ProcessGroup(tgid, session)
  const group = new ThreadGroup({
    tgid,
    pidNamespace: namespaces.pidForChildren,
    parent: undefined,
    processGroup,
    handlers: new SignalHandlers(),
    limits,
    exitSignal: SIGCHLD,
    startTime: timekeeper.monotonic()
  })
  session.leader = group
  processGroup.members.add(group)
  taskSet.groups.set(tgid, group)
  taskSet.processGroups.set(tgid, processGroup)
  taskSet.sessions.set(tgid, session)
  return group
}

/** Guarded by: TaskSet mutex. */
const makeTask = (
  system: System,
  group: ThreadGroup,
  context: PlatformContext,
  loaded: Loader.LoadedProgram,
  fs: FsContext,
  { stdio }: StartOptions,
  credentials: Credentials
): Task => {
  const fds = new FdTable()
  stdio.forEach((file, fd) => {
    if (file === undefined) return
    fds.replace(fd, file, false)
    if (file.tty !== undefined) takeTerminal(group, file.tty) // it controls the terminal it was given
  })
  const task = new Task({
    system,
    tid: group.tgid,
    threadGroup: group,
    context,
    memoryManager: loaded.memoryManager,
    fds,
    fs,
    credentials,
    namespaces: system.namespaces,
    commandName: loaded.commandName
  })
  group.leader = task
  group.tasks.add(task)
  system.taskSet.tasks.set(task.tid, task)
  return task
}
