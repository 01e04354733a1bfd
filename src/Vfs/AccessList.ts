/**
 * POSIX access control lists, acl(5): who else may do what with a file, beyond its owner, group and others. Plain
 * values; the ids in them are the sandbox's own. A list that says no more than the mode does is no list.
 */
import { EINVAL, EOPNOTSUPP } from "../Abi/Errno.ts"
import { type Credentials, inGroup } from "./Credentials.ts"
import { NO_ID } from "./IdMap.ts"
import type { UserNamespace } from "./UserNamespace.ts"

export interface AccessEntry {
  readonly tag: number
  /** R_OK, W_OK, X_OK. */
  readonly permissions: number
  /** Of the user or group, for those tags. */
  readonly id: number
}

/** In the order of the tags; valid. */
export type AccessList = ReadonlyArray<AccessEntry>

/** Who may access an inode, or (directories) what new files in it begin with. */
export type AccessListKind = "access" | "inherited"

/** The extended attribute that holds such a list. */
const ATTRIBUTES = { access: "system.posix_acl_access", inherited: "system.posix_acl_default" } as const

export const attributeOfList = (kind: AccessListKind): string => ATTRIBUTES[kind]

/** Which list `attribute` holds, if any. */
export const accessListKind = (attribute: string): AccessListKind | undefined =>
  attribute === ATTRIBUTES.access ? "access" : attribute === ATTRIBUTES.inherited ? "inherited" : undefined

const USER_OBJ = 0x01
const USER = 0x02
const GROUP_OBJ = 0x04
const GROUP = 0x08
const MASK = 0x10
const OTHER = 0x20

const VERSION = 2
const HEADER = 4
const ENTRY = 8

/** The list in an attribute's `value`, whose ids are those of `namespace`; undefined for an empty one; or -errno. */
export const decodeAccessList = (value: Uint8Array, namespace: UserNamespace): AccessList | undefined | number => {
  if (value.length === 0) return undefined
  if (value.length < HEADER) return -EINVAL
  const view = new DataView(value.buffer, value.byteOffset, value.length)
  if (view.getUint32(0, true) !== VERSION) return -EOPNOTSUPP
  if ((value.length - HEADER) % ENTRY !== 0) return -EINVAL
  const list: Array<AccessEntry> = []
  for (let at = HEADER; at < value.length; at += ENTRY) {
    const tag = view.getUint16(at, true)
    const id = view.getUint32(at + 4, true)
    const inside = tag === USER ? namespace.userFrom(id) : tag === GROUP ? namespace.groupFrom(id) : NO_ID
    list.push({ tag, permissions: view.getUint16(at + 2, true), id: inside })
  }
  if (list.length === 0) return undefined
  return isValid(list) ? list : -EINVAL
}

/** The value of the attribute, for a reader in `namespace`. */
export const encodeAccessList = (list: AccessList, namespace: UserNamespace): Uint8Array => {
  const value = new Uint8Array(HEADER + ENTRY * list.length)
  const view = new DataView(value.buffer)
  view.setUint32(0, VERSION, true)
  list.forEach(({ id, permissions, tag }, index) => {
    const at = HEADER + ENTRY * index
    view.setUint16(at, tag, true)
    view.setUint16(at + 2, permissions, true)
    view.setUint32(at + 4, tag === USER ? namespace.userTo(id) : tag === GROUP ? namespace.groupTo(id) : NO_ID, true)
  })
  return value
}

/** One entry each for owner, group and others; named ones between them; a mask exactly where one is needed. */
const isValid = (list: AccessList): boolean => {
  let next = USER_OBJ
  let named = false
  for (const { id, permissions, tag } of list) {
    if (permissions > 7) return false
    if (tag === USER_OBJ && next === USER_OBJ) next = USER
    else if ((tag === USER && next === USER) || (tag === GROUP && next === GROUP)) {
      if (id === NO_ID) return false
      named = true
    } else if (tag === GROUP_OBJ && next === USER) next = GROUP
    else if (tag === MASK && next === GROUP) next = OTHER
    else if (tag === OTHER && (next === OTHER || (next === GROUP && !named))) next = 0
    else return false
  }
  return next === 0
}

const permissionsOf = (list: AccessList, tag: number): number | undefined =>
  list.find((entry) => entry.tag === tag)?.permissions

/** The permission bits that show `list`: the group's are the mask, where there is one. */
export const modeOfList = (list: AccessList): number => {
  const group = permissionsOf(list, MASK) ?? permissionsOf(list, GROUP_OBJ)!
  return (permissionsOf(list, USER_OBJ)! << 6) | (group << 3) | permissionsOf(list, OTHER)!
}

/** Whether the mode alone says as much. */
export const isMinimal = (list: AccessList): boolean => list.length === 3

/** `list` after a chmod(2) to `mode`. */
export const withMode = (list: AccessList, mode: number): AccessList => {
  const groupTag = permissionsOf(list, MASK) === undefined ? GROUP_OBJ : MASK
  const shift: Record<number, number> = { [USER_OBJ]: 6, [groupTag]: 3, [OTHER]: 0 }
  return list.map((entry) => {
    const by = shift[entry.tag]
    return by === undefined ? entry : { ...entry, permissions: (mode >>> by) & 7 }
  })
}

/**
 * What a new file asked for with `mode` gets in a directory that passes `list` on: its mode, and the list unless that is
 * minimal. "The umask is ignored."
 */
export const inheritList = (
  list: AccessList,
  mode: number
): { readonly mode: number; readonly list: AccessList | undefined } => {
  const bits = mode & modeOfList(list)
  const inherited = withMode(list, bits)
  return { mode: (mode & ~0o777) | (bits & 0o777), list: isMinimal(inherited) ? undefined : inherited }
}

/** Whether `list` of a file of group `gid` grants `wanted` to somebody who does not own it: acl(5), "Access Check Algorithm". */
export const listGrants = (list: AccessList, gid: number, wanted: number, credentials: Credentials): boolean => {
  const mask = permissionsOf(list, MASK) ?? 7
  let isMember = false
  for (const { id, permissions, tag } of list) {
    if (tag === USER && id === credentials.fsuid) return (permissions & mask & wanted) === wanted
    if ((tag === GROUP_OBJ && inGroup(credentials, gid)) || (tag === GROUP && inGroup(credentials, id))) {
      if ((permissions & mask & wanted) === wanted) return true
      isMember = true
    }
  }
  return !isMember && (permissionsOf(list, OTHER)! & wanted) === wanted
}
