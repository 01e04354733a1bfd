/**
 * seccomp(2), and the prctl(2) options that do the same.
 */
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { BPF_MAXINSNS, SockFilter, SockFprog } from "../Abi/Bpf.ts"
import { EACCES, EBUSY, EFAULT, EINVAL, EMFILE, EOPNOTSUPP, ESRCH } from "../Abi/Errno.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import * as S from "../Abi/Seccomp.ts"
import { decodeProgram, isValidProgram, type BpfProgram } from "../Seccomp/BpfProgram.ts"
import { NotificationFd } from "../Seccomp/NotificationFd.ts"
import { UserNotifications } from "../Seccomp/UserNotifications.ts"
import { SeccompFilter } from "../Seccomp/SeccompFilter.ts"
import { address, declare, flags, oneOf, type Result, type Syscall } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { setFilter } from "../Task/TaskSeccomp.ts"
import { controlCounter } from "../Task/TimestampCounter.ts"
import { hasOwnCapability } from "../Vfs/Credentials.ts"
import { installFile } from "./SysPipe.ts"

/** SECCOMP_SET_MODE_STRICT. Whoever is bound by it may also not read the time-stamp counter. */
export const setStrictMode = (task: Task): Result => {
  if (task.seccomp !== undefined && task.seccomp !== "Strict") return -EINVAL
  task.seccomp = "Strict"
  return controlCounter(task, true)
}

/** Copies in and checks what `struct sock_fprog` at `pointer` describes. */
const readProgram = (task: Task, pointer: number): BpfProgram | number => {
  const header = new Uint8Array(SockFprog.size)
  if (task.memory.copyIn(pointer, header) < 0) return -EFAULT
  const { filter, len } = SockFprog.decode(header)
  if (len === 0 || len > BPF_MAXINSNS) return -EINVAL
  if (!task.noNewPrivs && !hasOwnCapability(task.credentials, CAP_SYS_ADMIN)) return -EACCES
  if (filter === 0) return -EINVAL
  const bytes = new Uint8Array(len * SockFilter.size)
  if (task.memory.copyIn(filter, bytes) < 0) return -EFAULT
  const program = decodeProgram(bytes)
  return isValidProgram(program) ? program : -EINVAL
}

/** Flags that make no sense together. */
const areValidFlags = (bits: number): boolean => {
  const { SECCOMP_FILTER_FLAG_NEW_LISTENER: listener, SECCOMP_FILTER_FLAG_TSYNC: all } = S
  if ((bits & ~S.SECCOMP_FILTER_FLAG_MASK) !== 0) return false
  // both results would be positive numbers
  const isAmbiguous = (bits & all) !== 0 && (bits & listener) !== 0 && (bits & S.SECCOMP_FILTER_FLAG_TSYNC_ESRCH) === 0
  return !isAmbiguous && ((bits & S.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) === 0 || (bits & listener) !== 0)
}

const makeNotifications = (task: Task, bits: number): UserNotifications => {
  const id = new BigUint64Array(1)
  task.system.entropy.fill(new Uint8Array(id.buffer))
  return new UserNotifications(id[0]!, (bits & S.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) !== 0)
}

/** The first other thread whose filters are not among the caller's. */
const findUnsynchronised = (task: Task): Task | undefined => {
  const own = task.seccomp
  for (const other of task.threadGroup.tasks) {
    if (other === task || other.killed || other.seccomp === undefined) continue
    if (other.seccomp === "Strict" || own === undefined || own === "Strict" || !own.descendsFrom(other.seccomp)) {
      return other
    }
  }
  return undefined
}

/** SECCOMP_FILTER_FLAG_TSYNC: the other threads get the caller's filters. */
const synchronise = (task: Task, filter: SeccompFilter): void => {
  for (const other of task.threadGroup.tasks) {
    if (other === task || other.killed) continue
    setFilter(other, filter)
    if (task.noNewPrivs) other.noNewPrivs = true
  }
}

