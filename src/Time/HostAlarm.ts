/**
 * An alarm on the host's CLOCK_MONOTONIC, exact to some tens of µs (native/alarm.c): Node's own timers count whole
 * milliseconds.
 *
 * Its thread starts when it is first set. It keeps the process alive while somebody waits for it.
 */
import { Socket } from "node:net"
import { bind } from "../Platform/Native.ts"

/** A pointer of the native side's, opaque here. */
type Handle = number | bigint

const native = {
  start: bind<[announced: Int32Array], Handle>("int64_t sentry_alarm_start(_Out_ int *announced)"),
  set: bind<[handle: Handle, deadline: bigint], void>("void sentry_alarm_set(int64_t handle, int64_t deadline)"),
  stop: bind<[handle: Handle], void>("void sentry_alarm_stop(int64_t handle)")
}

/** The largest time the host takes, nanoseconds: 292 years. */
const LAST = 2n ** 63n - 1n

export class HostAlarm {
  readonly #onRing: () => void
  #handle: Handle | undefined
  #announcements: Socket | undefined
  /** For when it rings; undefined: it has rung, or was never set. */
  #setFor: bigint | undefined
  /** In place of all that, where the host has no thread or descriptor left. */
  #timeout: NodeJS.Timeout | undefined

  /** `onRing` may also be called early, or for an alarm that nobody wants any more. */
  constructor(onRing: () => void) {
    this.#onRing = onRing
  }

  /** Rings at `deadline`, nanoseconds, and maybe also before; undefined: nobody waits for it. */
  set(deadline: bigint | undefined): void {
    if (deadline === undefined) {
      // it may ring for nobody: that is cheaper than to tell the host each time somebody gives up waiting
      this.#announcements?.unref()
      clearTimeout(this.#timeout)
      return
    }
    if (!this.#start()) {
      clearTimeout(this.#timeout)
      const delay = Number(deadline - process.hrtime.bigint()) / 1e6
      this.#timeout = setTimeout(this.#onRing, Math.min(Math.max(0, delay), 2 ** 31 - 1))
      return
    }
    this.#announcements!.ref()
    if (this.#setFor !== undefined && this.#setFor <= deadline) return // looks again then
    this.#setFor = deadline
    native.set(this.#handle!, deadline > LAST ? LAST : deadline)
  }

  /** Ends the thread; it never rings again. */
  close(): void {
    clearTimeout(this.#timeout)
    if (this.#handle === undefined) return
    native.stop(this.#handle)
    this.#announcements!.destroy()
    this.#handle = undefined
  }

  /** Whether the thread runs. */
  #start(): boolean {
    if (this.#handle !== undefined) return true
    const announced = new Int32Array(1)
    const handle = native.start(announced)
    if (handle < 0) return false
    this.#handle = handle
    this.#announcements = new Socket({
      fd: announced[0]!,
      readable: true,
      writable: false,
      onread: { buffer: Buffer.alloc(64), callback: () => this.#onByte() }
    })
    this.#announcements.on("error", () => undefined) // the pipe can't fail while its other end is ours
    return true
  }

  #onByte(): boolean {
    this.#setFor = undefined
    this.#onRing()
    return true
  }
}
