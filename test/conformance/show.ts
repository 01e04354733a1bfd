/**
 * For whoever works on a difference: runs guest programs or one command line natively and in the sandbox, and shows a
 * diff. `node test/conformance/show.ts clocks epoll`, `node test/conformance/show.ts -- bash -c 'echo hi'`.
 */
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { runBoth, withScratch } from "./Compare.ts"
import { PLATFORMS, REPOSITORY } from "./Platforms.ts"
import type { Outcome } from "./Run.ts"

const text = ({ stdout, stderr, status, timedOut }: Outcome): string =>
  `${stdout}--- stderr\n${stderr}--- status ${status}${timedOut ? ", timed out" : ""}\n`

const args = process.argv.slice(2)
const commands =
  args[0] === "--" ? [args.slice(1)] : args.map((guest) => [`${REPOSITORY}test/guest/build/${guest}`] as const)

for (const platform of PLATFORMS)
  for (const command of commands) {
    const { native, sandboxed } = await runBoth(platform, command)
    await withScratch(async (directory) => {
      writeFileSync(`${directory}/native`, text(native), "latin1")
      writeFileSync(`${directory}/${platform.name}`, text(sandboxed), "latin1")
      const diff = spawnSync("diff", ["-u", "native", platform.name], { cwd: directory, encoding: "latin1" })
      const verdict = diff.status === 0 ? "same" : `different\n${diff.stdout}`
      console.log(`${command.join(" ")} on ${platform.name} (${sandboxed.milliseconds} ms): ${verdict}`)
    })
  }
