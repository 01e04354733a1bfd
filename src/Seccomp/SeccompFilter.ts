/**
 * Filters of a task, seccomp(2): a chain that only grows at its head, so that tasks share what they inherited.
 */
import { ENOMEM } from "../Abi/Errno.ts"
import { POLLHUP } from "../Abi/Poll.ts"
import {
  SECCOMP_MODE_DISABLED,
  SECCOMP_MODE_FILTER,
  SECCOMP_MODE_STRICT,
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW
} from "../Abi/Seccomp.ts"
import { allowsAlways, runProgram } from "./BpfInterpreter.ts"
import { type BpfProgram, translatedLength } from "./BpfProgram.ts"
import type { FilterMemory } from "./FilterMemory.ts"
import type { UserNotifications } from "./UserNotifications.ts"

/** Calls whose answers a filter remembers: all that x86-64 has. */
const REMEMBERED_CALLS = 512

/** What is known of a call: two bits, four calls a byte. */
const UNKNOWN = 0
const ALLOWED = 1
const DEPENDS = 2
const BITS = 2
const CALLS_PER_BYTE = 4

/** What a filter adds to the length of the way through a chain, besides its program. */
const FILTER_PENALTY = 4
/** MAX_INSNS_PER_PATH: Linux's own instructions on the way through all filters of a task. */
const MAX_PATH_LENGTH = 32_768

/** What the filters say of a call, when that is not "allow". */
export interface Verdict {
  /** SECCOMP_RET_*, signed, and data. */
  readonly value: number
  /** The filter that said it, the newest of those that agree. */
  readonly filter: SeccompFilter
}

/** What a task's calls are bound to: read, write, exit and rt_sigreturn only, or filters. */
export type Seccomp = "Strict" | SeccompFilter

/** The smaller, the stricter. */
export const actionOf = (value: number): number => value & SECCOMP_RET_ACTION_FULL

export interface FilterOptions {
  readonly program: BpfProgram
  readonly previous: SeccompFilter | undefined
  /** SECCOMP_FILTER_FLAG_LOG: what it does is logged. */
  readonly logs: boolean
  /** SECCOMP_FILTER_FLAG_NEW_LISTENER. */
  readonly notifications: UserNotifications | undefined
  readonly memory: FilterMemory
}

export class SeccompFilter {
  readonly previous: SeccompFilter | undefined
  readonly logs: boolean
  readonly notifications: UserNotifications | undefined
  /** How many filters there are from here on. */
  readonly depth: number
  readonly #program: BpfProgram
  /** Linux's instructions from here on, and the penalty of each filter below. */
  readonly #pathLength: number
  /** Tasks whose newest filter this is, and filters before which this is. Atomic: retain, release. */
  #users = 0
  /** What is known of each call number: most calls are allowed whatever their arguments. */
  readonly #known = new Uint8Array(REMEMBERED_CALLS / CALLS_PER_BYTE)
  readonly #memory: FilterMemory

  constructor({ logs, memory, notifications, previous, program }: FilterOptions) {
    this.#memory = memory
    this.#program = program
    this.previous = previous
    this.logs = logs
    this.notifications = notifications
    this.depth = 1 + (previous?.depth ?? 0)
    this.#pathLength = translatedLength(program) + (previous === undefined ? 0 : previous.#pathLength + FILTER_PENALTY)
  }

  /** The program as it was copied in. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#program.buffer, this.#program.byteOffset, this.#program.byteLength)
  }

  /** 0, or -ENOMEM: the way through the chain is too long to become a task's, or there are too many filters. */
  get sizeError(): number {
    return this.#pathLength <= MAX_PATH_LENGTH && this.#memory.hasRoom(this.#program.byteLength) ? 0 : -ENOMEM
  }

  /** Whether it is `other` or was added after it; every filter was added after none. */
  descendsFrom(other: SeccompFilter | undefined): boolean {
    if (other === undefined) return true
    for (let filter: SeccompFilter | undefined = this; filter !== undefined; filter = filter.previous) {
      if (filter === other) return true
    }
    return false
  }

  /** Whether some filter of the chain has a listener. */
  get hasListener(): boolean {
    return this.notifications?.isOpen === true || this.previous?.hasListener === true
  }

  /** Whether the chain allows call `nr` whatever its arguments; false if it has to be asked. */
  allowsAlways(nr: number): boolean {
    if (nr >= REMEMBERED_CALLS) return false
    const at = Math.floor(nr / CALLS_PER_BYTE)
    const shift = (nr % CALLS_PER_BYTE) * BITS
    const known = (this.#known[at]! >> shift) & 3
    if (known !== UNKNOWN) return known === ALLOWED
    const allowed = allowsAlways(this.#program, nr) && this.previous?.allowsAlways(nr) !== false
    this.#known[at]! |= (allowed ? ALLOWED : DEPENDS) << shift
    return allowed
  }

  /** Asks every filter of the chain about a call, the words of `struct seccomp_data`. Undefined: it is allowed. */
  judge(data: Uint32Array): Verdict | undefined {
    let value = SECCOMP_RET_ALLOW
    let by: SeccompFilter | undefined
    for (let filter: SeccompFilter | undefined = this; filter !== undefined; filter = filter.previous) {
      const said = runProgram(filter.#program, data)
      if (actionOf(said) >= actionOf(value)) continue
      value = said
      by = filter
    }
    return by === undefined ? undefined : { value, filter: by }
  }

  /** One more task, or newer filter, has it. */
  retain(): this {
    this.#users++
    if (this.#users > 1) return this
    this.#memory.take(this.#program.byteLength)
    this.previous?.retain()
    return this
  }

  /** One fewer; listeners of what nobody has any more hear of it. */
  release(): void {
    this.#users--
    if (this.#users > 0) return
    this.#memory.giveBack(this.#program.byteLength)
    this.notifications?.waiters.notify(POLLHUP)
    this.previous?.release()
  }

  /** No task will ever be judged by it again. */
  get isOrphan(): boolean {
    return this.#users === 0
  }
}

/** SECCOMP_MODE_*. */
export const seccompMode = (seccomp: Seccomp | undefined): number => {
  if (seccomp === undefined) return SECCOMP_MODE_DISABLED
  return seccomp === "Strict" ? SECCOMP_MODE_STRICT : SECCOMP_MODE_FILTER
}

/** How many filters there are. */
export const seccompDepth = (seccomp: Seccomp | undefined): number =>
  seccomp === undefined || seccomp === "Strict" ? 0 : seccomp.depth
