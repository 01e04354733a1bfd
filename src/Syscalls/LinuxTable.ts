/**
 * The list: every system call this kernel has, by family. What is absent answers ENOSYS and one event.
 */
import { invariant } from "../Sync/Invariant.ts"
import type { Syscall, SyscallTable } from "../Task/Syscall.ts"
import { sysAdjustTime } from "./SysAdjustTime.ts"
import { sysAio } from "./SysAio.ts"
import { sysAttributes } from "./SysAttributes.ts"
import { sysCapability } from "./SysCapability.ts"
import { sysDescriptor } from "./SysDescriptor.ts"
import { sysDirectory } from "./SysDirectory.ts"
import { sysEpoll } from "./SysEpoll.ts"
import { sysEventFd } from "./SysEventFd.ts"
import { sysFilesystem } from "./SysFilesystem.ts"
import { sysFutex } from "./SysFutex.ts"
import { sysIdentity } from "./SysIdentity.ts"
import { sysInotify } from "./SysInotify.ts"
import { sysIpcMemory } from "./SysIpcMemory.ts"
import { sysIpcMessage } from "./SysIpcMessage.ts"
import { sysIpcSemaphore } from "./SysIpcSemaphore.ts"
import { sysLimits } from "./SysLimits.ts"
import { sysLock } from "./SysLock.ts"
import { sysMembarrier } from "./SysMembarrier.ts"
import { sysMemory } from "./SysMemory.ts"
import { sysMount } from "./SysMount.ts"
import { sysMountTree } from "./SysMountTree.ts"
import { sysNuma } from "./SysNuma.ts"
import { sysOpen } from "./SysOpen.ts"
import { sysPath } from "./SysPath.ts"
import { sysNamespace } from "./SysNamespace.ts"
import { sysPidFd } from "./SysPidFd.ts"
import { sysPipe } from "./SysPipe.ts"
import { sysPoll } from "./SysPoll.ts"
import { sysPosixQueue } from "./SysPosixQueue.ts"
import { sysPrctl } from "./SysPrctl.ts"
import { sysPriority } from "./SysPriority.ts"
import { sysProcess } from "./SysProcess.ts"
import { sysProcessVm } from "./SysProcessVm.ts"
import { sysPtrace } from "./SysPtrace.ts"
import { sysReadWrite } from "./SysReadWrite.ts"
import { sysRseq } from "./SysRseq.ts"
import { sysScheduler } from "./SysScheduler.ts"
import { sysSeccomp } from "./SysSeccomp.ts"
import { sysSignal } from "./SysSignal.ts"
import { sysSignalFd } from "./SysSignalFd.ts"
import { sysSocket } from "./SysSocket.ts"
import { sysSocketMessage } from "./SysSocketMessage.ts"
import { sysSocketOption } from "./SysSocketOption.ts"
import { sysSplice } from "./SysSplice.ts"
import { sysStat } from "./SysStat.ts"
import { sysSystem } from "./SysSystem.ts"
import { sysTime } from "./SysTime.ts"
import { sysTimer } from "./SysTimer.ts"
import { sysWait } from "./SysWait.ts"
import { sysXattr } from "./SysXattr.ts"

const families: ReadonlyArray<ReadonlyArray<Syscall>> = [
  sysAdjustTime,
  sysAio,
  sysAttributes,
  sysCapability,
  sysDescriptor,
  sysDirectory,
  sysEpoll,
  sysEventFd,
  sysFilesystem,
  sysFutex,
  sysIdentity,
  sysInotify,
  sysIpcMemory,
  sysIpcMessage,
  sysIpcSemaphore,
  sysLimits,
  sysLock,
  sysMembarrier,
  sysMemory,
  sysMount,
  sysMountTree,
  sysNuma,
  sysOpen,
  sysPath,
  sysNamespace,
  sysPidFd,
  sysPipe,
  sysPoll,
  sysPosixQueue,
  sysPrctl,
  sysPriority,
  sysProcess,
  sysProcessVm,
  sysPtrace,
  sysReadWrite,
  sysRseq,
  sysScheduler,
  sysSeccomp,
  sysSignal,
  sysSignalFd,
  sysSocket,
  sysSocketMessage,
  sysSocketOption,
  sysSplice,
  sysStat,
  sysSystem,
  sysTime,
  sysTimer,
  sysWait,
  sysXattr
]

/** By number. */
export const linuxTable: SyscallTable = (() => {
  const table: Array<Syscall | undefined> = []
  for (const syscall of families.flat()) {
    invariant(table[syscall.nr] === undefined, `${syscall.name} is declared twice`)
    table[syscall.nr] = syscall
  }
  return table
})()
