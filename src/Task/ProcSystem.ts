/**
 * The files at the top of proc(5) that are about the whole system.
 */
import { NANOS_PER_TICK } from "../Abi/Sysinfo.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { GeneratedFile, type PseudoFs, PseudoLink } from "../Vfs/PseudoFs.ts"
import { type MemorySize, cpuInfo } from "./HostFacts.ts"
import { stateOf, usageOf } from "./ProcStatus.ts"
import { namespacesOf } from "./Namespaces.ts"
import { Subject } from "./ProcSubject.ts"
import type { System } from "./System.ts"

const NANOS_PER_SECOND = 1_000_000_000n

/** Nanoseconds since the sandbox started. */
const uptime = ({ bootTime, timekeeper }: System): bigint => timekeeper.monotonic() - bootTime

/** As the time namespace of `caller` has it. */
const uptimeFor = (system: System, caller: Caller): bigint =>
  uptime(system) + namespacesOf(system, caller).time.offsets.boot

/** CPU time of everything that is running, nanoseconds. */
const busyTime = (system: System): bigint => {
  let total = 0n
  for (const group of system.taskSet.groups.values()) {
    const { user, system } = usageOf(new Subject(group, undefined, true, group.pidNamespace))
    total += user + system
  }
  return total
}

/** CPU time that nobody used. */
const idleTime = (system: System): bigint => {
  const idle = uptime(system) * BigInt(system.cpuCount) - busyTime(system)
  return idle < 0n ? 0n : idle
}

const seconds = (nanos: bigint): string =>
  `${nanos / NANOS_PER_SECOND}.${String((nanos % NANOS_PER_SECOND) / NANOS_PER_TICK).padStart(2, "0")}`

/** Nobody in particular looks. */
const NOBODY = -1

const runningTasks = (system: System): number => {
  let running = 0
  for (const group of system.taskSet.groups.values()) {
    for (const task of group.tasks) {
      // whoever reads this runs
      if (stateOf(task, { fs: task.fs, credentials: task.credentials, tid: NOBODY, threadGroup: group })[0] === "R") {
        running++
      }
    }
  }
  return running
}

const lastPid = (system: System): number => Math.max(0, ...system.taskSet.groups.keys())

const stat = (system: System, caller: Caller): string => {
  const count = BigInt(system.cpuCount)
  const busy = busyTime(system) / NANOS_PER_TICK
  const idle = idleTime(system) / NANOS_PER_TICK
  const rest = "0 0 0 0 0 0"
  let text = `cpu  ${busy} 0 0 ${idle} ${rest}\n`
  // no one knows which CPU it was
  for (let cpu = 0; cpu < system.cpuCount; cpu++) text += `cpu${cpu} ${busy / count} 0 0 ${idle / count} ${rest}\n`
  const boot = (system.timekeeper.realtime() - uptimeFor(system, caller)) / NANOS_PER_SECOND
  return (
    `${text}intr 0\nctxt 0\nbtime ${boot}\nprocesses ${lastPid(system)}\n` +
    `procs_running ${runningTasks(system)}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n`
  )
}

const MEMORY_FIELDS =
  "Buffers Cached SwapCached Active Inactive Active(anon) Inactive(anon) Active(file) Inactive(file) Unevictable " +
  "Mlocked SwapTotal SwapFree Zswap Zswapped Dirty Writeback AnonPages Mapped Shmem KReclaimable Slab SReclaimable " +
  "SUnreclaim KernelStack PageTables SecPageTables NFS_Unstable Bounce WritebackTmp CommitLimit Committed_AS " +
  "VmallocTotal VmallocUsed VmallocChunk Percpu AnonHugePages ShmemHugePages ShmemPmdMapped FileHugePages FilePmdMapped"

const meminfoLine = (name: string, bytes: number): string =>
  `${`${name}:`.padEnd(16)}${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`

/** What is used goes as anonymous memory: nothing else is told apart. */
const meminfo = ({ free, total }: MemorySize): string => {
  const used = total - free
  const known = new Map([
    ["Active", used],
    ["Active(anon)", used],
    ["AnonPages", used],
    ["CommitLimit", Math.floor(total / 2)],
    ["Committed_AS", used],
    ["VmallocTotal", 34_359_738_367 * 1024]
  ])
  return (
    meminfoLine("MemTotal", total) +
    meminfoLine("MemFree", free) +
    meminfoLine("MemAvailable", free) +
    MEMORY_FIELDS.split(" ")
      .map((name) => meminfoLine(name, known.get(name) ?? 0))
      .join("") +
    "HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\n" +
    meminfoLine("Hugepagesize", 2048 * 1024) +
    meminfoLine("Hugetlb", 0)
  )
}

const VMSTAT_FIELDS =
  "nr_zone_inactive_anon nr_zone_active_anon nr_inactive_anon nr_active_anon nr_inactive_file nr_active_file " +
  "nr_unevictable nr_mlock nr_anon_pages nr_mapped nr_file_pages nr_dirty nr_writeback nr_shmem pgpgin pgpgout pswpin " +
  "pswpout pgalloc_normal pgfree pgactivate pgdeactivate pgfault pgmajfault pgscan_kswapd pgscan_direct pgsteal_kswapd " +
  "pgsteal_direct oom_kill"

const vmstat = ({ free }: MemorySize): string =>
  `nr_free_pages ${Math.floor(free / 4096)}\n` +
  VMSTAT_FIELDS.split(" ")
    .map((name) => `${name} 0\n`)
    .join("")

const FILESYSTEMS = ["sysfs", "tmpfs", "proc", "devtmpfs", "devpts", "sockfs", "pipefs", "ramfs", "overlay"]

const DEVICES = `Character devices:
  1 mem
  5 /dev/tty
  5 /dev/console
  5 /dev/ptmx
136 pts

Block devices:
`

/** Adds them to the root of `filesystem`. */
export const addSystemFiles = (filesystem: PseudoFs, system: System): void => {
  const files: Readonly<Record<string, (caller: Caller) => string>> = {
    cmdline: () => "\n",
    cpuinfo: () => cpuInfo(system.cpuCount),
    devices: () => DEVICES,
    diskstats: () => "",
    filesystems: () => FILESYSTEMS.map((name) => `nodev\t${name}\n`).join(""),
    loadavg: () => `0.00 0.00 0.00 ${runningTasks(system)}/${system.taskSet.tasks.size} ${lastPid(system)}\n`,
    meminfo: () => meminfo(system.memorySize()),
    modules: () => "",
    partitions: () => "major minor  #blocks  name\n\n",
    stat: (caller) => stat(system, caller),
    swaps: () => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
    uptime: (caller) => `${seconds(uptimeFor(system, caller))} ${seconds(idleTime(system))}\n`,
    version: () =>
      `Linux version ${system.version.release} (effect-sentry@${system.namespaces.uts.hostname}) ${system.version.version}\n`,
    vmstat: () => vmstat(system.memorySize())
  }
  for (const [name, read] of Object.entries(files)) filesystem.root.add(name, new GeneratedFile(filesystem, { read }))
  filesystem.root.add("mounts", new PseudoLink(filesystem, () => "self/mounts"))
}
