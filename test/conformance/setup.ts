/**
 * Vitest's global setup: the native library, the guest programs and the bundled command line are built once, before any
 * suite, so that no two workers build at the same time and no suite tests yesterday's bundle.
 */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { REPOSITORY } from "./Platforms.ts"

const build = (command: string, ...args: ReadonlyArray<string>): void => {
  execFileSync(command, args, { cwd: REPOSITORY, stdio: ["ignore", "ignore", "inherit"], timeout: 300_000 })
}

export const setup = (): void => {
  build("make", "-s", "-C", "test/guest", "-j2")
  build("make", "-s", "-C", "test/planted", "-j2")
  build("make", "-s", "-C", "native", "-j2")
  if (existsSync(`${REPOSITORY}src/Cli/Main.ts`)) build(process.execPath, "scripts/build.mjs", "--bundle-only")
}
