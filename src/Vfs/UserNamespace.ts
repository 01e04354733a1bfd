/**
 * User namespaces, user_namespaces(7): whose capabilities count where, and what ids are called there.
 *
 * Everywhere in the kernel ids are the sandbox's own, those of the first namespace. They are translated where a guest
 * gives or gets one.
 */
import { type IdMap, NO_ID, emptyMap, identityMap } from "./IdMap.ts"
import { FIRST_NAMESPACE_INO, type Namespace } from "./Namespace.ts"

/** What an id that has no name in the reader's namespace is shown as: /proc/sys/kernel/overflowuid. */
export const OVERFLOW_ID = 65_534

export class UserNamespace implements Namespace {
  readonly kind = "user"
  readonly ino: number
  readonly parent: UserNamespace | undefined
  /** How many are above it. */
  readonly level: number
  /** The effective ids of who made it. */
  readonly uid: number
  readonly gid: number
  /** The maker had CAP_SETFCAP: may map the parent's root. */
  readonly parentCouldSetFileCapabilities: boolean
  /** Written once each, by /proc/[pid]/uid_map and its siblings. Atomic. */
  uids: IdMap
  gids: IdMap
  projectIds: IdMap
  /** /proc/[pid]/setgroups. Atomic. */
  allowsSetgroups: boolean

  /** `parent`: undefined for the first one, in which everybody is who they are. */
  constructor(
    ino: number,
    parent: UserNamespace | undefined,
    maker: { readonly uid: number; readonly gid: number; readonly hasSetFileCapabilities: boolean }
  ) {
    const map = parent === undefined ? identityMap : emptyMap
    this.ino = ino
    this.parent = parent
    this.level = parent === undefined ? 0 : parent.level + 1
    this.uid = maker.uid
    this.gid = maker.gid
    this.parentCouldSetFileCapabilities = maker.hasSetFileCapabilities
    this.uids = this.gids = this.projectIds = map
    this.allowsSetgroups = parent?.allowsSetgroups ?? true
  }

  get owner(): UserNamespace | undefined {
    return this.parent
  }

  get isFirst(): boolean {
    return this.parent === undefined
  }

  /** Who is root here; NO_ID if nobody is. */
  get root(): number {
    return this.userFrom(0)
  }

  /** The sandbox's id for a guest's `uid`; NO_ID if there is none. */
  userFrom(uid: number): number {
    return this.parent === undefined ? uid : this.uids.toOutside(uid)
  }

  groupFrom(gid: number): number {
    return this.parent === undefined ? gid : this.gids.toOutside(gid)
  }

  /** What the sandbox's `uid` is called here. */
  userTo(uid: number): number {
    return this.parent === undefined ? uid : orOverflow(this.uids.toInside(uid))
  }

  groupTo(gid: number): number {
    return this.parent === undefined ? gid : orOverflow(this.gids.toInside(gid))
  }

  hasUser(uid: number): boolean {
    return this.parent === undefined || this.uids.toInside(uid) !== NO_ID
  }

  hasGroup(gid: number): boolean {
    return this.parent === undefined || this.gids.toInside(gid) !== NO_ID
  }

  /** Whether setgroups(2) works here at all: only once the group map is written, and unless it was denied. */
  get permitsSetgroups(): boolean {
    return this.allowsSetgroups && this.gids.extents.length > 0
  }

  /** Whether this is `other` or above it. */
  contains(other: UserNamespace): boolean {
    let at: UserNamespace | undefined = other
    while (at !== undefined && at.level > this.level) at = at.parent
    return at === this
  }
}

const orOverflow = (id: number): number => (id === NO_ID ? OVERFLOW_ID : id)

/** The first one. It can't change, so all sandboxes share it. */
export const firstUserNamespace = new UserNamespace(FIRST_NAMESPACE_INO.user, undefined, {
  uid: 0,
  gid: 0,
  hasSetFileCapabilities: true
})
