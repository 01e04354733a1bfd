import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Errno from "../../src/Abi/Errno.ts"
import * as Mman from "../../src/Abi/Mman.ts"
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from "../../src/Abi/Resource.ts"
import { makeLayout } from "../../src/Memory/AddressLayout.ts"
import { advise, synchronize } from "../../src/Memory/AdviseRegion.ts"
import { lock, lockAll, unlock } from "../../src/Memory/LockRegion.ts"
import { map, type MapRequest, unmap } from "../../src/Memory/MapRegion.ts"
import { MemoryManager, type Outcome, type Requester } from "../../src/Memory/MemoryManager.ts"
import { setBreak } from "../../src/Memory/ProgramBreak.ts"
import { protect } from "../../src/Memory/ProtectRegion.ts"
import { remap, type RemapRequest } from "../../src/Memory/RemapRegion.ts"
import { anonymous, countedSize, isData, isFile, visibleStart, VMA_GROWSDOWN } from "../../src/Memory/Vma.ts"
import { FakeAddressSpace, FakeFile } from "./FakeAddressSpace.ts"

const PAGE = 4096
const TASK_SIZE = 0x7fff_ffff_f000
const BASE = 0x10_0000_0000
const { MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_PRIVATE, MAP_SHARED, PROT_READ, PROT_WRITE } = Mman
const RW = PROT_READ | PROT_WRITE

const run = (outcome: Outcome): number => (typeof outcome === "number" ? outcome : Effect.runSync(outcome))

const requester = (limits: Record<number, number> = {}, mayLock = false): Requester => ({
  limits: { soft: (resource) => limits[resource] ?? Infinity },
  mayLock
})

const make = () => {
  const space = new FakeAddressSpace()
  const manager = new MemoryManager(space, makeLayout(TASK_SIZE, 8 * 1024 * 1024, undefined), 2 ** 34)
  return { manager, space }
}

const mapping = (request: Partial<MapRequest>): MapRequest => ({
  address: 0,
  length: PAGE,
  protection: RW,
  flags: MAP_PRIVATE | (request.file === undefined ? MAP_ANONYMOUS : 0),
  file: undefined,
  offset: 0,
  by: requester(),
  ...request
})

const moving = (request: Partial<RemapRequest>): RemapRequest => ({
  address: BASE,
  oldLength: PAGE,
  newLength: PAGE,
  flags: 0,
  newAddress: 0,
  by: requester(),
  ...request
})

const fixed = (index: number, pages: number, rest: Partial<MapRequest> = {}): MapRequest =>
  mapping({
    address: BASE + index * PAGE,
    length: pages * PAGE,
    flags: MAP_FIXED | MAP_PRIVATE | (rest.file === undefined ? MAP_ANONYMOUS : 0),
    ...rest
  })

/** The list and the pages of the host say the same, and the sums are the sums. */
const assertConsistent = (manager: MemoryManager, space: FakeAddressSpace): void => {
  let pages = 0
  const sums = { size: 0, data: 0 }
  for (const vma of manager.vmas()) {
    sums.size += countedSize(vma)
    if (isData(vma)) sums.data += countedSize(vma)
    for (let at = vma.start; at < vma.end; at += PAGE) {
      pages++
      const page = space.pages.get(at / PAGE)
      assert.isDefined(page, `page ${at.toString(16)} is mapped`)
      assert.strictEqual(page?.protection, vma.protection)
      assert.strictEqual(page?.shared, vma.shared)
      const { backing } = vma
      if (backing !== undefined && isFile(backing.object)) {
        const host = backing.object.mappable()
        assert.deepStrictEqual(
          page?.source,
          typeof host === "number" ? undefined : { fd: host.fd, offset: backing.offset + at - vma.start }
        )
      } else assert.isUndefined(page?.source)
    }
  }
  assert.strictEqual(space.pages.size, pages, "nothing else is mapped")
  const { data, size } = manager.totals()
  assert.deepStrictEqual({ size, data }, sums)
}

