/**
 * The character devices of mem(4), null(4) and random(4): they have content, or swallow it, without any hardware.
 */
import { closeSync, openSync } from "node:fs"
import { EFAULT, EINVAL, ENODEV, ENOSPC } from "../Abi/Errno.ts"
import { READABLE, WRITABLE } from "../Abi/Poll.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import type { WaitQueue } from "../Sync/WaitQueue.ts"
import type { Entropy } from "../Time/Entropy.ts"
import type { Inode, OpenRequest } from "./Inode.ts"
import { type Location, pathOf } from "./Mount.ts"
import { type Mappable, OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"

/** An open device node. */
export abstract class DeviceDescription extends OpenFileDescription {
  readonly #inode: Inode
  readonly #request: OpenRequest

  constructor(inode: Inode, request: OpenRequest, waiters?: WaitQueue) {
    super(request.flags, waiters)
    this.#inode = inode
    this.#request = request
  }

  override stat(): Stat | number {
    return this.#inode.stat()
  }

  override describe(): string {
    return pathOf(this.#request.location, this.#request.caller.fs.root)
  }

  override location(): Location {
    return this.#request.location
  }

  override lockTarget(): object {
    return this.#inode
  }
}

/** /dev/null: the end of file, and a sink. */
export class NullDevice extends DeviceDescription {
  override read(_into: Uint8Array): number {
    return 0
  }

  override readAt(into: Uint8Array, _offset: number): number {
    return this.read(into)
  }

  override get isSink(): boolean {
    return true
  }

  override write(from: Uint8Array): number {
    return from.length
  }

  override writeAt(from: Uint8Array, _offset: number): number {
    return this.write(from)
  }

  /** Linux: always at 0. */
  override seek(_offset: number, _whence: number): number {
    return 0
  }
}

/** /dev/zero: endless zeros. Mapping it gives fresh memory. */
export class ZeroDevice extends NullDevice {
  #host: number | undefined

  override read(into: Uint8Array): number {
    into.fill(0)
    return into.length
  }

  override mappable(): Mappable | number {
    try {
      this.#host ??= openSync("/dev/zero", "r+")
    } catch {
      return -ENODEV // a host without /dev/zero
    }
    return { fd: this.#host, offset: 0 }
  }

  protected override onLastClose(): void {
    if (this.#host !== undefined) closeSync(this.#host)
  }
}

/** /dev/full: a disk that is always full. */
export class FullDevice extends ZeroDevice {
  override write(_from: Uint8Array): number {
    return -ENOSPC
  }

  override mappable(): number {
    return -ENODEV
  }
}

const RNDGETENTCNT = 0x80045200
/** Bits of entropy that Linux says it has once it is seeded. */
const POOL_BITS = 256

/** /dev/urandom and, with `pollable`, /dev/random. */
export class RandomDevice extends DeviceDescription {
  readonly #entropy: Entropy
  readonly #pollable: boolean

  constructor(inode: Inode, request: OpenRequest, entropy: Entropy, pollable: boolean) {
    super(inode, request)
    this.#entropy = entropy
    this.#pollable = pollable
  }

  override get pollable(): boolean {
    return this.#pollable
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override read(into: Uint8Array): number {
    this.#entropy.fill(into)
    return into.length
  }

  override readAt(into: Uint8Array, _offset: number): number {
    return this.read(into)
  }

  override write(from: Uint8Array): number {
    return from.length
  }

  override writeAt(from: Uint8Array, _offset: number): number {
    return from.length
  }

  override seek(_offset: number, _whence: number): number {
    return 0
  }

  override readiness(): number {
    return READABLE | WRITABLE
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (request !== RNDGETENTCNT) return -EINVAL
    return memory.writeU32(argument, POOL_BITS) < 0 ? -EFAULT : 0
  }
}
