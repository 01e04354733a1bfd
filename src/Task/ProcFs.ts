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
import { addSysctl } from "./ProcSysctl.ts"
import { addSystemFiles } from "./ProcSystem.ts"
import { addSysvipc } from "./ProcSysvipc.ts"
import { type ProcContext, TaskDirectories } from "./ProcTask.ts"
import type { System } from "./System.ts"

/** PROC_SUPER_MAGIC. */
const MAGIC = 0x9fa0
const ROOT_INO = 1

/** /proc itself: files about the system, and a directory for each process. */
class ProcRoot extends StaticDirectory {
  override readonly ino = ROOT_INO
  /** Set while the filesystem is made. */
  processes: { readonly system: System; readonly directories: TaskDirectories } | undefined

  protected override get nlink(): number {
    return super.nlink + (this.processes?.system.taskSet.groups.size ?? 0)
  }

  override lookup(name: string, known: Inode | undefined): Inode | number {
    const fixed = super.lookup(name, known)
    if (typeof fixed !== "number" || this.processes === undefined) return fixed
    const id = parseNumber(name)
    if (id === undefined) return -ENOENT
    const { directories, system } = this.processes
    const group = system.taskSet.groups.get(id)
    if (group !== undefined) return directories.process(new Subject(group, undefined, true))
    const thread = system.taskSet.tasks.get(id)
    return thread === undefined ? -ENOENT : directories.process(new Subject(thread.threadGroup, thread, true))
  }

  override list(caller: Caller): DirectoryListing {
    const { processes } = this
    if (processes === undefined) return super.list(caller)
    const entries = [...this.entries].map(([name, inode]) => ({ name, ino: inode.ino, type: direntType(inode.mode) }))
    const { directories, system } = processes
    const groups = [...system.taskSet.groups.values()].sort((a, b) => a.tgid - b.tgid)
    for (const group of groups) {
      const { ino } = directories.process(new Subject(group, undefined, true))
      entries.push({ name: `${group.tgid}`, ino, type: DT_DIR })
    }
    return snapshotListing(entries)
  }
}

class ProcFilesystem extends PseudoFs {
  override readonly root: ProcRoot = new ProcRoot(this)
}

/** Makes /proc for a system whose tasks may come later. `terminalOf`: the controlling terminal of a session. */
export const makeProcFs = (system: System, terminalOf: ProcContext["terminalOf"] = () => undefined): Filesystem => {
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
  const self = ({ threadGroup: { tgid } }: Caller): string | number => (tgid > 0 ? `${tgid}` : -ENOENT)
  const threadSelf = ({ threadGroup: { tgid }, tid }: Caller): string | number =>
    tgid > 0 ? `${tgid}/task/${tid}` : -ENOENT
  filesystem.root.add("self", new PseudoLink(filesystem, self))
  filesystem.root.add("net", new PseudoLink(filesystem, () => "self/net"))
  filesystem.root.add("thread-self", new PseudoLink(filesystem, threadSelf))
  const directories = new TaskDirectories({ filesystem, terminalOf })
  filesystem.root.processes = { system, directories }
  return filesystem
}
