/**
 * A filesystem: a device number, a root inode, and what statfs(2) says. What is mounted where is Mount's business.
 */
import { EINVAL } from "../Abi/Errno.ts"
import { MS_RDONLY } from "../Abi/MountFlags.ts"
import type { Dentry } from "./Dentry.ts"
import type { Inode } from "./Inode.ts"
import type { FileTime } from "./Stat.ts"
import { type UserNamespace, firstUserNamespace } from "./UserNamespace.ts"

/** How much there is room for. */
export interface FilesystemSpace {
  /** In blocks. */
  readonly blocks: number
  readonly blocksFree: number
  readonly blocksAvailable: number
  readonly files: number
  readonly filesFree: number
}

/** What statfs(2) reports. Plain data. */
export interface FilesystemStatus extends FilesystemSpace {
  /** Magic number of the kind of filesystem. */
  readonly type: number
  readonly blockSize: number
  readonly nameLength: number
}

/** Now, for file times: the kernel's realtime clock. */
export type FileClock = () => FileTime

export abstract class Filesystem {
  /** Its name in /proc/mounts: "tmpfs", "proc", … */
  abstract readonly name: string
  /** Device number (st_dev). */
  abstract readonly device: number
  abstract readonly root: Inode
  /** statfs(2), or -errno. */
  abstract status(): FilesystemStatus | number

  /** MS_* bits of `FILESYSTEM_FLAGS`. Atomic: `reconfigure`. */
  flags = 0
  /** Whose privileges count for it as a whole. Atomic: set when it is mounted for the first time. */
  owner: UserNamespace = firstUserNamespace
  /** Mounts that show it: those of a tree, and those that are still in use. Atomic: Mount, MountTree. */
  mounts = 0
  /** Descriptions that may write to a regular file of it. Atomic: OpenFileDescription. */
  writers = 0
  /** The top of the names below it, once it is mounted. Atomic: Vfs. */
  top: Dentry | undefined

  /** Whether every change fails with -EROFS, whatever the mount says. */
  get readOnly(): boolean {
    return (this.flags & MS_RDONLY) !== 0
  }

  /** Whether nothing of it is executed, whatever the mount says. */
  get noExecute(): boolean {
    return false
  }

  /** Whether RENAME_WHITEOUT may leave a whiteout, a character device 0:0, behind. */
  get hasWhiteouts(): boolean {
    return false
  }

  /** What mountinfo says of it after "rw" or "ro": its own options, each after a comma. */
  get options(): string {
    return ""
  }

  /** mount(2) with MS_REMOUNT: other `flags`, and the filesystem's own options. 0 or -errno. */
  reconfigure(flags: number, options: string): number {
    if (options !== "") return -EINVAL
    this.flags = flags
    return 0
  }

  /** sync(2), syncfs(2). */
  synchronize(): number {
    return 0
  }

  /** Closes what the filesystem holds of the host's. Called once, when the sandbox ends. */
  dispose(): void {}
}

/** A clock for file times from one that gives nanoseconds since 1970. */
export const fileClock =
  (realtime: () => bigint): FileClock =>
  () => {
    const now = realtime()
    return { seconds: Number(now / 1_000_000_000n), nanoseconds: Number(now % 1_000_000_000n) }
  }
