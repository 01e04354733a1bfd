/**
 * tmpfs(5): files in memory, gone with the sandbox.
 */
import { totalmem } from "node:os"
import { ENOENT } from "../Abi/Errno.ts"
import { S_IFDIR } from "../Abi/FileMode.ts"
import type { FileClock, FilesystemStatus } from "./Filesystem.ts"
import type { Inode } from "./Inode.ts"
import { MemoryBudget } from "./MemoryContent.ts"
import { MemoryDirectory, makeNode } from "./MemoryDirectory.ts"
import { MemoryFs, type LowerInode, type MemoryNode } from "./MemoryNode.ts"

const TMPFS_MAGIC = 0x01021994

export interface TmpFsOptions {
  readonly device: number
  readonly clock: FileClock
  /** Bytes it may hold; like Linux's, half of the host's memory by default. */
  readonly limit?: number
  /** Permissions and owner of the root directory; 01777 and root by default. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

/** Half of the host's memory: what a tmpfs may hold unless told otherwise. */
export const defaultLimit = (): number => Math.floor(totalmem() / 2)

export class TmpFs extends MemoryFs {
  override readonly name = "tmpfs"
  override readonly device: number
  override readonly root: MemoryDirectory

  constructor(options: TmpFsOptions) {
    super(options.clock, new MemoryBudget(options.limit ?? defaultLimit()), 1)
    this.device = options.device
    const { uid = 0, gid = 0, mode = 0o1777 } = options
    const root = makeNode(this, { mode: S_IFDIR | mode, uid, gid, rdev: 0 }, options.device)
    this.root = root as MemoryDirectory // S_IFDIR makes a directory
  }

  override status(): FilesystemStatus {
    return this.memoryStatus(TMPFS_MAGIC)
  }

  override directorySize(entries: number): { readonly size: number; readonly blocks: number } {
    return { size: 40 + 20 * entries, blocks: 0 } // BOGO_DIRENT_SIZE
  }

  override get lowerIsVolatile(): boolean {
    return false
  }

  override changed(_node: MemoryNode): void {}

  override unnamed(_node: MemoryNode): void {}

  override lowerChild(_lower: LowerInode, _name: string, _known: Inode | undefined): number {
    return -ENOENT
  }
}
