/**
 * epoll(7) instances.
 *
 * A registration is keyed by file and descriptor number, as in Linux, and vanishes at the last close of its *file*, not
 * of the descriptor. A file that wakes puts its registration on the ready list; `collect` looks at what is really ready.
 *
 * Atomic: every method.
 */
import { SEEK_CUR } from "../Abi/At.ts"
import { kernelDevice } from "../Abi/Device.ts"
import { EBADF, EEXIST, EINVAL, ELOOP, ENOENT, EPERM } from "../Abi/Errno.ts"
import { EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP } from "../Abi/EpollFlags.ts"
import { POLLERR, POLLHUP, POLLIN, POLLOUT, READABLE } from "../Abi/Poll.ts"
import { AnonymousFile } from "./AnonymousFile.ts"
import type { Waiter } from "../Sync/WaitQueue.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

const PRIVATE = (EPOLLET | EPOLLEXCLUSIVE | EPOLLONESHOT | EPOLLWAKEUP) >>> 0
/** What may accompany EPOLLEXCLUSIVE. */
const EXCLUSIVE_OK = (POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE) >>> 0
/** Longest chain of instances that watch each other, EP_MAX_NESTS: edges of it. */
const MAX_NESTS = 4

/** What the application asked for, and what it gets back with each event. */
export interface EpollRequest {
  /** poll(2) bits and EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE. */
  readonly events: number
  readonly data: bigint
}

/** One file of interest. */
class Registration implements Waiter {
  readonly fd: number
  readonly file: OpenFileDescription
  /** The file as the one who added it sees it. */
  readonly #seen: OpenFileDescription
  readonly #instance: EpollDescription
  readonly #cancelHook: () => void
  flags: number
  data: bigint
  #active = true

  constructor(
    instance: EpollDescription,
    fd: number,
    file: OpenFileDescription,
    request: EpollRequest,
    seen: OpenFileDescription
  ) {
    this.#instance = instance
    this.fd = fd
    this.file = file
    this.flags = request.events | POLLERR | POLLHUP
    this.data = request.data
    this.#seen = seen
    seen.waiters.add(this)
    this.#cancelHook = file.atRelease(() => instance.forget(this))
  }

  /** The poll(2) bits that count; none once EPOLLONESHOT has fired. */
  get events(): number {
    return this.flags & ~PRIVATE
  }

  /** The bits that hold now. */
  get found(): number {
    return this.#seen.readiness() & this.events
  }

  wake(events: number): void {
    if (this.#active && (events & this.events) !== 0) this.#instance.markReady(this)
  }

  end(): void {
    this.#active = false
    this.#seen.waiters.remove(this)
    this.#cancelHook()
  }
}

/** One event for the application. */
export interface EpollEvent {
  readonly events: number
  readonly data: bigint
}

export class EpollDescription extends AnonymousFile {
  readonly #registrations = new Map<OpenFileDescription, Map<number, Registration>>()
  /** What may be ready, in order of arrival. */
  readonly #ready = new Set<Registration>()
  /** Instances that watch this one. */
  readonly #watchers = new Map<EpollDescription, number>()

  constructor(stat: Stat) {
    super("eventpoll", stat, 0)
  }

  override details(): string {
    let text = ""
    for (const [file, ofFile] of this.#registrations) {
      const stat = file.stat()
      const [ino, dev] = typeof stat === "number" ? [0, 0] : [stat.ino, kernelDevice(stat.dev)]
      for (const { data, fd, flags } of ofFile.values()) {
        const [events, value] = [(flags >>> 0).toString(16).padStart(8), data.toString(16).padStart(16)]
        text +=
          `tfd: ${String(fd).padStart(8)} events: ${events} data: ${value}  ` +
          `pos:${Math.max(0, file.seek(0, SEEK_CUR))} ino:${ino.toString(16)} sdev:${dev.toString(16)}\n`
      }
    }
    return text
  }

  /** A request that it doesn't know is not the wrong kind of file to it. */
  override ioctl(): number {
    return -EINVAL
  }

  override readiness(): number {
    for (const registration of this.#ready) {
      if (registration.found !== 0) return READABLE
      this.#ready.delete(registration)
    }
    return 0
  }

