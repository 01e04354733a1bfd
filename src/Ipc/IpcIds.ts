/**
 * What the three kinds of System V IPC have in common, sysvipc(7): keys, ids, owners and permissions.
 *
 * An id is an index, which is reused, and above it a sequence number, so that an old id does not mean a new object.
 */
import { CAP_IPC_OWNER, CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM } from "../Abi/Errno.ts"
import { type Ipc64Perm, IPC_CREAT, IPC_EXCL, IPC_PRIVATE } from "../Abi/Ipc.ts"
import { type Credentials, hasCapabilityIn } from "../Vfs/Credentials.ts"
import { NO_ID } from "../Vfs/IdMap.ts"
import { type UserNamespace, firstUserNamespace } from "../Vfs/UserNamespace.ts"

/** Bits of an id that are the index. */
const INDEX_BITS = 15
const INDEX_MASK = (1 << INDEX_BITS) - 1
/** Sequence numbers begin again here. */
const SEQUENCE_LIMIT = 1 << (31 - INDEX_BITS)
/** Indices are reused only after so many others. */
const MINIMUM_CYCLE = 64

const PERMISSIONS = 0o777

/** One segment, set or queue. */
export abstract class IpcObject {
  key: number
  uid: number
  gid: number
  readonly cuid: number
  readonly cgid: number
  /** Permission bits, and for segments SHM_DEST and SHM_LOCKED. */
  mode: number
  /** Whose capabilities count: the owner of the IPC namespace. Set when it gets its id. */
  userNamespace: UserNamespace = firstUserNamespace
  index = 0
  sequence = 0
  /** Gone: who waits for it fails with EIDRM. */
  removed = false
  /** Seconds since 1970: created, or changed by IPC_SET. */
  ctime: number

  constructor(key: number, mode: number, creator: Credentials, now: number) {
    this.key = key
    this.mode = mode & PERMISSIONS
    this.uid = this.cuid = creator.euid
    this.gid = this.cgid = creator.egid
    this.ctime = now
  }

  get id(): number {
    return this.sequence * (1 << INDEX_BITS) + this.index
  }

  /** Whether `credentials` lack one of the permissions in `wanted`, of which any of the three octal digits counts. */
  denies(credentials: Credentials, wanted: number): boolean {
    const requested = (wanted >> 6) | (wanted >> 3) | wanted
    let granted = this.mode
    if (credentials.euid === this.cuid || credentials.euid === this.uid) granted >>= 6
    else if (isMember(credentials, this.cgid) || isMember(credentials, this.gid)) granted >>= 3
    return (requested & ~granted & 0o7) !== 0 && !hasCapabilityIn(credentials, this.userNamespace, CAP_IPC_OWNER)
  }

  /** 0, or -EPERM for who may neither change nor remove it. */
  mayControl(credentials: Credentials): number {
    const owns = credentials.euid === this.cuid || credentials.euid === this.uid
    return owns || hasCapabilityIn(credentials, this.userNamespace, CAP_SYS_ADMIN) ? 0 : -EPERM
  }

  /** IPC_SET by a guest of `userNamespace`: 0, or -EINVAL for ids that mean nothing there. */
  change(
    { gid, mode, uid }: Pick<Ipc64Perm, "gid" | "mode" | "uid">,
    now: number,
    { userNamespace }: Credentials
  ): number {
    const [user, group] = [userNamespace.userFrom(uid), userNamespace.groupFrom(gid)]
    if (user === NO_ID || group === NO_ID) return -EINVAL
    this.uid = user
    this.gid = group
    this.mode = (this.mode & ~PERMISSIONS) | (mode & PERMISSIONS)
    this.ctime = now
    return 0
  }

  /** As a guest of `userNamespace` sees them. */
  permissions(userNamespace: UserNamespace): Ipc64Perm {
    const { key, mode, sequence } = this
    const [uid, cuid] = [userNamespace.userTo(this.uid), userNamespace.userTo(this.cuid)]
    const [gid, cgid] = [userNamespace.groupTo(this.gid), userNamespace.groupTo(this.cgid)]
    return { key, uid, gid, cuid, cgid, mode, seq: sequence, pad2: 0, unused1: 0n, unused2: 0n }
  }
}

