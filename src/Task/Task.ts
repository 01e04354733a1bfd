/**
 * One thread of the application: gVisor's kernel.Task, Linux's task_struct.
 *
 * A task is one fiber (TaskRun.ts) and the data here. *Owner: task fiber* means that only that fiber, and the system
 * call handlers that run on the task's behalf while it is stopped, write the field; others may read it. JavaScript runs
 * one of them at a time.
 *
 * Interrupts: a switch to the application, if it can be interrupted, runs as a child fiber, and `interrupt` interrupts
 * that. A wait in a system call (Sleep.ts) is one suspension of the task's own fiber, which `interrupt` ends. To the code that
 * waits, the outcome is a value either way.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Cause from "effect/Cause"
import { CAP_IPC_LOCK } from "../Abi/Capability.ts"
import { EINTR, ERESTARTNOHAND } from "../Abi/Errno.ts"
import { SI_USER, type SignalSet, UNBLOCKABLE } from "../Abi/Signal.ts"
import { type ExitStatus, exited } from "../Abi/Wait.ts"
import type { SemaphoreUndo } from "../Ipc/Semaphores.ts"
import type { MemoryManager, Requester } from "../Memory/MemoryManager.ts"
import type { NumaPolicy } from "../Memory/NumaPolicy.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { type PlatformContext, unsampled } from "../Platform/Platform.ts"
import type { Registers } from "../Abi/Registers.ts"
import type { Seccomp } from "../Seccomp/SeccompFilter.ts"
import { PtraceState } from "../Ptrace/PtraceState.ts"
import { PendingSignals } from "../Signals/PendingSignals.ts"
import { type SignalStack, noSignalStack } from "../Signals/SignalStack.ts"
import { type Credentials, hasCapability, isNoMore } from "../Vfs/Credentials.ts"
import type { FdTable } from "../Vfs/FdTable.ts"
import type { FsContext } from "../Vfs/FsContext.ts"
import { type CpuTrap, noTrap } from "./CpuTrap.ts"
import type { RestartBlock } from "./Restart.ts"
import type { Namespaces } from "./Namespaces.ts"
import type { Rseq } from "./TaskRseq.ts"
import { App, type RunState } from "./RunState.ts"
import { type Scheduling, defaultScheduling } from "./Scheduling.ts"
import { Sleep, type Subscribe, type Wait, type Waiting, type Wakeup } from "./Sleep.ts"
import type { Result } from "./Syscall.ts"
import type { System } from "./System.ts"
import { hasDeliverableSignal, retarget, sendToTask } from "./TaskSignals.ts"
import { noAccounts, type TaskAccounts } from "./TaskAccounts.ts"
import { defaultControls, type TaskControls } from "./TaskControls.ts"
import { TaskStops } from "./TaskStop.ts"
import type { GroupStop, ThreadGroup } from "./ThreadGroup.ts"

/** Number -1 as system calls have it, 32 bits without a sign. */
export const NO_CALL = 0xffff_ffff

/** How a wait that may be interrupted ended: undefined if it was. */
const outcomeOf = <A, E>(exit: Exit.Exit<A, E>): Effect.Effect<A | undefined, E> =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Effect.undefined : exit

/** The system call being executed. */
export interface Call {
  /** Its number; -1 if the task entered the kernel otherwise, `NO_CALL` if there is none of that number. */
  nr: number
  /** With `nr` NO_CALL: made as 32-bit programs do. Its number there is in orig_rax; we have none of these calls. */
  isI386: boolean
  /** What is left to do of it, when the handler wanted to wait. */
  effect: Effect.Effect<number> | undefined
  /** It waits at its entry: whoever intercepts calls looks first. */
  intercepted: boolean
  /** SECCOMP_RET_DATA of a filter that wants the tracer to look; undefined if none does. */
  traceData: number | undefined
}

export class Task {
  readonly system: System
  /** Changes only when a non-leader executes execve(2) and takes the leader's id. Guarded by: TaskSet mutex. */
  tid: number
  /** What it calls itself: its number in its own PID namespace, gettid(2). Guarded by: TaskSet mutex. */
  ownTid: number
  readonly threadGroup: ThreadGroup

