/**
 * An open file description, open(2): what file descriptors, perhaps of several processes, share: offset, status flags,
 * readiness.
 *
 * Everything here is synchronous and never blocks: an operation that would have to wait returns -EAGAIN, and the
 * syscall layer waits on `waiters` until `readiness()` changes. Buffers belong to the kernel; guest memory is copied by
 * the syscall layer.
 */
import { SEEK_CUR } from "../Abi/At.ts"
import { EINVAL, ENODEV, ENOTDIR, ENOTTY, ENXIO, EOPNOTSUPP, ESPIPE } from "../Abi/Errno.ts"
import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_OPEN } from "../Abi/InotifyFlags.ts"
import { isRegular } from "../Abi/FileMode.ts"
import { O_ACCMODE, O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from "../Abi/OpenFlags.ts"
import type { KernelTermios } from "../Abi/Termios.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { AttributeChanges, OpenRequest } from "./Inode.ts"
import type { Location } from "./Mount.ts"
import { endIfUnused, happenedToFile } from "./Notifications.ts"
import type { Stat } from "./Stat.ts"
import type { TtyOwner } from "./TtyOwner.ts"

/** What mmap(2) of a file maps: a host file of the sentry's whose byte `offset + x` is byte `x` of this file. */
export interface Mappable {
  readonly fd: number
  readonly offset: number
}

/** Receives directory entries one by one; returns false when the reader's buffer is full (the entry is not consumed). */
export type DirectorySink = (entry: { name: string; ino: number; type: number; nextOffset: number }) => boolean

export abstract class OpenFileDescription {
  /** O_ACCMODE and the flags that F_GETFL shows. Atomic: F_SETFL changes O_APPEND, O_NONBLOCK, O_ASYNC, O_DIRECT, O_NOATIME. */
  statusFlags: number
  /** Woken with poll(2) bits when readiness may have changed. */
  readonly waiters: WaitQueue
  /** Who gets SIGIO, fcntl(2) F_SETOWN_EX: F_OWNER_* and an id, and which signal (0: SIGIO). */
  asyncOwner = { type: 1, pid: 0, signal: 0, uid: 0, euid: 0 }
  /** The open(2) that made it made the file, too: F_CREATED_QUERY. */
  created = false
  /** F_SET_RW_HINT of a file without an inode of its own. */
  lifetimeHint = 0
  /** Ends what O_ASYNC has begun. */
  stopSignals: (() => void) | undefined
  #references = 1
  /** What must happen at the last close besides closing: epoll registrations and flock(2) locks go. */
  #releaseHooks: Set<() => void> | undefined
  /** Where it was opened, once `announce` has been called. */
  #announced: Location | undefined
  /** It counts among the writers of its mount. */
  #writes = false

  /** `waiters` is given where several descriptions become ready together: all that refer to one pipe. */
  constructor(statusFlags: number, waiters: WaitQueue = new WaitQueue()) {
    this.statusFlags = statusFlags
    this.waiters = waiters
  }

  /** O_ACCMODE 3 is neither: such a descriptor is for ioctl(2) alone, open(2). */
  get readable(): boolean {
    const access = this.statusFlags & O_ACCMODE
    return access === O_RDONLY || access === O_RDWR
  }

  get writable(): boolean {
    const access = this.statusFlags & O_ACCMODE
    return access === O_WRONLY || access === O_RDWR
  }

  /** Attributes of the file behind it, or -errno. */
  abstract stat(): Stat | number

  /** What readlink of /proc/[pid]/fd/N shows: a path, or "pipe:[123]". */
  abstract describe(): string

  /** Lines that /proc/[pid]/fdinfo/N adds for a file of this kind. */
  details(): string {
    return ""
  }

  /** The place it was opened at: where fchdir and *at(2) start. Undefined for what has none (pipes, sockets). */
  location(): Location | undefined {
    return undefined
  }

  /** open(2) of /proc/[pid]/fd/N for a description without a location: a new description of the same file, or -errno. */
  reopen(_request: Omit<OpenRequest, "location">): OpenFileDescription | number {
    return -ENXIO
  }

  /** What `caller` reads, writes, polls and waits on: the file itself, unless that depends on who does (signalfd). */
  facing(_caller: object): OpenFileDescription {
    return this
  }

  /** Reads at the file offset and moves it: the count (0 at the end), -EAGAIN when it would block, or another -errno. */
  read(_into: Uint8Array): number {
    return -EINVAL
  }

  /** Writes at the file offset (or the end, O_APPEND) and moves it: the count (maybe short), -EAGAIN, or -errno. */
  write(_from: Uint8Array): number {
    return -EINVAL
  }

  /** Whether there is a read(2) of such files at all. */
  get canRead(): boolean {
    return this.read !== OpenFileDescription.prototype.read
  }

  get canWrite(): boolean {
    return this.write !== OpenFileDescription.prototype.write
  }

  /** How much a stream copies in at a time: what is left of a unit whose end is bad is not written. */
  get copyUnit(): number {
    return 4096
  }

  /** What writing `length` bytes fails with before they are looked at: 0 or -errno. */
  refuseWrite(_length: number): number {
    return this.canWrite ? 0 : -EINVAL
  }

  /** Whether what is written is not even looked at. */
  get isSink(): boolean {
    return false
  }

  /** Whether the bytes of a transfer are only moved, once: then others may change them meanwhile. */
  get movesBytes(): boolean {
    return false
  }

  /** Whether each piece of a writev(2) is a write of its own. */
  get writesPieces(): boolean {
    return false
  }

  /** pread(2). -ESPIPE for what has no offsets. */
  readAt(_into: Uint8Array, _offset: number): number {
    return -ESPIPE
  }

  /** pwrite(2). */
  writeAt(_from: Uint8Array, _offset: number): number {
    return -ESPIPE
  }

  /** Whether pread(2) and its like take it: not quite everything that lseek(2) does. */
  get hasOffsets(): boolean {
    return this.seek(0, SEEK_CUR) !== -ESPIPE
  }

  /** lseek(2): the new offset, or -errno. */
  seek(_offset: number, _whence: number): number {
    return -ESPIPE
  }

  /** The poll(2) bits that hold now. The default is what regular files do: always ready. */
  readiness(): number {
    return 0x1 | 0x4 | 0x40 | 0x100 // POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM
  }

  /** Whether epoll(7) takes it: it has readiness of its own. Files that are always ready are refused with EPERM. */
  get pollable(): boolean {
    return false
  }

  /** Whether O_ASYNC has an effect: FIFOs, pipes, sockets, terminals and inotify(7). */
  get signalsReadiness(): boolean {
    return false
  }

  /**
   * Bytes flow: a write that blocks goes on until everything is written, and takes whole pages or nothing of a buffer
   * whose end is bad. Pipes, terminals, stream sockets.
   */
  get isStream(): boolean {
    return false
  }

  /** A write is one message, sent whole or not at all. */
  get isMessage(): boolean {
    return false
  }

  /** How long a read and a write may block, nanoseconds: SO_RCVTIMEO and SO_SNDTIMEO of a socket. Undefined: for ever. */
  get readTimeout(): bigint | undefined {
    return undefined
  }

  get writeTimeout(): bigint | undefined {
    return undefined
  }

  /** Whether writing to it with nobody at the other end (EPIPE) also sends SIGPIPE. */
  get raisesSigpipe(): boolean {
    return true
  }

  /**
   * Only the first `copied` of the `count` bytes that `read` just returned reached the guest, whose buffer is bad beyond
   * them. Puts the rest back, where that can be done; the number of bytes that count as read. Called before anything
   * else happens to the file.
   */
  unread(count: number, copied: number): number {
    this.seek(copied - count, 1) // SEEK_CUR; -ESPIPE where there is no offset: what was read is lost
    return copied
  }

  /** ioctl(2) with a raw argument; guest memory is reached through `memory`. */
  ioctl(_request: number, _argument: number, _memory: UserMemory): number {
    return -ENOTTY
  }

  /** getdents64(2) from the current directory offset on. 0, or -errno. */
  readDirectory(_sink: DirectorySink): number {
    return -ENOTDIR
  }

  /** ftruncate(2). */
  truncate(_length: number): number {
    return -EINVAL
  }

  /** fsync(2) (`dataOnly`: fdatasync). */
  synchronize(_dataOnly: boolean): number {
    return -EINVAL
  }

  /** fallocate(2). */
  allocate(_mode: number, _offset: number, _length: number): number {
    return -ENODEV
  }

  /** What mmap(2) maps, or -ENODEV. */
  mappable(): Mappable | number {
    return -ENODEV
  }

  /** Who owns it for job control, if it is a terminal. */
  get tty(): TtyOwner | undefined {
    return undefined
  }

  /** The settings of a terminal, termios(3). */
  get termios(): KernelTermios | undefined {
    return undefined
  }

  /** F_GET_SEALS of a memfd, or -EINVAL. */
  seals(): number {
    return -EINVAL
  }

  /** F_ADD_SEALS: 0, or -EPERM, -EBUSY, -EINVAL. */
  addSeals(_seals: number): number {
    return -EINVAL
  }

  /**
   * How much of a write of `length` bytes, at `offset` or the file offset, stays below RLIMIT_FSIZE; -EFBIG if nothing
   * does (then SIGXFSZ is due).
   */
  withinSizeLimit(length: number, _offset: number | undefined, _limit: number): number {
    return length
  }

  /** The object on which flock(2) and fcntl(2) locks are held: the inode, or what stands for one. */
  lockTarget(): object {
    return this
  }

  /** fchmod(2), fchown(2) and futimens(3) of a file without a place: 0 or -errno. */
  setAttributes(_changes: AttributeChanges): number {
    return -EOPNOTSUPP
  }

  /** open(2) of what is at `place` has succeeded: whoever watches the file is told so, and of the last close. */
  announce(place: Location): this {
    const { dentry, mount } = place
    const inode = dentry.inode!
    this.#announced = place
    mount.use()
    this.#writes = this.writable && isRegular(inode.mode)
    if (this.#writes) {
      mount.writers++
      mount.filesystem.writers++
    }
    inode.descriptions++
    if ((this.statusFlags & O_PATH) === 0) happenedToFile(dentry, IN_OPEN)
    return this
  }

  /** IN_ACCESS or IN_MODIFY, for whoever watches. Nobody is told of what flows through a FIFO. */
  tell(event: number): void {
    if (this.#announced !== undefined && !this.isStream) happenedToFile(this.#announced.dentry, event)
  }

  /** One more descriptor (dup, fork, SCM_RIGHTS) refers to this. */
  retain(): this {
    this.#references++
    return this
  }

  /** As `retain`, unless the last descriptor is gone already: false. For who comes back to a file after a suspension. */
  tryRetain(): boolean {
    if (this.#references === 0) return false
    this.#references++
    return true
  }

  /** One descriptor fewer; the last one closes the file. */
  release(): void {
    this.#references--
    if (this.#references !== 0) return
    const place = this.#announced
    const dentry = place?.dentry
    if (dentry !== undefined && (this.statusFlags & O_PATH) === 0) {
      happenedToFile(dentry, this.writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE)
    }
    for (const hook of this.#releaseHooks ?? []) hook()
    this.#releaseHooks = undefined
    this.onLastClose()
    if (place === undefined) return
    place.dentry.inode!.descriptions--
    endIfUnused(place.dentry)
    if (this.#writes) {
      place.mount.writers--
      place.mount.filesystem.writers--
    }
    place.mount.unuse()
  }

  /** Runs `hook` at the last close, before `onLastClose`. Returns how to call that off. */
  atRelease(hook: () => void): () => void {
    this.#releaseHooks ??= new Set()
    this.#releaseHooks.add(hook)
    return () => this.#releaseHooks?.delete(hook)
  }

  /** A descriptor of `table`'s that referred to it is closed, be it the last or not. */
  onDescriptorClosed(_table: object): void {}

  /** Called once, when nothing refers to the description any more. */
  protected onLastClose(): void {}
}
