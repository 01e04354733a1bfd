/**
 * How the *at(2) calls name files: a descriptor to start from, a path in guest memory, AT_* flags.
 */
import { AT_FDCWD } from "../Abi/At.ts"
import { EBADF, ENOENT, ENOTDIR } from "../Abi/Errno.ts"
import type { Task } from "../Task/Task.ts"
import type { Caller } from "../Vfs/Inode.ts"
import { Location } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** A task, perhaps with other credentials (access(2)). */
export interface PathCaller extends Caller {
  readonly fds: Task["fds"]
  readonly memory: Task["memory"]
  readonly system: Pick<Task["system"], "vfs">
}

/** The path at a guest address: a byte string, -EFAULT or -ENAMETOOLONG. */
export const pathAt = (task: PathCaller, address: number): string | number => task.memory.copyInString(address)

/** Where a relative `path` starts: -ENOENT for an empty one, -EBADF, or -ENOTDIR for a descriptor of something without a place. */
export const startOf = (task: PathCaller, dirFd: number, path: string): Location | number => {
  if (path === "") return -ENOENT
  if (dirFd === AT_FDCWD || path.charCodeAt(0) === 0x2f) return task.fs.workingDirectory
  return directoryOf(task, dirFd)
}

/** The place behind a descriptor, AT_FDCWD included. */
export const directoryOf = (task: PathCaller, dirFd: number): Location | number => {
  if (dirFd === AT_FDCWD) return task.fs.workingDirectory
  const file = task.fds.get(dirFd)
  return file === undefined ? -EBADF : (file.location() ?? -ENOTDIR)
}

export interface TargetOptions {
  readonly follow: boolean
  /** AT_EMPTY_PATH: an empty path, or a null one, means the descriptor itself. */
  readonly empty?: boolean
}

/** The file that `dirFd` and the path at `address` name. It may be an open file without a place (a pipe). */
export const fileTarget = (
  task: PathCaller,
  dirFd: number,
  address: number,
  options: TargetOptions
): Location | OpenFileDescription | number => {
  const path = options.empty === true && address === 0 ? "" : pathAt(task, address)
  if (typeof path === "number") return path
  if (path === "" && options.empty === true) {
    if (dirFd === AT_FDCWD) return task.fs.workingDirectory
    return task.fds.get(dirFd) ?? -EBADF
  }
  const start = startOf(task, dirFd, path)
  if (typeof start === "number") return start
  return task.system.vfs.find(task, start, path, { follow: options.follow })
}

/** As `fileTarget`, for calls that need a place: `without` is the error for an open file that has none. */
export const locationTarget = (
  task: PathCaller,
  dirFd: number,
  address: number,
  options: TargetOptions,
  without: number
): Location | number => {
  const target = fileTarget(task, dirFd, address, options)
  return target instanceof OpenFileDescription ? (target.location() ?? without) : target
}
