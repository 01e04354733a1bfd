/**
 * /proc/[pid]/status, stat, statm, limits: what ps and top read. proc_pid_stat(5), proc_pid_status(5).
 */
import { PAGE_SIZE } from "../Abi/Mman.ts"
import {
  RLIMIT_AS,
  RLIMIT_CORE,
  RLIMIT_CPU,
  RLIMIT_DATA,
  RLIMIT_FSIZE,
  RLIMIT_LOCKS,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RSS,
  RLIMIT_RTPRIO,
  RLIMIT_RTTIME,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
  RLIM_INFINITY
} from "../Abi/Resource.ts"
import { NANOS_PER_TICK } from "../Abi/Sysinfo.ts"
import { waitStatus } from "../Abi/Wait.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { seccompDepth, seccompMode } from "../Seccomp/SeccompFilter.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { type Subject, hasEnded, mayInspect } from "./ProcSubject.ts"
import { bitmap, bitmapList, escape, set64, sizeLine } from "./ProcText.ts"
import { namespacesOf } from "./Namespaces.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import { affinityOf, cpuOf, isRealTime } from "./Scheduling.ts"
import type { Task } from "./Task.ts"
import { type Usage, groupUsage, taskUsage } from "./ThreadGroup.ts"
import { queuedSignals } from "./UserLimits.ts"

// ---------------------------------------------------------------------------------------------------------------------
// State, memory, time
// ---------------------------------------------------------------------------------------------------------------------

/** The letter of a task's state, and how status explains it. */
export type StateName =
  | "R (running)"
  | "S (sleeping)"
  | "D (disk sleep)"
  | "T (stopped)"
  | "t (tracing stop)"
  | "I (idle)"
  | "X (dead)"
  | "Z (zombie)"

/** The state of `task` as `caller` sees it: whoever looks at itself is running. */
export const stateOf = (task: Task, caller: Caller): StateName => {
  if (hasEnded(task)) return task.threadGroup.state === "Dead" ? "X (dead)" : "Z (zombie)"
  if (task.tid === caller.tid) return "R (running)"
  switch (task.stops.internal?._tag) {
    case "GroupStop":
      return "T (stopped)"
    case "PtraceStop":
      return "t (tracing stop)"
    case "VforkStop":
      return "D (disk sleep)"
    case "CoreDumpStop":
      return "I (idle)"
    case undefined:
      // an execve(2) waits for the other threads to go
      if (task.threadGroup.execing === task) return "D (disk sleep)"
      return task.isSleeping ? "S (sleeping)" : "R (running)"
  }
}

/** Memory of a process as status and statm report it, bytes. */
interface Sizes {
  readonly total: number
  readonly resident: number
  readonly peakResident: number
  readonly shared: number
  readonly data: number
  readonly stack: number
  readonly locked: number
  /** The program's own code, and everybody's. */
  readonly text: number
  readonly executable: number
}

const sizesOf = (memory: MemoryManager): Sizes => {
  const { data, executable, locked, shared, size, stack } = memory.totals()
  const { endCode, startCode } = memory.image
  const text = Math.ceil(endCode / PAGE_SIZE) * PAGE_SIZE - Math.floor(startCode / PAGE_SIZE) * PAGE_SIZE
  const { current, peak } = memory.addressSpace.residentSet()
  const resident = current * 1024
  return {
    total: size,
    resident,
    peakResident: peak * 1024,
    // an upper bound: which pages of the files are in memory, the kernel does not know
    shared: Math.min(shared, resident),
    data,
    stack,
    locked,
    text,
    executable
  }
}

/** What the process or the thread has used; a zombie's is in the group's sum. */
export const usageOf = ({ group, task, whole }: Subject): Usage =>
  whole || hasEnded(task) ? groupUsage(group) : taskUsage(task)

const ticks = (nanos: bigint): bigint => nanos / NANOS_PER_TICK

