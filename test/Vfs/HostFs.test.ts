/**
 * Host directories in the sandbox: what others change is seen, nothing outside can be reached, nothing stays open.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as E from "../../src/Abi/Errno.ts"
import { S_IFIFO } from "../../src/Abi/FileMode.ts"
import * as O from "../../src/Abi/OpenFlags.ts"
import * as Attributes from "../../src/Vfs/Attributes.ts"
import * as Host from "../../src/Vfs/HostCalls.ts"
import { HostFs } from "../../src/Vfs/HostFs.ts"
import { isReachable, pathOf } from "../../src/Vfs/Mount.ts"
import * as Names from "../../src/Vfs/Names.ts"
import { Fixture, contentOf, text } from "./VfsFixture.ts"

let top = ""

beforeEach(() => {
  top = fs.mkdtempSync(join(tmpdir(), "sentry-host-"))
  fs.mkdirSync(`${top}/d`)
  fs.writeFileSync(`${top}/f`, "content")
})

afterEach(() => fs.rmSync(top, { recursive: true, force: true }))

const make = (options = { writable: true, volatile: true }): Fixture => {
  const filesystem = HostFs.open(top, options)
  if (typeof filesystem === "number") throw new Error(`${top}: ${filesystem}`)
  return new Fixture(() => filesystem)
}

describe("a host directory", () => {
  it("shows what others change", () => {
    const fixture = make()
    assert.strictEqual(fixture.resolved("new"), -E.ENOENT)
    fs.writeFileSync(`${top}/new`, "x")
    assert.strictEqual(fixture.resolved("new"), "/new")
    const directory = fixture.walk("d")
    if (typeof directory === "number") throw new Error("d")
    fs.rmdirSync(`${top}/d`)
    assert.strictEqual(fixture.resolved("d"), -E.ENOENT)
    assert.strictEqual(pathOf(directory, fixture.root), "/d (deleted)")
    fs.appendFileSync(`${top}/f`, "+")
    const stat = fixture.stat("f")
    assert.strictEqual(typeof stat === "number" ? stat : stat.size, 8)
  })

  it("keeps one inode for one file, also under several names", () => {
    const fixture = make()
    fs.linkSync(`${top}/f`, `${top}/d/again`)
    const [one, two, three] = [fixture.walk("f"), fixture.walk("d/again"), fixture.walk("f")]
    if (typeof one === "number" || typeof two === "number" || typeof three === "number") throw new Error("walk")
    assert.strictEqual(one.dentry.inode, two.dentry.inode)
    assert.strictEqual(one.dentry, three.dentry)
  })

  it("that is read-only refuses every change", () => {
    const fixture = make({ writable: false, volatile: false })
    const { vfs, caller, root } = fixture
    assert.strictEqual(fixture.open("f", O.O_WRONLY), -E.EROFS)
    assert.strictEqual(fixture.open("f", O.O_RDONLY | O.O_TRUNC), -E.EROFS)
    assert.strictEqual(fixture.open("new", O.O_CREAT | O.O_WRONLY), -E.EROFS)
    assert.strictEqual(Names.mkdir(vfs, caller, root, "x", 0o755), -E.EROFS)
    assert.strictEqual(Names.unlink(vfs, caller, root, "f"), -E.EROFS)
    assert.strictEqual(Names.rename(vfs, caller, root, "f", root, "g", 0), -E.EROFS)
    const f = fixture.walk("f")
    if (typeof f === "number") throw new Error("f")
    assert.strictEqual(Attributes.changeMode(caller, f, 0o777), -E.EROFS)
    assert.strictEqual(contentOf(fixture.opened("f", O.O_RDONLY)), "content")
  })

  it("does not give the host's FIFOs and sockets away, but those a guest makes are its own", () => {
    const fixture = make()
    const { vfs, caller, root } = fixture
    execFileSync("mkfifo", [`${top}/theirs`])
    assert.strictEqual(fixture.open("theirs", O.O_RDONLY), -E.ENXIO)
    assert.strictEqual(Names.mknod(vfs, caller, root, "ours", S_IFIFO | 0o600, 0), 0)
    let opened = 0
    vfs.special = { openFifo: () => -(opened = E.EAGAIN), openDevice: () => -E.ENXIO }
    fixture.open("ours", O.O_RDONLY)
    assert.strictEqual(opened, E.EAGAIN)
  })

  it("never leads outside, whatever its links say", () => {
    const fixture = make()
    const { root } = fixture
    fs.symlinkSync("/etc/passwd", `${top}/d/absolute`)
    fs.symlinkSync("../../../../../../etc", `${top}/d/up`)
    assert.strictEqual(fixture.resolved("d/absolute"), -E.ENOENT)
    assert.strictEqual(fixture.resolved("d/up"), -E.ENOENT)
    fs.symlinkSync("../../../../f", `${top}/d/back`)
    const back = fixture.walk("d/back")
    assert.isTrue(typeof back !== "number" && isReachable(back, root))
  })

  it("is asked for one component only", () => {
    const directory = Host.openRoot(top)
    for (const name of ["", "..", "d/..", "/etc"]) {
      assert.strictEqual(Host.statAt(directory, name), -E.EINVAL, name)
      assert.strictEqual(Host.openAt(directory, name, O.O_RDONLY), -E.EINVAL, name)
      assert.strictEqual(Host.renameAt(directory, "f", directory, name, 0), -E.EINVAL, name)
    }
    fs.symlinkSync("f", `${top}/l`)
    assert.strictEqual(Host.openAt(directory, "l", O.O_RDONLY), -E.ELOOP)
    Host.close(directory)
  })

  it("of proc is refused: its self would be the sentry", () => {
    assert.strictEqual(HostFs.open("/proc", { writable: false, volatile: true }), -E.EPERM)
    const whole = HostFs.open("/", { writable: false, volatile: true })
    if (typeof whole === "number") throw new Error(`/: ${whole}`)
    const fixture = new Fixture(() => whole)
    assert.strictEqual(fixture.resolved("/proc/self"), -E.EACCES)
    assert.strictEqual(fixture.open("/proc/version", O.O_RDONLY), -E.EACCES)
    fixture.vfs.dispose()
  })

  it("may be a single file", () => {
    const fixture = make()
    const file = HostFs.open(`${top}/f`, { writable: true, volatile: true })
    if (typeof file === "number") throw new Error(`f: ${file}`)
    fs.writeFileSync(`${top}/d/point`, "")
    const point = fixture.walk("d/point")
    if (typeof point === "number") throw new Error("point")
    assert.notStrictEqual(typeof fixture.vfs.mount(file, point), "number")
    const opened = fixture.opened("d/point", O.O_RDWR | O.O_APPEND)
    assert.strictEqual(opened.write(text("!")), 1)
    assert.strictEqual(opened.describe(), "/d/point")
    assert.strictEqual(fs.readFileSync(`${top}/f`, "utf8"), "content!")
    assert.strictEqual(fixture.resolved("d/point/.."), -E.ENOTDIR)
  })

  it("knows an open file whose name is gone", () => {
    const fixture = make()
    const file = fixture.opened("f", O.O_RDWR)
    fs.unlinkSync(`${top}/f`)
    assert.strictEqual(file.write(text("CON")), 3)
    const stat = file.stat()
    assert.deepStrictEqual(typeof stat === "number" ? stat : [stat.nlink, stat.size], [0, 7])
    assert.strictEqual(Attributes.changeMode(fixture.caller, file.location()!, 0o640), 0)
    const changed = file.stat()
    assert.strictEqual(typeof changed === "number" ? changed : changed.mode & 0o777, 0o640)
  })

  it("has names of any bytes", () => {
    const fixture = make()
    const name = "\xff\x01 \xc3\xa9"
    fixture.opened(name, O.O_CREAT | O.O_WRONLY).release()
    assert.isTrue(fs.readdirSync(top, { encoding: "buffer" }).some((each) => each.toString("latin1") === name))
    const names = fixture.names(".")
    assert.isTrue(typeof names !== "number" && names.includes(name))
  })

  it("may be nested deeper than descriptors are kept, and leaves none open", () => {
    const before = fs.readdirSync("/proc/self/fd").length
    const fixture = make()
    const { vfs, caller } = fixture
    let at = fixture.root
    for (let depth = 0; depth < 700; depth++) {
      assert.strictEqual(Names.mkdir(vfs, caller, at, "n", 0o755), 0)
      const next = vfs.walk(caller, at, "n", { follow: true })
      if (typeof next === "number") throw new Error(`depth ${depth}: ${next}`)
      at = next
    }
    // the way down again begins at the top
    assert.strictEqual(fixture.resolved("n/n/n"), "/n/n/n")
    assert.strictEqual(Names.mkdir(vfs, caller, at, "last", 0o755), 0)
    const last = vfs.walk(caller, at, "last", { follow: true })
    assert.strictEqual(typeof last === "number" ? last : pathOf(last, fixture.root).length, 700 * 2 + 5)
    vfs.dispose()
    assert.strictEqual(fs.readdirSync("/proc/self/fd").length, before)
  })
})
