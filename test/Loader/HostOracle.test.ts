/**
 * The loader's judgement of damaged files against the host kernel's.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { ET_DYN, ET_EXEC } from "../../src/Abi/Elf.ts"
import { EACCES } from "../../src/Abi/Errno.ts"
import { type Files, headerPatches, makeElf, makeInterpreter, type Patch, patched } from "./ElfFiles.ts"
import { loadFiles } from "./Loading.ts"

let directory = ""
let oracle = ""

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "loader-"))
  oracle = join(directory, "oracle")
  const source = fileURLToPath(new URL("execOracle.c", import.meta.url))
  execFileSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", oracle, source])
  symlinkSync(oracle, join(directory, "echo"))
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

const writeProgram = (name: string, bytes: Uint8Array | string): void => {
  writeFileSync(join(directory, name), bytes)
  chmodSync(join(directory, name), 0o755)
}

/** What the host says of each patch to `file`. */
const ask = (file: string, patches: ReadonlyArray<Patch>): ReadonlyArray<string> => {
  const input = patches.map(({ bytes, offset }) => `${file} ${offset} ${Buffer.from(bytes).toString("hex")}\n`).join("")
  const { stdout } = spawnSync(oracle, [directory], { input, encoding: "latin1", maxBuffer: 2 ** 26 })
  return stdout.trimEnd().split("\n")
}

/** What this loader says: a failure with an errno, a death once the old program is gone, or a program that starts. */
const judge = (files: Readonly<Record<string, Uint8Array>>): string => {
  const { committed, opened, prepared } = loadFiles({ files })
  if (typeof committed === "object") committed.memoryManager.leave()
  assert.isTrue(
    opened.every((file) => file.closed),
    "every file is closed in the end"
  )
  if (typeof prepared === "number") return `errno ${-prepared}`
  return typeof committed === "number" ? "dies" : "starts"
}

/** Whether the two agree. A program that starts may still run into the damage: the loader cannot know. */
const agree = (host: string, ours: string): boolean => {
  if (host.startsWith("errno") || ours.startsWith("errno")) return host === ours
  return host.startsWith("exit") ? ours === "starts" : true
}

const compare = (file: "program" | "interp", program: Uint8Array, interpreter: Uint8Array): void => {
  writeProgram("program", program)
  writeProgram("interp", interpreter)
  const original = file === "program" ? program : interpreter
  const patches = headerPatches(original)
  assert.isAbove(patches.length, 300)
  const answers = ask(file, patches)
  assert.lengthOf(answers, patches.length)
  const differences = patches.flatMap((patch, index) => {
    const damaged = patched(original, patch)
    const ours = judge({
      "./program": file === "program" ? damaged : program,
      "./interp": file === "interp" ? damaged : interpreter
    })
    const host = answers[index] ?? "no answer"
    return agree(host, ours) ? [] : [`${patch.offset}: ${Buffer.from(patch.bytes).toString("hex")}: ${host} / ${ours}`]
  })
  assert.deepStrictEqual(differences, [])
}

describe("a damaged ELF header ends as on the host", { timeout: 60_000 }, () => {
  it("of a program at fixed addresses", () =>
    compare("program", makeElf({ type: ET_EXEC, base: 0x40_0000 }), makeInterpreter()))
  it("of a static position-independent program", () =>
    compare("program", makeElf({ type: ET_DYN, base: 0 }), makeInterpreter()))
  it("of a program with an interpreter", () =>
    compare("program", makeElf({ type: ET_DYN, base: 0, interpreter: "./interp" }), makeInterpreter()))
  it("of a program at fixed addresses with an interpreter", () =>
    compare("program", makeElf({ type: ET_EXEC, base: 0x40_0000, interpreter: "./interp" }), makeInterpreter()))
  it("of the interpreter", () =>
    compare("interp", makeElf({ type: ET_DYN, base: 0, interpreter: "./interp" }), makeInterpreter()))
})

describe("the first line of a script", () => {
  const long = (length: number): string => `./${"/".repeat(length - 6)}echo`
  const lines = [
    "#!./echo\n",
    "#!./echo",
    "#! ./echo\n",
    "#!\t ./echo \t\n",
    "#!./echo argument\n",
    "#!./echo with two  words  \t\nrest",
    "#!./echo  argument",
    "#!./echo \n",
    "#!./echo\r\n",
    "#!\n",
    "#!",
    "#!   \n./echo\n",
    "#! ",
    "# !./echo\n",
    "#!./echo\0x\n",
    "#!./echo \0x\n",
    "#!./echo a\0b\n",
    "#!./echo a \0b\n",
    "#!\0./echo\n",
    "#! \0./echo\n",
    "#!./missing\n",
    "#!./\n",
    `#!./echo ${"x".repeat(300)}\n`,
    `#!./echo ${"x".repeat(243)} y\n`,
    ...[251, 252, 253, 254, 255, 256].flatMap((length) => [
      `#!${long(length)}\n`,
      `#!${long(length)} abc\n`,
      `#!${" ".repeat(length - 6)}./echo\n`,
      `#!${" ".repeat(length - 2)}\n`,
      `#!${" ".repeat(length)}x`
    ]),
    "",
    "text\n"
  ]

  /** The arguments that the interpreter got, each with its length; or why there is none. */
  const askHost = (script: string): string => {
    writeProgram("program", script)
    const { stderr, stdout } = spawnSync(oracle, [directory], { input: "- 0 00\n", encoding: "latin1" })
    return stdout.trim() === "exit 0" ? stderr : stdout.trim()
  }

  const judgeScript = (files: Files): string => {
    const echo = { "./echo": makeElf({ type: ET_EXEC, base: 0x40_0000 }), "./": -EACCES }
    const { prepared } = loadFiles({ files: { ...files, ...echo }, argv: ["ignored", "one", "two words"] })
    if (typeof prepared === "number") return `errno ${-prepared}`
    return prepared.argv.map((text) => `${text.length}:${text}`).join("")
  }

  it("means what it means to the host", () => {
    const differences = lines.flatMap((line) => {
      const host = askHost(line)
      const ours = judgeScript({ "./program": line })
      return host === ours ? [] : [{ line, host, ours }]
    })
    assert.deepStrictEqual(differences, [])
  })

  it("may name another script, but not too many", () => {
    for (const depth of [3, 4, 5, 6, 7]) {
      const files: Record<string, string> = {}
      for (let level = 1; level <= depth; level++) {
        const next = level === depth ? "./echo" : `./script${level + 1}`
        files[level === 1 ? "./program" : `./script${level}`] = `#!${next} ${level}\n`
      }
      for (const [name, text] of Object.entries(files)) writeProgram(name, text)
      assert.strictEqual(judgeScript(files), askHost(files["./program"] ?? ""), `${depth} scripts`)
    }
  })
})
