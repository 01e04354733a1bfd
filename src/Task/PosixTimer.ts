/**
 * POSIX timers, timer_create(2): at most one signal of a timer is pending at a time; what expires meanwhile counts as
 * overruns of it.
 */
import { SI_TIMER } from "../Abi/Signal.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { ClockTimer, type TimerClock } from "./ClockTimer.ts"
import type { Task } from "./Task.ts"
import { sendToGroup, sendToTask } from "./TaskSignals.ts"

/** `sigev_notify`: to whom an expiry is told. */
export type Notification =
  | { readonly _tag: "None" }
  | { readonly _tag: "Process"; readonly signo: number; readonly value: bigint }
  | { readonly _tag: "Thread"; readonly signo: number; readonly value: bigint; readonly tid: number }

const DELAYTIMER_MAX = 0x7fff_ffffn

export class PosixTimer {
  readonly id: number
  readonly clockId: number
  readonly timer: ClockTimer
  /** The clock's own time, for absolute settings. */
  readonly clock: TimerClock
  /** A signal was sent and not yet taken. Guarded by: signal mutex. */
  #pending = false
  /** Expiries since that signal was sent. Guarded by: signal mutex. */
  #overruns = 0n
  /** What timer_getoverrun(2) reports: overruns of the signal taken last. */
  lastOverrun = 0

  constructor(owner: Task, id: number, clockId: number, clock: TimerClock, notification: Notification) {
    this.id = id
    this.clockId = clockId
    this.clock = clock
    const { timekeeper, timers } = owner.system
    this.timer = new ClockTimer(timers, timekeeper, clock, (expiries) =>
      owner.threadGroup.handlers.mutex.runSoon(() => expire(expiries))
    )
    const expire = (expiries: bigint): void => {
      if (notification._tag === "None" || owner.threadGroup.handlers.ignores(notification.signo)) return
      if (this.#pending) {
        this.#overruns += expiries
        return
      }
      this.#pending = true
      this.#overruns = expiries - 1n
      const { signo, value } = notification
      const info: SigInfo = { _tag: "Timer", signo, code: SI_TIMER, timerId: id, overrun: 0, value }
      if (notification._tag === "Process") sendToGroup(owner.threadGroup, info)
      else {
        const target = owner.system.taskSet.tasks.get(notification.tid)
        if (target?.threadGroup === owner.threadGroup) sendToTask(target, info)
      }
    }
  }

  /** Its signal is taken: the signal with the overruns so far. */
  taken(info: SigInfo & { readonly _tag: "Timer" }): SigInfo {
    this.#pending = false
    this.lastOverrun = Number(this.#overruns < DELAYTIMER_MAX ? this.#overruns : DELAYTIMER_MAX)
    return { ...info, overrun: this.lastOverrun }
  }
}

/** The timers of one process. Atomic: every method. */
export class PosixTimers {
  readonly #timers = new Map<number, PosixTimer>()
  #nextId = 0

  allocateId(): number {
    return this.#nextId++
  }

  add(timer: PosixTimer): void {
    this.#timers.set(timer.id, timer)
  }

  get(id: number): PosixTimer | undefined {
    return this.#timers.get(id)
  }

  /** timer_delete(2). False if there is none. */
  delete(id: number): boolean {
    this.#timers.get(id)?.timer.set(undefined, 0n)
    return this.#timers.delete(id)
  }

  get count(): number {
    return this.#timers.size
  }

  /** execve(2) and exit: none is left. */
  clear(): void {
    for (const id of [...this.#timers.keys()]) this.delete(id)
  }
}
