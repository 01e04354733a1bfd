/**
 * F_NOTIFY of fcntl(2), "File and directory change notification": a signal when something happens in a directory.
 */
import * as F from "../Abi/Fcntl.ts"
import {
  IN_ACCESS,
  IN_ATTRIB,
  IN_CREATE,
  IN_DELETE,
  IN_MODIFY,
  IN_MOVED_FROM,
  IN_MOVED_TO
} from "../Abi/InotifyFlags.ts"
import { POLL_MSG } from "../Abi/Signal.ts"
import type { DirectoryFile } from "../Vfs/DirectoryFile.ts"
import type { Watcher } from "../Vfs/Notifications.ts"
import { sendIoSignal } from "./SignalDrivenIo.ts"
import type { System } from "./System.ts"

/** The events that each DN_* stands for. */
const EVENTS: ReadonlyArray<readonly [bit: number, events: number]> = [
  [F.DN_ACCESS, IN_ACCESS],
  [F.DN_MODIFY, IN_MODIFY],
  [F.DN_CREATE, IN_CREATE | IN_MOVED_TO],
  [F.DN_DELETE, IN_DELETE | IN_MOVED_FROM],
  [F.DN_RENAME, IN_MOVED_FROM],
  [F.DN_ATTRIB, IN_ATTRIB]
]

/** One descriptor table's interest in a directory, by way of one open file. */
export class DirectoryNotification implements Watcher {
  readonly excludesUnlinked = false
  readonly #system: System
  readonly #file: DirectoryFile
  readonly #table: object
  /** DN_* bits, which add up. Atomic: `watch`. */
  #wanted = 0
  /** si_fd. */
  #fd = 0

  constructor(system: System, file: DirectoryFile, table: object) {
    this.#system = system
    this.#file = file
    this.#table = table
  }

  get mask(): number {
    return EVENTS.reduce((mask, [bit, events]) => ((this.#wanted & bit) !== 0 ? mask | events : mask), 0)
  }

  /** Begins, or wants more: `wanted` are DN_* bits. */
  watch(wanted: number, fd: number): void {
    this.#wanted |= wanted
    this.#fd = fd
    const { inode } = this.#file
    inode.watchers ??= new Set()
    inode.watchers.add(this)
    this.#file.notifications.set(this.#table, this)
  }

  notify(): void {
    sendIoSignal(this.#system, this.#file, this.#fd, POLL_MSG)
    if ((this.#wanted & F.DN_MULTISHOT) === 0) this.end()
  }

  end(): void {
    const { inode } = this.#file
    inode.watchers?.delete(this)
    if (inode.watchers?.size === 0) inode.watchers = undefined
    this.#file.notifications.delete(this.#table)
  }
}
