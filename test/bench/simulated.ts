/**
 * How many system calls a second the kernel answers when nothing but the kernel is there: programs written in
 * TypeScript, on one core. The goal is 200,000 a second.
 *
 * By itself prints the best and the median of several rounds; `npm run bench` prints the median below its table.
 */
import type { Program } from "../../src/Platform/SimulatedProcess.ts"
import { pipe, simulate } from "../Task/Simulation.ts"

const CALLS = 200_000
const ROUNDS = 7

/** Calls that are answered at once. */
const getpid: Program = function* (sys) {
  for (let left = CALLS; left > 0; left--) yield* sys.getpid()
  return 0
}

/** Calls that copy memory and do not wait. */
const pipeAlone: Program = function* (sys) {
  const ends = yield* pipe(sys)
  for (let left = CALLS / 2; left > 0; left--) {
    yield* sys.write(ends[1], "x")
    yield* sys.read(ends[0], 1)
  }
  return 0
}

/** Two processes that wait for each other: every other call blocks. */
const pingPong: Program = function* (sys) {
  const there = yield* pipe(sys)
  const back = yield* pipe(sys)
  const rounds = CALLS / 4
  yield* sys.fork(function* (sys) {
    for (let left = rounds; left > 0; left--) {
      yield* sys.read(there[0], 1)
      yield* sys.write(back[1], "x")
    }
    return 0
  })
  for (let left = rounds; left > 0; left--) {
    yield* sys.write(there[1], "x")
    yield* sys.read(back[0], 1)
  }
  yield* sys.wait()
  return 0
}

const PROGRAMS = { getpid, "pipe, one process": pipeAlone, "pipe, two processes": pingPong }

export interface Rate {
  readonly name: string
  /** System calls a second. */
  readonly best: number
  readonly median: number
}

export const measureSimulated = (rounds: number): ReadonlyArray<Rate> =>
  Object.entries(PROGRAMS).map(([name, main]) => {
    const rates = Array.from({ length: rounds }, () => {
      const begin = performance.now()
      const { status } = simulate({ main })
      if (status !== 0) throw new Error(`${name} ended with ${status}`)
      return (CALLS / (performance.now() - begin)) * 1000
    }).sort((a, b) => b - a)
    return { name, best: rates[0]!, median: rates[rounds >> 1]! }
  })

export const inWords = (rate: number): string => `${Math.round(rate).toLocaleString("en")} calls/s`

if (import.meta.main)
  for (const { best, median, name } of measureSimulated(ROUNDS))
    console.log(`${name}: best ${inWords(best)}, median ${inWords(median)}`)
