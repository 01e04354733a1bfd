/**
 * The list: every system call this kernel has, by family. What is absent answers ENOSYS and one event.
 */
import { invariant } from "../Sync/Invariant.ts"
import type { Syscall, SyscallTable } from "../Task/Syscall.ts"
import { sysDescriptor } from "./SysDescriptor.ts"
import { sysEpoll } from "./SysEpoll.ts"
import { sysEventFd } from "./SysEventFd.ts"
import { sysFutex } from "./SysFutex.ts"
import { sysIdentity } from "./SysIdentity.ts"
import { sysLock } from "./SysLock.ts"
import { sysMemory } from "./SysMemory.ts"
import { sysPipe } from "./SysPipe.ts"
import { sysPoll } from "./SysPoll.ts"
import { sysProcess } from "./SysProcess.ts"
import { sysReadWrite } from "./SysReadWrite.ts"
import { sysSignal } from "./SysSignal.ts"
import { sysSignalFd } from "./SysSignalFd.ts"
import { sysTime } from "./SysTime.ts"
import { sysWait } from "./SysWait.ts"

const families: ReadonlyArray<ReadonlyArray<Syscall>> = [
  sysDescriptor,
  sysEpoll,
  sysEventFd,
  sysFutex,
  sysIdentity,
  sysLock,
  sysMemory,
  sysPipe,
  sysPoll,
  sysProcess,
  sysReadWrite,
  sysSignal,
  sysSignalFd,
  sysTime,
  sysWait
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