/** SECCOMP_SET_MODE_FILTER: 0, the descriptor of a listener, or with TSYNC the thread that stands in the way. */
export const setFilterMode = (task: Task, bits: number, pointer: number): number => {
  if (!areValidFlags(bits)) return -EINVAL
  const program = readProgram(task, pointer)
  if (typeof program === "number") return program
  const listens = (bits & S.SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0
  const { seccomp, threadGroup } = task
  if (listens && !task.fds.hasRoom(threadGroup.limits.soft(RLIMIT_NOFILE))) return -EMFILE
  if (seccomp === "Strict") return -EINVAL
  if (listens && seccomp?.hasListener === true) return -EBUSY
  const notifications = listens ? makeNotifications(task, bits) : undefined
  const filter = new SeccompFilter({
    program,
    previous: seccomp,
    logs: (bits & S.SECCOMP_FILTER_FLAG_LOG) !== 0,
    notifications,
    memory: task.system.filterMemory
  })
  if (filter.sizeError < 0) return filter.sizeError
  if ((bits & S.SECCOMP_FILTER_FLAG_TSYNC) !== 0) {
    const obstacle = findUnsynchronised(task)
    if (obstacle !== undefined)
      return (bits & S.SECCOMP_FILTER_FLAG_TSYNC_ESRCH) === 0 ? idFor(task, obstacle.tid) : -ESRCH
    synchronise(task, filter)
  }
  setFilter(task, filter)
  if (notifications === undefined) return 0
  const stat = task.system.anonymous.attributes("anon_inode", task.credentials)
  return installFile(task, new NotificationFd(filter, notifications, stat), true)
}

const getActionAvail = (task: Task, pointer: number): number => {
  const action = new Int32Array(1)
  if (task.memory.copyIn(pointer, new Uint8Array(action.buffer)) < 0) return -EFAULT
  return S.SECCOMP_ACTIONS.some((known) => known[1] === action[0]) ? 0 : -EOPNOTSUPP
}

const getNotifSizes = (task: Task, pointer: number): number =>
  task.memory.copyOut(
    pointer,
    S.SeccompNotifSizes.encode({
      seccomp_notif: S.SeccompNotif.size,
      seccomp_notif_resp: S.SeccompNotifResp.size,
      seccomp_data: S.SeccompData.size
    })
  )

const seccomp = (task: Task, operation: number, bits: number, pointer: number): Result => {
  switch (operation) {
    case S.SECCOMP_SET_MODE_STRICT:
      return bits !== 0 || pointer !== 0 ? -EINVAL : setStrictMode(task)
    case S.SECCOMP_SET_MODE_FILTER:
      return setFilterMode(task, bits, pointer)
    case S.SECCOMP_GET_ACTION_AVAIL:
      return bits !== 0 ? -EINVAL : getActionAvail(task, pointer)
    case S.SECCOMP_GET_NOTIF_SIZES:
      return bits !== 0 ? -EINVAL : getNotifSizes(task, pointer)
    default:
      return -EINVAL
  }
}

/** prctl(PR_SET_SECCOMP): without flags, and the strict mode ignores its argument. */
export const setSeccompMode = (task: Task, mode: number, pointer: number): Result => {
  switch (mode) {
    case S.SECCOMP_MODE_STRICT:
      return setStrictMode(task)
    case S.SECCOMP_MODE_FILTER:
      return setFilterMode(task, 0, pointer)
    default:
      return -EINVAL
  }
}

export const sysSeccomp: ReadonlyArray<Syscall> = [
  declare(
    "seccomp",
    [oneOf("operation", S.SECCOMP_OPERATION_NAMES), flags("flags", S.SECCOMP_FLAG_NAMES, "0"), address("args")],
    seccomp,
    { partial: "a call by int 0x80 that filters allow fails with ENOSYS; SPEC_ALLOW changes nothing" }
  )
]
