/**
 * A thread group: what users call a process.
 */
import type { SigInfo } from "../Abi/SigInfo.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import { PendingSignals } from "../Signals/PendingSignals.ts"
import type { SignalHandlers } from "../Signals/SignalHandlers.ts"
import { type ThreadUsage, unsampled } from "../Platform/Platform.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import { ChildWaiters } from "./ChildWaiters.ts"
import type { ClockTimer } from "./ClockTimer.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import { PosixTimers } from "./PosixTimer.ts"
import type { ProcessGroup } from "./ProcessGroup.ts"
import type { ResourceLimits } from "./ResourceLimits.ts"
import type { Task } from "./Task.ts"
import { noAccounts, type TaskAccounts } from "./TaskAccounts.ts"

/** How far a group is from gone. "Zombie": ended and not yet waited for. */
export type GroupState = "Alive" | "Zombie" | "Dead"

/** A job-control stop of the whole group. */
export interface GroupStop {
  /** That began it, or the latest that a tracee took which its tracer had let run on. */
  signal: number
  /** What the group's waiters are told: of a complete stop, the signal that began it. */
  reported: number
  /** Tasks that have not stopped yet. */
  pending: number
  /** All have stopped and the parent was told. */
  completed: boolean
}

/** A process that is about to end, and writes its core file first. Plain data. */
export interface CoreDump {
  /** The thread that does it, for the signal that it has taken. */
  readonly dumper: Task
  readonly info: SigInfo
  /** Threads that are not out of the way yet. */
  readonly missing: Set<Task>
  /** Those that wait for the end, the last to come first. */
  readonly waiting: Array<Task>
  /** SIGKILL came meanwhile: no more is written, and that is what the process ends with. */
  killed: boolean
}

/** What was used: the two kinds of CPU time in nanoseconds, memory at most in KiB, page faults, context switches. */
export interface Usage extends TaskAccounts, Writable<ThreadUsage> {
  peakResidentSet: number
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

export class ThreadGroup {
  /** In the sandbox: its number in the first PID namespace. */
  readonly tgid: number
  /** Where its ids were given out. */
  readonly pidNamespace: PidNamespace
  /** What it calls itself: its number in its own PID namespace, getpid(2). */
  readonly ownTgid: number
  /** The init of a PID namespace: signals that it has no handler for do nothing to it. Atomic. */
  shielded = false
  /** Guarded by: TaskSet mutex. Changes when another thread executes execve(2). */
  leader: Task | undefined
  /** Living tasks. Guarded by: TaskSet mutex. */
  readonly tasks = new Set<Task>()
  /** undefined: the kernel itself. Guarded by: TaskSet mutex. */
  parent: ThreadGroup | undefined
  /**
   * The thread of `parent` whose child this is, Linux's real_parent: the one that made it, or the one that took it over.
   * Guarded by: TaskSet mutex.
   */
  parentTask: Task | undefined
  /** In the order in which they came. Guarded by: TaskSet mutex. */
  readonly children = new Set<ThreadGroup>()
  /** Guarded by: TaskSet mutex. */
  processGroup: ProcessGroup
  /** Guarded by: TaskSet mutex. */
  state: GroupState = "Alive"
  /** What the group ends, or ended, with; set once by exit_group(2), a fatal signal or the last exit(2). Guarded by: signal mutex. */
  exitStatus: ExitStatus | undefined
  /** Threads other than the leader that have ended and whose tracer has not waited for them. Guarded by: TaskSet mutex. */
  readonly unreaped = new Set<Task>()
  /** The task that executes execve(2) and waits for the others to go. Guarded by: signal mutex. */
  execing: Task | undefined
  /** Woken (POLLIN) when the group has ended, for pidfd_open(2). */
  readonly ended = new WaitQueue()
  /** Woken (bit 1) when a task leaves the group. */
  readonly taskExits = new WaitQueue()
  /** Replaced by execve(2). */
  handlers: SignalHandlers
  /** Signals sent to the group as a whole. Guarded by: signal mutex. */
  readonly pending = new PendingSignals()
  /** Woken (POLLIN) when a signal becomes pending, for signalfd(2). */
  readonly signalArrivals = new WaitQueue()
  /** The thread that took the last signal which the preferred one did not want. Guarded by: signal mutex. */
  signalTarget: Task | undefined
  /** The signal that ends the group, and the thread that it found. Guarded by: signal mutex. */
  fatalSignal: { readonly task: Task; readonly info: SigInfo } | undefined
  /** The core file that is being written. Guarded by: signal mutex. */
  coreDump: CoreDump | undefined
  /** Guarded by: signal mutex. */
  groupStop: GroupStop | undefined
  /** Continued by SIGCONT and not yet reported by wait. Guarded by: signal mutex. */
  continued = false
  /** The stop signal that wait has not reported yet. Guarded by: signal mutex. */
  stopToReport: number | undefined
  /** The signal that tells the parent of the end; 0 for none. Immutable but for execve(2), which makes it SIGCHLD. */
  exitSignal: number
  /** Its sleepers in wait4(2): woken when a child's state changes. */
  readonly childWaiters = new ChildWaiters()
  readonly limits: ResourceLimits
  /** setitimer(2): ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF, made when first used. Atomic: Syscalls/SysTimer. */
  readonly intervalTimers: Array<ClockTimer | undefined> = []
  /** RLIMIT_CPU. Atomic: CpuLimit.ts. */
  cpuLimitTimer: ClockTimer | undefined
  /** timer_create(2). */
  readonly posixTimers = new PosixTimers()
  /** The first program's: whoever started the sandbox is a shell with job control, of the same session. */
  hasJobControlParent = false
  /** PR_SET_CHILD_SUBREAPER. */
  isSubreaper = false
  /** It called TIOCNOTTY: the terminal that controls its session does not control it. */
  gaveUpTerminal = false
  /** PR_SET_DUMPABLE. */
  dumpable = 1
  /** /proc/[pid]/oom_score_adj: kept, nothing is killed by it. */
  oomScoreAdj = 0
  /** Has called execve(2): its parent may no longer setpgid it. */
  hasExeced = false
  /** How often it has called execve(2), and the parent had when it made this: Linux's self_exec_id, parent_exec_id. */
  execs = 0
  parentExecs = 0
  /** CLOCK_MONOTONIC at its start. */
  readonly startTime: bigint
  /** Of ended tasks, and of waited-for children. Guarded by: TaskSet mutex. */
  readonly usage: Usage = noUsage()
  readonly childUsage: Usage = noUsage()

