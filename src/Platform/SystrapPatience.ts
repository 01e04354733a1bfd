/**
 * Looks after waits for a report of a stub's thread: a new thread's first, that of a thread which has been interrupted or told
 * to do something, a worker's. Nothing else ends such a wait.
 *
 * Reports are in memory that guests can write, and a guest can return from a signal frame of its own making, in which the
 * interrupt is blocked: it could keep a report from being made or seen, and could then not be killed, as whoever kills
 * it waits. So a thread that sleeps, or computes, without having reported has been tampered with: it dies
 * with its process. One that is only slow, or that the host lets wait for memory or a CPU, has time.
 */
import { readFileSync } from "node:fs"
import { threadCpuTime } from "./HostUsage.ts"

/** A thread whose report is awaited. */
export interface Debtor {
  readonly hasEvent: () => boolean
  /** Of its process, and its own, on the host. */
  readonly hostIds: () => { readonly pid: number; readonly tid: number }
}

/** How often to look, ms, and how often in a row a thread must have been found asleep. */
const INTERVAL = 250
const TIMES = 4
/** What no report takes to make, ns. */
const MOST_CPU_TIME = 100_000_000n

interface Debt {
  asleep: number
  cpuTime: bigint | undefined
}

export class SystrapPatience {
  readonly #debts = new Map<Debtor, Debt>()
  #timer: NodeJS.Timeout | undefined

  add(debtor: Debtor): void {
    this.#debts.set(debtor, { asleep: 0, cpuTime: undefined })
    this.#timer ??= setTimeout(this.#look, INTERVAL)
  }

  /** It has reported, or is dead. The timer stays: there may soon be another wait. */
  delete(debtor: Debtor): void {
    this.#debts.delete(debtor)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  readonly #look = (): void => {
    this.#timer = this.#debts.size > 0 ? setTimeout(this.#look, INTERVAL) : undefined
    for (const [debtor, debt] of this.#debts) {
      if (debtor.hasEvent()) continue
      const { pid, tid } = debtor.hostIds()
      const cpuTime = threadCpuTime(tid)
      debt.cpuTime ??= cpuTime
      debt.asleep = isAsleep(pid, tid) ? debt.asleep + 1 : 0
      if (debt.asleep >= TIMES || cpuTime - debt.cpuTime > MOST_CPU_TIME) killStub(pid)
    }
  }
}

const isAsleep = (pid: number, tid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, "latin1")
    return "SZX".includes(stat.charAt(stat.lastIndexOf(")") + 2))
  } catch {
    return true // it has ended without a report
  }
}

/** Its death is reported by the tracer, as any other. */
const killStub = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // it is dead already
  }
}
