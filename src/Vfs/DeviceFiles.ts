/**
 * Which driver stands behind a device number, and the FIFOs: what the VFS opens that is not a file of any filesystem.
 * One per sandbox.
 */
import { major, makedev, minor } from "../Abi/Device.ts"
import { ENOSPC, ENXIO } from "../Abi/Errno.ts"
import type { Entropy } from "../Time/Entropy.ts"
import { FullDevice, NullDevice, RandomDevice, ZeroDevice } from "./DeviceMemory.ts"
import type { HostStdio } from "./HostStdio.ts"
import type { Caller, Inode, OpenRequest } from "./Inode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import type { PendingOpen } from "./PendingOpen.ts"
import { Fifos } from "./PipeFifo.ts"
import { Pty, PtyMaster, PtySlave, type TtySignals } from "./TtyPty.ts"
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

const SLAVE_MAJOR = 136
/** kernel.pty.max */
const MAX_PTYS = 4096

/** The directory /dev/pts. */
export interface PtyNames {
  readonly isTaken: (index: number) => boolean
  readonly add: (index: number, rdev: number, uid: number) => void
  readonly remove: (index: number) => void
}

export interface DeviceOptions {
  readonly signals: TtySignals
  readonly entropy: Entropy
  /** The session of whoever opens /dev/tty: its id, or undefined for a caller that is no task. */
  readonly sessionOf: (caller: Caller) => number | undefined
}

export class DeviceFiles implements SpecialFiles {
  readonly #fifos = new Fifos()
  readonly #options: DeviceOptions
  /** Pseudoterminals whose master is open, by index. */
  readonly #ptys = new Map<number, Pty>()
  /** Shows and hides the names of slaves: DevFs. */
  #names: PtyNames = { isTaken: () => false, add: () => {}, remove: () => {} }
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

  /** For DevFs: where the names of slaves go. */
  set ptyNames(names: PtyNames) {
    this.#names = names
  }

  /** The foreground process group of the terminal that `session` controls, or undefined. */
  foregroundOf(session: number): number | undefined {
    for (const { tty } of this.#terminals.values()) if (tty?.session === session) return tty.foreground
    return undefined
  }

  /** The terminal that `session` controls, for /proc: its device number and foreground process group. */
  terminalOf(session: number): { readonly rdev: number; readonly foreground: number } | undefined {
    for (const [index, { owner }] of this.#ptys) {
      if (owner.session === session) return { rdev: makedev(SLAVE_MAJOR, index), foreground: owner.foreground }
    }
    for (const [rdev, { tty }] of this.#terminals) {
      if (tty?.session === session) return { rdev, foreground: tty.foreground }
    }
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
    if (rdev === DEVICE.tty) return this.#openControlling(inode, request)
    if (rdev === DEVICE.ptmx) return this.#openMaster(inode, request)
    const pty = major(rdev) === SLAVE_MAJOR ? this.#ptys.get(minor(rdev)) : undefined
    if (pty !== undefined) return PtySlave.open(pty, inode, request)
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

  /** /dev/ptmx: a new pseudoterminal. -ENOSPC when there are too many. */
  #openMaster(inode: Inode, request: OpenRequest): OpenFileDescription | number {
    let index = 0
    while (this.#ptys.has(index) || this.#names.isTaken(index)) index++
    if (index >= MAX_PTYS) return -ENOSPC
    const pty = new Pty(index, this.#options.signals, () => {
      this.#ptys.delete(index)
      this.#names.remove(index)
    })
    this.#ptys.set(index, pty)
    const { fsuid } = request.caller.credentials
    this.#names.add(index, makedev(SLAVE_MAJOR, index), fsuid)
    return new PtyMaster(pty, inode, request)
  }

  /** /dev/tty: -ENXIO for a session without a controlling terminal. */
  #openControlling(inode: Inode, request: OpenRequest): OpenFileDescription | number {
    const session = this.#options.sessionOf(request.caller)
    if (session === undefined) return -ENXIO
    for (const pty of this.#ptys.values()) {
      if (pty.owner.session === session) return PtySlave.open(pty, inode, request)
    }
    for (const terminal of this.#terminals.values()) {
      if (terminal.tty?.session === session) return terminal.reopen(request)
    }
    return -ENXIO
  }
}
