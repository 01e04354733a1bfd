/**
 * Whom a directory of proc(5) is about, and who may look.
 */
import { ESRCH } from "../Abi/Errno.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { type AccessBy, mayAccess } from "../Ptrace/PtraceAccess.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { GeneratedFile, type PseudoAttributes, type PseudoFs } from "../Vfs/PseudoFs.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import type { Task } from "./Task.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** A process (/proc/[pid]), or one thread of it (/proc/[pid]/task/[tid]). */
export class Subject {
  readonly group: ThreadGroup
  /** Its figures are the whole group's. */
  readonly whole: boolean
  /** In whose terms the ids are told: the PID namespace that this /proc shows. */
  readonly viewer: PidNamespace
  readonly #thread: Task | undefined

  constructor(group: ThreadGroup, thread: Task | undefined, whole: boolean, viewer: PidNamespace) {
    this.group = group
    this.whole = whole
    this.viewer = viewer
    this.#thread = thread
  }

  /** The thread: of a process the leader, which execve(2) may replace. */
  get task(): Task {
    return this.#thread ?? this.group.leader! // a group in the task set has one
  }

  /** It was waited for, or the thread has ended: nothing about it can be read any more. */
  get gone(): boolean {
    const { group, task } = this
    return group.state === "Dead" || (task !== group.leader && !group.tasks.has(task) && !group.unreaped.has(task))
  }

  /** Undefined once the thread has given its memory up. */
  get memory(): MemoryManager | undefined {
    return hasEnded(this.task) ? undefined : this.task.memoryManager
  }
}

/**
 * Whether the thread is on its way out or a zombie: memory, descriptors and directories are no longer its own;
 * those of a thread that waits for a core file are. */
export const hasEnded = ({ runState, stops }: Task): boolean =>
  (runState._tag === "Exit" && stops.internal?._tag !== "CoreDumpStop") || runState._tag === "Dead"

/** Who owns the files about a task. What is not dumpable is root's, so that its own user cannot look either. */
export const ownerOf = ({ group, task }: Subject): { readonly uid: number; readonly gid: number } =>
  group.dumpable === 1 ? userOf(task) : { uid: 0, gid: 0 }

/** Who owns the directories, which tell nothing. */
export const userOf = ({ credentials }: Task): { readonly uid: number; readonly gid: number } => ({
  uid: credentials.euid,
  gid: credentials.egid
})

/** ptrace(2), "Ptrace access mode checking", PTRACE_MODE_READ_FSCREDS. */
export const mayInspect = (caller: Caller, target: Task): boolean => mayInspectBy(caller, target, "filesystem ids")

/** The same by the real ids, PTRACE_MODE_READ_REALCREDS. */
export const mayInspectReally = (caller: Caller, target: Task): boolean => mayInspectBy(caller, target, "real ids")

const mayInspectBy = ({ credentials, threadGroup }: Caller, target: Task, by: AccessBy): boolean =>
  threadGroup.tgid === target.threadGroup.tgid ||
  mayAccess(credentials, target.credentials, target.threadGroup.dumpable === 1, by)

/** What a file about a task says: text, bytes, or -errno. */
export type Report = (subject: Subject, caller: Caller) => string | Uint8Array | number

export interface TaskFileOptions {
  readonly mode?: number
  /** One write(2), of which it sees the beginning: 0 or -errno. */
  readonly write?: (text: string, subject: Subject, caller: Caller) => number
  /** Runs before the file is opened: 0 or -errno. */
  readonly check?: (subject: Subject, caller: Caller) => number
}

/** As much of what a guest writes as any file here looks at: no number or name is longer. */
const MAX_WRITTEN = 256

/** The beginning of what was written, as a byte string. */
export const beginning = (bytes: Uint8Array): string => Buffer.from(bytes.subarray(0, MAX_WRITTEN)).toString("latin1")

/** A file about `subject`: -ESRCH once that is gone. */
export const taskFile = (
  filesystem: PseudoFs,
  subject: Subject,
  report: Report | undefined,
  options: TaskFileOptions = {}
): GeneratedFile => {
  const { check, mode, write } = options
  const attributes: PseudoAttributes = { owner: () => ownerOf(subject), ...(mode === undefined ? {} : { mode }) }
  return new GeneratedFile(
    filesystem,
    {
      ...(report === undefined ? {} : { read: (caller) => (subject.gone ? -ESRCH : report(subject, caller)) }),
      ...(check === undefined ? {} : { check: (caller) => (subject.gone ? -ESRCH : check(subject, caller)) }),
      ...(write === undefined
        ? {}
        : {
            write: (bytes: Uint8Array, caller: Caller) => {
              const result = subject.gone ? -ESRCH : write(beginning(bytes), subject, caller)
              return result < 0 ? result : bytes.length
            }
          })
    },
    attributes
  )
}
