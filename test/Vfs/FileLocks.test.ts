import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { EAGAIN, EDEADLK } from "../../src/Abi/Errno.ts"
import { FileLocks, MAX_OFFSET } from "../../src/Vfs/FileLocks.ts"

const inode = {}
const other = {}
const lock = (owner: object, exclusive: boolean, start: number, end: number) => ({
  owner,
  exclusive,
  start: BigInt(start),
  end: BigInt(end),
  pid: 1
})

describe("record locks", () => {
  it("behave like an array of owners per byte", () => {
    const owners = [{}, {}, {}] as const
    const Step = fc.record({
      owner: fc.nat(2),
      kind: fc.constantFrom("read", "write", "unlock"),
      start: fc.nat(11),
      length: fc.integer({ min: 1, max: 5 })
    })
    fc.assert(
      fc.property(fc.array(Step, { maxLength: 30 }), (steps) => {
        const locks = new FileLocks()
        const model = owners.map(() => Array.from({ length: 16 }, () => "-"))
        for (const { owner, kind, start, length } of steps) {
          const end = start + length - 1
          const mine = model[owner]!
          const bytes = Array.from({ length }, (_, i) => start + i)
          if (kind === "unlock") {
            locks.release(inode, owners[owner]!, { start: BigInt(start), end: BigInt(end) })
            for (const at of bytes) mine[at] = "-"
          } else {
            const free = bytes.every((at) =>
              model.every((held, who) => who === owner || held[at] === "-" || (held[at] === "r" && kind === "read"))
            )
            const result = locks.acquire(inode, lock(owners[owner]!, kind === "write", start, end))
            assert.strictEqual(result, free ? 0 : -EAGAIN)
            if (free) for (const at of bytes) mine[at] = kind === "write" ? "w" : "r"
          }
          for (const [who, held] of model.entries()) {
            const shown = Array.from({ length: 16 }, () => "-")
            for (const record of locks.records(inode)) {
              if (record.owner !== owners[who]) continue
              for (let at = Number(record.start); at <= Number(record.end); at++)
                shown[at] = record.exclusive ? "w" : "r"
            }
            assert.deepStrictEqual(shown, held)
          }
        }
      }),
      { numRuns: 300 }
    )
  })

  it("join neighbours of one kind and reach the end of the file", () => {
    const locks = new FileLocks()
    const me = {}
    locks.acquire(inode, lock(me, true, 0, 9))
    locks.acquire(inode, lock(me, true, 20, 29))
    locks.acquire(inode, lock(me, true, 10, 19))
    assert.deepStrictEqual(locks.records(inode), [lock(me, true, 0, 29)])
    locks.acquire(inode, { ...lock(me, true, 30, 0), end: MAX_OFFSET })
    assert.strictEqual(locks.records(inode)[0]!.end, MAX_OFFSET)
    assert.strictEqual(locks.records(inode).length, 1)
  })

  it("find a circle of waiters, over two files too", () => {
    const locks = new FileLocks()
    const [a, b, c] = [{}, {}, {}]
    locks.acquire(inode, lock(a, true, 0, 0))
    locks.acquire(other, lock(b, true, 0, 0))
    locks.acquire(inode, lock(c, true, 5, 5))
    const aWaits = lock(a, true, 0, 0)
    assert.strictEqual(locks.beginWait(other, aWaits), 0)
    assert.strictEqual(locks.beginWait(inode, lock(c, true, 0, 0)), 0)
    assert.strictEqual(locks.beginWait(inode, lock(b, false, 0, 9)), -EDEADLK)
    locks.endWait(aWaits)
    assert.strictEqual(locks.beginWait(inode, lock(b, false, 0, 0)), 0)
  })

  it("wake who waits when a lock goes", () => {
    const locks = new FileLocks()
    let woken = 0
    locks.acquire(inode, lock(other, true, 0, 9))
    locks.waiters(inode).add({ events: 1, wake: () => woken++ })
    locks.release(inode, other, { start: 5n, end: 5n })
    assert.strictEqual(woken, 1)
    locks.acquire(inode, lock(other, false, 0, 2))
    assert.strictEqual(woken, 2)
  })
})

describe("flock", () => {
  it("shares or excludes, and a refused conversion has lost the old lock", () => {
    const locks = new FileLocks()
    const [a, b] = [{}, {}]
    assert.strictEqual(locks.flock(inode, a, false), 0)
    assert.strictEqual(locks.flock(inode, b, false), 0)
    assert.strictEqual(locks.flock(inode, a, true), -EAGAIN)
    assert.strictEqual(locks.flock(inode, b, true), 0)
    locks.releaseFlock(inode, b)
    assert.strictEqual(locks.flock(inode, a, true), 0)
  })
})
