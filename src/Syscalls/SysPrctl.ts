/**
 * prctl(2) and arch_prctl(2).
 */
import { CAP_LAST_CAP, CAP_SETPCAP, CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EFAULT, EINVAL, ENODEV, ENXIO, EOPNOTSUPP, EPERM, ERANGE } from "../Abi/Errno.ts"
import * as Pr from "../Abi/Prctl.ts"
import { Reg } from "../Abi/Registers.ts"
import { NSIG } from "../Abi/Signal.ts"
import { seccompMode } from "../Seccomp/SeccompFilter.ts"
import { speculation } from "../Task/HostFacts.ts"
import { isRealTime } from "../Task/Scheduling.ts"
import { declare, hex, oneOf, type Result, type Syscall, u64 } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { controlCounter } from "../Task/TimestampCounter.ts"
import { hasCapability, hasOwnCapability } from "../Vfs/Credentials.ts"
import { getAuxv, setHugePagesDisabled, setMdwe, setMm, setVma } from "./PrctlMemory.ts"
import { setSeccompMode } from "./SysSeccomp.ts"

const COMM_LENGTH = 16
const DEFAULT_TIMER_SLACK = 50_000

/** At most 15 bytes: what is longer is cut, what has no NUL is no error. */
const readName = (task: Task, at: number): string | number => {
  const bytes = Buffer.alloc(COMM_LENGTH)
  if (task.memory.copyInPartial(at, bytes) < 0) return -EFAULT
  bytes[COMM_LENGTH - 1] = 0
  return bytes.toString("latin1", 0, bytes.indexOf(0))
}

/** PR_SPEC_ENABLE, PR_SPEC_DISABLE, PR_SPEC_FORCE_DISABLE. */
const SPECULATION_CONTROLS = [2, 4, 8]

/** "Control of the selected misfeature is not possible." Of store bypass (0), what is asked for isn't even looked at. */
const setSpeculation = (misfeature: number, control: number): number => {
  if (speculation()[misfeature] === undefined) return -ENODEV
  return misfeature === 0 || SPECULATION_CONTROLS.includes(control) ? -ENXIO : -ERANGE
}

const setName = (task: Task, at: number): number => {
  const name = readName(task, at)
  if (typeof name === "number") return name
  task.commandName = name
  return 0
}

// ---- capabilities

const isCapability = (value: number): boolean => value <= CAP_LAST_CAP

const bitOf = (capability: number): bigint => 1n << BigInt(capability)

const securebitsOf = (task: Task): number =>
  (task.credentials.securebits ?? 0) | (task.keepCapabilities ? Pr.SECBIT_KEEP_CAPS : 0)

const setSecurebits = (task: Task, wanted: number): number => {
  const old = securebitsOf(task)
  if (wanted > Pr.SECBITS_ALL) return -EPERM
  const locks = old & Pr.SECBITS_LOCKS
  // what is locked stays as it is, and so do the locks
  if (((locks >> 1) & (old ^ wanted)) !== 0 || (locks & ~wanted) !== 0) return -EPERM
  const privileged = ((old ^ wanted) & ~Pr.SECBITS_UNPRIVILEGED) !== 0
  if (privileged && !hasOwnCapability(task.credentials, CAP_SETPCAP)) return -EPERM
  task.keepCapabilities = (wanted & Pr.SECBIT_KEEP_CAPS) !== 0
  task.credentials = { ...task.credentials, securebits: wanted & ~Pr.SECBIT_KEEP_CAPS }
  return 0
}

const setKeepCapabilities = (task: Task, value: number): number => {
  if (value > 1) return -EINVAL
  if ((securebitsOf(task) & Pr.SECBIT_KEEP_CAPS_LOCKED) !== 0) return -EPERM
  task.keepCapabilities = value === 1
  return 0
}

const dropBounding = (task: Task, capability: number): number => {
  if (!hasOwnCapability(task.credentials, CAP_SETPCAP)) return -EPERM
  if (!isCapability(capability)) return -EINVAL
  task.credentials = { ...task.credentials, bounding: task.credentials.bounding & ~bitOf(capability) }
  return 0
}

