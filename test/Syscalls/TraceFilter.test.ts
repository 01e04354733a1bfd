import { assert, describe, it } from "@effect/vitest"
import { parse } from "../../src/Syscalls/TraceFilter.ts"

const shows = (filter: string, name: string): boolean => {
  const parsed = parse(filter)
  return typeof parsed === "function" ? parsed(name) : assert.fail(parsed.reason)
}

describe("TraceFilter", () => {
  it("reads strace's -e trace= lists", () => {
    const cases: ReadonlyArray<readonly [filter: string, name: string, shown: boolean]> = [
      ["open,close", "open", true],
      ["open,close", "openat", false],
      ["trace=open", "open", true],
      ["!open,close", "open", false],
      ["!open,close", "read", true],
      ["trace=!open", "open", false],
      ["all", "read", true],
      ["none", "read", false],
      ["!none", "read", true],
      ["%file", "openat", true],
      ["%file", "read", false],
      ["file", "openat", true],
      ["%desc,%process", "execve", true],
      ["%net", "connect", true],
      ["%network", "connect", true],
      ["!%memory", "mmap", false],
      ["%%stat", "newfstatat", true],
      ["/^open", "openat", true],
      ["/^open", "reopen", false],
      ["?nosuchcall,read", "read", true],
      ["?nosuchcall", "nosuchcall", false]
    ]
    for (const [filter, name, shown] of cases) assert.strictEqual(shows(filter, name), shown, `${filter} ${name}`)
  })

  it("refuses what names nothing", () => {
    for (const wrong of ["", "nosuchcall", "%nosuchclass", "read,", "/("]) {
      assert.isNotFunction(parse(wrong), wrong)
    }
  })
})
