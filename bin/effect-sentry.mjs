#!/usr/bin/env node
// The launcher: finds a Node that is new enough, turns on its compile cache, loads the program. Must itself be readable
// by old versions of Node, hence the namespace import: they lack `enableCompileCache`.
import * as nodeModule from "node:module"
import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url))
const [major, minor] = process.versions.node.split(".").map(Number)
const isAtLeast = (wantedMajor, wantedMinor) => major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)

const bundle = path("../dist/cli.min.mjs")
const source = path("../src/Cli/Main.ts")
// a checkout that was not built runs from its sources, which takes a Node that strips types
const isBuilt = existsSync(bundle)
const program = isBuilt ? bundle : source

if (isBuilt ? isAtLeast(22, 19) : isAtLeast(23, 6)) {
  nodeModule.enableCompileCache?.()
  await import(program)
} else {
  const own = path("../node_modules/.bin/node")
  if (!existsSync(own) || process.env.EFFECT_SENTRY_REEXEC === "1") {
    const wanted = isBuilt ? "22.19" : "23.6 (or a build: npm run build)"
    process.stderr.write(
      `effect-sentry: Node ${process.versions.node} is too old: install Node ${wanted} or newer and try again\n`
    )
    process.exit(125)
  }
  // the package brings a Node of its own; wait for it, hand signals on, end as it ends
  const { spawn } = await import("node:child_process")
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: "inherit",
    env: { ...process.env, EFFECT_SENTRY_REEXEC: "1" }
  })
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGWINCH"]) {
    process.on(signal, () => {
      // the terminal has sent it to the child as well, unless somebody sent it to us alone
      if (!process.stdin.isTTY || signal === "SIGTERM") child.kill(signal)
    })
  }
  child.on("error", (error) => {
    process.stderr.write(`effect-sentry: cannot start ${own}: ${error.message}: run npm ci again\n`)
    process.exit(125)
  })
  child.on("exit", (code, signal) => {
    if (signal !== null) process.kill(process.pid, "SIGKILL")
    process.exit(code ?? 125)
  })
}