describe("MemoryManager", () => {
  it("keeps the list and the host's pages equal, whatever is asked, and every file's references counted", () => {
    const page = fc.integer({ min: 0, max: 15 })
    const pages = fc.integer({ min: 0, max: 4 })
    const protection = fc.constantFrom(0, PROT_READ, RW, PROT_READ | Mman.PROT_EXEC)
    const command = fc.oneof(
      fc.record({
        op: fc.constant("map" as const),
        page,
        pages,
        protection,
        file: fc.integer({ min: 0, max: 2 }),
        shared: fc.boolean()
      }),
      fc.record({ op: fc.constant("unmap" as const), page, pages }),
      fc.record({ op: fc.constant("protect" as const), page, pages, protection }),
      fc.record({
        op: fc.constant("remap" as const),
        page,
        pages,
        to: page,
        size: pages,
        flags: fc.constantFrom(0, 1, 1, 3, 3, 5, 7, 2)
      }),
      fc.record({ op: fc.constant("advise" as const), page, pages, advice: fc.constantFrom(4, 8, 10, 11, 18, 19) }),
      fc.record({ op: fc.constant("lock" as const), page, pages, on: fc.boolean() }),
      fc.record({ op: fc.constant("fail" as const), page, pages })
    )
    fc.assert(
      fc.property(fc.array(command, { minLength: 5, maxLength: 60, size: "max" }), (commands) => {
        const { manager, space } = make()
        const files = [new FakeFile(5), new FakeFile(6, true, false)]
        const by = requester()
        for (const command of commands) {
          const address = BASE + command.page * PAGE
          const length = command.pages * PAGE
          switch (command.op) {
            case "map": {
              const file = files[command.file - 1]
              const flags =
                MAP_FIXED | (command.shared ? MAP_SHARED : MAP_PRIVATE) | (file === undefined ? MAP_ANONYMOUS : 0)
              const offset = file === undefined ? 0 : command.page * PAGE
              run(map(manager, mapping({ address, length, protection: command.protection, flags, file, offset })))
              break
            }
            case "unmap":
              run(unmap(manager, address, length))
              break
            case "protect":
              run(protect(manager, address, length, command.protection, by))
              break
            case "remap": {
              const { flags, size, to } = command
              const newAddress = BASE + to * PAGE
              run(remap(manager, { address, oldLength: length, newLength: size * PAGE, flags, newAddress, by }))
              break
            }
            case "advise":
              run(advise(manager, address, length, command.advice))
              break
            case "lock":
              run(command.on ? lock(manager, address, length, 0, by) : unlock(manager, address, length))
              break
            case "fail": {
              // the host refuses: nothing changes
              const before = [...manager.vmas()]
              space.failure = -Errno.ENOMEM
              run(map(manager, mapping({ address, length })))
              run(unmap(manager, address, length))
              run(protect(manager, address, length, 0, by))
              run(remap(manager, moving({ address, oldLength: length, newLength: PAGE, flags: 1 })))
              space.failure = 0
              assert.deepStrictEqual([...manager.vmas()], before)
              break
            }
          }
          assertConsistent(manager, space)
        }
        const child = manager.fork(new FakeAddressSpace())
        for (const file of files) {
          const count = (of: MemoryManager) => [...of.vmas()].filter((vma) => vma.backing?.object === file).length
          assert.strictEqual(file.references, 1 + count(manager) + count(child))
        }
        child.leave()
        manager.share().leave()
        manager.leave()
        assert.deepStrictEqual(
          files.map((file) => file.references),
          [1, 1]
        )
      }),
      { numRuns: 300 }
    )
  })

  it("mmap places mappings downwards from the base, side by side, and merges them", () => {
    const { manager } = make()
    const first = run(map(manager, mapping({ length: 3 * PAGE })))
    const second = run(map(manager, mapping({ length: PAGE })))
    assert.strictEqual(first, manager.layout.mmapBase - 3 * PAGE)
    assert.strictEqual(second, first - PAGE)
    assert.strictEqual(manager.areas.size, 1)
    assert.strictEqual(run(map(manager, mapping({ address: BASE + 5 }))), BASE)
    assert.strictEqual(run(map(manager, mapping({ address: BASE }))), second - PAGE, "a hint that is taken is ignored")
  })

  it("mmap fails as mmap(2) says", () => {
    const { manager, space } = make()
    space.keepsPages = false
    const fails = (request: Partial<MapRequest>) => run(map(manager, mapping(request)))
    const readOnly = new FakeFile(3, true, false)
    const writeOnly = new FakeFile(3, false, true)
    assert.strictEqual(fails({ length: 0 }), -Errno.EINVAL)
    assert.strictEqual(fails({ offset: 1 }), -Errno.EINVAL)
    assert.strictEqual(fails({ flags: MAP_ANONYMOUS }), -Errno.EINVAL)
    assert.strictEqual(fails({ flags: MAP_ANONYMOUS | Mman.MAP_SHARED_VALIDATE }), -Errno.EINVAL)
    assert.strictEqual(fails({ length: 2 ** 64 }), -Errno.ENOMEM)
    assert.strictEqual(fails({ length: 2 ** 47 }), -Errno.ENOMEM)
    assert.strictEqual(fails({ file: readOnly, offset: 2 ** 64 - 4096, length: 8192 }), -Errno.EOVERFLOW)
    assert.strictEqual(fails({ flags: MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE, address: BASE + 1 }), -Errno.EINVAL)
    assert.strictEqual(fails({ flags: MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE, address: 4096 }), -Errno.EPERM)
    assert.strictEqual(fails({ flags: MAP_FIXED | MAP_ANONYMOUS | MAP_PRIVATE, address: TASK_SIZE }), -Errno.ENOMEM)
    assert.strictEqual(fails({ file: readOnly, flags: MAP_SHARED }), -Errno.EACCES)
    assert.strictEqual(fails({ file: writeOnly }), -Errno.EACCES)
    assert.strictEqual(
      fails({ file: readOnly, flags: Mman.MAP_SHARED_VALIDATE | 0x8_0000, protection: 1 }),
      -Errno.EOPNOTSUPP
    )
    assert.strictEqual(fails({ length: 2 ** 34 + PAGE }), -Errno.ENOMEM, "more than could ever be backed")
    assert.isAbove(fails({ length: 2 ** 34 + PAGE, protection: PROT_READ }), 0)
    assert.isAbove(fails({ length: 2 ** 40, flags: MAP_ANONYMOUS | MAP_PRIVATE | Mman.MAP_NORESERVE }), 0)
    assert.strictEqual(fails({ by: requester({ [RLIMIT_AS]: 100 }) }), -Errno.ENOMEM)
    assert.strictEqual(fails({ by: requester({ [RLIMIT_DATA]: 100 }) }), -Errno.ENOMEM)
    assert.isAbove(fails({ by: requester({ [RLIMIT_DATA]: 100 }), protection: PROT_READ }), 0)
    assert.strictEqual(
      fails({ flags: MAP_ANONYMOUS | MAP_PRIVATE | Mman.MAP_LOCKED, by: requester({ [RLIMIT_MEMLOCK]: 0 }) }),
      -Errno.EPERM
    )
    assert.strictEqual(
      fails({ flags: MAP_ANONYMOUS | MAP_PRIVATE | Mman.MAP_LOCKED, by: requester({ [RLIMIT_MEMLOCK]: 1 }) }),
      -Errno.EAGAIN
    )
    run(map(manager, fixed(0, 4)))
    assert.strictEqual(
      fails({ address: BASE + PAGE, flags: MAP_FIXED_NOREPLACE | MAP_ANONYMOUS | MAP_PRIVATE }),
      -Errno.EEXIST
    )
    const executable = { protection: 5, file: readOnly, noExecute: true }
    assert.strictEqual(fails(executable), -Errno.EPERM)
    const data = fails({ ...executable, protection: 1 })
    assert.strictEqual(run(protect(manager, data, PAGE, 5, requester())), -Errno.EACCES)
    const low = fails({ flags: MAP_ANONYMOUS | MAP_PRIVATE | Mman.MAP_32BIT })
    assert.isTrue(low > 0 && low < 2 ** 31)
  })

  it("mprotect changes what lies below a hole, then fails; read-only shared files stay read-only", () => {
    const { manager, space } = make()
    const by = requester()
    run(map(manager, fixed(0, 2)))
    run(map(manager, fixed(4, 2)))
    assert.strictEqual(run(protect(manager, BASE, 6 * PAGE, PROT_READ, by)), -Errno.ENOMEM)
    assert.deepStrictEqual(
      [...manager.vmas()].map((vma) => vma.protection),
      [PROT_READ, RW]
    )
    assertConsistent(manager, space)
    const file = new FakeFile(3, true, false)
    run(map(manager, fixed(8, 2, { file, flags: MAP_FIXED | MAP_SHARED, protection: PROT_READ })))
    assert.strictEqual(run(protect(manager, BASE + 8 * PAGE, PAGE, RW, by)), -Errno.EACCES)
    assert.strictEqual(run(protect(manager, BASE + 1, PAGE, RW, by)), -Errno.EINVAL)
    assert.strictEqual(run(protect(manager, BASE, PAGE, 0x100, by)), -Errno.EINVAL)
    assert.strictEqual(run(protect(manager, BASE, 0, RW, by)), 0)
    assert.strictEqual(run(protect(manager, BASE, 2 ** 64, RW, by)), -Errno.ENOMEM)
  })

  it("mremap grows in place where it can, moves where it may, and keeps file offsets", () => {
    const { manager, space } = make()
    const file = new FakeFile(3)
    run(map(manager, fixed(0, 2, { file, offset: 7 * PAGE })))
    run(map(manager, fixed(4, 1)))
    assert.strictEqual(run(remap(manager, moving({ oldLength: 2 * PAGE, newLength: 4 * PAGE }))), BASE)
    assert.strictEqual(run(remap(manager, moving({ oldLength: 4 * PAGE, newLength: 5 * PAGE }))), -Errno.ENOMEM)
    const moved = run(remap(manager, moving({ oldLength: 4 * PAGE, newLength: 5 * PAGE, flags: 1 })))
    assert.isAbove(moved, BASE)
    assert.strictEqual(manager.areas.find(moved)?.backing?.offset, 7 * PAGE)
    assert.isUndefined(manager.areas.find(BASE))
    assertConsistent(manager, space)
    assert.strictEqual(run(remap(manager, moving({}))), -Errno.EFAULT)
    assert.strictEqual(run(remap(manager, moving({ flags: 2 }))), -Errno.EINVAL)
    assert.strictEqual(run(remap(manager, moving({ address: moved, newLength: 0 }))), -Errno.EINVAL)
    assert.strictEqual(run(remap(manager, moving({ address: moved, flags: 3, newAddress: moved }))), -Errno.EINVAL)
    assert.strictEqual(run(remap(manager, moving({ address: moved, oldLength: 0, flags: 1 }))), -Errno.EINVAL)
    assert.strictEqual(
      run(remap(manager, moving({ address: moved, oldLength: 99 * PAGE, newLength: 100 * PAGE }))),
      -Errno.EFAULT
    )
    const twin = run(map(manager, mapping({ flags: MAP_SHARED | MAP_ANONYMOUS })))
    const copy = run(remap(manager, moving({ address: twin, oldLength: 0, flags: 1 })))
    assert.deepStrictEqual(manager.sharedKey(copy), manager.sharedKey(twin))
    assertConsistent(manager, space)
  })

  it("brk gives the new break or the old one", () => {
    const { manager, space } = make()
    manager.image.startBrk = BASE
    manager.brkEnd = BASE
    const by = requester()
    assert.strictEqual(run(setBreak(manager, BASE + 5000, by)), BASE + 5000)
    assert.strictEqual(manager.nameOf(manager.areas.find(BASE)!), "[heap]")
    assert.strictEqual(run(setBreak(manager, BASE + 100, by)), BASE + 100)
    assert.strictEqual(manager.areas.find(BASE)?.end, BASE + PAGE)
    assert.strictEqual(run(setBreak(manager, BASE - 1, by)), BASE + 100)
    assert.strictEqual(run(setBreak(manager, 2 ** 62, by)), BASE + 100)
    run(map(manager, fixed(8, 1)))
    assert.strictEqual(run(setBreak(manager, BASE + 8 * PAGE, by)), BASE + 100, "one page stays free")
    assert.strictEqual(run(setBreak(manager, BASE + 7 * PAGE, by)), BASE + 7 * PAGE)
    assert.strictEqual(run(setBreak(manager, BASE + 7 * PAGE, requester({ [RLIMIT_DATA]: PAGE }))), BASE + 7 * PAGE)
    space.failure = -Errno.ENOMEM
    assert.strictEqual(run(setBreak(manager, BASE, by)), BASE + 7 * PAGE)
    space.failure = 0
    assert.strictEqual(run(setBreak(manager, BASE, by)), BASE)
    assertConsistent(manager, space)
  })

  it("a stack grows by faults within RLIMIT_STACK, not into its guard gap", () => {
    const { manager, space } = make()
    const top = BASE + 4096 * PAGE
    const add = (start: number, end: number, flags: number) => {
      const vma = { ...anonymous(start, end, RW), flags }
      manager.areas.replace(start, end, [vma])
      Effect.runSync(space.change([manager.mapChange(vma, false)]))
    }
    add(top - 2 * PAGE, top, VMA_GROWSDOWN)
    const fault = (address: number, limit: number) =>
      Effect.runSync(manager.handleFault(address, requester({ [RLIMIT_STACK]: limit })))
    assert.isFalse(fault(top - 101 * PAGE, 100 * PAGE))
    assert.isTrue(fault(top - 100 * PAGE, 100 * PAGE))
    assert.strictEqual(manager.areas.firstEndingAfter(0)?.start, top - 100 * PAGE)
    assert.isFalse(fault(top - PAGE, Infinity), "mapped: some other fault")
    assert.isFalse(fault(top + PAGE, Infinity))
    add(BASE, BASE + PAGE, 64)
    assert.isFalse(fault(BASE + 256 * PAGE, Infinity))
    assert.isTrue(fault(BASE + 257 * PAGE, Infinity))
    assertConsistent(manager, space)
  })

  it("what of a stack is mapped ahead is neither shown nor counted until it is used", () => {
    const { manager } = make()
    const start = BASE
    const end = BASE + 100 * PAGE
    manager.areas.replace(start, end, [{ ...anonymous(start, end, RW), flags: VMA_GROWSDOWN, ungrown: 90 * PAGE }])
    assert.strictEqual(manager.totals().stack, 10 * PAGE)
    manager.noteStackPointer(start + 50 * PAGE + 123)
    assert.strictEqual(manager.totals().stack, 50 * PAGE)
    manager.noteStackPointer(start + 95 * PAGE)
    assert.strictEqual(visibleStart(manager.areas.find(start)!), start + 50 * PAGE)
    run(unmap(manager, start + 20 * PAGE, PAGE))
    assert.deepStrictEqual(
      [...manager.vmas()].map((vma) => vma.ungrown / PAGE),
      [20, 29]
    )
  })

  it("madvise and msync skip holes and fail with ENOMEM; locked areas refuse MADV_DONTNEED", () => {
    const { manager, space } = make()
    run(map(manager, fixed(0, 2)))
    run(map(manager, fixed(3, 1)))
    assert.strictEqual(run(advise(manager, BASE, 4 * PAGE, Mman.MADV_DONTFORK)), -Errno.ENOMEM)
    assert.strictEqual(space.calls.at(-1)?.length, 2)
    assert.strictEqual(manager.fork(new FakeAddressSpace()).areas.size, 0)
    assert.strictEqual(run(advise(manager, BASE, PAGE, 77)), -Errno.EINVAL)
    assert.strictEqual(run(advise(manager, BASE + 1, PAGE, 4)), -Errno.EINVAL)
    assert.strictEqual(run(advise(manager, BASE, 0, 4)), 0)
    run(lock(manager, BASE, PAGE, 0, requester()))
    assert.strictEqual(run(advise(manager, BASE, PAGE, Mman.MADV_DONTNEED)), -Errno.EINVAL)
    assert.strictEqual(run(synchronize(manager, BASE, PAGE, Mman.MS_SYNC | Mman.MS_INVALIDATE)), -Errno.EBUSY)
    assert.strictEqual(run(synchronize(manager, BASE, 4 * PAGE, Mman.MS_SYNC)), -Errno.ENOMEM)
    assert.strictEqual(run(synchronize(manager, BASE, PAGE, 5)), -Errno.EINVAL)
  })

  it("locks count against RLIMIT_MEMLOCK once, and later mappings are locked after MCL_FUTURE", () => {
    const { manager } = make()
    run(map(manager, fixed(0, 4)))
    const by = requester({ [RLIMIT_MEMLOCK]: 3 * PAGE })
    assert.strictEqual(run(lock(manager, BASE + 1, PAGE, 0, by)), 0)
    assert.strictEqual(manager.locked, 2 * PAGE)
    assert.strictEqual(run(lock(manager, BASE, 3 * PAGE, 0, by)), 0)
    assert.strictEqual(run(lock(manager, BASE, 4 * PAGE, 0, by)), -Errno.ENOMEM)
    assert.strictEqual(run(lock(manager, BASE, PAGE, 0, requester({ [RLIMIT_MEMLOCK]: 0 }))), -Errno.EPERM)
    assert.strictEqual(run(lock(manager, BASE, 9 * PAGE, 0, requester({}, true))), -Errno.ENOMEM)
    assert.strictEqual(manager.locked, 4 * PAGE)
    assert.strictEqual(run(unlock(manager, BASE, 4 * PAGE)), 0)
    assert.strictEqual(run(lockAll(manager, Mman.MCL_FUTURE, by)), 0)
    run(map(manager, mapping({ by })))
    assert.strictEqual(manager.locked, PAGE)
    assert.strictEqual(manager.fork(new FakeAddressSpace()).locked, 0)
    assert.strictEqual(run(lockAll(manager, 0, by)), -Errno.EINVAL)
  })
})
