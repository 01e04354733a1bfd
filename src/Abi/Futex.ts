/**
 * futex(2) and futex_waitv(2): operations, flags, the bits of a lock's word.
 */
import * as Struct from "./Struct.ts"

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
export const FUTEX_WAIT_REQUEUE_PI = 11
export const FUTEX_CMP_REQUEUE_PI = 12
export const FUTEX_LOCK_PI2 = 13
export const FUTEX_PRIVATE_FLAG = 128
export const FUTEX_CLOCK_REALTIME = 256
export const FUTEX_BITSET_MATCH_ANY = 0xffff_ffff

/** Somebody waits in the kernel: the owner must unlock by a system call. */
export const FUTEX_WAITERS = 0x8000_0000
/** The owner ended without unlocking. */
export const FUTEX_OWNER_DIED = 0x4000_0000
export const FUTEX_TID_MASK = 0x3fff_ffff

/** `struct futex_waitv`. */
export const FutexWaitv = Struct.make("futex_waitv", {
  val: Struct.u64,
  uaddr: Struct.u64,
  flags: Struct.u32,
  __reserved: Struct.u32
})
export type FutexWaitv = Struct.Type<typeof FutexWaitv>

/** The size of a word in the flags of futex_waitv(2), and that of 32 bits, the only one there is. */
export const FUTEX2_SIZE_MASK = 3
export const FUTEX2_SIZE_U32 = 2
export const FUTEX2_PRIVATE = FUTEX_PRIVATE_FLAG
export const FUTEX_WAITV_MAX = 128

const OPERATIONS: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  FUTEX_WAIT,
  FUTEX_WAKE,
  FUTEX_FD,
  FUTEX_REQUEUE,
  FUTEX_CMP_REQUEUE,
  FUTEX_WAKE_OP,
  FUTEX_LOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_TRYLOCK_PI,
  FUTEX_WAIT_BITSET,
  FUTEX_WAKE_BITSET,
  FUTEX_WAIT_REQUEUE_PI,
  FUTEX_CMP_REQUEUE_PI,
  FUTEX_LOCK_PI2
})

/** The operations as strace prints them. */
export const FUTEX_NAMES: ReadonlyArray<readonly [name: string, value: number]> = [
  ...OPERATIONS,
  ...OPERATIONS.map(([name, value]) => [`${name}_PRIVATE`, value | FUTEX_PRIVATE_FLAG] as const),
  ...OPERATIONS.map(([name, value]) => [`${name}|FUTEX_CLOCK_REALTIME`, value | FUTEX_CLOCK_REALTIME] as const),
  ...OPERATIONS.map(
    ([name, value]) =>
      [`${name}_PRIVATE|FUTEX_CLOCK_REALTIME`, value | FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME] as const
  )
]
