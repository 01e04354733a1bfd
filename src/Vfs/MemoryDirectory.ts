/**
 * A directory that lives in the sentry. Over a lower directory it shows that one's entries too, except those it has an
 * entry (or a whiteout) for.
 *
 * Order of a listing: the lower entries in the host's order, then its own in order of creation. Offsets of own entries
 * only grow, so that they hold while others come and go.
 */
import { EEXIST, ENOENT, ENOSPC, ENOTEMPTY } from "../Abi/Errno.ts"
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, direntType, isDirectory } from "../Abi/FileMode.ts"
import { KernelBug } from "../Sync/Invariant.ts"
import { DirectoryFile } from "./DirectoryFile.ts"
import type { Caller, DirectoryListing, Inode, ListedEntry, NewNode, OpenRequest } from "./Inode.ts"
import { MemoryFile } from "./MemoryFile.ts"
import {
  type LowerInode,
  type MemoryFs,
  MemoryNode,
  MemorySpecial,
  MemorySymlink,
  type OwnAttributes
} from "./MemoryNode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"

/** Own entries of a directory over a lower one start here; lower entries are counted from 2. */
const OWN_OFFSETS = 0x1_0000_0000

/** What one entry takes of the budget: about what its dentry and inode take of the heap. */
const ENTRY_BYTES = 1024

interface Entry {
  readonly node: MemoryNode
  readonly offset: number
}

/** A name of the lower directory that is gone. */
const WHITEOUT = "Whiteout"

export class MemoryDirectory extends MemoryNode {
  readonly #entries = new Map<string, Entry | typeof WHITEOUT>()
  #nextOffset: number
  #count = 0

  constructor(filesystem: MemoryFs, origin: OwnAttributes | LowerInode, device: number) {
    super(filesystem, origin, device)
    this.#nextOffset = this.lower === undefined ? 2 : OWN_OFFSETS
  }

  override get volatile(): boolean {
    return this.lower !== undefined && this.filesystem.lowerIsVolatile
  }

