/**
 * /proc/[pid]/uid_map, gid_map, projid_map and setgroups: who may write what into them, user_namespaces(7).
 */
import { CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EACCES, EINVAL, EPERM } from "../Abi/Errno.ts"
import { O_ACCMODE, O_RDONLY } from "../Abi/OpenFlags.ts"
import { type Credentials, hasCapabilityIn } from "../Vfs/Credentials.ts"
import { type IdExtent, IdMap, NO_ID } from "../Vfs/IdMap.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { GeneratedFile, type PseudoFs } from "../Vfs/PseudoFs.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import { type Subject, ownerOf } from "./ProcSubject.ts"

const MAX_EXTENTS = 340
/** A write of a page or more is refused. */
const MAX_WRITTEN = 4095

interface MapKind {
  readonly of: (namespace: UserNamespace) => IdMap
  readonly set: (namespace: UserNamespace, map: IdMap) => void
  /** The capability that mapping other ids than one's own takes; none for project ids. */
  readonly capability: number | undefined
  /** An id of `namespace`, as the sandbox's. */
  readonly from: (namespace: UserNamespace, id: number) => number
}

const USERS: MapKind = {
  of: ({ uids }) => uids,
  set: (namespace, map) => (namespace.uids = map),
  capability: CAP_SETUID,
  from: (namespace, id) => namespace.userFrom(id)
}
const GROUPS: MapKind = {
  of: ({ gids }) => gids,
  set: (namespace, map) => (namespace.gids = map),
  capability: CAP_SETGID,
  from: (namespace, id) => namespace.groupFrom(id)
}
const PROJECTS: MapKind = {
  of: ({ projectIds }) => projectIds,
  set: (namespace, map) => (namespace.projectIds = map),
  capability: undefined,
  from: ({ projectIds }, id) => projectIds.toOutside(id)
}

/** The extents as whoever opened the file sees them: in terms of its own namespace, or of the parent if it is in this one. */
const show = (kind: MapKind, namespace: UserNamespace, { credentials }: Caller): string => {
  const opener = credentials.userNamespace
  const viewer = opener === namespace ? (namespace.parent ?? namespace) : opener
  const outer = kind.of(viewer)
  return kind
    .of(namespace)
    .extents.map(({ count, inside, outside }) => [inside, outer.toInside(outside), count])
    .map((columns) => `${columns.map((value) => `${value}`.padStart(10)).join(" ")}\n`)
    .join("")
}

