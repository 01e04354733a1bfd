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

/** Counts dentries held strongly by their parents, and trims when there are too many. One per Vfs. */
export class DentryCache {
  readonly #capacity: number
  #held: Array<Dentry> = []

  constructor(capacity = 65_536) {
    this.#capacity = capacity
  }

  /** `dentry` has just been attached to its parent. Old ones are then held weakly. */
  attached(dentry: Dentry): void {
    this.#held.push(dentry)
    if (this.#held.length < this.#capacity) return
    const old = this.#held.slice(0, this.#capacity >>> 1)
    this.#held = this.#held.slice(this.#capacity >>> 1)
    for (const each of old) each.weaken()
  }

  /** Forgets all of a filesystem that is gone: they would keep what is in its files. */
  forget(filesystem: Filesystem): void {
    this.#held = this.#held.filter(({ inode, parent }) => (inode ?? parent.inode)?.filesystem !== filesystem)
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
