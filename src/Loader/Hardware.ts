/**
 * The processor's entries of the auxiliary vector, taken from the sentry's own, and the host's memory.
 */
import { readFileSync } from "node:fs"
import { totalmem } from "node:os"
import { AT_HWCAP, AT_HWCAP2, AT_MINSIGSTKSZ } from "../Abi/AuxVector.ts"
import type { Hardware } from "./InitialStack.ts"

/** Reads the sentry's auxiliary vector. Call once; a host without /proc gives values that are right but bare. */
export const readHardware = (): Hardware => {
  const values = new Map<number, number>()
  try {
    const auxv = readFileSync("/proc/self/auxv")
    for (let at = 0; at + 16 <= auxv.length; at += 16) {
      values.set(Number(auxv.readBigUInt64LE(at)), Number(auxv.readBigUInt64LE(at + 8)))
    }
  } catch {
    // no /proc: the defaults below
  }
  return {
    hwcap: values.get(AT_HWCAP) ?? 0,
    hwcap2: values.get(AT_HWCAP2) ?? 0,
    minSigStackSize: values.get(AT_MINSIGSTKSZ) ?? 2048,
    memory: totalmem() + swapSize()
  }
}

const swapSize = (): number => {
  try {
    const kibibytes = /^SwapTotal:\s*(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1]
    return Number(kibibytes ?? 0) * 1024
  } catch {
    return 0
  }
}
