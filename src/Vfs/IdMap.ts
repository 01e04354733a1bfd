/**
 * How the user or group ids inside of a user namespace map to those of the sandbox (Linux's kuid_t), user_namespaces(7).
 */

/** `count` ids: from `inside` on in the namespace, from `outside` on in the sandbox. */
export interface IdExtent {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** (uid_t) -1: no id. Also what an id that is not mapped becomes on its way in. */
export const NO_ID = 0xffff_ffff

/** Immutable. */
export class IdMap {
  readonly extents: ReadonlyArray<IdExtent>

  constructor(extents: ReadonlyArray<IdExtent>) {
    this.extents = extents
  }

  /** The sandbox's id for `id` of the namespace, or NO_ID. */
  toOutside(id: number): number {
    for (const { count, inside, outside } of this.extents) {
      if (id >= inside && id - inside < count) return outside + (id - inside)
    }
    return NO_ID
  }

  /** The namespace's id for `id` of the sandbox, or NO_ID. */
  toInside(id: number): number {
    for (const { count, inside, outside } of this.extents) {
      if (id >= outside && id - outside < count) return inside + (id - outside)
    }
    return NO_ID
  }
}

/** Every id is itself. */
export const identityMap = new IdMap([{ inside: 0, outside: 0, count: NO_ID }])

/** No id is anything: a user namespace before its map is written. */
export const emptyMap = new IdMap([])
