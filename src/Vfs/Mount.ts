/**
 * Mounts: which filesystem's tree hangs where; and `Location`, a place in the whole tree.
 */
import { Dentry, type DentryCache } from "./Dentry.ts"
import type { Filesystem } from "./Filesystem.ts"

/** Per-mount restrictions, mount(8). */
export interface MountOptions {
  readonly readOnly?: boolean
  readonly noSuid?: boolean
  readonly noDevices?: boolean
  readonly noExecute?: boolean
  /** What /proc/mounts names as the source. */
  readonly source?: string
}

export class Mount {
  /** Unique in the sandbox: mountinfo's mount ID, statx's stx_mnt_id. */
  readonly id: number
  readonly filesystem: Filesystem
  readonly root: Dentry
  readonly readOnly: boolean
  readonly noSuid: boolean
  readonly noDevices: boolean
  readonly noExecute: boolean
  readonly source: string
  /** Where it is mounted; undefined for the root of the tree and for internal mounts. */
  readonly point: Location | undefined
  /** Mounts on dentries of this one. Atomic: `MountTable`. */
  readonly #children = new Map<Dentry, Mount>()

  constructor(
    id: number,
    filesystem: Filesystem,
    root: Dentry,
    point: Location | undefined,
    options: MountOptions = {}
  ) {
    this.id = id
    this.filesystem = filesystem
    this.root = root
    this.point = point
    this.readOnly = options.readOnly ?? false
    this.noSuid = options.noSuid ?? false
    this.noDevices = options.noDevices ?? false
    this.noExecute = options.noExecute ?? false
    this.source = options.source ?? filesystem.name
    if (point !== undefined) {
      point.mount.#children.set(point.dentry, this)
      point.dentry.mounts++
    }
  }

  /** Whether changes below it fail with EROFS. */
  get refusesWrites(): boolean {
    return this.readOnly || this.filesystem.readOnly
  }

  /** The mount that covers `dentry` of this mount. */
  mountedOn(dentry: Dentry): Mount | undefined {
    return dentry.mounts === 0 ? undefined : this.#children.get(dentry)
  }

  /** Takes it off its mount point. */
  detach(): void {
    if (this.point === undefined) return
    this.point.mount.#children.delete(this.point.dentry)
    this.point.dentry.mounts--
  }

  get children(): Iterable<Mount> {
    return this.#children.values()
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

  /** The root of whatever is mounted here, or this. */
  get covered(): Location {
    let at: Location = this
    for (let over = at.mount.mountedOn(at.dentry); over !== undefined; over = at.mount.mountedOn(at.dentry)) {
      at = new Location(over, over.root)
    }
    return at
  }
}

/** A mount of `filesystem` that is nowhere in the tree (pipes, memfds), or its root. */
export const rootMount = (id: number, filesystem: Filesystem, cache: DentryCache, options: MountOptions = {}): Mount =>
  new Mount(id, filesystem, new Dentry(cache, undefined, "/", filesystem.root), undefined, options)

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
