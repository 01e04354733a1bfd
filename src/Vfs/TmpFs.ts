/**
 * tmpfs(5): files in memory, gone with the filesystem. ramfs is the same without limits and options.
 */
import { totalmem } from "node:os"
import { EINVAL, ENOENT } from "../Abi/Errno.ts"
import { S_IFDIR } from "../Abi/FileMode.ts"
import type { FileClock, FilesystemStatus } from "./Filesystem.ts"
import { errorOf, type FilesystemType, parseNumber, parseSize, readOptions } from "./FilesystemType.ts"
import type { Inode } from "./Inode.ts"
import { MemoryBudget } from "./MemoryContent.ts"
import { MemoryDirectory, makeNode } from "./MemoryDirectory.ts"
import { MemoryFs, type LowerInode, type MemoryNode } from "./MemoryNode.ts"
import type { Vfs } from "./Vfs.ts"

const TMPFS_MAGIC = 0x0102_1994
const RAMFS_MAGIC = 0x8584_58f6
const PAGE_SIZE = 4096

/** What mount(8) can say of a tmpfs. */
export interface TmpFsLimits {
  /** Bytes it may hold, whole pages; 0: no limit. Like Linux's, half of the host's memory by default. */
  readonly limit?: number
  /** 0: no limit. */
  readonly inodes?: number
  /** Permissions and owner of the root directory; 01777 and root by default. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface TmpFsOptions extends TmpFsLimits {
  readonly name?: "tmpfs" | "ramfs"
  readonly device: number
  readonly clock: FileClock
  /** What all filesystems of the sandbox may take of the sentry's memory. */
  readonly heap?: MemoryBudget
}

/** Half of the host's memory: what a tmpfs may hold unless told otherwise. */
export const defaultLimit = (): number => Math.floor(totalmem() / 2)

export class TmpFs extends MemoryFs {
  override readonly name: "tmpfs" | "ramfs"
  override readonly device: number
  override readonly root: MemoryDirectory
  /** As given, for mountinfo. Atomic: `reconfigure`. */
  #limits: TmpFsLimits

  constructor(options: TmpFsOptions) {
    super(options.clock, options.limit || defaultLimit(), 1, options.heap ?? new MemoryBudget(defaultLimit()))
    const { clock: _, device, heap: __, name = "tmpfs", ...limits } = options
    this.name = name
    this.device = device
    this.#limits = limits
    if (limits.inodes !== undefined && limits.inodes > 0) this.maxInodes = limits.inodes
    const { uid = 0, gid = 0, mode = 0o1777 } = limits
    const root = makeNode(this, { mode: S_IFDIR | mode, uid, gid, rdev: 0 }, options.device)
    this.root = root as MemoryDirectory // S_IFDIR makes a directory
  }

  override status(): FilesystemStatus {
    const status = this.memoryStatus(this.name === "tmpfs" ? TMPFS_MAGIC : RAMFS_MAGIC)
    const { inodes, limit } = this.#limits
    const noBlocks = limit === 0 || this.name === "ramfs" ? { blocks: 0, blocksFree: 0, blocksAvailable: 0 } : {}
    const noFiles = inodes === 0 || this.name === "ramfs" ? { files: 0, filesFree: 0 } : {}
    return { ...status, ...noBlocks, ...noFiles }
  }

  override get options(): string {
    const { gid = 0, inodes, limit, mode = this.name === "ramfs" ? 0o755 : 0o1777, uid = 0 } = this.#limits
    if (this.name === "ramfs") return mode === 0o755 ? "" : `,mode=${mode.toString(8)}`
    return [
      limit === undefined ? "" : `,size=${limit / 1024}k`,
      inodes === undefined ? "" : `,nr_inodes=${inodes}`,
      mode === 0o1777 ? "" : `,mode=${mode.toString(8).padStart(3, "0")}`,
      uid === 0 ? "" : `,uid=${uid}`,
      gid === 0 ? "" : `,gid=${gid}`
    ].join("")
  }

