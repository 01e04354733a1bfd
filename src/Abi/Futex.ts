/**
 * futex(2): operations and flags.
 */
export const FUTEX_WAIT = 0
export const FUTEX_WAKE = 1
export const FUTEX_FD = 2
export const FUTEX_REQUEUE = 3
export const FUTEX_CMP_REQUEUE = 4
export const FUTEX_WAKE_OP = 5
export const FUTEX_LOCK_PI = 6
export const FUTEX_UNLOCK_PI = 7
export const FUTEX_TRYLOCK_PI = 8
export const FUTEX_WAIT_BITSET = 9
export const FUTEX_WAKE_BITSET = 10
export const FUTEX_PRIVATE_FLAG = 128
export const FUTEX_CLOCK_REALTIME = 256
export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff

const PRIVATE = Object.entries({
  FUTEX_WAIT_PRIVATE: 128,
  FUTEX_WAKE_PRIVATE: 129,
  FUTEX_REQUEUE_PRIVATE: 131,
  FUTEX_CMP_REQUEUE_PRIVATE: 132,
  FUTEX_WAKE_OP_PRIVATE: 133,
  FUTEX_WAIT_BITSET_PRIVATE: 137,
  FUTEX_WAKE_BITSET_PRIVATE: 138,
  "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME": 393
})

/** The operations as strace prints them. */
export const FUTEX_NAMES: ReadonlyArray<readonly [name: string, value: number]> = [
  ...Object.entries({
    FUTEX_WAIT,
    FUTEX_WAKE,
    FUTEX_REQUEUE,
    FUTEX_CMP_REQUEUE,
    FUTEX_WAKE_OP,
    FUTEX_WAIT_BITSET,
    FUTEX_WAKE_BITSET,
    "FUTEX_WAIT_BITSET|FUTEX_CLOCK_REALTIME": 265
  }),
  ...PRIVATE
]
