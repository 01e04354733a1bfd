/**
 * Whether a guest thread has got around the kernel.
 *
 * A guest can return from a signal frame of its own making, and so block the signal that interrupts it on the host. It
 * gains nothing but not being stopped, and so it dies.
 */
import { readFileSync } from "node:fs"
import { SIGURG } from "../Abi/Signal.ts"

/** True if host thread `tid` of process `pid` blocks the interrupt signal and is not waiting in its stub. */
export const isWayward = (pid: number, tid: number): boolean => {
  let status: string
  try {
    status = readFileSync(`/proc/${pid}/task/${tid}/status`, "latin1")
  } catch {
    return true // the thread is gone, and won't report
  }
  const blocked = BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`)
  return ((blocked >> BigInt(SIGURG - 1)) & 1n) === 1n
}

/** Kills a stub. Its death is reported by the tracer, as any other. */
export const killStub = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // it is dead already
  }
}
