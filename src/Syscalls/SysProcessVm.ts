/**
 * Looking into other processes: process_vm_readv(2), process_vm_writev(2), kcmp(2).
 */
import { EBADF, EFAULT, EINVAL, ENOENT, EPERM, ESRCH } from "../Abi/Errno.ts"
import { mayInspectReally } from "../Task/ProcSubject.ts"
import { address, declare, hex, oneOf, pid, type Result, size, type Syscall } from "../Task/Syscall.ts"
import { findTask } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { EpollDescription } from "../Vfs/Epoll.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { TRANSFER_SIZE, transferBuffer, userVector } from "./UserVector.ts"

/** Copies between the caller's buffers and those of process `id`, as far as both reach. */
const transfer = (
  task: Task,
  id: number,
  local: readonly [at: number, count: number],
  remote: readonly [at: number, count: number],
  bits: number,
  direction: "read" | "write"
): Result => {
  if (bits !== 0) return -EINVAL
  const own = userVector(task.memory, ...local)
  if (typeof own === "number") return own
  if (own.length === 0) return 0
  const target = findTask(task, id)
  const theirs = userVector(task.memory, ...remote, (target ?? task).memory)
  if (typeof theirs === "number") return theirs
  if (theirs.length === 0) return 0
  if (target === undefined || target.threadGroup.state !== "Alive") return -ESRCH
  if (!mayInspectReally(task, target)) return -EPERM
  const [from, to] = direction === "read" ? [theirs, own] : [own, theirs]
  const total = Math.min(own.length, theirs.length)
  let done = 0
  while (done < total) {
    const chunk = transferBuffer.subarray(0, Math.min(total - done, TRANSFER_SIZE))
    const taken = from.copyIn(done, chunk)
    if (taken <= 0) return done > 0 ? done : -EFAULT
    const given = to.copyOut(done, chunk.subarray(0, taken))
    if (given <= 0) return done > 0 ? done : -EFAULT
    done += given
    if (given < chunk.length) break
  }
  return done
}

const ARGUMENTS = [
  pid("pid"),
  address("local_iov"),
  size("liovcnt"),
  address("remote_iov"),
  size("riovcnt"),
  hex("flags")
] as const

// ---- kcmp

const KCMP_NAMES = Object.entries({
  KCMP_FILE: 0,
  KCMP_VM: 1,
  KCMP_FILES: 2,
  KCMP_FS: 3,
  KCMP_SIGHAND: 4,
  KCMP_IO: 5,
  KCMP_SYSVSEM: 6,
  KCMP_EPOLL_TFD: 7
})

/** `struct kcmp_epoll_slot`: the file behind the `toff`th registration of descriptor `tfd`; or -errno. */
const epollTarget = (task: Task, owner: Task, at: number): OpenFileDescription | number => {
  const bytes = new Uint8Array(12)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const [efd = 0, tfd = 0, offset = 0] = new Uint32Array(bytes.buffer)
  const epoll = owner.fds.get(efd)
  if (epoll === undefined) return -EBADF
  if (!(epoll instanceof EpollDescription)) return -EINVAL
  return epoll.filesAt(tfd)[offset] ?? -ENOENT
}

/** 0: the same; 1 or 2: the one or the other comes first in an order that means nothing. */
const compare = (task: Task, a: object, b: object): number => {
  if (a === b) return 0
  const { identities } = task.system.taskSet
  return identities.of(a) < identities.of(b) ? 1 : 2
}

const kcmp = (task: Task, firstId: number, secondId: number, type: number, a: number, b: number): Result => {
  const { tasks } = task.system.taskSet
  const first = tasks.get(firstId)
  const second = tasks.get(secondId)
  if (first === undefined || second === undefined) return -ESRCH
  if (!mayInspectReally(task, first) || !mayInspectReally(task, second)) return -EPERM
  const file = type === 0 || type === 7 ? first.fds.get(a) : undefined
  switch (type) {
    case 0: {
      const other = second.fds.get(b)
      return file === undefined || other === undefined ? -EBADF : compare(task, file, other)
    }
    case 1:
      return compare(task, first.memoryManager, second.memoryManager)
    case 2:
      return compare(task, first.fds, second.fds)
    case 3:
      return compare(task, first.fs, second.fs)
    case 4:
      return compare(task, first.threadGroup.handlers, second.threadGroup.handlers)
    case 5:
    case 6:
      return 0 // nobody has any
    case 7: {
      if (file === undefined) return -EBADF
      const target = epollTarget(task, second, b)
      return typeof target === "number" ? target : compare(task, file, target)
    }
    default:
      return -EINVAL
  }
}

export const sysProcessVm: ReadonlyArray<Syscall> = [
  declare("process_vm_readv", ARGUMENTS, (task, id, local, localCount, remote, remoteCount, bits) =>
    transfer(task, id, [local, localCount], [remote, remoteCount], bits, "read")
  ),
  declare("process_vm_writev", ARGUMENTS, (task, id, local, localCount, remote, remoteCount, bits) =>
    transfer(task, id, [local, localCount], [remote, remoteCount], bits, "write")
  ),
  declare("kcmp", [pid("pid1"), pid("pid2"), oneOf("type", KCMP_NAMES), hex("idx1"), hex("idx2")], kcmp, {
    partial: "KCMP_IO and KCMP_SYSVSEM are always equal"
  })
]
