/**
 * /proc/[pid]/mounts, mountinfo, mountstats: the mounts below the process's root.
 */
import { EINVAL } from "../Abi/Errno.ts"
import {
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_MANDLOCK,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_SYNCHRONOUS
} from "../Abi/MountFlags.ts"
import { major, minor } from "../Abi/Device.ts"
import { Location, type Mount, isReachable, pathInFilesystem, pathOf } from "../Vfs/Mount.ts"
import { type Subject, hasEnded } from "./ProcSubject.ts"
import { escape } from "./ProcText.ts"

/** Characters that would break the columns. */
const quote = (text: string): string => escape(text, " \t\n\\")
/** Of a source and a type, the sign of a comment too. */
const quoteSource = (text: string): string => escape(text, " \t\n\\#")

const MOUNT_WORDS: ReadonlyArray<readonly [flag: number, word: string]> = [
  [MS_NOSUID, "nosuid"],
  [MS_NODEV, "nodev"],
  [MS_NOEXEC, "noexec"],
  [MS_NOATIME, "noatime"],
  [MS_NODIRATIME, "nodiratime"],
  [MS_RELATIME, "relatime"],
  [MS_NOSYMFOLLOW, "nosymfollow"]
]

const FILESYSTEM_WORDS: ReadonlyArray<readonly [flag: number, word: string]> = [
  [MS_SYNCHRONOUS, "sync"],
  [MS_DIRSYNC, "dirsync"],
  [MS_MANDLOCK, "mand"],
  [MS_LAZYTIME, "lazytime"]
]

const wordsOf = (flags: number, words: typeof MOUNT_WORDS): string =>
  words.map(([flag, word]) => ((flags & flag) === 0 ? "" : `,${word}`)).join("")

const mountFlags = ({ flags }: Mount): string => ((flags & MS_RDONLY) === 0 ? "rw" : "ro") + wordsOf(flags, MOUNT_WORDS)

const filesystemFlags = ({ filesystem: { flags, options } }: Mount): string =>
  ((flags & MS_RDONLY) === 0 ? "rw" : "ro") + wordsOf(flags, FILESYSTEM_WORDS) + options

/** mounts shows one list: read-only if the mount or the filesystem is. */
const allFlags = ({ filesystem, flags, refusesWrites }: Mount): string =>
  (refusesWrites ? "ro" : "rw") +
  wordsOf(filesystem.flags, FILESYSTEM_WORDS) +
  wordsOf(flags, MOUNT_WORDS) +
  filesystem.options

/** The optional fields of mountinfo: propagation. */
const propagation = ({ group, master, unbindable }: Mount): string =>
  (group === undefined ? "" : `shared:${group.id} `) +
  (master === undefined ? "" : `master:${master.id} `) +
  (unbindable ? "unbindable " : "")

interface Shown {
  readonly mount: Mount
  /** Where, as the process sees it. */
  readonly point: string
}

/** Opening: a zombie has no file tree, -EINVAL. */
export const checkMounts = ({ task }: Subject): number => (hasEnded(task) ? -EINVAL : 0)

const mountsOf = ({ task }: Subject): ReadonlyArray<Shown> | number => {
  if (hasEnded(task)) return -EINVAL
  const { namespace, root } = task.fs
  const shown: Array<Shown> = []
  for (const mount of namespace.inOrder) {
    const top = new Location(mount, mount.root)
    if (!isReachable(top, root)) continue
    // not the path of what is mounted, which may have lost its name
    shown.push({ mount, point: pathOf(top.equals(root) ? top : (mount.point ?? top), root) })
  }
  return shown
}

const report = (subject: Subject, format: (shown: Shown) => string): string | number => {
  const mounts = mountsOf(subject)
  return typeof mounts === "number" ? mounts : mounts.map(format).join("")
}

export const mounts = (subject: Subject): string | number =>
  report(
    subject,
    ({ mount, point }) =>
      `${quoteSource(mount.source)} ${quote(point)} ${mount.filesystem.name} ${allFlags(mount)} 0 0\n`
  )

export const mountinfo = (subject: Subject): string | number =>
  report(subject, ({ mount, point }) => {
    const { device, name } = mount.filesystem
    const parent = mount.parent?.id ?? mount.id
    return (
      `${mount.id} ${parent} ${major(device)}:${minor(device)} ${quote(pathInFilesystem(mount.root))} ${quote(point)} ` +
      `${mountFlags(mount)} ${propagation(mount)}- ${name} ${quoteSource(mount.source)} ${filesystemFlags(mount)}\n`
    )
  })

export const mountstats = (subject: Subject): string | number =>
  report(
    subject,
    ({ mount, point }) =>
      `device ${quoteSource(mount.source)} mounted on ${quote(point)} with fstype ${mount.filesystem.name}\n`
  )
