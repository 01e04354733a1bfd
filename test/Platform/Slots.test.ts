import { assert, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { block, control, count, slot } from "../../src/Platform/Slots.ts"

it("Slots.ts says what native/slots.h says", () => {
  const native = fileURLToPath(new URL("../../native", import.meta.url))
  execFileSync("make", ["-s", "-C", native, "build/layout"])
  const lines = execFileSync(`${native}/build/layout`, { encoding: "latin1" }).trim().split("\n")
  const layout = Object.fromEntries(lines.map((line) => line.split(" ")).map(([name, value]) => [name, Number(value)]))
  for (const [room, fields] of Object.entries({ control, slot, block, count })) {
    for (const [field, value] of Object.entries(fields)) {
      assert.strictEqual(layout[`${room}.${field}`], value, `${room}.${field}`)
    }
  }
})
