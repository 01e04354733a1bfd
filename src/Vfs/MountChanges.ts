/**
 * mount(2), umount2(2) and pivot_root(2) once the arguments are read: who may do what to which mount. The order in which
 * errors are found is Linux's.
 */
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EAGAIN, EBUSY, EINVAL, ELOOP, ENODEV, ENOENT, ENOTDIR, EPERM } from "../Abi/Errno.ts"
import { isDirectory, isSymlink } from "../Abi/FileMode.ts"
import {
  ACCESS_TIME_FLAGS,
  FILESYSTEM_FLAGS,
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MOVE,
  MS_NOATIME,
  MS_NODIRATIME,
  MS_NOSYMFOLLOW,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_RDONLY,
  MS_REC,
  MS_RELATIME,
  MS_REMOUNT,
  MS_SILENT,
  MS_STRICTATIME,
  PROPAGATION_FLAGS
} from "../Abi/MountFlags.ts"
import { hasCapabilityIn } from "./Credentials.ts"
import type { Filesystem } from "./Filesystem.ts"
import { commonOptions } from "./FilesystemType.ts"
import type { Caller } from "./Inode.ts"
import { type Location, type Mount, isReachable } from "./Mount.ts"
import { changeType } from "./Propagation.ts"
import type { Vfs } from "./Vfs.ts"

/** Whether `caller` may change the mounts of its namespace. */
export const mayMount = ({ credentials, fs }: Caller): boolean =>
  hasCapabilityIn(credentials, fs.namespace.owner, CAP_SYS_ADMIN)

/** Whether `caller` has privileges over `filesystem` itself, wherever it is mounted. */
const mayChange = ({ credentials }: Caller, { owner }: Filesystem): boolean =>
  hasCapabilityIn(credentials, owner, CAP_SYS_ADMIN)

/** Whether `mount` is in the tree that `caller` may change. */
export const isOwn = ({ fs }: Caller, mount: Mount): boolean => mount.namespace === fs.namespace

/** What mount(2) is asked for. Byte strings; undefined: a null pointer. */
export interface MountRequest {
  readonly source: string | undefined
  readonly type: string | undefined
  /** MS_* bits; the magic number of old is gone. */
  readonly flags: number
  readonly data: string
}

/** mount(2) at `target`, which exists. */
export const mount = (vfs: Vfs, caller: Caller, target: Location, request: MountRequest): number => {
  const { flags, source } = request
  const ofMount = mountFlags(flags, target)
  if ((flags & MS_REMOUNT) !== 0) {
    return (flags & MS_BIND) !== 0
      ? reconfigureMount(caller, target, ofMount)
      : remount(caller, target, ofMount, request)
  }
  if ((flags & MS_BIND) !== 0) return bind(vfs, caller, target, source, (flags & MS_REC) !== 0)
  if ((flags & PROPAGATION_FLAGS) !== 0) return setPropagation(vfs, caller, target, flags)
  if ((flags & MS_MOVE) !== 0) return move(vfs, caller, target, source)
  return mountNew(vfs, caller, target, ofMount, request)
}

/** The flags of the mount itself among those of mount(2). */
const mountFlags = (flags: number, target: Location): number => {
  let own = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_NOSYMFOLLOW)
  if ((flags & MS_NOATIME) === 0) own |= MS_RELATIME
  if ((flags & MS_STRICTATIME) !== 0) own &= ~(MS_RELATIME | MS_NOATIME)
  // "the default … is to preserve" the times' settings
  const saysTimes = (flags & (ACCESS_TIME_FLAGS | MS_STRICTATIME)) !== 0
  if ((flags & MS_REMOUNT) === 0 || saysTimes || !target.isMountRoot) return own
  return (own & ~ACCESS_TIME_FLAGS) | (target.mount.flags & ACCESS_TIME_FLAGS)
}

/** 0, or why the flags of what is at `target` can't become `flags`. */
const checkReconfigured = (caller: Caller, { isMountRoot, mount }: Location, flags: number): number => {
  if (!isOwn(caller, mount) || !isMountRoot) return -EINVAL
  const { lockedFlags } = mount
  if ((lockedFlags & ~ACCESS_TIME_FLAGS & ~flags) !== 0) return -EPERM
  const changed = (mount.flags ^ flags) & ACCESS_TIME_FLAGS
  return (lockedFlags & ACCESS_TIME_FLAGS) !== 0 && changed !== 0 ? -EPERM : 0
}

