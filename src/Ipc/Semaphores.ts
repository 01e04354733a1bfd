/**
 * System V semaphores, semop(2): sets of counters that are changed all or none.
 *
 * Calls that must wait stand in one queue a set. After every change those that wait for zeros are tried first, then the
 * others in order of arrival, until nothing changes any more: Linux's order.
 */
import { EAGAIN, EIDRM, EINVAL, ENOSPC, ERANGE } from "../Abi/Errno.ts"
import { IPC_NOWAIT, SEM_UNDO, SEMAEM, type Sembuf, SEMMNI, SEMMSL, SEMVMX, type Semid64Ds } from "../Abi/Ipc.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import type { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { IpcBudget } from "./IpcBudget.ts"
import { IpcIds, IpcObject } from "./IpcIds.ts"

interface Semaphore {
  value: number
  /** Who changed it last. */
  pid: number
}

/** One semop(2) call. */
export class SemaphoreCall {
  readonly operations: ReadonlyArray<Sembuf>
  readonly pid: number
  /** What SEM_UNDO is written to: there when an operation has that flag. */
  readonly adjustments: Int16Array | undefined
  readonly alters: boolean
  /** The operation that it waits for. */
  blocking: Sembuf | undefined
  /** What the call returns, once it is decided. */
  result: number | undefined
  /** Called once when that happens to a call that waits. */
  onDone: (() => void) | undefined

  constructor(operations: ReadonlyArray<Sembuf>, pid: number, adjustments: Int16Array | undefined) {
    this.operations = operations
    this.pid = pid
    this.adjustments = adjustments
    this.alters = operations.some(({ sem_op }) => sem_op !== 0)
  }
}

export class SemaphoreSet extends IpcObject {
  readonly semaphores: Array<Semaphore> = []
  /** Every process's adjustments, for SETVAL and SETALL, which forget them. */
  readonly undos = new Set<Int16Array>()
  operationTime = 0
  #waiting: Array<SemaphoreCall> = []
  readonly #now: () => number

  constructor(key: number, mode: number, creator: Credentials, count: number, now: () => number) {
    super(key, mode, creator, now())
    this.#now = now
    for (let index = 0; index < count; index++) this.semaphores.push({ value: 0, pid: 0 })
  }

  status(viewer: UserNamespace): Semid64Ds {
    return {
      sem_perm: this.permissions(viewer),
      sem_otime: this.operationTime,
      unused1: 0n,
      sem_ctime: this.ctime,
      unused2: 0n,
      sem_nsems: this.semaphores.length,
      unused3: 0n,
      unused4: 0n
    }
  }

  /** Makes a call's operations, or fails: whether its result is decided. */
  attempt(call: SemaphoreCall): boolean {
    if (this.#try(call)) this.#changed(call.alters)
    return call.result !== undefined
  }

  /** As `attempt`, and puts a call that must wait into the queue. */
  submit(call: SemaphoreCall): void {
    if (!this.attempt(call)) this.#waiting.push(call)
  }

  /** A call that waits gives up. */
  cancel(call: SemaphoreCall): void {
    this.#waiting = this.#waiting.filter((one) => one !== call)
  }

  /** GETNCNT, GETZCNT: calls that wait for one semaphore to grow, or to be zero. */
  countWaiting(index: number, zero: boolean): number {
    return this.#waiting.filter(
      ({ blocking }) => blocking?.sem_num === index && (zero ? blocking.sem_op === 0 : blocking.sem_op < 0)
    ).length
  }

  /** SETVAL of the semaphores from `first` on, and SETALL. */
  set(first: number, values: ArrayLike<number>, pid: number): void {
    for (let index = 0; index < values.length; index++) {
      this.semaphores[first + index]!.value = values[index]!
      this.semaphores[first + index]!.pid = pid
      for (const adjustments of this.undos) adjustments[first + index] = 0
    }
    this.ctime = this.#now()
    this.#update()
  }

  /** A process with these adjustments ends. */
  undo(adjustments: Int16Array, pid: number): void {
    this.undos.delete(adjustments)
    this.semaphores.forEach((semaphore, index) => {
      const adjustment = adjustments[index]!
      if (adjustment === 0) return
      semaphore.value = Math.min(SEMVMX, Math.max(0, semaphore.value + adjustment))
      semaphore.pid = pid
    })
    this.#changed(true)
  }

