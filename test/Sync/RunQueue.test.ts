/**
 * The run queue by itself: who is told when nothing is left to run.
 */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "vitest"
import { RunQueue } from "../../src/Sync/RunQueue.ts"

const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
}

/** More turns of the event loop than any of this takes. */
const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
}

describe("a run queue", () => {
  it("that comes to rest says so, however many tasks there were", async () => {
    for (let count = 1; count <= 4097; count++) {
      const queue = new RunQueue()
      let asked = 0
      queue.idle = () => {
        asked++
        return false
      }
      for (let left = count; left > 0; left--) queue.schedule(() => {})
      while (queue.drain());
      assert.isAbove(asked, 0, `after ${count} tasks`)
    }
  })

  it("that never becomes empty keeps nothing alive that has run", async () => {
    const queue = new RunQueue()
    const early: Array<WeakRef<object>> = []
    const step = (n: number): void => {
      if (n === 10_000) return
      const carried = {}
      if (n < 100) early.push(new WeakRef(carried))
      queue.schedule(() => step(n + 1 + Object.keys(carried).length))
      if (n !== 9000) return
      collectGarbage()
      assert.strictEqual(early.filter((reference) => reference.deref() !== undefined).length, 0)
    }
    queue.schedule(() => step(0))
    while (queue.drain()) await new Promise((resolve) => setImmediate(resolve))
  })

  it("asks again and again who else could run, as long as somebody could", async () => {
    const queue = new RunQueue()
    let left = 10_000
    queue.idle = () => left-- > 0
    queue.schedule(() => {})
    await settle()
    assert.strictEqual(left, -1)
  })

  it("runs what is queued by whoever hears that it rests", async () => {
    const queue = new RunQueue()
    let ran = 0
    let asked = 0
    queue.idle = () => {
      if (asked++ === 0) queue.schedule(() => ran++)
      return false
    }
    queue.schedule(() => {})
    await settle()
    assert.deepStrictEqual([ran, asked], [1, 2])
  })

  it("runs tasks that tasks schedule, in order, and lets the event loop have its turn between many", async () => {
    const queue = new RunQueue()
    const order: Array<number> = []
    const step = (n: number): void => {
      order.push(n)
      if (n < 5000) queue.schedule(() => step(n + 1))
    }
    step(0)
    assert.deepStrictEqual(order, [0])
    assert.isTrue(queue.drain())
    assert.isBelow(order.length, 5000)
    await settle()
    assert.strictEqual(order.length, 5001)
  })
})
