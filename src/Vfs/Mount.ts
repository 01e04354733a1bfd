/**
 * Mounts: which filesystem's tree, or what part of it, hangs where; and `Location`, a place in the whole tree.
 *
 * A mount is in the tree of a mount namespace, or in none: pipes and memfds live on mounts that nobody sees, and a mount
 * that umount2(2) detached lives on while somebody has a file of it open.
 */
import { MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_NOSYMFOLLOW, MS_RDONLY, MS_RELATIME } from "../Abi/MountFlags.ts"
import type { Dentry } from "./Dentry.ts"
import type { Filesystem } from "./Filesystem.ts"
import type { MountNamespace } from "./MountNamespace.ts"
import type { PeerGroup } from "./Propagation.ts"

export interface MountOptions {
  /** MS_* bits of `MOUNT_FLAGS`. */
  readonly flags?: number
  /** What /proc/mounts names as the source. */
  readonly source?: string
}

export class Mount {
  /** Unique in the sandbox, and growing: mountinfo's mount ID, statx's stx_mnt_id. */
  readonly id: number
  readonly filesystem: Filesystem
  /** What of the filesystem it shows. */
  readonly root: Dentry
  readonly source: string
  /** MS_* bits of `MOUNT_FLAGS`. Atomic: MountChanges. */
  flags: number
  /** Bits of `flags`, and all of ACCESS_TIME_FLAGS or none, that users without privilege over it can't change. */
  lockedFlags = 0
  /** What it covers must stay covered: it came from a more privileged mount namespace. Atomic: MountTree. */
  locked = false
  /** Where it is mounted; undefined for the root of a tree. Atomic: `attach`, `detach`. */
  point: Location | undefined
  /** The namespace whose tree it is in. Atomic: MountTree. */
  namespace: MountNamespace | undefined
  /** It is in a tree that a descriptor holds, and nowhere: open_tree(2). Atomic: DetachedMount. */
  detached = false
  /** The mounts on it, in the order in which they came. Atomic: `attach`, `detach`. */
  readonly children = new Set<Mount>()
  /** Shared: who sees what is mounted below it, and the other way round. Atomic: Propagation. */
  group: PeerGroup | undefined
  /** The ring of the members of its group. Atomic: PeerGroup. */
  nextPeer: Mount = this
  previousPeer: Mount = this
  /** Slave: what is mounted there is mounted here. Atomic: Propagation. */
  master: PeerGroup | undefined
  unbindable = false
  /** Root and working directories and open files that are on it. Atomic: `use`, `unuse`. */
  users = 0
  /** Those that may write to a regular file. Atomic: OpenFileDescription. */
  writers = 0
  /** umount2(2) with MNT_EXPIRE has asked once, and nobody has come by since. Atomic. */
  expiring = false
  readonly #ended: (mount: Mount) => void

  /** `ended` is told when nothing of it is left. */
  constructor(
    id: number,
    filesystem: Filesystem,
    root: Dentry,
    ended: (mount: Mount) => void,
    options: MountOptions = {}
  ) {
    this.id = id
    this.filesystem = filesystem
    this.root = root
    this.#ended = ended
    this.flags = options.flags ?? MS_RELATIME
    this.source = options.source ?? filesystem.name
    filesystem.mounts++
  }

  get readOnly(): boolean {
    return (this.flags & MS_RDONLY) !== 0
  }

  /** Whether changes below it fail with EROFS. */
  get refusesWrites(): boolean {
    return (this.flags & MS_RDONLY) !== 0 || this.filesystem.readOnly
  }

  get noSuid(): boolean {
    return (this.flags & MS_NOSUID) !== 0
  }

  /** Device nodes can't be opened: those of a filesystem that a user without privilege mounted never. */
  get noDevices(): boolean {
    return (this.flags & MS_NODEV) !== 0 || !this.filesystem.owner.isFirst
  }

  get noExecute(): boolean {
    return (this.flags & MS_NOEXEC) !== 0 || this.filesystem.noExecute
  }

  get noSymlinks(): boolean {
    return (this.flags & MS_NOSYMFOLLOW) !== 0
  }

  get parent(): Mount | undefined {
    return this.point?.mount
  }

