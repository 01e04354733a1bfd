/**
 * `effect-sentry doctor`: tries each facility of the host that a platform needs, and says what is missing and what to do.
 */
import * as Effect from "effect/Effect"
import * as Doctor from "../Platform/Doctor.ts"

const report = (probe: Doctor.Probe, result: Doctor.ProbeResult): void => {
  if (result.ok) {
    process.stdout.write(`✓ ${probe.name}\n`)
    return
  }
  process.stdout.write(`✗ ${probe.name}: ${result.detail}\n`)
  process.stdout.write(`    needed: ${probe.why} (${probe.platforms.join(", ")})\n    to do:  ${result.cure}\n`)
}

/** Examines the host and prints what it found. 0 if guests can run, 1 if not. */
export const examine = async (): Promise<number> => {
  const { choice, missing } = await Effect.runPromise(Doctor.diagnose(report))
  process.stdout.write("\n")
  for (const { platform, probes } of missing) {
    const verdict = probes.length === 0 ? "works here" : `does not work here: ${probes.join(", ")}`
    process.stdout.write(`platform ${platform}: ${verdict}${platform === choice ? " (the default)" : ""}\n`)
  }
  return choice === undefined ? 1 : 0
}
