/**
 * The tree below /dev: the devices that every program counts on, the links to /proc/self/fd, and the host terminals that
 * the sandbox was given.
 */
import { S_IFCHR } from "../Abi/FileMode.ts"
import { DevPtsFs } from "./DevPtsFs.ts"
import { DEVICE, type DeviceFiles } from "./DeviceFiles.ts"
import type { FileClock } from "./Filesystem.ts"
import type { HostStdio } from "./HostStdio.ts"
import { PseudoFs, PseudoLink, PseudoNode, StaticDirectory } from "./PseudoFs.ts"
import type { Stat } from "./Stat.ts"

/** statfs(2) says tmpfs of a devtmpfs too. */
const TMPFS_MAGIC = 0x0102_1994

/** Debian's group of terminals. */
const TTY_GROUP = 5

/** The node of a host terminal: its attributes are those of the open terminal, as ttyname(3) compares them. */
class TerminalNode extends PseudoNode {
  readonly #terminal: HostStdio

  constructor(filesystem: PseudoFs, terminal: HostStdio, stat: Stat) {
    super(filesystem, stat.mode, { owner: () => stat, rdev: stat.rdev })
    this.#terminal = terminal
  }

  override stat(): Stat | number {
    return this.#terminal.stat()
  }
}

export class DevFs extends PseudoFs {
  readonly devices: DeviceFiles

  /** What belongs on "pts". */
  readonly pts: DevPtsFs

  /** A /dev to be mounted; its "shm" and "pts" are empty directories, for a tmpfs and for `pts`. */
  constructor(options: {
    readonly device: number
    readonly ptsDevice: number
    readonly clock: FileClock
    readonly devices: DeviceFiles
  }) {
    super({ ...options, name: "devtmpfs", magic: TMPFS_MAGIC, rootMode: 0o755 })
    this.devices = options.devices
    const { root } = this
    for (const name of ["null", "zero", "full", "random", "urandom", "tty"] as const) {
      root.add(name, new PseudoNode(this, S_IFCHR | 0o666, { rdev: DEVICE[name] }))
    }
    const link = (name: string, target: string) => root.add(name, new PseudoLink(this, () => target))
    link("fd", "/proc/self/fd")
    link("stdin", "/proc/self/fd/0")
    link("stdout", "/proc/self/fd/1")
    link("stderr", "/proc/self/fd/2")
    root.directory("shm", { mode: 0o1777 })
    root.add("ptmx", new PseudoNode(this, S_IFCHR | 0o666, { rdev: DEVICE.ptmx }))
    root.directory("pts", { mode: 0o755 })
    const { clock } = options
    // as Debian mounts it
    this.pts = new DevPtsFs({ device: options.ptsDevice, clock, ptmx: DEVICE.ptmx, gid: TTY_GROUP, mode: 0o620 })
  }

  /** Shows the host terminal behind `file` under the name that it has on the host, and makes it openable. */
  addTerminal(file: HostStdio): void {
    const stat = file.stat()
    const names = file.describe().split("/").slice(1)
    const name = names.pop()
    if (typeof stat === "number" || file.tty === undefined || name === undefined || names.shift() !== "dev") return
    this.devices.addTerminal(file)
    const isPty = names[0] === "pts"
    if (isPty) names.shift()
    const filesystem = isPty ? this.pts : this
    let directory: StaticDirectory = filesystem.root
    for (const part of names) {
      const found = directory.lookup(part, undefined)
      directory = found instanceof StaticDirectory ? found : directory.directory(part, { mode: 0o755 })
    }
    directory.add(name, new TerminalNode(filesystem, file, stat))
  }

  override dispose(): void {
    this.devices.dispose()
  }
}
