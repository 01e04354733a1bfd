/**
 * Copy on write in memory over a filesystem that stays untouched: what a guest changes is kept in the sentry and is
 * gone with the sandbox.
 *
 * Differs from Linux's overlayfs: inode numbers and hard links survive a change, directories can be renamed, and a
 * descriptor that was open before a change sees it, as on any ordinary filesystem.
 */
import { ENOENT } from "../Abi/Errno.ts"
import { isRegular } from "../Abi/FileMode.ts"
import { type FileClock, Filesystem, type FilesystemStatus } from "./Filesystem.ts"
import type { Inode } from "./Inode.ts"
import { MemoryBudget } from "./MemoryContent.ts"
import { MemoryDirectory, nodeOver } from "./MemoryDirectory.ts"
import { type LowerInode, MemoryFs, MemoryNode } from "./MemoryNode.ts"
import { defaultLimit } from "./TmpFs.ts"

/** New files get inode numbers from here on, above those of ordinary host filesystems. */
const FIRST_INO = 0x100_0000_0000

export interface OverlayFsOptions {
  readonly lower: Filesystem & { readonly root: LowerInode }
  readonly clock: FileClock
  /** Bytes that changes may occupy; half of the host's memory by default. */
  readonly limit?: number
  /** What all filesystems of the sandbox may take of the sentry's memory. */
  readonly heap?: MemoryBudget
}

export class OverlayFs extends MemoryFs {
  override readonly name = "overlay"
  override readonly device: number
  override readonly root: MemoryDirectory
  readonly #lower: Filesystem & { readonly root: LowerInode }
  /** Nodes that differ from their lower inodes, by these inodes' identity. */
  readonly #changed = new Map<string, MemoryNode>()
  /** Unchanged files of several names: all names must lead to one node. */
  readonly #linked = new Map<string, WeakRef<MemoryNode>>()

  constructor(options: OverlayFsOptions) {
    super(options.clock, options.limit ?? defaultLimit(), FIRST_INO, options.heap ?? new MemoryBudget(defaultLimit()))
    this.#lower = options.lower
    this.device = options.lower.device
    this.root = new MemoryDirectory(this, options.lower.root, options.lower.device)
  }

  override status(): FilesystemStatus | number {
    return this.#lower.status()
  }

  override directorySize(): { readonly size: number; readonly blocks: number } {
    return { size: 4096, blocks: 8 }
  }

  override get ranges(): "all" {
    return "all"
  }

  override get lowerIsVolatile(): boolean {
    return this.#lower.root.volatile
  }

  override changed(node: MemoryNode): void {
    if (node.lower !== undefined) this.#changed.set(node.lower.identity, node)
  }

  override unnamed(node: MemoryNode): void {
    if (node.lower !== undefined) this.#changed.delete(node.lower.identity)
  }

  override lowerChild(lower: LowerInode, name: string, known: Inode | undefined): Inode | number {
    const node = known instanceof MemoryNode ? known : undefined
    const found = lower.lookup(name, node?.lower)
    if (typeof found === "number") return found
    if (node !== undefined && node.lower === found) return node
    const { identity } = found
    const changed = this.#changed.get(identity)
    if (changed !== undefined) return changed.own.nlink === 0 ? -ENOENT : changed
    const shared = this.#linked.get(identity)?.deref()
    if (shared !== undefined && shared.mode === found.mode) return shared
    const made = nodeOver(this, found, this.#deviceOf(found))
    if (isRegular(found.mode) && hasSeveralNames(found)) this.#share(identity, made)
    return made
  }

  #deviceOf(lower: LowerInode): number {
    const stat = lower.stat()
    return typeof stat === "number" ? this.device : stat.dev
  }

  #share(identity: string, node: MemoryNode): void {
    if (this.#linked.size > 4096) {
      for (const [key, reference] of this.#linked) if (reference.deref() === undefined) this.#linked.delete(key)
    }
    this.#linked.set(identity, new WeakRef(node))
  }

  override dispose(): void {
    super.dispose()
    this.#lower.dispose()
  }
}

const hasSeveralNames = (inode: Inode): boolean => {
  const stat = inode.stat()
  return typeof stat !== "number" && stat.nlink > 1
}
