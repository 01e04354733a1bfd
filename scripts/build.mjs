/**
 * Builds dist/: modules with declarations for embedding, and one minified file for the command line, because a start
 * that loads hundreds of modules costs a hundred milliseconds. `--bundle-only` builds just the latter.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { fail, fromModules, node, root, run } from "./tools.mjs"

const bundleOnly = process.argv.includes("--bundle-only")
const dist = join(root, "dist")

if (!bundleOnly) {
  rmSync(dist, { recursive: true, force: true })
  const compiler = fromModules("typescript/bin/tsc") ?? fail("typescript is not installed: run `npm ci`")
  const status = run(node, [compiler, "-p", "tsconfig.build.json"])
  if (status !== 0) fail("the TypeScript build failed, see above")
}

/**
 * Takes Node's own modules without an ES module around them: to make one Node reads every export, which in node:fs
 * loads the streams and the promises too.
 */
const withoutFacades = {
  name: "without facades",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^node:(fs|os|path|url)$/ }, ({ path }) => ({ path, namespace: "builtin" }))
    onLoad({ filter: /.*/, namespace: "builtin" }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`
    }))
  }
}

const entry = join(root, "src/Cli/Main.ts")
if (existsSync(entry)) {
  const { build } = await import("esbuild")
  const { outputFiles } = await build({
    entryPoints: { "cli.min": entry },
    outdir: dist,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    minify: true,
    // a stack trace in a bug report should name functions, and Effect keys some errors by class name
    keepNames: true,
    splitting: true,
    chunkNames: "cli-[name]-[hash]",
    platform: "node",
    format: "esm",
    target: "node22",
    external: ["koffi"],
    plugins: [withoutFacades],
    banner: {
      js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);'
    },
    logLevel: "warning",
    write: false
  })
  // whoever runs the program meanwhile sees the old files or the new ones, never half of one; the entry comes last
  mkdirSync(dist, { recursive: true })
  const isEntry = (file) => Number(basename(file.path) === "cli.min.mjs")
  for (const file of outputFiles.sort((a, b) => isEntry(a) - isEntry(b))) {
    const temporary = `${file.path}.${process.pid}`
    writeFileSync(temporary, file.contents)
    renameSync(temporary, file.path)
  }
  // chunks of earlier builds go when nobody can be about to load them
  const current = new Set(outputFiles.map((file) => basename(file.path)))
  for (const name of readdirSync(dist).filter((name) => /^cli.*\.mjs$/.test(name) && !current.has(name)))
    if (Date.now() - statSync(join(dist, name)).mtimeMs > 600_000) rmSync(join(dist, name), { force: true })
} else if (!bundleOnly) fail("src/Cli/Main.ts is missing")
