/**
 * The operations of futex(2) that sleep, and futex_waitv(2).
 *
 * A handler looks at the word, and when it must sleep, looks again and enqueues in the Effect it returns: one that is
 * never run, as its task was killed first, leaves nothing behind.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EFAULT, EINVAL, ERESTARTNOINTR, ERESTARTSYS, ERESTART_RESTARTBLOCK, ETIMEDOUT } from "../Abi/Errno.ts"
import {
  FUTEX2_PRIVATE,
  FUTEX2_SIZE_MASK,
  FUTEX2_SIZE_U32,
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_PRIVATE_FLAG,
  FUTEX_WAITV_MAX,
  FutexWaitv
} from "../Abi/Futex.ts"
import { CLOCK_MONOTONIC, CLOCK_REALTIME, Timespec, nanosOfTimespec } from "../Abi/Time.ts"
import { type FutexKey, FutexWaiter, sameFutex } from "../Task/FutexWaiter.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Subscribe } from "../Task/Sleep.ts"
import type { Task } from "../Task/Task.ts"

/** On which clock a timeout is; "relative": CLOCK_MONOTONIC, from now. */
export type TimeoutClock = "relative" | "monotonic" | "realtime"

/** A timeout as nanoseconds of the first time namespace's CLOCK_MONOTONIC; undefined for none; -EFAULT or -EINVAL. */
export const readDeadline = (task: Task, at: number, clock: TimeoutClock): bigint | number | undefined => {
  if (at === 0) return undefined
  const bytes = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const nanos = nanosOfTimespec(Timespec.decode(bytes))
  if (typeof nanos === "number") return nanos
  if (clock === "monotonic") return nanos - task.namespaces.time.offsets.monotonic
  const { timekeeper } = task.system
  return timekeeper.monotonic() + nanos - (clock === "realtime" ? timekeeper.realtime() : 0n)
}

const subscribeTo =
  (waiters: ReadonlyArray<FutexWaiter>): Subscribe =>
  (wake) => {
    for (const waiter of waiters) {
      waiter.onWake = wake
      if (waiter.woken) wake() // before we listened
    }
    return () => {
      for (const waiter of waiters) waiter.onWake = undefined
    }
  }

/** Sleeps until one of `waiters`, which are enqueued, is woken. */
const sleep = (task: Task, waiters: ReadonlyArray<FutexWaiter>, deadline: bigint | undefined) =>
  task.block(subscribeTo(waiters), deadline)

/** The futex at `address` if its word, `seen` if that is known, still has the value: -EAGAIN if not. */
const expect = (task: Task, address: number, value: number, isPrivate: boolean, seen?: number): FutexKey | number => {
  const key = task.system.futexes.key(task.memoryManager, address, isPrivate)
  if (typeof key === "number") return key
  const word = seen ?? task.memory.loadU32(address)
  if (word < 0) return word
  return word === value ? key : -EAGAIN
}

/** FUTEX_WAIT, FUTEX_WAIT_BITSET. Blocks. Restarts; with a timeout through restart_syscall(2). */
export const futexWait = (
  task: Task,
  address: number,
  value: number,
  operation: number,
  bitset: number,
  deadline: bigint | undefined
): Result => {
  if (bitset === 0) return -EINVAL
  const isPrivate = (operation & FUTEX_PRIVATE_FLAG) !== 0
  // as the thread saw the word when it made the call: as good as to have been queued then, if nobody has woken anybody since
  const seen = task.system.futexes.wakes === task.wakesBefore ? task.context.glimpse?.(address) : undefined
  const expected = expect(task, address, value, isPrivate, seen)
  if (typeof expected === "number") return expected
  const { futexes } = task.system
  const waiter = new FutexWaiter(task, address, bitset)
  let current = expected
  waiter.onMove = (to) => {
    current = to
  }
  return task.sleep<number>({
    begin: (atOnce) => {
      // the handler has just looked; otherwise a change of the word, and the wake-up for it, may have come since
      const key = atOnce ? expected : expect(task, address, value, isPrivate)
      if (typeof key === "number") return key
      current = key
      futexes.enqueue(key, waiter)
      return undefined
    },
    subscribe: subscribeTo([waiter]),
    look: (end) => {
      if (waiter.woken) return waiter.result
      if (end === undefined) return undefined
      if (end === "Expired") return -ETIMEDOUT
      if (deadline === undefined) return -ERESTARTSYS
      task.restartBlock = { _tag: "Futex", address, value, operation, bitset, deadline }
      return -ERESTART_RESTARTBLOCK
    },
    deadline,
    finally: () => {
      if (!waiter.woken) futexes.remove(current, waiter)
    }
  })
}

/** FUTEX_LOCK_PI, FUTEX_LOCK_PI2, and FUTEX_TRYLOCK_PI, which does not block. Restarts after every signal. */
export const futexLock = (
  task: Task,
  address: number,
  isPrivate: boolean,
  deadline: bigint | undefined,
  isTry: boolean
): Result => {
  const { futexes } = task.system
  const attempt = () => {
    const key = futexes.key(task.memoryManager, address, isPrivate, true)
    if (typeof key === "number") return key
    const result = futexes.pi.attempt(task, address, key, task, false)
    if (typeof result === "number") return result
    if (result._tag === "Acquired") return 0
    return isTry ? -EAGAIN : result.state
  }
  const first = attempt()
  if (typeof first === "number") return first
  return Effect.suspend(() => {
    const state = attempt()
    if (typeof state === "number") return Effect.succeed(state)
    const waiter = futexes.pi.wait(task, address, state)
    if (typeof waiter === "number") return Effect.succeed(waiter)
    return Effect.map(sleep(task, [waiter], deadline), (wakeup) => {
      if (waiter.woken) return waiter.result
      futexes.pi.cancel(waiter)
      return wakeup === "Expired" ? -ETIMEDOUT : -ERESTARTNOINTR
    })
  })
}

