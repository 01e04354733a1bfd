/**
 * Resource usage as getrusage(2) and wait4(2) write it.
 */
import type { Rusage } from "../Abi/Resource.ts"
import { timevalOfNanos } from "../Abi/Time.ts"
import type { Usage } from "../Task/ThreadGroup.ts"

/** What is not accounted is zero. */
export const rusageOf = (usage: Usage): Rusage => ({
  ru_utime: timevalOfNanos(usage.user),
  ru_stime: timevalOfNanos(usage.system),
  ru_maxrss: usage.peakResidentSet,
  ru_ixrss: 0,
  ru_idrss: 0,
  ru_isrss: 0,
  ru_minflt: usage.minorFaults,
  ru_majflt: usage.majorFaults,
  ru_nswap: 0,
  ru_inblock: 0,
  ru_oublock: 0,
  ru_msgsnd: 0,
  ru_msgrcv: 0,
  ru_nsignals: 0,
  ru_nvcsw: usage.waits,
  ru_nivcsw: usage.involuntarySwitches
})