  /** Limits can change, but neither below what is there nor from none to some. */
  override reconfigure(flags: number, options: string): number {
    const wanted = this.name === "ramfs" ? {} : readLimits(options)
    if (typeof wanted === "number") return wanted
    const { inodes, limit } = wanted
    if (limit !== undefined && limit > 0 && (this.#limits.limit === 0 || limit < this.budget.used)) return -EINVAL
    if (inodes !== undefined && inodes > 0 && (this.#limits.inodes === 0 || inodes < this.inodes)) return -EINVAL
    if (limit !== undefined) this.budget.limit = limit || defaultLimit()
    if (inodes !== undefined && inodes > 0) this.maxInodes = inodes
    const { gid, mode, uid } = this.#limits
    const kept = { ...(mode === undefined ? {} : { mode }), ...(uid === undefined ? {} : { uid }) }
    const after = { ...this.#limits, ...wanted }
    this.#limits = {
      ...(after.limit === undefined ? {} : { limit: after.limit }),
      ...(after.inodes === undefined ? {} : { inodes: after.inodes }),
      ...kept,
      ...(gid === undefined ? {} : { gid })
    }
    return super.reconfigure(flags, "")
  }

  override directorySize(entries: number): { readonly size: number; readonly blocks: number } {
    return this.name === "ramfs" ? { size: 0, blocks: 0 } : { size: 40 + 20 * entries, blocks: 0 } // BOGO_DIRENT_SIZE
  }

  override get ranges(): "holes" {
    return "holes"
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

/** What the options of mount(2) say; -EINVAL. */
const readLimits = (options: string): TmpFsLimits | number => {
  const limits: { -readonly [K in keyof TmpFsLimits]: TmpFsLimits[K] } = {}
  const setNumber = (key: "uid" | "gid" | "inodes") => (value: string) => {
    const number = key === "inodes" ? parseSize(value) : parseNumber(value)
    if (number === undefined || (key !== "inodes" && number >= 0xffff_ffff)) return false
    limits[key] = number
    return true
  }
  const setPages = (bytes: number | undefined): boolean => {
    if (bytes === undefined) return false
    limits.limit = Math.ceil(bytes / PAGE_SIZE) * PAGE_SIZE
    return true
  }
  const error = readOptions(options, {
    size: (value) => {
      if (!value.endsWith("%")) return setPages(parseSize(value))
      const percent = parseNumber(value.slice(0, -1))
      return setPages(percent === undefined ? undefined : Math.floor((totalmem() * percent) / 100))
    },
    nr_blocks: (value) => {
      const blocks = parseSize(value)
      return setPages(blocks === undefined ? undefined : blocks * PAGE_SIZE)
    },
    nr_inodes: setNumber("inodes"),
    mode: (value) => {
      if (!/^[0-7]+$/.test(value)) return false
      limits.mode = Number.parseInt(value, 8) & 0o7777
      return true
    },
    uid: setNumber("uid"),
    gid: setNumber("gid"),
    inode32: () => true,
    inode64: () => true
  })
  return error < 0 ? error : limits
}

/** ramfs has always ignored what it does not know. */
const readRamLimits = (options: string): TmpFsLimits => {
  const mode = /(?:^|,)mode=([0-7]+)(?:,|$)/.exec(options)?.[1]
  return { mode: mode === undefined ? 0o755 : Number.parseInt(mode, 8) & 0o7777 }
}

/** tmpfs and ramfs for mount(2). */
export const memoryTypes = (vfs: Vfs): ReadonlyArray<FilesystemType> =>
  (["tmpfs", "ramfs"] as const).map((name) => ({
    name,
    owner: ({ credentials }) => credentials.userNamespace,
    check: (options) => (name === "ramfs" ? 0 : errorOf(readLimits(options))),
    make: ({ credentials: { fsgid, fsuid } }, options) => {
      const limits = name === "ramfs" ? readRamLimits(options) : readLimits(options)
      if (typeof limits === "number") return limits
      return new TmpFs({
        uid: fsuid,
        gid: fsgid,
        ...limits,
        name,
        device: vfs.newDevice(),
        clock: vfs.clock,
        heap: vfs.heap
      })
    }
  }))
