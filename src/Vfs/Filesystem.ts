/**
 * A filesystem: a device number, a root inode, and what statfs(2) says. What is mounted where is Mount's business.
 */
import type { Inode } from "./Inode.ts"
import type { FileTime } from "./Stat.ts"

/** What statfs(2) reports. Plain data. */
export interface FilesystemStatus {
  /** Magic number of the kind of filesystem. */
  readonly type: number
  readonly blockSize: number
  /** In blocks. */
  readonly blocks: number
  readonly blocksFree: number
  readonly blocksAvailable: number
  readonly files: number
  readonly filesFree: number
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

  /** Whether every change fails with -EROFS, whatever the mount says. */
  get readOnly(): boolean {
    return false
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