/** `fsgid` is `egid` but for who changed it, and Linux's in_group_p asks for the former. */
const isMember = (credentials: Credentials, gid: number): boolean =>
  credentials.fsgid === gid || credentials.groups.includes(gid)

/** All objects of one kind. Atomic: every method. */
export class IpcIds<A extends IpcObject> {
  readonly #limit: number
  readonly #userNamespace: UserNamespace
  readonly #byIndex = new Map<number, A>()
  #lastIndex = -1
  #sequence = 0

  constructor(limit: number, userNamespace: UserNamespace) {
    this.#limit = limit
    this.#userNamespace = userNamespace
  }

  get size(): number {
    return this.#byIndex.size
  }

  /** What IPC_INFO returns: the highest index in use, 0 if there is none. */
  get highestIndex(): number {
    return Math.max(0, ...this.#byIndex.keys())
  }

  /** In the order of their indices. */
  all(): ReadonlyArray<A> {
    return [...this.#byIndex.values()].sort((a, b) => a.index - b.index)
  }

  /** By id: undefined (EINVAL) for one that is not, or not any more, in use. */
  find(id: number): A | undefined {
    const object = this.#byIndex.get(id & INDEX_MASK)
    return object !== undefined && object.id === id ? object : undefined
  }

  /** By index, for the commands *_STAT. */
  at(index: number): A | undefined {
    return this.#byIndex.get(index & INDEX_MASK)
  }

  /** shmget(2), semget(2), msgget(2): the id, or -errno. `check` is for an existing object. */
  open(
    key: number,
    flags: number,
    credentials: Credentials,
    make: () => A | number,
    check: (found: A) => number
  ): number {
    const found = key === IPC_PRIVATE ? undefined : [...this.#byIndex.values()].find((object) => object.key === key)
    if (found !== undefined) {
      if ((flags & IPC_CREAT) !== 0 && (flags & IPC_EXCL) !== 0) return -EEXIST
      const invalid = check(found)
      if (invalid < 0) return invalid
      return found.denies(credentials, flags) ? -EACCES : found.id
    }
    if (key !== IPC_PRIVATE && (flags & IPC_CREAT) === 0) return -ENOENT
    const object = make()
    return typeof object === "number" ? object : this.#add(object)
  }

  /** Whether there is room for one more: a new object must not be made in vain. */
  get isFull(): boolean {
    return this.size >= this.#limit
  }

  #add(object: A): number {
    if (this.isFull) return -ENOSPC
    const cycle = Math.min(Math.max(Math.floor(((this.size + 1) * 3) / 2), MINIMUM_CYCLE), this.#limit)
    let index = (this.#lastIndex + 1) % cycle
    while (this.#byIndex.has(index)) index = (index + 1) % cycle
    if (index <= this.#lastIndex) this.#sequence = (this.#sequence + 1) % SEQUENCE_LIMIT
    this.#lastIndex = index
    object.index = index
    object.sequence = this.#sequence
    object.userNamespace = this.#userNamespace
    this.#byIndex.set(index, object)
    return object.id
  }

  remove(object: A): void {
    object.removed = true
    this.#byIndex.delete(object.index)
  }
}

/** The object with `id` for a caller who needs `wanted`: -EINVAL, -EACCES. */
export const obtain = <A extends IpcObject>(
  ids: IpcIds<A>,
  id: number,
  credentials: Credentials,
  wanted: number
): A | number => {
  const object = id < 0 ? undefined : ids.find(id)
  if (object === undefined) return -EINVAL
  return object.denies(credentials, wanted) ? -EACCES : object
}

/** The object with `id` for a caller who wants to change or remove it: -EINVAL, -EPERM. */
export const obtainControl = <A extends IpcObject>(
  ids: IpcIds<A>,
  id: number,
  credentials: Credentials
): A | number => {
  const object = id < 0 ? undefined : ids.find(id)
  if (object === undefined) return -EINVAL
  const denied = object.mayControl(credentials)
  return denied < 0 ? denied : object
}
