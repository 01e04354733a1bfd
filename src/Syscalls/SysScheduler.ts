/**
 * Scheduling: policies, real-time priorities, affinity. All of it is kept, checked and reported as
 * Linux does; none of it changes how the host schedules the guest's threads.
 */
import { CAP_SYS_NICE } from "../Abi/Capability.ts"
import { E2BIG, EBUSY, EFAULT, EINVAL, EOPNOTSUPP, EPERM, ESRCH } from "../Abi/Errno.ts"
import { RLIMIT_RTPRIO } from "../Abi/Resource.ts"
import {
  SCHED_ATTR_SIZE_VER0,
  SCHED_BATCH,
  SCHED_DEADLINE,
  SCHED_FLAG_ALL,
  SCHED_FLAG_KEEP_PARAMS,
  SCHED_FLAG_KEEP_POLICY,
  SCHED_FLAG_RESET_ON_FORK,
  SCHED_FLAG_UTIL_CLAMP_MAX,
  SCHED_FLAG_UTIL_CLAMP_MIN,
  SCHED_IDLE,
  SCHED_NAMES,
  SCHED_OTHER,
  SCHED_RESET_ON_FORK,
  SCHED_RR,
  SchedAttr
} from "../Abi/Sched.ts"
import { Timespec, timespecOfNanos } from "../Abi/Time.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import { affinityOf, allowsNice, clampNice, cpuOf, isRealTime } from "../Task/Scheduling.ts"
import { type Result, address, declare, oneOf, pid, struct, uint } from "../Task/Syscall.ts"
import { findTaskOrSelf } from "../Task/PidLookup.ts"
import { doneOutside } from "../Task/TaskRseq.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability, hasCapabilityIn } from "../Vfs/Credentials.ts"

const isCapable = (task: Task): boolean => hasCapability(task.credentials, CAP_SYS_NICE)

/** The effective user of `task` is the effective or real user of `target`. */
const isOwner = ({ credentials }: Task, target: Task): boolean =>
  credentials.euid === target.credentials.euid || credentials.euid === target.credentials.ruid

// ---------------------------------------------------------------------------------------------------------------------
// Policies
// ---------------------------------------------------------------------------------------------------------------------

const MAX_PRIORITY = 99
const ROUND_ROBIN_INTERVAL = 100_000_000n

const isFair = (policy: number): boolean => policy === SCHED_OTHER || policy === SCHED_BATCH
const isKnown = (policy: number): boolean => isFair(policy) || isRealTime(policy) || policy === SCHED_IDLE

/** What is asked for. */
interface Wanted {
  readonly policy: number
  readonly priority: number
  readonly nice: number
  readonly resetOnFork: boolean
  readonly slice: number
}

/** Whether `task` may give `target` what is wanted without CAP_SYS_NICE. */
const mayUnprivileged = (task: Task, target: Task, wanted: Wanted): boolean => {
  const { niceness, scheduling, threadGroup } = target
  if (isFair(wanted.policy) && wanted.nice < niceness && !allowsNice(target, wanted.nice)) return false
  if (isRealTime(wanted.policy)) {
    const limit = threadGroup.limits.soft(RLIMIT_RTPRIO)
    if (wanted.policy !== scheduling.policy && limit === 0) return false
    if (wanted.priority > scheduling.priority && wanted.priority > limit) return false
  }
  if (scheduling.policy === SCHED_IDLE && wanted.policy !== SCHED_IDLE && !allowsNice(target, niceness)) return false
  if (!isOwner(task, target)) return false
  return !scheduling.resetOnFork || wanted.resetOnFork
}

const setScheduling = (task: Task, target: Task, wanted: Wanted): number => {
  if (!isKnown(wanted.policy)) return -EINVAL
  if (wanted.priority > MAX_PRIORITY || isRealTime(wanted.policy) !== (wanted.priority !== 0)) return -EINVAL
  if (!isCapable(task) && !mayUnprivileged(task, target, wanted)) return -EPERM
  const { policy, priority, resetOnFork, slice } = wanted
  target.scheduling = { ...target.scheduling, policy, priority, resetOnFork, slice }
  if (isFair(policy)) target.niceness = wanted.nice
  return 0
}

/** `struct sched_param` is one int: the priority; or -EFAULT as undefined. */
const readPriority = (task: Task, at: number): number | undefined => {
  const priority = task.memory.readU32(at)
  return priority === -EFAULT ? undefined : priority
}

