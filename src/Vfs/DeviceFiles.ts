/**
 * Which driver stands behind a device number, and the FIFOs: what the VFS opens that is not a file of any filesystem.
 * One per sandbox.
 */
import { major, makedev, minor } from "../Abi/Device.ts"
import { ENXIO } from "../Abi/Errno.ts"
import type { Entropy } from "../Time/Entropy.ts"
import { FullDevice, NullDevice, RandomDevice, ZeroDevice } from "./DeviceMemory.ts"
import type { HostStdio } from "./HostStdio.ts"
import type { Caller, Inode, OpenRequest } from "./Inode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { PendingOpen } from "./PendingOpen.ts"
import { Fifos } from "./PipeFifo.ts"
import type { SpecialFiles } from "./Vfs.ts"

const MEMORY_MAJOR = 1

/** Device numbers, as Linux's admin-guide/devices.txt assigns them. */
export const DEVICE = {
  null: makedev(MEMORY_MAJOR, 3),
  zero: makedev(MEMORY_MAJOR, 5),
  full: makedev(MEMORY_MAJOR, 7),
  random: makedev(MEMORY_MAJOR, 8),
  urandom: makedev(MEMORY_MAJOR, 9),
  tty: makedev(5, 0),
  ptmx: makedev(5, 2)
} as const

export interface DeviceOptions {
  readonly entropy: Entropy
  /** The session of whoever opens /dev/tty: its id, or undefined for a caller that is no task. */
  readonly sessionOf: (caller: Caller) => number | undefined
}

export class DeviceFiles implements SpecialFiles {
  readonly #fifos = new Fifos()
  readonly #options: DeviceOptions
  /** Terminals of the host that guests may open by name, by device number. Each is retained. */
  readonly #terminals = new Map<number, HostStdio>()

  constructor(options: DeviceOptions) {
    this.#options = options
  }

  /** Makes the terminal behind `file` openable as a device and as /dev/tty of the session that owns it. */
  addTerminal(file: HostStdio): void {
    const stat = file.stat()
    if (typeof stat === "number" || file.tty === undefined || this.#terminals.has(stat.rdev)) return
    this.#terminals.set(stat.rdev, file.retain())
  }

  /** The foreground process group of the terminal that `session` controls, or undefined. */
  foregroundOf(session: number): number | undefined {
    for (const { tty } of this.#terminals.values()) if (tty?.session === session) return tty.foreground
    return undefined
  }

  /** Lets go of the terminals. */
  dispose(): void {
    for (const terminal of this.#terminals.values()) terminal.release()
    this.#terminals.clear()
  }

  openFifo(inode: Inode, request: OpenRequest): OpenFileDescription | PendingOpen | number {
    return this.#fifos.open(inode, request)
  }

  openDevice(
    type: "Character" | "Block",
    rdev: number,
    inode: Inode,
    request: OpenRequest
  ): OpenFileDescription | number {
    if (type === "Block") return -ENXIO
    if (major(rdev) === MEMORY_MAJOR) return this.#openMemory(minor(rdev), inode, request)
    if (rdev === DEVICE.tty) return this.#openControlling(request)
    return this.#terminals.get(rdev)?.reopen(request) ?? -ENXIO
  }

  #openMemory(number: number, inode: Inode, request: OpenRequest): OpenFileDescription | number {
    switch (number) {
      case 3:
        return new NullDevice(inode, request)
      case 5:
        return new ZeroDevice(inode, request)
      case 7:
        return new FullDevice(inode, request)
      case 8:
      case 9:
        return new RandomDevice(inode, request, this.#options.entropy, number === 8)
      default:
        return -ENXIO
    }
  }

  /** /dev/tty: -ENXIO for a session without a controlling terminal. */
  #openControlling(request: OpenRequest): OpenFileDescription | number {
    const session = this.#options.sessionOf(request.caller)
    if (session === undefined) return -ENXIO
    for (const terminal of this.#terminals.values()) {
      if (terminal.tty?.session === session) return terminal.reopen(request)
    }
    return -ENXIO
  }
}
