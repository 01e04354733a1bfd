/**
 * What the other scripts share: where the repository and its tools are, and running a command with a bound on its time.
 * Plain JavaScript for the system's own Node, which may be older than the one the project runs on.
 */
import { spawnSync } from "node:child_process"
import { existsSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** A file of node_modules, here or in a parent directory when the package itself is a dependency. */
export const fromModules = (path) => {
  for (let directory = root; ; directory = dirname(directory)) {
    const candidate = join(directory, "node_modules", path)
    if (existsSync(candidate)) return candidate
    if (directory === dirname(directory)) return undefined
  }
}

/** The pinned Node when it is installed, else the one that runs this script. */
export const node = fromModules(".bin/node") ?? process.execPath

/** Runs a command in the repository, its output shown; returns its exit status (1 when killed or not started). */
export const run = (command, args, options = {}) => {
  const done = spawnSync(command, args, { cwd: root, stdio: "inherit", timeout: 600_000, ...options })
  return done.status ?? 1
}

/**
 * Runs a program in the sandbox, so that the first start by a user finds what V8 compiled meanwhile. Where the sandbox
 * can't run now (while an image is built, say), that start makes up for it.
 */
export const warm = () => {
  rmSync(join(root, "dist/cli.cjs.cache"), { force: true })
  const program = "ls -l / | cat; (exit 3)"
  spawnSync(join(root, "bin/effect-sentry"), ["run", "--", "/bin/sh", "-c", program], {
    stdio: "ignore",
    timeout: 20_000,
    killSignal: "SIGKILL"
  })
}

/** One line that says what is wrong and what to do, then the end. */
export const fail = (message) => {
  console.error(`effect-sentry: ${message}`)
  process.exit(1)
}
