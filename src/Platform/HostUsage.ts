/**
 * What the host has and what a guest thread has used of it (native/usage.c).
 */
import { availableParallelism } from "node:os"
import { bind } from "./Native.ts"
import type { ResidentSet, ThreadUsage } from "./Platform.ts"

/** How many CPUs we may use. Asked once, before a platform keeps one of them for its guests. */
export const processors = availableParallelism()

const cpu = bind<[tid: number], number | bigint>("int64_t sentry_usage_cpu(int tid)")
const thread = bind<[tid: number, out: BigUint64Array], void>("void sentry_usage_thread(int tid, _Out_ uint64_t *out)")
const memory = bind<[tid: number, out: Uint32Array], void>("void sentry_usage_memory(int tid, _Out_ uint32_t *out)")

/** CPU time of host thread `tid`, nanoseconds; 0 where it is gone or the host does not count. */
export const threadCpuTime = (tid: number): bigint => BigInt(cpu(tid))

/** The resident set of the process of host thread `tid`; zeros where it is gone. */
export const residentSet = (tid: number): ResidentSet => {
  const out = new Uint32Array(2)
  memory(tid, out)
  return { current: out[0]!, peak: out[1]! }
}

type Counts = [bigint, bigint, bigint, bigint, bigint, bigint]

const clamp = (value: bigint, low: bigint, high: bigint): bigint => (value < low ? low : value > high ? high : value)

/**
 * Tells the user time of a host thread from its system time. The host counts the sum exactly and samples the parts, so
 * that these alone could run backwards.
 */
export class ThreadMeter {
  readonly #tid: number
  #user = 0n
  #system = 0n

  constructor(tid: number) {
    this.#tid = tid
  }

  /** `waited`: so much of what was user mode on the host was waiting for the kernel, nanoseconds. */
  read(waited: bigint): ThreadUsage {
    const out = new BigUint64Array(6)
    thread(this.#tid, out)
    const [total, userTicks, systemTicks, minorFaults, majorFaults, switches] = [...out] as Counts
    const ticks = userTicks + systemTicks
    const inHost = ticks === 0n ? 0n : (total * systemTicks) / ticks
    if (total > this.#user + this.#system) {
      this.#system = clamp(inHost + waited, this.#system, total - this.#user)
      this.#user = total - this.#system
    }
    return {
      user: this.#user,
      system: this.#system,
      minorFaults: Number(minorFaults),
      majorFaults: Number(majorFaults),
      involuntarySwitches: Number(switches)
    }
  }
}

/** Lets whoever else wants this CPU have it: sched_yield(2). */
export const yieldCpu = bind<[], void>("void sentry_cpu_yield()")
