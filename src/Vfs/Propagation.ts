/**
 * Shared subtrees, mount_namespaces(7): mounts of a peer group see what is mounted and unmounted below each other, and a
 * slave sees what happens to the group that is its master. Who belongs to whom is kept here; what is mounted where
 * because of it is MountTree's business.
 *
 * Atomic: every function.
 */
import { MS_PRIVATE, MS_SHARED, MS_SLAVE } from "../Abi/MountFlags.ts"
import type { Dentry } from "./Dentry.ts"
import type { Mount } from "./Mount.ts"

export class PeerGroup {
  /** "shared:N" and "master:N" of mountinfo. */
  readonly id: number
  /** One of the members, which are linked to a ring. */
  #member: Mount | undefined
  /** Mounts, shared among themselves or not, whose master it is. */
  readonly slaves = new Set<Mount>()
  readonly #ended: () => void

  /** `ended` is told when the last member has left: the number is free again. */
  constructor(id: number, ended: () => void) {
    this.id = id
    this.#ended = ended
  }

  get isEmpty(): boolean {
    return this.#member === undefined
  }

  /** The members, beginning at `first`, or anywhere. */
  *members(first: Mount | undefined = this.#member): Generator<Mount> {
    if (first === undefined) return
    let at = first
    do {
      const next: Mount = at.nextPeer
      yield at
      at = next
    } while (at !== first)
  }

  /** Takes `mount` in, behind `before`. */
  add(mount: Mount, before: Mount | undefined = this.#member): void {
    mount.group = this
    if (before === undefined) this.#member = mount
    else {
      mount.previousPeer = before
      mount.nextPeer = before.nextPeer
      before.nextPeer.previousPeer = mount
      before.nextPeer = mount
    }
  }

  remove(mount: Mount): void {
    mount.group = undefined
    if (this.#member === mount) this.#member = mount.nextPeer === mount ? undefined : mount.nextPeer
    mount.previousPeer.nextPeer = mount.nextPeer
    mount.nextPeer.previousPeer = mount.previousPeer
    mount.nextPeer = mount.previousPeer = mount
    if (this.#member === undefined) this.#ended()
  }
}

/** Gives out peer groups: each gets the lowest number that is free. */
export class PeerGroups {
  readonly #taken = new Set<number>()
  /** No number below is free. */
  #lowest = 1

  readonly make = (): PeerGroup => {
    while (this.#taken.has(this.#lowest)) this.#lowest++
    const id = this.#lowest
    this.#taken.add(id)
    return new PeerGroup(id, () => {
      this.#taken.delete(id)
      this.#lowest = Math.min(this.#lowest, id)
    })
  }
}

export const setMaster = (mount: Mount, master: PeerGroup | undefined): void => {
  mount.master?.slaves.delete(mount)
  mount.master = master
  master?.slaves.add(mount)
}

/**
 * Takes `mount` out of its peer group and makes it a slave of what is left of that. The last member's own slaves go to
 * its master.
 */
const enslave = (mount: Mount): void => {
  const { group } = mount
  if (group === undefined) return
  group.remove(mount)
  if (!group.isEmpty) setMaster(mount, group)
  else for (const slave of [...group.slaves]) setMaster(slave, mount.master)
}

/** Alone in the world: nothing propagates to it or from it. */
export const isolate = (mount: Mount): void => {
  enslave(mount)
  setMaster(mount, undefined)
  mount.unbindable = false
}

/** Gives `mount` a propagation type: MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE. `newGroup` makes a group. */
export const changeType = (mount: Mount, type: number, newGroup: () => PeerGroup): void => {
  if (type === MS_SHARED) {
    if (mount.group === undefined) newGroup().add(mount)
    mount.unbindable = false
  } else if (type === MS_SLAVE) enslave(mount)
  else {
    isolate(mount)
    mount.unbindable = type !== MS_PRIVATE
  }
}

/**
 * The mounts, but for `origin`, that what happens at `dentry` of `origin` happens to as well; a mount that does not show
 * that directory passes it on to its own slaves.
 */
export const receivers = (origin: Mount, dentry: Dentry): ReadonlyArray<Mount> => {
  if (origin.group === undefined) return []
  const found = new Set<Mount>()
  const groups = new Set([origin.group])
  // a set goes on to what is added meanwhile
  for (const group of groups) {
    for (const mount of [...group.members(), ...group.slaves]) {
      found.add(mount)
      if (mount.group !== undefined) groups.add(mount.group)
    }
  }
  found.delete(origin)
  return [...found].filter((mount) => dentry.isBelow(mount.root))
}
