/**
 * sysinfo(2), times(2), getrandom(2).
 */
import * as Struct from "./Struct.ts"

/** `struct sysinfo`. */
export const Sysinfo = Struct.make("sysinfo", {
  /** Seconds. */
  uptime: Struct.long,
  /** Load averages of 1, 5 and 15 minutes, scaled by 65,536. */
  loads: Struct.bytes(24),
  totalram: Struct.ulong,
  freeram: Struct.ulong,
  sharedram: Struct.ulong,
  bufferram: Struct.ulong,
  totalswap: Struct.ulong,
  freeswap: Struct.ulong,
  procs: Struct.u16,
  pad: Struct.u16,
  totalhigh: Struct.ulong,
  freehigh: Struct.ulong,
  mem_unit: Struct.u32
})
export type Sysinfo = Struct.Type<typeof Sysinfo>

/** `struct tms`: clock ticks. */
export const Tms = Struct.make("tms", {
  tms_utime: Struct.i64,
  tms_stime: Struct.i64,
  tms_cutime: Struct.i64,
  tms_cstime: Struct.i64
})
export type Tms = Struct.Type<typeof Tms>

/** Clock ticks a second (USER_HZ), and nanoseconds in one. */
export const CLOCK_TICKS = 100
export const NANOS_PER_TICK = 10_000_000n

export const GRND_NONBLOCK = 1
export const GRND_RANDOM = 2
export const GRND_INSECURE = 4
export const GRND_NAMES = Object.entries({ GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE })
