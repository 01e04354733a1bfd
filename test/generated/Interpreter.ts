/**
 * Runs generated programs natively and in the sandbox, many at a time, and says which differ.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs"
import type { Platform } from "../conformance/Platforms.ts"
import { REPOSITORY } from "../conformance/Platforms.ts"
import { run } from "../conformance/Run.ts"
import { type Program, print } from "./Programs.ts"

const DIRECTORY = `${REPOSITORY}test/generated/`
const BUILD = `${REPOSITORY}test/guest/build/`
const INTERPRETER = `${BUILD}interpreter`
const SOURCES = ["interpreter.c", "operations.c", "interpreter.h"].map((name) => DIRECTORY + name)
const FLAGS = ["-O1", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-static", "-pthread"]

/** Compiles the interpreter if its sources are newer. Static, as it is executed often. */
export const build = (): void => {
  const isFresh =
    existsSync(INTERPRETER) && SOURCES.every((source) => statSync(source).mtimeMs < statSync(INTERPRETER).mtimeMs)
  if (isFresh) return
  mkdirSync(BUILD, { recursive: true })
  const fresh = `${INTERPRETER}.${process.pid}`
  execFileSync("gcc", [...FLAGS, "-o", fresh, ...SOURCES.filter((source) => source.endsWith(".c"))])
  renameSync(fresh, INTERPRETER)
}

/** What the interpreter is told beside the programs. */
interface Way {
  /** How often everything must look quiet in a row. */
  readonly looks: number
  /** The only CPU to run on: another order of what happens at the same time. */
  readonly cpu?: number
  /** Threads are slow to say what a call returned. */
  readonly lazy?: boolean
}

const WAYS: ReadonlyArray<Way> = [{ looks: 2 }, { looks: 3, cpu: 0 }]
const MORE_WAYS: ReadonlyArray<Way> = [
  { looks: 4, lazy: true },
  { looks: 2, cpu: 1 },
  { looks: 2, cpu: 0, lazy: true },
  { looks: 2 },
  { looks: 6 }
]
/** How often a program that differs is run natively in each of those ways before the kernel gets the blame. */
const REPETITIONS = 30

const SECONDS_PER_PROGRAM = 15

/** One output per program, in order; "lost" for those that a broken run did not reach. */
const execute = async (
  prefix: (program: ReadonlyArray<string>) => ReadonlyArray<string>,
  programs: ReadonlyArray<Program>,
  way: Way
): Promise<ReadonlyArray<string>> => {
  const args = [`${way.looks}`, `${way.cpu ?? "-"}`, ...(way.lazy === true ? ["lazy"] : [])]
  const outcome = await run(prefix([INTERPRETER, ...args]), {
    stdin: programs.map(print).join(""),
    timeout: 20_000 + SECONDS_PER_PROGRAM * 1000 * Math.min(4, programs.length) + programs.length * 1000
  })
  const outputs = outcome.stdout.split("end\n").slice(0, programs.length)
  const last = outputs.at(-1)
  if (outputs.length === programs.length && outcome.status === 0) return outputs
  const tail = `${last ?? ""}\n(status ${outcome.status}${outcome.timedOut ? ", timed out" : ""} ${outcome.stderr.slice(0, 2000)})`
  return programs.map((_, index) =>
    index < outputs.length - 1 ? outputs[index]! : index === outputs.length - 1 ? tail : "lost"
  )
}

const native = (programs: ReadonlyArray<Program>, way: Way) => execute((program) => program, programs, way)

export interface Verdict {
  readonly program: Program
  /**
   * "same"; "chance": the host itself does not always say the same, or was seen to say what the sandbox says; "different":
   * the sandbox says what the host never says, every time; "unsteady": only sometimes.
   */
  readonly outcome: "same" | "chance" | "different" | "unsteady"
  readonly native: string
  readonly sandboxed: string
}

/** Whether a program that differed once does so again. */
const again = async (platform: Platform, program: Program, expected: string, sandboxed: string): Promise<Verdict> => {
  const verdict = (outcome: Verdict["outcome"], found = sandboxed): Verdict => ({
    program,
    outcome,
    native: expected,
    sandboxed: found
  })
  for (const way of MORE_WAYS) {
    const outputs = await native(Array<Program>(REPETITIONS).fill(program), way)
    if (outputs.includes(sandboxed)) return verdict("chance")
  }
  let found = sandboxed
  for (let tries = 0; tries < 2; tries++) {
    found = (await execute(platform.command, [program], { looks: 2 + tries }))[0]!
    if (found === expected) return verdict("unsteady")
  }
  return verdict("different", found)
}

/** Whether `program` differs now: a quick look, for shrinking. The host must say the same whatever the timing. */
export const differs = async (platform: Platform, program: Program): Promise<boolean> => {
  const [[sandboxed], [usual], [lazy]] = await Promise.all([
    execute(platform.command, [program], { looks: 2 }),
    native([program], { looks: 2 }),
    native([program], { looks: 3, cpu: 0, lazy: true })
  ])
  return usual === lazy && usual !== sandboxed
}

/** Runs every program natively, more than once, and on `platform`. */
export const compare = async (
  platform: Platform,
  programs: ReadonlyArray<Program>
): Promise<ReadonlyArray<Verdict>> => {
  const natives = await Promise.all(WAYS.map((way) => native(programs, way)))
  const sandboxed = await execute(platform.command, programs, { looks: 2 })
  const verdicts: Array<Verdict> = []
  for (const [index, program] of programs.entries()) {
    const expected = natives[0]![index]!
    const found = sandboxed[index]!
    if (natives.some((outputs) => outputs[index] !== expected)) {
      verdicts.push({ program, outcome: "chance", native: expected, sandboxed: found })
    } else if (found === expected) verdicts.push({ program, outcome: "same", native: expected, sandboxed: found })
    else verdicts.push(await again(platform, program, expected, found))
  }
  return verdicts
}
