/** The sentry is a program like any other: it runs in itself, with the host's results. */
import { test } from "vitest"
import { expectSame } from "./Compare.ts"
import { CLI, PLATFORMS } from "./Platforms.ts"

const LIMIT = 150_000

for (const platform of PLATFORMS) {
  test(
    `ls -l in a sandbox in a sandbox on ${platform.name}`,
    () => expectSame(platform, [...CLI, "run", "--platform", "ptrace", "--", "ls", "-l", "/usr"], { timeout: LIMIT }),
    LIMIT
  )
}
