/**
 * System V semaphores: semget(2), semop(2), semtimedop(2), semctl(2).
 */
import * as Effect from "effect/Effect"
import { E2BIG, EACCES, EAGAIN, EFAULT, EFBIG, EINTR, EINVAL, ERANGE } from "../Abi/Errno.ts"
import {
  GETALL,
  GETNCNT,
  GETPID,
  GETVAL,
  GETZCNT,
  IPC_INFO,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  IPCGET_NAMES,
  SEM_INFO,
  SEM_STAT,
  SEM_STAT_ANY,
  SEM_UNDO,
  SEMAEM,
  Sembuf,
  SEMCTL_NAMES,
  Semid64Ds,
  Seminfo,
  SEMMNI,
  SEMMNS,
  SEMMSL,
  SEMOPM,
  SEMVMX,
  SETALL,
  SETVAL
} from "../Abi/Ipc.ts"
import { Timespec, nanosOfTimespec } from "../Abi/Time.ts"
import { obtain, obtainControl } from "../Ipc/IpcIds.ts"
import { SemaphoreCall, type SemaphoreSet, SemaphoreUndo } from "../Ipc/Semaphores.ts"
import { type Result, address, declare, flags, hex, int, oneOf, size, struct } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"

const READ = 0o444
const WRITE = 0o222

const setsOf = (task: Task) => task.namespaces.ipc.semaphores.sets

/** The operations of semop(2), or -errno. */
const readOperations = (task: Task, at: number, count: number): ReadonlyArray<Sembuf> | number => {
  const bytes = new Uint8Array(count * Sembuf.size)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  return Array.from({ length: count }, (_, index) => Sembuf.decode(bytes.subarray(index * Sembuf.size)))
}

/** The set, once everything about the call has been checked in Linux's order; or -errno. */
const checkCall = (task: Task, id: number, operations: ReadonlyArray<Sembuf>): SemaphoreSet | number => {
  const set = id < 0 ? undefined : setsOf(task).find(id)
  if (set === undefined) return -EINVAL
  if (operations.some(({ sem_num }) => sem_num >= set.semaphores.length)) return -EFBIG
  const alters = operations.some(({ sem_op }) => sem_op !== 0)
  return set.denies(task.credentials, alters ? WRITE : READ) ? -EACCES : set
}

const makeCall = (task: Task, set: SemaphoreSet, operations: ReadonlyArray<Sembuf>): SemaphoreCall => {
  const undoes = operations.some(({ sem_flg }) => (sem_flg & SEM_UNDO) !== 0)
  if (undoes) task.semaphoreUndo ??= new SemaphoreUndo()
  return new SemaphoreCall(operations, task.threadGroup.tgid, undoes ? task.semaphoreUndo?.of(set) : undefined)
}

/** semtimedop(2) with the timeout read. Blocks. A signal gives EINTR, never a restart. */
const operate = (task: Task, id: number, at: number, count: number, timeout: bigint | undefined): Result => {
  if (id < 0) return -EINVAL
  const operations = readOperations(task, at, count)
  if (typeof operations === "number") return operations
  const { timekeeper } = task.system
  const deadline = timeout === undefined ? undefined : timekeeper.monotonic() + timeout
  // tried here first, and only in an Effect, which may never run, put into the queue
  const set = checkCall(task, id, operations)
  if (typeof set === "number") return set
  const call = makeCall(task, set, operations)
  if (set.attempt(call)) return call.result ?? 0
  return Effect.suspend(() => {
    if (set.removed) return Effect.succeed(-EINVAL)
    set.submit(call)
    if (call.result !== undefined) return Effect.succeed(call.result)
    const wait = task.block((wake) => {
      call.onDone = wake
      if (call.result !== undefined) wake()
      return () => {
        call.onDone = undefined
      }
    }, deadline)
    return Effect.map(wait, (wakeup) => {
      if (call.result !== undefined) return call.result
      set.cancel(call)
      return wakeup === "Expired" ? -EAGAIN : -EINTR
    })
  })
}

const semtimedop = (task: Task, id: number, at: number, count: number, timeoutAt: number): Result => {
  let time: Timespec | undefined
  if (timeoutAt !== 0) {
    const bytes = new Uint8Array(Timespec.size)
    if (task.memory.copyIn(timeoutAt, bytes) < 0) return -EFAULT
    time = Timespec.decode(bytes)
  }
  if (count > SEMOPM) return -E2BIG
  if (count < 1) return -EINVAL
  const timeout = time === undefined ? undefined : nanosOfTimespec(time)
  if (typeof timeout === "number") return task.memory.copyIn(at, new Uint8Array(count * Sembuf.size)) || timeout
  return operate(task, id, at, count, timeout)
}

