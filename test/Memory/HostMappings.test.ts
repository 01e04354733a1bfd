/**
 * The list of areas against what the host says is mapped in the stub: the same pages with the same protection, after
 * any sequence of calls.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as Mman from "../../src/Abi/Mman.ts"
import { makeLayout } from "../../src/Memory/AddressLayout.ts"
import { map, unmap } from "../../src/Memory/MapRegion.ts"
import { MemoryManager, type Outcome } from "../../src/Memory/MemoryManager.ts"
import { protect } from "../../src/Memory/ProtectRegion.ts"
import { remap } from "../../src/Memory/RemapRegion.ts"
import { Platform } from "../../src/Platform/Platform.ts"
import * as PtracePlatform from "../../src/Platform/PtracePlatform.ts"

const PAGE = 4096
const { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } = Mman

/** Each run of pages with one protection below `limit`, as "start-end rwxp"; neighbours that are alike are one. */
const runs = (ranges: Iterable<readonly [start: number, end: number, how: string]>): ReadonlyArray<string> => {
  const result: Array<{ start: number; end: number; how: string }> = []
  for (const [start, end, how] of ranges) {
    const last = result.at(-1)
    if (last !== undefined && last.end === start && last.how === how) last.end = end
    else result.push({ start, end, how })
  }
  return result.map(({ end, how, start }) => `${start.toString(16)}-${end.toString(16)} ${how}`)
}

const hostRuns = (tid: number, limit: number): ReadonlyArray<string> =>
  runs(
    readFileSync(`/proc/${tid}/maps`, "latin1")
      .split("\n")
      .flatMap((line): ReadonlyArray<readonly [number, number, string]> => {
        const found = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line)
        if (found === null) return []
        const [start, end] = [Number.parseInt(found[1] ?? "", 16), Number.parseInt(found[2] ?? "", 16)]
        return start < limit ? [[start, end, found[3] ?? ""]] : []
      })
  )

const listRuns = (manager: MemoryManager): ReadonlyArray<string> =>
  runs(
    [...manager.vmas()].map(({ end, protection, shared, start }) => {
      const bit = (mask: number, letter: string) => ((protection & mask) !== 0 ? letter : "-")
      return [start, end, bit(1, "r") + bit(2, "w") + bit(4, "x") + (shared ? "s" : "p")] as const
    })
  )

/** A small generator of numbers below `bound`, from a seed. */
const random = (seed: number) => {
  let state = seed
  return (bound: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

describe("the areas of a guest on the ptrace platform", { timeout: 60_000 }, () => {
  it.live("are what the host has mapped, whatever was asked", () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const context = yield* platform.makeContext
      const { addressSpace } = context
      const tid = "tid" in context && typeof context.tid === "number" ? context.tid : 0
      assert.isAbove(tid, 0)
      const layout = makeLayout(platform.taskSize, 8 * 1024 * 1024, undefined)
      const manager = new MemoryManager(addressSpace, layout, 2 ** 40)
      const by = { limits: { soft: () => Infinity }, mayLock: true }
      const next = random(7)
      const perform = (): Outcome => {
        const address = 0x10_0000_0000 + next(40) * PAGE
        const length = (1 + next(8)) * PAGE
        const protection = [0, 1, 3, 5][next(4)] ?? 0
        const flags = MAP_ANONYMOUS | (next(3) === 0 ? MAP_SHARED : MAP_PRIVATE) | (next(4) === 0 ? 0 : MAP_FIXED)
        switch (next(4)) {
          case 0:
            return map(manager, { address, length, protection, flags, file: undefined, offset: 0, by })
          case 1:
            return unmap(manager, address, length)
          case 2:
            return protect(manager, address, length, protection, by)
          default: {
            const newAddress = 0x10_0000_0000 + (40 + next(40)) * PAGE
            const remapFlags = [0, 1, 3, 5][next(4)] ?? 0
            const newLength = next(2) === 0 ? length : (1 + next(8)) * PAGE
            return remap(manager, { address, oldLength: length, newLength, flags: remapFlags, newAddress, by })
          }
        }
      }
      for (let step = 0; step < 600; step++) {
        const outcome = perform()
        if (typeof outcome !== "number") yield* outcome
        if (step % 10 === 0) assert.deepStrictEqual(listRuns(manager), hostRuns(tid, platform.taskSize))
      }
      assert.isAbove(manager.areas.size, 5)
      const child = yield* context.clone("copy")
      const forked = manager.fork(child.addressSpace)
      assert.deepStrictEqual(listRuns(forked), listRuns(manager))
      yield* child.release
      yield* context.release
    }).pipe(Effect.provide(PtracePlatform.layer))
  )
})
