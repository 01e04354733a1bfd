/**
 * Chains of filters without a kernel around them. What programs mean is compared with the host's kernel elsewhere:
 * test/guest/seccomp_*.c and test/generated/filters.test.ts.
 */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { AUDIT_ARCH_X86_64, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_RET_TRAP } from "../../src/Abi/Seccomp.ts"
import { POLLHUP } from "../../src/Abi/Poll.ts"
import { allowsAlways, runProgram } from "../../src/Seccomp/BpfInterpreter.ts"
import { type BpfProgram, decodeProgram, isValidProgram, translatedLength } from "../../src/Seccomp/BpfProgram.ts"
import { FilterMemory } from "../../src/Seccomp/FilterMemory.ts"
import { SeccompFilter, seccompDepth, seccompMode } from "../../src/Seccomp/SeccompFilter.ts"
import { UserNotifications } from "../../src/Seccomp/UserNotifications.ts"
import { type Instruction, encodeFilter } from "../generated/Filters.ts"

const program = (...instructions: ReadonlyArray<Instruction>): BpfProgram => decodeProgram(encodeFilter(instructions))

const LOAD_NR: Instruction = [0x20, 0, 0, 0]
const ret = (value: number): Instruction => [0x06, 0, 0, value >>> 0]

/** `value` for call `nr`, all others are allowed. */
const onCall = (nr: number, value: number): BpfProgram =>
  program(LOAD_NR, [0x15, 0, 1, nr], ret(value), ret(SECCOMP_RET_ALLOW))

const memory = new FilterMemory()

const chain = (...programs: ReadonlyArray<BpfProgram>): SeccompFilter => {
  let filter: SeccompFilter | undefined
  for (const each of programs) {
    filter = new SeccompFilter({ program: each, previous: filter, logs: false, notifications: undefined, memory })
  }
  return filter!
}

const dataOf = (nr: number, args: ReadonlyArray<number> = []): Uint32Array => {
  const data = new Uint32Array(16)
  data.set([nr, AUDIT_ARCH_X86_64])
  data.set(args, 4)
  return data
}

/** Filters that look at little more than the number. */
const decision = fc
  .array(
    fc.oneof(
      fc.constantFrom<Instruction>(
        LOAD_NR,
        LOAD_NR,
        [0x20, 0, 0, 4],
        [0x20, 0, 0, 16],
        [0x54, 0, 0, 3],
        [0x44, 0, 0, 1]
      ),
      fc.constantFrom(
        ret(SECCOMP_RET_ALLOW),
        ret(SECCOMP_RET_ALLOW),
        ret(SECCOMP_RET_ERRNO),
        ret(SECCOMP_RET_ALLOW | 1)
      ),
      fc.tuple(
        fc.constantFrom(0x15, 0x25, 0x35, 0x45, 0x1d),
        fc.integer({ min: 0, max: 3 }),
        fc.integer({ min: 0, max: 3 }),
        fc.constantFrom(0, 1, 2, 3, 0x8000_0000, AUDIT_ARCH_X86_64)
      )
    ),
    { minLength: 1, maxLength: 12 }
  )
  .map((body) =>
    program(
      LOAD_NR,
      ...body.map(([code, jt, jf, k], at): Instruction => [code, jt % (body.length - at), jf % (body.length - at), k]),
      ret(SECCOMP_RET_ALLOW)
    )
  )

describe("the interpreter", () => {
  it("says of every call that it allows always that it allows it", () => {
    let always = 0
    let asked = 0
    fc.assert(
      fc.property(decision, fc.array(fc.constantFrom(0, 1, 2, 3, 0xffff_ffff), { minLength: 12 }), (filter, args) => {
        assert.isTrue(isValidProgram(filter))
        for (let nr = -1; nr < 5; nr++) {
          asked++
          if (!allowsAlways(filter, nr)) continue
          always++
          assert.strictEqual(runProgram(filter, dataOf(nr, args.slice(0, 12))), SECCOMP_RET_ALLOW)
        }
      }),
      { numRuns: 5000, seed: 5 }
    )
    assert.isAbove(always, asked / 10)
    assert.isBelow(always, asked / 2)
  })

  it("decides on the number and the architecture without knowing more", () => {
    const filter = program(
      [0x20, 0, 0, 4],
      [0x15, 1, 0, AUDIT_ARCH_X86_64],
      ret(0),
      LOAD_NR,
      [0x35, 0, 1, 100],
      ret(SECCOMP_RET_ERRNO),
      [0x15, 0, 1, 5],
      [0x20, 0, 0, 16], // only for call 5 the argument counts
      ret(SECCOMP_RET_ALLOW)
    )
    assert.isTrue(isValidProgram(filter))
    assert.deepEqual(
      [4, 5, 99, 100].map((nr) => allowsAlways(filter, nr)),
      [true, false, true, false]
    )
  })
})

