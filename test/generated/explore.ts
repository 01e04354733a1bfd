/**
 * For whoever works on a difference: `node test/generated/explore.ts LANGUAGE COUNT [SEED]` looks for differences and
 * shrinks the first few; `node test/generated/explore.ts LANGUAGE FILE.json` runs one program and shows a diff. LANGUAGE is
 * `processes` or `tracing`.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { PLATFORMS } from "../conformance/Platforms.ts"
import { build, compare, type Language, type Verdict } from "./Interpreter.ts"
import { processes } from "./Programs.ts"
import { generate, shrink } from "./Search.ts"
import { tracing } from "./Tracing.ts"

const showDiff = ({ native, sandboxed }: Verdict<unknown>): void => {
  writeFileSync("/tmp/generated.native", native)
  writeFileSync("/tmp/generated.sandboxed", sandboxed)
  console.log(
    spawnSync("diff", ["-U4", "/tmp/generated.native", "/tmp/generated.sandboxed"], { encoding: "utf8" }).stdout
  )
}

const explore = async <Program>(language: Language<Program>, args: ReadonlyArray<string>): Promise<void> => {
  const platform = PLATFORMS[0]!
  const [what = "100", seedText = "1", limitText = "3"] = args
  build(language)
  if (what.endsWith(".json")) {
    const program = JSON.parse(readFileSync(what, "utf8")) as Program
    for (const verdict of await compare(language, platform, [program])) {
      console.log(language.print(program), verdict.outcome)
      showDiff(verdict)
    }
    return
  }
  const seed = Number(seedText)
  const counts = { same: 0, chance: 0, different: 0, unsteady: 0 }
  let shrunk = 0
  const programs = generate(language, seed, Number(what))
  for (let start = 0; start < programs.length; start += 25) {
    const batch = programs.slice(start, start + 25)
    const began = performance.now()
    const verdicts = await compare(language, platform, batch)
    for (const [index, verdict] of verdicts.entries()) {
      counts[verdict.outcome]++
      if (verdict.outcome === "unsteady" || (verdict.outcome === "different" && shrunk >= Number(limitText))) {
        console.log(`${verdict.outcome}: ${seed}:${start + index}`)
        showDiff(verdict)
      }
      if (verdict.outcome !== "different" || shrunk >= Number(limitText)) continue
      shrunk++
      const smallest = (await shrink(language, platform, seed, start + index)) ?? verdict
      console.log(`different: ${seed}:${start + index}\n${language.print(smallest.program)}`)
      console.log(JSON.stringify(smallest.program))
      showDiff(smallest)
    }
    console.log(`${start + batch.length}: ${JSON.stringify(counts)} ${Math.round(performance.now() - began)} ms`)
  }
}

const [name, ...rest] = process.argv.slice(2)
await (name === "tracing" ? explore(tracing, rest) : explore(processes, rest))
