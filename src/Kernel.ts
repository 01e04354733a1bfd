/**
 * Assembles the services of one sandbox: owns no logic of its own.
 *
 * `make` builds a kernel in a scope: platform, run queue, clocks, mounts, tasks. `start` executes the first program. When
 * the scope closes, every task's fiber, every stub, every host descriptor goes.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { SIGINT, SIGKILL, SIGQUIT, SIGTSTP, SIGWINCH, SI_USER } from "./Abi/Signal.ts"
import { type ExitStatus, signaled } from "./Abi/Wait.ts"
import { IpcBudget } from "./Ipc/IpcBudget.ts"
import { Actor } from "./Ipc/SharedMemory.ts"
import { readHardware } from "./Loader/Hardware.ts"
import { Vdso } from "./Loader/Vdso.ts"
import { bind } from "./Platform/Native.ts"
import { Platform, type PlatformFailed } from "./Platform/Platform.ts"
import { processors } from "./Platform/HostUsage.ts"
import { CopyHints, FrameHint } from "./Platform/CopyHints.ts"
import { AfterBatch } from "./Platform/Pump.ts"
import { FilterMemory } from "./Seccomp/FilterMemory.ts"
import { SeccompLog } from "./Seccomp/SeccompLog.ts"
import { frameReach, FrameState } from "./Signals/SignalFrame.ts"
import { SharedHeapWatch } from "./Sync/HeapWatch.ts"
import { RunQueue } from "./Sync/RunQueue.ts"
import { linuxTable } from "./Syscalls/LinuxTable.ts"
import { copyHint } from "./Task/Syscall.ts"
import { type StartFailed, type StartOptions, makeFirstTask } from "./Task/FirstTask.ts"
import { CoreSettings } from "./Task/CoreSettings.ts"
import { FutexTable } from "./Task/FutexTable.ts"
import { type MemorySize, memorySize } from "./Task/HostFacts.ts"
import { type MountFailed, type MountPlan, mountAll } from "./Task/Mounts.ts"
import type { FilesystemSpace } from "./Vfs/Filesystem.ts"
import { NamespaceFiles } from "./Task/NamespaceFiles.ts"
import { firstNamespaces } from "./Task/Namespaces.ts"
import { ResourceLimits } from "./Task/ResourceLimits.ts"
import type { SyscallInjector } from "./Task/SyscallInjector.ts"
import type { SyscallObserver } from "./Task/SyscallObserver.ts"
import type { KernelEvent, System } from "./Task/System.ts"
import { run } from "./Task/TaskRun.ts"
import { TaskSet } from "./Task/TaskSet.ts"
import { killGroup, sendToGroup } from "./Task/TaskSignals.ts"
import { type ThreadGroup, type Usage, addUsage, groupUsage, noUsage } from "./Task/ThreadGroup.ts"
import { type Entropy, hostEntropy } from "./Time/Entropy.ts"
import { type Timekeeper, hostTimekeeper } from "./Time/Timekeeper.ts"
import { Timers } from "./Time/Timers.ts"
import { VdsoPage } from "./Time/VdsoPage.ts"
import { AnonymousFiles } from "./Vfs/AnonymousFiles.ts"
import type { Credentials } from "./Vfs/Credentials.ts"
import { fileClock } from "./Vfs/Filesystem.ts"
import { HostStdio } from "./Vfs/HostStdio.ts"
import { NamespaceNumbers } from "./Vfs/Namespace.ts"
import { Vfs } from "./Vfs/Vfs.ts"

/** The kernel itself failed: a defect, or a host that withdrew what it needs. The sandbox is over. */
export class KernelFailed extends Data.TaggedError("KernelFailed")<{
  /** A report for the author: what failed, where. */
  readonly report: string
}> {
  override get message(): string {
    return this.report
  }
}

export interface KernelOptions {
  readonly platform: Layer.Layer<Platform, PlatformFailed>
  readonly mounts: MountPlan
  /** For what is opened later by path, such as /dev/tty: undefined where there is no terminal. */
  readonly hostname?: string
  readonly credentials: Credentials
  readonly limits?: ResourceLimits
  readonly timekeeper?: Timekeeper
  /** In what order everything runs; the default is first in, first out. */
  readonly runQueue?: RunQueue
  readonly entropy?: Entropy
  /** What the sandbox shows of the machine; the default is what the host has. */
  readonly machine?: {
    readonly cpuCount: number
    readonly memory: MemorySize
    /** Of every filesystem that is the host's. */
    readonly disk: FilesystemSpace
  }
  readonly observer?: SyscallObserver
  readonly injector?: SyscallInjector
  readonly onEvent?: (event: KernelEvent) => void
}

