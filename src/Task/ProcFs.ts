/**
 * proc(5): the tasks of a sandbox and facts about its system, as files.
 */
import { ENOENT } from "../Abi/Errno.ts"
import { DT_DIR, direntType } from "../Abi/FileMode.ts"
import { snapshotListing } from "../Vfs/DirectoryFile.ts"
import type { Filesystem } from "../Vfs/Filesystem.ts"
import type { Caller, DirectoryListing, Inode } from "../Vfs/Inode.ts"
import { PseudoFs, PseudoLink, StaticDirectory } from "../Vfs/PseudoFs.ts"
import { parseNumber } from "./ProcFd.ts"
import { Subject } from "./ProcSubject.ts"
import type { PidNamespace } from "./PidNamespace.ts"
import { addSysctl } from "./ProcSysctl.ts"
import { addSystemFiles } from "./ProcSystem.ts"
import { addSysvipc } from "./ProcSysvipc.ts"
import { type ProcContext, TaskDirectories } from "./ProcTask.ts"
import type { System } from "./System.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** PROC_SUPER_MAGIC. */
const MAGIC = 0x9fa0
const ROOT_INO = 1

/** /proc itself: files about the system, and a directory for each process. */
class ProcRoot extends StaticDirectory {
  override readonly ino = ROOT_INO
  /** Set while the filesystem is made. */
  processes:
    | { readonly system: System; readonly directories: TaskDirectories; readonly pidNamespace: PidNamespace }
    | undefined

  protected override get nlink(): number {
    return super.nlink + this.#groups().length
  }

  override lookup(name: string, known: Inode | undefined): Inode | number {
    const fixed = super.lookup(name, known)
    if (typeof fixed !== "number" || this.processes === undefined) return fixed
    const id = parseNumber(name)
    if (id === undefined) return -ENOENT
    const { directories, pidNamespace, system } = this.processes
    const outside = pidNamespace.toOutside(id)
    const group = system.taskSet.groups.get(outside)
    if (group !== undefined) return directories.process(new Subject(group, undefined, true, pidNamespace))
    const thread = system.taskSet.tasks.get(outside)
    if (thread === undefined) return -ENOENT
    return directories.process(new Subject(thread.threadGroup, thread, true, pidNamespace))
  }

  /** The processes that can be seen here, in the order of their ids. */
  #groups(): ReadonlyArray<ThreadGroup> {
    if (this.processes === undefined) return []
    const { pidNamespace, system } = this.processes
    const id = ({ tgid }: ThreadGroup): number => pidNamespace.toInside(tgid)
    return [...system.taskSet.groups.values()].filter((group) => id(group) !== 0).sort((a, b) => id(a) - id(b))
  }

  override list(caller: Caller): DirectoryListing {
    const { processes } = this
    if (processes === undefined) return super.list(caller)
    const entries = [...this.entries].map(([name, inode]) => ({ name, ino: inode.ino, type: direntType(inode.mode) }))
    const { directories, pidNamespace } = processes
    for (const group of this.#groups()) {
      const { ino } = directories.process(new Subject(group, undefined, true, pidNamespace))
      entries.push({ name: `${pidNamespace.toInside(group.tgid)}`, ino, type: DT_DIR })
    }
    return snapshotListing(entries)
  }
}

class ProcFilesystem extends PseudoFs {
  override readonly root: ProcRoot = new ProcRoot(this)
}

/** One /proc for each PID namespace, made when it is first mounted. */
export class ProcFilesystems {
  readonly #system: System
  readonly #terminalOf: ProcContext["terminalOf"]
  readonly #made = new WeakMap<PidNamespace, Filesystem>()

  /** For a system whose tasks may come later. `terminalOf`: the controlling terminal of a session. */
  constructor(system: System, terminalOf: ProcContext["terminalOf"]) {
    this.#system = system
    this.#terminalOf = terminalOf
  }

  /** The one that shows the processes of `namespace`. */
  of(namespace: PidNamespace): Filesystem {
    let filesystem = this.#made.get(namespace)
    if (filesystem === undefined) {
      filesystem = makeProcFs(this.#system, this.#terminalOf, namespace)
      this.#made.set(namespace, filesystem)
    }
    return filesystem
  }

  /** The namespace whose /proc mount(2) by a task mounts: its own. */
  namespaceOf({ threadGroup }: Caller): PidNamespace {
    const { namespaces, taskSet } = this.#system
    return taskSet.groups.get(threadGroup.tgid)?.pidNamespace ?? namespaces.pidForChildren
  }
}

const makeProcFs = (system: System, terminalOf: ProcContext["terminalOf"], pidNamespace: PidNamespace): Filesystem => {
  const { vfs } = system
  const filesystem = new ProcFilesystem({
    name: "proc",
    device: vfs.newDevice(),
    magic: MAGIC,
    clock: vfs.clock
  })
  addSystemFiles(filesystem, system)
  addSysctl(filesystem, system)
  addSysvipc(filesystem, system)
  // the kernel itself, mounting things, has no process
  const self = ({ threadGroup }: Caller): string | number => {
    const tgid = pidNamespace.toInside(threadGroup.tgid)
    return tgid > 0 ? `${tgid}` : -ENOENT
  }
  const threadSelf = ({ threadGroup, tid }: Caller): string | number => {
    const tgid = pidNamespace.toInside(threadGroup.tgid)
    return tgid > 0 ? `${tgid}/task/${pidNamespace.toInside(tid)}` : -ENOENT
  }
  filesystem.root.add("self", new PseudoLink(filesystem, self))
  filesystem.root.add("net", new PseudoLink(filesystem, () => "self/net"))
  filesystem.root.add("thread-self", new PseudoLink(filesystem, threadSelf))
  const directories = new TaskDirectories({ filesystem, terminalOf })
  filesystem.root.processes = { system, directories, pidNamespace }
  return filesystem
}
