/**
 * Who a task acts as, credentials(7). Immutable: a change makes a new value, so a permission check in progress keeps
 * what it began with.
 */

export interface Credentials {
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

/** Whether the effective set has capability number `capability` (CAP_*). */
export const hasCapability = (credentials: Credentials, capability: number): boolean =>
  ((credentials.effective >> BigInt(capability)) & 1n) === 1n

/** Whether `gid` is the filesystem group or a supplementary one. */
export const inGroup = (credentials: Credentials, gid: number): boolean =>
  credentials.fsgid === gid || credentials.groups.includes(gid)
