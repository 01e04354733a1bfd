/**
 * Who a task acts as, credentials(7). Immutable: a change makes a new value, so a permission check in progress keeps
 * what it began with.
 */
import type { UserNamespace } from "./UserNamespace.ts"

export interface Credentials {
  /** In which the capabilities count, and everywhere below it. */
  readonly userNamespace: UserNamespace
  /** Real, effective, saved and filesystem ids. */
  readonly ruid: number
  readonly euid: number
  readonly suid: number
  readonly fsuid: number
  readonly rgid: number
  readonly egid: number
  readonly sgid: number
  readonly fsgid: number
  /** Supplementary groups. */
  readonly groups: ReadonlyArray<number>
  /** Capability sets as bit masks, capabilities(7). */
  readonly effective: bigint
  readonly permitted: bigint
  readonly inheritable: bigint
  readonly bounding: bigint
  readonly ambient: bigint
  /** SECBIT_*, but for SECBIT_KEEP_CAPS. Absent: none. */
  readonly securebits?: number
}

/** Whether they have capability number `capability` (CAP_*) over the sandbox as a whole: in the first user namespace. */
export const hasCapability = ({ effective, userNamespace }: Credentials, capability: number): boolean =>
  ((effective >> BigInt(capability)) & 1n) === 1n && userNamespace.isFirst

/** Whether they have it in their own user namespace. */
export const hasOwnCapability = ({ effective }: Credentials, capability: number): boolean =>
  ((effective >> BigInt(capability)) & 1n) === 1n

/** Whether they have it over what belongs to `namespace`, user_namespaces(7), "Capabilities". */
export const hasCapabilityIn = (credentials: Credentials, namespace: UserNamespace, capability: number): boolean => {
  const { euid, userNamespace } = credentials
  let at: UserNamespace | undefined = namespace
  while (at !== undefined && at.level > userNamespace.level) {
    // "the owner … has all capabilities in the namespace", seen from the namespace that it was made in
    if (at.parent === userNamespace && at.uid === euid) return true
    at = at.parent
  }
  return at === userNamespace && hasOwnCapability(credentials, capability)
}

/** Whether they have it over an inode: its ids must mean something in their user namespace. */
export const hasCapabilityOver = (
  credentials: Credentials,
  { gid, uid }: { readonly uid: number; readonly gid: number },
  capability: number
): boolean =>
  hasOwnCapability(credentials, capability) &&
  (credentials.userNamespace.isFirst ||
    (credentials.userNamespace.hasUser(uid) && credentials.userNamespace.hasGroup(gid)))

/** Whether `gid` is the filesystem group or a supplementary one. */
export const inGroup = (credentials: Credentials, gid: number): boolean =>
  credentials.fsgid === gid || credentials.groups.includes(gid)

/** Whether who has `credentials` could do nothing with their capabilities that who has `old` could not. */
export const isNoMore = (credentials: Credentials, old: Credentials): boolean => {
  if (credentials.userNamespace === old.userNamespace) return (credentials.permitted & ~old.permitted) === 0n
  // the owner of a user namespace has all capabilities in it
  let at: UserNamespace | undefined = credentials.userNamespace
  for (; at !== undefined; at = at.parent) if (at.parent === old.userNamespace && at.uid === old.euid) return true
  return false
}
