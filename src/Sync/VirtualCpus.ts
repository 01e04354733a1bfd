/**
 * Hands out CPU numbers to threads: no two have the same one at once. A number is kept only while its owner may run
 * application code, so with no more such threads than CPUs everybody has one, and comes back to the one it had.
 *
 * Who finds none free *stands*: it runs without. Once any of them shows that it counts on its number, that ends, and
 * those who find none wait, first come first served, while whoever has had its time is asked to give its number up.
 */

/** A thread that wants CPU numbers. */
export interface CpuUser {
  /** The CPU that it occupies, or had last; -1: none yet. Owner: VirtualCpus. */
  cpu: number
  /** Counts the stays on a CPU: it is the one that the CPU remembers as long as nobody else was there. Owner: VirtualCpus. */
  stay: number
  /** Somebody else may have been on its CPU. Set by VirtualCpus, cleared by whoever has done something about that. */
  disturbed: boolean
  /** Whether it may have this CPU. */
  readonly mayUse: (cpu: number) => boolean
  /** It has got the CPU that it waited for. Schedules, never runs other people's code. */
  readonly onCpu: () => void
  /** It is to `leave`, soon. Schedules as well. */
  readonly evict: () => void
  /** Whether it shows that it counts on having its CPU alone. */
  readonly insists: () => boolean
}

/** How long a user has its CPU at least while others wait; and how long somebody waits before one of unknown age is evicted. */
export const SLICE = 5_000_000n
export const GRACE = 1_000_000n
/** How often to look whether anybody insists on its CPU, at first and at last, while somebody stands. */
export const FIRST_LOOK = 2_000_000n
const LAST_LOOK = 64_000_000n

export interface VirtualCpusOptions {
  /** How many CPUs there are. */
  readonly count: number
  /** Only one user runs at a time, whoever has which CPU: all may have one at once, and nobody waits. */
  readonly serial: boolean
  /** Nanoseconds. */
  readonly now: () => bigint
  /** Calls `run` at `deadline`; returns how to take that back. */
  readonly at: (deadline: bigint, run: () => void) => () => void
}

interface Seat {
  holder: CpuUser | undefined
  /** The last stay here. */
  stay: number
  /** When the holder was given it; undefined: while nobody waited, so nobody looked at the clock. */
  since: bigint | undefined
  /** The holder has been told to go. */
  isLeaving: boolean
}

interface Waiting {
  readonly user: CpuUser
  readonly since: bigint
}

/** Atomic: every method. */
export class VirtualCpus {
  readonly #options: VirtualCpusOptions
  readonly #seats: ReadonlyArray<Seat>
  /** Those who run without a CPU. */
  readonly #standing = new Set<CpuUser>()
  /** Nobody stands any more. */
  #isStrict = false
  #interval = FIRST_LOOK
  /** In order of arrival. */
  readonly #waiting: Array<Waiting> = []
  /** How many holders have been told to go. */
  #leaving = 0
  #stays = 0
  #served = 0
  #cancelTimer: (() => void) | undefined

