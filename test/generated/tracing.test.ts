/**
 * Generated programs of a tracer and its tracees do the same in the sandbox as on the host: ptrace(2) with signals, job
 * control, fork, exec, exit and seccomp, in combinations that no debugger would come upon.
 */
import { testLanguage } from "./Suite.ts"
import { tracing } from "./Tracing.ts"

testLanguage({
  name: "tracers",
  language: tracing,
  regressions: "regressions/tracing",
  runs: 40,
  nightlyRuns: 1000,
  seed: 20_261_127
})