  /** The files of interest by the descriptor number `fd`, in the order in which they came. */
  filesAt(fd: number): ReadonlyArray<OpenFileDescription> {
    return [...this.#registrations].filter(([, ofFile]) => ofFile.has(fd)).map(([file]) => file)
  }

  /** EPOLL_CTL_ADD; `seen` is the file as the caller sees it. */
  add(fd: number, file: OpenFileDescription, request: EpollRequest, seen = file): number {
    const refused = this.#checkFile(file)
    if (refused < 0) return refused
    if ((request.events & EPOLLEXCLUSIVE) !== 0) {
      if ((request.events & ~EXCLUSIVE_OK) !== 0 || file instanceof EpollDescription) return -EINVAL
    }
    const ofFile = this.#registrations.get(file)
    if (ofFile?.has(fd) === true) return -EEXIST
    if (file instanceof EpollDescription) {
      if (file.#reaches(this) || this.#depthAbove() + 1 + file.#depthBelow() > MAX_NESTS) return -ELOOP
      file.#watchers.set(this, (file.#watchers.get(this) ?? 0) + 1)
    }
    const registration = new Registration(this, fd, file, request, seen)
    if (ofFile === undefined) this.#registrations.set(file, new Map([[fd, registration]]))
    else ofFile.set(fd, registration)
    if (registration.found !== 0) this.markReady(registration)
    return 0
  }

  /** EPOLL_CTL_MOD. */
  modify(fd: number, file: OpenFileDescription, request: EpollRequest): number {
    const refused = this.#checkFile(file)
    if (refused < 0) return refused
    const registration = this.#registrations.get(file)?.get(fd)
    if ((request.events & EPOLLEXCLUSIVE) !== 0) return -EINVAL
    if (registration === undefined) return -ENOENT
    if ((registration.flags & EPOLLEXCLUSIVE) !== 0) return -EINVAL
    registration.flags = request.events | POLLERR | POLLHUP
    registration.data = request.data
    if (registration.found !== 0) this.markReady(registration)
    return 0
  }

  /** EPOLL_CTL_DEL. */
  remove(fd: number, file: OpenFileDescription): number {
    const refused = this.#checkFile(file)
    if (refused < 0) return refused
    const registration = this.#registrations.get(file)?.get(fd)
    if (registration === undefined) return -ENOENT
    this.forget(registration)
    return 0
  }

  #checkFile(file: OpenFileDescription): number {
    if (!file.pollable) return -EPERM
    return file === this ? -EINVAL : 0
  }

  /** Drops a registration. For `Registration`, when its file is closed for good. */
  forget(registration: Registration): void {
    registration.end()
    this.#ready.delete(registration)
    const { file, fd } = registration
    const ofFile = this.#registrations.get(file)
    ofFile?.delete(fd)
    if (ofFile?.size === 0) this.#registrations.delete(file)
    if (file instanceof EpollDescription) {
      const count = file.#watchers.get(this) ?? 0
      if (count <= 1) file.#watchers.delete(this)
      else file.#watchers.set(this, count - 1)
    }
  }

  /** For `Registration`, when its file woke. */
  markReady(registration: Registration): void {
    this.#ready.add(registration)
    this.waiters.notify(READABLE)
  }

  /**
   * Up to `max` events. A level-triggered registration goes to the end of the ready list again, so that more ready files
   * than `max` all get their turn.
   */
  collect(max: number): Array<EpollEvent> {
    const events: Array<EpollEvent> = []
    for (const registration of [...this.#ready]) {
      if (events.length === max) break
      this.#ready.delete(registration)
      const { found, data } = registration
      if (found === 0) continue
      events.push({ events: found, data })
      if ((registration.flags & EPOLLONESHOT) !== 0) registration.flags &= PRIVATE
      else if ((registration.flags & EPOLLET) === 0) this.#ready.add(registration)
    }
    return events
  }

  /** The registrations, for /proc/[pid]/fdinfo. */
  *registered(): Generator<{ readonly fd: number; readonly events: number; readonly data: bigint }> {
    for (const ofFile of this.#registrations.values()) {
      for (const { fd, flags, data } of ofFile.values()) yield { fd, events: flags >>> 0, data }
    }
  }

  #reaches(other: EpollDescription): boolean {
    if (this === other) return true
    for (const file of this.#registrations.keys()) {
      if (file instanceof EpollDescription && file.#reaches(other)) return true
    }
    return false
  }

  #depthBelow(): number {
    let depth = 0
    for (const file of this.#registrations.keys()) {
      if (file instanceof EpollDescription) depth = Math.max(depth, 1 + file.#depthBelow())
    }
    return depth
  }

  #depthAbove(): number {
    let depth = 0
    for (const watcher of this.#watchers.keys()) depth = Math.max(depth, 1 + watcher.#depthAbove())
    return depth
  }

  protected override onLastClose(): void {
    for (const ofFile of this.#registrations.values()) for (const registration of ofFile.values()) registration.end()
    for (const file of this.#registrations.keys()) {
      if (file instanceof EpollDescription) file.#watchers.delete(this)
    }
    this.#registrations.clear()
    this.#ready.clear()
  }
}

/** `epoll` as an instance, or -EBADF or -EINVAL as epoll_ctl(2) has it. */
export const asEpoll = (epoll: OpenFileDescription | undefined): EpollDescription | number => {
  if (epoll === undefined) return -EBADF
  return epoll instanceof EpollDescription ? epoll : -EINVAL
}
