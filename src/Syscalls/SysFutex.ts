/**
 * futex(2), futex_waitv(2) and the robust list.
 */
import { EAGAIN, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH } from "../Abi/Errno.ts"
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_CLOCK_REALTIME,
  FUTEX_CMP_REQUEUE,
  FUTEX_CMP_REQUEUE_PI,
  FUTEX_LOCK_PI,
  FUTEX_LOCK_PI2,
  FUTEX_NAMES,
  FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE,
  FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAIT_REQUEUE_PI,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP
} from "../Abi/Futex.ts"
import { Reg } from "../Abi/Registers.ts"
import { CLOCK_NAMES } from "../Abi/Time.ts"
import { sameFutex } from "../Task/FutexWaiter.ts"
import { type Result, address, declare, oneOf, pid, size, struct, uint, wordAddress } from "../Task/Syscall.ts"
import { findTaskOrSelf } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { futexLock, futexWait, futexWaitRequeue, futexWaitv, readDeadline, type TimeoutClock } from "./FutexWait.ts"

/** Sign-extends the low 12 bits. */
const operand = (bits: number): number => (bits << 20) >> 20

/** What `UserMemory.update` is to do for FUTEX_OP_SET, ADD, OR, ANDN and XOR: mask, flip, sum. */
const UPDATES: ReadonlyArray<(argument: number) => readonly [mask: number, flip: number, sum: number]> = [
  (argument) => [0, argument, 0],
  (argument) => [-1, 0, argument],
  (argument) => [~argument, argument, 0],
  (argument) => [~argument, 0, 0],
  (argument) => [-1, argument, 0]
]

const COMPARE: ReadonlyArray<(old: number, argument: number) => boolean> = [
  (old, argument) => old === argument,
  (old, argument) => old !== argument,
  (old, argument) => old < argument,
  (old, argument) => old <= argument,
  (old, argument) => old > argument,
  (old, argument) => old >= argument
]

/** A call's arguments; counts are C's `int`. */
interface FutexCall {
  readonly address: number
  readonly operation: number
  readonly value: number
  /** `timeout` as a count: C's `int`. */
  readonly value2: number
  readonly second: number
  readonly value3: number
  readonly isPrivate: boolean
}

/** The keys of both words, or -errno. */
const bothKeys = (task: Task, { address, isPrivate, second }: FutexCall, writesSecond: boolean) => {
  const { futexes } = task.system
  const from = futexes.key(task.memoryManager, address, isPrivate)
  if (typeof from === "number") return from
  const to = futexes.key(task.memoryManager, second, isPrivate, writesSecond)
  return typeof to === "number" ? to : { from, to }
}

/** FUTEX_WAKE_OP: changes the second word, wakes on the first, and on the second if its old value compares. */
const wakeOp = (task: Task, call: FutexCall): number => {
  const { second, value, value2, value3: code } = call
  const keys = bothKeys(task, call, true)
  if (typeof keys === "number") return keys
  const update = UPDATES[(code >>> 28) & 7]
  const compare = COMPARE[(code >>> 24) & 15]
  const raw = operand(code >>> 12)
  const argument = code >>> 31 !== 0 ? 1 << (raw & 31) : raw
  if (update === undefined) return -ENOSYS
  const old = task.memory.update(second, ...update(argument))
  if (old < 0) return old
  if (compare === undefined) return -ENOSYS // as in Linux, the word has been changed
  const { futexes } = task.system
  const woken = futexes.wake(keys.from, value | 0, FUTEX_BITSET_MATCH_ANY)
  if (woken < 0 || !compare(old | 0, operand(code))) return woken
  const more = futexes.wake(keys.to, value2, FUTEX_BITSET_MATCH_ANY)
  return more < 0 ? more : woken + more
}

/** FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_CMP_REQUEUE_PI. */
const requeue = (task: Task, call: FutexCall, compares: boolean, inherits: boolean): number => {
  const { address, second, value3 } = call
  const wake = call.value | 0
  const move = call.value2
  if (wake < 0 || move < 0) return -EINVAL
  if (inherits && (address === second || wake !== 1)) return -EINVAL
  const keys = bothKeys(task, call, inherits)
  if (typeof keys === "number") return keys
  const { from, to } = keys
  if (inherits && sameFutex(from, to)) return -EINVAL
  if (compares) {
    const word = task.memory.loadU32(address)
    if (word < 0) return word
    if (word !== value3) return -EAGAIN
  }
  const { futexes } = task.system
  return inherits ? futexes.pi.requeue(task, from, to, second, move) : futexes.requeue(from, to, wake, move)
}

