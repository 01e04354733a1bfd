/**
 * path_resolution(7), symlink(7), openat2(2).
 */
import { assert, describe, it } from "@effect/vitest"
import * as At from "../../src/Abi/At.ts"
import * as E from "../../src/Abi/Errno.ts"
import * as O from "../../src/Abi/OpenFlags.ts"
import { FsContext } from "../../src/Vfs/FsContext.ts"
import { pathOf } from "../../src/Vfs/Mount.ts"
import * as Names from "../../src/Vfs/Names.ts"
import { MagicLink, PseudoFs, PseudoLink } from "../../src/Vfs/PseudoFs.ts"
import { TmpFs } from "../../src/Vfs/TmpFs.ts"
import { enter } from "./TreeModel.ts"
import { Fixture, contentOf, text, user } from "./VfsFixture.ts"

const make = (): Fixture => {
  const fixture = new Fixture()
  const { vfs, caller, root } = fixture
  for (const path of ["a", "a/b", "a/b/c", "m"]) assert.strictEqual(Names.mkdir(vfs, caller, root, path, 0o755), 0)
  fixture.opened("a/file", O.O_CREAT | O.O_WRONLY).release()
  return fixture
}

const link = (fixture: Fixture, target: string, path: string): void => {
  assert.strictEqual(Names.symlink(fixture.vfs, fixture.caller, target, fixture.root, path), 0)
}

describe("a path walk", () => {
  it("follows 40 symbolic links and not one more", () => {
    const fixture = make()
    link(fixture, "a/file", "l0")
    for (let n = 1; n <= 40; n++) link(fixture, `l${n - 1}`, `l${n}`)
    assert.strictEqual(fixture.resolved("l39"), "/a/file")
    assert.strictEqual(fixture.resolved("l40"), -E.ELOOP)
    link(fixture, "loop", "loop")
    assert.strictEqual(fixture.resolved("loop"), -E.ELOOP)
    assert.strictEqual(fixture.resolved("loop/x"), -E.ELOOP)
  })

  it("goes on behind a link in the middle, relative to where the link is", () => {
    const fixture = make()
    link(fixture, "../a/b", "a/up")
    link(fixture, "up/c", "a/chain")
    assert.strictEqual(fixture.resolved("a/chain/../../file"), "/a/file")
    assert.strictEqual(fixture.resolved("a/chain/."), "/a/b/c")
    link(fixture, "/a", "m/absolute")
    assert.strictEqual(fixture.resolved("m/absolute/b"), "/a/b")
  })

  it("stays at the root when it goes up there, and within a changed root", () => {
    const fixture = make()
    assert.strictEqual(fixture.resolved("../../a"), "/a")
    const a = fixture.walk("a")
    if (typeof a === "number") throw new Error("a")
    link(fixture, "/b", "a/inside")
    fixture.caller = { ...fixture.caller, fs: new FsContext(a) }
    assert.strictEqual(fixture.resolved("/../b/.."), "/")
    assert.strictEqual(fixture.resolved("/inside"), "/b")
  })

  it("treats a trailing slash as a directory, and follows for it", () => {
    const fixture = make()
    link(fixture, "a/b", "dir")
    link(fixture, "a/file", "reg")
    assert.strictEqual(fixture.stat("dir", false) === fixture.stat("dir/", false), false)
    assert.strictEqual(fixture.resolved("dir/"), "/a/b")
    assert.strictEqual(fixture.resolved("reg/"), -E.ENOTDIR)
    assert.strictEqual(fixture.open("new/", O.O_CREAT | O.O_WRONLY), -E.EISDIR)
  })

  it("creates the file a dangling link names, but not with O_EXCL", () => {
    const fixture = make()
    link(fixture, "b/made", "a/dangling")
    assert.strictEqual(fixture.open("a/dangling", O.O_CREAT | O.O_EXCL | O.O_WRONLY), -E.EEXIST)
    assert.strictEqual(fixture.open("a/dangling", O.O_CREAT | O.O_NOFOLLOW | O.O_WRONLY), -E.ELOOP)
    fixture.opened("a/dangling", O.O_CREAT | O.O_WRONLY).release()
    assert.strictEqual(fixture.resolved("a/b/made"), "/a/b/made")
  })

  it("needs search permission on every directory", () => {
    const fixture = make()
    const { vfs, caller, root } = fixture
    Names.mkdir(vfs, caller, root, "closed", 0o700)
    Names.mkdir(vfs, caller, root, "closed/in", 0o755)
    fixture.become(user(1000))
    assert.strictEqual(fixture.resolved("closed"), "/closed")
    assert.strictEqual(fixture.resolved("closed/in"), -E.EACCES)
    assert.strictEqual(fixture.resolved("closed/missing"), -E.EACCES)
    assert.strictEqual(fixture.resolved("a/file/x"), -E.ENOTDIR)
  })

  it("crosses mounts down and up, and mounts over mounts", () => {
    const fixture = make()
    const { vfs, caller } = fixture
    const point = fixture.walk("m")
    if (typeof point === "number") throw new Error("m")
    const first = new TmpFs({ device: vfs.newDevice(), clock: vfs.clock })
    vfs.mount(first, point)
    assert.strictEqual(Names.mkdir(vfs, caller, fixture.root, "m/x", 0o755), 0)
    assert.strictEqual(fixture.resolved("m/x/../.."), "/")
    assert.strictEqual(fixture.resolved("m/x/../../a"), "/a")
    assert.strictEqual(Names.rmdir(vfs, caller, fixture.root, "m"), -E.EBUSY)
    assert.strictEqual(Names.rename(vfs, caller, fixture.root, "m", fixture.root, "n", 0), -E.EBUSY)
    assert.strictEqual(Names.rename(vfs, caller, fixture.root, "m/x", fixture.root, "x", 0), -E.EXDEV)
    vfs.mount(new TmpFs({ device: vfs.newDevice(), clock: vfs.clock }), point)
    assert.strictEqual(fixture.resolved("m/x"), -E.ENOENT)
    assert.deepStrictEqual(caller.fs.namespace.mounts.size, 4)
  })

  it("knows where a directory is after it was moved, and that it is gone after it was removed", () => {
    const fixture = make()
    const { vfs, caller, root } = fixture
    enter(fixture, "a/b/c")
    assert.strictEqual(Names.rename(vfs, caller, root, "a/b", root, "m/q", 0), 0)
    assert.strictEqual(pathOf(fixture.cwd, root), "/m/q/c")
    assert.strictEqual(fixture.resolved(".."), "/m/q")
    assert.strictEqual(Names.rmdir(vfs, caller, root, "m/q/c"), 0)
    assert.strictEqual(pathOf(fixture.cwd, root), "/m/q/c (deleted)")
    assert.strictEqual(fixture.open("x", O.O_CREAT | O.O_WRONLY), -E.ENOENT)
    assert.strictEqual(Names.mkdir(vfs, caller, fixture.cwd, "x", 0o755), -E.ENOENT)
    assert.strictEqual(fixture.resolved("../../../a"), "/a")
  })
})

