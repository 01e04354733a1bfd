/**
 * membarrier(2).
 *
 * Threads that are stopped have passed a barrier on their way into the kernel; for those that run the platform has the
 * host make one, in all of the sandbox, which is more than any command asks for.
 *
 * Not offered, and so EINVAL: the SYNC_CORE commands, as the host's call that covers other processes does not serialise
 * instruction streams, and the RSEQ ones. rseq(2) itself is absent on purpose: its promise is that a critical section is
 * aborted when its thread is preempted, and the host, which preempts guest threads, tells nobody. A fixed CPU number for
 * each thread would not do either: programs size arrays by the number of CPUs, and two threads with one number would
 * corrupt what it indexes. Programs fall back to atomic operations on ENOSYS.
 */
import { EINVAL, ENOSYS, EPERM } from "../Abi/Errno.ts"
import {
  MEMBARRIER_CMD_GET_REGISTRATIONS,
  MEMBARRIER_CMD_GLOBAL,
  MEMBARRIER_CMD_GLOBAL_EXPEDITED,
  MEMBARRIER_CMD_PRIVATE_EXPEDITED,
  MEMBARRIER_CMD_QUERY,
  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
  MEMBARRIER_NAMES
} from "../Abi/Membarrier.ts"
import { declare, int, oneOf, type Result, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"

const OFFERED =
  MEMBARRIER_CMD_GLOBAL |
  MEMBARRIER_CMD_GLOBAL_EXPEDITED |
  MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED |
  MEMBARRIER_CMD_PRIVATE_EXPEDITED |
  MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED |
  MEMBARRIER_CMD_GET_REGISTRATIONS

/** membarrier(2). Never blocks. */
const membarrier = (task: Task, command: number, options: number): Result => {
  const { memoryManager, system } = task
  const { memoryBarrier } = system.platform
  if (memoryBarrier === undefined) return -ENOSYS
  if (options !== 0) return -EINVAL
  switch (command) {
    case MEMBARRIER_CMD_QUERY:
      return OFFERED
    case MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED:
    case MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED:
      memoryManager.barriers |= command
      return 0
    case MEMBARRIER_CMD_GET_REGISTRATIONS:
      return memoryManager.barriers
    case MEMBARRIER_CMD_PRIVATE_EXPEDITED:
      if ((memoryManager.barriers & MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) === 0) return -EPERM
      memoryBarrier()
      return 0
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
    partial: "the commands SYNC_CORE and RSEQ are not offered"
  })
]
