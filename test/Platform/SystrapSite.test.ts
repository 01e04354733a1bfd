import { assert, describe, it } from "@effect/vitest"
import { jumpTo, recognize, SITE_AHEAD, SITE_REACH } from "../../src/Platform/SystrapSite.ts"

const SYSCALL = [0x0f, 0x05]
const COMPARE = [0x48, 0x3d]
const NOP = 0x90

/** What is around a return address: code that ends in `before`, and goes on as `after`. */
const around = (before: ReadonlyArray<number>, after: ReadonlyArray<number> = COMPARE): Uint8Array => {
  const bytes = new Uint8Array(SITE_REACH + SITE_AHEAD).fill(NOP)
  bytes.set(before, SITE_REACH - before.length)
  bytes.set(after, SITE_REACH)
  return bytes
}

const movGetpid = [0xb8, 39, 0, 0, 0, ...SYSCALL]
const loadSixth = [0x4c, 0x8b, 0x4c, 0x24, 0x08, ...SYSCALL]
const read = [0x80, 0x3d, 0x10, 0, 0, 0, 0, 0x74, 0x17, 0x31, 0xc0, ...SYSCALL]

describe("call sites", () => {
  it("load the number of a call that is known", () => {
    const site = recognize(around(movGetpid), 0x1007, 39)
    assert.deepInclude(site, { address: 0x1000, nr: 39 })
    assert.deepEqual([...site!.original], movGetpid)
    assert.strictEqual(site!.prologue.length, 0)
  })

  it("load another number than the one that was called: somebody has jumped there", () => {
    assert.isUndefined(recognize(around(movGetpid), 0x1007, 40))
  })

  it("have the number in rax, where a comparison shows that flags don't matter", () => {
    assert.deepInclude(recognize(around(loadSixth), 0x1007, 1), { address: 0x1000, nr: undefined })
    assert.isUndefined(recognize(around(loadSixth, [0x73, 0x01]), 0x1007, 1))
  })

  it("are glibc's read(2), where a function begins", () => {
    const site = recognize(around(read), 0x100d, 0)
    assert.deepInclude(site, { address: 0x1000, nr: 0 })
    assert.deepEqual([...site!.original], read.slice(0, 7))
    // the flag is at 0x1007 + 0x10, the other way of the function at 0x1009 + 0x17
    const addresses = new DataView(site!.prologue.buffer)
    assert.strictEqual(addresses.getBigUint64(2, true), 0x1017n)
    assert.strictEqual(addresses.getBigUint64(18, true), 0x1020n)
    assert.isUndefined(recognize(around(read), 0x100f, 0))
    assert.isUndefined(recognize(around(read), 0x100d, 1))
  })

  it("are of no other form", () => {
    assert.isUndefined(recognize(around(SYSCALL), 0x1007, 39))
    assert.isUndefined(recognize(around([0x31, 0xc0, ...SYSCALL]), 0x1007, 0))
    assert.isUndefined(recognize(around([0xb8, 39, 0, 0, 0, 0xcd, 0x80]), 0x1007, 39))
  })

  it("keep their syscall under a jump to a record", () => {
    assert.deepEqual([...jumpTo(0x050f_1240)], [0xff, 0x24, 0x25, 0x40, 0x12, ...SYSCALL])
  })
})
