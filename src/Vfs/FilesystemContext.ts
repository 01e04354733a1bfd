/**
 * A filesystem that is being set up, fsopen(2), or one whose options are being changed, fspick(2): a descriptor that
 * takes options one by one, fsconfig(2), each checked when it comes.
 */
import { EBUSY, EINVAL, ENODATA, EPERM } from "../Abi/Errno.ts"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { MS_RDONLY } from "../Abi/MountFlags.ts"
import { AnonymousFile } from "./AnonymousFile.ts"
import { hasCapabilityIn } from "./Credentials.ts"
import type { Filesystem } from "./Filesystem.ts"
import { commonOptions, type FilesystemType } from "./FilesystemType.ts"
import type { Caller } from "./Inode.ts"
import type { Mount } from "./Mount.ts"
import type { Stat } from "./Stat.ts"
import type { Vfs } from "./Vfs.ts"

/** What it takes next; "Failed" takes nothing any more. */
type Phase = "Options" | "Mount" | "Changes" | "Failed"

/** How many messages are kept for who reads the descriptor. */
const MAX_MESSAGES = 8

export class FilesystemContext extends AnonymousFile {
  readonly type: FilesystemType
  /** Atomic: every method. */
  #phase: Phase
  #flags: number
  #options: Array<string> = []
  #source: string | undefined
  #filesystem: Filesystem | undefined
  readonly #messages: Array<string> = []

  /** `picked`: the filesystem to change. */
  constructor(stat: Stat, type: FilesystemType, picked?: Filesystem) {
    super("fscontext", stat, 0)
    this.type = type
    this.#filesystem = picked
    this.#flags = picked?.flags ?? 0
    this.#phase = picked === undefined ? "Options" : "Changes"
  }

  /** The oldest message. Errors: ENODATA. */
  override read(into: Uint8Array): number {
    const message = this.#messages.shift()
    if (message === undefined) return -ENODATA
    const bytes = Buffer.from(message, "latin1").subarray(0, into.length)
    into.set(bytes)
    return bytes.length
  }

  #refuse(message: string): number {
    if (this.#messages.length === MAX_MESSAGES) this.#messages.shift()
    this.#messages.push(`e ${message}\n`)
    return -EINVAL
  }

  /** FSCONFIG_SET_FLAG (`value` undefined), FSCONFIG_SET_STRING. */
  setOption(key: string, value: string | undefined): number {
    if (this.#phase !== "Options" && this.#phase !== "Changes") return -EBUSY
    if (key === "") return this.#refuse("Unnamed parameter")
    const option = value === undefined ? key : `${key}=${value}`
    const { flags, options } = commonOptions(this.#flags, option)
    if (options === "") {
      this.#flags = flags
      return 0
    }
    if (key === "source") {
      if (value === undefined) return this.#refuse("Non-string source")
      if (this.#source !== undefined) return this.#refuse("Multiple sources")
      this.#source = value
      return 0
    }
    // a comma would be another option
    if (option.includes(",") || this.type.check(option) < 0) {
      return this.#refuse(`${this.type.name}: Unknown parameter '${key}'`)
    }
    this.#options.push(option)
    return 0
  }

  /** Values of any other kind: no filesystem here takes them. */
  refuseValue(key: string): number {
    if (this.#phase !== "Options" && this.#phase !== "Changes") return -EBUSY
    return this.#refuse(`${this.type.name}: Unknown parameter '${key}'`)
  }

  /** FSCONFIG_CMD_CREATE. */
  create(caller: Caller): number {
    if (this.#phase !== "Options") return -EBUSY
    const owner = this.type.owner(caller)
    if (!hasCapabilityIn(caller.credentials, owner, CAP_SYS_ADMIN)) return -EPERM
    const made = this.type.make(caller, this.#options.join(","))
    if (typeof made === "number") {
      this.#phase = "Failed"
      return made
    }
    if (made.mounts === 0) {
      made.flags = this.#flags
      made.owner = owner
    }
    this.#filesystem = made
    this.#phase = "Mount"
    return 0
  }

  /** FSCONFIG_CMD_RECONFIGURE. */
  reconfigure(caller: Caller): number {
    const filesystem = this.#filesystem
    if (this.#phase !== "Changes" || filesystem === undefined) return -EBUSY
    if (!hasCapabilityIn(caller.credentials, filesystem.owner, CAP_SYS_ADMIN)) return -EPERM
    if ((this.#flags & MS_RDONLY) !== 0 && !filesystem.readOnly && filesystem.writers > 0) return -EBUSY
    const options = this.#options.join(",")
    this.#options = []
    return filesystem.reconfigure(this.#flags, options)
  }

  /** fsmount(2): a mount of it that is nowhere yet; from then on the options are changed. */
  mount(vfs: Vfs, flags: number): Mount | number {
    const filesystem = this.#filesystem
    if (filesystem === undefined) return -EINVAL
    if (this.#phase !== "Mount") return -EBUSY
    this.#phase = "Changes"
    this.#options = []
    return vfs.newMount(filesystem, { flags, source: this.#source ?? "none" })
  }
}
