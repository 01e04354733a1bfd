import { readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { VERSION } from "../../src/Cli/Version.ts"

it("--version prints what package.json says", () => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string
  }
  assert.strictEqual(VERSION, version)
})
