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

const hasBwrap = spawnSync("bwrap", ["--ro-bind", "/", "/", "true"]).status === 0

/** Writes a filter that refuses chmod(2) and getpriority(2), and hands it to bwrap. */
const CONFINED = `
  ${PYTHON} -c '
import errno, seccomp, sys
f = seccomp.SyscallFilter(seccomp.ALLOW)
for name in ("chmod", "fchmodat"): f.add_rule(seccomp.ERRNO(errno.EPERM), name)
f.add_rule(seccomp.ERRNO(errno.ENOTTY), "getpriority")
f.export_bpf(sys.stdout)' > filter
  bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --seccomp 9 9< filter \
    sh -c "touch /tmp/x; chmod 600 /tmp/x; nice; grep Seccomp /proc/self/status"`

for (const platform of PLATFORMS) {
  describe.skipIf(!hasLibrary)(`libseccomp on ${platform.name}`, () => {
    test("services, white lists, traps, trees, notifications", { timeout: 60_000 }, () =>
      expectSame(platform, [PYTHON, `${REPOSITORY}test/conformance/libseccomp.py`])
    )

    test.skipIf(!hasBwrap)("bwrap --seccomp", { timeout: 60_000 }, () => expectSame(platform, ["sh", "-c", CONFINED]))
  })
}
