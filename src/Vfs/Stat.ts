/**
 * A file's attributes, as stat(2) and statx(2) show them. Plain data; times are seconds and nanoseconds apart because
 * nanoseconds since 1970 do not fit 2^53.
 */

/** A point in time: whole seconds since 1970 and 0 to 999,999,999 nanoseconds. */
export interface FileTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/** `stat` after fchmod(2), fchown(2) or futimens(3). */
export const changedStat = (stat: Stat, changes: { readonly mode?: number } & Partial<Omit<Stat, "mode">>): Stat => ({
  ...stat,
  ...changes,
  mode: changes.mode === undefined ? stat.mode : (stat.mode & ~0o7777) | changes.mode
})

export interface Stat {
  /** Device number of the filesystem, as makedev(3) packs it. */
  readonly dev: number
  readonly ino: number
  /** File type and permissions (S_IF* and mode bits). */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Device number, for device files. */
  readonly rdev: number
  /** Bytes. */
  readonly size: number
  /** Preferred I/O size, bytes. */
  readonly blksize: number
  /** Allocated 512-byte units. */
  readonly blocks: number
  readonly atime: FileTime
  readonly mtime: FileTime
  readonly ctime: FileTime
  /** Birth time, statx(2), where known. */
  readonly btime?: FileTime
}
