/**
 * A name in a directory: the tree of names that path walks have seen, so that "..", getcwd(2) and /proc/[pid]/fd know
 * where a file is, and so that a name is looked up once.
 *
 * There is at most one dentry for a name at any time. A directory holds its children strongly until the cache is
 * trimmed, then weakly: a dentry that someone holds (a working directory, an open file) stays the same object.
 */
import { ENOENT } from "../Abi/Errno.ts"
import type { Filesystem } from "./Filesystem.ts"
import type { Inode } from "./Inode.ts"
import type { Mount } from "./Mount.ts"

/** Fewer dentries than this are not worth a look at which of them are of something gone. */
const FEWEST_LOOKED_AT = 1024

/** Keeps count of dentries held strongly by their parents, and trims when there are too many. One per Vfs. */
export class DentryCache {
  readonly #capacity: number
  /** In the order in which they came. Atomic: attached, dropped, forget. */
  readonly #held = new Set<Dentry>()
  /** With so many held, those of something gone are dropped: twice as many as were left the last time. */
  #next = FEWEST_LOOKED_AT

  constructor(capacity = 65_536) {
    this.#capacity = capacity
  }

  /** How many there are. */
  get size(): number {
    return this.#held.size
  }

  /** `dentry` has just been attached to its parent. Old ones are then held weakly. */
  attached(dentry: Dentry): void {
    this.#held.add(dentry)
    if (this.#held.size < this.#next) return
    for (const each of this.#held) if (each.inode?.gone === true) each.drop()
    if (this.#held.size >= this.#capacity) {
      let surplus = this.#held.size - (this.#capacity >>> 1)
      for (const old of this.#held) {
        if (surplus-- === 0) break
        this.#held.delete(old)
        old.weaken()
      }
    }
    this.#next = Math.min(this.#capacity, Math.max(FEWEST_LOOKED_AT, 2 * this.#held.size))
  }

  /** The name of `dentry` is gone: the cache is not what keeps it. */
  dropped(dentry: Dentry): void {
    this.#held.delete(dentry)
  }

  /** Forgets all of a filesystem that is gone: they would keep what is in its files. */
  forget(filesystem: Filesystem): void {
    for (const dentry of this.#held) {
      const { inode, parent } = dentry
      if ((inode ?? parent.inode)?.filesystem === filesystem) this.#held.delete(dentry)
    }
  }
}

export class Dentry {
  /** Atomic: `move`. The root of a filesystem is its own parent. */
  parent: Dentry
  name: string
  /** Undefined: there is no such file (a negative dentry). Atomic: Vfs. */
  inode: Inode | undefined
  /** Removed, or found gone: its path ends in " (deleted)". */
  unlinked = false
  /** What is mounted on it, by the mount through which it is covered; undefined: nothing. Atomic: Mount. */
  mounts: Map<Mount, Mount> | undefined
  readonly #cache: DentryCache
  #children: Map<string, Dentry | WeakRef<Dentry>> | undefined

  constructor(cache: DentryCache, parent: Dentry | undefined, name: string, inode: Inode | undefined) {
    this.#cache = cache
    this.parent = parent ?? this
    this.name = name
    this.inode = inode
  }

  get isRoot(): boolean {
    return this.parent === this
  }

  /** The dentry for `name` in this directory, negative if there is no such file; or -errno. */
  child(name: string): Dentry | number {
    const directory = this.inode!
    const cached = this.#cached(name)
    if (this.unlinked) return cached ?? -ENOENT
    if (cached !== undefined && !directory.volatile) return cached
    const found = directory.lookup(name, cached?.inode)
    if (typeof found === "number") {
      if (found !== -ENOENT) return found
      if (cached?.inode === undefined) return cached ?? this.attach(name, undefined)
      cached.drop()
      return this.attach(name, undefined)
    }
    if (cached !== undefined) {
      if (cached.inode === found) return cached
      if (cached.inode === undefined) {
        cached.inode = found
        return cached
      }
      cached.drop()
    }
    return this.attach(name, found)
  }

  /** Makes the child dentry; the caller knows that there is none. */
  attach(name: string, inode: Inode | undefined): Dentry {
    const child = new Dentry(this.#cache, this, name, inode)
    this.#children ??= new Map()
    this.#children.set(name, child)
    this.#cache.attached(child)
    return child
  }

  /** The name is gone: the dentry becomes an unlinked one of its own. */
  drop(): void {
    this.parent.#forget(this)
    this.unlinked = true
    this.#release()
  }

  /** Nothing finds it any more, nor what was looked for below it. */
  #release(): void {
    this.#cache.dropped(this)
    for (const held of this.#children?.values() ?? []) if (held instanceof Dentry) held.#release()
  }

  /** rename(2): this dentry, with what is below it, gets a new place. A dentry in that place must have been dropped. */
  move(parent: Dentry, name: string): void {
    this.parent.#forget(this)
    this.parent = parent
    this.name = name
    parent.#children ??= new Map()
    parent.#children.set(name, this)
  }

  /** RENAME_EXCHANGE. */
  exchange(other: Dentry): void {
    const { parent, name } = this
    this.move(other.parent, other.name)
    other.parent = parent
    other.name = name
    parent.#children!.set(name, other)
  }

  /** Whether `other` is this dentry or above it. */
  isBelow(other: Dentry): boolean {
    for (let at: Dentry = this; ; at = at.parent) {
      if (at === other) return true
      if (at.isRoot) return false
    }
  }

  /** The parent holds it weakly from now on. Atomic: DentryCache. */
  weaken(): void {
    const siblings = this.parent.#children
    if (siblings?.get(this.name) !== this) return
    if (this.inode === undefined) siblings.delete(this.name)
    else siblings.set(this.name, new WeakRef(this))
    for (const [name, held] of siblings) {
      // cheap upkeep: dead references collect at the front
      if (!(held instanceof WeakRef) || held.deref() !== undefined) break
      siblings.delete(name)
    }
  }

  #cached(name: string): Dentry | undefined {
    const held = this.#children?.get(name)
    return held instanceof WeakRef ? held.deref() : held
  }

  #forget(child: Dentry): void {
    if (this.#cached(child.name) === child) this.#children!.delete(child.name)
  }
}
