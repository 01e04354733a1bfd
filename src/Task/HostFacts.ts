/**
 * What a sandbox shows of the machine it runs on: its memory and the description of its processors.
 */
import { readFileSync } from "node:fs"
import { freemem, totalmem } from "node:os"

/** Bytes. */
export interface MemorySize {
  readonly total: number
  readonly free: number
}

export const memorySize = (): MemorySize => ({
  total: totalmem(),
  free: freemem()
})

/** /proc/cpuinfo of the first `count` processors; "" where the host has none to read. */
export const cpuInfo = (count: number): string => {
  let text: string
  try {
    text = readFileSync("/proc/cpuinfo", "latin1")
  } catch {
    return ""
  }
  const processors = text.split("\n\n").filter((processor) => processor !== "")
  return processors
    .slice(0, count)
    .map((processor) => `${processor}\n\n`)
    .join("")
}

/** Lines of proc_pid_status(5) and what PR_GET_SPECULATION_CTRL calls them; what could be controlled is not, here. */
const SPECULATION: ReadonlyMap<string, number> = new Map([
  ["not vulnerable", 0],
  ["not affected", 0],
  ["thread vulnerable", 2],
  ["vulnerable", 2],
  ["conditional enabled", 2],
  ["always enabled", 2],
  ["thread mitigated", 4],
  ["globally mitigated", 4],
  ["conditional disabled", 4],
  ["always disabled", 4],
  ["thread force mitigated", 8],
  ["conditional force disabled", 8]
])

/**
 * PR_SPEC_* of PR_SPEC_STORE_BYPASS, PR_SPEC_INDIRECT_BRANCH and PR_SPEC_L1D_FLUSH: how the host runs this process, and
 * so its guests. Undefined where it does not say.
 */
export const speculation = (): ReadonlyArray<number | undefined> => {
  let text = ""
  try {
    text = readFileSync("/proc/self/status", "latin1")
  } catch {
    // a host without /proc says nothing
  }
  const value = (key: string): number | undefined =>
    SPECULATION.get(new RegExp(`^${key}:\\t(.*)$`, "m").exec(text)?.[1] ?? "")
  return [value("Speculation_Store_Bypass"), value("SpeculationIndirectBranch"), 8]
}
