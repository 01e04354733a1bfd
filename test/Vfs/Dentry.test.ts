/**
 * What the cache of names keeps: nothing that no name leads to any more.
 */
import { assert, describe, it } from "@effect/vitest"
import * as O from "../../src/Abi/OpenFlags.ts"
import { Dentry, DentryCache } from "../../src/Vfs/Dentry.ts"
import * as Names from "../../src/Vfs/Names.ts"
import { PseudoFs, StaticDirectory } from "../../src/Vfs/PseudoFs.ts"
import { Fixture, tickingClock } from "./VfsFixture.ts"

/** A directory of something that has ended. */
class Ended extends StaticDirectory {
  override get gone(): boolean {
    return true
  }
}

describe("the cache of dentries", () => {
  it("lets go of what is removed, with the names that were looked for in it", () => {
    const fixture = new Fixture()
    const { vfs, caller, root } = fixture
    const sizes = Array.from({ length: 20 }, () => {
      assert.strictEqual(Names.mkdir(vfs, caller, root, "d", 0o755), 0)
      for (const name of ["d/a", "d/b"]) {
        fixture.opened(name, O.O_CREAT | O.O_WRONLY).release()
        fixture.resolved(`${name}x`)
        assert.strictEqual(Names.unlink(vfs, caller, root, name), 0)
        fixture.resolved(name)
      }
      assert.strictEqual(Names.rmdir(vfs, caller, root, "d"), 0)
      return vfs.dentries.size
    })
    assert.deepStrictEqual(new Set(sizes), new Set([sizes[0]]))
  })

  it("finds out about what has ended without being removed", () => {
    const cache = new DentryCache()
    const filesystem = new PseudoFs({ name: "test", device: 1, magic: 1, clock: tickingClock() })
    const root = new Dentry(cache, undefined, "", filesystem.root)
    for (let n = 0; n < 5000; n++) root.attach(`${n}`, new Ended(filesystem)).attach("missing", undefined)
    assert.isBelow(cache.size, 1100)
    for (let n = 0; n < 5000; n++) root.attach(`left ${n}`, filesystem.root)
    assert.isAtLeast(cache.size, 5000)
  })

  it("holds no more than its capacity", () => {
    const cache = new DentryCache(2000)
    const filesystem = new PseudoFs({ name: "test", device: 1, magic: 1, clock: tickingClock() })
    const root = new Dentry(cache, undefined, "", filesystem.root)
    for (let n = 0; n < 10_000; n++) root.attach(`${n}`, filesystem.root)
    assert.isAtMost(cache.size, 2000)
  })
})
