/**
 * membarrier(2).
 *
 * Threads that are stopped have passed a barrier on their way into the kernel; for those that run the platform has the
 * host make one, in all of the sandbox, which is more than any command asks for.
 *
 * The RSEQ commands abort the critical sections of the process's other threads (Task/TaskRseq.ts).
 *
 * Not offered, and so EINVAL: the SYNC_CORE commands, as the host's call that covers other processes does not serialise
 * instruction streams.
 */
import { EINVAL, ENOSYS, EPERM } from "../Abi/Errno.ts"
import {
  MEMBARRIER_CMD_FLAG_CPU,
  MEMBARRIER_CMD_GET_REGISTRATIONS,
  MEMBARRIER_CMD_GLOBAL,
  MEMBARRIER_CMD_GLOBAL_EXPEDITED,
  MEMBARRIER_CMD_PRIVATE_EXPEDITED,
  MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ,
  MEMBARRIER_CMD_QUERY,
  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
  MEMBARRIER_NAMES
} from "../Abi/Membarrier.ts"
import { abortOthers } from "../Task/TaskRseq.ts"
import { declare, int, oneOf, type Result, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"

const OFFERED =
  MEMBARRIER_CMD_GLOBAL |
  MEMBARRIER_CMD_GLOBAL_EXPEDITED |
  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
  MEMBARRIER_CMD_PRIVATE_EXPEDITED |
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
  MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ |
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ |
  MEMBARRIER_CMD_GET_REGISTRATIONS

/** membarrier(2). Waits only for threads to be stopped that run. */
const membarrier = (task: Task, command: number, options: number, cpu: number): Result => {
  const { memoryManager, system } = task
  const { memoryBarrier } = system.platform
  if (memoryBarrier === undefined) return -ENOSYS
  const takesCpu = command === MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ
  if (options !== 0 && !(takesCpu && options === MEMBARRIER_CMD_FLAG_CPU)) return -EINVAL
  switch (command) {
    case MEMBARRIER_CMD_QUERY:
      return OFFERED
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
      memoryManager.barriers |= command
      return 0
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ:
      memoryManager.barriers |= command | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED
      return 0
    case MEMBARRIER_CMD_GET_REGISTRATIONS:
      return memoryManager.barriers
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
      if ((memoryManager.barriers & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) === 0) return -EPERM
      memoryBarrier()
      return 0
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ:
      if ((memoryManager.barriers & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ) === 0) return -EPERM
      memoryBarrier()
      return abortOthers(task, options === MEMBARRIER_CMD_FLAG_CPU && cpu >= 0 ? cpu : undefined)
    case MEMBARRIER_CMD_GLOBAL:
    case MEMBARRIER_CMD_GLOBAL_EXPEDITED:
      memoryBarrier()
      return 0
    default:
      return -EINVAL
  }
}

export const sysMembarrier = [
  declare("membarrier", [oneOf("cmd", MEMBARRIER_NAMES), uint("flags"), int("cpu_id")], membarrier, {
    partial: "the commands SYNC_CORE are not offered"
  })
]