  constructor(options: {
    readonly tgid: number
    readonly pidNamespace: PidNamespace
    readonly parent: ThreadGroup | undefined
    readonly parentTask?: Task | undefined
    readonly processGroup: ProcessGroup
    readonly handlers: SignalHandlers
    readonly limits: ResourceLimits
    readonly exitSignal: number
    readonly startTime: bigint
  }) {
    this.tgid = options.tgid
    this.pidNamespace = options.pidNamespace
    this.ownTgid = options.pidNamespace.toInside(options.tgid)
    this.parent = options.parent
    this.parentTask = options.parentTask
    this.processGroup = options.processGroup
    this.handlers = options.handlers
    this.limits = options.limits
    this.exitSignal = options.exitSignal
    this.startTime = options.startTime
  }

  /** The parent as it is called in `namespace`: 1 for an orphan and the first program, 0 where it can't be seen. */
  parentIn(namespace: PidNamespace): number {
    if (this.parent === undefined) return namespace.parent === undefined ? 1 : 0
    return namespace.toInside(this.parent.tgid)
  }
}

/** Nothing yet. */
export const noUsage = (): Usage => ({ ...unsampled(0n), peakResidentSet: 0, ...noAccounts() })

/** Adds what one host thread has used to a sum. */
export const addThreadUsage = (sum: Writable<ThreadUsage>, part: ThreadUsage): void => {
  sum.user += part.user
  sum.system += part.system
  sum.minorFaults += part.minorFaults
  sum.majorFaults += part.majorFaults
  sum.involuntarySwitches += part.involuntarySwitches
}

/** Adds what one task or process used to a sum. */
export const addUsage = (sum: Usage, part: Readonly<Usage>): void => {
  addThreadUsage(sum, part)
  sum.peakResidentSet = Math.max(sum.peakResidentSet, part.peakResidentSet)
  sum.readCharacters += part.readCharacters
  sum.writtenCharacters += part.writtenCharacters
  sum.readCalls += part.readCalls
  sum.writeCalls += part.writeCalls
  sum.waits += part.waits
}

/** What a living task has used. */
export const taskUsage = (task: Task): Usage => {
  const peakResidentSet = task.context.addressSpace.residentSet().peak
  const usage = { ...task.earlierUsage, peakResidentSet, ...task.accounts }
  addThreadUsage(usage, task.context.usage())
  return usage
}

/** What a group has used: its ended tasks and its living ones. */
export const groupUsage = (group: ThreadGroup): Usage => {
  const sum = { ...group.usage }
  for (const task of group.tasks) addUsage(sum, taskUsage(task))
  return sum
}

/** The CPU time of a living task, nanoseconds: cheaper than its usage. */
export const taskCpuTime = ({ context, earlierUsage }: Task): bigint =>
  earlierUsage.user + earlierUsage.system + context.cpuTime()

/** The CPU time of a group. */
export const groupCpuTime = ({ tasks, usage }: ThreadGroup): bigint => {
  let sum = usage.user + usage.system
  for (const task of tasks) sum += taskCpuTime(task)
  return sum
}