  // What the application runs in. Owner: task fiber; replaced by execve(2).
  context: PlatformContext
  memoryManager: MemoryManager
  fds: FdTable
  fs: FsContext
  #credentials: Credentials
  #namespaces: Namespaces
  /** What was used in contexts that execve(2) has left. Owner: task fiber. */
  readonly earlierUsage = { ...unsampled(0n) }
  /** comm, at most 15 bytes. */
  commandName: string

  // Progress. Owner: task fiber.
  runState: RunState = App
  readonly call: Call = { nr: -1, isI386: false, effect: undefined, intercepted: false, traceData: undefined }
  /** The call waits inside the switch. Owner: task fiber, and the handler of the switch. */
  parked: Sleep<number> | undefined
  /** The ERESTART* code of the call that was interrupted, positive; 0 if none. Consumed by the next delivery. */
  restart = 0
  /** What restart_syscall(2) goes on with. */
  restartBlock: RestartBlock | undefined
  /** The handler has set the registers itself (execve, rt_sigreturn): its result must not go to rax. */
  keepRegisters = false
  /** `FutexTable.wakes` at some time before the thread went on, and after what it did before that. */
  wakesBefore = 0
  /** Stops; their own file says who does what. */
  readonly stops = new TaskStops()

  /** Of the last fault. Owner: task fiber. */
  trap: CpuTrap = noTrap

  // Signals.
  /** Signals sent to this thread alone. Guarded by: signal mutex. */
  readonly pending = new PendingSignals()
  /** Owner: task fiber. Change it by `setBlocked`. */
  blocked: SignalSet = 0n
  /** The mask to go back to after the call that replaced it (ppoll, sigsuspend). Owner: task fiber. */
  savedMask: SignalSet | undefined
  /** Signals that sigtimedwait(2) waits for although they are blocked. Owner: task fiber. */
  awaited: SignalSet = 0n
  signalStack: SignalStack = noSignalStack

  /** The group-stop that this thread has taken part in last. Guarded by: signal mutex. */
  joinedStop: GroupStop | undefined

  // ptrace(2).
  readonly ptrace = new PtraceState<Task>()
  /** The threads that this one traces. Guarded by: TaskSet mutex. */
  readonly tracees = new Set<Task>()
  /** Its system calls go the long way, as something looks at them before and after. Atomic: cached for the hot path. */
  interceptsCalls = false

  // Exit.
  /** exit(2) was called, or the group is on its way out, or another thread executes execve(2). Atomic. */
  killed = false
  /** What this thread alone ends with, from exit(2) or killed by seccomp(2). Owner: task fiber. */
  exitStatus: ExitStatus = exited(0)
  /** It is on its way out and runs no more. Guarded by: signal mutex. */
  exiting = false
  /** Word to clear and wake at exit: CLONE_CHILD_CLEARTID, set_tid_address(2); 0 for none. Owner: task fiber. */
  clearChildTid = 0
  /** set_robust_list(2): head address. Owner: task fiber. */
  robustList = 0
  /** rseq(2). Owner: task fiber. */
  rseq: Rseq | undefined = undefined
  /** What the end of the process undoes of semop(2); shared by CLONE_SYSVSEM. Owner: task fiber. */
  semaphoreUndo: SemaphoreUndo | undefined
  /** The parent that waits for this vfork(2) child to give the memory back. Owner: task fiber. */
  vforkParent: Task | undefined

  // prctl(2) and the like. Owner: task fiber.
  /** The filters that this thread's system calls must pass, seccomp(2). Atomic: TaskSeccomp.ts. */
  seccomp: Seccomp | undefined
  parentDeathSignal = 0
  noNewPrivs = false
  keepCapabilities = false
  timerSlack = 50_000
  controls: TaskControls = defaultControls
  /** set_mempolicy(2); undefined is the default. Owner: task fiber. */
  numaPolicy: NumaPolicy | undefined = undefined
  /** Owner: task fiber. */
  readonly accounts: TaskAccounts = noAccounts()
  niceness = 0
  scheduling: Scheduling = defaultScheduling
  /** personality(2). */
  personality = 0

