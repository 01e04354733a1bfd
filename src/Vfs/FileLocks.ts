/**
 * Advisory locks on files: record locks of fcntl(2), owned by a descriptor table (POSIX) or by an open file description
 * (OFD), and whole-file locks of flock(2), owned by a description. One per sandbox; keyed by `lockTarget()`, the inode.
 *
 * Atomic: every method. Nothing here blocks: a conflict is reported, and who wants to wait does so on `waiters` and
 * tries again.
 */
import { EAGAIN, EDEADLK, ENOLCK } from "../Abi/Errno.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"

/** A record lock. `end` is inclusive; `MAX_OFFSET` means to the end of the file, however long it grows. */
export interface RecordLock {
  readonly owner: object
  readonly exclusive: boolean
  readonly start: bigint
  readonly end: bigint
  /** What F_GETLK reports: the thread group, or -1 for an OFD lock. */
  readonly pid: number
}

/** A range of bytes. */
export interface LockRange {
  readonly start: bigint
  readonly end: bigint
}

/** Of one file: each operation looks at all. Differs from Linux, where only memory bounds them. */
const MOST_RECORDS = 8192

export const MAX_OFFSET = 0x7fff_ffff_ffff_ffffn

/** An open file description, as far as locks care. */
export interface Releasable {
  readonly atRelease: (hook: () => void) => void
}

interface Target {
  records: Array<RecordLock>
  /** flock(2) holders: whether exclusively. */
  readonly flocks: Map<object, boolean>
  readonly waiters: WaitQueue
}

const overlap = (a: LockRange, b: LockRange): boolean => a.start <= b.end && b.start <= a.end

export class FileLocks {
  readonly #targets = new WeakMap<object, Target>()
  /** Who has ever held a record lock: lets close(2) skip the rest. */
  readonly #owners = new WeakSet<object>()
  /** What each owner of POSIX locks waits for, for EDEADLK. An owner with several waiting threads waits for several. */
  readonly #waitsFor = new Map<object, Array<{ readonly target: object; readonly request: RecordLock }>>()

  /** Descriptions whose last close already ends their locks. */
  readonly #watched = new WeakSet<object>()