  protected override extent(): { readonly size: number; readonly blocks: number } | undefined {
    return this.lower === undefined ? this.filesystem.directorySize(this.#count) : undefined
  }

  override lookup(name: string, known: Inode | undefined): Inode | number {
    const entry = this.#entries.get(name)
    if (entry === WHITEOUT) return -ENOENT
    if (entry !== undefined) return entry.node
    return this.lower === undefined ? -ENOENT : this.filesystem.lowerChild(this.lower, name, known)
  }

  override open(request: OpenRequest): OpenFileDescription {
    return new DirectoryFile(this, request)
  }

  override list(_caller: Caller): DirectoryListing | number {
    const below = this.lower?.entries() ?? []
    if (typeof below === "number") return below
    const entries = this.#entries
    return {
      *from(offset: number): Generator<ListedEntry> {
        for (let index = offset - 2; index < below.length; index++) {
          const { name, ino, type } = below[index]!
          if (!entries.has(name)) yield { name, ino, type, nextOffset: index + 3 }
        }
        for (const [name, entry] of entries) {
          if (entry === WHITEOUT || entry.offset < offset) continue
          yield { name, ino: entry.node.ino, type: direntType(entry.node.mode), nextOffset: entry.offset + 1 }
        }
      }
    }
  }

  /** Whether it has no entries but "." and "..". */
  get isEmpty(): boolean {
    if (this.#count > 0) return false
    if (this.lower === undefined) return true
    const below = this.lower.entries()
    return typeof below === "number" ? false : below.every(({ name }) => this.#entries.has(name))
  }

  override create(name: string, node: NewNode): Inode | number {
    if (this.#removed) return -ENOENT
    if (!this.filesystem.hasRoom(ENTRY_BYTES)) return -ENOSPC
    const made = makeNode(this.filesystem, node, this.device)
    this.#put(name, made)
    if (isDirectory(node.mode)) this.own.nlink++
    this.touch()
    return made
  }

  override symlink(name: string, target: string, node: NewNode): Inode | number {
    if (this.#removed) return -ENOENT
    if (!this.filesystem.hasRoom(ENTRY_BYTES + target.length)) return -ENOSPC
    const made = new MemorySymlink(this.filesystem, attributesOf(this.filesystem, node), this.device, target)
    this.#put(name, made)
    this.touch()
    return made
  }

  override createUnnamed(node: NewNode): Inode | number {
    if (!this.filesystem.hasRoom(ENTRY_BYTES)) return -ENOSPC
    const made = makeNode(this.filesystem, node, this.device)
    made.own.nlink = 0
    return made
  }

  override link(name: string, target: Inode): number {
    if (!(target instanceof MemoryNode)) return -EEXIST // the VFS has compared filesystems
    if (this.#removed) return -ENOENT
    if (!this.filesystem.heap.has(ENTRY_BYTES)) return -ENOSPC
    this.#put(name, target)
    target.linked()
    this.touch()
    return 0
  }

  override unlink(name: string, child: Inode): number {
    this.#remove(name)
    this.touch()
    asNode(child).unlinked()
    return 0
  }

  override rmdir(name: string, child: Inode): number {
    const directory = asNode(child)
    if (directory instanceof MemoryDirectory && !directory.isEmpty) return -ENOTEMPTY
    this.#remove(name)
    this.#lostDirectory()
    this.touch()
    directory.unlinked()
    return 0
  }

  override rename(
    name: string,
    child: Inode,
    newParent: Inode,
    newName: string,
    replaced: Inode | undefined,
    exchange: boolean
  ): number {
    const node = asNode(child)
    const parent = asNode(newParent)
    const victim = replaced === undefined ? undefined : asNode(replaced)
    if (!(parent instanceof MemoryDirectory)) return -ENOENT
    if (exchange && victim !== undefined) {
      this.#put(name, victim)
      parent.#put(newName, node)
      this.#moved(parent, node)
      parent.#moved(this, victim)
      victim.own.ctime = this.filesystem.clock()
    } else {
      if (victim instanceof MemoryDirectory && !victim.isEmpty) return -ENOTEMPTY
      this.#remove(name)
      if (victim !== undefined) {
        parent.#remove(newName)
        if (victim instanceof MemoryDirectory) parent.#lostDirectory()
        victim.unlinked()
      }
      parent.#put(newName, node)
      this.#moved(parent, node)
    }
    this.touch()
    if (parent !== this) parent.touch()
    node.own.ctime = this.filesystem.clock()
    return 0
  }

  /** `node` went from here to `parent`: a directory takes its ".." along. */
  #moved(parent: MemoryDirectory, node: MemoryNode): void {
    if (parent === this || !isDirectory(node.mode)) return
    this.#lostDirectory()
    if (parent.own.nlink >= 2) parent.own.nlink++
  }

  /** One subdirectory fewer. Filesystems that do not count subdirectories always show one link. */
  #lostDirectory(): void {
    if (this.own.nlink > 2) this.own.nlink--
  }

  get #removed(): boolean {
    return this.isOwn && this.own.nlink === 0
  }

  #put(name: string, node: MemoryNode): void {
    const old = this.#entries.get(name)
    if (old === undefined || old === WHITEOUT) {
      this.#count++
      this.filesystem.heap.add(ENTRY_BYTES)
    }
    this.#entries.delete(name) // a map keeps the place of a key that it has
    this.#entries.set(name, { node, offset: this.#nextOffset++ })
    node.becomeOwn()
    this.becomeOwn()
  }

  #remove(name: string): void {
    const old = this.#entries.get(name)
    if (old !== undefined && old !== WHITEOUT) {
      this.#count--
      this.filesystem.heap.add(-ENTRY_BYTES)
    }
    this.#entries.delete(name)
    if (this.lower === undefined) return
    const below = this.lower.lookup(name, undefined)
    if (typeof below !== "number") this.#entries.set(name, WHITEOUT)
    this.becomeOwn()
  }
}

const asNode = (inode: Inode): MemoryNode => {
  if (inode instanceof MemoryNode) return inode
  throw new KernelBug("an inode of another filesystem in a memory directory")
}

const attributesOf = (filesystem: MemoryFs, node: NewNode): OwnAttributes => {
  const now = filesystem.clock()
  const { mode, uid, gid, rdev } = node
  const nlink = isDirectory(mode) ? 2 : 1
  return { mode, uid, gid, rdev, nlink, atime: now, mtime: now, ctime: now, btime: now }
}

/** A node of the kind `node.mode` says, with attributes of its own. */
export const makeNode = (filesystem: MemoryFs, node: NewNode, device: number): MemoryNode => {
  const made = makeBare(filesystem, node, device)
  if (node.lists?.access !== undefined) made.setAccessList("access", node.lists.access)
  if (node.lists?.inherited !== undefined) made.setAccessList("inherited", node.lists.inherited)
  return made
}

const makeBare = (filesystem: MemoryFs, node: NewNode, device: number): MemoryNode => {
  const attributes = attributesOf(filesystem, node)
  switch (node.mode & S_IFMT) {
    case S_IFREG:
      return new MemoryFile(filesystem, attributes, device)
    case S_IFDIR:
      return new MemoryDirectory(filesystem, attributes, device)
    default:
      return new MemorySpecial(filesystem, attributes, device)
  }
}

/** A node that shows `lower`. */
export const nodeOver = (filesystem: MemoryFs, lower: LowerInode, device: number): MemoryNode => {
  switch (lower.mode & S_IFMT) {
    case S_IFREG:
      return new MemoryFile(filesystem, lower, device)
    case S_IFDIR:
      return new MemoryDirectory(filesystem, lower, device)
    case S_IFLNK:
      return new MemorySymlink(filesystem, lower, device)
    default:
      return new MemorySpecial(filesystem, lower, device)
  }
}