// ---------------------------------------------------------------------------------------------------------------------
// status
// ---------------------------------------------------------------------------------------------------------------------

const memoryLines = (memory: MemoryManager, isDumping: boolean): string => {
  const { data, executable, locked, peakResident, resident, shared, stack, text, total } = sizesOf(memory)
  return [
    sizeLine("VmPeak", total),
    sizeLine("VmSize", total),
    sizeLine("VmLck", locked),
    sizeLine("VmPin", 0),
    sizeLine("VmHWM", peakResident),
    sizeLine("VmRSS", resident),
    sizeLine("RssAnon", resident - shared),
    sizeLine("RssFile", shared),
    sizeLine("RssShmem", 0),
    sizeLine("VmData", data),
    sizeLine("VmStk", stack),
    sizeLine("VmExe", text),
    sizeLine("VmLib", Math.max(0, executable - text)),
    sizeLine("VmPTE", Math.ceil(total / PAGE_SIZE / 512) * PAGE_SIZE),
    sizeLine("VmSwap", 0),
    sizeLine("HugetlbPages", 0),
    `CoreDumping:\t${isDumping ? 1 : 0}\nTHP_enabled:\t${memory.policy.hugePagesDisabled === 0 ? 1 : 0}\n` +
      "untag_mask:\t0xffffffffffffffff\n"
  ].join("")
}

/** What the sandbox's `id` is called in `viewer` and in each namespace on the way down to `innermost`. */
const idsBelow = (innermost: PidNamespace, viewer: PidNamespace, id: number): ReadonlyArray<number> => {
  const ids: Array<number> = []
  for (let at: PidNamespace | undefined = innermost; at !== undefined; at = at.parent) {
    ids.unshift(at.toInside(id))
    if (at === viewer) break
  }
  return ids
}

export const status = (subject: Subject, caller: Caller): string => {
  const { group, memory, task, viewer: ids } = subject
  const inEach = (id: number): string => idsBelow(group.pidNamespace, ids, id).join("\t")
  const { credentials, scheduling } = task
  const { effective, inheritable, permitted, bounding, ambient } = credentials
  const { egid, euid, fsgid, fsuid, rgid, ruid, sgid, suid } = credentials
  const viewer = caller.credentials.userNamespace
  const { caught, ignored } = group.handlers.summary()
  const ended = hasEnded(task)
  const threads = Math.max(1, group.tasks.size)
  const cpus = affinityOf(scheduling, task.system.cpuCount)
  const switches = ended ? 0 : task.earlierUsage.involuntarySwitches + task.context.usage().involuntarySwitches
  return [
    `Name:\t${escape(task.commandName, "\n\\")}\n`,
    ended ? "" : `Umask:\t${task.fs.umask.toString(8).padStart(4, "0")}\n`,
    `State:\t${stateOf(task, caller)}\n`,
    `Tgid:\t${ids.toInside(group.tgid)}\nNgid:\t0\nPid:\t${ids.toInside(task.tid)}\nPPid:\t${group.parentIn(ids)}\n` +
      `TracerPid:\t${task.ptrace.tracer === undefined ? 0 : ids.toInside(task.ptrace.tracer.tid)}\n`,
    `Uid:\t${[ruid, euid, suid, fsuid].map((uid) => viewer.userTo(uid)).join("\t")}\n`,
    `Gid:\t${[rgid, egid, sgid, fsgid].map((gid) => viewer.groupTo(gid)).join("\t")}\n`,
    `FDSize:\t${ended ? 0 : task.fds.capacity}\n`,
    `Groups:\t${credentials.groups.map((gid) => `${viewer.groupTo(gid)} `).join("") || " "}\n`,
    `NStgid:\t${inEach(group.tgid)}\nNSpid:\t${inEach(task.tid)}\n`,
    `NSpgid:\t${inEach(group.processGroup.id)}\nNSsid:\t${inEach(group.processGroup.session.id)}\nKthread:\t0\n`,
    memory === undefined ? "" : memoryLines(memory, group.coreDump !== undefined),
    `Threads:\t${threads}\n`,
    `SigQ:\t${queuedSignals(task)}/${group.limits.get(RLIMIT_SIGPENDING).rlim_cur}\n`,
    `SigPnd:\t${set64(task.pending.set)}\nShdPnd:\t${set64(group.pending.set)}\n`,
    `SigBlk:\t${set64(task.blocked & ~task.awaited)}\nSigIgn:\t${set64(ignored)}\nSigCgt:\t${set64(caught)}\n`,
    `CapInh:\t${set64(inheritable)}\nCapPrm:\t${set64(permitted)}\nCapEff:\t${set64(effective)}\n`,
    `CapBnd:\t${set64(bounding)}\nCapAmb:\t${set64(ambient)}\n`,
    `NoNewPrivs:\t${task.noNewPrivs ? 1 : 0}\n`,
    `Seccomp:\t${seccompMode(task.seccomp)}\nSeccomp_filters:\t${seccompDepth(task.seccomp)}\n`,
    "Speculation_Store_Bypass:\tunknown\nSpeculationIndirectBranch:\tunknown\n",
    `Cpus_allowed:\t${bitmap(cpus, task.system.cpuCount)}\nCpus_allowed_list:\t${bitmapList(cpus)}\n`,
    "Mems_allowed:\t00000000,00000001\nMems_allowed_list:\t0\n",
    `voluntary_ctxt_switches:\t${task.accounts.waits}\nnonvoluntary_ctxt_switches:\t${switches}\n`
  ].join("")
}