  /**
   * Something wants the fiber's attention before the application goes on: a signal, a stop, the end. Set by
   * `interrupt`, cleared by the fiber when it looks. Atomic.
   */
  #attention = false
  /** Others want the CPU that it occupies (TaskRseq.ts): set only while it does. Atomic. */
  #expelled = false
  /** The current wait in a system call. Atomic. */
  #sleep: Sleep<unknown> | undefined
  /** The child fiber that carries the current wait. Owner: task fiber. */
  #wait: Fiber.Fiber<unknown, unknown> | undefined

  constructor(options: {
    readonly system: System
    readonly tid: number
    readonly threadGroup: ThreadGroup
    readonly context: PlatformContext
    readonly memoryManager: MemoryManager
    readonly fds: FdTable
    readonly fs: FsContext
    readonly credentials: Credentials
    readonly namespaces: Namespaces
    readonly commandName: string
  }) {
    this.system = options.system
    this.tid = options.tid
    this.threadGroup = options.threadGroup
    this.ownTid = options.threadGroup.pidNamespace.toInside(options.tid)
    this.context = options.context
    this.memoryManager = options.memoryManager
    this.fds = options.fds
    this.fs = options.fs
    this.#credentials = options.credentials
    this.#namespaces = options.namespaces
    this.#namespaces.ipc.use()
    this.commandName = options.commandName
  }

  get credentials(): Credentials {
    return this.#credentials
  }

  /** "The dumpable attribute is reset when the process's effective or filesystem ids change", PR_SET_PDEATHSIG's too. */
  set credentials(credentials: Credentials) {
    const old = this.#credentials
    this.#credentials = credentials
    const keepsIds =
      old.euid === credentials.euid &&
      old.egid === credentials.egid &&
      old.fsuid === credentials.fsuid &&
      old.fsgid === credentials.fsgid
    if (keepsIds && isNoMore(credentials, old)) return
    this.threadGroup.dumpable = this.system.coreSettings.suidDumpable
    this.parentDeathSignal = 0
  }

  get namespaces(): Namespaces {
    return this.#namespaces
  }

  set namespaces(namespaces: Namespaces) {
    namespaces.ipc.use()
    this.#namespaces.ipc.unuse()
    this.#namespaces = namespaces
  }

  /** The task has ended, and uses its namespaces no more. */
  leaveNamespaces(): void {
    this.#namespaces.ipc.unuse()
  }

  get memory(): UserMemory {
    return this.memoryManager.memory
  }

  get registers(): Registers {
    return this.context.registers
  }

  get isLeader(): boolean {
    return this.threadGroup.leader === this
  }

  /** On whose behalf memory changes: the limits and privileges that count. */
  get requester(): Requester {
    return { limits: this.threadGroup.limits, mayLock: hasCapability(this.credentials, CAP_IPC_LOCK) }
  }

  get attention(): boolean {
    return this.#attention
  }

  /** Whether it sleeps in a system call until something happens, rather than being busy with it. */
  get isSleeping(): boolean {
    return this.#sleep?.isAsleep === true && !this.#attention
  }

  /** The fiber is about to look at everything that may want its attention. */
  clearAttention(): void {
    this.#attention = false
  }

  /** Ends the switch to the application, to go on with it when others have had their turn. Atomic. */
  expel(): void {
    if (this.#expelled) return
    this.#expelled = true
    this.#endWaitSoon()
  }

  /** It is out of the application. */
  clearExpelled(): void {
    this.#expelled = false
  }

  /** Whether a switch to the application is to end. */
  get #isWanted(): boolean {
    return this.#attention || this.#expelled
  }

