/**
 * What ptrace(2) says of a tracee's seccomp(2) filters, and does to them: what a checkpoint of it needs.
 */
import { SockFilter } from "../Abi/Bpf.ts"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EACCES, EFAULT, EINVAL, ENOENT, EPERM } from "../Abi/Errno.ts"
import { PTRACE_O_SUSPEND_SECCOMP } from "../Abi/Ptrace.ts"
import { SECCOMP_FILTER_FLAG_LOG } from "../Abi/Seccomp.ts"
import type { SeccompFilter } from "../Seccomp/SeccompFilter.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"

/** 0, or -EPERM for options that take privilege: nobody lifts filters who has some, or whose own are lifted. */
export const checkOptions = (task: Task, options: number): number => {
  if ((options & PTRACE_O_SUSPEND_SECCOMP) === 0) return 0
  const isBound = task.seccomp !== undefined || task.ptrace.hasOption(PTRACE_O_SUSPEND_SECCOMP)
  return isBound || !hasCapability(task.credentials, CAP_SYS_ADMIN) ? -EPERM : 0
}

/** Filter `index` of `target`, counted from the oldest on. */
const filterAt = (task: Task, target: Task, index: number): SeccompFilter | number => {
  if (task.seccomp !== undefined || !hasCapability(task.credentials, CAP_SYS_ADMIN)) return -EACCES
  const { seccomp } = target
  if (seccomp === undefined || seccomp === "Strict") return -EINVAL
  if (index < 0 || index >= seccomp.depth) return -ENOENT
  let filter = seccomp
  while (filter.depth > index + 1) filter = filter.previous! // the oldest has depth 1
  return filter
}

/** PTRACE_SECCOMP_GET_FILTER: how many instructions filter `index` has; `data`, if not 0, is where they go. */
export const getFilter = (task: Task, target: Task, index: number, data: number): number => {
  const filter = filterAt(task, target, index)
  if (typeof filter === "number") return filter
  const { bytes } = filter
  if (data !== 0 && task.memory.copyOut(data, bytes) < 0) return -EFAULT
  return bytes.length / SockFilter.size
}

/** `struct seccomp_metadata`, and its first field. */
const METADATA_SIZE = 16
const INDEX_SIZE = 8

/** PTRACE_SECCOMP_GET_METADATA: with which flags the filter was made whose index is in the structure. */
export const getMetadata = (task: Task, target: Task, length: number, data: number): number => {
  if (task.seccomp !== undefined || !hasCapability(task.credentials, CAP_SYS_ADMIN)) return -EACCES
  const size = Math.min(length, METADATA_SIZE)
  if (size < INDEX_SIZE) return -EINVAL
  const bytes = new Uint8Array(METADATA_SIZE)
  if (task.memory.copyIn(data, bytes.subarray(0, INDEX_SIZE)) < 0) return -EFAULT
  const view = new DataView(bytes.buffer)
  const filter = filterAt(task, target, Number(view.getBigUint64(0, true)))
  if (typeof filter === "number") return filter
  view.setBigUint64(INDEX_SIZE, BigInt(filter.logs ? SECCOMP_FILTER_FLAG_LOG : 0), true)
  return task.memory.copyOut(data, bytes.subarray(0, size)) < 0 ? -EFAULT : size
}
