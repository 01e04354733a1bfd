import { assert, describe, it } from "@effect/vitest"
import { nearest, parse, parseBind, parseDuration, type RunArguments } from "../../src/Cli/RunArguments.ts"

const accepted = (...words: ReadonlyArray<string>): RunArguments => {
  const request = parse(words)
  if (request._tag !== "Run") assert.fail(JSON.stringify(request))
  return request.arguments
}

const refused = (...words: ReadonlyArray<string>): string => {
  const request = parse(words)
  if (request._tag !== "UsageError") assert.fail(JSON.stringify(request))
  return request.message
}

describe("RunArguments", () => {
  it("gives everything after PROGRAM to the program, options too, with or without --", () => {
    for (const words of [
      ["ls", "--help", "-l", "--", "x"],
      ["--", "ls", "--help", "-l", "--", "x"]
    ]) {
      const { program, args } = accepted(...words)
      assert.strictEqual(program, "ls")
      assert.deepStrictEqual(args, ["--help", "-l", "--", "x"])
    }
  })

  it("lets a program be called like an option after --", () => {
    assert.strictEqual(accepted("--", "--version").program, "--version")
  })

  it("takes values after a space or an equals sign", () => {
    assert.strictEqual(accepted("--cwd", "/tmp", "x").cwd, "/tmp")
    assert.strictEqual(accepted("--cwd=/tmp", "x").cwd, "/tmp")
  })

  it("keeps every --env, in order, values with equals signs and empty ones included", () => {
    assert.deepStrictEqual(accepted("--env", "A=1=2", "--env=B=", "--env", "C", "x").env, [
      { name: "A", value: "1=2" },
      { name: "B", value: "" },
      { name: "C", value: undefined }
    ])
  })

  it("binds read-only unless told otherwise", () => {
    assert.deepStrictEqual(accepted("--bind", "a:/b", "--bind=c:/d:rw", "x").binds, [
      { source: "a", target: "/b", readOnly: true },
      { source: "c", target: "/d", readOnly: false }
    ])
    for (const wrong of ["", "a", ":/b", "a:b", "a:/b:rx", "a:/b:ro:x"]) assert.isUndefined(parseBind(wrong), wrong)
  })

  it("never takes the program for --strace's filter", () => {
    const all = accepted("--strace", "ls")
    assert.strictEqual(all.program, "ls")
    assert.isTrue(all.strace?.("read"))
    const some = accepted("--strace=open,openat", "ls")
    assert.isTrue(some.strace?.("openat"))
    assert.isFalse(some.strace?.("read"))
    assert.isTrue(accepted("--strace-log", "f", "ls").strace?.("read"))
    assert.isUndefined(accepted("ls").strace)
  })

  it("reads durations as timeout(1) does, and milliseconds", () => {
    const cases: ReadonlyArray<readonly [string, number | undefined]> = [
      ["10", 10_000],
      ["1.5s", 1500],
      [".5", 500],
      ["500ms", 500],
      ["2m", 120_000],
      ["1h", 3_600_000],
      ["0", 0],
      ["", undefined],
      ["-1", undefined],
      ["1w", undefined],
      ["s", undefined],
      ["1e3", undefined]
    ]
    for (const [text, millis] of cases) assert.strictEqual(parseDuration(text), millis, text)
  })

  it("says what is wrong and what to do, in one line", () => {
    assert.match(refused("--stracee", "ls"), /unknown option '--stracee': did you mean --strace\?/)
    assert.match(refused("--frobnicate", "ls"), /unknown option .*: see /)
    assert.match(refused("-x", "ls"), /unknown option '-x'/)
    assert.match(refused("--cwd"), /--cwd wants a value/)
    assert.match(refused("--clear-env=1", "x"), /takes no value/)
    assert.match(refused("--platform", "kvm", "x"), /no platform 'kvm': use --platform auto, ptrace, systrap/)
    assert.match(refused("--strace=nonsense", "x"), /'nonsense' is no system call or class/)
    assert.match(refused("--timeout", "soon", "x"), /no duration/)
    assert.match(refused(), /no program/)
    assert.match(refused("--clear-env"), /no program/)
    assert.match(refused(""), /empty/)
  })

  it("asks for help only before PROGRAM", () => {
    assert.strictEqual(parse(["--help"])._tag, "Help")
    assert.strictEqual(parse(["--clear-env", "-h", "x"])._tag, "Help")
    assert.strictEqual(parse(["x", "--help"])._tag, "Run")
  })

  it("finds the nearest word, if any is near", () => {
    assert.strictEqual(nearest("timout", ["timeout", "env"]), "timeout")
    assert.isUndefined(nearest("zzzz", ["timeout", "env"]))
  })
})