  constructor(options: VirtualCpusOptions) {
    this.#options = options
    this.#seats = Array.from({ length: options.count }, () => ({
      holder: undefined,
      stay: 0,
      since: undefined,
      isLeaving: false
    }))
  }

  /** Whether somebody waits. */
  get contested(): boolean {
    return this.#waiting.length > 0
  }

  /** Whether `user` has the CPU that it names. */
  isHolder(user: CpuUser): boolean {
    return this.#seats[user.cpu]?.holder === user
  }

  /** Whether `user` runs without a CPU. */
  isStanding(user: CpuUser): boolean {
    return this.#standing.has(user)
  }

  /** Lets `user` run, if it may: on the CPU that it had if possible, else another free one, else maybe without. */
  take(user: CpuUser): boolean {
    if (this.#options.serial) return this.#takeAny(user)
    const cpu = this.#freeFor(user)
    if (cpu >= 0) this.#occupy(user, cpu, undefined)
    else {
      if (this.#couldMakeRoom(user)) this.insist()
      if (this.#isStrict) return false
      this.#standing.add(user)
      if (this.#cancelTimer === undefined) this.#arm() // not put off by those who come and go
    }
    return true
  }

  /** Somebody counts on its CPU: from now on nobody runs without one. */
  insist(): void {
    if (this.#isStrict) return
    this.#isStrict = true
    this.#arm()
    for (const user of this.#standing) user.evict()
  }

  /** Queues `user` for a CPU, until `onCpu` or `leave`. */
  wait(user: CpuUser): void {
    this.#waiting.push({ user, since: this.#options.now() })
    this.#arm()
  }

  /** `user` runs no more, or waits for a CPU no longer. Harmless if it does neither. */
  leave(user: CpuUser): void {
    if (this.#standing.delete(user)) return
    const at = this.#waiting.findIndex((waiting) => waiting.user === user)
    if (at >= 0) {
      this.#waiting.splice(at, 1)
      this.#arm()
    } else if (this.isHolder(user)) {
      this.#vacate(this.#seats[user.cpu]!)
      if (this.contested) this.#handOut()
    }
  }

  /** What users may use has changed. */
  reconsider(): void {
    for (const { holder } of this.#seats) if (holder?.mayUse(holder.cpu) === false) holder.evict()
    if (this.contested) this.#handOut()
  }

  /** Where others wait for nobody, each has a CPU, and keeps it while it may. */
  #takeAny(user: CpuUser): true {
    if (user.cpu >= 0 && user.mayUse(user.cpu)) return true
    const allowed = [...this.#seats.keys()].filter((cpu) => user.mayUse(cpu))
    user.cpu = allowed[this.#served++ % allowed.length] ?? 0
    user.disturbed = true
    return true
  }

  /** Whether `user` would have a CPU if somebody moved to one that is free: it must wait until that has happened. */
  #couldMakeRoom(user: CpuUser): boolean {
    const free = [...this.#seats.keys()].filter((cpu) => this.#seats[cpu]!.holder === undefined)
    return (
      free.length > 0 && this.#seats.some(({ holder }, cpu) => holder && user.mayUse(cpu) && free.some(holder.mayUse))
    )
  }

  #freeFor(user: CpuUser): number {
    if (this.#seats[user.cpu]?.holder === undefined && user.cpu >= 0 && user.mayUse(user.cpu)) return user.cpu
    return this.#seats.findIndex(({ holder }, cpu) => holder === undefined && user.mayUse(cpu))
  }

  #occupy(user: CpuUser, cpu: number, since: bigint | undefined): void {
    const seat = this.#seats[cpu]!
    seat.holder = user
    seat.since = since
    user.cpu = cpu
    if (seat.stay === user.stay && user.stay !== 0) return
    seat.stay = user.stay = ++this.#stays
    user.disturbed = true
  }

  #vacate(seat: Seat): void {
    seat.holder = undefined
    if (!seat.isLeaving) return
    seat.isLeaving = false
    this.#leaving--
  }

  /** Gives free CPUs to those who wait. */
  #handOut(): void {
    const now = this.#options.now()
    for (let at = 0; at < this.#waiting.length;) {
      const { user } = this.#waiting[at]!
      const cpu = this.#freeFor(user)
      if (cpu < 0) at++
      else {
        this.#waiting.splice(at, 1)
        this.#occupy(user, cpu, now)
        user.onCpu()
      }
    }
    this.#arm()
  }

  /** When the holder of a CPU is to make room for somebody who waits; undefined: for nobody. */
  #dueAt({ holder, isLeaving, since }: Seat, cpu: number): bigint | undefined {
    if (holder === undefined || isLeaving) return undefined
    const first = this.#waiting.find(({ user }) => user.mayUse(cpu))
    if (first === undefined) return undefined
    const graceEnds = first.since + GRACE
    const sliceEnds = (since ?? first.since - SLICE) + SLICE
    return sliceEnds > graceEnds ? sliceEnds : graceEnds
  }

  /** The CPU whose holder is due first, if more wait than have been told to go; and when that is. */
  #nextDue(): { readonly seat: Seat; readonly due: bigint } | undefined {
    if (this.#waiting.length <= this.#leaving) return undefined
    let next: { readonly seat: Seat; readonly due: bigint } | undefined
    this.#seats.forEach((seat, cpu) => {
      const due = this.#dueAt(seat, cpu)
      if (due !== undefined && (next === undefined || due < next.due)) next = { seat, due }
    })
    return next
  }

  /** Has the clock call when there is something to be done: the first holder is due, say. */
  #arm(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    if (!this.#isStrict) {
      if (this.#standing.size > 0)
        this.#cancelTimer = this.#options.at(this.#options.now() + this.#interval, this.#look)
      return
    }
    const next = this.#nextDue()
    if (next !== undefined) this.#cancelTimer = this.#options.at(next.due, this.#onTime)
  }

  /** Somebody stands, or did: does anybody mind? */
  readonly #look = (): void => {
    this.#cancelTimer = undefined
    for (const user of this.#standing) if (user.insists()) return this.insist()
    for (const { holder } of this.#seats) if (holder?.insists() === true) return this.insist()
    if (this.#interval < LAST_LOOK) this.#interval *= 2n
    this.#arm()
  }

  readonly #onTime = (): void => {
    this.#cancelTimer = undefined
    const now = this.#options.now()
    for (let next = this.#nextDue(); next !== undefined && next.due <= now; next = this.#nextDue()) {
      next.seat.isLeaving = true
      this.#leaving++
      next.seat.holder?.evict()
    }
    this.#arm()
  }
}
