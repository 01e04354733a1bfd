/**
 * The kernel's only source of randomness: getrandom(2), /dev/urandom, AT_RANDOM, address-space layout.
 */
import { bind } from "../Platform/Native.ts"

export interface Entropy {
  /** Fills `into` with random bytes. */
  readonly fill: (into: Uint8Array) => void
}

const random = bind<[into: Uint8Array, size: number], void>("void sentry_random(uint8_t *into, uint64_t size)")

/** The host's cryptographic randomness. Not by way of node:crypto, which takes 5 ms to load. */
export const hostEntropy: Entropy = {
  fill: (into) => random(into, into.length)
}
