/**
 * Runs generated programs natively and in the sandbox, many at a time, and says which differ.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, renameSync, statSync } from "node:fs"
import type * as fc from "fast-check"
import type { Platform } from "../conformance/Platforms.ts"
import { REPOSITORY } from "../conformance/Platforms.ts"
import { run } from "../conformance/Run.ts"

const DIRECTORY = `${REPOSITORY}test/generated/`
const BUILD = `${REPOSITORY}test/guest/build/`
const FLAGS = ["-O1", "-g", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-static"]

/** A program that is compiled from files of this directory; static, as it is executed often. */
export interface Executable {
  readonly name: string
  readonly sources: ReadonlyArray<string>
  readonly flags?: ReadonlyArray<string>
}

/** Programs of one kind, and who executes them. */
export interface Language<Program> {
  readonly program: fc.Arbitrary<Program>
  /** As the interpreter reads it. */
  readonly print: (program: Program) => string
  /** The interpreter, then what it executes. */
  readonly executables: readonly [Executable, ...ReadonlyArray<Executable>]
}

const pathOf = ({ name }: Executable): string => BUILD + name

/** Compiles what a language needs if its sources are newer. */
export const build = ({ executables }: Pick<Language<unknown>, "executables">): void => {
  for (const executable of executables) {
    const path = pathOf(executable)
    const sources = executable.sources.map((name) => DIRECTORY + name)
    if (existsSync(path) && sources.every((source) => statSync(source).mtimeMs < statSync(path).mtimeMs)) continue
    mkdirSync(BUILD, { recursive: true })
    const fresh = `${path}.${process.pid}`
    const flags = [...FLAGS, ...(executable.flags ?? [])]
    execFileSync("gcc", [...flags, "-o", fresh, ...sources.filter((source) => source.endsWith(".c"))])
    renameSync(fresh, path)
  }
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
const execute = async <Program>(
  { executables, print }: Language<Program>,
  prefix: (program: ReadonlyArray<string>) => ReadonlyArray<string>,
  programs: ReadonlyArray<Program>,
  way: Way
): Promise<ReadonlyArray<string>> => {
  const args = [`${way.looks}`, `${way.cpu ?? "-"}`, ...(way.lazy === true ? ["lazy"] : [])]
  const outcome = await run(prefix([pathOf(executables[0]), ...args]), {
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

const native = <Program>(language: Language<Program>, programs: ReadonlyArray<Program>, way: Way) =>
  execute(language, (program) => program, programs, way)

export interface Verdict<Program> {
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
const again = async <Program>(
  language: Language<Program>,
  platform: Platform,
  program: Program,
  expected: string,
  sandboxed: string
): Promise<Verdict<Program>> => {
  const verdict = (outcome: Verdict<Program>["outcome"], found = sandboxed): Verdict<Program> => ({
    program,
    outcome,
    native: expected,
    sandboxed: found
  })
  for (const way of MORE_WAYS) {
    const outputs = await native(language, Array<Program>(REPETITIONS).fill(program), way)
    if (outputs.includes(sandboxed)) return verdict("chance")
  }
  let found = sandboxed
  for (let tries = 0; tries < 2; tries++) {
    found = (await execute(language, platform.command, [program], { looks: 2 + tries }))[0]!
    if (found === expected) return verdict("unsteady")
  }
  return verdict("different", found)
}

/** Whether `program` differs now: a quick look, for shrinking. The host must say the same whatever the timing. */
export const differs = async <Program>(
  language: Language<Program>,
  platform: Platform,
  program: Program
): Promise<boolean> => {
  const [[sandboxed], [usual], [lazy]] = await Promise.all([
    execute(language, platform.command, [program], { looks: 2 }),
    native(language, [program], { looks: 2 }),
    native(language, [program], { looks: 3, cpu: 0, lazy: true })
  ])
  return usual === lazy && usual !== sandboxed
}

/** Runs every program natively, more than once, and on `platform`. */
export const compare = async <Program>(
  language: Language<Program>,
  platform: Platform,
  programs: ReadonlyArray<Program>
): Promise<ReadonlyArray<Verdict<Program>>> => {
  const natives = await Promise.all(WAYS.map((way) => native(language, programs, way)))
  const sandboxed = await execute(language, platform.command, programs, { looks: 2 })
  const verdicts: Array<Verdict<Program>> = []
  for (const [index, program] of programs.entries()) {
    const expected = natives[0]![index]!
    const found = sandboxed[index]!
    if (natives.some((outputs) => outputs[index] !== expected)) {
      verdicts.push({ program, outcome: "chance", native: expected, sandboxed: found })
    } else if (found === expected) verdicts.push({ program, outcome: "same", native: expected, sandboxed: found })
    else verdicts.push(await again(language, platform, program, expected, found))
  }
  return verdicts
}
