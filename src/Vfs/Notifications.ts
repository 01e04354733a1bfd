/**
 * Tells who watches files (inotify(7)) what happens to them. Called wherever this kernel changes names, attributes or
 * contents; what the host does behind a writable bind is not seen.
 *
 * A file that nobody watches costs the look at two fields: of its inode, and of its directory's.
 */
import {
  IN_ALL_EVENTS,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_ISDIR,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO
} from "../Abi/InotifyFlags.ts"
import { isDirectory } from "../Abi/FileMode.ts"
import type { Dentry } from "./Dentry.ts"
import type { Inode } from "./Inode.ts"

/** One interest in one inode. */
export interface Watcher {
  /** The IN_* events asked for. Atomic. */
  readonly mask: number
  /** IN_EXCL_UNLINK. */
  readonly excludesUnlinked: boolean
  /** An event that `mask` has; `name` of the entry if a directory is watched and it happened to an entry. */
  notify(event: number, name: string, cookie: number): void
  /** The inode is no more. */
  end(): void
}

const SELF_EVENTS = IN_DELETE_SELF | IN_MOVE_SELF

const tell = (watched: Inode, event: number, name: string, cookie: number, unlinked: boolean): void => {
  for (const watcher of watched.watchers ?? []) {
    if ((watcher.mask & event & IN_ALL_EVENTS) !== 0 && !(unlinked && watcher.excludesUnlinked)) {
      watcher.notify(event, name, cookie)
    }
  }
}

/** Something happened to `inode` itself. */
const tellInode = (inode: Inode, event: number): void => {
  if (inode.watchers === undefined) return
  const isdir = (event & SELF_EVENTS) === 0 && isDirectory(inode.mode)
  tell(inode, isdir ? event | IN_ISDIR : event, "", 0, false)
}

/** Something happened to the entry `name` of `directory`. */
const tellEntry = (directory: Inode, event: number, name: string, inode: Inode, cookie = 0): void => {
  if (directory.watchers === undefined) return
  tell(directory, isDirectory(inode.mode) ? event | IN_ISDIR : event, name, cookie, false)
}

/** Whoever watches its directory hears first, then who watches the file. */
const tellBoth = (dentry: Dentry, event: number, unlinked: boolean): void => {
  const inode = dentry.inode
  const directory = dentry.isRoot ? undefined : dentry.parent.inode
  if (inode === undefined || (inode.watchers === undefined && directory?.watchers === undefined)) return
  const full = isDirectory(inode.mode) ? event | IN_ISDIR : event
  if (directory !== undefined) tell(directory, full, dentry.name, 0, unlinked)
  tell(inode, full, "", 0, unlinked)
}

/** Through an open file: IN_OPEN, IN_ACCESS, IN_MODIFY, IN_CLOSE_*. IN_EXCL_UNLINK is for these. */
export const happenedToFile = (dentry: Dentry, event: number): void => tellBoth(dentry, event, dentry.unlinked)

/** To attributes or size, by name or descriptor. */
export const changedAttributes = (dentry: Dentry, event: number): void => tellBoth(dentry, event, false)

/** mkdir(2), mknod(2), symlink(2), open(2) with O_CREAT. */
export const created = (dentry: Dentry): void => tellEntry(dentry.parent.inode!, IN_CREATE, dentry.name, dentry.inode!)

/** link(2): the count of links is an attribute. */
export const linked = (dentry: Dentry): void => {
  tellInode(dentry.inode!, IN_ATTRIB)
  created(dentry)
}

/** unlink(2). The dentry has been dropped. */
export const unlinked = (dentry: Dentry): void => {
  tellInode(dentry.inode!, IN_ATTRIB)
  endIfUnused(dentry)
  tellEntry(dentry.parent.inode!, IN_DELETE, dentry.name, dentry.inode!)
}

/** rmdir(2). The dentry has been dropped. */
export const removedDirectory = (dentry: Dentry): void => {
  endIfUnused(dentry)
  tellEntry(dentry.parent.inode!, IN_DELETE, dentry.name, dentry.inode!)
}

/** rename(2) of what is now at `dentry`; `cookie` joins the two halves. */
export const moved = (
  oldDirectory: Inode,
  oldName: string,
  dentry: Dentry,
  replaced: Dentry | undefined,
  cookie: number
): void => {
  const inode = dentry.inode!
  tellEntry(oldDirectory, IN_MOVED_FROM, oldName, inode, cookie)
  tellEntry(dentry.parent.inode!, IN_MOVED_TO, dentry.name, inode, cookie)
  if (replaced?.inode !== undefined) tellInode(replaced.inode, IN_ATTRIB)
  tellInode(inode, IN_MOVE_SELF)
  if (replaced?.inode !== undefined) endIfUnused(replaced)
}

/**
 * A name or an open description of a watched inode is gone: if that was the last of both, so is the inode. Differs from
 * Linux: a working directory alone does not keep a removed directory.
 */
export const endIfUnused = (dentry: Dentry): void => {
  const inode = dentry.inode!
  // a file may have other names, a directory has none
  if (inode.watchers === undefined || inode.descriptions > 0 || !dentry.unlinked) return
  const stat = inode.stat()
  if (typeof stat !== "number" && stat.nlink > 0 && !isDirectory(inode.mode)) return
  tellInode(inode, IN_DELETE_SELF)
  for (const watcher of inode.watchers ?? []) watcher.end()
}
