/**
 * Changes to trees of mounts: putting a mount somewhere, taking it away, copying a tree; with everything that this causes
 * elsewhere because mounts are shared (Propagation.ts). Who may do what is MountChanges' business.
 *
 * Atomic: every method.
 */
import { ENOSPC, EPERM } from "../Abi/Errno.ts"
import { ACCESS_TIME_FLAGS, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY } from "../Abi/MountFlags.ts"
import type { Dentry } from "./Dentry.ts"
import type { Filesystem } from "./Filesystem.ts"
import { Location, Mount, type MountOptions } from "./Mount.ts"
import type { MountNamespace } from "./MountNamespace.ts"
import { type PeerGroup, PeerGroups, isolate, receivers, setMaster } from "./Propagation.ts"

/** fs.mount-max. Differs from Linux: for all mount namespaces together, since each mount takes memory of the sentry's. */
export const MAX_MOUNTS = 100_000

/** What a copy is to its original, where that is shared: a peer, a slave, or a slave with a peer group of its own. */
export type Kinship = "Peer" | "Slave" | "SharedSlave"

export interface CopyOptions {
  readonly kinship: Kinship
  /** Unbindable mounts are copied too, not left out. */
  readonly unbindable: boolean
}

export class MountTree {
  readonly #filesystemEnded: (filesystem: Filesystem) => void
  #lastMount = 0
  /** Mounts that have not ended. */
  #count = 0

  constructor(filesystemEnded: (filesystem: Filesystem) => void) {
    this.#filesystemEnded = filesystemEnded
  }

  /** A mount that is nowhere yet. */
  make(filesystem: Filesystem, root: Dentry, options?: MountOptions): Mount {
    this.#count++
    return new Mount(++this.#lastMount, filesystem, root, this.#ended, options)
  }

  /** Whether there may be `more` mounts than there are. */
  hasRoom(more: number): boolean {
    return this.#count + more <= MAX_MOUNTS
  }

  readonly #ended = (mount: Mount): void => {
    this.#count--
    if (--mount.filesystem.mounts === 0) this.#filesystemEnded(mount.filesystem)
  }

  readonly groups = new PeerGroups()

  /** A copy of `mount` that shows `root` and what is below it. Nowhere yet. */
  clone(mount: Mount, root: Dentry, kinship: Kinship): Mount {
    const { filesystem, flags, source } = mount
    const copy = this.make(filesystem, root, { flags, source })
    copy.lockedFlags = mount.lockedFlags
    copy.locked = mount.locked
    copy.unbindable = mount.unbindable
    if (kinship === "Peer") {
      mount.group?.add(copy, mount)
      setMaster(copy, mount.master)
    } else {
      setMaster(copy, mount.group ?? mount.master)
      if (kinship === "SharedSlave") this.groups.make().add(copy)
    }
    return copy
  }

  /**
   * A copy of the part of `mount` below `root`, with the mounts on it. -EPERM where an unbindable mount that should be
   * left out is locked in place. `copies` gets each copy by its original.
   */
  copy(mount: Mount, root: Dentry, options: CopyOptions, copies = new Map<Mount, Mount>()): Mount | number {
    const top = this.clone(mount, root, options.kinship)
    copies.set(mount, top)
    const left = [...mount.children].filter((child) => child.point!.dentry.isBelow(root)).toReversed()
    for (let original = left.pop(); original !== undefined; original = left.pop()) {
      if (original.unbindable && !options.unbindable) {
        if (!original.locked) continue
        this.discardTree(top)
        return -EPERM
      }
      const copy = this.clone(original, original.root, options.kinship)
      copies.set(original, copy)
      const { dentry, mount } = original.point! // it is a child
      copy.attach(new Location(copies.get(mount)!, dentry)) // parents come first
      for (const child of [...original.children].toReversed()) left.push(child)
    }
    return top
  }

  /** A tree that gets no place after all. */
  discardTree(top: Mount): void {
    for (const mount of [...top.subtree()].toReversed()) {
      isolate(mount)
      mount.detach()
      mount.endIfUnused()
    }
  }

  /**
   * Puts the tree of `top`, which is nowhere or is moved, on `point`, and copies of it wherever that is to be seen.
   * -ENOSPC when there are too many mounts.
   */
  graft(top: Mount, point: Location): number {
    const target = point.mount
    // the tree itself is no place for it, though its mounts may be peers of the target
    const own = new Set(top.subtree())
    const places = new Set(receivers(target, point.dentry).filter((mount) => !own.has(mount)))
    if (!this.hasRoom(places.size * own.size)) return -ENOSPC
    if (target.group !== undefined) {
      for (const mount of top.subtree()) if (mount.group === undefined) this.groups.make().add(mount)
    }
    top.detach()
    top.locked = false
    top.attach(point)
    enter(top, target.namespace)
    if (target.group !== undefined) this.#propagate(target.group, top, target, point.dentry, places)
    return 0
  }

