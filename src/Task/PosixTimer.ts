/**
 * POSIX timers, timer_create(2): at most one signal of a timer is pending at a time; what expires meanwhile counts as
 * overruns of it. A signal that the process ignores is not sent, but a periodic timer sends it once it is not ignored any
 * more. What was sent before timer_settime(2) or timer_delete(2) is never delivered.
 */
import { SI_TIMER } from "../Abi/Signal.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { ClockTimer, type TimerClock, type TimerState } from "./ClockTimer.ts"
import type { Task } from "./Task.ts"
import { sendTimerSignal } from "./TaskSignals.ts"

/** `sigev_notify`: to whom an expiry is told. */
export type Notification =
  | { readonly _tag: "None" }
  | { readonly _tag: "Process"; readonly signo: number; readonly value: bigint }
  | { readonly _tag: "Thread"; readonly signo: number; readonly value: bigint; readonly tid: number }

type TimerInfo = SigInfo & { readonly _tag: "Timer" }

const DELAYTIMER_MAX = 0x7fff_ffffn

/** Where the signal of an expiry is. */
type SignalState =
  | "None"
  /** Pending, and to be delivered. */
  | "Sent"
  /** Pending, but the timer was set anew since. */
  | "Stale"
  /** Not sent as the process ignores it: is sent when that ends. */
  | "Ignored"

export class PosixTimer {
  readonly id: number
  readonly clockId: number
  /** The clock's own time, for absolute settings. */
  readonly clock: TimerClock
  readonly notification: Notification
  readonly #owner: Task
  readonly #timer: ClockTimer
  /** Guarded by: signal mutex. */
  #signal: SignalState = "None"
  /** Expiries behind the first that its signal tells of. Guarded by: signal mutex. */
  #overruns = 0n
  /** What timer_getoverrun(2) reports: overruns of the signal taken last. */
  lastOverrun = 0

  constructor(owner: Task, id: number, clockId: number, clock: TimerClock, notification: Notification) {
    this.id = id
    this.clockId = clockId
    this.clock = clock
    this.notification = notification
    this.#owner = owner
    const { timekeeper, timers } = owner.system
    this.#timer = new ClockTimer(timers, timekeeper, clock, (expiries) =>
      owner.threadGroup.handlers.mutex.runSoon(() => this.#expire(expiries))
    )
  }

  get state(): TimerState {
    return this.#timer.state
  }

  get isPeriodic(): boolean {
    return this.#timer.state.interval > 0n
  }

  /** timer_settime(2): as ClockTimer's. Guarded by: signal mutex. */
  set(deadline: bigint | undefined, interval: bigint): void {
    this.#timer.set(deadline, interval)
    this.#signal = this.#signal === "None" || this.#signal === "Ignored" ? "None" : "Stale"
    this.lastOverrun = 0
  }

  /** Guarded by: signal mutex. */
  #expire(expiries: bigint): void {
    if (this.notification._tag === "None") return
    this.#overruns = expiries - 1n
    if (this.isPeriodic) this.#timer.hold()
    const wasPending = this.#signal === "Stale"
    this.#signal = "Sent"
    if (!wasPending) this.#send()
  }

  /** Guarded by: signal mutex. */
  #send(): void {
    if (this.notification._tag === "None") return
    const { signo, value } = this.notification
    const info: TimerInfo = { _tag: "Timer", signo, code: SI_TIMER, timerId: this.id, overrun: 0, value }
    const { system, threadGroup } = this.#owner
    const target = this.notification._tag === "Thread" ? system.taskSet.tasks.get(this.notification.tid) : undefined
    if (this.notification._tag === "Thread" && target?.threadGroup !== threadGroup) return // gone, and with it the timer
    if (!sendTimerSignal(threadGroup, target, info)) this.dropped()
  }

  /** Its signal was ignored, or discarded while it was pending. Guarded by: signal mutex. */
  dropped(): void {
    this.#signal = this.#signal === "Sent" && this.isPeriodic ? "Ignored" : "None"
  }

  /** The process does not ignore its signal any more. Guarded by: signal mutex. */
  unignored(): void {
    if (this.#signal !== "Ignored") return
    this.#signal = "Sent"
    this.#send()
  }

  /** Its signal is taken: the signal with the overruns so far; undefined if it is not to be delivered. Guarded by: signal mutex. */
  taken(info: TimerInfo): SigInfo | undefined {
    const isStale = this.#signal !== "Sent"
    this.#signal = "None"
    if (isStale) return undefined
    const overruns = this.isPeriodic ? this.#overruns + this.#timer.resume() : 0n
    this.lastOverrun = Number(overruns < DELAYTIMER_MAX ? overruns : DELAYTIMER_MAX)
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
    this.#timers.get(id)?.set(undefined, 0n)
    return this.#timers.delete(id)
  }

  get count(): number {
    return this.#timers.size
  }

  /** execve(2) and exit: none is left. */
  clear(): void {
    for (const id of [...this.#timers.keys()]) this.delete(id)
  }

  /** Those of `infos` that are timers' were discarded. Guarded by: signal mutex. */
  dropped(infos: ReadonlyArray<SigInfo>): void {
    for (const info of infos) if (info._tag === "Timer") this.#timers.get(info.timerId)?.dropped()
  }

  /** `signo` is not ignored any more. Guarded by: signal mutex. */
  unignored(signo: number): void {
    for (const timer of this.#timers.values()) {
      if (timer.notification._tag !== "None" && timer.notification.signo === signo) timer.unignored()
    }
  }
}
