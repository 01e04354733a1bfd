/**
 * System V shared memory, shmop(2): segments of bytes that live in a nameless file of the sentry's, and stay when nobody
 * uses them.
 */
import { EINVAL, ENOSPC } from "../Abi/Errno.ts"
import { type Shmid64Ds, SHM_DEST, SHMALL, SHMMAX, SHMMNI } from "../Abi/Ipc.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import type { MappedFile, MappedStat } from "../Memory/Vma.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { IpcBudget } from "./IpcBudget.ts"
import { IpcIds, IpcObject } from "./IpcIds.ts"

const pagesOf = (bytes: number): number => Math.ceil(bytes / PAGE_SIZE)

/** Linux's first unnamed device, on which it has these files. */
const DEVICE = 1
const S_IFREG = 0o100000

export class Segment extends IpcObject {
  /** Bytes, as asked for. */
  readonly size: number
  readonly file: OpenFileDescription
  readonly creatorPid: number
  readonly #memory: SharedMemory
  lastPid = 0
  attachTime = 0
  detachTime = 0
  /** Mappings of it, of all processes together. */
  attached = 0

  constructor(options: {
    readonly key: number
    readonly mode: number
    readonly creator: Credentials
    readonly pid: number
    readonly size: number
    readonly file: OpenFileDescription
    readonly memory: SharedMemory
  }) {
    super(options.key, options.mode, options.creator, options.memory.now())
    this.size = options.size
    this.file = options.file
    this.creatorPid = options.pid
    this.#memory = options.memory
  }

  /** Bytes that are in memory. */
  get resident(): number {
    const stat = this.file.stat()
    return typeof stat === "number" ? 0 : stat.blocks * 512
  }

  status(viewer: UserNamespace): Shmid64Ds {
    return {
      shm_perm: this.permissions(viewer),
      shm_segsz: this.size,
      shm_atime: this.attachTime,
      shm_dtime: this.detachTime,
      shm_ctime: this.ctime,
      shm_cpid: this.creatorPid,
      shm_lpid: this.lastPid,
      shm_nattch: this.attached,
      unused4: 0n,
      unused5: 0n
    }
  }

  /** One mapping more, or less; the last one's end is that of a segment that was removed. */
  count(change: 1 | -1): void {
    this.attached += change
    if (this.attached === 0 && (this.mode & SHM_DEST) !== 0) this.#memory.destroy(this)
  }

  noteAttach(): void {
    this.attachTime = this.#memory.now()
    this.#noteActor()
  }

  noteDetach(): void {
    this.detachTime = this.#memory.now()
    this.#noteActor()
  }

  #noteActor(): void {
    const { pid } = this.#memory.actor
    if (pid !== undefined) this.lastPid = pid
  }
}

/**
 * A segment as one shmat(2) mapped it. Every area that shows it holds one reference, which is what shm_nattch counts.
 * The references that mmap takes for itself while it works leave no trace in the times.
 */
export class Attachment implements MappedFile {
  readonly readable = true
  readonly writable: boolean
  readonly segment: Segment
  /** shmat(2) is at work. */
  isMapping = true

  constructor(segment: Segment, writable: boolean) {
    this.segment = segment
    this.writable = writable
  }

  mappable(): { readonly fd: number; readonly offset: number } | number {
    return this.segment.file.mappable()
  }

  stat(): MappedStat {
    return { dev: DEVICE, ino: this.segment.id, mode: S_IFREG | this.segment.mode, nlink: 0, size: this.segment.size }
  }

  describe(): string {
    return `/SYSV${(this.segment.key >>> 0).toString(16).padStart(8, "0")} (deleted)`
  }

  lockTarget(): object {
    return this.segment.file.lockTarget()
  }

  retain(): this {
    this.segment.count(1)
    if (!this.isMapping) this.segment.noteAttach()
    return this
  }

  release(): void {
    if (!this.isMapping) this.segment.noteDetach()
    this.segment.count(-1)
  }
}

/** On whose behalf mappings change just now; all IPC namespaces of a sandbox share one. */
export class Actor {
  pid: number | undefined

  /** Runs `change`, which makes or ends mappings and does not suspend, for process `pid`: what shm_lpid tells. */
  actingFor<A>(pid: number, change: () => A): A {
    this.pid = pid
    try {
      return change()
    } finally {
      this.pid = undefined
    }
  }
}

export class SharedMemory {
  readonly segments: IpcIds<Segment>
  /** Seconds since 1970. */
  readonly now: () => number
  /** Pages of all segments. */
  pages = 0
  readonly actor: Actor

  readonly #account: IpcBudget["segments"]

  /** `account`: the segments of all namespaces. */
  constructor(userNamespace: UserNamespace, now: () => number, actor: Actor, account: IpcBudget["segments"]) {
    this.#account = account
    this.segments = new IpcIds<Segment>(SHMMNI, userNamespace)
    this.now = now
    this.actor = actor
  }

  /** shmget(2): the id, or -errno. `makeFile` gives the file for a new segment. */
  open(request: {
    readonly key: number
    readonly size: number
    readonly flags: number
    readonly credentials: Credentials
    readonly pid: number
    readonly makeFile: () => OpenFileDescription | number
  }): number {
    const { credentials, flags, key, makeFile, pid, size } = request
    return this.segments.open(
      key,
      flags,
      credentials,
      () => {
        if (size < 1 || BigInt(size) > SHMMAX) return -EINVAL
        if (BigInt(this.pages + pagesOf(size)) > SHMALL || this.segments.isFull) return -ENOSPC
        if (!this.#account.take(1)) return -ENOSPC
        const file = makeFile()
        if (typeof file === "number") {
          this.#account.giveBack(1)
          return file
        }
        const error = file.truncate(size)
        if (error < 0) {
          file.release()
          this.#account.giveBack(1)
          return error === -EINVAL ? -EINVAL : -ENOSPC
        }
        this.pages += pagesOf(size)
        return new Segment({ key, mode: flags, creator: credentials, pid, size, file, memory: this })
      },
      (found) => (found.size < size ? -EINVAL : 0)
    )
  }

  /** IPC_RMID: it goes now, or with its last mapping; no key leads to it any more. */
  markRemoved(segment: Segment): void {
    if (segment.attached === 0) {
      this.destroy(segment)
      return
    }
    segment.mode |= SHM_DEST
    segment.key = 0
  }

  destroy(segment: Segment): void {
    if (segment.removed) return
    this.segments.remove(segment)
    this.pages -= pagesOf(segment.size)
    segment.file.release()
    this.#account.giveBack(1)
  }
}
