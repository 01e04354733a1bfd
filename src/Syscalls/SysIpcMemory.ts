/**
 * System V shared memory: shmget(2), shmat(2), shmdt(2), shmctl(2).
 */
import * as Effect from "effect/Effect"
import { CAP_IPC_LOCK } from "../Abi/Capability.ts"
import { EACCES, EEXIST, EFAULT, EINVAL, ENOMEM, EPERM } from "../Abi/Errno.ts"
import {
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  SHM_EXEC,
  SHM_HUGETLB,
  SHM_INFO,
  SHM_LOCK,
  SHM_LOCKED,
  SHM_NAMES,
  SHM_RDONLY,
  SHM_REMAP,
  SHM_RND,
  SHM_STAT,
  SHM_STAT_ANY,
  SHM_UNLOCK,
  SHMALL,
  SHMCTL_NAMES,
  SHMGET_NAMES,
  SHMMAX,
  SHMMNI,
  ShmInfo,
  Shmid64Ds,
  Shminfo64
} from "../Abi/Ipc.ts"
import { MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_SHARED, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { RLIMIT_MEMLOCK } from "../Abi/Resource.ts"
import { obtain, obtainControl } from "../Ipc/IpcIds.ts"
import { Attachment, type Segment } from "../Ipc/SharedMemory.ts"
import { isPageAligned, pageAlign, pageStart } from "../Memory/AddressLayout.ts"
import { map } from "../Memory/MapRegion.ts"
import { type Result, address, declare, flags, hex, int, oneOf, size } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability, hasCapabilityIn } from "../Vfs/Credentials.ts"
import { memoryFile } from "../Vfs/MemoryFiles.ts"

const READ = 0o444
const WRITE = 0o222
const EXECUTE = 0o111

const segmentsOf = (task: Task) => task.namespaces.ipc.memory.segments

/** shmget(2). Never blocks. */
const shmget = (task: Task, key: number, length: number, options: number): Result => {
  const { credentials, namespaces, system, threadGroup } = task
  return namespaces.ipc.memory.open({
    key,
    size: length,
    flags: options,
    credentials,
    pid: threadGroup.tgid,
    makeFile: () => {
      if ((options & SHM_HUGETLB) !== 0) return hasCapability(credentials, CAP_IPC_LOCK) ? -ENOMEM : -EPERM
      if (length > task.memoryManager.commitLimit) return -ENOMEM
      const name = `SYSV${(key >>> 0).toString(16).padStart(8, "0")}`
      return memoryFile(system.vfs, task, name, options & 0o777)
    }
  })
}

/** Where a segment goes: an address and MAP_* bits, or -EINVAL. */
const placeOf = (at: number, options: number): { readonly address: number; readonly flags: number } | number => {
  const remaps = (options & SHM_REMAP) !== 0
  if (at === 0) return remaps ? -EINVAL : { address: 0, flags: MAP_SHARED }
  if (!isPageAligned(at) && (options & SHM_RND) === 0) return -EINVAL
  const start = pageStart(at)
  if (start === 0 && remaps) return -EINVAL
  return { address: start, flags: MAP_SHARED | (remaps ? MAP_FIXED : MAP_FIXED_NOREPLACE) }
}

/** shmat(2). Blocks as mmap does; not interruptible. */
const shmat = (task: Task, id: number, at: number, options: number): Result => {
  if (id < 0) return -EINVAL
  const place = placeOf(at, options)
  if (typeof place === "number") return place
  const writes = (options & SHM_RDONLY) === 0
  const executes = (options & SHM_EXEC) !== 0
  const wanted = READ | (writes ? WRITE : 0) | (executes ? EXECUTE : 0)
  const segment = obtain(segmentsOf(task), id, task.credentials, wanted)
  if (typeof segment === "number") return segment
  const attachment = new Attachment(segment, writes)
  const mapped = map(task.memoryManager, {
    ...place,
    length: segment.size,
    protection: PROT_READ | (writes ? PROT_WRITE : 0) | (executes ? PROT_EXEC : 0),
    file: attachment,
    offset: 0,
    by: task.requester
  })
  const finish = (result: number): number => {
    attachment.isMapping = false
    if (result < 0) return result === -EEXIST ? -EINVAL : result
    segment.noteAttach()
    segment.lastPid = task.threadGroup.tgid
    return result
  }
  return typeof mapped === "number" ? finish(mapped) : Effect.map(mapped, finish)
}

/** shmdt(2): unmaps what is left of the segment that was attached at `at`. Blocks as munmap does. */
const shmdt = (task: Task, at: number): Result => {
  if (!isPageAligned(at)) return -EINVAL
  const { memoryManager } = task
  return memoryManager.exclusive(
    Effect.gen(function* () {
      let found: Attachment | undefined
      for (const vma of [...memoryManager.vmas()]) {
        const object = vma.backing?.object
        if (vma.start < at || !(object instanceof Attachment) || vma.start - at !== vma.backing?.offset) continue
        if (found !== undefined && (object !== found || vma.end - at > pageAlign(found.segment.size))) continue
        found = object
        const result = yield* memoryManager.unmapExclusive(vma.start, vma.end)
        if (result < 0) return result
      }
      if (found === undefined) return -EINVAL
      found.segment.lastPid = task.threadGroup.tgid
      return 0
    })
  )
}

