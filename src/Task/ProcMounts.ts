/**
 * /proc/[pid]/mounts, mountinfo, mountstats: the mounts below the process's root.
 */
import { EINVAL } from "../Abi/Errno.ts"
import { major, minor } from "../Abi/Device.ts"
import { Location, type Mount, isReachable, pathOf } from "../Vfs/Mount.ts"
import { type Subject, hasEnded } from "./ProcSubject.ts"
import { escape } from "./ProcText.ts"

/** Characters that would break the columns. */
const quote = (text: string): string => escape(text, " \t\n\\#")

const mountFlags = (mount: Mount): string =>
  [
    mount.readOnly ? "ro" : "rw",
    mount.noSuid ? "nosuid" : "",
    mount.noDevices ? "nodev" : "",
    mount.noExecute ? "noexec" : "",
    "relatime"
  ]
    .filter((flag) => flag !== "")
    .join(",")

const superFlags = (mount: Mount): string => (mount.filesystem.readOnly ? "ro" : "rw")

/** mounts shows one list: read-only if the mount or the filesystem is. */
const allFlags = (mount: Mount): string =>
  mount.filesystem.readOnly && !mount.readOnly ? mountFlags(mount).replace("rw", "ro") : mountFlags(mount)

interface Shown {
  readonly mount: Mount
  /** Where, as the process sees it. */
  readonly point: string
}

/** Opening: a zombie has no file tree, -EINVAL. */
export const checkMounts = ({ task }: Subject): number => (hasEnded(task) ? -EINVAL : 0)

const mountsOf = ({ task }: Subject): ReadonlyArray<Shown> | number => {
  if (hasEnded(task)) return -EINVAL
  const { fs, system } = task
  const shown: Array<Shown> = []
  for (const mount of system.vfs.mounts()) {
    const top = new Location(mount, mount.root)
    if (isReachable(top, fs.root)) shown.push({ mount, point: pathOf(top, fs.root) })
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
    ({ mount, point }) => `${quote(mount.source)} ${quote(point)} ${mount.filesystem.name} ${allFlags(mount)} 0 0\n`
  )

export const mountinfo = (subject: Subject): string | number =>
  report(subject, ({ mount, point }) => {
    const { device, name } = mount.filesystem
    const parent = mount.point?.mount.id ?? mount.id
    return (
      `${mount.id} ${parent} ${major(device)}:${minor(device)} / ${quote(point)} ${mountFlags(mount)} ` +
      `- ${name} ${quote(mount.source)} ${superFlags(mount)}\n`
    )
  })

export const mountstats = (subject: Subject): string | number =>
  report(
    subject,
    ({ mount, point }) =>
      `device ${quote(mount.source)} mounted on ${quote(point)} with fstype ${mount.filesystem.name}\n`
  )