/** A running sandbox. */
export interface Kernel {
  readonly system: System
  /** Executes the first program, whose end ends the sandbox. Call once. */
  readonly start: (options: StartOptions) => Effect.Effect<ThreadGroup, StartFailed | PlatformFailed>
  /** Sends the first program's process group, or for keys the terminal's foreground group, a signal. */
  readonly signal: (signo: number) => void
  /** Kills everything in the sandbox. */
  readonly kill: () => void
  /** How the first program ended. */
  readonly exitStatus: Effect.Effect<ExitStatus, KernelFailed>
  /** CPU time of everything that has run in the sandbox. */
  readonly usage: () => Usage
}

/** Signals that a terminal sends to its foreground process group. */
const KEYBOARD = new Set([SIGINT, SIGQUIT, SIGTSTP, SIGWINCH])

const xstateSize = bind<[features: bigint], number>("uint32_t sentry_xstate_size(uint64_t features)")

/** XCR0 bits of the AMX tiles: a process must ask for them, and nobody here has, so frames leave them out. */
const AMX_FEATURES = (1n << 17n) | (1n << 18n)

/** What uname(2) says of the kernel: a version whose system calls these mostly are. */
const RELEASE = "6.1.0-effect-sentry"
const VERSION = "#1 SMP PREEMPT_DYNAMIC effect-sentry"

const openPage = Effect.acquireRelease(
  Effect.sync(() => new VdsoPage()),
  (page) => Effect.sync(() => page.close())
)

/** About what a task, and an area of its memory, take of the heap, bytes. */
const TASK = 16_384
const AREA = 256

const heapWeight = ({ taskSet, vfs }: System): number => {
  let weight = vfs.heap.used
  for (const task of taskSet.tasks.values()) weight += TASK + task.memoryManager.areas.size * AREA
  return weight
}