/** MS_REMOUNT | MS_BIND: only the mount, not its filesystem. */
const reconfigureMount = (caller: Caller, target: Location, flags: number): number => {
  const error = checkReconfigured(caller, target, flags)
  if (error < 0) return error
  const { mount } = target
  if ((flags & MS_RDONLY) !== 0 && !mount.readOnly && mount.writers > 0) return -EBUSY
  mount.flags = flags
  return 0
}

/** MS_REMOUNT: the filesystem, and the mount. */
const remount = (caller: Caller, target: Location, flags: number, request: MountRequest): number => {
  const error = checkReconfigured(caller, target, flags)
  if (error < 0) return error
  const { mount } = target
  const { filesystem } = mount
  const wanted = commonOptions(request.flags & FILESYSTEM_FLAGS, request.data)
  if (!mayChange(caller, filesystem)) return -EPERM
  if ((wanted.flags & MS_RDONLY) !== 0 && !filesystem.readOnly && filesystem.writers > 0) return -EBUSY
  const refused = filesystem.reconfigure(wanted.flags, wanted.options)
  if (refused < 0) return refused
  mount.flags = flags
  return 0
}

/** MS_BIND: what `source` names is seen at `target` too. */
const bind = (vfs: Vfs, caller: Caller, target: Location, source: string | undefined, recurse: boolean): number => {
  const from = sourceOf(vfs, caller, source)
  if (typeof from === "number") return from
  const point = pointOf(caller, target)
  if (typeof point === "number") return point
  const { dentry, mount } = from
  if (mount.unbindable || !isOwn(caller, mount)) return -EINVAL
  if (!recurse && hasLockedChildren(from)) return -EINVAL
  const kinship = "Peer"
  const made = recurse
    ? vfs.tree.copy(mount, dentry, { kinship, unbindable: false })
    : vfs.tree.clone(mount, dentry, kinship)
  return typeof made === "number" ? made : graft(vfs, made, point)
}

/** Where `source` of MS_BIND and MS_MOVE is. */
const sourceOf = (vfs: Vfs, caller: Caller, source: string | undefined): Location | number =>
  source === undefined || source === ""
    ? -EINVAL
    : vfs.walk(caller, caller.fs.workingDirectory, source, { follow: true })

/** Where something can be mounted: whatever is on top at `target`. */
export const pointOf = (caller: Caller, target: Location): Location | number => {
  if (target.dentry.unlinked) return -ENOENT
  const point = target.covered
  return isOwn(caller, point.mount) ? point : -EINVAL
}

/** Whether what a copy without `from`'s submounts would show must stay covered. */
export const hasLockedChildren = ({ dentry, mount }: Location): boolean => {
  for (const child of mount.children) if (child.locked && child.point!.dentry.isBelow(dentry)) return true
  return false
}

/** Mounts `top`, which is nowhere, at `point`; if that fails, it is gone. */
const graft = (vfs: Vfs, top: Mount, point: Location): number => {
  const matches = isDirectory(top.root.inode!.mode) === isDirectory(point.dentry.inode!.mode)
  const error = matches ? vfs.tree.graft(top, point) : -ENOTDIR
  if (error < 0) vfs.tree.discardTree(top)
  return error
}

/** MS_SHARED, MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE. */
const setPropagation = (vfs: Vfs, caller: Caller, target: Location, flags: number): number => {
  const { mount } = target
  if (!target.isMountRoot) return -EINVAL
  const type = flags & ~(MS_REC | MS_SILENT)
  if ((type & ~PROPAGATION_FLAGS) !== 0 || (type & (type - 1)) !== 0) return -EINVAL
  if (!isOwn(caller, mount)) return -EINVAL
  for (const each of (flags & MS_REC) !== 0 ? [...mount.subtree()] : [mount])
    changeType(each, type, vfs.tree.groups.make)
  return 0
}

/** MS_MOVE. */
const move = (vfs: Vfs, caller: Caller, target: Location, source: string | undefined): number => {
  const from = sourceOf(vfs, caller, source)
  if (typeof from === "number") return from
  const point = pointOf(caller, target)
  if (typeof point === "number") return point
  const { mount } = from
  const { parent } = mount
  if (!isOwn(caller, mount) || parent === undefined || mount.locked || !from.isMountRoot) return -EINVAL
  return parent.group === undefined ? moveTo(vfs, from, point) : -EINVAL
}

/** Puts the tree that begins at `from` to `point`, whoever may do that: what both MS_MOVE and move_mount(2) refuse. */
export const moveTo = (vfs: Vfs, { dentry, mount }: Location, point: Location): number => {
  if (isDirectory(point.dentry.inode!.mode) !== isDirectory(dentry.inode!.mode)) return -EINVAL
  if (point.mount.group !== undefined) for (const each of mount.subtree()) if (each.unbindable) return -EINVAL
  for (let at: Mount | undefined = point.mount; at !== undefined; at = at.parent) if (at === mount) return -ELOOP
  return vfs.tree.graft(mount, point)
}

