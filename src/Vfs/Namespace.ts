/**
 * What namespaces of every kind have in common, namespaces(7). The classes are where their objects live: user and mount
 * namespaces here, Ipc/IpcNamespace.ts, Task/PidNamespace.ts, and the others in Task.
 */
import type { UserNamespace } from "./UserNamespace.ts"

/** As the links in /proc/[pid]/ns call them. */
export type NamespaceKind = "cgroup" | "ipc" | "mnt" | "net" | "pid" | "time" | "user" | "uts"

export interface Namespace {
  readonly kind: NamespaceKind
  /** The inode number of its file, by which users tell namespaces apart. */
  readonly ino: number
  /** The user namespace whose capabilities count for it, for a user namespace its parent; undefined for the first one. */
  readonly owner: UserNamespace | undefined
}

/** What a namespace is made with. */
export interface NamespaceIdentity {
  readonly ino: number
  readonly owner: UserNamespace
}

/** The inode numbers that Linux gives the first namespace of each kind. */
export const FIRST_NAMESPACE_INO: Readonly<Record<NamespaceKind, number>> = {
  cgroup: 0xeffffffb,
  ipc: 0xefffffff,
  mnt: 0xeffffff8,
  net: 0xeffffff9,
  pid: 0xeffffffc,
  time: 0xeffffffa,
  user: 0xeffffffd,
  uts: 0xeffffffe
}

/** Inode numbers of the namespaces that come later. */
export class NamespaceNumbers {
  #last = 0xefff_ffff

  next(): number {
    return ++this.#last
  }
}
