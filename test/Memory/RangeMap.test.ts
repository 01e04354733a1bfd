import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Range, RangeMap } from "../../src/Memory/RangeMap.ts"

interface Colored extends Range {
  readonly color: number
}

const CELLS = 40

const make = () => {
  const alive = new Set<Colored>()
  const map = new RangeMap<Colored>({
    slice: (value, start, end) => ({ ...value, start, end }),
    merge: (low, high) => (low.color === high.color ? { ...low, end: high.end } : undefined),
    added: (value) => {
      assert.isFalse(alive.has(value))
      alive.add(value)
    },
    removed: (value) => assert.isTrue(alive.delete(value))
  })
  return { alive, map }
}

/** The colour of each cell. */
const cells = (map: RangeMap<Colored>): Array<number> => {
  const result: Array<number> = Array.from({ length: CELLS }, () => 0)
  for (const { color, end, start } of map.values()) result.fill(color, start, end)
  return result
}

const edit = fc.record({
  start: fc.integer({ min: 0, max: CELLS - 1 }),
  length: fc.integer({ min: 1, max: 12 }),
  // 0 erases
  color: fc.integer({ min: 0, max: 2 }),
  modify: fc.boolean()
})

describe("RangeMap", () => {
  it("holds what an array of cells holds, in maximal ranges", () => {
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 40 }), (edits) => {
        const { alive, map } = make()
        const model: Array<number> = Array.from({ length: CELLS }, () => 0)
        for (const { color, length, modify, start } of edits) {
          const end = Math.min(CELLS, start + length)
          if (modify && color > 0) {
            map.modify(start, end, (value) => ({ ...value, color }))
            for (let at = start; at < end; at++) if (model[at] !== 0) model[at] = color
          } else {
            map.replace(start, end, color === 0 ? [] : [{ start, end, color }])
            model.fill(color, start, end)
          }
          assert.deepStrictEqual(cells(map), model)
          const values = [...map.values()]
          assert.sameMembers(values, [...alive])
          for (const [index, value] of values.entries()) {
            const next = values[index + 1]
            assert.isTrue(value.start < value.end)
            if (next !== undefined) {
              assert.isTrue(value.end <= next.start)
              assert.isFalse(value.end === next.start && value.color === next.color, "could be merged")
            }
          }
        }
        for (let at = 0; at < CELLS; at++) {
          assert.strictEqual(map.find(at)?.color ?? 0, model[at])
          const after = model.findIndex((color, index) => index >= at && color !== 0)
          const found = map.firstEndingAfter(at)
          assert.strictEqual(found === undefined ? -1 : Math.max(at, found.start), after)
        }
      }),
      { numRuns: 300 }
    )
  })

  it("finds the highest and the lowest gap, away from guarded values", () => {
    const gap = fc.record({
      edits: fc.array(edit, { maxLength: 12 }),
      length: fc.integer({ min: 1, max: 10 }),
      low: fc.integer({ min: 0, max: 20 }),
      high: fc.integer({ min: 21, max: CELLS })
    })
    fc.assert(
      fc.property(gap, ({ edits, high, length, low }) => {
        const { map } = make()
        for (const { color, length: size, start } of edits) {
          map.replace(
            start,
            Math.min(CELLS, start + size),
            color === 0 ? [] : [{ start, end: Math.min(CELLS, start + size), color }]
          )
        }
        // colour 2 keeps two cells below it free
        const guard = (value: Colored): number => (value.color === 2 ? 2 : 0)
        const model = cells(map)
        const free = (start: number): boolean => {
          for (let at = start; at < start + length; at++) if (model[at] !== 0) return false
          const first = [...map.values()].find((value) => value.start >= start + length)
          return first === undefined || first.start - guard(first) >= start + length
        }
        const starts = Array.from({ length: Math.max(0, high - length - low + 1) }, (_, index) => low + index).filter(
          free
        )
        assert.strictEqual(map.highestGap(length, low, high, guard), starts.at(-1))
        assert.strictEqual(map.lowestGap(length, low, high, guard), starts[0])
      }),
      { numRuns: 1000 }
    )
  })
})