// ---------------------------------------------------------------------------------------------------------------------
// stat, statm
// ---------------------------------------------------------------------------------------------------------------------

/** Flags of stat: bits that everybody has, and what they become (include/linux/sched.h). */
const PF_EXITING = 0x4
const PF_POSTCOREDUMP = 0x8
const PF_FORKNOEXEC = 0x40
const PF_RANDOMIZE = 0x40_0000

/** Signal sets are shown without the real-time signals, and SIGSYS is where the sign would be. */
const oldSet = (set: bigint): bigint => set & 0x7fff_ffffn

const USER_HIGHEST_PRIORITY = 20

/** The terminal that a session controls: its device number, and the process group in its foreground. */
export interface ControllingTerminal {
  readonly rdev: number
  readonly foreground: number
}

/** `terminal`: the controlling terminal of the process's session. */
export const stat = (subject: Subject, caller: Caller, terminal: ControllingTerminal | undefined): string => {
  const { group, memory, task, viewer: ids, whole } = subject
  const { niceness, scheduling, system } = task
  const { caught, ignored } = group.handlers.summary()
  const usage = usageOf(subject)
  const permitted = mayInspect(caller, task)
  const image = permitted ? memory?.image : undefined
  const sizes = memory === undefined ? undefined : sizesOf(memory)
  const ended = hasEnded(task)
  const state = stateOf(task, caller)
  const code = memory === undefined ? 0 : 1
  const flags = PF_RANDOMIZE | (group.hasExeced ? 0 : PF_FORKNOEXEC) | (ended ? PF_EXITING | PF_POSTCOREDUMP : 0)
  const fields = [
    ids.toInside(task.tid),
    `(${task.commandName})`,
    state[0],
    group.parentIn(ids),
    ids.toInside(group.processGroup.id),
    ids.toInside(group.processGroup.session.id),
    terminal?.rdev ?? 0,
    terminal === undefined ? -1 : ids.toInside(terminal.foreground),
    flags,
    usage.minorFaults,
    group.childUsage.minorFaults,
    usage.majorFaults,
    group.childUsage.majorFaults,
    ticks(usage.user),
    ticks(usage.system),
    ticks(group.childUsage.user),
    ticks(group.childUsage.system),
    isRealTime(scheduling.policy) ? -1 - scheduling.priority : USER_HIGHEST_PRIORITY + niceness,
    niceness,
    Math.max(1, group.tasks.size),
    0, // itrealvalue
    ticks(group.startTime - system.bootTime + namespacesOf(system, caller).time.offsets.boot),
    sizes?.total ?? 0,
    Math.floor((sizes?.resident ?? 0) / PAGE_SIZE),
    group.limits.get(RLIMIT_RSS).rlim_cur,
    // whoever may not look sees that there is code, not where
    image?.startCode ?? code,
    image?.endCode ?? code,
    image?.startStack ?? 0,
    0, // kstkesp
    0, // kstkeip
    oldSet(task.pending.set | group.pending.set),
    oldSet(task.blocked),
    oldSet(ignored),
    oldSet(caught),
    permitted && state === "S (sleeping)" && (!whole || group.tasks.size < 2) ? 1 : 0, // wchan
    0, // nswap
    0, // cnswap
    task.isLeader ? group.exitSignal : -1,
    cpuOf(task), // processor
    scheduling.priority,
    scheduling.policy,
    0, // delayacct_blkio_ticks
    0, // guest_time
    0, // cguest_time
    image?.startData ?? 0,
    image?.endData ?? 0,
    image?.startBrk ?? 0,
    image?.argStart ?? 0,
    image?.argEnd ?? 0,
    image?.envStart ?? 0,
    image?.envEnd ?? 0,
    permitted && ended && group.exitStatus !== undefined ? waitStatus(group.exitStatus) : 0
  ]
  return `${fields.join(" ")}\n`
}

