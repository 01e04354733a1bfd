/**
 * npm's install and prepare steps: builds native/ with this machine's compiler, and dist/ when this is a checkout (a
 * registry tarball brings dist/, and TypeScript is not there). `--native-only` leaves dist/ alone.
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { fail, fromModules, node, root, run, warm } from "./tools.mjs"

if (process.platform !== "linux" || process.arch !== "x64") fail("runs on Linux x86-64 only")

const has = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0
const missing = ["gcc", "make"].filter((command) => !has(command))
if (missing.length === 0) {
  const probe = spawnSync("gcc", ["-E", "-x", "c", "-"], {
    input: "#include <stdio.h>\n#include <linux/ptrace.h>\n",
    stdio: ["pipe", "ignore", "ignore"]
  })
  if (probe.status !== 0) missing.push("the C library's and the kernel's headers")
}
const isPrebuilt = existsSync(join(root, "native/build/sentry.so"))
if (missing.length > 0 && !isPrebuilt) {
  fail(
    `building the native part needs ${missing.join(", ")}: ` +
      "install them (Debian, Ubuntu: apt-get install gcc make libc6-dev linux-libc-dev) and run npm install again"
  )
}
if (missing.length === 0 && run("make", ["-s", "-C", "native"]) !== 0)
  fail("building native/ failed, see the compiler's messages above")

if (process.argv.includes("--native-only")) {
  if (existsSync(join(root, "dist/cli.cjs"))) warm()
  process.exit(0)
}
const compilable = existsSync(join(root, "tsconfig.build.json")) && fromModules("typescript/bin/tsc") !== undefined
if (compilable) {
  const status = run(node, [join(root, "scripts/build.mjs")])
  if (status !== 0) process.exit(status)
} else if (!existsSync(join(root, "dist"))) fail("dist/ is missing and TypeScript is not installed: run `npm ci`")
