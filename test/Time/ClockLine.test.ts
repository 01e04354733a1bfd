/** Telling the time from a counter: whatever the host's clock does, the lines make one clock that never goes back. */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { type ClockLine, type ClockSample, nextLine, readLine } from "../../src/Time/ClockLine.ts"

const MILLISECOND = 1_000_000n
/** Of the counter. */
const TICKS_PER_MILLISECOND = 2_445_000n

const sampleAt = (counter: bigint, monotonic: bigint, epoch = 0n): ClockSample => ({ counter, monotonic, epoch })

/** One interval of a clock's life: its length (ms), how much too fast it runs (ppm), how late it is looked at (ms), an error of the look (ns). */
const step = fc.record({
  interval: fc.constantFrom(10, 20, 1000),
  pace: fc.integer({ min: -200, max: 200 }),
  late: fc.integer({ min: 0, max: 5 }),
  noise: fc.integer({ min: -200, max: 200 })
})

describe("ClockLine", () => {
  it("never goes back, and stays near the clock", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
        let counter = 1_000_000_000_000n
        let clock = 5_000_000_000_000n
        let before = sampleAt(counter, clock)
        let line: ClockLine | undefined
        let last = 0n
        const advance = (milliseconds: number, pace: number): void => {
          counter += BigInt(milliseconds) * TICKS_PER_MILLISECOND
          clock += BigInt(milliseconds) * MILLISECOND + BigInt(milliseconds * pace)
        }
        const look = (): void => {
          if (line === undefined) return
          const shown = readLine(line, counter)
          assert.isDefined(shown)
          assert.isAtLeast(Number(shown - last), 0)
          // an interval's worth of a pace that nobody could know, and the noise of two looks
          assert.isBelow(Math.abs(Number(shown - clock)), 1_000_000)
          last = shown!
        }
        advance(10, 0)
        for (const { interval, late, noise, pace } of steps) {
          look()
          const now = sampleAt(counter, clock + BigInt(noise))
          line = nextLine(line, before, now, BigInt(interval) * MILLISECOND)
          before = now
          look()
          advance(interval / 2, pace)
          look()
          advance(interval / 2 + late, pace)
        }
      })
    )
  })

  it("is exact when the clock's pace does not change", () => {
    let now = sampleAt(0n, 0n)
    let line: ClockLine | undefined
    for (let i = 1n; i < 100n; i++) {
      const before = now
      now = sampleAt(i * 10n * TICKS_PER_MILLISECOND, i * 10n * MILLISECOND)
      if (line !== undefined) assert.isBelow(Math.abs(Number(readLine(line, now.counter)! - now.monotonic)), 20)
      line = nextLine(line, before, now, 10n * MILLISECOND)
    }
  })

  it("is not believed when nobody has drawn it anew in time, nor before its beginning", () => {
    const first = sampleAt(0n, 0n)
    const line = nextLine(undefined, first, sampleAt(TICKS_PER_MILLISECOND, MILLISECOND), MILLISECOND)!
    assert.isDefined(readLine(line, 3n * TICKS_PER_MILLISECOND - 1n))
    assert.isUndefined(readLine(line, 3n * TICKS_PER_MILLISECOND))
    assert.isUndefined(readLine(line, 0n))
  })

  it("begins anew at the clock when the host has slept, and follows when somebody sets it", () => {
    const first = sampleAt(0n, 0n, 7n)
    const second = sampleAt(TICKS_PER_MILLISECOND, MILLISECOND, 7n)
    const line = nextLine(undefined, first, second, MILLISECOND)!
    const woken = sampleAt(2n * TICKS_PER_MILLISECOND, 900n * MILLISECOND, 7n)
    assert.strictEqual(nextLine(line, second, woken, MILLISECOND)!.monotonic, woken.monotonic)
    const set = { ...woken, epoch: 60_000_000_000n }
    assert.strictEqual(nextLine(line, second, set, MILLISECOND)!.epoch, set.epoch)
    const noisy = { ...woken, epoch: 30n }
    assert.strictEqual(nextLine(line, second, noisy, MILLISECOND)!.epoch, 7n)
  })

  it("is none of a counter that stands still", () => {
    const same = sampleAt(1n, 1n)
    assert.isUndefined(nextLine(undefined, same, same, MILLISECOND))
  })
})