  /** Everybody who waits fails. */
  end(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const call of waiting) finish(call, -EIDRM)
  }

  #changed(alters: boolean): void {
    this.operationTime = this.#now()
    if (alters) this.#update()
  }

  /** Whether the operations were made; if not, `result` says why, or `blocking` what it waits for. */
  #try(call: SemaphoreCall): boolean {
    const { adjustments, operations } = call
    for (let index = 0; index < operations.length; index++) {
      const operation = operations[index]!
      const semaphore = this.semaphores[operation.sem_num]!
      const value = semaphore.value + operation.sem_op
      if ((operation.sem_op === 0 && semaphore.value !== 0) || value < 0) {
        this.#revert(call, index)
        call.blocking = operation
        if ((operation.sem_flg & IPC_NOWAIT) !== 0) call.result = -EAGAIN
        return false
      }
      let outOfRange = value > SEMVMX
      if ((operation.sem_flg & SEM_UNDO) !== 0 && adjustments !== undefined && !outOfRange) {
        const adjustment = adjustments[operation.sem_num]! - operation.sem_op
        outOfRange = adjustment < -SEMAEM - 1 || adjustment > SEMAEM
        if (!outOfRange) adjustments[operation.sem_num] = adjustment
      }
      if (outOfRange) {
        this.#revert(call, index)
        call.result = -ERANGE
        return false
      }
      semaphore.value = value
    }
    for (const { sem_num } of operations) this.semaphores[sem_num]!.pid = call.pid
    call.result = 0
    return true
  }

  /** Takes back the first `count` operations. */
  #revert({ adjustments, operations }: SemaphoreCall, count: number): void {
    for (let index = count - 1; index >= 0; index--) {
      const { sem_flg, sem_num, sem_op } = operations[index]!
      this.semaphores[sem_num]!.value -= sem_op
      if ((sem_flg & SEM_UNDO) !== 0 && adjustments !== undefined) adjustments[sem_num]! += sem_op
    }
  }

  #update(): void {
    let again = true
    while (again) {
      again = false
      for (const alters of [false, true]) {
        for (const call of this.#waiting.filter((one) => one.alters === alters)) {
          const made = this.#try(call)
          if (call.result === undefined) continue
          this.cancel(call)
          finish(call, call.result)
          if (made && alters) again = true
        }
      }
    }
  }
}

const finish = (call: SemaphoreCall, result: number): void => {
  call.result = result
  call.onDone?.()
}

/** What the end of a process undoes, semop(2) SEM_UNDO. Shared by tasks that were cloned with CLONE_SYSVSEM. */
export class SemaphoreUndo {
  readonly #adjustments = new Map<SemaphoreSet, Int16Array>()
  #users = 1

  share(): this {
    this.#users++
    return this
  }

  /** A task ends; the last one's end makes the adjustments. */
  leave(pid: number): void {
    this.#users--
    if (this.#users > 0) return
    for (const [set, adjustments] of this.#adjustments) if (!set.removed) set.undo(adjustments, pid)
    this.#adjustments.clear()
  }

  /** Those for `set`. */
  of(set: SemaphoreSet): Int16Array {
    let adjustments = this.#adjustments.get(set)
    if (adjustments === undefined) {
      for (const other of this.#adjustments.keys()) if (other.removed) this.#adjustments.delete(other)
      adjustments = new Int16Array(set.semaphores.length)
      this.#adjustments.set(set, adjustments)
      set.undos.add(adjustments)
    }
    return adjustments
  }
}

export class Semaphores {
  readonly sets: IpcIds<SemaphoreSet>
  readonly now: () => number
  /** Semaphores of all sets. */
  count = 0

  readonly #account: IpcBudget["semaphores"]

  /** `account`: those of all namespaces. */
  constructor(userNamespace: UserNamespace, now: () => number, account: IpcBudget["semaphores"]) {
    this.#account = account
    this.sets = new IpcIds<SemaphoreSet>(SEMMNI, userNamespace)
    this.now = now
  }

  /** semget(2): the id, or -errno. */
  open(key: number, count: number, flags: number, credentials: Credentials): number {
    if (count < 0 || count > SEMMSL) return -EINVAL
    return this.sets.open(
      key,
      flags,
      credentials,
      () => {
        if (count === 0) return -EINVAL
        if (this.sets.isFull || !this.#account.take(count)) return -ENOSPC
        this.count += count
        return new SemaphoreSet(key, flags, credentials, count, this.now)
      },
      (found) => (count > found.semaphores.length ? -EINVAL : 0)
    )
  }

  /** IPC_RMID. */
  remove(set: SemaphoreSet): void {
    this.sets.remove(set)
    this.count -= set.semaphores.length
    this.#account.giveBack(set.semaphores.length)
    set.end()
  }
}
