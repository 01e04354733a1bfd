/**
 * The rules of ARCHITECTURE.md that a program can check: imports point downwards, one door to native code, no module
 * state, files small enough to read.
 */
import { readdirSync, readFileSync } from "node:fs"
import { basename, dirname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"

const SOURCE = fileURLToPath(new URL("../src/", import.meta.url))

/** From the bottom to the top: a room imports its own files and those of rooms before it. */
const ROOMS = [
  "Abi",
  "Sync",
  "Platform",
  "Time",
  "Memory",
  "Vfs",
  "Ipc",
  "Loader",
  "Signals",
  "Ptrace",
  "Seccomp",
  "Task",
  "Syscalls",
  "Kernel.ts",
  "Sentry",
  "Testing",
  "Cli"
]

/** `let` at the top of a module, each with the reason why it may be. */
const MODULE_STATE: Readonly<Record<string, string>> = {
  "Platform/Native.ts: loaded": "a library is loaded once per process, and only when first needed"
}

/** Imports that point upwards, each with the reason why it may. Types only: they vanish at run time. */
const UPWARD_TYPES: Readonly<Record<string, string>> = {}

const MAX_LINES = 500

interface SourceFile {
  /** Relative to src/. */
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: ReadonlyArray<{ readonly specifier: string; readonly isTypeOnly: boolean }>
}

/** Comments out, so that a word in one does not count; strings stay, imports need them. */
const withoutComments = (text: string): string => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "")

const importsOf = (text: string): SourceFile["imports"] => {
  const found: Array<{ specifier: string; isTypeOnly: boolean }> = []
  for (const match of text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm))
    found.push({ specifier: match[2] ?? "", isTypeOnly: match[1] !== undefined })
  for (const match of text.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g))
    found.push({ specifier: match[1] ?? "", isTypeOnly: false })
  return found
}

const files: ReadonlyArray<SourceFile> = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .sort()
  .map((path) => {
    const text = readFileSync(join(SOURCE, path), "utf8")
    return { path, room: path.split("/")[0] ?? "", text, imports: importsOf(withoutComments(text)) }
  })

/** Every file of which `complaint` says something, as `path: complaint`. */
const complaints = (complaint: (file: SourceFile) => ReadonlyArray<string>): ReadonlyArray<string> =>
  files.flatMap((file) => complaint(file).map((text) => `${file.path}: ${text}`))

describe("architecture", () => {
  test("every file is in a room", () => {
    expect(files.length).toBeGreaterThan(0)
    expect(complaints((file) => (ROOMS.includes(file.room) ? [] : ["not in a known room"]))).toEqual([])
  })

  test("imports point downwards", () => {
    const upward = complaints((file) =>
      file.imports
        .filter(({ specifier }) => specifier.startsWith("."))
        .filter(({ specifier, isTypeOnly }) => {
          const target = relative(SOURCE, join(SOURCE, dirname(file.path), specifier))
          const isListed = isTypeOnly && `${file.path} → ${target}` in UPWARD_TYPES
          return ROOMS.indexOf(target.split("/")[0] ?? "") > ROOMS.indexOf(file.room) && !isListed
        })
        .map(({ specifier }) => `imports ${specifier}`)
    )
    expect(upward).toEqual([])
  })

  test("imports stay inside src/ and name the file", () => {
    const odd = complaints((file) =>
      file.imports
        .filter(({ specifier }) => specifier.startsWith("."))
        .filter(
          ({ specifier }) =>
            !/\.(ts|json)$/.test(specifier) ||
            (specifier.endsWith(".ts") && !join(SOURCE, dirname(file.path), specifier).startsWith(SOURCE))
        )
        .map(({ specifier }) => `imports ${specifier}`)
    )
    expect(odd).toEqual([])
  })

  test("koffi has one door, Platform/Native.ts", () => {
    const doors = complaints((file) =>
      /["']koffi["']/.test(withoutComments(file.text)) && file.path !== "Platform/Native.ts" ? ["uses koffi"] : []
    )
    expect(doors).toEqual([])
  })

  test("Abi is pure data and imports nothing from outside", () => {
    const outside = complaints((file) =>
      file.room === "Abi"
        ? file.imports.filter(({ specifier }) => !specifier.startsWith("./")).map(({ specifier }) => specifier)
        : []
    )
    expect(outside).toEqual([])
  })

  test("Effect is imported module by module, not through its barrel", () => {
    expect(complaints((file) => file.imports.filter((i) => i.specifier === "effect").map(() => "the barrel"))).toEqual(
      []
    )
  })

  test("no default exports and no barrels", () => {
    const found = complaints((file) => [
      ...(/^export default\b/m.test(file.text) ? ["default export"] : []),
      ...(/^export \* from\b/m.test(file.text) ? ["export *"] : []),
      ...(basename(file.path).startsWith("index.") ? ["a barrel's name"] : [])
    ])
    expect(found).toEqual([])
  })

  test("no state at module level", () => {
    const found = complaints((file) =>
      [...withoutComments(file.text).matchAll(/^(?:export )?let (\w+)/gm)]
        .map((match) => match[1] ?? "")
        .filter((name) => !(`${file.path}: ${name}` in MODULE_STATE))
        .map((name) => `let ${name}`)
    )
    expect(found).toEqual([])
  })

  test("no two files have the same name", () => {
    const byName = Map.groupBy(files, (file) => basename(file.path))
    expect([...byName.values()].filter((same) => same.length > 1).map((same) => same.map((f) => f.path))).toEqual([])
  })

  test(`no file is longer than ${MAX_LINES} lines`, () => {
    const long = complaints((file) => {
      const lines = file.text.split("\n").length - 1
      return lines > MAX_LINES ? [`${lines} lines`] : []
    })
    expect(long).toEqual([])
  })

  test("the exceptions listed here exist", () => {
    const state = new Set(
      files.flatMap((file) =>
        [...withoutComments(file.text).matchAll(/^(?:export )?let (\w+)/gm)].map((match) => `${file.path}: ${match[1]}`)
      )
    )
    expect(Object.keys(MODULE_STATE).filter((key) => !state.has(key))).toEqual([])
  })
})