/** sched_setscheduler(2); a policy of undefined keeps the one there is (sched_setparam(2)). */
const setScheduler = (task: Task, id: number, policy: number | undefined, param: number): Result => {
  if (param === 0 || id < 0) return -EINVAL
  const priority = readPriority(task, param)
  if (priority === undefined) return -EFAULT
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const { niceness, scheduling } = target
  return setScheduling(task, target, {
    policy: policy === undefined ? scheduling.policy : policy & ~SCHED_RESET_ON_FORK,
    priority,
    nice: niceness,
    resetOnFork: policy === undefined ? scheduling.resetOnFork : (policy & SCHED_RESET_ON_FORK) !== 0,
    slice: 0
  })
}

const sched_setscheduler = (task: Task, id: number, policy: number, param: number): Result =>
  policy < 0 ? -EINVAL : setScheduler(task, id, policy, param)

const sched_setparam = (task: Task, id: number, param: number): Result => setScheduler(task, id, undefined, param)

const sched_getscheduler = (task: Task, id: number): Result => {
  if (id < 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const { policy, resetOnFork } = target.scheduling
  return resetOnFork ? policy | SCHED_RESET_ON_FORK : policy
}

const sched_getparam = (task: Task, id: number, param: number): Result => {
  if (param === 0 || id < 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  return target === undefined ? -ESRCH : task.memory.writeU32(param, target.scheduling.priority)
}

/** The bounds of a policy's priorities, or -EINVAL. */
const bound = (policy: number, realTime: number): number => {
  if (isRealTime(policy)) return realTime
  return SCHED_NAMES.some(([, value]) => value === policy) ? 0 : -EINVAL
}

const sched_rr_get_interval = (task: Task, id: number, at: number): Result => {
  if (id < 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const interval = target.scheduling.policy === SCHED_RR ? ROUND_ROBIN_INTERVAL : 0n
  return task.memory.copyOut(at, Timespec.encode(timespecOfNanos(interval)))
}

/** The slice of a task that asked for none, nanoseconds: 0.7 ms, longer with up to eight CPUs. */
const baseSlice = (cpuCount: number): number => 700_000 * (1 + Math.floor(Math.log2(Math.min(cpuCount, 8))))

const sched_getattr = (task: Task, id: number, at: number, size: number, flags: number): Result => {
  if (at === 0 || id < 0 || size > PAGE_SIZE || size < SCHED_ATTR_SIZE_VER0 || flags !== 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const { policy, priority, resetOnFork, slice } = target.scheduling
  const known = Math.min(size, SchedAttr.size)
  const bytes = new Uint8Array(size)
  const attr = SchedAttr.encode({
    size: known,
    sched_policy: policy,
    sched_flags: resetOnFork ? BigInt(SCHED_FLAG_RESET_ON_FORK) : 0n,
    sched_nice: isRealTime(policy) ? 0 : target.niceness,
    sched_priority: priority,
    sched_runtime: isRealTime(policy) ? 0n : BigInt(slice === 0 ? baseSlice(task.system.cpuCount) : slice),
    sched_deadline: 0n,
    sched_period: 0n,
    sched_util_min: 0,
    sched_util_max: 0
  })
  bytes.set(attr.subarray(0, known))
  return task.memory.copyOut(at, bytes)
}

/** The attributes at `at`. A size that is not ours is -E2BIG, and ours is written there. */
const readAttr = (task: Task, at: number): SchedAttr | number => {
  const given = task.memory.readU32(at)
  if (given === -EFAULT) return -EFAULT
  const size = given === 0 ? SCHED_ATTR_SIZE_VER0 : given
  const tooBig = (): number => {
    task.memory.writeU32(at, SchedAttr.size)
    return -E2BIG
  }
  if (size < SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE) return tooBig()
  const bytes = new Uint8Array(Math.max(size, SchedAttr.size))
  if (task.memory.copyIn(at, bytes.subarray(0, size)) < 0) return -EFAULT
  return bytes.subarray(SchedAttr.size).some((byte) => byte !== 0) ? tooBig() : SchedAttr.decode(bytes)
}

const SHORTEST_SLICE = 100_000
const LONGEST_SLICE = 100_000_000

const sched_setattr = (task: Task, id: number, at: number, flags: number): Result => {
  if (at === 0 || id < 0 || flags !== 0) return -EINVAL
  const attr = readAttr(task, at)
  if (typeof attr === "number") return attr
  if ((attr.sched_policy | 0) < 0 || (attr.sched_flags & ~BigInt(SCHED_FLAG_ALL)) !== 0n) return -EINVAL
  const bits = Number(attr.sched_flags)
  if ((bits & (SCHED_FLAG_UTIL_CLAMP_MIN | SCHED_FLAG_UTIL_CLAMP_MAX)) !== 0) return -EOPNOTSUPP
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const { niceness, scheduling } = target
  const policy = (bits & SCHED_FLAG_KEEP_POLICY) !== 0 ? scheduling.policy : attr.sched_policy
  if (policy === SCHED_DEADLINE) {
    if (attr.sched_runtime === 0n || attr.sched_deadline === 0n) return -EINVAL
    return isCapable(task) ? -EBUSY : -EPERM // nothing can be promised: as where too little bandwidth is left
  }
  const keep = (bits & SCHED_FLAG_KEEP_PARAMS) !== 0
  const runtime = Number(attr.sched_runtime)
  return setScheduling(task, target, {
    policy,
    priority: keep ? scheduling.priority : attr.sched_priority,
    nice: keep ? niceness : clampNice(attr.sched_nice),
    resetOnFork: (bits & SCHED_FLAG_RESET_ON_FORK) !== 0,
    slice: keep || runtime === 0 ? 0 : Math.min(LONGEST_SLICE, Math.max(SHORTEST_SLICE, runtime))
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Affinity
// ---------------------------------------------------------------------------------------------------------------------

/** Bytes of a CPU mask: whole longs. */
const maskSize = (cpuCount: number): number => Math.ceil(cpuCount / 64) * 8

const sched_getaffinity = (task: Task, id: number, length: number, at: number): Result => {
  const { cpuCount } = task.system
  if (length * 8 < cpuCount || length % 8 !== 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const bytes = new Uint8Array(Math.min(length, maskSize(cpuCount)))
  let mask = affinityOf(target.scheduling, cpuCount)
  for (let index = 0; mask !== 0n; index++, mask >>= 8n) bytes[index] = Number(mask & 0xffn)
  return task.memory.copyOut(at, bytes) < 0 ? -EFAULT : bytes.length
}

const sched_setaffinity = (task: Task, id: number, length: number, at: number): Result => {
  const { cpuCount } = task.system
  const bytes = new Uint8Array(Math.min(length, maskSize(cpuCount)))
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  if (!isOwner(task, target) && !hasCapabilityIn(task.credentials, target.credentials.userNamespace, CAP_SYS_NICE)) {
    return -EPERM
  }
  let mask = 0n
  bytes.forEach((byte, index) => (mask |= BigInt(byte) << BigInt(8 * index)))
  mask &= (1n << BigInt(cpuCount)) - 1n
  if (mask === 0n) return -EINVAL
  target.scheduling = { ...target.scheduling, affinity: mask }
  const { rseq } = target
  if (rseq === undefined) {
    if (cpuOf(target) !== 0) task.system.vdsoPage?.forgetCpu()
    return 0
  }
  rseq.cpus.reconsider()
  return target === task && !rseq.mayUse(rseq.cpu) ? doneOutside : 0
}

/** Others may have the caller's CPU, if it occupies one (Task/TaskRseq.ts). */
const sched_yield = ({ rseq }: Task): Result => (rseq?.cpus.contested === true ? doneOutside : 0)

const getcpu = (task: Task, cpu: number, node: number): Result => {
  if (cpu !== 0 && task.memory.writeU32(cpu, cpuOf(task)) < 0) return -EFAULT
  return node !== 0 && task.memory.writeU32(node, 0) < 0 ? -EFAULT : 0
}

const KEPT = { ignored: "kept and reported; the host schedules guest threads as its own" }

export const sysScheduler = [
  declare("sched_yield", [], sched_yield),
  declare("sched_setscheduler", [pid("pid"), oneOf("policy", SCHED_NAMES), address("param")], sched_setscheduler, KEPT),
  declare("sched_getscheduler", [pid("pid")], sched_getscheduler),
  declare("sched_setparam", [pid("pid"), address("param")], sched_setparam, KEPT),
  declare("sched_getparam", [pid("pid"), address("param")], sched_getparam),
  declare("sched_get_priority_max", [oneOf("policy", SCHED_NAMES)], (_task, policy) => bound(policy, MAX_PRIORITY)),
  declare("sched_get_priority_min", [oneOf("policy", SCHED_NAMES)], (_task, policy) => bound(policy, 1)),
  declare("sched_rr_get_interval", [pid("pid"), struct("tp", "timespec", "out")], sched_rr_get_interval),
  declare("sched_setattr", [pid("pid"), address("attr"), uint("flags")], sched_setattr, KEPT),
  declare("sched_getattr", [pid("pid"), address("attr"), uint("size"), uint("flags")], sched_getattr),
  declare(
    "sched_setaffinity",
    [pid("pid"), uint("cpusetsize"), struct("mask", "cpu_set", "in")],
    sched_setaffinity,
    KEPT
  ),
  declare("sched_getaffinity", [pid("pid"), uint("cpusetsize"), struct("mask", "cpu_set", "out")], sched_getaffinity),
  declare("getcpu", [address("cpu"), address("node")], getcpu, {
    partial:
      "names the CPU that the thread occupies by rseq(2), else one of its affinity mask; not the one the host chose"
  })
]
