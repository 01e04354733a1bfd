import { execFileSync, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, beforeAll, it } from "@effect/vitest"

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))
const MAIN = path("../../src/Cli/Main.ts")
const SECCOMP = "317"

beforeAll(() => {
  execFileSync("make", ["-s", "-C", path("../hostile"), "build/forbid"])
})

/** The command line, on a host that refuses seccomp(2) (the ptrace platform can make do with prctl(2)) or nothing. */
const cli = (refused: boolean, ...args: ReadonlyArray<string>) => {
  const [program = "", ...rest] = [
    ...(refused ? [path("../hostile/build/forbid"), SECCOMP] : []),
    process.execPath,
    MAIN,
    ...args
  ]
  const { status, stdout, stderr } = spawnSync(program, rest, { encoding: "utf8", timeout: 20_000 })
  return { status, stdout, stderr, lines: stdout.trim().split("\n") }
}

it("doctor says of each need whether the host meets it, and ends accordingly", () => {
  const { status, lines, stderr } = cli(false, "doctor")
  assert.strictEqual(stderr, "")
  assert.isAbove(lines.filter((line) => /^[✓✗] /.test(line)).length, 5)
  assert.strictEqual(status, lines.some((line) => line.endsWith("(the default)")) ? 0 : 1)
  const verdicts = lines.slice(-2).map((line) => /^platform (\w+): (works here|does not work here: )/.exec(line)?.[1])
  assert.deepStrictEqual(verdicts, ["systrap", "ptrace"])
})

it("where the fast platform can't run, doctor says why, and the other is used", () => {
  const { status, lines } = cli(true, "doctor")
  assert.include(lines, "✗ SECCOMP_RET_TRAP: EPERM")
  assert.include(lines, "platform systrap: does not work here: SECCOMP_RET_TRAP, systrap platform")
  assert.strictEqual(lines.at(-1), "platform ptrace: works here (the default)")
  assert.strictEqual(status, 0)
  const { stdout, stderr } = cli(true, "run", "echo", "hello")
  assert.deepStrictEqual({ stdout, stderr }, { stdout: "hello\n", stderr: "" })
  const chosen = cli(true, "run", "--platform", "systrap", "echo", "hello")
  assert.strictEqual(chosen.status, 125)
  assert.match(chosen.stderr, /^effect-sentry: the systrap platform does not work here: .*doctor`\n$/)
})
