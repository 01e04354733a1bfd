/**
 * `effect-sentry doctor`: tries each facility of the host that a platform needs, and says what is missing and what to do.
 */
import * as Effect from "effect/Effect"
import * as Doctor from "../Platform/Doctor.ts"

/** Examines the host and prints what it found. 0 if guests can run, 1 if not. */
export const examine = (): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const missing: Array<string> = []
      for (const probe of Doctor.probes) {
        const outcome = yield* probe.run()
        if (outcome.ok) {
          process.stdout.write(`✓ ${probe.name}\n`)
        } else {
          missing.push(probe.name)
          process.stdout.write(`✗ ${probe.name}: ${outcome.detail}\n`)
          process.stdout.write(`    needed: ${probe.why}\n    to do:  ${outcome.cure}\n`)
        }
      }
      const works = missing.length === 0
      process.stdout.write(`\nplatform ptrace: ${works ? "works here" : `does not work here: ${missing.join(", ")}`}\n`)
      return works ? 0 : 1
    })
  )
