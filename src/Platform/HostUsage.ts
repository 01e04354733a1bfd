/**
 * What the host has and what a guest thread has used of it (native/usage.c).
 */
import { availableParallelism } from "node:os"
import { bind } from "./Native.ts"
import type { ResidentSet } from "./Platform.ts"

/** How many CPUs we may use. Asked once, before a platform keeps one of them for its guests. */
export const processors = availableParallelism()

const cpu = bind<[tid: number], number | bigint>("int64_t sentry_usage_cpu(int tid)")
const memory = bind<[tid: number, out: Uint32Array], void>("void sentry_usage_memory(int tid, _Out_ uint32_t *out)")

/** CPU time of host thread `tid`, nanoseconds; 0 where it is gone or the host does not count. */
export const threadCpuTime = (tid: number): bigint => BigInt(cpu(tid))

/** The resident set of the process of host thread `tid`; zeros where it is gone. */
export const residentSet = (tid: number): ResidentSet => {
  const out = new Uint32Array(2)
  memory(tid, out)
  return { current: out[0]!, peak: out[1]! }
}
