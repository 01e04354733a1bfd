/**
 * /proc/[pid]/ns: the namespaces, namespaces(7). Everything lives in the first one of each kind.
 */
import { EACCES } from "../Abi/Errno.ts"
import type { Inode } from "../Vfs/Inode.ts"
import { Location } from "../Vfs/Mount.ts"
import { GeneratedFile, MagicLink, PseudoFs, StaticDirectory } from "../Vfs/PseudoFs.ts"
import type { Vfs } from "../Vfs/Vfs.ts"
import { type Subject, mayInspect, userOf, ownerOf } from "./ProcSubject.ts"

/** NSFS_MAGIC. */
const MAGIC = 0x6e73_6673

/** Link name, kind, and the inode number that Linux gives the first namespace of the kind. */
const NAMESPACES: ReadonlyArray<readonly [name: string, kind: string, ino: number]> = [
  ["cgroup", "cgroup", 0xeffffffb],
  ["ipc", "ipc", 0xefffffff],
  ["mnt", "mnt", 0xeffffff8],
  ["net", "net", 0xeffffff9],
  ["pid", "pid", 0xeffffffc],
  ["pid_for_children", "pid", 0xeffffffc],
  ["time", "time", 0xeffffffa],
  ["time_for_children", "time", 0xeffffffa],
  ["user", "user", 0xeffffffd],
  ["uts", "uts", 0xeffffffe]
]

class NamespaceFile extends GeneratedFile {
  override readonly ino: number

  constructor(filesystem: PseudoFs, ino: number) {
    super(filesystem, {}, { mode: 0o444 })
    this.ino = ino
  }
}

/** What the links lead to: a filesystem that is mounted nowhere. By kind. */
export const makeNamespaces = (vfs: Vfs): ReadonlyMap<string, Location> => {
  const filesystem = new PseudoFs({ name: "nsfs", device: vfs.newDevice(), magic: MAGIC, clock: vfs.clock })
  for (const [, kind, ino] of NAMESPACES) filesystem.root.add(`${kind}:[${ino}]`, new NamespaceFile(filesystem, ino))
  const root = vfs.mountInternal(filesystem)
  const places = new Map<string, Location>()
  for (const [, kind, ino] of NAMESPACES) {
    const dentry = root.dentry.child(`${kind}:[${ino}]`)
    if (typeof dentry !== "number") places.set(kind, new Location(root.mount, dentry))
  }
  return places
}

export const namespaceDirectory = (
  filesystem: PseudoFs,
  subject: Subject,
  places: ReadonlyMap<string, Location>
): Inode => {
  const directory = new StaticDirectory(filesystem, { mode: 0o511, owner: () => userOf(subject.task) })
  for (const [name, kind, ino] of NAMESPACES) {
    directory.add(
      name,
      new MagicLink(
        filesystem,
        (caller) => (mayInspect(caller, subject.task) ? `${kind}:[${ino}]` : -EACCES),
        (caller) => (mayInspect(caller, subject.task) ? places.get(kind)! : -EACCES), // every kind has a place
        { owner: () => ownerOf(subject) }
      )
    )
  }
  return directory
}