describe("openat2(2)", () => {
  it("RESOLVE_BENEATH lets nothing escape", () => {
    const fixture = make()
    link(fixture, "/a", "a/absolute")
    link(fixture, "../m", "a/up")
    link(fixture, "b/../b", "a/fine")
    enter(fixture, "a")
    const beneath = At.RESOLVE_BENEATH
    assert.strictEqual(fixture.resolved("b/c", beneath), "/a/b/c")
    assert.strictEqual(fixture.resolved("fine", beneath), "/a/b")
    for (const path of ["..", "b/../..", "/a", "absolute", "up"]) {
      assert.strictEqual(fixture.resolved(path, beneath), -E.EXDEV, path)
    }
  })

  it("RESOLVE_IN_ROOT makes the start the root", () => {
    const fixture = make()
    link(fixture, "/b", "a/absolute")
    enter(fixture, "a")
    const inRoot = At.RESOLVE_IN_ROOT
    assert.strictEqual(fixture.resolved("/b", inRoot), "/a/b")
    assert.strictEqual(fixture.resolved("../../b", inRoot), "/a/b")
    assert.strictEqual(fixture.resolved("absolute", inRoot), "/a/b")
  })

  it("RESOLVE_NO_SYMLINKS and RESOLVE_NO_XDEV refuse to go that way", () => {
    const fixture = make()
    link(fixture, "b", "a/link")
    assert.strictEqual(fixture.resolved("a/link", At.RESOLVE_NO_SYMLINKS), -E.ELOOP)
    assert.strictEqual(fixture.resolved("a/b", At.RESOLVE_NO_SYMLINKS), "/a/b")
    const point = fixture.walk("m")
    if (typeof point === "number") throw new Error("m")
    fixture.vfs.mount(new TmpFs({ device: fixture.vfs.newDevice(), clock: fixture.vfs.clock }), point)
    assert.strictEqual(fixture.resolved("m", At.RESOLVE_NO_XDEV), -E.EXDEV)
    assert.strictEqual(fixture.resolved("m/..", At.RESOLVE_NO_XDEV), -E.EXDEV)
  })
})

describe("magic links", () => {
  it("lead to the file itself, whatever its name is now", () => {
    const fixture = make()
    const { vfs, caller, root } = fixture
    const file = fixture.opened("a/file", O.O_RDWR)
    file.write(text("hello"))
    const proc = new PseudoFs({ name: "proc", device: vfs.newDevice(), magic: 0x9fa0, clock: vfs.clock })
    const fd = new MagicLink(
      proc,
      () => file.describe(),
      () => file.location() ?? -E.ENOENT
    )
    proc.root.add("fd", fd)
    proc.root.add("self", new PseudoLink(proc, ({ tid }) => String(tid)))
    const point = fixture.walk("m")
    if (typeof point === "number") throw new Error("m")
    vfs.mount(proc, point)
    assert.strictEqual(Names.unlink(vfs, caller, root, "a/file"), 0)
    assert.strictEqual(fd.readlink(caller), "/a/file (deleted)")
    assert.strictEqual(contentOf(fixture.opened("m/fd", O.O_RDONLY)), "hello")
    assert.strictEqual(fixture.resolved("m/fd", At.RESOLVE_NO_MAGICLINKS), -E.ELOOP)
    assert.strictEqual(fixture.resolved("m/fd/x"), -E.ENOTDIR)
    const self = fixture.walk("m/self", false)
    assert.strictEqual(typeof self === "number" ? self : self.dentry.inode!.readlink(caller), "1")
  })
})
