/**
 * How somebody is told of something, sigevent(3type).
 */
import * as Struct from "./Struct.ts"

export const SIGEV_SIGNAL = 0
export const SIGEV_NONE = 1
export const SIGEV_THREAD = 2
export const SIGEV_THREAD_ID = 4

/** `struct sigevent`, 64 bytes. */
export const Sigevent = Struct.make("sigevent", {
  sigev_value: Struct.u64,
  sigev_signo: Struct.i32,
  sigev_notify: Struct.i32,
  sigev_tid: Struct.i32,
  pad: Struct.bytes(44)
})