const wake = (task: Task, { address, isPrivate, value }: FutexCall, bitset: number): number => {
  if (bitset === 0) return -EINVAL
  const { futexes } = task.system
  const key = futexes.key(task.memoryManager, address, isPrivate)
  return typeof key === "number" ? key : futexes.wake(key, value | 0, bitset)
}

const MAY_USE_REALTIME = new Set([FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2])
const HAS_TIMEOUT = new Set([FUTEX_WAIT, FUTEX_LOCK_PI, ...MAY_USE_REALTIME])

const clockOf = (command: number, isRealtime: boolean): TimeoutClock => {
  if (command === FUTEX_WAIT) return "relative"
  return command === FUTEX_LOCK_PI || isRealtime ? "realtime" : "monotonic"
}

/**
 * futex(2). Errors in Linux's order: the timeout, then the operation with its clock, then the words.
 *
 * Restart: see FutexWait.ts, by operation.
 */
const futex = (
  task: Task,
  address: number,
  operation: number,
  value: number,
  timeout: number,
  second: number,
  value3: number
): Result => {
  const isPrivate = (operation & FUTEX_PRIVATE_FLAG) !== 0
  const isRealtime = (operation & FUTEX_CLOCK_REALTIME) !== 0
  const command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
  let deadline: bigint | undefined
  if (HAS_TIMEOUT.has(command)) {
    const read = readDeadline(task, timeout, clockOf(command, isRealtime))
    if (typeof read === "number") return read
    deadline = read
  }
  if (isRealtime && !MAY_USE_REALTIME.has(command)) return -ENOSYS
  const value2 = task.registers.int(Reg.r10) // a number loses the low bits of what is no address
  const call: FutexCall = { address, operation, value, value2, second, value3, isPrivate }
  switch (command) {
    case FUTEX_WAIT:
      return futexWait(task, address, value, operation, FUTEX_BITSET_MATCH_ANY, deadline)
    case FUTEX_WAIT_BITSET:
      return futexWait(task, address, value, operation, value3, deadline)
    case FUTEX_WAKE:
      return wake(task, call, FUTEX_BITSET_MATCH_ANY)
    case FUTEX_WAKE_BITSET:
      return wake(task, call, value3)
    case FUTEX_REQUEUE:
      return requeue(task, call, false, false)
    case FUTEX_CMP_REQUEUE:
      return requeue(task, call, true, false)
    case FUTEX_CMP_REQUEUE_PI:
      return requeue(task, call, true, true)
    case FUTEX_WAKE_OP:
      return wakeOp(task, call)
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
      return futexLock(task, address, isPrivate, deadline, false)
    case FUTEX_TRYLOCK_PI:
      return futexLock(task, address, isPrivate, undefined, true)
    case FUTEX_UNLOCK_PI:
      return task.system.futexes.pi.unlock(task, address, isPrivate)
    case FUTEX_WAIT_REQUEUE_PI:
      return futexWaitRequeue(task, address, value, isPrivate, deadline, second)
    default:
      return -ENOSYS
  }
}

/** sizeof(struct robust_list_head). */
const ROBUST_LIST_SIZE = 24

const get_robust_list = (task: Task, id: number, head: number, length: number): Result => {
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  if (target.threadGroup !== task.threadGroup && target.credentials.ruid !== task.credentials.euid) return -EPERM
  if (task.memory.writeU64(length, ROBUST_LIST_SIZE) < 0) return -EFAULT
  return task.memory.writeU64(head, target.robustList)
}

export const sysFutex = [
  declare(
    "futex",
    [
      wordAddress("uaddr"),
      oneOf("op", FUTEX_NAMES),
      uint("val"),
      struct("timeout", "timespec", "in"),
      address("uaddr2"),
      uint("val3")
    ],
    futex,
    { partial: "no priority is lent to the owner of a lock: the host schedules" }
  ),
  declare(
    "futex_waitv",
    [
      address("waiters"),
      uint("nr_futexes"),
      uint("flags"),
      struct("timeout", "timespec", "in"),
      oneOf("clockid", CLOCK_NAMES)
    ],
    futexWaitv
  ),
  declare("set_robust_list", [address("head"), size("len")], (task, head, length) => {
    if (length !== ROBUST_LIST_SIZE) return -EINVAL
    task.robustList = head
    return 0
  }),
  declare("get_robust_list", [pid("pid"), address("head_ptr"), address("len_ptr")], get_robust_list)
]