  /** The mount that covers `dentry` of this mount. */
  mountedOn(dentry: Dentry): Mount | undefined {
    return dentry.mounts?.get(this)
  }

  /** Puts it on `point`, where nothing is mounted. */
  attach(point: Location): void {
    this.point = point
    point.mount.children.add(this)
    point.dentry.mounts ??= new Map()
    point.dentry.mounts.set(point.mount, this)
  }

  /** Takes it off its mount point. */
  detach(): void {
    const { point } = this
    if (point === undefined) return
    this.point = undefined
    point.mount.children.delete(this)
    const { mounts } = point.dentry
    mounts?.delete(point.mount)
    if (mounts?.size === 0) point.dentry.mounts = undefined
  }

  /** This mount and all below it, each after the one it is mounted on. */
  *subtree(): Generator<Mount> {
    // no recursion: a guest may stack mounts as high as it likes
    const left: Array<Mount> = [this]
    for (let mount = left.pop(); mount !== undefined; mount = left.pop()) {
      yield mount
      for (const child of [...mount.children].toReversed()) left.push(child)
    }
  }

  /** A file, a root or a working directory on it is in use. */
  use(): void {
    this.users++
  }

  unuse(): void {
    this.users--
    this.expiring = false
    this.endIfUnused()
  }

  /** Out of the tree, and nobody uses it: the end. Of what was left on it, as it was locked there, perhaps too. */
  endIfUnused(): void {
    const left: Array<Mount> = [this]
    for (let mount = left.pop(); mount !== undefined; mount = left.pop()) {
      if (mount.users > 0 || mount.namespace !== undefined || mount.point !== undefined) continue
      for (const child of [...mount.children]) {
        child.detach()
        left.push(child)
      }
      this.#ended(mount)
    }
  }
}

/** A place: a dentry, and the mount through which it is seen. Two locations are the same if both parts are. */
export class Location {
  readonly mount: Mount
  readonly dentry: Dentry

  constructor(mount: Mount, dentry: Dentry) {
    this.mount = mount
    this.dentry = dentry
  }

  equals(other: Location): boolean {
    return this.dentry === other.dentry && this.mount === other.mount
  }

  /** Whether it is where its mount begins. */
  get isMountRoot(): boolean {
    return this.dentry === this.mount.root
  }

  /** The root of whatever is mounted here, or this. */
  get covered(): Location {
    let at: Location = this
    for (let over = at.mount.mountedOn(at.dentry); over !== undefined; over = at.mount.mountedOn(at.dentry)) {
      at = new Location(over, over.root)
    }
    return at
  }
}

/** The path of `dentry` in its filesystem; "//deleted" follows an unlinked name. */
export const pathInFilesystem = (dentry: Dentry): string => {
  let path = ""
  for (let at = dentry; !at.isRoot; at = at.parent) path = `/${at.name}${path}`
  return (path === "" ? "/" : path) + (dentry.unlinked ? "//deleted" : "")
}

/**
 * The path of `location` as a process whose root is `root` sees it (d_path). " (deleted)" follows an unlinked name;
 * what `root` does not contain is "(unreachable)…", as getcwd(2) shows it.
 */
export const pathOf = (location: Location, root: Location): string => {
  let { mount, dentry } = location
  const deleted = dentry.unlinked ? " (deleted)" : ""
  let path = ""
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) return (path === "" ? "/" : path) + deleted
    if (dentry === mount.root) {
      const { point } = mount
      if (point === undefined) break
      ;({ mount, dentry } = point)
      continue
    }
    if (dentry.isRoot) break // of a filesystem of which only a part is mounted
    path = `/${dentry.name}${path}`
    dentry = dentry.parent
  }
  return (path === "" ? "/" : path) + deleted
}

/** Whether `location` is `root` or below it. */
export const isReachable = (location: Location, root: Location): boolean => {
  let { mount, dentry } = location
  for (;;) {
    if (mount === root.mount && dentry === root.dentry) return true
    if (dentry === mount.root) {
      if (mount.point === undefined) return false
      ;({ mount, dentry } = mount.point)
    } else if (dentry.isRoot) return false
    else dentry = dentry.parent
  }
}
