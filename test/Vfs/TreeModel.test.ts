/**
 * tmpfs, the overlay and a writable host directory answer like the host's own kernel, errno by errno, whatever is done
 * to them in whatever order.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { HostFs } from "../../src/Vfs/HostFs.ts"
import * as Names from "../../src/Vfs/Names.ts"
import type { OpenFileDescription } from "../../src/Vfs/OpenFileDescription.ts"
import { OverlayFs } from "../../src/Vfs/OverlayFs.ts"
import { type Operation, dumpHost, dumpVfs, enter, operation, runOnHost, runOnVfs } from "./TreeModel.ts"
import { Fixture } from "./VfsFixture.ts"

/** Deep enough that no path of the model leaves the directory both trees live in. */
const BASE = "0/1/2/3"

/** A few files to begin with. */
const populate = (base: string): void => {
  fs.mkdirSync(`${base}/a/b`, { recursive: true })
  fs.mkdirSync(`${base}/c`)
  fs.writeFileSync(`${base}/f`, "file f")
  fs.writeFileSync(`${base}/a/f`, "file a/f")
  fs.writeFileSync(`${base}/a/b/c`, "deep")
  fs.linkSync(`${base}/a/f`, `${base}/c/f`)
  fs.symlinkSync("a", `${base}/l`)
  fs.symlinkSync("../f", `${base}/a/l`)
}

/** One run in fresh directories. `make` gives a Vfs whose working directory corresponds to `base`. */
const compare = (operations: ReadonlyArray<Operation>, populated: boolean, make: (top: string) => Fixture): void => {
  const top = fs.mkdtempSync(join(tmpdir(), "sentry-vfs-"))
  const umask = process.umask(0o022)
  const descriptors = new Map<number, number>()
  const files = new Map<number, OpenFileDescription>()
  let fixture: Fixture | undefined
  try {
    for (const tree of ["host", "guest"]) {
      fs.mkdirSync(`${top}/${tree}/${BASE}`, { recursive: true })
      if (populated) populate(`${top}/${tree}/${BASE}`)
    }
    fixture = make(`${top}/guest`)
    enter(fixture, BASE)
    process.chdir(`${top}/host/${BASE}`)
    for (const [index, each] of operations.entries()) {
      const expected = runOnHost(`${top}/host`, descriptors, each)
      const answer = runOnVfs(fixture, each, files)
      assert.deepStrictEqual(answer, expected, `operation ${index}: ${JSON.stringify(each)}`)
    }
    enter(fixture, `/${BASE}`)
    assert.deepStrictEqual(dumpVfs(fixture), dumpHost(`${top}/host/${BASE}`))
  } finally {
    process.chdir("/")
    for (const fd of descriptors.values()) fs.closeSync(fd)
    for (const file of files.values()) file.release()
    fixture?.vfs.dispose()
    process.umask(umask)
    fs.rmSync(top, { recursive: true, force: true })
  }
}

const check = (populated: boolean, make: (top: string) => Fixture): void => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), (operations) => compare(operations, populated, make)),
    { numRuns: Number(process.env["SENTRY_RUNS"] ?? 150) }
  )
}

const hostFs = (path: string, options: { readonly writable: boolean; readonly volatile: boolean }): HostFs => {
  const filesystem = HostFs.open(path, options)
  if (typeof filesystem === "number") throw new Error(`${path}: ${filesystem}`)
  return filesystem
}

describe("a tree of files", () => {
  it("in tmpfs behaves like the host's", () => {
    check(false, () => {
      const fixture = new Fixture()
      let path = ""
      for (const name of BASE.split("/")) {
        path += `/${name}`
        Names.mkdir(fixture.vfs, fixture.caller, fixture.root, path, 0o755)
      }
      return fixture
    })
  })

  it.each([true, false])("in an overlay behaves like the host's (volatile lower: %s)", (volatile) => {
    check(true, (top) => {
      const lower = hostFs(top, { writable: false, volatile })
      return new Fixture((vfs) => new OverlayFs({ lower, clock: vfs.clock }))
    })
  })

  it("in a host directory behaves like the host's", () => {
    check(true, (top) => new Fixture(() => hostFs(top, { writable: true, volatile: true })))
  })

  it("is left alone by an overlay over it", () => {
    const top = fs.mkdtempSync(join(tmpdir(), "sentry-vfs-"))
    populate(top)
    const before = dumpHost(top)
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 30 }), (operations) => {
        const lower = hostFs(top, { writable: false, volatile: true })
        const fixture = new Fixture((vfs) => new OverlayFs({ lower, clock: vfs.clock }))
        for (const each of operations) runOnVfs(fixture, each)
        fixture.vfs.dispose()
      }),
      { numRuns: 50 }
    )
    assert.deepStrictEqual(dumpHost(top), before)
    fs.rmSync(top, { recursive: true, force: true })
  })
})
