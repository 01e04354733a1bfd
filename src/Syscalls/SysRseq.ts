/**
 * rseq(2): a thread registers the area through which the kernel tells it on which CPU it runs, and aborts its critical
 * sections. What is done with it is in Task/TaskRseq.ts.
 */
import { EBUSY, EFAULT, EINVAL, EPERM } from "../Abi/Errno.ts"
import { TASK_SIZE } from "../Abi/Mman.ts"
import { RSEQ_ALIGN, RSEQ_FLAG_UNREGISTER, RSEQ_ORIGINAL_SIZE, RseqArea } from "../Abi/Rseq.ts"
import { Rseq, clearArea, doneOutside, forgetRseq } from "../Task/TaskRseq.ts"
import { type Result, address, declare, flags, hex, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"

/** Why the area that `task` has is not the one that a call names: 0, or -errno. */
const refusesOther = ({ rseq }: Task, at: number, length: number, signature: number): number => {
  if (rseq?.address !== at || rseq.length !== length) return -EINVAL
  return rseq.signature === signature ? 0 : -EPERM
}

const unregister = (task: Task, at: number, length: number, signature: number): number => {
  if (task.rseq === undefined) return -EINVAL
  const refused = refusesOther(task, at, length, signature) || clearArea(task, task.rseq)
  if (refused === 0) forgetRseq(task)
  return refused
}

const isSized = (at: number, length: number): boolean => length >= RSEQ_ORIGINAL_SIZE && at % RSEQ_ALIGN === 0

/** Whether a critical section seems to have been begun in an area that is new: it is forgotten. 0 or -EFAULT. */
const forgetSection = ({ memory }: Task, at: number): number => {
  const section = memory.readU64(at)
  return section > 0 ? memory.writeU64(at, 0) : section
}

const rseq = (task: Task, at: number, length: number, bits: number, signature: number): Result => {
  if (bits === RSEQ_FLAG_UNREGISTER) return unregister(task, at, length, signature)
  if (bits !== 0) return -EINVAL
  if (task.rseq !== undefined) return refusesOther(task, at, length, signature) || -EBUSY
  if (!isSized(at, length)) return -EINVAL
  if (at + length > TASK_SIZE) return -EFAULT
  const unusable = forgetSection(task, at + RseqArea.offsets.rseq_cs)
  if (unusable < 0) return unusable
  task.rseq = new Rseq(task, { address: at, length, signature })
  return doneOutside
}

export const sysRseq = [
  declare(
    "rseq",
    [address("rseq"), uint("rseq_len"), flags("flags", [["RSEQ_FLAG_UNREGISTER", RSEQ_FLAG_UNREGISTER]]), hex("sig")],
    rseq,
    { partial: "threads of different processes that share memory may have the same CPU at once" }
  )
]
