/**
 * The host's file calls (native/hostfile.c): one path component at a time, count or -errno, no strings but byte strings.
 *
 * Names and results go through static buffers: a call's outcome is read before the next call.
 */
import { bind, cString } from "../Platform/Native.ts"
import type { FilesystemStatus } from "./Filesystem.ts"
import type { FileTime, Stat } from "./Stat.ts"

/** A host offset or size: koffi gives a number where it is exact. */
type Int64 = number | bigint

const names = [Buffer.alloc(4097), Buffer.alloc(4097)] as const
const attributes = new Float64Array(19)
const fourTimes = new Float64Array(4)
const linkText = Buffer.alloc(4096)
const entries = Buffer.alloc(65_536)

/** `name` with its NUL in static buffer 0 or 1. Longer than any component: cut, so the host says ENAMETOOLONG. */
const put = (which: 0 | 1, name: string): Buffer => {
  const buffer = names[which]
  buffer[buffer.write(name, 0, 4096, "latin1")] = 0
  return buffer
}

const native = {
  stat: bind<[number, Float64Array], number>("int sentry_file_stat(int fd, double *out)"),
  statAt: bind<[number, Uint8Array, Float64Array], number>(
    "int sentry_file_stat_at(int dir, const uint8_t *name, double *out)"
  ),
  openAt: bind<[number, Uint8Array, number, Float64Array | null], number>(
    "int sentry_file_open_at(int dir, const uint8_t *name, int flags, double *out)"
  ),
  openRoot: bind<[Uint8Array], number>("int sentry_file_open_root(const uint8_t *path)"),
  createAt: bind<[number, Uint8Array, number, Float64Array], number>(
    "int sentry_file_create_at(int dir, const uint8_t *name, int mode, double *out)"
  ),
  readlinkAt: bind<[number, Uint8Array, Uint8Array, number], number>(
    "int sentry_file_readlink_at(int dir, const uint8_t *name, uint8_t *into, int size)"
  ),
  getdents: bind<[number, Uint8Array, number], number>("int sentry_file_getdents(int fd, uint8_t *into, int size)"),
  seek: bind<[number, number, number], Int64>("int64_t sentry_file_seek(int fd, int64_t offset, int whence)"),
  read: bind<[number, Uint8Array, number, number], Int64>(
    "int64_t sentry_file_read(int fd, uint8_t *into, int64_t size, int64_t offset)"
  ),
  write: bind<[number, Uint8Array, number, number], Int64>(
    "int64_t sentry_file_write(int fd, const uint8_t *from, int64_t size, int64_t offset)"
  ),
  append: bind<[number, Uint8Array, number], Int64>(
    "int64_t sentry_file_append(int fd, const uint8_t *from, int64_t size)"
  ),
  mkdirAt: bind<[number, Uint8Array, number], number>(
    "int sentry_file_mkdir_at(int dir, const uint8_t *name, int mode)"
  ),
  mknodAt: bind<[number, Uint8Array, number], number>(
    "int sentry_file_mknod_at(int dir, const uint8_t *name, int mode)"
  ),
  symlinkAt: bind<[Uint8Array, number, Uint8Array], number>(
    "int sentry_file_symlink_at(const uint8_t *target, int dir, const uint8_t *name)"
  ),
  linkAt: bind<[number, Uint8Array, number, Uint8Array], number>(
    "int sentry_file_link_at(int dir, const uint8_t *name, int new_dir, const uint8_t *new_name)"
  ),
  unlinkAt: bind<[number, Uint8Array, number], number>(
    "int sentry_file_unlink_at(int dir, const uint8_t *name, int directory)"
  ),
  renameAt: bind<[number, Uint8Array, number, Uint8Array, number], number>(
    "int sentry_file_rename_at(int dir, const uint8_t *name, int new_dir, const uint8_t *new_name, uint32_t flags)"
  ),
  chmodAt: bind<[number, Uint8Array, number], number>(
    "int sentry_file_chmod_at(int dir, const uint8_t *name, int mode)"
  ),
  chownAt: bind<[number, Uint8Array, number, number], number>(
    "int sentry_file_chown_at(int dir, const uint8_t *name, uint32_t uid, uint32_t gid)"
  ),
  utimensAt: bind<[number, Uint8Array, Float64Array], number>(
    "int sentry_file_utimens_at(int dir, const uint8_t *name, const double *times)"
  ),
  utimens: bind<[number, Float64Array], number>("int sentry_file_utimens(int fd, const double *times)"),
  getxattrAt: bind<[number, Uint8Array, Uint8Array, Uint8Array, number], number>(
    "int sentry_file_getxattr_at(int dir, const uint8_t *name, const uint8_t *attribute, uint8_t *into, int size)"
  ),
  listxattrAt: bind<[number, Uint8Array, Uint8Array, number], number>(
    "int sentry_file_listxattr_at(int dir, const uint8_t *name, uint8_t *into, int size)"
  ),
  setxattrAt: bind<[number, Uint8Array, Uint8Array, Uint8Array, number, number], number>(
    "int sentry_file_setxattr_at(int dir, const uint8_t *name, const uint8_t *attribute, const uint8_t *value, int size, int flags)"
  ),
  statfs: bind<[number, Float64Array], number>("int sentry_file_statfs(int fd, double *out)")
}