/** FUTEX_WAIT_REQUEUE_PI: sleeps on one futex until it is moved to the lock `second`, and then until it has that. */
export const futexWaitRequeue = (
  task: Task,
  address: number,
  value: number,
  isPrivate: boolean,
  deadline: bigint | undefined,
  second: number
): Result => {
  if (address === second) return -EINVAL
  const { futexes } = task.system
  const check = () => {
    const lock = futexes.key(task.memoryManager, second, isPrivate, true)
    if (typeof lock === "number") return lock
    const key = expect(task, address, value, isPrivate)
    if (typeof key === "number") return key
    return sameFutex(key, lock) ? -EINVAL : { key, lock }
  }
  const first = check()
  if (typeof first === "number") return first
  return Effect.suspend(() => {
    const keys = check()
    if (typeof keys === "number") return Effect.succeed(keys)
    const waiter = new FutexWaiter(task, address, FUTEX_BITSET_MATCH_ANY)
    waiter.target = { key: keys.lock, address: second }
    futexes.enqueue(keys.key, waiter)
    return Effect.map(sleep(task, [waiter], deadline), (wakeup) => {
      if (waiter.woken) return waiter.result
      const moved = waiter.pi !== undefined
      if (moved) futexes.pi.cancel(waiter)
      else futexes.remove(keys.key, waiter)
      if (wakeup === "Expired") return -ETIMEDOUT
      return moved ? -EAGAIN : -ERESTARTNOINTR // once moved, the first word has changed: a restart would say so too
    })
  })
}

/** The futexes of futex_waitv(2), or -errno. */
const readWaiters = (task: Task, at: number, count: number): ReadonlyArray<FutexWaitv> | number => {
  const list: Array<FutexWaitv> = []
  const bytes = new Uint8Array(FutexWaitv.size)
  for (let index = 0; index < count; index++) {
    if (task.memory.copyIn(at + index * FutexWaitv.size, bytes) < 0) return -EFAULT
    const entry = FutexWaitv.decode(bytes)
    if ((entry.flags & ~(FUTEX2_SIZE_MASK | FUTEX2_PRIVATE)) !== 0 || entry.__reserved !== 0) return -EINVAL
    if ((entry.flags & FUTEX2_SIZE_MASK) !== FUTEX2_SIZE_U32 || entry.val > 0xffff_ffffn) return -EINVAL
    list.push(entry)
  }
  return list
}

/** Enqueues on all of `list`, or on none if a word has changed (-EAGAIN). */
const enqueueAll = (task: Task, list: ReadonlyArray<FutexWaitv>): ReadonlyArray<Enqueued> | number => {
  const { futexes } = task.system
  const keys: Array<FutexKey> = []
  for (const { flags, uaddr } of list) {
    const key = futexes.key(task.memoryManager, Number(uaddr), (flags & FUTEX2_PRIVATE) !== 0)
    if (typeof key === "number") return key
    keys.push(key)
  }
  for (const { uaddr, val } of list) {
    const word = task.memory.loadU32(Number(uaddr))
    if (word < 0) return word
    if (word !== Number(val)) return -EAGAIN
  }
  return list.map(({ uaddr }, index) => {
    const enqueued: Enqueued = {
      waiter: new FutexWaiter(task, Number(uaddr), FUTEX_BITSET_MATCH_ANY),
      key: keys[index]!
    }
    enqueued.waiter.onMove = (to) => {
      enqueued.key = to
    }
    futexes.enqueue(enqueued.key, enqueued.waiter)
    return enqueued
  })
}

interface Enqueued {
  readonly waiter: FutexWaiter
  key: FutexKey
}

/** futex_waitv(2). Blocks. Restarts: the timeout is absolute. */
export const futexWaitv = (
  task: Task,
  at: number,
  count: number,
  flags: number,
  timeout: number,
  clock: number
): Result => {
  if (flags !== 0 || count === 0 || count > FUTEX_WAITV_MAX || at === 0) return -EINVAL
  if (timeout !== 0 && clock !== CLOCK_REALTIME && clock !== CLOCK_MONOTONIC) return -EINVAL
  const deadline = readDeadline(task, timeout, clock === CLOCK_REALTIME ? "realtime" : "monotonic")
  if (typeof deadline === "number") return deadline
  const list = readWaiters(task, at, count)
  if (typeof list === "number") return list
  const { futexes } = task.system
  return Effect.suspend(() => {
    const enqueued = enqueueAll(task, list)
    if (typeof enqueued === "number") return Effect.succeed(enqueued)
    const waiters = enqueued.map(({ waiter }) => waiter)
    return Effect.map(sleep(task, waiters, deadline), (wakeup) => {
      for (const { key, waiter } of enqueued) futexes.remove(key, waiter)
      const woken = waiters.findLastIndex((waiter) => waiter.woken)
      if (woken >= 0) return woken
      return wakeup === "Expired" ? -ETIMEDOUT : -ERESTARTSYS
    })
  })
}
