/**
 * Telling the time from the processor's counter: a straight line, drawn anew from time to time so that it follows the
 * host's clock. Each line begins where the one before stands at that moment, so that the time never goes back, and meets
 * the clock when it is due to be replaced.
 *
 * Words as in `struct vdso_line` of native/vdso.h. Pure.
 */

/** The counter and CLOCK_MONOTONIC (ns) at one moment, and CLOCK_REALTIME less CLOCK_MONOTONIC (ns). */
export interface ClockSample {
  readonly counter: bigint
  readonly monotonic: bigint
  readonly epoch: bigint
}

export interface ClockLine {
  /** The counter at its beginning. */
  readonly counter: bigint
  /** For how many ticks from there on it may be believed; then whoever should have replaced it is late. */
  readonly window: bigint
  /** Nanoseconds a tick, times 2^32. */
  readonly rate: bigint
  /** Nanoseconds at its beginning. */
  readonly monotonic: bigint
  readonly epoch: bigint
}

const FRACTION_BITS = 32n

/** How far a line may be from the clock to be bent back to it; beyond, the clock was set or has stood still. ns. */
const MAX_ERROR = 1_000_000n

/** Less than this two samples of the difference between the clocks may differ, though nobody has set one. ns. */
const EPOCH_NOISE = 1000n

/** What `line` shows at `counter`, ns; undefined where it is not to be believed. */
export const readLine = (line: ClockLine, counter: bigint): bigint | undefined => {
  const ticks = counter - line.counter
  if (ticks < 0n || ticks >= line.window) return undefined
  return line.monotonic + ((ticks * line.rate) >> FRACTION_BITS)
}

/**
 * The line to follow from `now` on, to be replaced after `interval` ns. `before` is an earlier sample, by which the
 * counter's rate is measured; `line` the present one, if there is any. Undefined if the counter doesn't count.
 */
export const nextLine = (
  line: ClockLine | undefined,
  before: ClockSample,
  now: ClockSample,
  interval: bigint
): ClockLine | undefined => {
  const ticks = now.counter - before.counter
  const elapsed = now.monotonic - before.monotonic
  if (ticks <= 0n || elapsed <= 0n) return undefined
  const shown = line === undefined ? undefined : readLine(line, now.counter)
  const error = shown === undefined ? 0n : now.monotonic - shown
  const isNear = error < MAX_ERROR && error > -MAX_ERROR && error > -interval / 2n
  const start = shown !== undefined && isNear ? shown : now.monotonic
  const toGo = interval + now.monotonic - start
  const drift = line === undefined ? EPOCH_NOISE : now.epoch - line.epoch
  return {
    counter: now.counter,
    window: (2n * interval * ticks) / elapsed,
    rate: ((elapsed << FRACTION_BITS) * toGo) / (ticks * interval),
    monotonic: start,
    epoch: line !== undefined && drift < EPOCH_NOISE && drift > -EPOCH_NOISE ? line.epoch : now.epoch
  }
}
