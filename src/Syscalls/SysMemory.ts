/**
 * Memory: mmap(2), munmap(2), mprotect(2), brk(2), mremap(2), madvise(2), msync(2), mincore(2), mlock(2).
 */
import { EBADF, EFAULT, EINVAL, ENOMEM } from "../Abi/Errno.ts"
import {
  MADV_NAMES,
  MAP_ANONYMOUS,
  MAP_NAMES,
  MCL_NAMES,
  MLOCK_NAMES,
  MREMAP_NAMES,
  MS_NAMES,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_NAMES,
  PROT_READ
} from "../Abi/Mman.ts"
import { O_PATH } from "../Abi/OpenFlags.ts"
import { Reg } from "../Abi/Registers.ts"
import { isPageAligned, pageAlign } from "../Memory/AddressLayout.ts"
import { advise, synchronize } from "../Memory/AdviseRegion.ts"
import { lock, lockAll, seal, unlock, unlockAll } from "../Memory/LockRegion.ts"
import { map, remapPages, unmap } from "../Memory/MapRegion.ts"
import { setBreak } from "../Memory/ProgramBreak.ts"
import { protect } from "../Memory/ProtectRegion.ts"
import { remap } from "../Memory/RemapRegion.ts"
import {
  address,
  bufferOut,
  declare,
  fd,
  flags,
  hex,
  int,
  longFlags,
  oneOf,
  size,
  type Syscall
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** Residency bytes copied out at a time. */
const RESIDENT = new Uint8Array(PAGE_SIZE).fill(1)

/** The stack is known to reach down to here: what is accounted, and shown in /proc, follows. */
const noteStack = (task: Task): void => task.memoryManager.noteStackPointer(task.registers.ulong(Reg.rsp))

/** personality(2) */
const READ_IMPLIES_EXEC = 0x40_0000

const impliedProtection = ({ personality }: Task, prot: number): number =>
  (personality & READ_IMPLIES_EXEC) !== 0 && (prot & PROT_READ) !== 0 ? prot | PROT_EXEC : prot

/** Linux's own filesystems, of what has no name, execute nothing; a host's file among the standard streams is none of them. */
const isNeverExecuted = (file: OpenFileDescription): boolean => {
  const place = file.location()
  return place === undefined ? typeof file.mappable() === "number" : place.mount.noExecute
}

const ulongFlags = hex("flags")
const protection = flags("prot", PROT_NAMES, "PROT_NONE")

export const sysMemory: ReadonlyArray<Syscall> = [
  declare(
    "mmap",
    [address("addr"), size("length"), protection, longFlags("flags", MAP_NAMES), fd("fd"), hex("offset")],
    (task, at, length, prot, mapFlags, descriptor, offset) => {
      if (task.registers.uint(Reg.r9) % PAGE_SIZE !== 0) return -EINVAL // a large `offset` is rounded
      const anonymous = (mapFlags & MAP_ANONYMOUS) !== 0
      const file = anonymous ? undefined : task.fds.get(descriptor)
      if (!anonymous && (file === undefined || (file.statusFlags & O_PATH) !== 0)) return -EBADF
      noteStack(task)
      const { memoryManager, requester } = task
      return map(memoryManager, {
        address: at,
        length,
        protection: impliedProtection(task, prot),
        flags: mapFlags,
        file,
        offset: anonymous ? 0 : offset,
        noExecute: file !== undefined && isNeverExecuted(file),
        by: requester
      })
    },
    { partial: "no huge pages (MAP_HUGETLB: ENOMEM), no MAP_DROPPABLE" }
  ),
  declare("munmap", [address("addr"), size("length")], (task, at, length) => unmap(task.memoryManager, at, length)),
  declare("mprotect", [address("addr"), size("len"), protection], (task, at, length, prot) =>
    protect(task.memoryManager, at, length, impliedProtection(task, prot), task.requester)
  ),
  declare(
    "pkey_mprotect",
    [address("addr"), size("len"), protection, int("pkey")],
    (task, at, length, prot, key) =>
      key === -1 ? protect(task.memoryManager, at, length, prot, task.requester) : -EINVAL,
    { partial: "no protection keys: only pkey -1" }
  ),
  declare("brk", [address("addr")], (task, at) => {
    if (at === 0) return task.memoryManager.brkEnd
    noteStack(task)
    return setBreak(task.memoryManager, at, task.requester)
  }),
  declare(
    "mremap",
    [
      address("old_address"),
      size("old_size"),
      size("new_size"),
      longFlags("flags", MREMAP_NAMES, "0"),
      address("new_address")
    ],
    (task, at, oldLength, newLength, remapFlags, newAddress) =>
      remap(task.memoryManager, {
        address: at,
        oldLength,
        newLength,
        flags: remapFlags,
        newAddress,
        by: task.requester
      })
  ),
  declare(
    "madvise",
    [address("addr"), size("length"), oneOf("advice", MADV_NAMES)],
    (task, at, length, advice) => advise(task.memoryManager, at, length, advice),
    { partial: "hints on readahead, reclaim and merging have no effect" }
  ),
  declare("msync", [address("addr"), size("length"), flags("flags", MS_NAMES)], (task, at, length, syncFlags) =>
    synchronize(task.memoryManager, at, length, syncFlags)
  ),
  declare(
    "mincore",
    [address("addr"), size("length"), bufferOut("vec")],
    (task, at, length, vector) => {
      const { areas, layout } = task.memoryManager
      if (!isPageAligned(at)) return -EINVAL
      if (at > layout.taskSize || length > layout.taskSize - at) return -ENOMEM
      const end = at + pageAlign(length)
      let reached = at
      for (const vma of areas.overlapping(at, end)) if (vma.start <= reached) reached = vma.end
      const pages = (Math.min(reached, end) - at) / PAGE_SIZE
      for (let done = 0; done < pages; done += RESIDENT.length) {
        const part = RESIDENT.subarray(0, Math.min(RESIDENT.length, pages - done))
        if (task.memory.copyOut(vector + done, part) < 0) return -EFAULT
      }
      return reached < end ? -ENOMEM : 0
    },
    { partial: "every mapped page is resident" }
  ),
  declare("mseal", [address("addr"), size("length"), ulongFlags], (task, at, length, flagBits) =>
    flagBits === 0 ? seal(task.memoryManager, at, length) : -EINVAL
  ),
  declare(
    "remap_file_pages",
    [
      address("addr"),
      size("size"),
      longFlags("prot", PROT_NAMES, "0"),
      size("pgoff"),
      longFlags("flags", MAP_NAMES, "0")
    ],
    (task, at, length, prot, page) => (prot === 0 ? remapPages(task.memoryManager, at, length, page) : -EINVAL),
    { partial: "only within one mapping, of a file: shared anonymous memory gives EINVAL" }
  ),
  declare(
    "mlock",
    [address("addr"), size("len")],
    (task, at, length) => lock(task.memoryManager, at, length, 0, task.requester),
    { ignored: "accounted, but the host's memory is not locked" }
  ),
  declare(
    "mlock2",
    [address("addr"), size("len"), flags("flags", MLOCK_NAMES, "0")],
    (task, at, length, lockFlags) => lock(task.memoryManager, at, length, lockFlags, task.requester),
    { ignored: "accounted, but the host's memory is not locked" }
  ),
  declare("munlock", [address("addr"), size("len")], (task, at, length) => unlock(task.memoryManager, at, length)),
  declare(
    "mlockall",
    [flags("flags", MCL_NAMES)],
    (task, lockFlags) => lockAll(task.memoryManager, lockFlags, task.requester),
    { ignored: "accounted, but the host's memory is not locked" }
  ),
  declare("munlockall", [], (task) => unlockAll(task.memoryManager))
]
