/**
 * Waiting for children: wait4(2), waitid(2).
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EBADF, EFAULT, EINVAL, ESRCH } from "../Abi/Errno.ts"
import { O_NONBLOCK } from "../Abi/OpenFlags.ts"
import { Rusage } from "../Abi/Resource.ts"
import { SIGCHLD } from "../Abi/Signal.ts"
import { encodeSigInfo } from "../Abi/SigInfo.ts"
import {
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  WAIT_ID_NAMES,
  WAIT_NAMES,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  WUNTRACED,
  __WALL,
  __WCLONE,
  __WNOTHREAD
} from "../Abi/Wait.ts"
import { PidFd } from "../Task/PidFd.ts"
import { type Result, address, declare, flags, oneOf, pid, struct } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { ThreadGroup } from "../Task/ThreadGroup.ts"
import { type WaitResult, type WaitSelector, wait } from "../Task/TaskWait.ts"
import { rusageOf } from "./ResourceUsage.ts"

const WAIT4_OPTIONS = WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL
const WAITID_OPTIONS = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL

const selectorOfPid = (pid: number, { pidNamespace, processGroup }: ThreadGroup): WaitSelector => {
  if (pid === -1) return { _tag: "All" }
  if (pid > 0) return { _tag: "Pid", pid: pidNamespace.toOutside(pid) }
  return { _tag: "ProcessGroup", id: pid === 0 ? processGroup.id : pidNamespace.toOutside(-pid) }
}

const wait4 = (task: Task, pid: number, status: number, options: number, usage: number): Result => {
  if ((options & ~WAIT4_OPTIONS) !== 0) return -EINVAL
  if (pid === -0x8000_0000) return -ESRCH
  return Effect.map(wait(task, selectorOfPid(pid, task.threadGroup), options | WEXITED), (result) => {
    if (result === undefined) return 0
    if (typeof result === "number") return result
    if (status !== 0 && task.memory.writeU32(status, result.status) < 0) return -EFAULT
    if (usage !== 0 && task.memory.copyOut(usage, Rusage.encode(rusageOf(result.usage))) < 0) return -EFAULT
    return result.pid
  })
}

const selectorOfId = (task: Task, type: number, id: number): WaitSelector | number => {
  const { pidNamespace, processGroup } = task.threadGroup
  switch (type) {
    case P_ALL:
      return { _tag: "All" }
    case P_PID:
      return id > 0 ? { _tag: "Pid", pid: pidNamespace.toOutside(id) } : -EINVAL
    case P_PGID:
      if (id < 0) return -EINVAL
      return { _tag: "ProcessGroup", id: id === 0 ? processGroup.id : pidNamespace.toOutside(id) }
    case P_PIDFD: {
      const file = task.fds.get(id)
      if (!(file instanceof PidFd)) return id < 0 ? -EINVAL : -EBADF
      // a thread is nobody's child, but may be somebody's tracee
      return file.thread?.isLeader === false
        ? { _tag: "Pid", pid: file.thread.tid }
        : { _tag: "Group", group: file.group }
    }
    default:
      return -EINVAL
  }
}

const waitid = (task: Task, type: number, id: number, info: number, options: number, usage: number): Result => {
  // whatever comes of it, `info` is written: zeros where there is nothing to tell
  const fail = (error: number): number => (info === 0 ? error : writeInfo(task, info, undefined) || error)
  if ((options & ~WAITID_OPTIONS) !== 0 || (options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return fail(-EINVAL)
  const selector = selectorOfId(task, type, id)
  if (typeof selector === "number") return fail(selector)
  const file = type === P_PIDFD ? task.fds.get(id) : undefined
  const isNonBlocking = file !== undefined && (file.statusFlags & O_NONBLOCK) !== 0
  return Effect.map(wait(task, selector, isNonBlocking ? options | WNOHANG : options), (result) => {
    if (typeof result === "number") return fail(result)
    if (result === undefined && isNonBlocking && (options & WNOHANG) === 0) return fail(-EAGAIN)
    if (usage !== 0 && result !== undefined) {
      if (task.memory.copyOut(usage, Rusage.encode(rusageOf(result.usage))) < 0) return -EFAULT
    }
    return info === 0 ? 0 : writeInfo(task, info, result)
  })
}

const writeInfo = (task: Task, at: number, result: WaitResult | undefined): number => {
  const bytes =
    result === undefined
      ? new Uint8Array(CHILD_INFO_SIZE)
      : encodeSigInfo({
          _tag: "Child",
          signo: SIGCHLD,
          code: result.code,
          pid: result.pid,
          uid: result.uid,
          status: result.detail,
          userTicks: 0,
          systemTicks: 0
        }).subarray(0, CHILD_INFO_SIZE)
  return task.memory.copyOut(at, bytes)
}

/** waitid(2) writes siginfo_t up to si_status and nothing behind it. */
const CHILD_INFO_SIZE = 28

export const sysWait = [
  declare(
    "wait4",
    [
      pid("pid"),
      struct("wstatus", "wait_status", "out"),
      flags("options", WAIT_NAMES, "0"),
      struct("rusage", "rusage", "out")
    ],
    wait4
  ),
  declare(
    "waitid",
    [
      oneOf("idtype", WAIT_ID_NAMES),
      pid("id"),
      struct("infop", "siginfo", "out"),
      flags("options", WAIT_NAMES),
      address("rusage")
    ],
    waitid
  )
]
