/**
 * The command line as a user meets it: exit statuses, one-line errors, signals, limits.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"

const MAIN = fileURLToPath(new URL("../../src/Cli/Main.ts", import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const start = (words: ReadonlyArray<string>, env: Record<string, string> = {}): ChildProcessWithoutNullStreams =>
  spawn(process.execPath, [MAIN, ...words], { env: { ...process.env, ...env }, timeout: 20_000, killSignal: "SIGKILL" })

const finish = (child: ChildProcessWithoutNullStreams): Promise<Ended> =>
  new Promise((resolve) => {
    let stdout = ""
    let stderr = ""
    child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString("latin1")))
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString("latin1")))
    child.on("close", (code) => resolve({ code, stdout, stderr }))
  })

const cli = (words: ReadonlyArray<string>, input = "", env: Record<string, string> = {}): Promise<Ended> => {
  const child = start(words, env)
  child.stdin.on("error", () => {}) // the program need not read it
  child.stdin.end(input)
  return finish(child)
}

const sh = (script: string, ...options: ReadonlyArray<string>): Promise<Ended> =>
  cli(["run", ...options, "/bin/sh", "-c", script])

/** Resolves when the child has written `text`. */
const written = (child: ChildProcessWithoutNullStreams, text: string): Promise<void> =>
  new Promise((resolve) => {
    let all = ""
    child.stdout.on("data", (chunk: Buffer) => {
      all += chunk.toString("latin1")
      if (all.includes(text)) resolve()
    })
  })

const LINE = /^effect-sentry: [^\n]+: [^\n]+\n$/