/** semctl(2)'s commands on values. */
const getOrSet = (task: Task, id: number, index: number, command: number, argument: number): number => {
  const set = obtain(setsOf(task), id, task.credentials, command === SETALL ? WRITE : READ)
  if (typeof set === "number") return set
  const { semaphores } = set
  if (command === GETALL) {
    const values = Uint16Array.from(semaphores, ({ value }) => value)
    return task.memory.copyOut(argument, new Uint8Array(values.buffer))
  }
  if (command === SETALL) {
    const values = new Uint16Array(semaphores.length)
    if (task.memory.copyIn(argument, new Uint8Array(values.buffer)) < 0) return -EFAULT
    if (values.some((value) => value > SEMVMX)) return -ERANGE
    set.set(0, values, task.threadGroup.tgid)
    return 0
  }
  const semaphore = index < 0 ? undefined : semaphores[index]
  if (semaphore === undefined) return -EINVAL
  if (command === GETVAL) return semaphore.value
  if (command === GETPID) return idFor(task, semaphore.pid)
  return set.countWaiting(index, command === GETZCNT)
}

const setValue = (task: Task, id: number, index: number, value: number): number => {
  if (value < 0 || value > SEMVMX) return -ERANGE
  const set = id < 0 ? undefined : setsOf(task).find(id)
  if (set === undefined) return -EINVAL
  if (index < 0 || index >= set.semaphores.length) return -EINVAL
  if (set.denies(task.credentials, WRITE)) return -EACCES
  set.set(index, [value], task.threadGroup.tgid)
  return 0
}

const status = (task: Task, command: number, id: number, buffer: number): number => {
  const sets = setsOf(task)
  const set = command === IPC_STAT ? sets.find(id) : sets.at(id)
  if (set === undefined) return -EINVAL
  if (command !== SEM_STAT_ANY && set.denies(task.credentials, READ)) return -EACCES
  if (task.memory.copyOut(buffer, Semid64Ds.encode(set.status(task.credentials.userNamespace))) < 0) return -EFAULT
  return command === IPC_STAT ? 0 : set.id
}

const information = (task: Task, command: number, buffer: number): number => {
  const { count, sets } = task.namespaces.ipc.semaphores
  const inUse = command === SEM_INFO
  const bytes = Seminfo.encode({
    semmap: SEMMNS,
    semmni: SEMMNI,
    semmns: SEMMNS,
    semmnu: SEMMNS,
    semmsl: SEMMSL,
    semopm: SEMOPM,
    semume: SEMOPM,
    semusz: inUse ? sets.size : 20,
    semvmx: SEMVMX,
    semaem: inUse ? count : SEMAEM
  })
  return task.memory.copyOut(buffer, bytes) < 0 ? -EFAULT : sets.highestIndex
}

const change = (task: Task, id: number, buffer: number): number => {
  const bytes = new Uint8Array(Semid64Ds.size)
  if (task.memory.copyIn(buffer, bytes) < 0) return -EFAULT
  const set = obtainControl(setsOf(task), id, task.credentials)
  if (typeof set === "number") return set
  return set.change(Semid64Ds.decode(bytes).sem_perm, task.namespaces.ipc.semaphores.now(), task.credentials)
}

/** semctl(2). Never blocks. */
const semctl = (task: Task, id: number, index: number, command: number, argument: number): Result => {
  if (id < 0) return -EINVAL
  switch (command) {
    case IPC_INFO:
    case SEM_INFO:
      return information(task, command, argument)
    case IPC_STAT:
    case SEM_STAT:
    case SEM_STAT_ANY:
      return status(task, command, id, argument)
    case GETALL:
    case GETVAL:
    case GETPID:
    case GETNCNT:
    case GETZCNT:
    case SETALL:
      return getOrSet(task, id, index, command, argument)
    case SETVAL:
      return setValue(task, id, index, argument | 0)
    case IPC_SET:
      return change(task, id, argument)
    case IPC_RMID: {
      const set = obtainControl(setsOf(task), id, task.credentials)
      if (typeof set === "number") return set
      task.namespaces.ipc.semaphores.remove(set)
      return 0
    }
    default:
      return -EINVAL
  }
}

export const sysIpcSemaphore = [
  declare(
    "semget",
    [hex("key"), int("nsems"), flags("semflg", IPCGET_NAMES)],
    (task, key, count, options) => task.namespaces.ipc.semaphores.open(key | 0, count, options, task.credentials),
    { partial: "262,144 semaphores in the whole sandbox" }
  ),
  declare("semop", [int("semid"), address("sops"), size("nsops")], (task, id, at, count) =>
    semtimedop(task, id, at, count, 0)
  ),
  declare(
    "semtimedop",
    [int("semid"), address("sops"), size("nsops"), struct("timeout", "timespec", "in")],
    semtimedop
  ),
  declare("semctl", [int("semid"), int("semnum"), oneOf("cmd", SEMCTL_NAMES), address("arg")], semctl)
]
