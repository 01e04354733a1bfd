import { assert, describe, it } from "@effect/vitest"
import { type Bell, type Sleeper, SystrapBells } from "../../src/Platform/SystrapBells.ts"
import { bells, orderPageSize } from "../../src/Platform/SystrapLayout.ts"

/** More looks than anybody waits. */
const LONG = 2000

const make = () => {
  const page = new ArrayBuffer(orderPageSize)
  const rung: Array<Bell> = []
  const all = new SystrapBells(page, (bell) => rung.push(bell))
  const words = new Int32Array(page)
  return {
    all,
    rung,
    count: ({ offset }: Bell) => words[(bells.notice + offset) >> 2],
    sleeper: (): Sleeper & { asleep: boolean } => {
      const self = { bell: all.give(), asleep: true, isAsleep: () => self.asleep, due: 0 }
      return self
    },
    look: (times: number) => {
      for (let i = 0; i < times; i++) all.looked(false)
    }
  }
}

describe("bells", () => {
  it("are different for as many threads as there are bits, within the page", () => {
    const { all } = make()
    const given = Array.from({ length: bells.words * 32 }, () => all.give())
    assert.strictEqual(new Set(given.map(({ bit, offset }) => `${offset} ${bit}`)).size, given.length)
    assert.isTrue(
      given.every(({ bit, offset }) => bit !== 0 && bells.notice + offset + 4 <= orderPageSize && offset < 256)
    )
    assert.deepStrictEqual(all.give(), given[0])
  })

  it("have counted before they are rung, whoever rings", () => {
    const { all, count, rung, sleeper } = make()
    const [one, other] = [sleeper(), sleeper()]
    all.ring(one)
    all.owe(other)
    assert.strictEqual(count(one.bell), 1)
    assert.strictEqual(count(other.bell), 1)
    assert.deepStrictEqual(rung, [one.bell])
  })

  it("that are owed and that nobody takes we ring", () => {
    const { all, look, rung, sleeper } = make()
    const one = sleeper()
    all.owe(one)
    look(10)
    assert.deepStrictEqual(rung, [])
    look(LONG)
    assert.deepStrictEqual(rung, [one.bell])
    look(LONG)
    assert.strictEqual(rung.length, 1)
  })

  it("that somebody has promised to ring and doesn't, we ring, however many are rung meanwhile", () => {
    const { all, look, rung, sleeper } = make()
    const victim = sleeper()
    all.owe(victim)
    assert.deepStrictEqual(all.take(), victim.bell)
    for (let i = 0; i < LONG && rung.length === 0; i++) {
      const other = sleeper()
      all.owe(other)
      all.take()
      other.asleep = false
      look(1)
    }
    assert.deepStrictEqual(rung, [victim.bell])
  })

  it("are not rung for who has woken", () => {
    const { all, look, rung, sleeper } = make()
    const [one, other] = [sleeper(), sleeper()]
    all.owe(one)
    all.owe(other)
    all.take()
    one.asleep = other.asleep = false
    look(LONG)
    all.settle()
    assert.deepStrictEqual(rung, [])
    assert.strictEqual(all.owed, 0)
  })

  it("are owed no longer than some events take", () => {
    const { all, rung, sleeper } = make()
    const one = sleeper()
    all.owe(one)
    for (let i = 0; i < 20; i++) all.looked(true)
    assert.deepStrictEqual(rung, [one.bell])
  })
})
