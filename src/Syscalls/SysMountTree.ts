/**
 * Mounts by descriptors: open_tree(2), move_mount(2), mount_setattr(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2).
 */
import { AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW } from "../Abi/At.ts"
import { E2BIG, EBADF, EBUSY, EFAULT, EINVAL, ENAMETOOLONG, ENODEV, EOPNOTSUPP, EPERM } from "../Abi/Errno.ts"
import { AT_NAMES } from "../Abi/FileNames.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import * as M from "../Abi/MountFlags.ts"
import { O_CLOEXEC, O_PATH } from "../Abi/OpenFlags.ts"
import * as Struct from "../Abi/Struct.ts"
import { address, declare, dirFd, fd, flags, int, oneOf, size, string, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { FilesystemContext } from "../Vfs/FilesystemContext.ts"
import { cloneTree, moveMount, openDetached, setMountAttributes } from "../Vfs/DetachedMount.ts"
import type { Location, Mount } from "../Vfs/Mount.ts"
import { mayMount } from "../Vfs/MountChanges.ts"
import { PathFile } from "../Vfs/PathFile.ts"
import { fileOf } from "./Blocking.ts"
import { locationTarget } from "./PathArgument.ts"
import { installFile } from "./SysPipe.ts"

/** The place that a path names, where an open file without one is `-EINVAL`. */
const placeAt = (task: Task, dirFdNumber: number, path: number, follow: boolean, empty: boolean): Location | number =>
  locationTarget(task, dirFdNumber, path, { follow, empty }, -EINVAL)

/** A descriptor of the tree of `top`, which is nowhere. */
const installDetached = (task: Task, top: Mount, closeOnExec: boolean): number => {
  const file = openDetached(task.system.vfs, task, top)
  return typeof file === "number" ? file : installFile(task, file, closeOnExec)
}

const TREE_FLAGS = M.OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW

const open_tree = declare(
  "open_tree",
  [dirFd("dirfd"), string("path"), flags("flags", M.OPEN_TREE_NAMES, "0")],
  (task, dirFdNumber, path, bits) => {
    if ((bits & ~TREE_FLAGS) !== 0) return -EINVAL
    const clones = (bits & M.OPEN_TREE_CLONE) !== 0
    const recurses = (bits & AT_RECURSIVE) !== 0
    if (recurses && !clones) return -EINVAL
    if (clones && !mayMount(task)) return -EPERM
    const place = placeAt(task, dirFdNumber, path, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0)
    if (typeof place === "number") return place
    const closes = (bits & O_CLOEXEC) !== 0
    if (!clones) {
      return installFile(
        task,
        new PathFile({ flags: O_PATH, location: place, caller: task, created: false }).announce(place),
        closes
      )
    }
    const top = cloneTree(task.system.vfs, task, place, recurses)
    return typeof top === "number" ? top : installDetached(task, top, closes)
  }
)

const move_mount = declare(
  "move_mount",
  [
    dirFd("from_dirfd"),
    string("from_path"),
    dirFd("to_dirfd"),
    string("to_path"),
    flags("flags", M.MOVE_MOUNT_NAMES, "0")
  ],
  (task, fromFd, fromPath, toFd, toPath, bits) => {
    if (!mayMount(task)) return -EPERM
    if ((bits & ~M.MOVE_MOUNT_FLAGS) !== 0) return -EINVAL
    if ((bits & (M.MOVE_MOUNT_BENEATH | M.MOVE_MOUNT_SET_GROUP)) !== 0) return -EINVAL
    const has = (flag: number): boolean => (bits & flag) !== 0
    const to = placeAt(task, toFd, toPath, has(M.MOVE_MOUNT_T_SYMLINKS), has(M.MOVE_MOUNT_T_EMPTY_PATH))
    if (typeof to === "number") return to
    const from = placeAt(task, fromFd, fromPath, has(M.MOVE_MOUNT_F_SYMLINKS), has(M.MOVE_MOUNT_F_EMPTY_PATH))
    return typeof from === "number" ? from : moveMount(task.system.vfs, task, from, to)
  },
  { partial: "MOVE_MOUNT_BENEATH and MOVE_MOUNT_SET_GROUP give EINVAL" }
)

const MountAttr = Struct.make("mount_attr", {
  attr_set: Struct.u64,
  attr_clr: Struct.u64,
  propagation: Struct.u64,
  userns_fd: Struct.u64
})

/** `struct mount_attr` of `length` bytes: -E2BIG where a later kernel's fields are set. */
const attributesAt = (task: Task, at: number, length: number): Struct.Type<typeof MountAttr> | number => {
  const bytes = new Uint8Array(length)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  return bytes.subarray(MountAttr.size).some((byte) => byte !== 0) ? -E2BIG : MountAttr.decode(bytes)
}

/** The times' setting among MOUNT_ATTR_* as MS_* bits: -EINVAL where there are two. */
const accessTimes = (bits: number): number => {
  switch (bits & M.MOUNT_ATTR__ATIME) {
    case 0:
      return M.MS_RELATIME
    case M.MOUNT_ATTR_NOATIME:
      return M.MS_NOATIME
    case M.MOUNT_ATTR_STRICTATIME:
      return 0
    default:
      return -EINVAL
  }
}

/** MOUNT_ATTR_* but for the times as MS_* bits. */
const mountBits = (bits: number): number =>
  M.MOUNT_ATTR_BITS.reduce((all, [attribute, flag]) => ((bits & attribute) === 0 ? all : all | flag), 0)

/** What a `struct mount_attr` means; -EINVAL. */
const meaningOf = (attributes: Struct.Type<typeof MountAttr>) => {
  const { attr_clr, attr_set, propagation } = attributes
  const known = BigInt(M.MOUNT_ATTR_FLAGS)
  if ((propagation & ~BigInt(M.PROPAGATION_FLAGS)) !== 0n || (propagation & (propagation - 1n)) !== 0n) return -EINVAL
  if (((attr_set | attr_clr) & ~known) !== 0n) return -EINVAL
  const [setBits, clearBits] = [Number(attr_set), Number(attr_clr)]
  let [set, clear] = [mountBits(setBits), mountBits(clearBits)]
  if ((clearBits & M.MOUNT_ATTR__ATIME) !== 0) {
    if ((clearBits & M.MOUNT_ATTR__ATIME) !== M.MOUNT_ATTR__ATIME) return -EINVAL
    const times = accessTimes(setBits)
    if (times < 0) return -EINVAL
    clear |= M.MS_NOATIME | M.MS_RELATIME
    set |= times
  } else if ((setBits & M.MOUNT_ATTR__ATIME) !== 0) return -EINVAL
  return { set, clear, propagation: Number(propagation) }
}

const SETATTR_FLAGS = AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT

const mount_setattr = declare(
  "mount_setattr",
  [dirFd("dirfd"), string("path"), flags("flags", AT_NAMES, "0"), address("attr"), size("size")],
  (task, dirFdNumber, path, bits, at, length) => {
    if ((bits & ~SETATTR_FLAGS) !== 0) return -EINVAL
    if (length > PAGE_SIZE) return -E2BIG
    if (length < MountAttr.size) return -EINVAL
    if (!mayMount(task)) return -EPERM
    const attributes = attributesAt(task, at, length)
    if (typeof attributes === "number") return attributes
    if ((attributes.attr_set | attributes.attr_clr | attributes.propagation) === 0n) return 0
    const wanted = meaningOf(attributes)
    if (typeof wanted === "number") return wanted
    const place = placeAt(task, dirFdNumber, path, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0)
    if (typeof place === "number") return place
    return setMountAttributes(task.system.vfs, task, place, wanted, (bits & AT_RECURSIVE) !== 0)
  },
  { partial: "no mounts with mapped ids: MOUNT_ATTR_IDMAP gives EINVAL" }
)

/** A string of fewer than `limit` bytes. Errors: EFAULT; EINVAL where it is longer. */
const textAt = (task: Task, at: number, limit: number): string | number => {
  const text = task.memory.copyInString(at)
  if (typeof text === "number") return text === -ENAMETOOLONG ? -EINVAL : text
  return text.length >= limit ? -EINVAL : text
}

const fsopen = declare("fsopen", [string("fsname"), flags("flags", M.FSOPEN_NAMES, "0")], (task, name, bits) => {
  if (!mayMount(task)) return -EPERM
  if ((bits & ~M.FSOPEN_CLOEXEC) !== 0) return -EINVAL
  const text = textAt(task, name, PAGE_SIZE)
  if (typeof text === "number") return text
  const { anonymous, vfs } = task.system
  const type = vfs.filesystemTypes.get(text)
  if (type === undefined) return -ENODEV
  const stat = anonymous.attributes("anon_inode", task.credentials)
  return installFile(task, new FilesystemContext(stat, type), (bits & M.FSOPEN_CLOEXEC) !== 0)
})

const PICK_FLAGS = M.FSPICK_CLOEXEC | M.FSPICK_SYMLINK_NOFOLLOW | M.FSPICK_NO_AUTOMOUNT | M.FSPICK_EMPTY_PATH

const fspick = declare(
  "fspick",
  [dirFd("dirfd"), string("path"), flags("flags", M.FSPICK_NAMES, "0")],
  (task, dirFdNumber, path, bits) => {
    if (!mayMount(task)) return -EPERM
    if ((bits & ~PICK_FLAGS) !== 0) return -EINVAL
    const follow = (bits & M.FSPICK_SYMLINK_NOFOLLOW) === 0
    const place = placeAt(task, dirFdNumber, path, follow, (bits & M.FSPICK_EMPTY_PATH) !== 0)
    if (typeof place === "number") return place
    if (!place.isMountRoot) return -EINVAL
    const { anonymous, vfs } = task.system
    const { filesystem } = place.mount
    const type = vfs.filesystemTypes.get(filesystem.name)
    if (type === undefined) return -EOPNOTSUPP
    const stat = anonymous.attributes("anon_inode", task.credentials)
    const context = new FilesystemContext(stat, type, filesystem)
    return installFile(task, context, (bits & M.FSPICK_CLOEXEC) !== 0)
  },
  { partial: "what the sandbox's owner has mounted gives EOPNOTSUPP" }
)

/** Which of key, value and number a command of fsconfig(2) wants; undefined for an unknown command. */
const isWellFormed = (command: number, key: number, value: number, aux: number): boolean | undefined => {
  switch (command) {
    case M.FSCONFIG_SET_FLAG:
      return key !== 0 && value === 0 && aux === 0
    case M.FSCONFIG_SET_STRING:
      return key !== 0 && value !== 0 && aux === 0
    case M.FSCONFIG_SET_BINARY:
      return key !== 0 && value !== 0 && aux > 0 && aux <= 1024 * 1024
    case M.FSCONFIG_SET_PATH:
    case M.FSCONFIG_SET_PATH_EMPTY:
      return key !== 0 && value !== 0 && (aux === AT_FDCWD || aux >= 0)
    case M.FSCONFIG_SET_FD:
      return key !== 0 && value === 0 && aux >= 0
    case M.FSCONFIG_CMD_CREATE:
    case M.FSCONFIG_CMD_RECONFIGURE:
    case M.FSCONFIG_CMD_CREATE_EXCL:
      return key === 0 && value === 0 && aux === 0
    default:
      return undefined
  }
}

const MAX_PARAMETER = 256

/** fsconfig(2) of `context`, with arguments that fit the command. */
const configure = (task: Task, context: FilesystemContext, command: number, key: number, value: number): number => {
  if (command === M.FSCONFIG_CMD_CREATE) return context.create(task)
  if (command === M.FSCONFIG_CMD_RECONFIGURE) return context.reconfigure(task)
  if (command === M.FSCONFIG_CMD_CREATE_EXCL) return -EBUSY
  const name = textAt(task, key, MAX_PARAMETER)
  if (typeof name === "number") return name
  if (command === M.FSCONFIG_SET_FLAG) return context.setOption(name, undefined)
  if (command !== M.FSCONFIG_SET_STRING) return context.refuseValue(name)
  const text = textAt(task, value, MAX_PARAMETER)
  return typeof text === "number" ? text : context.setOption(name, text)
}

const fsconfig = declare(
  "fsconfig",
  [fd("fd"), oneOf("cmd", M.FSCONFIG_NAMES), address("key"), address("value"), int("aux")],
  (task, fdNumber, command, key, value, aux) => {
    if (fdNumber < 0) return -EINVAL
    const wellFormed = isWellFormed(command, key, value, aux)
    if (wellFormed === undefined) return -EOPNOTSUPP
    if (!wellFormed) return -EINVAL
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    return file instanceof FilesystemContext ? configure(task, file, command, key, value) : -EINVAL
  },
  { partial: "FSCONFIG_CMD_CREATE_EXCL gives EBUSY" }
)

const fsmount = declare(
  "fsmount",
  [fd("fsfd"), flags("flags", M.FSMOUNT_NAMES, "0"), flags("attr_flags", M.MOUNT_ATTR_NAMES, "0")],
  (task, fdNumber, bits, attributes) => {
    if (!mayMount(task)) return -EPERM
    if ((bits & ~M.FSMOUNT_CLOEXEC) !== 0) return -EINVAL
    if ((attributes & ~M.MOUNT_ATTR_FLAGS) !== 0) return -EINVAL
    const times = accessTimes(attributes)
    if (times < 0) return -EINVAL
    const file = fileOf(task, fdNumber)
    if (file === undefined) return -EBADF
    if (!(file instanceof FilesystemContext)) return -EINVAL
    const top = file.mount(task.system.vfs, mountBits(attributes) | times)
    return typeof top === "number" ? top : installDetached(task, top, (bits & M.FSMOUNT_CLOEXEC) !== 0)
  }
)

export const sysMountTree: ReadonlyArray<Syscall> = [
  open_tree,
  move_mount,
  fsopen,
  fsconfig,
  fsmount,
  fspick,
  mount_setattr
]
