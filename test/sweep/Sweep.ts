/**
 * The errno sweep of one program: each error that a system call may have, at each call that it makes, one at a time. What
 * came of a run is judged by what the program did without a fault: its exit status, its output, and the files.
 */
import * as Effect from "effect/Effect"
import * as Sim from "../../src/Testing/Sim.ts"
import { plausibleErrnos } from "./Errnos.ts"

export interface Subject {
  /** How it is called in the report. */
  readonly name: string
  readonly command: Sim.Command
  readonly options: Sim.RunOptions
  /** What the program is for. Default: `workOf`. */
  readonly work?: (run: Sim.Run) => Work
}

/** What came of a run, part by part: the same if the work is done. */
export type Work = ReadonlyMap<string, string>

/** One error at one call. */
export interface Place {
  readonly call: string
  /** Which call of that name, from 1. */
  readonly nth: number
  readonly errno: string
}

export type Verdict =
  /** A status other than 0: it failed, and said so. */
  | "failed"
  /** Status 0, and everything is as without the fault: it coped, or the call didn't matter. */
  | "coped"
  /** Killed by a signal. */
  | "crashed"
  /** It waits for ever, or goes on and on. */
  | "hung"
  /** Status 0, but the output or the files are not as without the fault, and standard error says something about it. */
  | "warned"
  /** The same, and it says nothing. */
  | "lied"
  /** The fault did not come about. */
  | "missed"

export interface Judgement extends Place {
  readonly verdict: Verdict
  /** What is different, or how it ended. */
  readonly detail: string
}

/** Steps that a run may make, as a multiple of those without a fault. */
const PATIENCE = 20

const sortOf = ({ exit }: Sim.Run): string => (exit._tag === "Signaled" ? `killed by ${exit.signal}` : exit._tag)

/** Output and files: without times of day, since a retry takes time. */
export const workOf = ({ stdout, tree }: Sim.Run): Work => {
  const work = new Map([["standard output", stdout]])
  for (const [path, { contents, gid, mode, mtime, target, uid }] of tree) {
    work.set(path, (mode >> 12).toString(8)) // its kind
    work.set(`permissions of ${path}`, (mode & 0o7777).toString(8))
    work.set(`owner of ${path}`, `${uid}:${gid}`)
    work.set(`contents of ${path}`, contents === undefined ? "" : Buffer.from(contents).toString("latin1"))
    work.set(`target of ${path}`, target ?? "")
    work.set(`time of ${path}`, String(mtime))
  }
  return work
}

/** The first difference, in words; undefined: none. */
const differenceBetween = (expected: Work, actual: Work): string | undefined => {
  for (const name of expected.keys()) if (!actual.has(name)) return `${name} is missing`
  for (const name of actual.keys()) if (!expected.has(name)) return `${name} is left over`
  for (const [name, value] of expected) if (actual.get(name) !== value) return `other ${name}`
  return undefined
}

export class Sweep {
  readonly subject: Subject
  readonly places: ReadonlyArray<Place>
  /** Calls without a plausible error, by name. */
  readonly safe: ReadonlySet<string>
  readonly calls: number
  readonly #expected: Work
  /** What it says on standard error without a fault. */
  readonly #chatter: ReadonlySet<string>
  readonly #options: Sim.RunOptions

  private constructor(subject: Subject, calls: ReadonlyArray<string>, run: Sim.Run) {
    this.subject = subject
    this.calls = calls.length
    this.#options = { ...subject.options, maxSteps: run.steps * PATIENCE }
    this.#expected = this.#work(run)
    this.#chatter = new Set(run.stderr.split("\n"))
    const counts = new Map<string, number>()
    const safe = new Set<string>()
    this.places = calls.flatMap((call) => {
      const nth = (counts.get(call) ?? 0) + 1
      counts.set(call, nth)
      const errnos = plausibleErrnos(call)
      if (errnos.length === 0) safe.add(call)
      return errnos.map((errno) => ({ call, nth, errno }))
    })
    this.safe = safe
  }

  /** Runs the program without a fault, to see which calls it makes. */
  static of(subject: Subject): Effect.Effect<Sweep, Sim.SimulationFailed> {
    return Effect.suspend(() => {
      const calls: Array<string> = []
      const always = { "a call is noted": ({ name }: Sim.CallEvent) => calls.push(name) > 0 }
      return Effect.flatMap(Sim.run(subject.command, { ...subject.options, always }), (run) =>
        run.exit._tag === "Exited" && run.exit.code === 0
          ? Effect.succeed(new Sweep(subject, calls, run))
          : Effect.fail(new Sim.SimulationFailed({ reason: `${subject.name}: ${sortOf(run)}: ${run.stderr}` }))
      )
    })
  }

  #work(run: Sim.Run): Work {
    return (this.subject.work ?? workOf)(run)
  }

  /** Carries out one place. */
  judge(place: Place): Effect.Effect<Judgement, Sim.SimulationFailed> {
    const { call, errno, nth } = place
    const plan: Sim.Plan = { ...Sim.uneventful, faults: [{ _tag: "Failure", errno, at: { calls: call, nth } }] }
    return Effect.map(Sim.run(this.subject.command, { ...this.#options, plan }), (run) => ({
      ...place,
      ...this.#verdictOf(run)
    }))
  }

  #verdictOf(run: Sim.Run): { readonly verdict: Verdict; readonly detail: string } {
    const { exit, injected, stderr } = run
    if (injected.length === 0) return { verdict: "missed", detail: "" }
    if (exit._tag === "Signaled") return { verdict: "crashed", detail: exit.signal }
    if (exit._tag !== "Exited") return { verdict: "hung", detail: exit._tag }
    if (exit.code !== 0) return { verdict: "failed", detail: `status ${exit.code}` }
    const difference = differenceBetween(this.#expected, this.#work(run))
    if (difference === undefined) return { verdict: "coped", detail: "" }
    const warning = stderr.split("\n").find((line) => line !== "" && !this.#chatter.has(line))
    return warning === undefined
      ? { verdict: "lied", detail: this.#relative(difference) }
      : { verdict: "warned", detail: this.#relative(`${difference}; it says: ${warning}`) }
  }

  /** Names files as the program does. */
  #relative(text: string): string {
    const { cwd } = this.subject.command
    return cwd === undefined ? text : text.replaceAll(`${cwd}/`, "")
  }
}
