/**
 * The files of /proc/[pid] and /proc/[pid]/task/[tid], proc(5).
 */
import { CAP_SYS_NICE, CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EACCES, EINVAL, ENOENT, EPERM, ERANGE, ESRCH } from "../Abi/Errno.ts"
import { DT_DIR, direntType } from "../Abi/FileMode.ts"
import { Reg, argumentRegisters, i386ArgumentRegisters } from "../Abi/Registers.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import type { Caller, DirectoryEntry, Inode, MagicTarget } from "../Vfs/Inode.ts"
import { type Location, pathOf } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { DynamicDirectory, type DynamicEntries, MagicLink, type PseudoFs } from "../Vfs/PseudoFs.ts"
import { fdDirectory, fdInfoDirectory, parseNumber } from "./ProcFd.ts"
import { timeOffsets } from "./ProcTimeOffsets.ts"
import { gidMap, projectIdMap, setgroupsFile, uidMap } from "./ProcIdMaps.ts"
import { maps, smaps, smapsRollup } from "./ProcMaps.ts"
import { MemoryInode, auxv, checkInspect, checkMemory, cmdline, environ } from "./ProcMemory.ts"
import { checkMounts, mountinfo, mounts, mountstats } from "./ProcMounts.ts"
import { netDirectory } from "./ProcNet.ts"
import { namespaceDirectory } from "./ProcNamespaces.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import { type ControllingTerminal, limits, stat, stateOf, statm, status, usageOf } from "./ProcStatus.ts"
import {
  type Report,
  Subject,
  type TaskFileOptions,
  hasEnded,
  mayInspect,
  ownerOf,
  taskFile,
  userOf
} from "./ProcSubject.ts"
import { NO_CALL, type Task } from "./Task.ts"
import { addUsage, type ThreadGroup } from "./ThreadGroup.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Small files
// ---------------------------------------------------------------------------------------------------------------------

const COMM_LENGTH = 15

/** Only the process's own threads may rename one. */
const writeComm = (text: string, { group, task }: Subject, caller: Caller): number => {
  if (caller.threadGroup.tgid !== group.tgid) return -EINVAL
  const name = text.slice(0, COMM_LENGTH)
  const end = name.indexOf("\0")
  task.commandName = end < 0 ? name : name.slice(0, end)
  return 0
}

/** A C integer constant, with a sign maybe; undefined for anything else. */
const parseInteger = (text: string): number | undefined => {
  const match = /^[+]?(-?)(0x[\da-f]+|0[0-7]*|[1-9]\d*)$/i.exec(text)
  if (match === null) return undefined
  const digits = match[2]!
  const value = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  return match[1] === "-" ? -value : value
}

const MAX_OOM_SCORE = 1000

const writeOomScore = (text: string, { group }: Subject, { credentials }: Caller): number => {
  const value = parseInteger(text.trim())
  if (value === undefined || Math.abs(value) > MAX_OOM_SCORE) return -EINVAL
  if (value < Math.min(0, group.oomScoreAdj) && !hasCapability(credentials, CAP_SYS_RESOURCE)) return -EACCES
  group.oomScoreAdj = value
  return 0
}

/** The kinds of memory that core(5) knows. */
const COREDUMP_KINDS = 0x1ff

const writeCoredumpFilter = (text: string, { memory }: Subject): number => {
  const value = parseInteger(text.replace(/\n$/, ""))
  if (value === undefined || text.includes("-")) return -EINVAL
  if (value > 0xffff_ffff) return -ERANGE
  if (memory === undefined) return -ESRCH
  memory.coredumpFilter = value & COREDUMP_KINDS
  return 0
}

const coredumpFilter: Report = ({ memory }) =>
  memory === undefined ? "" : `${memory.coredumpFilter.toString(16).padStart(8, "0")}\n`

/** As if the process used no memory worth mentioning. */
const oomScore: Report = ({ group, memory }) =>
  `${memory === undefined ? 0 : Math.floor(((MAX_OOM_SCORE + group.oomScoreAdj) * 2) / 3)}\n`

const writeTimerSlack = (text: string, { task }: Subject, caller: Caller): number => {
  if (task.tid !== caller.tid && !hasCapability(caller.credentials, CAP_SYS_NICE)) return -EPERM
  const value = parseInteger(text.trim())
  if (value === undefined || value < 0) return -EINVAL
  task.timerSlack = value === 0 ? 50_000 : value
  return 0
}

const readTimerSlack: Report = ({ task }, caller) =>
  task.tid === caller.tid || hasCapability(caller.credentials, CAP_SYS_NICE) ? `${task.timerSlack}\n` : -EPERM