/** Builds a kernel that lives as long as the scope. */
export const make = Effect.fnUntraced(function* (
  options: KernelOptions
): Effect.fn.Return<Kernel, PlatformFailed | MountFailed, Scope.Scope> {
  const runQueue = options.runQueue ?? new RunQueue()
  const services = yield* Layer.build(
    options.platform.pipe(
      Layer.provide(Layer.succeed(AfterBatch, { run: runQueue.drain, waits: runQueue.waits })),
      Layer.provide(Layer.succeed(CopyHints, (nr) => copyHint(linuxTable[nr]))),
      Layer.provide(Layer.succeed(FrameHint, frameReach))
    )
  )
  const platform = Context.get(services, Platform)
  const { machine } = options
  const vdsoPage = platform.counter === undefined ? undefined : yield* openPage
  const silentPage = vdsoPage && (yield* openPage)
  silentPage?.forgetCpu()
  const vdso =
    vdsoPage === undefined || silentPage === undefined
      ? undefined
      : yield* Effect.acquireRelease(
          Effect.sync(() => new Vdso(vdsoPage.fd, silentPage.fd)),
          (vdso) => Effect.sync(() => vdso.close())
        )
  const timekeeper =
    options.timekeeper ?? (platform.counter === "native" ? vdsoPage?.startClock() : undefined) ?? hostTimekeeper
  const timers = yield* Effect.acquireRelease(
    Effect.sync(() => new Timers(timekeeper)),
    (timers) => Effect.sync(() => timers.close())
  )
  const vfs = yield* Effect.acquireRelease(
    Effect.sync(() => new Vfs({ clock: fileClock(timekeeper.realtime) })),
    (vfs) => Effect.sync(() => vfs.dispose())
  )
  const exit = Deferred.makeUnsafe<ExitStatus, KernelFailed>()
  const fibers = new Set<Fiber.Fiber<void, PlatformFailed>>()
  let first: ThreadGroup | undefined
  const taskSet = new TaskSet()
  const features = platform.extendedState.features & ~AMX_FEATURES
  // without tiles the processor need not be asked: frames carry everything
  const frameSize = features === platform.extendedState.features ? platform.extendedState.size : xstateSize(features)

  const killAll = (): void => {
    for (const group of taskSet.groups.values()) {
      group.handlers.mutex.runSoon(() => killGroup(group, signaled(SIGKILL, false)))
    }
  }
  const fail = (report: string): void => {
    Deferred.doneUnsafe(exit, Exit.fail(new KernelFailed({ report })))
    killAll()
  }

  const actor = new Actor()
  const ipcBudget = new IpcBudget()
  const system: System = {
    platform,
    vfs,
    anonymous: new AnonymousFiles(timekeeper, timers),
    timekeeper,
    timers,
    entropy: options.entropy ?? hostEntropy,
    runQueue,
    taskSet,
    futexes: new FutexTable(),
    actor,
    ipcBudget,
    namespaces: firstNamespaces({
      hostname: options.hostname ?? "sandbox",
      timekeeper,
      actor,
      ipcBudget
    }),
    namespaceNumbers: new NamespaceNumbers(),
    namespaceFiles: new NamespaceFiles(vfs),
    syscalls: linuxTable,
    coreSettings: new CoreSettings(),
    seccompLog: new SeccompLog(),
    filterMemory: new FilterMemory(),
    version: { release: RELEASE, version: VERSION },
    bootTime: timekeeper.monotonic(),
    frameState: new FrameState(frameSize, features, platform.extendedState.size, platform.extendedState.mxcsrMask),
    hardware: readHardware(),
    cpuCount: machine?.cpuCount ?? processors,
    memorySize: machine === undefined ? memorySize : () => machine.memory,
    diskSpace: machine?.disk,
    vdso,
    vdsoPage,
    observer: options.observer,
    injector: options.injector,
    onEvent: options.onEvent ?? (() => {}),
    startTask: (task) => {
      const fiber = Effect.runFork(run(task), { scheduler: runQueue })
      fibers.add(fiber)
      fiber.addObserver((exit) => {
        fibers.delete(fiber)
        if (Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause)) {
          fail(`task ${task.tid} (${task.commandName}): ${Cause.pretty(exit.cause)}`)
        }
      })
    },
    onGroupEnded: (group) => {
      if (group !== first) return
      // through the run queue: whoever waits for the end must not run inside the exit path
      runQueue.schedule(() => {
        killAll()
        Deferred.doneUnsafe(exit, Exit.succeed(group.exitStatus!)) // an ended group has a status
      })
    }
  }
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      killAll()
      return Fiber.interruptAll([...fibers])
    })
  )
  const heapWatch = yield* SharedHeapWatch
  const heapUser = { weight: () => heapWeight(system), end: fail }
  yield* Effect.acquireRelease(
    Effect.sync(() => heapWatch.add(heapUser)),
    () => Effect.sync(() => heapWatch.delete(heapUser))
  )
  const devFs = yield* mountAll(system, options.mounts, options.credentials)

  const identity = { credentials: options.credentials, limits: options.limits ?? new ResourceLimits() }
  const start = Effect.fnUntraced(function* (program: StartOptions) {
    const task = yield* makeFirstTask(system, program, identity)
    for (const file of program.stdio) if (file instanceof HostStdio) devFs.addTerminal(file)
    first = task.threadGroup
    system.startTask(task)
    return task.threadGroup
  })

  return {
    system,
    start,
    signal: (signo) => {
      if (first === undefined) return
      // what a key makes goes to whoever is in the foreground, where the first program has a terminal
      const foreground = KEYBOARD.has(signo) ? devFs.devices.foregroundOf(first.processGroup.session.id) : undefined
      const target = taskSet.processGroups.get(foreground ?? first.processGroup.id) ?? first.processGroup
      for (const group of target.members) {
        sendToGroup(group, { _tag: "Kill", signo, code: SI_USER, pid: 0, uid: 0 })
      }
    },
    kill: killAll,
    exitStatus: Deferred.await(exit),
    usage: () => {
      const sum = noUsage()
      for (const group of first === undefined ? [] : [first, ...taskSet.groups.values()])
        addUsage(sum, groupUsage(group))
      return sum
    }
  }
})
