/**
 * /proc/[pid]/fd and fdinfo: the open descriptors, as magic links and as text.
 */
import { EACCES, ENOENT } from "../Abi/Errno.ts"
import { DT_LNK, DT_REG } from "../Abi/FileMode.ts"
import { SEEK_CUR } from "../Abi/At.ts"
import { O_CLOEXEC, O_PATH } from "../Abi/OpenFlags.ts"
import type { Caller, Inode, MagicTarget } from "../Vfs/Inode.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { DynamicDirectory, MagicLink, type PseudoFs } from "../Vfs/PseudoFs.ts"
import { checkInspect } from "./ProcMemory.ts"
import { type Subject, hasEnded, mayInspect, ownerOf, taskFile, userOf } from "./ProcSubject.ts"

/** A number as names of proc have it: decimal, without leading zeros; undefined for other names. */
export const parseNumber = (name: string): number | undefined =>
  /^(0|[1-9]\d{0,9})$/.test(name) ? Number(name) : undefined

const openFile = (subject: Subject, fd: number): OpenFileDescription | undefined =>
  subject.gone || hasEnded(subject.task) ? undefined : subject.task.fds.get(fd)

const descriptors = (subject: Subject): ReadonlyArray<number> =>
  subject.gone || hasEnded(subject.task) ? [] : [...subject.task.fds.descriptors()]

/** The owner's permissions say how the file is open. */
const linkMode = (file: OpenFileDescription): number => {
  if ((file.statusFlags & O_PATH) !== 0) return 0
  return (file.readable ? 0o500 : 0) | (file.writable ? 0o300 : 0)
}

/** One link: a descriptor's number and the description it stood for when the link was made. */
class FdLink extends MagicLink {
  readonly file: OpenFileDescription

  constructor(filesystem: PseudoFs, subject: Subject, fd: number, file: OpenFileDescription) {
    const current = (caller: Caller): OpenFileDescription | number =>
      mayInspect(caller, subject.task) ? (openFile(subject, fd) ?? -ENOENT) : -EACCES
    super(
      filesystem,
      (caller) => {
        const open = current(caller)
        return typeof open === "number" ? open : open.describe()
      },
      (caller): MagicTarget | number => {
        const open = current(caller)
        return typeof open === "number" ? open : (open.location() ?? open)
      },
      { mode: linkMode(file), owner: () => ownerOf(subject), size: () => 64 }
    )
    this.file = file
  }
}

export const fdDirectory = (filesystem: PseudoFs, subject: Subject): Inode => {
  /** By number. What is not open any more goes at the next listing. */
  const links = new Map<number, FdLink>()
  const link = (fd: number): FdLink | undefined => {
    const file = openFile(subject, fd)
    if (file === undefined) return undefined
    const known = links.get(fd)
    if (known?.file === file) return known
    const made = new FdLink(filesystem, subject, fd, file)
    links.set(fd, made)
    return made
  }
  return new DynamicDirectory(
    filesystem,
    {
      lookup: (name) => {
        const fd = parseNumber(name)
        return fd === undefined ? undefined : link(fd)
      },
      list: (caller) => {
        if (!mayInspect(caller, subject.task)) return -EACCES
        for (const fd of links.keys()) if (openFile(subject, fd) === undefined) links.delete(fd)
        return descriptors(subject).map((fd) => ({ name: `${fd}`, ino: link(fd)!.ino, type: DT_LNK })) // it is open
      }
    },
    // a process lists its own even if it is not dumpable
    { mode: 0o500, owner: () => userOf(subject.task), size: () => descriptors(subject).length }
  )
}

/** Files without a place in the tree are on a mount that nobody sees. */
const INTERNAL_MOUNT = 0

const info = (subject: Subject, fd: number): string | number => {
  const file = openFile(subject, fd)
  if (file === undefined) return -ENOENT
  const closeOnExec = subject.task.fds.closeOnExec(fd) === true ? O_CLOEXEC : 0
  const stat = file.stat()
  return (
    `pos:\t${Math.max(0, file.seek(0, SEEK_CUR))}\n` +
    `flags:\t0${(file.statusFlags | closeOnExec).toString(8)}\n` +
    `mnt_id:\t${file.location()?.mount.id ?? INTERNAL_MOUNT}\n` +
    `ino:\t${typeof stat === "number" ? 0 : stat.ino}\n${file.details()}`
  )
}

export const fdInfoDirectory = (filesystem: PseudoFs, subject: Subject): Inode => {
  const files = new Map<number, Inode>()
  const file = (fd: number): Inode => {
    let known = files.get(fd)
    if (known === undefined) {
      known = taskFile(filesystem, subject, () => info(subject, fd), { mode: 0o444, check: checkInspect })
      files.set(fd, known)
    }
    return known
  }
  return new DynamicDirectory(
    filesystem,
    {
      lookup: (name) => {
        const fd = parseNumber(name)
        return fd === undefined || openFile(subject, fd) === undefined ? undefined : file(fd)
      },
      list: (caller) => {
        if (!mayInspect(caller, subject.task)) return -EACCES
        return descriptors(subject).map((fd) => ({ name: `${fd}`, ino: file(fd).ino, type: DT_REG }))
      }
    },
    { mode: 0o555, owner: () => userOf(subject.task) }
  )
}
