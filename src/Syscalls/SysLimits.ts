/**
 * Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2), times(2).
 */
import { CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import {
  RLIMIT_CPU,
  RLIMIT_NAMES,
  RLIMIT_NOFILE,
  RLIMIT_STACK,
  RLIM_NLIMITS,
  RUSAGE_CHILDREN,
  RUSAGE_SELF,
  RUSAGE_THREAD,
  Rlimit,
  Rusage
} from "../Abi/Resource.ts"
import { Reg } from "../Abi/Registers.ts"
import { NANOS_PER_TICK, Tms } from "../Abi/Sysinfo.ts"
import { lowerStackLimit } from "../Memory/StackLimit.ts"
import { watchCpuLimit } from "../Task/CpuLimit.ts"
import { type Result, declare, oneOf, pid, struct } from "../Task/Syscall.ts"
import { findTaskOrSelf } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { type Usage, groupUsage, taskUsage } from "../Task/ThreadGroup.ts"
import { hasCapability, hasCapabilityIn } from "../Vfs/Credentials.ts"
import { rusageOf } from "./ResourceUsage.ts"

/** fs.nr_open: no limit on descriptors may exceed it. */
export const NR_OPEN = 1_048_576n

// ---------------------------------------------------------------------------------------------------------------------
// Limits
// ---------------------------------------------------------------------------------------------------------------------

/** A `struct rlimit` from guest memory, or -EFAULT. */
const readLimit = (task: Task, at: number): Rlimit | number => {
  const bytes = new Uint8Array(Rlimit.size)
  return task.memory.copyIn(at, bytes) < 0 ? -EFAULT : Rlimit.decode(bytes)
}

const isResource = (resource: number): boolean => resource >= 0 && resource < RLIM_NLIMITS

/** Sets a limit of `target`'s group as `task` may: 0, -EINVAL or -EPERM. */
const change = (task: Task, target: Task, resource: number, limit: Rlimit): number => {
  const { limits } = target.threadGroup
  if (limit.rlim_cur > limit.rlim_max) return -EINVAL
  if (resource === RLIMIT_NOFILE && limit.rlim_max > NR_OPEN) return -EPERM
  const raises = limit.rlim_max > limits.get(resource).rlim_max
  if (raises && !hasCapability(task.credentials, CAP_SYS_RESOURCE)) return -EPERM
  limits.set(resource, limit)
  if (resource === RLIMIT_CPU) watchCpuLimit(target.threadGroup, target.system)
  return 0
}

/** A stack that only one thread uses: of another's, nobody knows how far it reaches. */
const fitStack = (task: Task): Result => {
  const { memoryManager, registers, threadGroup } = task
  if (memoryManager.users > 1) return 0
  return lowerStackLimit(memoryManager, registers.ulong(Reg.rsp), threadGroup.limits.soft(RLIMIT_STACK))
}

const getrlimit = (task: Task, resource: number, at: number): Result =>
  isResource(resource) ? task.memory.copyOut(at, Rlimit.encode(task.threadGroup.limits.get(resource))) : -EINVAL

const setrlimit = (task: Task, resource: number, at: number): Result => {
  const limit = readLimit(task, at)
  if (typeof limit === "number") return limit
  if (!isResource(resource)) return -EINVAL
  const error = change(task, task, resource, limit)
  return error < 0 || resource !== RLIMIT_STACK ? error : fitStack(task)
}

/** prlimit(2): the caller's real ids must be all of the target's, or it has CAP_SYS_RESOURCE. */
const mayPrlimit = (task: Task, target: Task): boolean => {
  if (task === target) return true
  const { ruid, rgid } = task.credentials
  const other = target.credentials
  const sameIds =
    ruid === other.euid &&
    ruid === other.suid &&
    ruid === other.ruid &&
    rgid === other.egid &&
    rgid === other.sgid &&
    rgid === other.rgid
  return sameIds || hasCapabilityIn(task.credentials, other.userNamespace, CAP_SYS_RESOURCE)
}

const prlimit64 = (task: Task, id: number, resource: number, newAt: number, oldAt: number): Result => {
  const limit = newAt === 0 ? undefined : readLimit(task, newAt)
  if (typeof limit === "number") return limit
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  if (!mayPrlimit(task, target)) return -EPERM
  if (!isResource(resource)) return -EINVAL
  const old = target.threadGroup.limits.get(resource)
  const error = limit === undefined ? 0 : change(task, target, resource, limit)
  if (error < 0) return error
  const fault = oldAt === 0 ? 0 : task.memory.copyOut(oldAt, Rlimit.encode(old))
  return fault < 0 || limit === undefined || resource !== RLIMIT_STACK || target !== task ? fault : fitStack(task)
}

// ---------------------------------------------------------------------------------------------------------------------
// Usage
// ---------------------------------------------------------------------------------------------------------------------

const usageOf = (task: Task, who: number): Usage => {
  switch (who) {
    case RUSAGE_CHILDREN:
      return task.threadGroup.childUsage
    case RUSAGE_THREAD:
      return taskUsage(task)
    default:
      return groupUsage(task.threadGroup)
  }
}

const getrusage = (task: Task, who: number, at: number): Result => {
  if (who !== RUSAGE_SELF && who !== RUSAGE_CHILDREN && who !== RUSAGE_THREAD) return -EINVAL
  return task.memory.copyOut(at, Rusage.encode(rusageOf(usageOf(task, who))))
}

const times = (task: Task, at: number): Result => {
  const { user, system } = groupUsage(task.threadGroup)
  const { childUsage } = task.threadGroup
  const tms = {
    tms_utime: user / NANOS_PER_TICK,
    tms_stime: system / NANOS_PER_TICK,
    tms_cutime: childUsage.user / NANOS_PER_TICK,
    tms_cstime: childUsage.system / NANOS_PER_TICK
  }
  if (at !== 0 && task.memory.copyOut(at, Tms.encode(tms)) < 0) return -EFAULT
  return Number(task.system.timekeeper.monotonic() / NANOS_PER_TICK)
}

const RUSAGE_NAMES = Object.entries({ RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD })

export const sysLimits = [
  declare("getrlimit", [oneOf("resource", RLIMIT_NAMES), struct("rlim", "rlimit", "out")], getrlimit),
  declare("setrlimit", [oneOf("resource", RLIMIT_NAMES), struct("rlim", "rlimit", "in")], setrlimit),
  declare(
    "prlimit64",
    [
      pid("pid"),
      oneOf("resource", RLIMIT_NAMES),
      struct("new_limit", "rlimit", "in"),
      struct("old_limit", "rlimit", "out")
    ],
    prlimit64
  ),
  declare("getrusage", [oneOf("who", RUSAGE_NAMES), struct("usage", "rusage", "out")], getrusage, {
    partial: "ru_inblock and ru_oublock are zero"
  }),
  declare("times", [struct("buf", "tms", "out")], times)
]