describe("effect-sentry run", { timeout: 30_000 }, () => {
  let directory = ""
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "sentry-cli-"))
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  it("lets programs tell the time without a system call", async () => {
    const program = "const end = Date.now() + 200; let n = 0; while (Date.now() < end) n++; console.log(n > 10000)"
    const log = join(directory, "clock.log")
    const { stdout } = await cli([
      "run",
      "--strace=clock_gettime,gettimeofday",
      "--strace-log",
      log,
      process.execPath,
      "-e",
      program
    ])
    assert.strictEqual(stdout, "true\n")
    // but for the first milliseconds, when the page is not yet filled in
    assert.isBelow(readFileSync(log, "latin1").split("\n").length, 1000)
  })

  it("ends as the program ends", async () => {
    assert.strictEqual((await sh("exit 0")).code, 0)
    assert.strictEqual((await sh("exit 3")).code, 3)
    assert.strictEqual((await sh("kill -SEGV $$")).code, 139)
    assert.strictEqual((await sh("kill -KILL $$")).code, 137)
  })

  it("prints nothing of its own", async () => {
    assert.deepStrictEqual(await cli(["run", "cat"], "hello"), { code: 0, stdout: "hello", stderr: "" })
  })

  it("says in one line why a program cannot run: 127 if there is none, 126 if it is no program", async () => {
    const missing = await cli(["run", "no-such-program"])
    assert.strictEqual(missing.code, 127)
    assert.match(missing.stderr, LINE)
    assert.strictEqual((await cli(["run", "/no/such"])).code, 127)
    const directoryItself = await cli(["run", "/etc"])
    assert.strictEqual(directoryItself.code, 126)
    assert.match(directoryItself.stderr, LINE)
    const file = join(directory, "plain")
    writeFileSync(file, "text")
    assert.strictEqual((await cli(["run", file])).code, 126)
    const broken = join(directory, "broken")
    writeFileSync(broken, Buffer.from("\x7fELF\x02\x01\x01\0truncated", "latin1"))
    chmodSync(broken, 0o755)
    const notExecutable = await cli(["run", broken])
    assert.strictEqual(notExecutable.code, 126)
    assert.match(notExecutable.stderr, LINE)
  })

  it("gives a script without an interpreter line to /bin/sh, as execvp(3) does", async () => {
    const script = join(directory, "script")
    writeFileSync(script, 'echo "script $1"; exit 5\n')
    chmodSync(script, 0o755)
    assert.deepStrictEqual(await cli(["run", script, "one"]), { code: 5, stdout: "script one\n", stderr: "" })
  })

  it("fails with 125 and one line for usage errors and bad options", async () => {
    for (const words of [
      [],
      ["fly"],
      ["run"],
      ["run", "--frobnicate", "ls"],
      ["run", "--cwd", "/no/such", "true"],
      ["run", "--bind", "/no/such:/mnt", "true"],
      ["run", "--rootfs", "/no/such", "true"],
      ["run", "--strace-log", "/no/such/file", "true"],
      ["run", "--timeout", "soon", "true"],
      ["doctor", "now"],
      ["completions", "tcsh"]
    ]) {
      const { code, stderr, stdout } = await cli(words)
      assert.strictEqual(code, 125, words.join(" "))
      assert.match(stderr, LINE)
      assert.strictEqual(stdout, "")
    }
  })

  it("answers --help, --version and completions", async () => {
    assert.match((await cli(["--help"])).stdout, /run .*\n.*doctor/)
    assert.match((await cli(["run", "--help"])).stdout, /--strace-log/)
    assert.match((await cli(["--version"])).stdout, /^effect-sentry \d/)
    assert.match((await cli(["completions", "bash"])).stdout, /--timeout/)
  })

  it("passes arguments, environment and working directory, whatever bytes they are", async () => {
    const env = await cli(["run", "--env", "A=1", "--env", "B", "/usr/bin/env"], "", { B: "b", C: "ü" })
    assert.include(env.stdout.split("\n"), "A=1")
    assert.include(env.stdout.split("\n"), "B=b")
    assert.include(env.stdout.split("\n"), Buffer.from("C=ü").toString("latin1"))
    assert.strictEqual((await cli(["run", "--clear-env", "--env", "X=y", "/usr/bin/env"])).stdout, "X=y\n")
    assert.strictEqual((await cli(["run", "--cwd", "/usr", "pwd"])).stdout, "/usr\n")
    assert.strictEqual(
      (await cli(["run", "printf", "%s|", "a b", "", "--help", "ü"])).stdout,
      Buffer.from("a b||--help|ü|").toString("latin1")
    )
  })

  it("keeps what the program writes in memory, but for --bind …:rw", async () => {
    const plain = join(directory, "kept")
    assert.strictEqual((await sh(`echo x > ${plain} && cat ${plain}`)).stdout, "x\n")
    assert.throws(() => readFileSync(plain))
    const bound = await sh("echo y > /mnt/out; cat /mnt/out", "--bind", `${directory}:/mnt:rw`)
    assert.strictEqual(bound.stdout, "y\n", bound.stderr)
    assert.strictEqual(readFileSync(join(directory, "out"), "utf8"), "y\n")
    const refused = await sh("echo z > /mnt/refused", "--bind", `${directory}:/mnt`)
    assert.notStrictEqual(refused.code, 0)
  })

  it("kills everything after --timeout and ends with 124", async () => {
    const begin = performance.now()
    assert.strictEqual((await sh("sleep 30 & sleep 30", "--timeout", "300ms")).code, 124)
    assert.isBelow(performance.now() - begin, 10_000)
    assert.strictEqual((await sh("exit 4", "--timeout", "10s")).code, 4)
  })

  it("hands signals to the program, which may handle them", async () => {
    const child = start(["run", "/bin/sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"])
    await written(child, "ready")
    child.kill("SIGTERM")
    assert.strictEqual((await finish(child)).code, 9)
  })

  it("ends with 128 + the signal's number if the program does not handle it", async () => {
    const child = start(["run", "/bin/sh", "-c", "echo ready; sleep 30"])
    await written(child, "ready")
    child.kill("SIGHUP")
    assert.strictEqual((await finish(child)).code, 129)
  })

  it("kills a program that does not heed the second SIGINT", async () => {
    const child = start(["run", "/bin/sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done"])
    await written(child, "ready")
    child.kill("SIGINT")
    await new Promise((resolve) => setTimeout(resolve, 200))
    child.kill("SIGINT")
    assert.strictEqual((await finish(child)).code, 137)
  })

  it("traces to standard error or a file, filtered", async () => {
    const log = join(directory, "trace")
    const traced = await cli(["run", "--strace=%file,exit_group", "--strace-log", log, "cat", "/etc/hostname"])
    assert.strictEqual(traced.stderr, "")
    const text = readFileSync(log, "latin1")
    assert.match(text, /^\d+ +openat\(AT_FDCWD, "\/etc\/hostname", O_RDONLY\) += 3$/m)
    assert.match(text, /^\d+ +exit_group\(0\) += \?$/m)
    assert.match(text, /^\d+ +\+\+\+ exited with 0 \+\+\+$/m)
    assert.notMatch(text, / read\(/)
    assert.match((await cli(["run", "--strace=write", "echo", "hi"])).stderr, /^write\(1, "hi\\n", 3\) +(= 3)?/m)
  })
})
