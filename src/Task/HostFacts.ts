/**
 * What a sandbox shows of the machine it runs on: its memory and the description of its processors.
 */
import { readFileSync } from "node:fs"
import { freemem, totalmem } from "node:os"

/** Bytes. */
export const memorySize = (): { readonly total: number; readonly free: number } => ({
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
