/**
 * What the tasks of one sandbox have in common: the services that a system call handler reaches through its task.
 * Assembled by src/Kernel.ts; owns no logic.
 */
import type { IpcBudget } from "../Ipc/IpcBudget.ts"
import type { Actor } from "../Ipc/SharedMemory.ts"
import type { Hardware } from "../Loader/InitialStack.ts"
import type { Vdso } from "../Loader/Vdso.ts"
import type * as Platform from "../Platform/Platform.ts"
import type { FilterMemory } from "../Seccomp/FilterMemory.ts"
import type { SeccompLog } from "../Seccomp/SeccompLog.ts"
import type { FrameState } from "../Signals/SignalFrame.ts"
import type { RunQueue } from "../Sync/RunQueue.ts"
import type { Entropy } from "../Time/Entropy.ts"
import type { Timekeeper } from "../Time/Timekeeper.ts"
import type { Timers } from "../Time/Timers.ts"
import type { VdsoPage } from "../Time/VdsoPage.ts"
import type { AnonymousFiles } from "../Vfs/AnonymousFiles.ts"
import type { FilesystemSpace } from "../Vfs/Filesystem.ts"
import type { NamespaceNumbers } from "../Vfs/Namespace.ts"
import type { Vfs } from "../Vfs/Vfs.ts"
import type { CoreSettings } from "./CoreSettings.ts"
import type { FutexTable } from "./FutexTable.ts"
import type { MemorySize } from "./HostFacts.ts"
import type { NamespaceFiles } from "./NamespaceFiles.ts"
import type { Namespaces } from "./Namespaces.ts"
import type { SyscallTable } from "./Syscall.ts"
import type { SyscallInjector } from "./SyscallInjector.ts"
import type { SyscallObserver } from "./SyscallObserver.ts"
import type { Task } from "./Task.ts"
import type { TaskSet } from "./TaskSet.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** Something that whoever runs the sandbox may want to know. */
export type KernelEvent =
  | {
      readonly _tag: "UnimplementedSyscall"
      readonly nr: number
      /** "syscall_999" where x86-64 has no such call. */
      readonly name: string
      readonly tid: number
    }
  /** A seccomp(2) filter of the guest's did something to a call that Linux would write to its audit log. */
  | {
      readonly _tag: "SeccompAction"
      /** As /proc/sys/kernel/seccomp/actions_avail names it. */
      readonly action: string
      readonly nr: number
      readonly tid: number
    }

/** What uname(2) says of the kernel. */
export interface KernelVersion {
  readonly release: string
  readonly version: string
}

export interface System {
  readonly platform: Platform.Platform["Service"]
  readonly vfs: Vfs
  /** What pipes, sockets and other files without a name share. */
  readonly anonymous: AnonymousFiles
  readonly timekeeper: Timekeeper
  readonly timers: Timers
  readonly entropy: Entropy
  readonly runQueue: RunQueue
  readonly taskSet: TaskSet
  readonly futexes: FutexTable
  /** On whose behalf mappings of System V shared memory change. */
  readonly actor: Actor
  readonly ipcBudget: IpcBudget
  /** The first of each kind. */
  readonly namespaces: Namespaces
  readonly namespaceNumbers: NamespaceNumbers
  readonly namespaceFiles: NamespaceFiles
  readonly syscalls: SyscallTable
  readonly version: KernelVersion
  readonly coreSettings: CoreSettings
  readonly seccompLog: SeccompLog
  readonly filterMemory: FilterMemory
  /** CLOCK_MONOTONIC when the sandbox started. */
  readonly bootTime: bigint
  readonly frameState: FrameState
  /** What the auxiliary vector says of the processor. */
  readonly hardware: Hardware
  /** What is mapped into every program, and the page that it reads; undefined where no machine code runs. */
  readonly vdso: Vdso | undefined
  readonly vdsoPage: VdsoPage | undefined
  /** Processors that the sandbox shows. */
  readonly cpuCount: number
  /** Memory that the sandbox shows, bytes. */
  readonly memorySize: () => MemorySize
  /** What it shows of the space on the host's filesystems; undefined for what the host says. */
  readonly diskSpace: FilesystemSpace | undefined
  readonly observer: SyscallObserver | undefined
  readonly injector: SyscallInjector | undefined
  readonly onEvent: (event: KernelEvent) => void
  /** Starts a task's fiber. A failure of it ends the sandbox with a report. */
  readonly startTask: (task: Task) => void
  /** A thread group has just lost its last task; its `exitStatus` is set. The first program's end ends the sandbox. */
  readonly onGroupEnded: (group: ThreadGroup) => void
}
