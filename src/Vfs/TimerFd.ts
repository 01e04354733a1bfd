/**
 * timerfd_create(2): a timer whose expirations are read as a count.
 *
 * How often it expired follows from the time of the look; a timer runs only to tell waiters of the next expiry.
 */
import { EAGAIN, EFAULT, EINVAL } from "../Abi/Errno.ts"
import { READABLE } from "../Abi/Poll.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { AnonymousFile } from "./AnonymousFile.ts"
import type { Cancel } from "../Time/Timers.ts"
import type { AnonymousFiles } from "./AnonymousFiles.ts"
import type { Stat } from "./Stat.ts"

const TFD_IOC_SET_TICKS = 0x4008_5400

/** A setting: nanoseconds until the next expiry (0: disarmed) and between later ones (0: only one). */
export interface TimerSetting {
  readonly value: bigint
  readonly interval: bigint
}

export class TimerFd extends AnonymousFile {
  readonly #files: AnonymousFiles
  /** CLOCK_* it was made with. */
  readonly clock: number
  /** CLOCK_MONOTONIC of the next expiry that has not been counted; undefined while disarmed. */
  #deadline: bigint | undefined
  #interval = 0n
  /** Expired and not read. */
  #expirations = 0n
  #cancel: Cancel | undefined

  /** `statusFlags`: O_NONBLOCK or 0. */
  constructor(files: AnonymousFiles, stat: Stat, clock: number, statusFlags: number) {
    super("timerfd", stat, statusFlags)
    this.#files = files
    this.clock = clock
  }

  /** TFD_* flags of the last timerfd_settime(2). */
  settingFlags = 0

  override details(): string {
    const { interval, value } = this.setting()
    const time = (nanos: bigint): string => `(${nanos / 1_000_000_000n}, ${nanos % 1_000_000_000n})`
    return (
      `clockid: ${this.clock}\nticks: ${this.#expirations}\nsettime flags: 0${this.settingFlags.toString(8)}\n` +
      `it_value: ${time(value)}\nit_interval: ${time(interval)}\n`
    )
  }

  /** What is left: timerfd_gettime(2). */
  setting(): TimerSetting {
    this.#count()
    const left = this.#deadline === undefined ? 0n : this.#deadline - this.#files.timekeeper.monotonic()
    // Armed and due at this very moment is not disarmed.
    return { value: this.#deadline === undefined ? 0n : left > 0n ? left : 1n, interval: this.#interval }
  }

  /** Arms it for `deadline` (CLOCK_MONOTONIC), or disarms it with undefined; expirations so far are forgotten. */
  set(deadline: bigint | undefined, interval: bigint): void {
    this.#deadline = deadline
    this.#interval = interval
    this.#expirations = 0n
    this.#arm()
  }

  /** Moves expirations up to now from the deadline to the count. */
  #count(): void {
    if (this.#deadline === undefined) return
    const late = this.#files.timekeeper.monotonic() - this.#deadline
    if (late < 0n) return
    if (this.#interval === 0n) {
      this.#expirations += 1n
      this.#deadline = undefined
    } else {
      const periods = late / this.#interval + 1n
      this.#expirations += periods
      this.#deadline += periods * this.#interval
    }
  }

  /** One timer for the next expiry. It is not renewed while expirations are unread: readiness does not change then. */
  #arm(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#deadline === undefined) return
    this.#cancel = this.#files.timers.at(this.#deadline, () => {
      this.#cancel = undefined
      this.#count()
      this.waiters.notify(READABLE)
    })
  }

  override read(into: Uint8Array): number {
    if (into.length < 8) return -EINVAL
    this.#count()
    if (this.#expirations === 0n) return -EAGAIN
    new DataView(into.buffer, into.byteOffset).setBigUint64(0, this.#expirations, true)
    this.#expirations = 0n
    this.#arm()
    return 8
  }

  /** TFD_IOC_SET_TICKS: what the next read gives; never 0. */
  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (request !== TFD_IOC_SET_TICKS) return super.ioctl(request, argument, memory)
    const raw = new Uint8Array(8)
    if (memory.copyIn(argument, raw) < 0) return -EFAULT
    const ticks = new DataView(raw.buffer).getBigUint64(0, true)
    if (ticks === 0n) return -EINVAL
    this.#count()
    this.#expirations = ticks
    this.waiters.notify(READABLE)
    return 0
  }

  override readiness(): number {
    this.#count()
    return this.#expirations > 0n ? READABLE : 0
  }

  protected override onLastClose(): void {
    this.#cancel?.()
  }
}
