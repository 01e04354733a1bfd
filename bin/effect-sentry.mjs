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

// set by ourselves, below: the inner one of two processes
const isInner = process.env.EFFECT_SENTRY_LAUNCHER !== undefined
delete process.env.EFFECT_SENTRY_LAUNCHER

if (isBuilt ? isAtLeast(22, 19) : isAtLeast(23, 6)) {
  if (isInner) {
    // the outer one holds the other end of descriptor 3: when it is killed, so are we
    const { Socket } = await import("node:net")
    const lifeline = new Socket({ fd: 3, readable: true })
    lifeline.on("close", () => process.kill(process.pid, "SIGKILL"))
    lifeline.resume().unref()
  }
  nodeModule.enableCompileCache?.()
  await import(program)
} else {
  const own = path("../node_modules/.bin/node")
  if (!existsSync(own) || isInner) {
    const wanted = isBuilt ? "22.19" : "23.6 (or a build: npm run build)"
    process.stderr.write(
      `effect-sentry: Node ${process.versions.node} is too old: install Node ${wanted} or newer and try again\n`
    )
    process.exit(125)
  }
  // the package brings a Node of its own; wait for it, hand signals on, end as it ends
  const { spawn } = await import("node:child_process")
  const child = spawn(own, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: { ...process.env, EFFECT_SENTRY_LAUNCHER: "1" }
  })
  // what a terminal's keys send, the inner one gets by itself; both ways at once count once there
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"]) {
    process.on(signal, () => child.kill(signal))
  }
  child.on("error", (error) => {
    process.stderr.write(`effect-sentry: cannot start ${own}: ${error.message}: run npm ci again\n`)
    process.exit(125)
  })
  child.on("exit", (code, signal) => {
    if (signal !== null) process.kill(process.pid, "SIGKILL")
    process.exitCode = code ?? 125
  })
}
