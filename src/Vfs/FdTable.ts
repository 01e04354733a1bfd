/**
 * File descriptors: numbers, unique within a table, that refer to open file descriptions. Tasks made with CLONE_FILES
 * share one table; fork copies it.
 *
 * Atomic: every method. Owner of close-on-exec: the descriptor, not the description.
 */
import { EBADF, EMFILE } from "../Abi/Errno.ts"
import { FileLocks } from "./FileLocks.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"

/** Descriptors that a table has room for at first (NR_OPEN_DEFAULT). */
const INITIAL_CAPACITY = 64

/** How large Linux makes a table that must hold descriptor `fd`: a power of two. */
const capacityFor = (fd: number): number => {
  let capacity = INITIAL_CAPACITY
  while (capacity <= fd) capacity *= 2
  return capacity
}

interface Entry {
  readonly file: OpenFileDescription
  closeOnExec: boolean
}

export class FdTable {
  /** The file locks of the sandbox. This table is the owner of its tasks' POSIX locks: closing any descriptor of a file ends them. */
  readonly locks: FileLocks
  readonly #entries: Array<Entry | undefined> = []
  /** No descriptor below this one is free. */
  #lowestFree = 0
  #users = 1
  #capacity = INITIAL_CAPACITY

  constructor(locks: FileLocks = new FileLocks()) {
    this.locks = locks
  }

  /** The description behind `fd`, or undefined (EBADF). Not retained: use it before the next suspension, or retain it. */
  get(fd: number): OpenFileDescription | undefined {
    return this.#entries[fd]?.file
  }

  /**
   * Installs `file` (its reference moves to the table) at the lowest free number from `minimum` on. The number, or
   * -EMFILE when that reaches `limit` (RLIMIT_NOFILE), in which case the reference stays with the caller.
   */
  install(file: OpenFileDescription, closeOnExec: boolean, limit: number, minimum = 0): number {
    let fd = Math.max(minimum, this.#lowestFree)
    while (this.#entries[fd] !== undefined) fd++
    if (fd >= limit) return -EMFILE
    this.#put(fd, { file, closeOnExec })
    if (minimum <= this.#lowestFree) this.#lowestFree = fd + 1
    return fd
  }

  /**
   * How many descriptors Linux's table of the same history has room for: it grows with use, and only a copy is smaller.
   * select(2) looks no further, and /proc/[pid]/status shows it.
   */
  get capacity(): number {
    return this.#capacity
  }

  #put(fd: number, entry: Entry): void {
    this.#entries[fd] = entry
    if (fd >= this.#capacity) this.#capacity = capacityFor(fd)
  }

  /** Whether `install` would find a number below `limit`. */
  hasRoom(limit: number): boolean {
    let fd = this.#lowestFree
    while (this.#entries[fd] !== undefined) fd++
    return fd < limit
  }

  /** Installs `file` (its reference moves to the table) at exactly `fd`, closing what was there (dup2). */
  replace(fd: number, file: OpenFileDescription, closeOnExec: boolean): void {
    const old = this.#entries[fd]
    this.#put(fd, { file, closeOnExec })
    if (old !== undefined) this.#letGo(old.file)
  }

  /** Takes `fd` out of the table: its description, whose reference is now the caller's; undefined if not open. */
  remove(fd: number): OpenFileDescription | undefined {
    const entry = this.#entries[fd]
    if (entry === undefined) return undefined
    this.#entries[fd] = undefined
    if (fd < this.#lowestFree) this.#lowestFree = fd
    return entry.file
  }

  /** close(2): 0 or -EBADF. */
  close(fd: number): number {
    const file = this.remove(fd)
    if (file === undefined) return -EBADF
    this.#letGo(file)
    return 0
  }

  #letGo(file: OpenFileDescription): void {
    if (this.locks.isOwner(this)) {
      this.locks.releaseRecords(file.lockTarget(), this)
    }
    file.onDescriptorClosed(this)
    file.release()
  }

  /** FD_CLOEXEC of `fd`; undefined if not open. */
  closeOnExec(fd: number): boolean | undefined {
    return this.#entries[fd]?.closeOnExec
  }

  setCloseOnExec(fd: number, value: boolean): void {
    const entry = this.#entries[fd]
    if (entry !== undefined) entry.closeOnExec = value
  }

  /** The open descriptors, ascending. */
  *descriptors(): Generator<number> {
    for (let fd = 0; fd < this.#entries.length; fd++) if (this.#entries[fd] !== undefined) yield fd
  }

  /** One more task shares the table (CLONE_FILES). */
  share(): this {
    this.#users++
    return this
  }

  get shared(): boolean {
    return this.#users > 1
  }

  /** A table of one's own with the same descriptors (fork, unshare). */
  copy(): FdTable {
    const table = new FdTable(this.locks)
    for (const fd of this.descriptors()) {
      const { file, closeOnExec } = this.#entries[fd]!
      table.#put(fd, { file: file.retain(), closeOnExec })
    }
    table.#lowestFree = this.#lowestFree
    return table
  }

  /** A task leaves; the last one closes every descriptor. */
  leave(): void {
    this.#users--
    if (this.#users > 0) return
    for (const fd of this.descriptors()) this.close(fd)
  }

  /** execve(2): closes what is marked close-on-exec. */
  closeForExec(): void {
    for (const fd of this.descriptors()) if (this.#entries[fd]!.closeOnExec) this.close(fd)
  }
}
