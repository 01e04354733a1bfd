/**
 * getrlimit(2) and getrusage(2).
 */
import * as Struct from "./Struct.ts"
import { Timeval } from "./Time.ts"

export const RLIMIT_CPU = 0
export const RLIMIT_FSIZE = 1
export const RLIMIT_DATA = 2
export const RLIMIT_STACK = 3
export const RLIMIT_CORE = 4
export const RLIMIT_RSS = 5
export const RLIMIT_NPROC = 6
export const RLIMIT_NOFILE = 7
export const RLIMIT_MEMLOCK = 8
export const RLIMIT_AS = 9
export const RLIMIT_LOCKS = 10
export const RLIMIT_SIGPENDING = 11
export const RLIMIT_MSGQUEUE = 12
export const RLIMIT_NICE = 13
export const RLIMIT_RTPRIO = 14
export const RLIMIT_RTTIME = 15
export const RLIM_NLIMITS = 16

export const RLIMIT_NAMES: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  RLIMIT_CPU,
  RLIMIT_FSIZE,
  RLIMIT_DATA,
  RLIMIT_STACK,
  RLIMIT_CORE,
  RLIMIT_RSS,
  RLIMIT_NPROC,
  RLIMIT_NOFILE,
  RLIMIT_MEMLOCK,
  RLIMIT_AS,
  RLIMIT_LOCKS,
  RLIMIT_SIGPENDING,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_RTPRIO,
  RLIMIT_RTTIME
})

export const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn

/** `struct rlimit64`. */
export const Rlimit = Struct.make("rlimit", { rlim_cur: Struct.u64, rlim_max: Struct.u64 })
export type Rlimit = Struct.Type<typeof Rlimit>

/** `struct rusage`. */
export const Rusage = Struct.make("rusage", {
  ru_utime: Timeval,
  ru_stime: Timeval,
  ru_maxrss: Struct.long,
  ru_ixrss: Struct.long,
  ru_idrss: Struct.long,
  ru_isrss: Struct.long,
  ru_minflt: Struct.long,
  ru_majflt: Struct.long,
  ru_nswap: Struct.long,
  ru_inblock: Struct.long,
  ru_oublock: Struct.long,
  ru_msgsnd: Struct.long,
  ru_msgrcv: Struct.long,
  ru_nsignals: Struct.long,
  ru_nvcsw: Struct.long,
  ru_nivcsw: Struct.long
})
export type Rusage = Struct.Type<typeof Rusage>

export const RUSAGE_SELF = 0
export const RUSAGE_CHILDREN = -1
export const RUSAGE_THREAD = 1
