/**
 * What the command line does with programs and options that are no good: the documented exit status, one line on
 * standard error that names the cause, nothing else.
 */
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { withScratch } from "./Compare.ts"
import { CLI, IS_SANDBOX, PLATFORMS, type Platform } from "./Platforms.ts"
import { run, type Outcome } from "./Run.ts"

interface BadInput {
  readonly name: string
  /** Prepares the scratch directory, which is the working directory of the run. */
  readonly prepare?: (directory: string) => void
  /** The program and its arguments. */
  readonly program: ReadonlyArray<string>
  readonly options?: ReadonlyArray<string>
  readonly status: number | ReadonlyArray<number>
}

const executable = (path: string, content: string | Uint8Array): void => {
  writeFileSync(path, content)
  chmodSync(path, 0o755)
}

/** The first `length` bytes of an ELF header, changed. */
const elfHeader = (length: number, changes: Readonly<Record<number, number>> = {}): Uint8Array => {
  const header = new Uint8Array(length)
  header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1].slice(0, length))
  if (length >= 64) {
    header.set([2, 0, 0x3e, 0, 1, 0, 0, 0], 16) // ET_EXEC, EM_X86_64
    header.set([64, 0, 56, 0, 1, 0], 52)
    header[32] = 64
  }
  for (const [at, value] of Object.entries(changes)) header[Number(at)] = value
  return header
}

const elf = (name: string, content: Uint8Array): BadInput => ({
  name,
  prepare: (directory) => executable(`${directory}/program`, content),
  program: ["./program"],
  status: 126
})

const BAD_INPUT: ReadonlyArray<BadInput> = [
  { name: "a program that PATH does not lead to", program: ["no-such-program"], status: 127 },
  { name: "a path that does not exist", program: ["/no/such/program"], status: 127 },
  { name: "an empty name", program: [""], status: [125, 127] },
  { name: "a directory", program: ["/tmp"], status: 126 },
  {
    name: "a file without permission to execute",
    prepare: (directory) => writeFileSync(`${directory}/program`, "#!/bin/sh\n"),
    program: ["./program"],
    status: 126
  },
  {
    name: "a path through a file",
    prepare: (directory) => writeFileSync(`${directory}/file`, ""),
    program: ["./file/program"],
    status: [126, 127]
  },
  {
    name: "a link to itself",
    prepare: (directory) => symlinkSync("loop", `${directory}/loop`),
    program: ["./loop"],
    status: [126, 127]
  },
  {
    name: "a script whose interpreter is missing",
    prepare: (directory) => executable(`${directory}/script`, "#!/no/such/interpreter\n"),
    program: ["./script"],
    status: [126, 127]
  },
  elf("an ELF header without its program headers", elfHeader(64)),
  elf("a 32-bit ELF", elfHeader(200, { 4: 1, 18: 3 })),
  elf("an ELF for another machine", elfHeader(200, { 18: 0xb7 })),
  elf("an ELF with an absurd header size", elfHeader(200, { 54: 0xff })),
  elf("a relocatable object", elfHeader(200, { 16: 1 })),
  { name: "an unknown option", options: ["--no-such-option"], program: ["true"], status: 125 },
  { name: "a duration that is none", options: ["--timeout", "soon"], program: ["true"], status: 125 },
  { name: "an unknown platform", options: ["--platform", "no-such-platform"], program: ["true"], status: 125 },
  { name: "a mount without a target", options: ["--bind", "/tmp"], program: ["true"], status: 125 },
  { name: "a mount of what does not exist", options: ["--bind", "/no/such:/mnt"], program: ["true"], status: 125 },
  { name: "a root that does not exist", options: ["--rootfs", "/no/such"], program: ["true"], status: 125 },
  { name: "a root that is a file", options: ["--rootfs", "/etc/passwd"], program: ["true"], status: 125 },
  { name: "a working directory that does not exist", options: ["--cwd", "/no/such"], program: ["true"], status: 125 },
  { name: "a variable without a name", options: ["--env", "=x"], program: ["true"], status: 125 },
  { name: "a trace of an unknown call", options: ["--strace=no_such_call"], program: ["true"], status: 125 }
]

const expectOneLine = (outcome: Outcome): void => {
  expect(outcome.stderr).toMatch(/^effect-sentry: [^\n]+\n$/)
  expect(outcome.stdout).toBe("")
}

const check = (platform: Platform, input: BadInput): Promise<void> =>
  withScratch(async (directory) => {
    input.prepare?.(directory)
    const outcome = await run(platform.command(input.program, input.options), { cwd: directory })
    const allowed = typeof input.status === "number" ? [input.status] : input.status
    expect(allowed, outcome.stderr).toContain(outcome.status)
    expectOneLine(outcome)
  })

for (const platform of PLATFORMS) {
  ;(IS_SANDBOX ? describe.concurrent : describe.skip)(`bad input on ${platform.name}`, () => {
    for (const input of BAD_INPUT) test(input.name, () => check(platform, input))

    test("no program at all", async () => {
      const outcome = await run([...CLI, "run"])
      expect(outcome.status).toBe(125)
      expectOneLine(outcome)
    })

    test("an unknown command", async () => {
      const outcome = await run([...CLI, "no-such-command"])
      expect(outcome.status).toBe(125)
    })

    test("options after the program are the program's", async () => {
      const outcome = await run([...CLI, "run", "--platform", platform.name, "echo", "--timeout", "--", "--help"])
      expect(outcome.stdout).toBe("--timeout -- --help\n")
    })

    test("the exit status is the program's, or 128 + n for signal n", async () => {
      expect((await run(platform.command(["sh", "-c", "exit 200"]))).status).toBe(200)
      expect((await run(platform.command(["sh", "-c", "kill -TERM $$"]))).status).toBe(143)
      expect((await run(platform.command(["sh", "-c", "kill -KILL $$"]))).status).toBe(137)
    })

    test("--timeout ends the program with status 124", async () => {
      const outcome = await run(platform.command(["sleep", "30"], ["--timeout", "300ms"]))
      expect(outcome.status).toBe(124)
      expect(outcome.milliseconds).toBeLessThan(10_000)
    })

    test("--env, --clear-env and --cwd reach the program", async () => {
      const options = ["--clear-env", "--env", "A=1", "--env", "B=two words", "--cwd", "/usr"]
      const outcome = await run(platform.command(["/bin/sh", "-c", "pwd; echo $A $B $HOME"], options))
      expect(outcome.stdout).toBe("/usr\n1 two words\n")
    })

    test("a read-only mount is read-only, another one is not, and the rest of the host never changes", () =>
      withScratch(async (directory) => {
        for (const name of ["ro", "rw", "other"]) mkdirSync(`${directory}/${name}`)
        copyFileSync("/etc/passwd", `${directory}/ro/file`)
        const script =
          `cat ro/file | wc -l > /dev/null; echo x 2>/dev/null > ro/new || echo refused; ` +
          `echo x > rw/new && echo written; echo x > other/new && cat other/new`
        const options = [
          "--bind",
          `${directory}/ro:${directory}/ro:ro`,
          "--bind",
          `${directory}/rw:${directory}/rw:rw`,
          "--cwd",
          directory
        ]
        const outcome = await run(platform.command(["bash", "-c", script], options))
        expect(outcome.stdout).toBe("refused\nwritten\nx\n")
        const listing = await run(["find", directory, "-type", "f"])
        expect(listing.stdout.trim().split("\n").sort()).toEqual([`${directory}/ro/file`, `${directory}/rw/new`])
      }))
  })
}
