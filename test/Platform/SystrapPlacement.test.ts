import { afterEach, assert, beforeEach, describe, it, vi } from "vitest"
import { SystrapPlacement } from "../../src/Platform/SystrapPlacement.ts"

describe("SystrapPlacement", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  /** `running` threads that make `rate` events a ms for 100 ms. */
  const start = () => {
    const guests = { running: 0, events: 0, threads: () => [] }
    const changes: Array<boolean> = []
    const placement = new SystrapPlacement(0, guests, (spread) => changes.push(spread))
    const run = (running: number, rate: number): ReadonlyArray<boolean> => {
      guests.running = running
      if (running > 1) placement.watch()
      for (let ms = 0; ms < 100; ms++) {
        guests.events += rate
        vi.advanceTimersByTime(1)
      }
      return changes.splice(0)
    }
    return { run, placement }
  }

  it("spreads threads that run all the time and seldom call", () => {
    const { run, placement } = start()
    assert.deepStrictEqual(run(2, 5), [true])
    assert.deepStrictEqual(run(2, 10), [])
    placement.close()
  })

  it("leaves together those that call often", () => {
    const { run, placement } = start()
    assert.deepStrictEqual(run(2, 50), [])
    placement.close()
  })

  it("gathers them when they call often, or when one of them runs", () => {
    const { run, placement } = start()
    run(2, 5)
    assert.deepStrictEqual(run(2, 50), [false])
    assert.deepStrictEqual(run(2, 5), [true])
    assert.deepStrictEqual(run(1, 5), [false])
    placement.close()
  })

  it("looks no more when one of them runs", () => {
    const { run } = start()
    run(2, 50)
    run(1, 5)
    assert.strictEqual(vi.getTimerCount(), 0)
  })
})
