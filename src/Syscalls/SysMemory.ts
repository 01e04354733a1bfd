/**
 * Memory: mmap(2), munmap(2), mprotect(2), brk(2), mremap(2), madvise(2), msync(2), mincore(2), mlock(2).
 */
import { CAP_IPC_LOCK } from "../Abi/Capability.ts"
import { EBADF, EINVAL } from "../Abi/Errno.ts"
import { MAP_ANONYMOUS, MAP_NAMES, PROT_NAMES } from "../Abi/Mman.ts"
import { O_PATH } from "../Abi/OpenFlags.ts"
import { Reg } from "../Abi/Registers.ts"
import type { Requester } from "../Memory/MemoryManager.ts"
import { address, declare, fd, flags, hex, int, longFlags, size, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"

const requester = (task: Task): Requester => ({
  limits: task.threadGroup.limits,
  mayLock: hasCapability(task.credentials, CAP_IPC_LOCK)
})

export const memorySyscalls: ReadonlyArray<Syscall> = [
  declare(
    "mmap",
    [
      address("addr"),
      size("length"),
      flags("prot", PROT_NAMES, "PROT_NONE"),
      longFlags("flags", MAP_NAMES),
      fd("fd"),
      hex("offset")
    ],
    (task, at, length, protection, mapFlags, descriptor, offset) => {
      const anonymous = (mapFlags & MAP_ANONYMOUS) !== 0
      const file = anonymous ? undefined : task.fds.get(descriptor)
      if (offset % 4096 !== 0) return -EINVAL
      if (!anonymous && (file === undefined || (file.statusFlags & O_PATH) !== 0)) return -EBADF
      task.memoryManager.noteStackPointer(task.registers.ulong(Reg.rsp))
      const by = requester(task)
      return task.memoryManager.map({ address: at, length, protection, flags: mapFlags, file, offset, by })
    },
    { partial: "no huge pages (MAP_HUGETLB: ENOMEM), no MAP_DROPPABLE" }
  ),
  declare("munmap", [address("addr"), size("length")], (task, at, length) => task.memoryManager.unmap(at, length)),
  declare(
    "mprotect",
    [address("addr"), size("len"), flags("prot", PROT_NAMES, "PROT_NONE")],
    (task, at, length, protection) => task.memoryManager.protect(at, length, protection, requester(task))
  ),
  declare(
    "pkey_mprotect",
    [address("addr"), size("len"), flags("prot", PROT_NAMES, "PROT_NONE"), int("pkey")],
    (task, at, length, protection, key) =>
      key === -1 ? task.memoryManager.protect(at, length, protection, requester(task)) : -EINVAL,
    { partial: "only pkey -1: no protection keys" }
  ),
  declare("brk", [address("addr")], (task, at) => {
    if (at === 0) return task.memoryManager.brkEnd
    task.memoryManager.noteStackPointer(task.registers.ulong(Reg.rsp))
    return task.memoryManager.brk(at, requester(task))
  })
]