/** SHM_LOCK and SHM_UNLOCK: noted; the host swaps as it sees fit. */
const lock = (task: Task, id: number, locks: boolean): number => {
  const segment = id < 0 ? undefined : segmentsOf(task).find(id)
  if (segment === undefined) return -EINVAL
  const { credentials, threadGroup } = task
  if (!hasCapabilityIn(credentials, segment.userNamespace, CAP_IPC_LOCK)) {
    if (credentials.euid !== segment.uid && credentials.euid !== segment.cuid) return -EPERM
    if (locks && threadGroup.limits.soft(RLIMIT_MEMLOCK) === 0) return -EPERM
    if (locks && segment.size > threadGroup.limits.soft(RLIMIT_MEMLOCK)) return -ENOMEM
  }
  segment.mode = locks ? segment.mode | SHM_LOCKED : segment.mode & ~SHM_LOCKED
  return 0
}

const statusFor = (task: Task, segment: Segment): Shmid64Ds => {
  const status = segment.status(task.credentials.userNamespace)
  return { ...status, shm_cpid: idFor(task, status.shm_cpid), shm_lpid: idFor(task, status.shm_lpid) }
}

const status = (task: Task, command: number, id: number, buffer: number): number => {
  const segments = segmentsOf(task)
  const segment = command === IPC_STAT ? segments.find(id) : segments.at(id)
  if (segment === undefined) return -EINVAL
  if (command !== SHM_STAT_ANY && segment.denies(task.credentials, READ)) return -EACCES
  if (task.memory.copyOut(buffer, Shmid64Ds.encode(statusFor(task, segment))) < 0) return -EFAULT
  return command === IPC_STAT ? 0 : segment.id
}

const change = (task: Task, id: number, buffer: number): number => {
  const bytes = new Uint8Array(Shmid64Ds.size)
  if (task.memory.copyIn(buffer, bytes) < 0) return -EFAULT
  const segment = obtainControl(segmentsOf(task), id, task.credentials)
  if (typeof segment === "number") return segment
  const { memory } = task.namespaces.ipc
  return segment.change(Shmid64Ds.decode(bytes).shm_perm, memory.now(), task.credentials)
}

const limits = (): Uint8Array =>
  Shminfo64.encode({
    shmmax: SHMMAX,
    shmmin: 1n,
    shmmni: BigInt(SHMMNI),
    shmseg: BigInt(SHMMNI),
    shmall: SHMALL,
    unused1: 0n,
    unused2: 0n,
    unused3: 0n,
    unused4: 0n
  })

const usage = (task: Task): Uint8Array => {
  const { pages, segments } = task.namespaces.ipc.memory
  const resident = segments.all().reduce((sum: number, segment: Segment) => sum + segment.resident, 0)
  return ShmInfo.encode({
    used_ids: segments.size,
    shm_tot: pages,
    shm_rss: Math.ceil(resident / PAGE_SIZE),
    shm_swp: 0,
    swap_attempts: 0,
    swap_successes: 0
  })
}

/** shmctl(2). Never blocks. */
const shmctl = (task: Task, id: number, command: number, buffer: number): Result => {
  if (id < 0 || command < 0) return -EINVAL
  switch (command) {
    case IPC_INFO:
    case SHM_INFO:
      return task.memory.copyOut(buffer, command === IPC_INFO ? limits() : usage(task)) < 0
        ? -EFAULT
        : segmentsOf(task).highestIndex
    case IPC_STAT:
    case SHM_STAT:
    case SHM_STAT_ANY:
      return status(task, command, id, buffer)
    case IPC_SET:
      return change(task, id, buffer)
    case IPC_RMID: {
      const segment = obtainControl(segmentsOf(task), id, task.credentials)
      if (typeof segment === "number") return segment
      task.namespaces.ipc.memory.markRemoved(segment)
      return 0
    }
    case SHM_LOCK:
    case SHM_UNLOCK:
      return lock(task, id, command === SHM_LOCK)
    default:
      return -EINVAL
  }
}

export const sysIpcMemory = [
  declare(
    "shmget",
    [hex("key"), size("size"), flags("shmflg", SHMGET_NAMES)],
    (task, key, length, options) => shmget(task, key | 0, length, options),
    { partial: "4096 segments in the whole sandbox" }
  ),
  declare("shmat", [int("shmid"), address("shmaddr"), flags("shmflg", SHM_NAMES, "0")], shmat, {
    partial: "shm_lpid does not tell of munmap"
  }),
  declare("shmdt", [address("shmaddr")], shmdt),
  declare("shmctl", [int("shmid"), oneOf("cmd", SHMCTL_NAMES), address("buf")], shmctl, {
    partial: "SHM_LOCK is noted only"
  })
]
