/**
 * Copy on write over a host directory: one file stays one file while it changes, and the host sees nothing.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as E from "../../src/Abi/Errno.ts"
import * as O from "../../src/Abi/OpenFlags.ts"
import * as Attributes from "../../src/Vfs/Attributes.ts"
import * as Host from "../../src/Vfs/HostCalls.ts"
import { HostFs } from "../../src/Vfs/HostFs.ts"
import * as Names from "../../src/Vfs/Names.ts"
import { OverlayFs } from "../../src/Vfs/OverlayFs.ts"
import { Fixture, contentOf, text } from "./VfsFixture.ts"

let top = ""
let fixture: Fixture

beforeEach(() => {
  top = fs.mkdtempSync(join(tmpdir(), "sentry-overlay-"))
  fs.mkdirSync(`${top}/d/e`, { recursive: true })
  fs.writeFileSync(`${top}/f`, "lower")
  fs.writeFileSync(`${top}/d/g`, "lower g")
  fs.linkSync(`${top}/f`, `${top}/d/f2`)
  const lower = HostFs.open(top, { writable: false, volatile: true })
  if (typeof lower === "number") throw new Error(`${top}: ${lower}`)
  fixture = new Fixture((vfs) => new OverlayFs({ lower, clock: vfs.clock }))
})

afterEach(() => {
  fixture.vfs.dispose()
  fs.rmSync(top, { recursive: true, force: true })
})

const openDescriptors = (): number => fs.readdirSync("/proc/self/fd").length

describe("an overlay", () => {
  it("lets a description that was open before a change see it", () => {
    const reader = fixture.opened("f", O.O_RDONLY)
    assert.strictEqual(contentOf(reader), "lower")
    const writer = fixture.opened("f", O.O_WRONLY)
    assert.strictEqual(writer.write(text("LOW")), 3)
    assert.strictEqual(contentOf(reader), "LOWer")
    assert.strictEqual(fs.readFileSync(`${top}/f`, "utf8"), "lower")
  })

  it("keeps inode numbers and hard links over a change", () => {
    const before = fixture.stat("f")
    fixture.opened("f", O.O_WRONLY | O.O_TRUNC).write(text("new"))
    const [after, other] = [fixture.stat("f"), fixture.stat("d/f2")]
    if (typeof before === "number" || typeof after === "number" || typeof other === "number") throw new Error("stat")
    assert.strictEqual(after.ino, before.ino)
    assert.deepStrictEqual([other.ino, other.size, other.nlink], [before.ino, 3, 2])
    assert.strictEqual(contentOf(fixture.opened("d/f2", O.O_RDONLY)), "new")
    Names.unlink(fixture.vfs, fixture.caller, fixture.root, "f")
    const left = fixture.stat("d/f2")
    assert.strictEqual(typeof left === "number" ? left : left.nlink, 1)
  })

  it("shows the host's extended attributes, and keeps changes of them to itself", (context) => {
    const host = Host.openRoot(top)
    const own = Buffer.from("of the host")
    if (Host.setxattrAt(host, "f", "user.note", own, 0) === -E.EOPNOTSUPP) context.skip()
    const place = fixture.walk("f")
    if (typeof place === "number") throw new Error(`walk: ${place}`)
    const inode = place.dentry.inode!
    assert.deepStrictEqual(inode.listExtendedAttributes(), ["user.note"])
    assert.strictEqual(inode.setExtendedAttribute("user.more", text("1"), 0), 0)
    assert.deepStrictEqual(inode.listExtendedAttributes(), ["user.note", "user.more"])
    assert.deepStrictEqual(Buffer.from(inode.getExtendedAttribute("user.note") as Uint8Array), own)
    assert.strictEqual(inode.removeExtendedAttribute("user.note"), 0)
    assert.strictEqual(inode.getExtendedAttribute("user.note"), -E.ENODATA)
    assert.deepStrictEqual(Host.listxattrAt(host, "f"), ["user.note"])
    Host.close(host)
  })

  it("changes attributes without copying, and remembers them", () => {
    const found = fixture.walk("d/g")
    if (typeof found === "number") throw new Error("d/g")
    assert.strictEqual(Attributes.changeMode(fixture.caller, found, 0o600), 0)
    const stat = fixture.stat("d/g")
    assert.deepStrictEqual(typeof stat === "number" ? stat : [stat.mode & 0o777, stat.size], [0o600, 7])
    assert.strictEqual(fixture.vfs.root.mount.filesystem instanceof OverlayFs, true)
    assert.strictEqual(contentOf(fixture.opened("d/g", O.O_RDONLY)), "lower g")
  })

  it("hides what was removed, and renames whole directories", () => {
    const { vfs, caller, root } = fixture
    assert.strictEqual(Names.rename(vfs, caller, root, "d", root, "moved", 0), 0)
    assert.deepStrictEqual(fixture.names("."), ["f", "moved"])
    assert.deepStrictEqual([...(fixture.names("moved") as Array<string>)].toSorted(), ["e", "f2", "g"])
    assert.strictEqual(fixture.resolved("d"), -E.ENOENT)
    assert.strictEqual(Names.mkdir(vfs, caller, root, "d", 0o755), 0)
    assert.deepStrictEqual(fixture.names("d"), [])
    assert.strictEqual(Names.rmdir(vfs, caller, root, "moved"), -E.ENOTEMPTY)
    for (const name of ["f2", "g"]) Names.unlink(vfs, caller, root, `moved/${name}`)
    assert.strictEqual(Names.rmdir(vfs, caller, root, "moved/e"), 0)
    assert.strictEqual(Names.rmdir(vfs, caller, root, "moved"), 0)
    assert.deepStrictEqual(fs.readdirSync(`${top}/d`).toSorted(), ["e", "f2", "g"])
  })

  it("maps the host's file until it is written through, and keeps that descriptor open as long as the file", () => {
    const file = fixture.opened("f", O.O_RDONLY)
    const mapped = file.mappable()
    if (typeof mapped === "number") throw new Error(`mappable: ${mapped}`)
    fixture.opened("f", O.O_WRONLY).write(text("x"))
    assert.strictEqual(fs.fstatSync(mapped.fd).ino, fs.statSync(`${top}/f`).ino)
    const now = file.mappable()
    assert.notStrictEqual(typeof now === "number" ? now : now.fd, mapped.fd)
  })

  it("copies up large and sparse files as they are", () => {
    const size = 5 << 20
    fs.truncateSync(`${top}/f`, size)
    const file = fixture.opened("f", O.O_RDWR)
    assert.strictEqual(file.writeAt(text("end"), size - 3), 3)
    const stat = file.stat()
    if (typeof stat === "number") throw new Error("stat")
    assert.strictEqual(stat.size, size)
    assert.isBelow(stat.blocks, 64)
    const into = Buffer.alloc(8)
    file.readAt(into, size - 8)
    assert.strictEqual(into.toString("latin1"), "\0\0\0\0\0end")
    assert.strictEqual(contentOf(file).toString().slice(0, 5), "lower")
  })

  it("closes what it opened", () => {
    const before = openDescriptors()
    for (let n = 0; n < 50; n++) {
      const file = fixture.opened("f", O.O_RDWR)
      file.mappable()
      file.release()
      fixture.opened("d/g", O.O_RDONLY).release()
    }
    // a directory or two, and the memfd of the file that was made writable
    assert.isAtMost(openDescriptors() - before, 3)
  })
})