  #target(key: object): Target {
    let target = this.#targets.get(key)
    if (target === undefined) {
      target = { records: [], flocks: new Map(), waiters: new WaitQueue() }
      this.#targets.set(key, target)
    }
    return target
  }

  /** Woken (bit 1) when a lock on `key` is released or weakened. */
  waiters(key: object): WaitQueue {
    return this.#target(key).waiters
  }

  isOwner(owner: object): boolean {
    return this.#owners.has(owner)
  }

  /** The first lock that stands in the way of `request` (F_GETLK), or undefined. */
  conflict(key: object, request: RecordLock): RecordLock | undefined {
    return this.#targets
      .get(key)
      ?.records.find(
        (held) => held.owner !== request.owner && (held.exclusive || request.exclusive) && overlap(held, request)
      )
  }

  /** The first lock of `owner` in `range`, or undefined. */
  held(key: object, owner: object, range: LockRange): RecordLock | undefined {
    return this.#targets.get(key)?.records.find((held) => held.owner === owner && overlap(held, range))
  }

  /** F_SETLK of a read or write lock: 0, -EAGAIN if another owner's lock is in the way, or -ENOLCK. */
  acquire(key: object, request: RecordLock): number {
    if (this.conflict(key, request) !== undefined) return -EAGAIN
    if ((this.#targets.get(key)?.records.length ?? 0) >= MOST_RECORDS) return -ENOLCK
    this.#owners.add(request.owner)
    const weakened = this.#carve(key, request.owner, request)
    const target = this.#target(key)
    target.records = insert(target.records, request)
    if (weakened) target.waiters.notify(1)
    return 0
  }

  /** F_SETLK of F_UNLCK. */
  release(key: object, owner: object, range: LockRange): void {
    if (this.#carve(key, owner, range)) this.#target(key).waiters.notify(1)
  }

  /** Drops all record locks of `owner` on `key`: close(2). */
  releaseRecords(key: object, owner: object): void {
    this.release(key, owner, { start: 0n, end: MAX_OFFSET })
  }

  /** Cuts `range` out of what `owner` holds. True if that took anything away. */
  #carve(key: object, owner: object, range: LockRange): boolean {
    const target = this.#targets.get(key)
    if (target === undefined || this.held(key, owner, range) === undefined) return false
    let changed = false
    const rest: Array<RecordLock> = []
    for (const held of target.records) {
      if (held.owner !== owner || !overlap(held, range)) {
        rest.push(held)
        continue
      }
      changed = true
      if (held.start < range.start) rest.push({ ...held, end: range.start - 1n })
      if (held.end > range.end) rest.push({ ...held, start: range.end + 1n })
    }
    target.records = rest
    return changed
  }

  /**
   * Notes that `request` (a POSIX lock) is going to wait. -EDEADLK if the one it waits for waits for its owner in turn;
   * else 0, and the caller says `endWait` afterwards.
   */
  beginWait(key: object, request: RecordLock): number {
    if (this.#reaches(key, request, request.owner, new Set())) return -EDEADLK
    const waits = this.#waitsFor.get(request.owner) ?? []
    waits.push({ target: key, request })
    this.#waitsFor.set(request.owner, waits)
    return 0
  }

  endWait(request: RecordLock): void {
    const waits = (this.#waitsFor.get(request.owner) ?? []).filter((wait) => wait.request !== request)
    if (waits.length === 0) this.#waitsFor.delete(request.owner)
    else this.#waitsFor.set(request.owner, waits)
  }

  /** Whether whoever blocks `request` waits, directly or not, for `owner`. */
  #reaches(key: object, request: RecordLock, owner: object, seen: Set<object>): boolean {
    const blocker = this.conflict(key, request)?.owner
    if (blocker === undefined) return false
    if (blocker === owner) return true
    if (seen.has(blocker)) return false
    seen.add(blocker)
    const waits = this.#waitsFor.get(blocker) ?? []
    return waits.some(
      (wait) =>
        this.#blockedBy(wait.target, wait.request, owner) || this.#reaches(wait.target, wait.request, owner, seen)
    )
  }

  #blockedBy(key: object, request: RecordLock, owner: object): boolean {
    const records = this.#targets.get(key)?.records ?? []
    return records.some(
      (held) => held.owner === owner && (held.exclusive || request.exclusive) && overlap(held, request)
    )
  }

  /**
   * flock(2): 0, or -EAGAIN. Changing between shared and exclusive is not atomic, as the manual warns: the old lock is
   * gone even if the new one is refused.
   */
  flock(key: object, holder: object, exclusive: boolean): number {
    const target = this.#target(key)
    const held = target.flocks.get(holder)
    if (held === exclusive) return 0
    if (held !== undefined) {
      target.flocks.delete(holder)
      target.waiters.notify(1)
    }
    for (const otherExclusive of target.flocks.values()) if (exclusive || otherExclusive) return -EAGAIN
    target.flocks.set(holder, exclusive)
    return 0
  }

  /** LOCK_UN, or the last close of `holder`. */
  releaseFlock(key: object, holder: object): void {
    const target = this.#targets.get(key)
    if (target?.flocks.delete(holder) === true) target.waiters.notify(1)
  }

  /** Makes the last close of `file`, whose target is `key`, end the locks that it owns itself (flock, OFD). */
  endAtRelease(key: object, file: Releasable): void {
    if (this.#watched.has(file)) return
    this.#watched.add(file)
    file.atRelease(() => {
      this.releaseFlock(key, file)
      this.releaseRecords(key, file)
    })
  }

  /** Every record lock on `key`, by start: /proc/locks. */
  records(key: object): ReadonlyArray<RecordLock> {
    return this.#targets.get(key)?.records ?? []
  }
}

/** Adds `lock`, joined with its owner's adjacent locks of the same kind, keeping the list sorted by start. */
const insert = (records: ReadonlyArray<RecordLock>, lock: RecordLock): Array<RecordLock> => {
  let { start, end } = lock
  const before = start - 1n
  const after = end === MAX_OFFSET ? -1n : end + 1n
  const rest = records.filter((other) => {
    const joins =
      other.owner === lock.owner &&
      other.exclusive === lock.exclusive &&
      (other.end === before || other.start === after)
    if (!joins) return true
    if (other.start < start) start = other.start
    if (other.end > end) end = other.end
    return false
  })
  const index = rest.findIndex((other) => other.start > start)
  rest.splice(index < 0 ? rest.length : index, 0, { ...lock, start, end })
  return rest
}
