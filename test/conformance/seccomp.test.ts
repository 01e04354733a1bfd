/**
 * seccomp(2) as programs use it: filters that libseccomp makes. Needs Debian's python3-seccomp, which belongs to the
 * system's own Python.
 */
import { spawnSync } from "node:child_process"
import { describe, test } from "vitest"
import { expectSame } from "./Compare.ts"
import { PLATFORMS, REPOSITORY } from "./Platforms.ts"

const PYTHON = "/usr/bin/python3"
const hasLibrary = spawnSync(PYTHON, ["-c", "import seccomp"]).status === 0

for (const platform of PLATFORMS) {
  describe.skipIf(!hasLibrary)(`libseccomp on ${platform.name}`, () => {
    test("services, white lists, traps, trees, notifications", { timeout: 60_000 }, () =>
      expectSame(platform, [PYTHON, `${REPOSITORY}test/conformance/libseccomp.py`])
    )
  })
}
