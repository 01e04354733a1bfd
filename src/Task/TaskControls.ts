/**
 * What prctl(2) keeps for each thread and nothing else depends on. Immutable: a change makes a new value. Threads and
 * forked children begin with their maker's.
 */
import { PR_MCE_KILL_DEFAULT } from "../Abi/Prctl.ts"

export interface TaskControls {
  /** PR_MCE_KILL: 0 late, 1 early, 2 as the system does. No memory fails here. */
  readonly machineCheckKill: number
  /** PR_TSC_SIGSEGV: reading the time-stamp counter is a fault. */
  readonly timestampFaults: boolean
  /** PR_SET_IO_FLUSHER: without effect. */
  readonly flushesIo: boolean
}

export const defaultControls: TaskControls = {
  machineCheckKill: PR_MCE_KILL_DEFAULT,
  timestampFaults: false,
  flushesIo: false
}