const time = (at: number): FileTime => ({ seconds: attributes[at]!, nanoseconds: attributes[at + 1]! })

const UTIME_OMIT = 0x3ffffffe

const putTimes = (atime: FileTime | undefined, mtime: FileTime | undefined): Float64Array => {
  fourTimes[0] = atime?.seconds ?? 0
  fourTimes[1] = atime?.nanoseconds ?? UTIME_OMIT
  fourTimes[2] = mtime?.seconds ?? 0
  fourTimes[3] = mtime?.nanoseconds ?? UTIME_OMIT
  return fourTimes
}

/** The attributes that the last successful `stat`, `statAt`, `openAt` with attributes, or `createAt` found. */
export const lastStat = (): Stat => {
  const a = attributes
  const common = {
    dev: a[6]!,
    ino: a[0]! + a[1]! * 0x1_0000_0000,
    mode: a[2]!,
    nlink: a[3]!,
    uid: a[4]!,
    gid: a[5]!,
    rdev: a[7]!,
    size: a[8]!,
    blksize: a[9]!,
    blocks: a[10]!,
    atime: time(11),
    mtime: time(13),
    ctime: time(15)
  }
  return a[17] === -1 ? common : { ...common, btime: time(17) }
}

/**
 * Which host file the last attributes are of, exactly (inode numbers may exceed 2^53): device, inode, and where the host
 * keeps one the birth time, because numbers are reused.
 */
export const lastIdentity = (): string => {
  const a = attributes
  return `${a[6]}:${a[1]}:${a[0]}:${a[17]}:${a[18]}`
}

/** Whether `a` and the last attributes are of the same file: a cheap form of comparing identities. */
export const lastIsSame = (a: Stat): boolean =>
  a.ino === attributes[0]! + attributes[1]! * 0x1_0000_0000 &&
  a.dev === attributes[6] &&
  ((a.mode ^ attributes[2]!) & 0o170000) === 0 &&
  (a.btime === undefined || (a.btime.seconds === attributes[17] && a.btime.nanoseconds === attributes[18]))

/** Whether the last attributes equal `a` in everything that changes: then `a` may be kept. */
export const lastEquals = (a: Stat): boolean =>
  lastIsSame(a) &&
  a.mode === attributes[2] &&
  a.nlink === attributes[3] &&
  a.uid === attributes[4] &&
  a.gid === attributes[5] &&
  a.size === attributes[8] &&
  a.blocks === attributes[10] &&
  a.atime.seconds === attributes[11] &&
  a.atime.nanoseconds === attributes[12] &&
  a.mtime.seconds === attributes[13] &&
  a.mtime.nanoseconds === attributes[14] &&
  a.ctime.seconds === attributes[15] &&
  a.ctime.nanoseconds === attributes[16]

/** fstat(2) into `lastStat`. */
export const stat = (fd: number): number => native.stat(fd, attributes)

/** fstatat(2), AT_SYMLINK_NOFOLLOW, into `lastStat`. */
export const statAt = (dir: number, name: string): number => native.statAt(dir, put(0, name), attributes)

/** Opens `name`, never following it: a close-on-exec descriptor. With attributes into `lastStat` unless `plain`. */
export const openAt = (dir: number, name: string, flags: number): number =>
  native.openAt(dir, put(0, name), flags, attributes)

export const openPlainAt = (dir: number, name: string, flags: number): number =>
  native.openAt(dir, put(0, name), flags, null)

/** O_PATH descriptor of a directory that whoever runs the sandbox names by a host path (byte string). */
export const openRoot = (path: string): number => native.openRoot(cString(path))

/** Creates a regular file: a descriptor open for reading and writing, attributes in `lastStat`. */
export const createAt = (dir: number, name: string, mode: number): number =>
  native.createAt(dir, put(0, name), mode, attributes)

export const close = bind<[fd: number], number>("int sentry_file_close(int fd)")

export const readlinkAt = (dir: number, name: string): string | number => {
  const count = native.readlinkAt(dir, put(0, name), linkText, linkText.length)
  return count < 0 ? count : linkText.toString("latin1", 0, count)
}

/** Every entry of the directory open at `fd` (at its start), without "." and "..", or -errno. */
export const listDirectory = (fd: number): Array<{ name: string; ino: number; type: number }> | number => {
  const list: Array<{ name: string; ino: number; type: number }> = []
  for (;;) {
    const count = native.getdents(fd, entries, entries.length)
    if (count < 0) return count
    if (count === 0) return list
    for (let at = 0; at < count;) {
      const length = entries.readUInt16LE(at + 16)
      const name = entries.toString("latin1", at + 19, entries.indexOf(0, at + 19))
      if (name !== "." && name !== "..") {
        const ino = entries.readUInt32LE(at) + entries.readUInt32LE(at + 4) * 0x1_0000_0000
        list.push({ name, ino, type: entries[at + 18]! })
      }
      at += length
    }
  }
}

