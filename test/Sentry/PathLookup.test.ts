import { assert, describe, it } from "@effect/vitest"
import { EACCES, ENOENT, ENOEXEC, ENOTDIR } from "../../src/Abi/Errno.ts"
import { candidates, DEFAULT_PATH, finalErrno, goesOn, pathOf } from "../../src/Sentry/PathLookup.ts"

describe("PathLookup", () => {
  it("takes a name with a slash as a path", () => {
    assert.deepStrictEqual(candidates("./a", "/bin"), ["./a"])
    assert.deepStrictEqual(candidates("a/b", "/bin"), ["a/b"])
  })

  it("tries the directories of PATH in order, an empty one being the working directory", () => {
    assert.deepStrictEqual(candidates("ls", "/a:/b"), ["/a/ls", "/b/ls"])
    assert.deepStrictEqual(candidates("ls", ":/b:"), ["ls", "/b/ls", "ls"])
    assert.deepStrictEqual(candidates("ls", ""), ["ls"])
  })

  it("uses execvp's default where PATH is not set, but not where it is empty", () => {
    assert.strictEqual(pathOf(["A=b"]), DEFAULT_PATH)
    assert.strictEqual(pathOf(["PATH="]), "")
    assert.strictEqual(pathOf(["XPATH=/x", "PATH=/a", "PATH=/b"]), "/a")
  })

  it("goes on after ENOENT, ENOTDIR and EACCES, and remembers EACCES", () => {
    assert.isTrue([ENOENT, ENOTDIR, EACCES].every(goesOn))
    assert.isFalse(goesOn(ENOEXEC))
    assert.strictEqual(finalErrno([ENOENT, EACCES, ENOENT]), EACCES)
    assert.strictEqual(finalErrno([ENOENT, ENOENT]), ENOENT)
    assert.strictEqual(finalErrno([]), ENOENT)
  })
})