/** A filesystem of the type that `request` names. */
const mountNew = (vfs: Vfs, caller: Caller, target: Location, flags: number, request: MountRequest): number => {
  if (request.type === undefined) return -EINVAL
  const type = vfs.filesystemTypes.get(request.type)
  if (type === undefined) return -ENODEV
  const wanted = commonOptions(request.flags & FILESYSTEM_FLAGS, request.data)
  const filesystem = type.make(caller, wanted.options)
  if (typeof filesystem === "number") return filesystem
  const isNew = filesystem.mounts === 0
  const owner = type.owner(caller)
  const made = vfs.newMount(filesystem, { flags, source: request.source ?? "none" })
  if (isNew) {
    filesystem.flags = wanted.flags
    filesystem.owner = owner
  }
  const isPermitted = hasCapabilityIn(caller.credentials, owner, CAP_SYS_ADMIN)
  const error = isPermitted ? checkNew(caller, target, made) : -EPERM
  if (typeof error !== "number") return graft(vfs, made, error)
  vfs.tree.discardTree(made)
  return error
}

/** Where `made` can be mounted, or -errno. */
const checkNew = (caller: Caller, target: Location, made: Mount): Location | number => {
  const point = pointOf(caller, target)
  if (typeof point === "number") return point
  // the same again in the same place
  if (point.mount.filesystem === made.filesystem && point.isMountRoot) return -EBUSY
  return isSymlink(made.root.inode!.mode) ? -EINVAL : point
}

/** umount2(2) of what is at `target`. */
export const unmount = (vfs: Vfs, caller: Caller, target: Location, flags: number): number => {
  const { mount } = target
  const { root } = caller.fs
  if (!mayMount(caller)) return -EPERM
  if (!target.isMountRoot || !isOwn(caller, mount) || mount.locked) return -EINVAL
  if ((flags & MNT_FORCE) !== 0 && !mayChange(caller, mount.filesystem)) return -EPERM
  const lazy = (flags & MNT_DETACH) !== 0
  if ((flags & MNT_EXPIRE) !== 0) {
    if (mount === root.mount || (flags & (MNT_FORCE | MNT_DETACH)) !== 0) return -EINVAL
    if (mount.children.size > 0 || mount.users > 0) return -EBUSY
    if (!mount.expiring) {
      mount.expiring = true
      return -EAGAIN
    }
  }
  if (mount === root.mount && !lazy) return makeRootReadOnly(caller, mount)
  if (mount.parent === undefined) return -EINVAL
  if (!lazy && vfs.tree.isBusy(mount)) return -EBUSY
  vfs.tree.remove(mount, { propagate: true })
  return 0
}

/** What unmounting one's root means: that all is written, at shutdown. */
const makeRootReadOnly = (caller: Caller, { filesystem }: Mount): number => {
  if (!mayChange(caller, filesystem)) return -EPERM
  if (filesystem.readOnly) return 0
  if (filesystem.writers > 0) return -EBUSY
  return filesystem.reconfigure(filesystem.flags | MS_RDONLY, "")
}

/**
 * pivot_root(2): `newRoot`, where something is mounted, becomes the root of the tree of mounts, and the old one goes to
 * `putOld`. 0 or -errno. The caller moves the tasks whose root or working directory was the old root.
 */
export const pivotRoot = (vfs: Vfs, caller: Caller, newRoot: Location, putOld: Location): number => {
  const { root } = caller.fs
  const old = putOld.dentry.unlinked ? -ENOENT : putOld.covered
  if (typeof old === "number") return old
  const before = root.mount
  const after = newRoot.mount
  if (!isOwn(caller, old.mount)) return -EINVAL
  for (const mount of [old.mount, after.parent, before.parent]) if (mount?.group !== undefined) return -EINVAL
  if (!isOwn(caller, before) || !isOwn(caller, after) || after.locked) return -EINVAL
  if (newRoot.dentry.unlinked) return -ENOENT
  if (after === before || old.mount === before) return -EBUSY
  const rootPoint = before.point
  if (!root.isMountRoot || rootPoint === undefined) return -EINVAL
  if (!newRoot.isMountRoot || after.parent === undefined) return -EINVAL
  if (!isReachable(old, newRoot) || !isReachable(newRoot, root)) return -EINVAL
  after.detach()
  before.detach()
  if (before.locked) {
    after.locked = true
    before.locked = false
  }
  before.attach(old)
  after.attach(rootPoint)
  return 0
}
