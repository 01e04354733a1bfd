/**
 * futex(2) and the robust list.
 */
import * as Effect from "effect/Effect"
import {
  EAGAIN,
  EFAULT,
  EINVAL,
  ENOSYS,
  EPERM,
  ERESTARTSYS,
  ERESTART_RESTARTBLOCK,
  ESRCH,
  ETIMEDOUT
} from "../Abi/Errno.ts"
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_CLOCK_REALTIME,
  FUTEX_CMP_REQUEUE,
  FUTEX_NAMES,
  FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP
} from "../Abi/Futex.ts"
import { Timespec, nanosOfTimespec } from "../Abi/Time.ts"
import type { FutexWaiter } from "../Task/FutexTable.ts"
import { type Result, address, declare, oneOf, pid, size, struct, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"

/** A timeout as CLOCK_MONOTONIC nanoseconds; undefined for none; negative for -errno. */
const readDeadline = (task: Task, at: number, operation: number): bigint | number | undefined => {
  if (at === 0) return undefined
  const bytes = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(bytes))
  if (typeof nanos === "number") return nanos
  const { timekeeper } = task.system
  const now = timekeeper.monotonic()
  if ((operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)) === FUTEX_WAIT) return now + nanos
  return (operation & FUTEX_CLOCK_REALTIME) === 0 ? nanos : nanos - timekeeper.realtime() + now
}

/** Sleeps if the word still has the expected value; the check and the enqueueing are one step. */
export const futexWait = (
  task: Task,
  at: number,
  value: number,
  operation: number,
  bitset: number,
  deadline: bigint | undefined
): Result => {
  if (bitset === 0) return -EINVAL
  const word = task.memory.readU32(at)
  if (word < 0) return word
  if (word !== value) return -EAGAIN
  const { futexes } = task.system
  const key = futexes.key(task.memoryManager, at, (operation & FUTEX_PRIVATE_FLAG) !== 0)
  if (typeof key === "number") return key
  const waiter = futexes.enqueue(key, bitset)
  return Effect.map(sleep(task, waiter, deadline), (wakeup) => {
    if (waiter.woken) return 0
    futexes.remove(waiter)
    if (wakeup === "Expired") return -ETIMEDOUT
    if (deadline === undefined) return -ERESTARTSYS
    task.restartBlock = { _tag: "Futex", address: at, value, operation, bitset, deadline }
    return -ERESTART_RESTARTBLOCK
  })
}

const sleep = (task: Task, waiter: FutexWaiter, deadline: bigint | undefined) =>
  task.block((wake) => {
    waiter.onWake = wake
    if (waiter.woken) wake() // before we listened
    return () => {
      waiter.onWake = undefined
    }
  }, deadline)

/** Sign-extends the low 12 bits. */
const operand = (bits: number): number => (bits << 20) >> 20

const APPLY: ReadonlyArray<(old: number, argument: number) => number> = [
  (_, argument) => argument,
  (old, argument) => old + argument,
  (old, argument) => old | argument,
  (old, argument) => old & ~argument,
  (old, argument) => old ^ argument
]

const COMPARE: ReadonlyArray<(old: number, argument: number) => boolean> = [
  (old, argument) => old === argument,
  (old, argument) => old !== argument,
  (old, argument) => old < argument,
  (old, argument) => old <= argument,
  (old, argument) => old > argument,
  (old, argument) => old >= argument
]

/** FUTEX_WAKE_OP: changes the second word, wakes on the first, and on the second if its old value compares. */
const wakeOp = (
  task: Task,
  from: number,
  to: number,
  wake: number,
  wakeSecond: number,
  code: number,
  isPrivate: boolean
) => {
  const { futexes } = task.system
  const apply = APPLY[(code >>> 28) & 7]
  const compare = COMPARE[(code >>> 24) & 15]
  const raw = operand(code >>> 12)
  const argument = code >>> 31 !== 0 ? 1 << (raw & 31) : raw
  const old = task.memory.readU32(to)
  if (old < 0) return old
  if (apply === undefined || compare === undefined) return -ENOSYS
  const first = futexes.key(task.memoryManager, from, isPrivate)
  const second = futexes.key(task.memoryManager, to, isPrivate)
  if (typeof first === "number" || typeof second === "number") return -EFAULT
  if (task.memory.writeU32(to, apply(old | 0, argument) >>> 0) < 0) return -EFAULT
  const woken = futexes.wake(first, wake, FUTEX_BITSET_MATCH_ANY)
  return compare(old | 0, operand(code)) ? woken + futexes.wake(second, wakeSecond, FUTEX_BITSET_MATCH_ANY) : woken
}

