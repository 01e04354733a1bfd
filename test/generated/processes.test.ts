/**
 * Generated programs over processes, threads and signals do the same in the sandbox as on the host: the semantics of
 * fork, exec, exit, wait, kill, sigaction, job control and the rest, in combinations that nobody would write.
 */
import { processes } from "./Programs.ts"
import { testLanguage } from "./Suite.ts"

testLanguage({
  name: "programs",
  language: processes,
  regressions: "regressions",
  runs: 100,
  nightlyRuns: 2000,
  seed: 20_261_123
})
