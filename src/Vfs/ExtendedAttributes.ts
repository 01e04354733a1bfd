/**
 * The extended attributes of one inode that lives in the sentry, xattr(7), charged to the sandbox's memory. Access
 * control lists are not among them: AccessList.ts.
 */
import { EEXIST, ENODATA, ENOSPC } from "../Abi/Errno.ts"
import type { MemoryBudget } from "./MemoryContent.ts"

const XATTR_CREATE = 1
const XATTR_REPLACE = 2

/** What a file's capabilities, capabilities(7), are kept in. */
export const FILE_CAPABILITIES = "security.capability"

/** Whether `value` is of a version that says which capabilities: 2, or 3, which says for whose root. */
export const isValidCapabilities = (value: Uint8Array): boolean => {
  if (value.length < 4) return false
  const version = new DataView(value.buffer, value.byteOffset).getUint32(0, true) >>> 24
  return (version === 2 && value.length === 20) || (version === 3 && value.length === 24)
}

export class ExtendedAttributes {
  readonly #heap: MemoryBudget
  readonly #values = new Map<string, Uint8Array>()

  constructor(heap: MemoryBudget) {
    this.#heap = heap
  }

  get names(): ReadonlyArray<string> {
    return [...this.#values.keys()]
  }

  get(name: string): Uint8Array | number {
    return this.#values.get(name) ?? -ENODATA
  }

  /** setxattr(2): 0 or -errno. */
  set(name: string, value: Uint8Array, flags: number): number {
    const old = this.#values.get(name)
    if ((flags & XATTR_CREATE) !== 0 && old !== undefined) return -EEXIST
    if ((flags & XATTR_REPLACE) !== 0 && old === undefined) return -ENODATA
    const before = old === undefined ? 0 : name.length + old.length
    if (!this.#heap.take(name.length + value.length - before)) return -ENOSPC
    this.#values.set(name, value)
    return 0
  }

  remove(name: string): number {
    const old = this.#values.get(name)
    if (old === undefined) return -ENODATA
    this.#values.delete(name)
    this.#heap.add(-(name.length + old.length))
    return 0
  }

  /** The inode is gone. */
  clear(): void {
    for (const name of this.names) this.remove(name)
  }
}
