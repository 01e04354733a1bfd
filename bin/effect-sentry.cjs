/**
 * The command for Node: loads the program, with what V8 made of it in an earlier run. Old versions of Node must be able
 * to read this, so as to be told that they are.
 *
 * Node's own compile cache keeps what a file's first compilation makes; most functions are compiled when they are first
 * called. So the cache here is made at the end of a run. It starts with the first line of the file that it belongs to,
 * which has that file's digest; V8 itself refuses what another version, other flags or another processor made.
 */
const { existsSync, readFileSync, renameSync, rmSync, writeFileSync } = require("node:fs")
const { dirname, join } = require("node:path")

const bundle = join(dirname(__dirname), "dist", "cli.cjs")
const isBuilt = existsSync(bundle)
// a checkout that was not built runs from its sources, which takes a Node that strips types
const [wantedMajor, wantedMinor] = isBuilt ? [22, 19] : [23, 6]
const [major, minor] = process.versions.node.split(".").map(Number)

const cacheFile = `${bundle}.cache`
const readCache = () => {
  try {
    return readFileSync(cacheFile)
  } catch {
    return undefined
  }
}

/** Whoever reads it meanwhile gets the old cache or the new one. Where nobody may write, starts are slower. */
const save = (head, script) => {
  const temporary = `${cacheFile}.${process.pid}`
  try {
    writeFileSync(temporary, Buffer.concat([head, script.createCachedData()]))
    renameSync(temporary, cacheFile)
  } catch {
    rmSync(temporary, { force: true })
  }
}

const load = () => {
  const { Script } = require("node:vm")
  const source = readFileSync(bundle, "latin1")
  const head = Buffer.from(source.slice(0, source.indexOf("\n")), "latin1")
  const cache = readCache()
  const fits = cache !== undefined && head.equals(cache.subarray(0, head.length))
  const script = new Script(source, {
    filename: bundle,
    cachedData: fits ? cache.subarray(head.length) : undefined
  })
  // other commands call little of what `run` does
  if ((!fits || script.cachedDataRejected) && process.argv[2] === "run") process.once("exit", () => save(head, script))
  script.runInThisContext()(require, bundle)
}

if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
  const wanted = `${wantedMajor}.${wantedMinor}${isBuilt ? "" : " (or a build: npm run build)"}`
  const cure = `install Node ${wanted} or newer and try again`
  process.stderr.write(`effect-sentry: Node ${process.versions.node} is too old: ${cure}\n`)
  process.exitCode = 125
} else if (isBuilt) load()
else {
  require("node:module").enableCompileCache()
  void import("../src/Cli/Main.ts")
}
