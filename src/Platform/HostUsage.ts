/**
 * What the host says that a guest thread has used. Read on demand from proc(5): these are rare questions.
 */
import { readFileSync } from "node:fs"
import type { ResidentSet } from "./Platform.ts"

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return "" // the thread has just ended
  }
}

/** CPU time of host thread `tid`, nanoseconds; 0 where it is gone or the host does not count. */
export const threadCpuTime = (tid: number): bigint => {
  const time = /^\d+/.exec(read(`/proc/${tid}/schedstat`))
  return time === null ? 0n : BigInt(time[0])
}

/** The resident set of the process of host thread `tid`; zeros where it is gone. */
export const residentSet = (tid: number): ResidentSet => {
  const status = read(`/proc/${tid}/status`)
  const kibibytes = (pattern: RegExp): number => Number(pattern.exec(status)?.[1] ?? 0)
  return { current: kibibytes(/^VmRSS:\s*(\d+)/m), peak: kibibytes(/^VmHWM:\s*(\d+)/m) }
}
