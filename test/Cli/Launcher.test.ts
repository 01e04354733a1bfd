/** bin/: how the command finds its Node, and what it keeps of an earlier run; with a small program in place of the real one. */
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { REPOSITORY } from "../conformance/Platforms.ts"

let directory: string
const at = (path: string): string => join(directory, path)
const cache = (): string => at("dist/cli.cjs.cache")

const install = (digest: string, says: string): void =>
  writeFileSync(
    at("dist/cli.cjs"),
    `// ${digest.repeat(64)}\n(function (require, __filename) { console.log(process.pid, ${JSON.stringify(says)}, ...process.argv.slice(2)) })`
  )

const command = (...args: ReadonlyArray<string>): string =>
  execFileSync(at("bin/effect-sentry"), args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })

const withoutPid = (output: string): string => output.slice(output.indexOf(" ") + 1)

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "effect-sentry-launcher-"))
  for (const name of ["bin", "dist", "node_modules/.bin", "elsewhere"]) mkdirSync(at(name), { recursive: true })
  for (const name of ["effect-sentry", "effect-sentry.cjs"]) copyFileSync(`${REPOSITORY}bin/${name}`, at(`bin/${name}`))
  symlinkSync(process.execPath, at("node_modules/.bin/node"))
  install("a", "one")
})

afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe("the command", () => {
  it("is one process, by way of a link too, and hands its arguments on", async () => {
    symlinkSync("../bin/effect-sentry", at("elsewhere/link"))
    const child = spawn(at("elsewhere/link"), ["run", "", "a b", "$(x)", "--"], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    let output = ""
    child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
    await once(child, "close")
    expect(output).toBe(`${child.pid} one run  a b $(x) --\n`)
  })

  it("keeps of a run what V8 compiled, and uses it", () => {
    command("--version")
    expect(existsSync(cache())).toBe(false)
    command("run")
    const { ino } = statSync(cache())
    expect(readFileSync(cache(), "latin1")).toContain(`// ${"a".repeat(64)}`)
    command("run")
    expect(statSync(cache()).ino, "written once").toBe(ino)
  })

  it("does not take what was kept for another program of the same length, or is damaged", () => {
    command("run")
    install("b", "two")
    expect(withoutPid(command("run"))).toBe("two run\n")
    writeFileSync(cache(), readFileSync(cache()).subarray(0, 100))
    expect(withoutPid(command("run"))).toBe("two run\n")
    writeFileSync(cache(), "")
    expect(withoutPid(command("run"))).toBe("two run\n")
    expect(statSync(cache()).size).toBeGreaterThan(100)
  })

  it("runs where nothing can be kept", () => {
    mkdirSync(cache()) // root may write everywhere, but not over a directory
    expect(withoutPid(command("run"))).toBe("one run\n")
    expect(readdirSync(at("dist")).sort()).toEqual(["cli.cjs", "cli.cjs.cache"])
  })

  it("survives many first starts at once", async () => {
    const starts = Array.from({ length: 8 }, async () => {
      const child = spawn(at("bin/effect-sentry"), ["run"], { stdio: "ignore" })
      const [status] = (await once(child, "close")) as [number | null]
      return status
    })
    expect(await Promise.all(starts)).toEqual(Array.from({ length: 8 }, () => 0))
    expect(readdirSync(at("dist")).sort()).toEqual(["cli.cjs", "cli.cjs.cache"])
    expect(withoutPid(command("run"))).toBe("one run\n")
  })

  it("uses the system's Node where the package has none, and says if there is none", () => {
    rmSync(at("node_modules"), { recursive: true })
    symlinkSync(process.execPath, at("elsewhere/node"))
    const path = at("elsewhere")
    symlinkSync("/usr/bin/readlink", at("elsewhere/readlink"))
    expect(withoutPid(execFileSync(at("bin/effect-sentry"), ["run"], { encoding: "utf8", env: { PATH: path } }))).toBe(
      "one run\n"
    )
    rmSync(at("elsewhere/node"))
    expect(() =>
      execFileSync(at("bin/effect-sentry"), ["run"], { encoding: "utf8", env: { PATH: path }, stdio: "pipe" })
    ).toThrow("there is no Node")
  })
})
