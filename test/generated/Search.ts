/**
 * Generating programs by a seed, and shrinking one that differs with fast-check's own shrinker.
 */
import * as fc from "fast-check"
import type { Platform } from "../conformance/Platforms.ts"
import { type Language, type Verdict, compare, differs } from "./Interpreter.ts"

/** The first `count` programs of `seed`. */
export const generate = <Program>(
  { program }: Language<Program>,
  seed: number,
  count: number
): ReadonlyArray<Program> => {
  const programs: Array<Program> = []
  fc.assert(
    fc.property(program, (each) => {
      programs.push(each)
    }),
    { seed, numRuns: count }
  )
  return programs
}

/** The smallest program that fast-check makes of number `index` of `seed` and that still differs. */
export const shrink = async <Program>(
  language: Language<Program>,
  platform: Platform,
  seed: number,
  index: number
): Promise<Verdict<Program> | undefined> => {
  let smallest: Program | undefined
  await fc.check(
    fc.asyncProperty(language.program, async (each) => {
      if (!(await differs(language, platform, each))) return true
      smallest = each
      return false
    }),
    {
      seed,
      path: `${index}`,
      numRuns: 1,
      endOnFailure: false,
      interruptAfterTimeLimit: 60_000,
      markInterruptAsFailure: true
    }
  )
  if (smallest === undefined) return undefined
  const [verdict] = await compare(language, platform, [smallest])
  return verdict?.outcome === "different" ? verdict : undefined
}
