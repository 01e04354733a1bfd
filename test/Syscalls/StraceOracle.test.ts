/**
 * The same program under strace(1) and under `--strace`: but for addresses and process ids the lines must be equal.
 */
import { spawnSync, type SpawnSyncOptions } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"

const MAIN = fileURLToPath(new URL("../../src/Cli/Main.ts", import.meta.url))
const canTrace = spawnSync("strace", ["-f", "-o", "/dev/null", "true"]).status === 0

const normalise = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .map((line) =>
      line
        .replace(/^\d+ +/, "")
        .replace(/0x[0-9a-f]{5,}/g, "ADDRESS")
        .replace(/\b(si_pid|st_size)=\d+/g, "$1=N")
        .replace(/\bkill\(\d+/, "kill(N")
        // the first execve(2): we have no caller whose memory could hold the environment
        .replace(/(ADDRESS )?\[?(\/\* \d+ vars \*\/)\]?/, "$2")
        .replace(/\b(getpid|gettid|getppid|fork|wait4|clone)\((.*)\) += \d+$/, "$1($2) = N")
        .replace(/ += /, " = ")
    )
    .filter((line) => line !== "")

describe.skipIf(!canTrace)("--strace and strace", { timeout: 60_000 }, () => {
  let log = ""
  beforeAll(() => {
    log = mkdtempSync(join(tmpdir(), "sentry-strace-"))
  })
  afterAll(() => rmSync(log, { recursive: true }))

  const compare = (filter: string, ...command: ReadonlyArray<string>): void => {
    const [theirs, ours] = [join(log, "theirs"), join(log, "ours")]
    const options: SpawnSyncOptions = { stdio: ["ignore", "pipe", "pipe"], timeout: 20_000 }
    spawnSync("strace", ["-f", "-o", theirs, "-e", `trace=${filter}`, ...command], options)
    spawnSync(process.execPath, [MAIN, "run", `--strace=${filter}`, "--strace-log", ours, ...command], options)
    assert.deepStrictEqual(normalise(readFileSync(ours, "latin1")), normalise(readFileSync(theirs, "latin1")))
  }

  it("agree about files", () =>
    compare("openat,read,close,newfstatat,fadvise64,write,exit_group", "cat", "/etc/hostname"))

  it("agree about failures", () => compare("openat,write,exit_group,lseek", "cat", "/no/such/file"))

  it("agree about signals", () =>
    compare(
      "rt_sigaction,rt_sigprocmask,kill,rt_sigreturn,getpid,exit_group",
      "/bin/sh",
      "-c",
      "trap 'exit 4' USR1; kill -USR1 $$"
    ))

  it("agree about memory", () => compare("brk,mprotect,munmap,arch_prctl,set_robust_list", "/bin/true"))

  it("agree about processes", () => compare("execve,exit_group", "/bin/sh", "-c", "exec /bin/true"))
})