describe("a chain of filters", () => {
  const filter = chain(onCall(1, SECCOMP_RET_ERRNO | 5), onCall(2, SECCOMP_RET_ERRNO | 6), onCall(1, SECCOMP_RET_TRAP))

  it("takes the strictest action, and of equals the newest", () => {
    assert.strictEqual(filter.judge(dataOf(1))?.value, SECCOMP_RET_TRAP)
    assert.strictEqual(filter.judge(dataOf(2))?.value, SECCOMP_RET_ERRNO | 6)
    assert.strictEqual(filter.judge(dataOf(3)), undefined)
    const both = chain(onCall(1, SECCOMP_RET_ERRNO | 5), onCall(1, SECCOMP_RET_ERRNO | 7))
    assert.deepEqual(both.judge(dataOf(1)), { value: SECCOMP_RET_ERRNO | 7, filter: both })
  })

  it("allows always what every filter does", () => {
    for (let time = 0; time < 2; time++) {
      // the second time it remembers
      assert.deepEqual(
        [1, 2, 3, 511].map((nr) => filter.allowsAlways(nr)),
        [false, false, true, true]
      )
    }
    assert.isFalse(filter.allowsAlways(512), "what is not remembered is asked")
    assert.isFalse(filter.allowsAlways(0xffff_ffff))
  })

  it("counts its filters", () => {
    assert.deepEqual([seccompMode(filter), seccompDepth(filter)], [2, 3])
    assert.deepEqual([seccompMode("Strict"), seccompDepth("Strict")], [1, 0])
    assert.deepEqual([seccompMode(undefined), seccompDepth(undefined)], [0, 0])
  })

  it("knows its ancestors", () => {
    assert.isTrue(filter.descendsFrom(undefined))
    assert.isTrue(filter.descendsFrom(filter))
    assert.isTrue(filter.descendsFrom(filter.previous))
    assert.isFalse(filter.previous!.descendsFrom(filter))
  })

  it("tells a listener when the last task has gone", () => {
    const notifications = new UserNotifications(1n, false)
    const events: Array<number> = []
    notifications.waiters.add({ events: 0, wake: (bits) => events.push(bits) })
    const oldest = new SeccompFilter({ program: onCall(1, 0), previous: undefined, logs: false, notifications, memory })
    oldest.retain() // the task that made it
    const newer = new SeccompFilter({
      program: onCall(1, 0),
      previous: oldest,
      logs: false,
      notifications: undefined,
      memory
    })
    newer.retain() // its child, which adds one and had the oldest until then
    oldest.retain().release()
    oldest.release()
    assert.isFalse(oldest.isOrphan)
    assert.deepEqual(events, [])
    newer.release()
    assert.isTrue(oldest.isOrphan)
    assert.deepEqual(events, [POLLHUP])
  })

  it("is bounded in all of a sandbox too", () => {
    const little = new FilterMemory()
    const large = program(...Array.from({ length: 4095 }, (): Instruction => LOAD_NR), ret(0))
    const made: Array<SeccompFilter> = []
    while (made.length < 10_000) {
      const next = new SeccompFilter({
        program: large,
        previous: undefined,
        logs: false,
        notifications: undefined,
        memory: little
      })
      if (next.sizeError < 0) break
      made.push(next.retain())
    }
    assert.isAbove(made.length, 1000)
    assert.isBelow(made.length, 10_000)
    made[0]!.release()
    assert.strictEqual(made[1]!.sizeError, 0, "what nobody has takes no room")
  })

  it("is bounded as Linux bounds it, by its own translation", () => {
    assert.strictEqual(translatedLength(program(ret(0))), 5)
    assert.strictEqual(translatedLength(program([0x34, 0, 0, 2], [0x3c, 0, 0, 0], [0x16, 0, 0, 0])), 3 + 1 + 5 + 1)
    const long = program(...Array.from({ length: 4095 }, (_, k): Instruction => [0x00, 0, 0, k]), ret(0))
    assert.strictEqual(chain(...Array.from({ length: 7 }, () => long)).sizeError, 0)
    assert.isBelow(chain(...Array.from({ length: 8 }, () => long)).sizeError, 0)
  })
})