export const statm = ({ memory }: Subject): string => {
  if (memory === undefined) return "0 0 0 0 0 0 0\n"
  const { data, resident, shared, stack, text, total } = sizesOf(memory)
  const pages = [total, resident, shared, text, 0, data + stack, 0].map((bytes) => Math.floor(bytes / PAGE_SIZE))
  return `${pages.join(" ")}\n`
}

// ---------------------------------------------------------------------------------------------------------------------
// limits
// ---------------------------------------------------------------------------------------------------------------------

const LIMITS: ReadonlyArray<readonly [resource: number, name: string, unit: string]> = [
  [RLIMIT_CPU, "Max cpu time", "seconds"],
  [RLIMIT_FSIZE, "Max file size", "bytes"],
  [RLIMIT_DATA, "Max data size", "bytes"],
  [RLIMIT_STACK, "Max stack size", "bytes"],
  [RLIMIT_CORE, "Max core file size", "bytes"],
  [RLIMIT_RSS, "Max resident set", "bytes"],
  [RLIMIT_NPROC, "Max processes", "processes"],
  [RLIMIT_NOFILE, "Max open files", "files"],
  [RLIMIT_MEMLOCK, "Max locked memory", "bytes"],
  [RLIMIT_AS, "Max address space", "bytes"],
  [RLIMIT_LOCKS, "Max file locks", "locks"],
  [RLIMIT_SIGPENDING, "Max pending signals", "signals"],
  [RLIMIT_MSGQUEUE, "Max msgqueue size", "bytes"],
  [RLIMIT_NICE, "Max nice priority", ""],
  [RLIMIT_RTPRIO, "Max realtime priority", ""],
  [RLIMIT_RTTIME, "Max realtime timeout", "us"]
]

const limitText = (value: bigint): string => (value === RLIM_INFINITY ? "unlimited" : `${value}`)

const limitLine = (name: string, soft: string, hard: string, unit: string): string =>
  `${name.padEnd(25)} ${soft.padEnd(20)} ${hard.padEnd(20)} ${unit === "" ? "" : unit.padEnd(10)}\n`

export const limits = ({ group }: Subject): string => {
  const lines = LIMITS.map(([resource, name, unit]) => {
    const { rlim_cur, rlim_max } = group.limits.get(resource)
    return limitLine(name, limitText(rlim_cur), limitText(rlim_max), unit)
  })
  return limitLine("Limit", "Soft Limit", "Hard Limit", "Units") + lines.join("")
}
