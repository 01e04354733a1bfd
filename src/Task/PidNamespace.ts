/**
 * PID namespaces, pid_namespaces(7).
 *
 * Everywhere in the kernel ids are the sandbox's own, those of the first namespace. One below it keeps what its processes
 * are called there; ids are translated where a guest gives or gets one.
 */
import { EAGAIN, EEXIST, ENOMEM } from "../Abi/Errno.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** PID_MAX_LIMIT of a default kernel. */
export const PID_MAX = 4_194_304

/** An id that nobody has. */
const NOBODY = -1

/** So many ids of processes that are gone are remembered, as sockets and System V IPC still tell them. */
const MOST_REMEMBERED = 4096

/** Guarded by: TaskSet mutex, all of it. */
export class PidNamespace implements Namespace {
  readonly kind = "pid"
  readonly ino: number
  readonly owner: UserNamespace
  readonly parent: PidNamespace | undefined
  /** How many are above it. */
  readonly level: number
  /** The first process: orphans are its, and the namespace ends with it. None in the first namespace, or once it is gone. */
  init: ThreadGroup | undefined
  /** Its init has ended: nobody comes any more. */
  closed = false
  /** Woken (bit 1) when a process here, or below, is gone. */
  readonly departures = new WaitQueue()
  /** Ids here to the sandbox's, of those in use; and the other way, of the last ones that were too. */
  readonly #outside = new Map<number, number>()
  readonly #inside = new Map<number, number>()
  #gone: Array<number> = []
  #last = 0

  constructor({ ino, owner }: NamespaceIdentity, parent: PidNamespace | undefined) {
    this.ino = ino
    this.owner = owner
    this.parent = parent
    this.level = parent === undefined ? 0 : parent.level + 1
  }

  /** The sandbox's id for `id` here; one that nobody has, if there is none. */
  toOutside(id: number): number {
    return this.parent === undefined ? id : (this.#outside.get(id) ?? NOBODY)
  }

  /** What the sandbox's `id` is called here; 0 if it can't be seen from here. */
  toInside(id: number): number {
    return this.parent === undefined ? id : (this.#inside.get(id) ?? 0)
  }

  /** Whether this is `other` or above it. */
  contains(other: PidNamespace): boolean {
    let at: PidNamespace | undefined = other
    while (at !== undefined && at.level > this.level) at = at.parent
    return at === this
  }

  /**
   * Gives the sandbox's `id` one of its own here, `wanted` if that is said: 0, -EAGAIN if all are taken, -EEXIST if that
   * one is, -ENOMEM if the namespace is closed.
   */
  add(id: number, wanted?: number): number {
    if (this.closed) return -ENOMEM
    if (wanted !== undefined) {
      if (this.#outside.has(wanted)) return -EEXIST
      this.#enter(id, wanted)
      return 0
    }
    if (this.#outside.size >= PID_MAX - 1) return -EAGAIN
    do this.#last = this.#last + 1 >= PID_MAX ? 1 : this.#last + 1
    while (this.#outside.has(this.#last))
    this.#enter(id, this.#last)
    return 0
  }

  #enter(id: number, own: number): void {
    this.#outside.set(own, id)
    this.#inside.set(id, own)
  }

  /** The sandbox's `id` is in use no more. It is remembered for a while; returns the one that is forgotten for it. */
  release(id: number): number | undefined {
    const own = this.#inside.get(id)
    if (own === undefined || this.#outside.get(own) !== id) return undefined
    this.#outside.delete(own)
    this.#gone.push(id)
    if (this.#gone.length <= MOST_REMEMBERED) return undefined
    const forgotten = this.#gone[0]!
    this.forget(forgotten)
    return forgotten
  }

  /** Whether the sandbox's `id` has, or had lately, a number here. */
  remembers(id: number): boolean {
    return this.#inside.has(id)
  }

  /** The sandbox's `id`, which is not in use here, will be somebody else. */
  forget(id: number): void {
    this.#inside.delete(id)
    this.#gone = this.#gone.filter((each) => each !== id)
  }

  /** Its init is gone, and with it everybody: forgets all ids, and returns the sandbox's. */
  end(): ReadonlyArray<number> {
    const ids = [...this.#inside.keys()]
    this.init = undefined
    this.#outside.clear()
    this.#inside.clear()
    this.#gone = []
    return ids
  }
}
