/**
 * Builds dist/: modules with declarations for embedding, and one file for the command line, because a start
 * that loads hundreds of modules costs a hundred milliseconds. `--bundle-only` builds just the latter.
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fail, fromModules, node, root, run, warm } from "./tools.mjs"

const bundleOnly = process.argv.includes("--bundle-only")
const dist = join(root, "dist")

if (!bundleOnly) {
  rmSync(dist, { recursive: true, force: true })
  const compiler = fromModules("typescript/bin/tsc") ?? fail("typescript is not installed: run `npm ci`")
  const status = run(node, [compiler, "-p", "tsconfig.build.json"])
  if (status !== 0) fail("the TypeScript build failed, see above")
}

const entry = join(root, "src/Cli/Main.ts")
if (existsSync(entry)) {
  const { build } = await import("esbuild")
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    // names stay: a stack trace in a bug report should say them. `keepNames` would define them one by one at each start
    minifySyntax: true,
    minifyWhitespace: true,
    platform: "node",
    format: "iife",
    target: "node22",
    external: ["koffi"],
    define: { "import.meta.url": "importMetaUrl" },
    logLevel: "warning",
    write: false
  })
  const { text } = outputFiles[0]
  // a script, not a module, since V8 keeps what it made of one; its first line says whose the cache is (bin/), in a
  // multiple of 8 bytes, since what follows them there is copied once more if it isn't aligned
  const contents = `//${createHash("sha256").update(text).digest("hex").padStart(70)}
(function (require, __filename) { const importMetaUrl = require("node:url").pathToFileURL(__filename).href
${text}})`
  // whoever runs the program meanwhile sees the old file or the new one, never half of one
  mkdirSync(dist, { recursive: true })
  const bundle = join(dist, "cli.cjs")
  writeFileSync(`${bundle}.${process.pid}`, contents)
  renameSync(`${bundle}.${process.pid}`, bundle)
  warm()
} else if (!bundleOnly) fail("src/Cli/Main.ts is missing")
