/**
 * `npm test`: builds what the tests run, runs them on the pinned Node, and ends with one line `N passed, N failed`.
 *
 * `--nightly` adds the long tests. Everything else is handed to vitest: `npm test -- test/Vfs -t rename`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fail, fromModules, node, root, run } from "./tools.mjs"

const args = process.argv.slice(2)
const nightly = args.includes("--nightly")
const rest = args.filter((arg) => arg !== "--nightly")

const vitest = fromModules("vitest/vitest.mjs") ?? fail("vitest is not installed: run `npm ci`")

for (const directory of ["native", "test/guest"])
  if (run("make", ["-s", "-j2", "-C", directory]) !== 0) fail(`building ${directory} failed, see above`)

const scratch = mkdtempSync(join(tmpdir(), "effect-sentry-test-"))
const results = join(scratch, "results.json")
const status = run(
  node,
  [vitest, "run", "--root", root, "--reporter=default", "--reporter=json", `--outputFile.json=${results}`, ...rest],
  {
    timeout: nightly ? 4 * 3_600_000 : 1_320_000,
    env: { ...process.env, ...(nightly ? { SENTRY_TEST_NIGHTLY: "1" } : {}) }
  }
)

let passed = 0
let failed = 0
try {
  const report = JSON.parse(readFileSync(results, "utf8"))
  passed = report.numPassedTests
  failed = report.numFailedTests
  // a file that could not be loaded has no tests to count, and must not pass for that
  for (const file of report.testResults)
    if (file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed")) failed++
} catch {
  console.error("effect-sentry: the tests did not finish")
  failed++
}
rmSync(scratch, { recursive: true, force: true })
if (status !== 0 && failed === 0) failed = 1
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