const futex = (
  task: Task,
  at: number,
  operation: number,
  value: number,
  timeoutOrCount: number,
  second: number,
  third: number
): Result => {
  const { futexes } = task.system
  const isPrivate = (operation & FUTEX_PRIVATE_FLAG) !== 0
  const command = operation & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME)
  if ((operation & FUTEX_CLOCK_REALTIME) !== 0 && command !== FUTEX_WAIT_BITSET && command !== FUTEX_WAIT)
    return -ENOSYS
  if (at % 4 !== 0) return -EINVAL
  const key = futexes.key(task.memoryManager, at, isPrivate)
  if (typeof key === "number") return key
  switch (command) {
    case FUTEX_WAIT:
    case FUTEX_WAIT_BITSET: {
      const deadline = readDeadline(task, timeoutOrCount, operation)
      if (typeof deadline === "number") return deadline
      const bitset = command === FUTEX_WAIT ? FUTEX_BITSET_MATCH_ANY : third
      return futexWait(task, at, value, operation, bitset, deadline)
    }
    case FUTEX_WAKE:
      return futexes.wake(key, Math.max(1, value | 0), FUTEX_BITSET_MATCH_ANY)
    case FUTEX_WAKE_BITSET:
      return third === 0 ? -EINVAL : futexes.wake(key, Math.max(1, value | 0), third)
    case FUTEX_CMP_REQUEUE:
    case FUTEX_REQUEUE: {
      const requeue = timeoutOrCount | 0
      if (second % 4 !== 0 || (value | 0) < 0 || requeue < 0) return -EINVAL
      if (command === FUTEX_CMP_REQUEUE) {
        const word = task.memory.readU32(at)
        if (word < 0) return word
        if (word !== third) return -EAGAIN
      }
      const target = futexes.key(task.memoryManager, second, isPrivate)
      if (typeof target === "number") return target
      const woken = futexes.wake(key, value, FUTEX_BITSET_MATCH_ANY)
      return woken + futexes.requeue(key, target, requeue)
    }
    case FUTEX_WAKE_OP:
      return wakeOp(task, at, second, value, timeoutOrCount, third, isPrivate)
    default:
      return -ENOSYS
  }
}

/** sizeof(struct robust_list_head). */
const ROBUST_LIST_SIZE = 24

const get_robust_list = (task: Task, id: number, head: number, length: number): Result => {
  const target = id === 0 ? task : task.system.taskSet.tasks.get(id)
  if (target === undefined) return -ESRCH
  if (target.threadGroup !== task.threadGroup && target.credentials.ruid !== task.credentials.euid) return -EPERM
  if (task.memory.writeU64(length, ROBUST_LIST_SIZE) < 0) return -EFAULT
  return task.memory.writeU64(head, target.robustList)
}

export const sysFutex = [
  declare(
    "futex",
    [
      address("uaddr"),
      oneOf("op", FUTEX_NAMES),
      uint("val"),
      struct("timeout", "timespec", "in"),
      address("uaddr2"),
      uint("val3")
    ],
    futex,
    { partial: "priority-inheritance operations are absent; WAKE_OP is not atomic towards running threads" }
  ),
  declare(
    "set_robust_list",
    [address("head"), size("len")],
    (task, head, length) => {
      if (length !== ROBUST_LIST_SIZE) return -EINVAL
      task.robustList = head
      return 0
    },
    { partial: "marking locks of a dead owner is not atomic towards running threads" }
  ),
  declare("get_robust_list", [pid("pid"), address("head_ptr"), address("len_ptr")], get_robust_list)
]
