/**
 * What several processes do, written down step by step before any of them runs: the system under test of a model-based
 * test. Commands of fast-check's (`fc.commands`) change the model and add to the script; the script is then a program
 * whose processes run at the same time, in whatever order a plan says.
 *
 *     run(model: Model, script: Sim.ProcessScript<Ends>) {
 *       model.written += 5
 *       script.add(1, (sys, ends) => sys.write(ends[1], "12345"))
 *     }
 */
import type { Guest } from "../Platform/SimulatedGuest.ts"
import type { Program, Steps } from "../Platform/SimulatedProcess.ts"

/** A step of a process; what it gives is nobody's concern. */
type Step<Shared> = (sys: Guest, shared: Shared) => Steps<unknown>

export interface ScriptFrame<Shared> {
  /** Before anything else, in the first process: what all the others get to know. */
  readonly setUp: (sys: Guest) => Steps<Shared>
  /** In each of the others, before its first step. */
  readonly begin?: Step<Shared>
  /** In the first process, once all the others are there: its exit status. */
  readonly finish: (sys: Guest, shared: Shared) => Steps<number>
}

export class ProcessScript<Shared> {
  readonly #steps = new Map<number, Array<Step<Shared>>>()

  /** `process`, any number that stands for it, does `step` after all that it was given before. */
  add(process: number, step: Step<Shared>): void {
    const steps = this.#steps.get(process)
    if (steps === undefined) this.#steps.set(process, [step])
    else steps.push(step)
  }

  /** A program that forks a process for each that has something to do. */
  program({ begin, finish, setUp }: ScriptFrame<Shared>): Program {
    const parts = [...this.#steps.values()]
    return function* (sys) {
      const shared = yield* setUp(sys)
      for (const steps of parts)
        yield* sys.fork(function* (sys) {
          if (begin !== undefined) yield* begin(sys, shared)
          for (const step of steps) yield* step(sys, shared)
          return 0
        })
      return yield* finish(sys, shared)
    }
  }
}
