/**
 * Mounts that a descriptor holds while they are nowhere: open_tree(2), fsmount(2); putting them somewhere, move_mount(2);
 * and changing the attributes of mounts, mount_setattr(2). The order in which errors are found is Linux's.
 */
import { EBUSY, EINVAL, ENOENT, ENOSPC, EPERM } from "../Abi/Errno.ts"
import { ACCESS_TIME_FLAGS, MS_RDONLY } from "../Abi/MountFlags.ts"
import { O_PATH } from "../Abi/OpenFlags.ts"
import type { Caller } from "./Inode.ts"
import { Location, type Mount } from "./Mount.ts"
import { hasLockedChildren, isOwn, moveTo, pointOf } from "./MountChanges.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import { PathFile } from "./PathFile.ts"
import { changeType } from "./Propagation.ts"
import type { Vfs } from "./Vfs.ts"

/**
 * The tree of `top`, which is nowhere, as a file: it ends with the file, unless it has been put somewhere. -ENOSPC when
 * there are too many mounts.
 */
export const openDetached = (vfs: Vfs, caller: Caller, top: Mount): OpenFileDescription | number => {
  if (!vfs.tree.hasRoom(0)) {
    vfs.tree.discardTree(top)
    return -ENOSPC
  }
  for (const mount of top.subtree()) mount.detached = true
  const location = new Location(top, top.root)
  const file = new PathFile({ flags: O_PATH, location, caller, created: false }).announce(location)
  file.atRelease(() => {
    if (top.detached) vfs.tree.discardTree(top)
  })
  return file
}

/** open_tree(2) with OPEN_TREE_CLONE: a copy of what is mounted at `from`, or of all below it. */
export const cloneTree = (vfs: Vfs, { fs }: Caller, from: Location, recurse: boolean): Mount | number => {
  const { dentry, mount } = from
  if (mount.unbindable || !(mount.namespace === fs.namespace || mount.detached)) return -EINVAL
  if (!recurse && hasLockedChildren(from)) return -EINVAL
  const kinship = "Peer"
  const copy = recurse
    ? vfs.tree.copy(mount, dentry, { kinship, unbindable: false })
    : vfs.tree.clone(mount, dentry, kinship)
  if (typeof copy !== "number") copy.locked = false
  return copy
}

/** move_mount(2). */
export const moveMount = (vfs: Vfs, caller: Caller, from: Location, target: Location): number => {
  const { mount } = from
  if (!from.isMountRoot) return -EINVAL
  if (target.dentry.unlinked) return -ENOENT
  const point = pointOf(caller, target)
  if (typeof point === "number") return point
  const { parent } = mount
  if (isOwn(caller, mount)) {
    if (parent === undefined || mount.locked || parent.group !== undefined) return -EINVAL
  } else if (!mount.detached || parent !== undefined) return -EINVAL
  const error = moveTo(vfs, from, point)
  if (error === 0) for (const each of mount.subtree()) each.detached = false
  return error
}

/** What mount_setattr(2) asks for, in terms of MS_* bits; `propagation` is one of PROPAGATION_FLAGS or 0. */
export interface MountAttributes {
  readonly set: number
  readonly clear: number
  readonly propagation: number
}

/** mount_setattr(2) of the mount at `target`, or of all below it: all of them, or none. */
export const setMountAttributes = (
  vfs: Vfs,
  caller: Caller,
  target: Location,
  { clear, propagation, set }: MountAttributes,
  recurse: boolean
): number => {
  const { mount } = target
  if (!target.isMountRoot || !(isOwn(caller, mount) || mount.detached)) return -EINVAL
  const mounts = recurse ? [...mount.subtree()] : [mount]
  const after = (flags: number): number => (flags & ~clear) | set
  for (const { flags, lockedFlags, readOnly, writers } of mounts) {
    const wanted = after(flags)
    if ((lockedFlags & ~ACCESS_TIME_FLAGS & ~wanted) !== 0) return -EPERM
    if ((lockedFlags & ACCESS_TIME_FLAGS) !== 0 && ((flags ^ wanted) & ACCESS_TIME_FLAGS) !== 0) return -EPERM
    if ((set & MS_RDONLY) !== 0 && !readOnly && writers > 0) return -EBUSY
  }
  for (const each of mounts) {
    each.flags = after(each.flags)
    if (propagation !== 0) changeType(each, propagation, vfs.tree.groups.make)
  }
  return 0
}
