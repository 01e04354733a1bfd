/**
 * What prctl(2) lets a process choose for its memory as a whole. Immutable: a change makes a new value.
 */
import { EACCES } from "../Abi/Errno.ts"
import { PROT_EXEC, PROT_WRITE } from "../Abi/Mman.ts"
import { PR_MDWE_NO_INHERIT, PR_MDWE_REFUSE_EXEC_GAIN } from "../Abi/Prctl.ts"

export interface MemoryPolicy {
  /** PR_MDWE_* bits. */
  readonly mdwe: number
  /** What PR_GET_THP_DISABLE returns. The host decides about huge pages: kept, without effect. */
  readonly hugePagesDisabled: number
  /** PR_SET_MEMORY_MERGE: kept, without effect. */
  readonly mergesPages: boolean
}

export const defaultPolicy: MemoryPolicy = { mdwe: 0, hugePagesDisabled: 0, mergesPages: false }

/** What a forked child and a program started by execve(2) get. */
export const inheritedPolicy = (policy: MemoryPolicy): MemoryPolicy =>
  (policy.mdwe & PR_MDWE_NO_INHERIT) !== 0 ? { ...policy, mdwe: 0 } : policy

/** Whether memory may become what PROT_* bits say, which was `old`: 0, or -EACCES by PR_MDWE_REFUSE_EXEC_GAIN. */
export const refuseExecGain = ({ mdwe }: MemoryPolicy, old: number, wanted: number): number => {
  if ((mdwe & PR_MDWE_REFUSE_EXEC_GAIN) === 0 || (wanted & PROT_EXEC) === 0) return 0
  return (wanted & PROT_WRITE) !== 0 || (old & PROT_EXEC) === 0 ? -EACCES : 0
}
