/**
 * A time namespace, time_namespaces(7): its processes see clocks that count from the machine's start shifted. A process
 * enters the one that was made for its children when it calls execve(2); they do at once, unless they share its memory.
 */
import { EACCES, EINVAL, ERANGE } from "../Abi/Errno.ts"
import {
  CLOCK_BOOTTIME,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  NANOS_PER_SECOND
} from "../Abi/Time.ts"
import type { Namespace, NamespaceIdentity } from "../Vfs/Namespace.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"

/** Seconds that a clock of 63 bits of nanoseconds can show. */
const KTIME_SEC_MAX = (2n ** 63n - 1n) / NANOS_PER_SECOND

/** Nanoseconds to add. */
export interface ClockOffsets {
  readonly monotonic: bigint
  readonly boot: bigint
}

export const noOffsets: ClockOffsets = { monotonic: 0n, boot: 0n }

export class TimeNamespace implements Namespace {
  readonly kind = "time"
  readonly ino: number
  readonly owner: UserNamespace
  /** Atomic: `adjust`. */
  offsets: ClockOffsets
  /** A process is, or was, in it: the offsets don't change any more. Atomic: `enter`. */
  #entered = false

  constructor({ ino, owner }: NamespaceIdentity, offsets: ClockOffsets) {
    this.ino = ino
    this.owner = owner
    this.offsets = offsets
  }

  /** A process is in it from now on. */
  enter(): this {
    this.#entered = true
    return this
  }

  /** Whether clocks show here what they show in the first namespace. */
  get isPlain(): boolean {
    return this.offsets.monotonic === 0n && this.offsets.boot === 0n
  }

  /** What `clock` shows more than in the first namespace, nanoseconds. */
  offsetOf(clock: number): bigint {
    switch (clock) {
      case CLOCK_MONOTONIC:
      case CLOCK_MONOTONIC_RAW:
      case CLOCK_MONOTONIC_COARSE:
        return this.offsets.monotonic
      case CLOCK_BOOTTIME:
        return this.offsets.boot
      default:
        return 0n
    }
  }

  /** Changes offsets as a write to /proc/[pid]/timens_offsets says; `now` is what both clocks show in the first namespace. */
  adjust(changes: ReadonlyArray<OffsetChange>, now: bigint): number {
    for (const { nanos } of changes) {
      const shown = (now + nanos) / NANOS_PER_SECOND
      if (nanos / NANOS_PER_SECOND > KTIME_SEC_MAX || now + nanos < 0n || shown > KTIME_SEC_MAX / 2n) return -ERANGE
    }
    if (this.#entered) return -EACCES
    for (const { clock, nanos } of changes) this.offsets = { ...this.offsets, [clock]: nanos }
    return 0
  }
}

/** The offset that one clock is to have. */
export interface OffsetChange {
  readonly clock: keyof ClockOffsets
  readonly nanos: bigint
}

const CLOCKS: ReadonlyMap<string, keyof ClockOffsets> = new Map([
  ["monotonic", "monotonic"],
  [`${CLOCK_MONOTONIC}`, "monotonic"],
  ["boottime", "boot"],
  [`${CLOCK_BOOTTIME}`, "boot"]
])

/** Two lines at most are read. */
const MOST_CHANGES = 2

/** What a write to /proc/[pid]/timens_offsets asks for, and how much of it that is; -EINVAL. */
export const parseOffsets = (text: string): { changes: ReadonlyArray<OffsetChange>; length: number } | number => {
  const changes: Array<OffsetChange> = []
  let at = 0
  do {
    const newline = text.indexOf("\n", at)
    const end = newline < 0 ? text.length : newline
    const [, name = "", seconds = "", nanos = ""] = /^\s*(\S+)\s+([-+]?\d+)\s+(\d+)/.exec(text.slice(at, end)) ?? []
    const clock = CLOCKS.get(name)
    if (clock === undefined || BigInt(nanos) >= NANOS_PER_SECOND) return -EINVAL
    changes.push({ clock, nanos: BigInt(seconds) * NANOS_PER_SECOND + BigInt(nanos) })
    at = newline < 0 ? text.length : newline + 1
  } while (at < text.length && changes.length < MOST_CHANGES)
  return { changes, length: at }
}

/** What /proc/[pid]/timens_offsets shows. */
export const showOffsets = ({ boot, monotonic }: ClockOffsets): string =>
  `${offsetLine("monotonic", monotonic)}${offsetLine("boottime", boot)}`

const offsetLine = (name: string, nanos: bigint): string => {
  const rest = ((nanos % NANOS_PER_SECOND) + NANOS_PER_SECOND) % NANOS_PER_SECOND
  const seconds = (nanos - rest) / NANOS_PER_SECOND
  return `${name.padEnd(10)} ${`${seconds}`.padStart(10)} ${`${rest}`.padStart(9)}\n`
}