/** What system call a thread is in: number, arguments, stack pointer, program counter. */
const syscall: Report = ({ task }, caller) => {
  if (!mayInspect(caller, task)) return -EPERM
  if (hasEnded(task)) return "-1 0x0 0x0\n"
  if (task.tid !== caller.tid && stateOf(task, caller).startsWith("R")) return "running\n"
  const { call, registers } = task
  const hex = (register: number): string => `0x${registers.words[register]!.toString(16)}`
  const place = `${hex(Reg.rsp)} ${hex(Reg.rip)}\n`
  const nr = call.nr === NO_CALL ? registers.int(Reg.orig_rax) : call.nr
  const given = call.nr === NO_CALL && call.isI386 ? i386ArgumentRegisters : argumentRegisters
  return nr < 0 ? `-1 ${place}` : `${nr} ${given.map(hex).join(" ")} ${place}`
}

/** A process's counts include those of children that it has waited for. What reaches the host's disks is not counted. */
const io: Report = (subject, caller) => {
  const { group, task, whole } = subject
  if (!mayInspect(caller, task)) return -EACCES
  const sum = { ...usageOf(subject) }
  if (whole) addUsage(sum, group.childUsage)
  return (
    `rchar: ${sum.readCharacters}\nwchar: ${sum.writtenCharacters}\nsyscr: ${sum.readCalls}\n` +
    `syscw: ${sum.writeCalls}\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n`
  )
}

const children: Report = ({ group, task, viewer }) =>
  task.isLeader ? [...group.children].map((child) => `${viewer.toInside(child.tgid)} `).join("") : ""

const onlyInspector =
  (text: (task: Task) => string): Report =>
  ({ task }, caller) =>
    mayInspect(caller, task) ? text(task) : -EPERM

/** No login was recorded, and no session of one: (unsigned) -1. */
const UNSET = "4294967295"

const refuse = (): number => -EPERM

// ---------------------------------------------------------------------------------------------------------------------
// Links
// ---------------------------------------------------------------------------------------------------------------------

/** The program's file. */
const executableOf = ({ memory }: Subject): OpenFileDescription | undefined => {
  const exe = memory?.image.exe
  return exe instanceof OpenFileDescription ? exe : undefined
}

type Place = (subject: Subject) => Location | OpenFileDescription | undefined

const placeLink =
  (place: Place) =>
  (filesystem: PseudoFs, subject: Subject): Inode => {
    const find = (caller: Caller): Location | OpenFileDescription | number => {
      if (subject.gone) return -ENOENT
      if (!mayInspect(caller, subject.task)) return -EACCES
      return place(subject) ?? -ENOENT
    }
    return new MagicLink(
      filesystem,
      (caller) => {
        const found = find(caller)
        if (typeof found === "number") return found
        return found instanceof OpenFileDescription ? found.describe() : pathOf(found, caller.fs.root)
      },
      (caller): MagicTarget | number => {
        const found = find(caller)
        return found instanceof OpenFileDescription ? (found.location() ?? found) : found
      },
      { owner: () => ownerOf(subject) }
    )
  }

// ---------------------------------------------------------------------------------------------------------------------
// Directories
// ---------------------------------------------------------------------------------------------------------------------

type Make = (filesystem: PseudoFs, subject: Subject) => Inode

const file =
  (report: Report | undefined, options?: TaskFileOptions): Make =>
  (filesystem, subject) =>
    taskFile(filesystem, subject, report, options)

/** In the order of their names in a listing. What Linux has only for the whole process is in `PROCESS`. */
const COMMON: ReadonlyArray<readonly [name: string, make: Make]> = [
  ["fd", fdDirectory],
  ["fdinfo", fdInfoDirectory],
  ["net", netDirectory],
  ["ns", namespaceDirectory],
  ["environ", file(environ, { mode: 0o400, check: checkMemory })],
  ["auxv", file(auxv, { mode: 0o400, check: checkMemory })],
  ["status", file(status)],
  [
    "personality",
    file(
      onlyInspector((task) => `${task.personality.toString(16).padStart(8, "0")}\n`),
      { mode: 0o400 }
    )
  ],
  ["limits", file(limits)],
  ["comm", file(({ task }) => `${task.commandName}\n`, { write: writeComm })],
  ["syscall", file(syscall, { mode: 0o400 })],
  ["cmdline", file(cmdline)],
  ["statm", file(statm)],
  ["maps", file(maps, { check: checkInspect })],
  ["mem", (filesystem, subject) => new MemoryInode(filesystem, subject)],
  ["cwd", placeLink(({ task }) => (hasEnded(task) ? undefined : task.fs.workingDirectory))],
  ["root", placeLink(({ task }) => (hasEnded(task) ? undefined : task.fs.root))],
  ["exe", placeLink(executableOf)],
  ["mounts", file(mounts, { check: checkMounts })],
  ["mountinfo", file(mountinfo, { check: checkMounts })],
  ["smaps", file(smaps, { check: checkInspect })],
  ["smaps_rollup", file(smapsRollup, { check: checkMemory })],
  ["wchan", file(() => "0")],
  ["schedstat", file((subject) => `${usageOf(subject).user} 0 0\n`)],
  ["cpuset", file(() => "/\n")],
  ["cgroup", file(() => "0::/\n")],
  ["oom_score", file(oomScore)],
  ["oom_score_adj", file(({ group }) => `${group.oomScoreAdj}\n`, { write: writeOomScore })],
  ["loginuid", file(() => UNSET, { write: refuse })],
  ["sessionid", file(() => UNSET)],
  ["timens_offsets", timeOffsets],
  ["io", file(io, { mode: 0o400 })],
  ["uid_map", uidMap],
  ["gid_map", gidMap],
  ["projid_map", projectIdMap],
  ["setgroups", setgroupsFile]
]