  /** Copies `source`, just mounted on `dentry` of `origin`, to the members of `group`, to its slaves, to their slaves. */
  #propagate(group: PeerGroup, source: Mount, origin: Mount, dentry: Dentry, places: ReadonlySet<Mount>): void {
    const left = [{ group, source, origin }]
    for (let at = left.pop(); at !== undefined; at = left.pop()) {
      const { origin, source } = at
      for (const member of [...at.group.members(origin.group === at.group ? origin : undefined)]) {
        if (member !== origin && places.has(member)) this.#place(source, "Peer", member, dentry, origin)
      }
      const groups = new Set<PeerGroup>()
      for (const slave of [...at.group.slaves]) {
        if (slave.group !== undefined) groups.add(slave.group)
        else if (places.has(slave)) this.#place(source, "Slave", slave, dentry, origin)
      }
      for (const group of groups) {
        // one copy is what the others of the slaves' own group are made from
        const first = [...group.members()].find((member) => places.has(member))
        const copy = first === undefined ? source : this.#place(source, "SharedSlave", first, dentry, origin)
        left.push({ group, source: copy, origin: first ?? origin })
      }
    }
  }

  /** A copy of `source` on `dentry` of `target`; what is mounted there already comes to lie on top. */
  #place(source: Mount, kinship: Kinship, target: Mount, dentry: Dentry, origin: Mount): Mount {
    const copy = this.copy(source, source.root, { kinship, unbindable: true }) as Mount // nothing is left out
    const above = target.mountedOn(dentry)
    above?.detach()
    copy.locked = false
    copy.attach(new Location(target, dentry))
    enter(copy, target.namespace)
    above?.attach(new Location(copy, copy.root).covered)
    if (isLessPrivileged(target.namespace, origin.namespace)) {
      lockTree(copy)
      copy.locked = false
    }
    return copy
  }

  /** Takes `top`, with all that is mounted on it, out of the tree, and the same wherever that is shared. */
  remove(top: Mount, options: { readonly propagate: boolean }): void {
    const going = new Set(top.subtree())
    if (options.propagate) this.#addPropagated(going)
    const all = [...going]
    for (const mount of all) {
      mount.namespace?.mounts.delete(mount)
      mount.namespace = undefined
      isolate(mount)
    }
    for (const mount of all.toReversed()) {
      // what it covers stays covered, for who still holds something below
      if (mount.locked && mount !== top && mount.parent !== undefined && going.has(mount.parent)) continue
      // what is mounted on the root of one that goes only because of propagation, and does not go itself, moves down
      const { point } = mount
      const staying = [...mount.children].filter((child) => !going.has(child))
      mount.detach()
      for (const child of staying) {
        child.detach()
        if (point !== undefined) child.attach(point)
      }
      mount.endIfUnused()
    }
  }

  /** Adds the mounts that go because those in `going` do. */
  #addPropagated(going: Set<Mount>): void {
    const candidates = new Set<Mount>()
    const done = new Map<PeerGroup, Set<Dentry>>()
    for (const mount of going) {
      const { point } = mount
      const group = point?.mount.group
      if (point === undefined || group === undefined) continue
      // all members of a group have the same receivers
      const dentries = done.get(group) ?? new Set()
      done.set(group, dentries)
      if (dentries.has(point.dentry)) continue
      dentries.add(point.dentry)
      for (const receiver of receivers(point.mount, point.dentry)) {
        const same = receiver.mountedOn(point.dentry)
        if (same !== undefined && !going.has(same) && !same.locked) candidates.add(same)
      }
    }
    // one that has something mounted on it that stays, stays too, unless that merely covers its root
    for (let changed = true; changed;) {
      changed = false
      for (const mount of candidates) {
        const staying = [...mount.children].filter((child) => !going.has(child) && !candidates.has(child))
        if (staying.length === 0 || (staying.length === 1 && staying[0] === topper(mount))) continue
        candidates.delete(mount)
        changed = true
      }
    }
    for (const mount of candidates) going.add(mount)
  }

  /** Whether somebody uses `top`, or one that would have to go with it. */
  isBusy(top: Mount): boolean {
    if (top.children.size > 0 || top.users > 0) return true
    const { point } = top
    if (point === undefined) return false
    return receivers(point.mount, point.dentry).some((receiver) => {
      const same = receiver.mountedOn(point.dentry)
      if (same === undefined || same === top) return false
      const over = topper(same)
      if (same.children.size > (over === undefined ? 0 : 1)) return false // it stays anyway
      return same.users > 0
    })
  }

  /** Takes away what other namespaces have mounted on `dentry`, which has lost its name. */
  removeFrom(dentry: Dentry): void {
    for (const mount of [...(dentry.mounts?.values() ?? [])]) this.remove(mount, { propagate: false })
  }

  /** The tree of `from`, copied into `into`; the copy of each mount. -errno. */
  copyNamespace(from: MountNamespace, into: MountNamespace): ReadonlyMap<Mount, Mount> | number {
    if (!this.hasRoom(from.mounts.size)) return -ENOSPC
    const copies = new Map<Mount, Mount>()
    const lessPrivileged = isLessPrivileged(into, from)
    const kinship = lessPrivileged ? "Slave" : "Peer"
    const root = this.copy(from.root, from.root.root, { kinship, unbindable: true }, copies)
    if (typeof root === "number") return root
    into.root = root
    enter(root, into)
    if (lessPrivileged) {
      lockTree(root)
      root.locked = false
    }
    return copies
  }
}

/** The tree of `top` is now in `namespace`. */
export const enter = (top: Mount, namespace: MountNamespace | undefined): void => {
  for (const mount of top.subtree()) {
    mount.namespace?.mounts.delete(mount)
    mount.namespace = namespace
    namespace?.mounts.add(mount)
  }
}

/** What is mounted on the root of `mount`. */
const topper = (mount: Mount): Mount | undefined => mount.mountedOn(mount.root)

/** Whether `a` belongs to another user namespace than `b`: then what comes from `b` is locked in `a`. */
const isLessPrivileged = (a: MountNamespace | undefined, b: MountNamespace | undefined): boolean =>
  a?.owner !== b?.owner

/** What is mounted in the tree of `top` stays as it is for users of a less privileged namespace. */
const lockTree = (top: Mount): void => {
  for (const mount of top.subtree()) {
    mount.lockedFlags |= ACCESS_TIME_FLAGS | (mount.flags & (MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC))
    mount.locked = true
  }
}