/** lseek(2), for SEEK_DATA, SEEK_HOLE and the end of an append. */
export const seek = (fd: number, offset: number, whence: number): number => Number(native.seek(fd, offset, whence))

export const read = (fd: number, into: Uint8Array, offset: number): number =>
  Number(native.read(fd, into, into.length, offset))

export const write = (fd: number, from: Uint8Array, offset: number): number =>
  Number(native.write(fd, from, from.length, offset))

/** Writes at the end; `seek(fd, 0, SEEK_CUR)` then tells where that is. */
export const append = (fd: number, from: Uint8Array): number => Number(native.append(fd, from, from.length))

export const truncate = bind<[fd: number, length: number], number>("int sentry_file_truncate(int fd, int64_t length)")
export const allocate = bind<[fd: number, mode: number, offset: number, length: number], number>(
  "int sentry_file_allocate(int fd, int mode, int64_t offset, int64_t length)"
)
export const sync = bind<[fd: number, dataOnly: number], number>("int sentry_file_sync(int fd, int data_only)")
/** An anonymous file of the host's. */
export const memfd = bind<[], number>("int sentry_file_memfd(void)")
/** Adds seals to an anonymous file: those it then has, or -errno. */
export const seal = bind<[fd: number, seals: number], number>("int sentry_file_seal(int fd, int seals)")
export const chmod = bind<[fd: number, mode: number], number>("int sentry_file_chmod(int fd, int mode)")
/** 0xffffffff leaves an id. */
export const chown = bind<[fd: number, uid: number, gid: number], number>(
  "int sentry_file_chown(int fd, uint32_t uid, uint32_t gid)"
)

export const mkdirAt = (dir: number, name: string, mode: number): number => native.mkdirAt(dir, put(0, name), mode)
/** FIFOs, sockets and regular files. */
export const mknodAt = (dir: number, name: string, mode: number): number => native.mknodAt(dir, put(0, name), mode)
export const symlinkAt = (target: string, dir: number, name: string): number =>
  native.symlinkAt(put(1, target), dir, put(0, name))
export const linkAt = (dir: number, name: string, newDir: number, newName: string): number =>
  native.linkAt(dir, put(0, name), newDir, put(1, newName))
export const unlinkAt = (dir: number, name: string): number => native.unlinkAt(dir, put(0, name), 0)
export const rmdirAt = (dir: number, name: string): number => native.unlinkAt(dir, put(0, name), 1)
export const renameAt = (dir: number, name: string, newDir: number, newName: string, flags: number): number =>
  native.renameAt(dir, put(0, name), newDir, put(1, newName), flags)
export const chmodAt = (dir: number, name: string, mode: number): number => native.chmodAt(dir, put(0, name), mode)
export const chownAt = (dir: number, name: string, uid: number, gid: number): number =>
  native.chownAt(dir, put(0, name), uid, gid)
export const utimensAt = (
  dir: number,
  name: string,
  atime: FileTime | undefined,
  mtime: FileTime | undefined
): number => native.utimensAt(dir, put(0, name), putTimes(atime, mtime))
export const utimens = (fd: number, atime: FileTime | undefined, mtime: FileTime | undefined): number =>
  native.utimens(fd, putTimes(atime, mtime))

/** getxattr(2) of `name` itself: the value, or -errno. */
export const getxattrAt = (dir: number, name: string, attribute: string): Uint8Array | number => {
  const count = native.getxattrAt(dir, put(0, name), put(1, attribute), entries, entries.length)
  return count < 0 ? count : Uint8Array.prototype.slice.call(entries, 0, count)
}

/** listxattr(2) of `name` itself: the names, or -errno. */
export const listxattrAt = (dir: number, name: string): ReadonlyArray<string> | number => {
  const count = native.listxattrAt(dir, put(0, name), entries, entries.length)
  return count < 0 ? count : entries.toString("latin1", 0, count).split("\0").slice(0, -1)
}

export const setxattrAt = (dir: number, name: string, attribute: string, value: Uint8Array, flags: number): number =>
  native.setxattrAt(dir, put(0, name), put(1, attribute), value, value.length, flags)

export const removexattrAt = (dir: number, name: string, attribute: string): number =>
  native.setxattrAt(dir, put(0, name), put(1, attribute), entries, -1, 0)

/** fstatfs(2), or -errno. */
export const statfs = (fd: number): FilesystemStatus | number => {
  const error = native.statfs(fd, attributes)
  if (error < 0) return error
  const [type, blockSize, blocks, blocksFree, blocksAvailable, files, filesFree, nameLength] = attributes
  return {
    type: type!,
    blockSize: blockSize!,
    blocks: blocks!,
    blocksFree: blocksFree!,
    blocksAvailable: blocksAvailable!,
    files: files!,
    filesFree: filesFree!,
    nameLength: nameLength!
  }
}
