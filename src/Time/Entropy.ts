/**
 * The kernel's only source of randomness: getrandom(2), /dev/urandom, AT_RANDOM, address-space layout.
 */
import { randomFillSync } from "node:crypto"

export interface Entropy {
  /** Fills `into` with random bytes. */
  readonly fill: (into: Uint8Array) => void
}

/** The host's cryptographic randomness. */
export const hostEntropy: Entropy = {
  fill: (into) => {
    randomFillSync(into)
  }
}