const THREAD: ReadonlyArray<readonly [name: string, make: Make]> = [["children", file(children)]]

/** What directories of proc share. */
export interface ProcContext {
  readonly filesystem: PseudoFs
  /** The controlling terminal of a session. */
  readonly terminalOf: (session: number) => ControllingTerminal | undefined
}

/** /proc/[pid] or /proc/[pid]/task/[tid]; the former also stands for the process in pidfd_send_signal(2). */
export class TaskDirectory extends DynamicDirectory {
  /** The process; undefined for the directory of a thread. */
  readonly process: ThreadGroup | undefined
  readonly #subject: Subject

  constructor(filesystem: PseudoFs, entries: DynamicEntries, subject: Subject) {
    super(filesystem, entries, { owner: () => userOf(subject.task) })
    this.#subject = subject
    this.process = subject.whole ? subject.group : undefined
  }

  override get gone(): boolean {
    return this.#subject.gone
  }
}

/** Makes the directories of tasks, and keeps each as long as its task. */
export class TaskDirectories {
  readonly #context: ProcContext
  readonly #processes = new WeakMap<object, Inode>()
  readonly #threads = new WeakMap<Task, Inode>()

  constructor(context: ProcContext) {
    this.#context = context
  }

  /** /proc/[pid]; also by the id of a thread that is not the leader, which listings do not show. */
  process(subject: Subject): Inode {
    const key = subject.task.isLeader ? subject.group : subject.task
    let known = this.#processes.get(key)
    if (known === undefined) {
      const taskEntry: readonly [string, Make] = ["task", (_filesystem, of) => this.#tasks(of)]
      const timerSlack: readonly [string, Make] = [
        "timerslack_ns",
        file(readTimerSlack, { mode: 0o666, write: writeTimerSlack })
      ]
      const filter: readonly [string, Make] = [
        "coredump_filter",
        file(coredumpFilter, { mode: 0o644, write: writeCoredumpFilter })
      ]
      const stats: readonly [string, Make] = ["mountstats", file(mountstats, { mode: 0o400, check: checkMounts })]
      known = this.#directory(subject, [taskEntry, ...COMMON, stats, filter, timerSlack])
      this.#processes.set(key, known)
    }
    return known
  }

  #thread(task: Task, viewer: PidNamespace): Inode {
    let known = this.#threads.get(task)
    if (known === undefined) {
      known = this.#directory(new Subject(task.threadGroup, task, false, viewer), [...COMMON, ...THREAD])
      this.#threads.set(task, known)
    }
    return known
  }

  /** A directory of files that are made when they are first looked for. */
  #directory(subject: Subject, table: ReadonlyArray<readonly [name: string, make: Make]>): Inode {
    const { filesystem, terminalOf } = this.#context
    const makers = new Map(table)
    makers.set(
      "stat",
      file((of, caller) => stat(of, caller, terminalOf(of.group.processGroup.session.id)))
    )
    const made = new Map<string, Inode>()
    const get = (name: string): Inode | undefined => {
      const known = made.get(name)
      if (known !== undefined) return known
      const inode = makers.get(name)?.(filesystem, subject)
      if (inode !== undefined) made.set(name, inode)
      return inode
    }
    return new TaskDirectory(
      filesystem,
      {
        lookup: (name) => (subject.gone ? -ENOENT : get(name)),
        list: () => {
          if (subject.gone) return -ENOENT
          const entries: Array<DirectoryEntry> = []
          for (const name of makers.keys()) {
            const inode = get(name)! // it has a maker
            entries.push({ name, ino: inode.ino, type: direntType(inode.mode) })
          }
          return entries
        }
      },
      subject
    )
  }

  /** /proc/[pid]/task. */
  #tasks(subject: Subject): Inode {
    const { group, viewer } = subject
    const tasks = (): ReadonlyArray<Task> => {
      const all = new Set([...group.tasks, ...group.unreaped])
      if (group.leader !== undefined && group.state !== "Dead") all.add(group.leader)
      return [...all].sort((a, b) => a.tid - b.tid)
    }
    return new DynamicDirectory(
      this.#context.filesystem,
      {
        lookup: (name) => {
          const tid = parseNumber(name)
          const task = tasks().find((each) => viewer.toInside(each.tid) === tid)
          return task === undefined ? undefined : this.#thread(task, viewer)
        },
        list: () =>
          tasks().map((task) => ({
            name: `${viewer.toInside(task.tid)}`,
            ino: this.#thread(task, viewer).ino,
            type: DT_DIR
          }))
      },
      { owner: () => userOf(subject.task) }
    )
  }
}