  /** Makes the task look up from whatever it does: the current wait, if any, ends as interrupted. Atomic. */
  interrupt(): void {
    if (this.#attention) return
    this.#attention = true
    this.#endWaitSoon()
  }

  /** Through the run queue: interrupting runs the waiter's code at once, and we may be inside a critical section. */
  #endWaitSoon(): void {
    const wait = this.#wait
    if (wait !== undefined) this.system.runQueue.schedule(() => this.#isWanted && wait.interruptUnsafe())
  }

  /** Runs `wait` as a child fiber that `interrupt` ends, or `expel`; undefined when that happened. */
  interruptible<A, E>(wait: Effect.Effect<A, E>): Effect.Effect<A | undefined, E> {
    return Effect.suspend(() => {
      if (this.#isWanted) return Effect.undefined
      return Effect.flatMap(Effect.forkChild(wait, { startImmediately: true }), (child) => {
        const exit = child.pollUnsafe()
        if (exit !== undefined) return outcomeOf(exit)
        this.#wait = child
        if (this.#isWanted) this.#endWaitSoon() // came while it started
        return Effect.flatMap(Fiber.await(child), (late) => {
          this.#wait = undefined
          return outcomeOf(late)
        })
      })
    })
  }

  /**
   * Waits interruptibly until `wake` is called or the deadline (CLOCK_MONOTONIC, nanoseconds) passes. `subscribe`
   * registers `wake` and returns how to undo that. After "Ready" the caller looks again at what it waited for.
   */
  block(subscribe: Subscribe, deadline?: bigint): Effect.Effect<Wakeup> {
    return Effect.suspend(() => {
      let woken = false
      const listen: Subscribe = (wake) =>
        subscribe(() => {
          woken = true
          wake()
        })
      return this.sleep({ subscribe: listen, look: (end) => (woken ? "Ready" : end), deadline })
    })
  }

  /** Waits interruptibly for what `wait` says, which can be run once. */
  sleep<A>(wait: Wait<A>): Waiting<A> {
    return Object.assign(
      Effect.suspend(() => this.#sleepAsChild(wait)),
      { wait }
    )
  }

  #sleepAsChild<A>(wait: Wait<A>): Effect.Effect<A> {
    let resume: (result: Effect.Effect<A>) => void = () => undefined
    const sleep = new Sleep(this, wait, () => {
      try {
        const result = sleep.look()
        if (result !== undefined) resume(Effect.succeed(result))
      } catch (defect) {
        resume(Effect.die(defect))
      }
    })
    const sleeping = Effect.callback<A>((onEnd) => {
      resume = onEnd
      const result = sleep.begin(false)
      if (result !== undefined) onEnd(Effect.succeed(result))
    })
    return this.interruptible(sleeping).pipe(
      Effect.map((result) => result ?? sleep.interrupt()),
      Effect.ensuring(Effect.sync(() => sleep.close()))
    )
  }

  /** Told by `Sleep`: that it found nothing, and sleeps. */
  onSleep(sleep: Sleep<unknown>): void {
    this.#sleep = sleep
    this.accounts.waits++
  }

  onSleepEnd(sleep: Sleep<unknown>): void {
    if (this.#sleep === sleep) this.#sleep = undefined
  }

  /** Replaces the signal mask; a signal that this unblocks is delivered before the application goes on. */
  setBlocked(mask: SignalSet): void {
    const before = this.blocked
    this.blocked = mask & ~UNBLOCKABLE
    const { handlers, tasks } = this.threadGroup
    if (tasks.size > 1) handlers.mutex.runSoon(() => retarget(this, mask & ~before))
    if (hasDeliverableSignal(this)) this.interrupt()
  }

  /**
   * Runs `call` with another signal mask (ppoll, pselect, epoll_pwait). If a signal ended it, that mask stays until the
   * signal was delivered, and the handler's frame carries the old one.
   */
  withTemporaryMask(mask: SignalSet, call: () => Result): Result {
    this.savedMask = this.blocked
    this.setBlocked(mask)
    const result = call()
    return typeof result === "number"
      ? this.#endTemporaryMask(result)
      : Effect.map(result, (value) => this.#endTemporaryMask(value))
  }

  #endTemporaryMask(result: number): number {
    if (result !== -EINTR && result !== -ERESTARTNOHAND) this.restoreMask()
    return result
  }

  /** Goes back to the mask that a call replaced, if one did. */
  restoreMask(): void {
    if (this.savedMask === undefined) return
    const mask = this.savedMask
    this.savedMask = undefined
    this.setBlocked(mask)
  }

  /** Sends this thread a signal on the kernel's behalf (SIGPIPE, SIGXFSZ), as if by itself. */
  raise(signo: number): void {
    sendToTask(this, {
      _tag: "Kill",
      signo,
      code: SI_USER,
      pid: this.threadGroup.ownTgid,
      uid: this.credentials.userNamespace.userTo(this.credentials.ruid)
    })
  }
}
