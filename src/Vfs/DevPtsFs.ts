/**
 * devpts: the slaves of pseudoterminals, pts(4). Every mount of it is an instance of its own, with its own numbers and its
 * own "ptmx".
 */
import { S_IFCHR } from "../Abi/FileMode.ts"
import type { FileClock } from "./Filesystem.ts"
import { errorOf, type FilesystemType, parseNumber, readOptions } from "./FilesystemType.ts"
import { PseudoFs, PseudoNode } from "./PseudoFs.ts"
import type { Pty } from "./TtyPty.ts"
import type { Vfs } from "./Vfs.ts"

/** DEVPTS_SUPER_MAGIC. */
const MAGIC = 0x1cd1

/** Where slaves of pseudoterminals have their device numbers. */
export const SLAVE_MAJOR = 136

/** kernel.pty.max */
const MAX_PTYS = 4096

/** What mount(8) can say of it. */
interface DevPtsSettings {
  /** Who owns slaves; by default whoever opened the master. */
  readonly uid?: number
  readonly gid?: number
  /** Permissions of slaves and of "ptmx". */
  readonly mode: number
  readonly ptmxMode: number
  readonly max: number
}

const DEFAULTS: DevPtsSettings = { mode: 0o600, ptmxMode: 0, max: MAX_PTYS }

export interface DevPtsOptions extends Partial<DevPtsSettings> {
  readonly device: number
  readonly clock: FileClock
  /** The device number of "ptmx". */
  readonly ptmx: number
}

export class DevPtsFs extends PseudoFs {
  /** Pseudoterminals whose master is open, by number. Atomic: DeviceFiles. */
  readonly ptys = new Map<number, Pty>()
  readonly #settings: DevPtsSettings

  constructor({ clock, device, ptmx, ...settings }: DevPtsOptions) {
    super({ name: "devpts", device, magic: MAGIC, clock, rootMode: 0o755 })
    this.#settings = { ...DEFAULTS, ...settings }
    this.root.add("ptmx", new PseudoNode(this, S_IFCHR | this.#settings.ptmxMode, { rdev: ptmx }))
  }

  /** The number of the next pseudoterminal, or undefined: there are too many. */
  get freeNumber(): number | undefined {
    let index = 0
    // the host's terminals have names here too
    while (this.ptys.has(index) || typeof this.root.lookup(`${index}`, undefined) !== "number") index++
    return index < this.#settings.max ? index : undefined
  }

  /** Shows the slave of `pty`, whose master a user with these ids opened. */
  addSlave(pty: Pty, rdev: number, ids: { readonly uid: number; readonly gid: number }): void {
    const { mode, uid = ids.uid, gid = ids.gid } = this.#settings
    this.ptys.set(pty.index, pty)
    this.root.add(`${pty.index}`, new PseudoNode(this, S_IFCHR | mode, { rdev, owner: () => ({ uid, gid }) }))
  }

  removeSlave(index: number): void {
    this.ptys.delete(index)
    this.root.remove(`${index}`)
  }

  override get options(): string {
    const { gid, max, mode, ptmxMode, uid } = this.#settings
    const octal = (bits: number): string => bits.toString(8).padStart(3, "0")
    return [
      uid === undefined ? "" : `,uid=${uid}`,
      gid === undefined ? "" : `,gid=${gid}`,
      `,mode=${octal(mode)},ptmxmode=${octal(ptmxMode)}`,
      max === MAX_PTYS ? "" : `,max=${max}`
    ].join("")
  }
}

type Settings = { -readonly [K in keyof DevPtsSettings]?: DevPtsSettings[K] }

/** What the options of mount(2) say; -EINVAL. */
const readSettings = (options: string): Settings | number => {
  const settings: Settings = {}
  const number = (key: "uid" | "gid" | "max") => (value: string) => {
    const parsed = parseNumber(value)
    if (parsed !== undefined) settings[key] = parsed
    return parsed !== undefined && (key !== "max" || parsed <= MAX_PTYS)
  }
  const permissions = (key: "mode" | "ptmxMode") => (value: string) => {
    if (!/^[0-7]+$/.test(value)) return false
    settings[key] = Number.parseInt(value, 8) & 0o777
    return true
  }
  const error = readOptions(options, {
    uid: number("uid"),
    gid: number("gid"),
    max: number("max"),
    mode: permissions("mode"),
    ptmxmode: permissions("ptmxMode"),
    newinstance: () => true
  })
  return error < 0 ? error : settings
}

/** devpts for mount(2); `ptmx` is the device number of its master. */
export const devPtsType = (vfs: Vfs, ptmx: number): FilesystemType => ({
  name: "devpts",
  owner: ({ credentials }) => credentials.userNamespace,
  check: (options) => errorOf(readSettings(options)),
  make: (_, options) => {
    const settings = readSettings(options)
    if (typeof settings === "number") return settings
    return new DevPtsFs({ ...settings, device: vfs.newDevice(), clock: vfs.clock, ptmx })
  }
})
