/**
 * Numbers that look random and are a function of a seed.
 */
import type { Entropy } from "../Time/Entropy.ts"

/** mulberry32: pseudo-random numbers from 0 to 2^32 - 1. */
export const randomNumbers = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}

/** All randomness of a sandbox, from a seed: getrandom(2), /dev/urandom, AT_RANDOM, where programs are loaded. */
export const seededEntropy = (seed: number): Entropy => {
  const next = randomNumbers(seed)
  return {
    fill: (into) => {
      for (let at = 0; at < into.length; at++) into[at] = next()
    }
  }
}
