import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"

const MAIN = fileURLToPath(new URL("../../src/Cli/Main.ts", import.meta.url))

it("doctor says of each need whether the host meets it, and ends accordingly", () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, "doctor"], {
    encoding: "utf8",
    timeout: 20_000
  })
  assert.strictEqual(stderr, "")
  const lines = stdout.trim().split("\n")
  assert.isAbove(lines.filter((line) => /^[✓✗] /.test(line)).length, 5)
  assert.strictEqual(status, lines.some((line) => line.startsWith("✗")) ? 1 : 0)
  assert.match(lines.at(-1)!, status === 0 ? /^platform ptrace: works here$/ : /^platform ptrace: does not work here: /)
})
