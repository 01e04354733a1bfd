/**
 * /proc/[pid]/ns: the namespaces of a process, namespaces(7).
 */
import { EACCES, ENOENT } from "../Abi/Errno.ts"
import type { Inode } from "../Vfs/Inode.ts"
import type { Namespace } from "../Vfs/Namespace.ts"
import { MagicLink, type PseudoFs, StaticDirectory } from "../Vfs/PseudoFs.ts"
import { nameOfNamespace } from "./NamespaceFiles.ts"
import { type Subject, hasEnded, mayInspect, ownerOf, userOf } from "./ProcSubject.ts"
import type { Task } from "./Task.ts"

/** Link name, and what it leads to; undefined for a process that has ended, which has only ids left. */
const LINKS: ReadonlyArray<readonly [name: string, namespace: (task: Task) => Namespace | undefined]> = [
  ["cgroup", (task) => living(task)?.namespaces.cgroup],
  ["ipc", (task) => living(task)?.namespaces.ipc],
  ["mnt", (task) => living(task)?.fs.namespace],
  ["net", (task) => living(task)?.namespaces.net],
  ["pid", ({ threadGroup }) => threadGroup.pidNamespace],
  ["pid_for_children", (task) => living(task)?.namespaces.pidForChildren],
  ["time", (task) => living(task)?.namespaces.time],
  ["time_for_children", (task) => living(task)?.namespaces.timeForChildren],
  ["user", (task) => task.credentials.userNamespace],
  ["uts", (task) => living(task)?.namespaces.uts]
]

const living = (task: Task): Task | undefined => (hasEnded(task) ? undefined : task)

export const namespaceDirectory = (filesystem: PseudoFs, subject: Subject): Inode => {
  const directory = new StaticDirectory(filesystem, { mode: 0o511, owner: () => userOf(subject.task) })
  for (const [name, namespaceOf] of LINKS) {
    const find = (caller: Parameters<typeof mayInspect>[0]): Namespace | number => {
      if (!mayInspect(caller, subject.task)) return -EACCES
      return namespaceOf(subject.task) ?? -ENOENT
    }
    const link = new MagicLink(
      filesystem,
      (caller) => {
        const found = find(caller)
        return typeof found === "number" ? found : nameOfNamespace(found)
      },
      (caller) => {
        const found = find(caller)
        return typeof found === "number" ? found : subject.task.system.namespaceFiles.place(found)
      },
      { owner: () => ownerOf(subject) }
    )
    directory.add(name, link)
  }
  return directory
}
