/**
 * The kernel's only source of time. The live one reads the host's clocks; a virtual one decides itself.
 */
import { bind } from "../Platform/Native.ts"

export interface Timekeeper {
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly monotonic: () => bigint
  /** CLOCK_REALTIME, nanoseconds since 1970. */
  readonly realtime: () => bigint
  /**
   * Calls `run` once `monotonic` shows `deadline`; returns how to take that back. Without it the host's timers are used:
   * for a clock that follows the host's.
   */
  readonly alarm?: (deadline: bigint, run: () => void) => () => void
}

const clock = bind<[id: number], number | bigint>("int64_t sentry_clock(int id)")

/** Follows the host's clocks. */
export const hostTimekeeper: Timekeeper = {
  monotonic: () => process.hrtime.bigint(),
  realtime: () => BigInt(clock(0))
}
