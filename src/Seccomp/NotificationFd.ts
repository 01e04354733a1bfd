/**
 * The listener's end of a filter made with SECCOMP_FILTER_FLAG_NEW_LISTENER. Its requests, all of ioctl(2), are in
 * Syscalls/SeccompListener.ts.
 */
import { ESPIPE } from "../Abi/Errno.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { UserNotifications } from "./UserNotifications.ts"
import type { SeccompFilter } from "./SeccompFilter.ts"

export class NotificationFd extends AnonymousFile {
  readonly notifications: UserNotifications
  readonly #filter: SeccompFilter

  constructor(filter: SeccompFilter, notifications: UserNotifications, stat: Stat) {
    super("seccomp notify", stat, 0, notifications.waiters)
    this.notifications = notifications
    this.#filter = filter
  }

  /** No task has the filter any more. */
  get isOrphan(): boolean {
    return this.#filter.isOrphan
  }

  override describe(): string {
    return "anon_inode:seccomp notify"
  }

  override seek(_offset: number, _whence: number): number {
    return -ESPIPE
  }

  override readiness(): number {
    return this.notifications.readiness(this.isOrphan)
  }

  protected override onLastClose(): void {
    this.notifications.close()
  }
}
