/**
 * The rules of mmap(2) and its relatives against the host's kernel: the same calls, the same answers, the same map.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { release, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Mman from "../../src/Abi/Mman.ts"
import { makeLayout } from "../../src/Memory/AddressLayout.ts"
import { advise, synchronize } from "../../src/Memory/AdviseRegion.ts"
import { lock, unlock } from "../../src/Memory/LockRegion.ts"
import { map, unmap } from "../../src/Memory/MapRegion.ts"
import { MemoryManager, type Outcome } from "../../src/Memory/MemoryManager.ts"
import { protect } from "../../src/Memory/ProtectRegion.ts"
import { remap } from "../../src/Memory/RemapRegion.ts"
import { FakeAddressSpace, FakeFile } from "./FakeAddressSpace.ts"

const PAGE = 4096
const ARENA = 0x10_0000_0000
const PAGES = 32

let directory = ""

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "memory-"))
  const source = fileURLToPath(new URL("memoryOracle.c", import.meta.url))
  execFileSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", join(directory, "oracle"), source])
  writeFileSync(join(directory, "file"), Buffer.alloc(64 * PAGE))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

type Call = readonly [name: string, address: number, length: number, ...rest: ReadonlyArray<number>]

/** The host's answers, and the map in the end as the last one. */
const ask = (calls: ReadonlyArray<Call>): ReadonlyArray<string> => {
  const input = calls.map((call) => `${call.join(" ")}\n`).join("")
  const { stdout } = spawnSync(join(directory, "oracle"), [join(directory, "file")], { input, encoding: "latin1" })
  return stdout.trimEnd().split("\n")
}

const answer = (outcome: Outcome): string => {
  const result = typeof outcome === "number" ? outcome : Effect.runSync(outcome)
  if (result <= 0) return String(result)
  return result >= ARENA && result < ARENA + 2 * PAGES * PAGE ? String((result - ARENA) / PAGE) : "+"
}

/** Ours. */
const perform = (calls: ReadonlyArray<Call>): ReadonlyArray<string> => {
  const space = new FakeAddressSpace()
  const manager = new MemoryManager(space, makeLayout(0x7fff_ffff_f000, 8 * 1024 * 1024, undefined), 2 ** 40)
  const files = [undefined, new FakeFile(5), new FakeFile(6, true, false), new FakeFile(7, false, true)]
  const by = { limits: { soft: () => Infinity }, mayLock: true }
  const run = ([name, offset, length, a = 0, b = 0, c = 0, d = 0]: Call): Outcome => {
    const address = ARENA + offset
    switch (name) {
      case "map":
        return map(manager, { address, length, protection: a, flags: b, file: files[c], offset: d, by })
      case "unmap":
        return unmap(manager, address, length)
      case "protect":
        return protect(manager, address, length, a, by)
      case "advise":
        return advise(manager, address, length, a)
      case "sync":
        return synchronize(manager, address, length, a)
      case "lock":
        return lock(manager, address, length, 0, by)
      case "unlock":
        return unlock(manager, address, length)
      default:
        return remap(manager, { address, oldLength: length, newLength: a, flags: b, newAddress: ARENA + c, by })
    }
  }
  const answers = calls.map((call) => answer(run(call)))
  const page = (index: number): string => {
    const vma = manager.areas.find(ARENA + index * PAGE)
    if (vma === undefined) return "-"
    const bit = (mask: number, letter: string) => ((vma.protection & mask) !== 0 ? letter : "-")
    return bit(1, "r") + bit(2, "w") + bit(4, "x") + (vma.shared ? "s" : "p")
  }
  return [...answers, Array.from({ length: 2 * PAGES }, (_, index) => page(index)).join(" ")]
}

const { MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE } = Mman

/** Mostly whole pages; sometimes an odd byte, nothing, or nonsense. */
const odd = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(1, 100, 4095) })
const bytes = (max: number, min = 0) =>
  fc.tuple(fc.integer({ min, max }), odd).map(([pages, extra]) => pages * PAGE + extra)
const address = bytes(PAGES - 1)
const length = bytes(6)
const protection = fc.constantFrom(0, 1, 3, 3, 3, 5, 7, 8 | 3)
const kind = fc.constantFrom(MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE, 0)

/** Since Linux 6.17 a fixed move takes several mappings at once, as this kernel does; an older host is not asked. */
const [major = 0, minor = 0] = release().split(".").map(Number)
const remapFlags = major > 6 || (major === 6 && minor >= 17) ? [0, 1, 1, 3, 3, 5, 7, 2, 4, 8] : [0, 1, 1, 5, 2, 4, 8]

const mapCall = fc
  .record({
    address,
    length,
    protection,
    kind,
    how: fc.constantFrom(MAP_FIXED, MAP_FIXED, MAP_FIXED_NOREPLACE, 0),
    file: fc.integer({ min: 0, max: 3 }),
    offset: bytes(8),
    extra: fc.constantFrom(
      0,
      0,
      0,
      0,
      Mman.MAP_NORESERVE,
      Mman.MAP_LOCKED,
      Mman.MAP_POPULATE,
      Mman.MAP_NONBLOCK,
      Mman.MAP_STACK
    )
  })
  .map((m): Call => {
    const flags = m.kind | m.how | m.extra | (m.file === 0 ? MAP_ANONYMOUS : 0)
    return ["map", m.address, m.length, m.protection, flags, m.file, m.file === 0 ? 0 : m.offset]
  })

const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 5, arbitrary: mapCall },
  { weight: 2, arbitrary: fc.tuple(fc.constant("unmap"), address, length) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("protect"), address, length, protection) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.constant("remap"),
      address,
      length,
      length,
      fc.constantFrom(...remapFlags),
      bytes(PAGES - 1, PAGES / 2)
    )
  },
  {
    weight: 2,
    arbitrary: fc.tuple(
      fc.constant("advise"),
      address,
      length,
      fc.constantFrom(0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 20, 21, 24, 99)
    )
  },
  { weight: 1, arbitrary: fc.tuple(fc.constant("sync"), address, length, fc.integer({ min: 0, max: 8 })) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("lock", "unlock"), address, length) }
)

describe("memory calls", { timeout: 120_000 }, () => {
  it("are answered as the host answers them", () => {
    fc.assert(
      fc.property(fc.array(call, { minLength: 1, maxLength: 25, size: "max" }), (calls) => {
        assert.deepStrictEqual(perform(calls), ask(calls))
      }),
      { numRuns: Number(process.env["MEMORY_RUNS"] ?? 200) }
    )
  })
})
