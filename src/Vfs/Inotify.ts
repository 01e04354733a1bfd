/**
 * inotify(7): an instance, its watches, and the queue of events.
 */
import { kernelDevice } from "../Abi/Device.ts"
import { EAGAIN, EEXIST, EINVAL, EMFILE, ENOSPC } from "../Abi/Errno.ts"
import {
  IN_ALL_EVENTS,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
  INOTIFY_EVENT_SIZE
} from "../Abi/InotifyFlags.ts"
import { O_RDONLY } from "../Abi/OpenFlags.ts"
import { POLLIN, POLLRDNORM, READABLE } from "../Abi/Poll.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import type { Inode } from "./Inode.ts"
import type { Location } from "./Mount.ts"
import type { Watcher } from "./Notifications.ts"
import { OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

/** /proc/sys/fs/inotify, inotify(7). */
export const MAX_QUEUED_EVENTS = 16_384
export const MAX_USER_INSTANCES = 128
export const MAX_USER_WATCHES = 65_536

const FIONREAD = 0x541b

/** What one user has. */
interface Usage {
  instances: number
  watches: number
}

/** Instances and watches by user, for the limits. One per sandbox. */
export class InotifyUsers {
  readonly #usage = new Map<number, Usage>()

  of(uid: number): Usage {
    let usage = this.#usage.get(uid)
    if (usage === undefined) {
      usage = { instances: 0, watches: 0 }
      this.#usage.set(uid, usage)
    }
    return usage
  }
}

interface Event {
  readonly wd: number
  readonly mask: number
  readonly cookie: number
  /** Empty: none. */
  readonly name: string
}

const OVERFLOW: Event = { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: "" }

/** Bytes of the name with at least one NUL behind it, in whole events. */
const nameSize = ({ name }: Event): number =>
  name === "" ? 0 : Math.ceil((name.length + 1) / INOTIFY_EVENT_SIZE) * INOTIFY_EVENT_SIZE

const sizeOf = (event: Event): number => INOTIFY_EVENT_SIZE + nameSize(event)

const encode = (event: Event, into: Uint8Array): void => {
  const { wd, mask, cookie, name } = event
  const view = new DataView(into.buffer, into.byteOffset, into.length)
  const length = nameSize(event)
  view.setInt32(0, wd, true)
  view.setUint32(4, mask, true)
  view.setUint32(8, cookie, true)
  view.setUint32(12, length, true)
  into.fill(0, INOTIFY_EVENT_SIZE, INOTIFY_EVENT_SIZE + length)
  for (let index = 0; index < name.length; index++) into[INOTIFY_EVENT_SIZE + index] = name.charCodeAt(index)
}

/** One watch: an inode and what is wanted of it. Its place keeps the dentry, and so the inode's identity. */
class Watch implements Watcher {
  readonly wd: number
  readonly place: Location
  /** IN_* as given, with the flags that stay. Atomic: `Inotify.watch`. */
  bits: number
  readonly #instance: Inotify

  constructor(instance: Inotify, wd: number, place: Location, bits: number) {
    this.#instance = instance
    this.wd = wd
    this.place = place
    this.bits = bits
  }

  get inode(): Inode {
    return this.place.dentry.inode!
  }

  get mask(): number {
    return this.bits & IN_ALL_EVENTS
  }

  get excludesUnlinked(): boolean {
    return (this.bits & IN_EXCL_UNLINK) !== 0
  }

  notify(mask: number, name: string, cookie: number): void {
    this.#instance.queue({ wd: this.wd, mask, cookie, name })
    if ((this.bits & IN_ONESHOT) !== 0) this.end()
  }

  end(): void {
    this.#instance.forget(this.wd)
  }
}

export class Inotify extends OpenFileDescription {
  readonly #stat: Stat
  readonly #usage: Usage
  /** By descriptor and by inode. Atomic: watch, forget, onLastClose. */
  readonly #watches = new Map<number, { readonly watch: Watch; readonly inode: Inode }>()
  readonly #byInode = new Map<Inode, Watch>()
  #lastWatch = 0
  /** Atomic: queue, read. */
  #queue: Array<Event> = []
  /** Those the last read took, until the next: a bad buffer loses one only. */
  #taken: Array<Event> = []

  private constructor(stat: Stat, usage: Usage, statusFlags: number) {
    super(O_RDONLY | statusFlags)
    this.#stat = stat
    this.#usage = usage
    usage.instances++
  }

  /** A new instance, or -EMFILE when the user has too many. */
  static make(stat: Stat, users: InotifyUsers, uid: number, statusFlags: number): Inotify | number {
    const usage = users.of(uid)
    return usage.instances >= MAX_USER_INSTANCES ? -EMFILE : new Inotify(stat, usage, statusFlags)
  }

  /** inotify_add_watch(2) of a place that has been found: the descriptor, -EEXIST or -ENOSPC. */
  watch(place: Location, mask: number): number {
    const inode = place.dentry.inode!
    const bits = mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)
    const known = this.#byInode.get(inode)
    if (known !== undefined) {
      if ((mask & IN_MASK_CREATE) !== 0) return -EEXIST
      known.bits = (mask & IN_MASK_ADD) !== 0 ? known.bits | bits : bits
      return known.wd
    }
    if (this.#usage.watches >= MAX_USER_WATCHES) return -ENOSPC
    this.#usage.watches++
    const watch = new Watch(this, ++this.#lastWatch, place, bits)
    this.#watches.set(watch.wd, { watch, inode })
    this.#byInode.set(inode, watch)
    inode.watchers ??= new Set()
    inode.watchers.add(watch)
    return watch.wd
  }

  /** inotify_rm_watch(2), or the end of what was watched: -EINVAL if there is no such watch. */
  forget(wd: number): number {
    const error = this.#drop(wd)
    if (error === 0) this.queue({ wd, mask: IN_IGNORED, cookie: 0, name: "" })
    return error
  }

  #drop(wd: number): number {
    const known = this.#watches.get(wd)
    if (known === undefined) return -EINVAL
    const { watch, inode } = known
    this.#watches.delete(wd)
    this.#byInode.delete(inode)
    inode.watchers?.delete(watch)
    if (inode.watchers?.size === 0) inode.watchers = undefined
    this.#usage.watches--
    return 0
  }

  /** The last watch first. No filesystem here gives file handles out, so there is none to show. */
  override details(): string {
    let text = ""
    for (const [wd, { watch, inode }] of this.#watches) {
      const stat = inode.stat()
      const device = typeof stat === "number" ? 0 : kernelDevice(stat.dev)
      const hex = (value: number): string => value.toString(16)
      text =
        `inotify wd:${hex(wd)} ino:${hex(inode.ino)} sdev:${hex(device)} mask:${hex(watch.bits >>> 0)} ignored_mask:0 \n` +
        text
    }
    return text
  }

  /** An event that equals the last one in the queue adds nothing. */
  queue(event: Event): void {
    const last = this.#queue.at(-1)
    if (this.#queue.length >= MAX_QUEUED_EVENTS) {
      if (last === OVERFLOW) return
      event = OVERFLOW
    } else if (last !== undefined && last.mask === event.mask && last.wd === event.wd && last.name === event.name) {
      if (event.mask !== IN_IGNORED) return
    }
    this.#queue.push(event)
    this.waiters.notify(READABLE)
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override get pollable(): boolean {
    return true
  }

  override stat(): Stat {
    return this.#stat
  }

  override describe(): string {
    return "anon_inode:inotify"
  }

  /** Accepted and without effect, as in Linux. */
  override get hasOffsets(): boolean {
    return false
  }

  override seek(_offset: number, _whence: number): number {
    return 0
  }

  override readiness(): number {
    return this.#queue.length > 0 ? POLLIN | POLLRDNORM : 0
  }

  /** As many whole events as fit; -EINVAL if not even one does. */
  override read(into: Uint8Array): number {
    if (this.#queue.length === 0) return -EAGAIN
    let done = 0
    let count = 0
    for (const event of this.#queue) {
      const size = sizeOf(event)
      if (done + size > into.length) break
      encode(event, into.subarray(done, done + size))
      done += size
      count++
    }
    this.#taken = this.#queue.splice(0, count)
    return count === 0 ? -EINVAL : done
  }

  override unread(_count: number, copied: number): number {
    let end = 0
    let whole = 0
    while (whole < this.#taken.length && (end += sizeOf(this.#taken[whole]!)) <= copied) whole++
    this.#queue = [...this.#taken.slice(whole + 1), ...this.#queue]
    return 0 // the call is EFAULT whatever came before
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (request !== FIONREAD) return super.ioctl(request, argument, memory)
    const bytes = this.#queue.reduce((sum, event) => sum + sizeOf(event), 0)
    return memory.copyOut(argument, new Uint8Array(Int32Array.of(bytes).buffer))
  }

  protected override onLastClose(): void {
    for (const wd of [...this.#watches.keys()]) this.#drop(wd)
    this.#usage.instances--
    this.#queue = []
  }
}
