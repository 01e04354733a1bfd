/**
 * Which driver stands behind a device number, and the FIFOs: what the VFS opens that is not a file of any filesystem.
 * One per sandbox.
 */
import { major, makedev, minor } from "../Abi/Device.ts"
import { EIO, ENODEV, ENOENT, ENOSPC, ENXIO } from "../Abi/Errno.ts"
import type { Entropy } from "../Time/Entropy.ts"
import { DevPtsFs, SLAVE_MAJOR } from "./DevPtsFs.ts"
import { FullDevice, NullDevice, RandomDevice, ZeroDevice } from "./DeviceMemory.ts"
import type { HostStdio } from "./HostStdio.ts"
import type { Caller, Inode, OpenRequest } from "./Inode.ts"
import { Location } from "./Mount.ts"
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

export interface DeviceOptions {
  readonly signals: TtySignals
  readonly entropy: Entropy
  /** The session of whoever opens /dev/tty: its id, or undefined for a caller that is no task. */
  readonly sessionOf: (caller: Caller) => number | undefined
}

export class DeviceFiles implements SpecialFiles {
  readonly #fifos = new Fifos()
  readonly #options: DeviceOptions
  /** Where pseudoterminals are, of those that have any. */
  readonly #instances = new Set<DevPtsFs>()
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

  /** The terminal that `session` controls, for /proc: its device number and foreground process group. */
  terminalOf(session: number): { readonly rdev: number; readonly foreground: number } | undefined {
    const pty = this.#ptyOf(session)
    if (pty !== undefined) return { rdev: makedev(SLAVE_MAJOR, pty.index), foreground: pty.owner.foreground }
    for (const [rdev, { tty }] of this.#terminals) {
      if (tty?.session === session) return { rdev, foreground: tty.foreground }
    }
    return undefined
  }

  /** The pseudoterminal that `session` controls. */
  #ptyOf(session: number): Pty | undefined {
    for (const { ptys } of this.#instances)
      for (const pty of ptys.values()) if (pty.owner.session === session) return pty
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
    const isSlave = major(rdev) === SLAVE_MAJOR
    const { filesystem } = inode
    // a slave's number means nothing but in its own instance
    const pty = isSlave && filesystem instanceof DevPtsFs ? filesystem.ptys.get(minor(rdev)) : undefined
    if (pty !== undefined) return PtySlave.open(pty, inode, request)
    return this.#terminals.get(rdev)?.reopen(request) ?? (isSlave ? -EIO : -ENXIO)
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

  /** A ptmx: a new pseudoterminal. -ENOSPC when there are too many, -ENOENT or -ENODEV where there is no devpts beside it. */
  #openMaster(inode: Inode, request: OpenRequest): OpenFileDescription | number {
    const instance = instanceOf(inode, request.location)
    if (typeof instance === "number") return instance
    const index = instance.freeNumber
    if (index === undefined) return -ENOSPC
    const pty = new Pty(index, this.#options.signals, () => {
      instance.removeSlave(index)
      if (instance.ptys.size === 0) this.#instances.delete(instance)
    })
    const { fsgid, fsuid } = request.caller.credentials
    instance.addSlave(pty, makedev(SLAVE_MAJOR, index), { uid: fsuid, gid: fsgid })
    this.#instances.add(instance)
    return new PtyMaster(pty, inode, request)
  }

  /** /dev/tty: -ENXIO for a session without a controlling terminal. */
  #openControlling(inode: Inode, request: OpenRequest): OpenFileDescription | number {
    const session = this.#options.sessionOf(request.caller)
    if (session === undefined) return -ENXIO
    const pty = this.#ptyOf(session)
    if (pty !== undefined) return PtySlave.open(pty, inode, request)
    for (const terminal of this.#terminals.values()) {
      if (terminal.tty?.session === session) return terminal.reopen(request)
    }
    return -ENXIO
  }
}

/** The devpts that a ptmx belongs to: the one it is in, or what is mounted on "pts" beside it; or -errno. */
const instanceOf = ({ filesystem }: Inode, { dentry, mount }: Location): DevPtsFs | number => {
  if (filesystem instanceof DevPtsFs) return filesystem
  const beside = dentry.parent.child("pts")
  if (typeof beside === "number") return beside
  if (beside.inode === undefined) return -ENOENT
  const { isMountRoot, mount: above } = new Location(mount, beside).covered
  return isMountRoot && above.filesystem instanceof DevPtsFs ? above.filesystem : -ENODEV
}