const ambient = (task: Task, operation: number, capability: number, rest: boolean): number => {
  const { credentials } = task
  if (operation === Pr.PR_CAP_AMBIENT_CLEAR_ALL) {
    if (capability !== 0 || rest) return -EINVAL
    task.credentials = { ...credentials, ambient: 0n }
    return 0
  }
  if (!isCapability(capability) || rest) return -EINVAL
  const bit = bitOf(capability)
  if (operation === Pr.PR_CAP_AMBIENT_IS_SET) return (credentials.ambient & bit) === 0n ? 0 : 1
  if (operation === Pr.PR_CAP_AMBIENT_LOWER) {
    task.credentials = { ...credentials, ambient: credentials.ambient & ~bit }
    return 0
  }
  if (operation !== Pr.PR_CAP_AMBIENT_RAISE) return -EINVAL
  const allowed = (credentials.permitted & credentials.inheritable & bit) !== 0n
  if (!allowed || (securebitsOf(task) & Pr.SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return -EPERM
  task.credentials = { ...credentials, ambient: credentials.ambient | bit }
  return 0
}

// ---- the rest

const machineCheckKill = (task: Task, operation: number, policy: number, rest: boolean): number => {
  if (rest) return -EINVAL
  if (operation === Pr.PR_MCE_KILL_CLEAR) {
    if (policy !== 0) return -EINVAL
    task.controls = { ...task.controls, machineCheckKill: Pr.PR_MCE_KILL_DEFAULT }
    return 0
  }
  if (operation !== Pr.PR_MCE_KILL_SET || policy > Pr.PR_MCE_KILL_DEFAULT) return -EINVAL
  task.controls = { ...task.controls, machineCheckKill: policy }
  return 0
}

const setTimestampCounter = (task: Task, mode: number): Result => {
  if (mode !== Pr.PR_TSC_ENABLE && mode !== Pr.PR_TSC_SIGSEGV) return -EINVAL
  return controlCounter(task, mode === Pr.PR_TSC_SIGSEGV)
}

const setIoFlusher = (task: Task, value: number, rest: boolean): number => {
  if (!hasCapability(task.credentials, CAP_SYS_RESOURCE)) return -EPERM
  if (rest || value > 1) return -EINVAL
  task.controls = { ...task.controls, flushesIo: value === 1 }
  return 0
}

const getIoFlusher = (task: Task, rest: boolean): number => {
  if (!hasCapability(task.credentials, CAP_SYS_RESOURCE)) return -EPERM
  if (rest) return -EINVAL
  return task.controls.flushesIo ? 1 : 0
}

const setTimerSlack = (task: Task, value: number): number => {
  if (isRealTime(task.scheduling.policy)) return 0
  task.timerSlack = value === 0 ? DEFAULT_TIMER_SLACK : value
  return 0
}

const setMemoryMerge = ({ memoryManager }: Task, value: number, rest: boolean): number => {
  if (rest) return -EINVAL
  memoryManager.policy = { ...memoryManager.policy, mergesPages: value !== 0 }
  return 0
}

const prctl = (task: Task, option: number, a: number, b: number, c: number, d: number): Result => {
  const { memory, memoryManager, threadGroup } = task
  const isRest = b !== 0 || c !== 0 || d !== 0
  switch (option) {
    case Pr.PR_SET_PDEATHSIG:
      if (a > NSIG) return -EINVAL
      task.parentDeathSignal = a
      return 0
    case Pr.PR_GET_PDEATHSIG:
      return memory.writeU32(a, task.parentDeathSignal)
    case Pr.PR_GET_DUMPABLE:
      return threadGroup.dumpable
    case Pr.PR_SET_DUMPABLE:
      if (a > 1) return -EINVAL
      threadGroup.dumpable = a
      return 0
    case Pr.PR_GET_KEEPCAPS:
      return task.keepCapabilities ? 1 : 0
    case Pr.PR_SET_KEEPCAPS:
      return setKeepCapabilities(task, a)
    case Pr.PR_GET_TIMING:
      return 0 // PR_TIMING_STATISTICAL
    case Pr.PR_SET_TIMING:
      return a === 0 ? 0 : -EINVAL
    case Pr.PR_SET_NAME:
      return setName(task, a)
    case Pr.PR_GET_NAME:
      return memory.copyOut(a, Buffer.from(task.commandName.padEnd(COMM_LENGTH, "\0"), "latin1"))
    case Pr.PR_GET_SECCOMP:
      return seccompMode(task.seccomp)
    case Pr.PR_SET_SECCOMP:
      return setSeccompMode(task, a, b)
    case Pr.PR_CAPBSET_READ:
      return isCapability(a) ? Number((task.credentials.bounding >> BigInt(a)) & 1n) : -EINVAL
    case Pr.PR_CAPBSET_DROP:
      return dropBounding(task, a)
    case Pr.PR_GET_TSC:
      return memory.writeU32(a, task.controls.timestampFaults ? Pr.PR_TSC_SIGSEGV : Pr.PR_TSC_ENABLE)
    case Pr.PR_SET_TSC:
      return setTimestampCounter(task, a)
    case Pr.PR_GET_SECUREBITS:
      return securebitsOf(task)
    case Pr.PR_SET_SECUREBITS:
      return setSecurebits(task, a)
    case Pr.PR_SET_TIMERSLACK:
      return setTimerSlack(task, a)
    case Pr.PR_GET_TIMERSLACK:
      if (isRealTime(task.scheduling.policy)) return 0
      return task.timerSlack >= 2 ** 63 ? -1 : task.timerSlack // as Linux: a huge one looks like an error
    case Pr.PR_TASK_PERF_EVENTS_DISABLE:
    case Pr.PR_TASK_PERF_EVENTS_ENABLE:
      return 0 // there are none
    case Pr.PR_MCE_KILL:
      return machineCheckKill(task, a, b, c !== 0 || d !== 0)
    case Pr.PR_MCE_KILL_GET:
      return a !== 0 || isRest ? -EINVAL : task.controls.machineCheckKill
    case Pr.PR_SET_MM:
      return setMm(task, a, b, c, d)
    case Pr.PR_SET_CHILD_SUBREAPER:
      threadGroup.isSubreaper = a !== 0
      return 0
    case Pr.PR_GET_CHILD_SUBREAPER:
      return memory.writeU32(a, threadGroup.isSubreaper ? 1 : 0)
    case Pr.PR_SET_NO_NEW_PRIVS:
      if (a !== 1 || isRest) return -EINVAL
      task.noNewPrivs = true
      return 0
    case Pr.PR_GET_NO_NEW_PRIVS:
      if (a !== 0 || isRest) return -EINVAL
      return task.noNewPrivs ? 1 : 0
    case Pr.PR_GET_TID_ADDRESS:
      return memory.writeU64(a, task.clearChildTid)
    case Pr.PR_SET_THP_DISABLE:
      return setHugePagesDisabled(task, a, b, c !== 0 || d !== 0)
    case Pr.PR_GET_THP_DISABLE:
      return a !== 0 || isRest ? -EINVAL : memoryManager.policy.hugePagesDisabled
    case Pr.PR_CAP_AMBIENT:
      return ambient(task, a, b, c !== 0 || d !== 0)
    case Pr.PR_GET_SPECULATION_CTRL:
      return isRest ? -EINVAL : (speculation()[a] ?? -ENODEV)
    case Pr.PR_SET_SPECULATION_CTRL:
      return c !== 0 || d !== 0 ? -EINVAL : setSpeculation(a, b)
    case Pr.PR_SET_IO_FLUSHER:
      return setIoFlusher(task, a, isRest)
    case Pr.PR_GET_IO_FLUSHER:
      return getIoFlusher(task, a !== 0 || isRest)
    case Pr.PR_SET_SYSCALL_USER_DISPATCH:
      return a === 0 && !isRest ? 0 : -EINVAL
    case Pr.PR_SET_MDWE:
      return setMdwe(task, a, isRest)
    case Pr.PR_GET_MDWE:
      return a !== 0 || isRest ? -EINVAL : memoryManager.policy.mdwe
    case Pr.PR_SET_MEMORY_MERGE:
      return setMemoryMerge(task, a, isRest)
    case Pr.PR_GET_MEMORY_MERGE:
      if (a !== 0 || isRest) return -EINVAL
      return memoryManager.policy.mergesPages ? 1 : 0
    case Pr.PR_GET_AUXV:
      return c !== 0 || d !== 0 ? -EINVAL : getAuxv(task, a, b)
    case Pr.PR_SET_VMA:
      return setVma(task, a, b, c, d)
    default:
      return -EINVAL
  }
}

/** Features of the extended state that a program must ask for: AMX's tiles. Signal frames here have no room for them. */
const HIGHEST_FEATURE = 18

/** What arch_prctl(2) and a tracer do about the base of fs or gs of `target`. */
export const segmentBase = (task: Task, { registers }: Task, code: number, value: bigint): number => {
  const register = code === Pr.ARCH_SET_FS || code === Pr.ARCH_GET_FS ? Reg.fs_base : Reg.gs_base
  switch (code) {
    case Pr.ARCH_SET_FS:
    case Pr.ARCH_SET_GS:
      if (value >= BigInt(task.system.platform.taskSize)) return -EPERM
      registers.words[register] = value
      return 0
    case Pr.ARCH_GET_FS:
    case Pr.ARCH_GET_GS:
      return task.memory.writeBigU64(Number(value), registers.words[register]!)
    default:
      return -EINVAL
  }
}

const arch_prctl = (task: Task, code: number, value: bigint): Result => {
  const at = Number(value)
  switch (code) {
    case Pr.ARCH_SET_FS:
    case Pr.ARCH_SET_GS:
    case Pr.ARCH_GET_FS:
    case Pr.ARCH_GET_GS:
      return segmentBase(task, task, code, value)
    case Pr.ARCH_GET_CPUID:
      return 1
    case Pr.ARCH_SET_CPUID:
      return -ENODEV // as on processors that cannot fault cpuid
    case Pr.ARCH_GET_XCOMP_SUPP:
    case Pr.ARCH_GET_XCOMP_PERM:
      return task.memory.writeBigU64(at, task.system.frameState.features)
    case Pr.ARCH_REQ_XCOMP_PERM:
      return value <= BigInt(HIGHEST_FEATURE) ? -EOPNOTSUPP : -EINVAL
    default:
      return -EINVAL
  }
}

export const sysPrctl: ReadonlyArray<Syscall> = [
  declare("prctl", [oneOf("option", Pr.PRCTL_NAMES), hex("arg2"), hex("arg3"), hex("arg4"), hex("arg5")], prctl, {
    partial:
      "PR_SET_SYSCALL_USER_DISPATCH and core scheduling are EINVAL; speculation is reported, not " +
      "controlled; the executable file stays; huge pages, merging and machine checks are kept without effect"
  }),
  declare("arch_prctl", [oneOf("code", Pr.ARCH_NAMES), u64("addr")], arch_prctl, {
    partial: "ARCH_SET_CPUID is ENODEV; no AMX"
  })
]
