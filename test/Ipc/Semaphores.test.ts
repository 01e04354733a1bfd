/**
 * semop(2) as list arithmetic: calls are all or nothing, nobody waits who could go on, and who came first goes first.
 */
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import { EAGAIN, EIDRM, ERANGE } from "../../src/Abi/Errno.ts"
import { IPC_NOWAIT, SEM_UNDO, SEMVMX } from "../../src/Abi/Ipc.ts"
import { SemaphoreCall, SemaphoreSet, SemaphoreUndo } from "../../src/Ipc/Semaphores.ts"
import type { Credentials } from "../../src/Vfs/Credentials.ts"
import { firstUserNamespace } from "../../src/Vfs/UserNamespace.ts"

const COUNT = 3

const nobody: Credentials = {
  userNamespace: firstUserNamespace,
  ruid: 1,
  euid: 1,
  suid: 1,
  fsuid: 1,
  rgid: 1,
  egid: 1,
  sgid: 1,
  fsgid: 1,
  groups: [],
  effective: 0n,
  permitted: 0n,
  inheritable: 0n,
  bounding: 0n,
  ambient: 0n
}

const makeSet = (): SemaphoreSet => new SemaphoreSet(1, 0o600, nobody, COUNT, () => 1)
const valuesOf = (set: SemaphoreSet): ReadonlyArray<number> => set.semaphores.map(({ value }) => value)

/** Few values, all of them edges. */
const operation = fc.record({
  sem_num: fc.integer({ min: 0, max: COUNT - 1 }),
  sem_op: fc.constantFrom(-2, -1, 0, 1, 2, SEMVMX),
  sem_flg: fc.constantFrom(0, 0, 0, IPC_NOWAIT)
})
type Operation = { readonly sem_num: number; readonly sem_op: number; readonly sem_flg: number }
const calls = fc.array(fc.array(operation, { minLength: 1, maxLength: 3 }), { maxLength: 12 })

/** What a call comes to on `values`: those after it, -errno, or undefined if it must wait. */
const attempt = (
  values: ReadonlyArray<number>,
  operations: ReadonlyArray<Operation>
): ReadonlyArray<number> | number | undefined => {
  const next = [...values]
  for (const { sem_flg, sem_num, sem_op } of operations) {
    const value = next[sem_num]! + sem_op
    if (value < 0 || (sem_op === 0 && value !== 0)) return sem_flg === IPC_NOWAIT ? -EAGAIN : undefined
    if (value > SEMVMX) return -ERANGE
    next[sem_num] = value
  }
  return next
}

interface Waiting {
  readonly index: number
  readonly operations: ReadonlyArray<Operation>
}

/** Results by call; undefined for those that wait in the end. */
const model = (all: ReadonlyArray<ReadonlyArray<Operation>>) => {
  let values: ReadonlyArray<number> = Array.from({ length: COUNT }, () => 0)
  const results: Array<number | undefined> = all.map(() => undefined)
  let waiting: Array<Waiting> = []
  const isPassive = ({ operations }: Waiting): boolean => operations.every(({ sem_op }) => sem_op === 0)
  const tryOne = (one: Waiting): boolean => {
    const outcome = attempt(values, one.operations)
    if (outcome === undefined) return false
    results[one.index] = typeof outcome === "number" ? outcome : 0
    if (typeof outcome !== "number") values = outcome
    waiting = waiting.filter((other) => other !== one)
    return typeof outcome !== "number" && !isPassive(one)
  }
  all.forEach((operations, index) => {
    const call = { index, operations }
    let again = tryOne(call)
    if (results[index] === undefined) waiting.push(call)
    while (again) {
      again = false
      for (const one of waiting.filter(isPassive)) tryOne(one)
      for (const one of waiting.filter((other) => !isPassive(other))) again = tryOne(one) || again
    }
  })
  return { values, results }
}

describe("semaphore sets", () => {
  test("do what list arithmetic says, whatever is asked of them", () => {
    fc.assert(
      fc.property(calls, (all) => {
        const set = makeSet()
        const made = all.map((operations) => new SemaphoreCall(operations, 7, undefined))
        for (const call of made) set.submit(call)
        const expected = model(all)
        expect(made.map(({ result }) => result)).toEqual(expected.results)
        expect(valuesOf(set)).toEqual(expected.values)
      }),
      { numRuns: 500 }
    )
  })

  test("are as before a process when it has undone what it did", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 12 }), (operations) => {
        const set = makeSet()
        set.set(0, [5, 5, 5], 1)
        const undo = new SemaphoreUndo()
        for (const one of operations) {
          const call = { ...one, sem_flg: SEM_UNDO | IPC_NOWAIT }
          set.attempt(new SemaphoreCall([call], 7, undo.of(set)))
        }
        undo.leave(7)
        expect(valuesOf(set)).toEqual([5, 5, 5])
        expect(set.undos.size).toBe(0)
      })
    )
  })

  test("count a waiting call only where it is stuck", () => {
    const set = makeSet()
    const wants = [
      { sem_num: 0, sem_op: -1, sem_flg: 0 },
      { sem_num: 1, sem_op: -1, sem_flg: 0 }
    ]
    const call = new SemaphoreCall(wants, 7, undefined)
    set.submit(call)
    expect([set.countWaiting(0, false), set.countWaiting(1, false)]).toEqual([1, 0])
    set.set(0, [1], 7)
    expect([set.countWaiting(0, false), set.countWaiting(1, false)]).toEqual([0, 1])
    set.cancel(call)
    expect(set.countWaiting(1, false)).toBe(0)
  })

  test("fail everybody who waits when they are removed", () => {
    const set = makeSet()
    const call = new SemaphoreCall([{ sem_num: 0, sem_op: -1, sem_flg: 0 }], 7, undefined)
    let told = 0
    call.onDone = () => told++
    set.submit(call)
    set.end()
    expect([call.result, told]).toEqual([-EIDRM, 1])
  })
})
