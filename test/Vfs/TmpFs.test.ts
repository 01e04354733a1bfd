/**
 * Files in memory: holes, the move to a memfd, permissions, sticky and set-group-id directories, listings that change.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { SEEK_CUR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from "../../src/Abi/At.ts"
import * as E from "../../src/Abi/Errno.ts"
import * as O from "../../src/Abi/OpenFlags.ts"
import * as Attributes from "../../src/Vfs/Attributes.ts"
import * as Host from "../../src/Vfs/HostCalls.ts"
import { MEMORY_LIMIT } from "../../src/Vfs/MemoryContent.ts"
import { memoryFile } from "../../src/Vfs/MemoryFiles.ts"
import * as Names from "../../src/Vfs/Names.ts"
import type { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import { TmpFs } from "../../src/Vfs/TmpFs.ts"
import { Fixture, contentOf, superuser, text, user } from "./VfsFixture.ts"

const CREATE = O.O_CREAT | O.O_RDWR

const blocksOf = (file: OpenFileDescription): number => {
  const stat = file.stat()
  return typeof stat === "number" ? stat : stat.blocks
}

const modeOf = (fixture: Fixture, path: string): number => {
  const stat = fixture.stat(path)
  return typeof stat === "number" ? stat : stat.mode & 0o7777
}

describe("a file in memory", () => {
  it("keeps holes, small or large", () => {
    for (const far of [100_000, MEMORY_LIMIT * 4]) {
      const fixture = new Fixture()
      const file = fixture.opened("f", CREATE)
      assert.strictEqual(file.writeAt(text("begin"), 0), 5)
      assert.strictEqual(file.writeAt(text("end"), far), 3)
      const into = new Uint8Array(8)
      assert.strictEqual(file.readAt(into, 50_000), 8)
      assert.deepStrictEqual([...into], [0, 0, 0, 0, 0, 0, 0, 0])
      assert.strictEqual(file.seek(0, SEEK_HOLE), 4096)
      assert.strictEqual(file.seek(4096, SEEK_DATA), Math.floor(far / 4096) * 4096)
      assert.strictEqual(file.seek(0, SEEK_DATA), 0)
      assert.strictEqual(file.seek(far + 3, SEEK_DATA), -E.ENXIO)
      assert.strictEqual(file.seek(0, SEEK_END), far + 3)
      assert.strictEqual(blocksOf(file), 16)
      fixture.vfs.dispose()
    }
  })

  it("reads zeros where it was cut and grew again", () => {
    const fixture = new Fixture()
    const file = fixture.opened("f", CREATE)
    file.write(text("secret"))
    assert.strictEqual(file.truncate(2), 0)
    assert.strictEqual(file.truncate(6), 0)
    assert.strictEqual(contentOf(file), "se\0\0\0\0")
  })

  it("is the same before and after it moves to a memfd", () => {
    const fixture = new Fixture()
    const file = fixture.opened("f", CREATE)
    file.write(text("mapped"))
    const mapped = file.mappable()
    if (typeof mapped === "number") throw new Error(`mappable: ${mapped}`)
    const into = Buffer.alloc(6)
    assert.strictEqual(Host.read(mapped.fd, into, 0), 6)
    assert.strictEqual(into.toString(), "mapped")
    assert.strictEqual(file.write(text("!")), 1)
    assert.strictEqual(contentOf(file), "mapped!")
    // what is written through the mapping is in the file
    Host.write(mapped.fd, text("M"), 0)
    assert.strictEqual(contentOf(file), "Mapped!")
    fixture.vfs.dispose()
  })

  it("agrees with an array, whatever is written where", () => {
    const offset = fc.constantFrom(0, 1, 4095, 4096, 4097, 12_000, MEMORY_LIMIT - 1, MEMORY_LIMIT)
    const step = fc.oneof(
      fc.record({ at: offset, bytes: fc.string({ minLength: 1, maxLength: 10, unit: "binary-ascii" }) }),
      fc.record({ length: offset })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const fixture = new Fixture()
        const file = fixture.opened("f", CREATE)
        let model = Buffer.alloc(0)
        for (const each of steps) {
          const length = "at" in each ? Math.max(model.length, each.at + each.bytes.length) : each.length
          const next = Buffer.alloc(length)
          model.copy(next, 0, 0, Math.min(model.length, length))
          model = next
          if ("at" in each) {
            model.write(each.bytes, each.at, "latin1")
            assert.strictEqual(file.writeAt(text(each.bytes), each.at), each.bytes.length)
          } else assert.strictEqual(file.truncate(each.length), 0)
        }
        const all = Buffer.alloc(model.length + 1)
        assert.strictEqual(file.readAt(all, 0), model.length)
        assert.isTrue(all.subarray(0, model.length).equals(model))
        fixture.vfs.dispose()
      }),
      { numRuns: 60 }
    )
  })

  it("lives on without a name, and ends with its last description", () => {
    const fixture = new Fixture((vfs) => new TmpFs({ device: vfs.newDevice(), clock: vfs.clock, limit: 1 << 16 }))
    const file = fixture.opened("f", CREATE)
    assert.strictEqual(file.write(new Uint8Array(40_000)), 40_000)
    assert.strictEqual(Names.unlink(fixture.vfs, fixture.caller, fixture.root, "f"), 0)
    assert.strictEqual(file.describe(), "/f (deleted)")
    const second = fixture.opened("g", CREATE)
    assert.strictEqual(second.write(new Uint8Array(40_000)), 6 * 4096)
    assert.strictEqual(second.write(new Uint8Array(1)), -E.ENOSPC)
    file.release()
    assert.strictEqual(second.write(new Uint8Array(40_000)), 40_000)
    assert.strictEqual(second.write(new Uint8Array(4096)), 65_536 - 6 * 4096 - 40_000)
  })

  it("appends at the end, also by pwrite(2), as Linux does", () => {
    const fixture = new Fixture()
    const file = fixture.opened("f", CREATE | O.O_APPEND)
    file.write(text("one"))
    assert.strictEqual(file.writeAt(text("two"), 0), 3)
    assert.strictEqual(file.seek(0, SEEK_CUR), 3)
    assert.strictEqual(contentOf(file), "onetwo")
    assert.strictEqual(file.seek(-1, SEEK_SET), -E.EINVAL)
  })

  it("made by memfd_create(2) shows its name and is gone with its last description", () => {
    const fixture = new Fixture()
    const file = memoryFile(fixture.vfs, fixture.caller, "memfd:x", 0o777)
    if (typeof file === "number") throw new Error(`memfd: ${file}`)
    assert.strictEqual(file.describe(), "/memfd:x (deleted)")
    assert.strictEqual(file.write(text("data")), 4)
    const stat = file.stat()
    assert.deepStrictEqual(typeof stat === "number" ? stat : [stat.size, stat.nlink], [4, 0])
    file.release()
  })

  it("made by O_TMPFILE can be given a name", () => {
    const fixture = new Fixture()
    const { vfs, caller, root } = fixture
    const file = fixture.opened(".", O.O_TMPFILE | O.O_RDWR)
    file.write(text("later"))
    assert.deepStrictEqual(fixture.names("."), [])
    assert.strictEqual(Names.link(vfs, caller, file.location()!, root, "named"), 0)
    file.release()
    assert.strictEqual(contentOf(fixture.opened("named", O.O_RDONLY)), "later")
  })
})

describe("permissions", () => {
  it("follow the class one belongs to, even if another would allow more", () => {
    const fixture = new Fixture()
    fixture.become(user(1000))
    fixture.opened("f", CREATE, 0o077).release()
    assert.strictEqual(fixture.open("f", O.O_RDONLY), -E.EACCES)
    fixture.become(user(1001))
    assert.strictEqual(modeOf(fixture, "f"), 0o055)
    fixture.opened("f", O.O_RDONLY).release()
    assert.strictEqual(fixture.open("f", O.O_RDWR), -E.EACCES)
    fixture.become(superuser)
    fixture.opened("f", O.O_RDWR).release()
  })

  it("do not matter to the open that creates the file", () => {
    const fixture = new Fixture()
    fixture.become(user(1000))
    const file = fixture.opened("f", CREATE, 0o444)
    assert.strictEqual(file.write(text("x")), 1)
    assert.strictEqual(fixture.open("f", O.O_WRONLY), -E.EACCES)
  })

  it("of a sticky directory leave files to their owners", () => {
    const fixture = new Fixture()
    const { vfs, root } = fixture
    Names.mkdir(vfs, fixture.caller, root, "t", 0o777)
    const t = fixture.walk("t")
    if (typeof t === "number") throw new Error("t")
    Attributes.changeMode(fixture.caller, t, 0o1777)
    fixture.become(user(1))
    fixture.opened("t/mine", CREATE).release()
    fixture.become(user(2))
    assert.strictEqual(Names.unlink(vfs, fixture.caller, root, "t/mine"), -E.EPERM)
    assert.strictEqual(Names.rename(vfs, fixture.caller, root, "t/mine", root, "t/yours", 0), -E.EPERM)
    fixture.become(user(1))
    assert.strictEqual(Names.unlink(vfs, fixture.caller, root, "t/mine"), 0)
  })

  it("pass a group on below a set-group-id directory", () => {
    const fixture = new Fixture()
    const { vfs, root } = fixture
    Names.mkdir(vfs, fixture.caller, root, "g", 0o777)
    const g = fixture.walk("g")
    if (typeof g === "number") throw new Error("g")
    Attributes.changeOwner(fixture.caller, g, 0, 50)
    Attributes.changeMode(fixture.caller, g, 0o2777)
    fixture.become(user(1))
    Names.mkdir(vfs, fixture.caller, root, "g/d", 0o755)
    fixture.opened("g/f", CREATE).release()
    const [d, f] = [fixture.stat("g/d"), fixture.stat("g/f")]
    assert.deepStrictEqual(typeof d === "number" ? d : [d.gid, d.mode & 0o7777], [50, 0o2755])
    assert.deepStrictEqual(typeof f === "number" ? f : [f.gid, f.mode & 0o7777], [50, 0o644])
  })

  it("lose set-id bits when somebody writes or changes the owner", () => {
    const fixture = new Fixture()
    const { caller } = fixture
    fixture.opened("f", CREATE).release()
    const f = fixture.walk("f")
    if (typeof f === "number") throw new Error("f")
    Attributes.changeMode(caller, f, 0o6777)
    fixture.become(user(1))
    const file = fixture.opened("f", O.O_WRONLY)
    file.write(text("x"))
    assert.strictEqual(modeOf(fixture, "f"), 0o777)
    Attributes.changeMode(caller, f, 0o6777)
    Attributes.changeOwner(caller, f, 5, 5)
    assert.strictEqual(modeOf(fixture, "f"), 0o777)
  })

  it("of times: who may write may touch, only the owner sets", () => {
    const fixture = new Fixture()
    const { vfs } = fixture
    fixture.opened("f", CREATE, 0o666).release()
    const f = fixture.walk("f")
    if (typeof f === "number") throw new Error("f")
    Attributes.changeMode(fixture.caller, f, 0o666)
    fixture.become(user(1))
    const then = { seconds: 1, nanoseconds: 2 }
    assert.strictEqual(Attributes.changeTimes(vfs, fixture.caller, f, { atime: "Now", mtime: "Now" }), 0)
    assert.strictEqual(Attributes.changeTimes(vfs, fixture.caller, f, { atime: then, mtime: then }), -E.EPERM)
    Attributes.changeMode({ ...fixture.caller, credentials: superuser }, f, 0o644)
    assert.strictEqual(Attributes.changeTimes(vfs, fixture.caller, f, { atime: "Now", mtime: "Now" }), -E.EACCES)
  })
})

describe("a listing", () => {
  it("shows each entry that stays once, while others come and go", () => {
    const fixture = new Fixture()
    const { vfs, caller, root } = fixture
    for (let n = 0; n < 20; n++) fixture.opened(`f${n}`, CREATE).release()
    const directory = fixture.opened(".", O.O_RDONLY | O.O_DIRECTORY)
    const seen: Array<string> = []
    const readThree = (): number => {
      let room = 3
      const before = seen.length
      directory.readDirectory(({ name }) => {
        if (room-- === 0) return false
        seen.push(name)
        return true
      })
      return seen.length - before
    }
    for (let round = 0; readThree() > 0; round++) {
      Names.unlink(vfs, caller, root, `f${round}`)
      if (round < 5) fixture.opened(`new${round}`, CREATE).release()
    }
    for (let n = 10; n < 20; n++) assert.strictEqual(seen.filter((name) => name === `f${n}`).length, 1, `f${n}`)
    assert.strictEqual(new Set(seen).size, seen.length)
  })

  it("goes on at an offset that it gave, as seekdir(3) wants", () => {
    const fixture = new Fixture()
    const { vfs, caller, root } = fixture
    for (const name of ["a", "b", "c", "d"]) fixture.opened(name, CREATE).release()
    const directory = fixture.opened(".", O.O_RDONLY | O.O_DIRECTORY)
    const offsets = new Map<string, number>()
    directory.readDirectory(({ name, nextOffset }) => offsets.set(name, nextOffset) !== undefined)
    Names.unlink(vfs, caller, root, "a")
    Names.unlink(vfs, caller, root, "c")
    directory.seek(offsets.get("b")!, SEEK_SET)
    const rest: Array<string> = []
    directory.readDirectory(({ name }) => rest.push(name) > 0)
    assert.deepStrictEqual(rest, ["d"])
  })
})

describe("the space of a tmpfs", () => {
  it("is given back, whatever names were made, moved and removed", () => {
    const limit = 1 << 20
    const fixture = new Fixture((vfs) => new TmpFs({ device: vfs.newDevice(), clock: vfs.clock, limit }))
    const { vfs, caller, root } = fixture
    const filesystem = root.mount.filesystem
    if (!(filesystem instanceof TmpFs)) throw new Error("tmpfs")
    const { inodes } = filesystem
    for (let round = 0; round < 50; round++) {
      const file = fixture.opened("f", CREATE)
      file.write(text("x".repeat(1000)))
      Names.link(vfs, caller, file.location()!, root, "g")
      Names.symlink(vfs, caller, "y".repeat(100), root, "l")
      Names.mkdir(vfs, caller, root, "d", 0o755)
      Names.rename(vfs, caller, root, "f", root, "d/f", 0)
      Names.rename(vfs, caller, root, "g", root, "l", 0)
      Names.rename(vfs, caller, root, "l", root, "d", 2)
      Names.unlink(vfs, caller, root, "l/f")
      Names.rmdir(vfs, caller, root, "l")
      Names.unlink(vfs, caller, root, "d")
      file.release()
    }
    assert.deepStrictEqual([filesystem.budget.used, filesystem.heap.used, filesystem.inodes], [0, 0, inodes])
  })

  it("ends with ENOSPC, for names too", () => {
    const fixture = new Fixture((vfs) => new TmpFs({ device: vfs.newDevice(), clock: vfs.clock, inodes: 64 }))
    let last = 0
    for (let n = 0; last === 0 && n < 1000; n++)
      last = Names.mkdir(fixture.vfs, fixture.caller, fixture.root, `d${n}`, 0)
    assert.strictEqual(last, -E.ENOSPC)
  })
})