/** Lines of three numbers each, in terms of the parent; -EINVAL. */
const parse = (text: string): ReadonlyArray<IdExtent> | number => {
  const extents: Array<IdExtent> = []
  for (const line of (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n")) {
    const match = /^[ \t]*(\d+)[ \t]+(\d+)[ \t]+(\d+)[ \t]*$/.exec(line)
    if (match === null) return -EINVAL
    const [inside, outside, count] = [Number(match[1]), Number(match[2]), Number(match[3])]
    if (inside >= NO_ID || outside >= NO_ID || count === 0) return -EINVAL
    if (inside + count > NO_ID + 1 || outside + count > NO_ID + 1) return -EINVAL
    const overlaps = extents.some(
      (other) =>
        (inside < other.inside + other.count && other.inside < inside + count) ||
        (outside < other.outside + other.count && other.outside < outside + count)
    )
    if (overlaps || extents.length === MAX_EXTENTS) return -EINVAL
    extents.push({ inside, outside, count })
  }
  return extents
}

/** Whether `opener` may map these ids of the parent, and `writer`, who may be another, if that takes a privilege. */
const isPermitted = (
  kind: MapKind,
  namespace: UserNamespace,
  parent: UserNamespace,
  extents: ReadonlyArray<IdExtent>,
  opener: Credentials,
  writer: Credentials
): boolean => {
  const mapsRoot = extents.some(({ outside }) => outside === 0)
  if (kind === USERS && mapsRoot && !mayMapRoot(namespace, parent, opener)) return false
  const [only] = extents
  if (extents.length === 1 && only !== undefined && only.count === 1 && namespace.uid === opener.euid) {
    const id = kind.from(parent, only.outside)
    if (kind === USERS && id === opener.euid) return true
    if (kind === GROUPS && !namespace.allowsSetgroups && id === opener.egid) return true
  }
  const { capability } = kind
  return capability === undefined || [opener, writer].every((by) => hasCapabilityIn(by, parent, capability))
}

/** The parent's root is more than an id: its files' capabilities count in the namespace. */
const mayMapRoot = (namespace: UserNamespace, parent: UserNamespace, opener: Credentials): boolean =>
  opener.userNamespace === namespace
    ? namespace.parentCouldSetFileCapabilities
    : hasCapabilityIn(opener, parent, CAP_SETFCAP)

const write = (
  kind: MapKind,
  namespace: UserNamespace,
  text: string,
  { credentials }: Caller,
  writer: Caller
): number => {
  const { parent } = namespace
  const opener = credentials.userNamespace
  if (parent === undefined || (opener !== namespace && opener !== parent)) return -EPERM
  if (kind.of(namespace).extents.length > 0) return -EPERM
  if (kind.capability !== undefined && !hasCapabilityIn(credentials, namespace, CAP_SYS_ADMIN)) return -EPERM
  const extents = parse(text)
  if (typeof extents === "number") return extents
  if (!isPermitted(kind, namespace, parent, extents, credentials, writer.credentials)) return -EPERM
  const mapped: Array<IdExtent> = []
  for (const { count, inside, outside } of extents) {
    const first = kind.from(parent, outside)
    // one extent of the parent must hold all of it
    if (first === NO_ID || kind.from(parent, outside + count - 1) !== first + count - 1) return -EPERM
    mapped.push({ inside, outside: first, count })
  }
  kind.set(namespace, new IdMap(mapped))
  return 0
}

const mapFile =
  (kind: MapKind) =>
  (filesystem: PseudoFs, subject: Subject): GeneratedFile => {
    const namespace = (): UserNamespace => subject.task.credentials.userNamespace
    return new GeneratedFile(
      filesystem,
      {
        read: (caller) => (subject.gone ? -EINVAL : show(kind, namespace(), caller)),
        write: (bytes, caller, writer) => {
          if (subject.gone || bytes.length > MAX_WRITTEN) return -EINVAL
          const error = write(kind, namespace(), Buffer.from(bytes).toString("latin1"), caller, writer)
          return error < 0 ? error : bytes.length
        }
      },
      { owner: () => ownerOf(subject) }
    )
  }

export const uidMap = mapFile(USERS)
export const gidMap = mapFile(GROUPS)
export const projectIdMap = mapFile(PROJECTS)

/** "allow" or "deny" and white space: 0 or -errno. */
const writeSetgroups = (namespace: UserNamespace, text: string): number => {
  const match = /^(allow|deny)[\s\0]*$/.exec(text)
  if (match === null) return -EINVAL
  if (match[1] === "allow") return namespace.allowsSetgroups ? 0 : -EPERM
  if (namespace.gids.extents.length > 0) return -EPERM
  namespace.allowsSetgroups = false
  return 0
}

/** As much as is looked at: a longer write is refused. */
const MAX_WORD = 7

export const setgroupsFile = (filesystem: PseudoFs, subject: Subject): GeneratedFile => {
  const namespace = (): UserNamespace => subject.task.credentials.userNamespace
  return new GeneratedFile(
    filesystem,
    {
      check: ({ credentials }, flags) =>
        (flags & O_ACCMODE) === O_RDONLY || hasCapabilityIn(credentials, namespace(), CAP_SYS_ADMIN) ? 0 : -EACCES,
      read: () => (subject.gone ? -EINVAL : `${namespace().allowsSetgroups ? "allow" : "deny"}\n`),
      write: (bytes) => {
        if (subject.gone || bytes.length > MAX_WORD) return -EINVAL
        const error = writeSetgroups(namespace(), Buffer.from(bytes).toString("latin1"))
        return error < 0 ? error : bytes.length
      }
    },
    { owner: () => ownerOf(subject) }
  )
}
