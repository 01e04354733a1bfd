/**
 * Tells when descriptors of the host become ready: one native thread per sandbox that sleeps in epoll(7).
 *
 * The thread starts at the first watch. The process stays alive while something is watched, and is not kept alive
 * otherwise.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Socket } from "node:net"
import { bind } from "../Platform/Native.ts"

/** A pointer of the native side's, opaque here. */
type Handle = number | bigint

const native = {
  start: bind<[Int32Array], Handle>("int64_t sentry_poller_start(int *announced)"),
  stop: bind<[Handle], void>("void sentry_poller_stop(int64_t handle)"),
  watch: bind<[Handle, number, number], number>("int sentry_poller_watch(int64_t handle, int fd, uint32_t id)"),
  unwatch: bind<[Handle, number], number>("int sentry_poller_unwatch(int64_t handle, int fd)"),
  take: bind<[Handle, number], number>("uint32_t sentry_poller_take(int64_t handle, uint32_t id)")
}

/** Events that come once the thread has seen them: poll(2) bits. */
type Listener = (events: number) => void

/** The running thread and the pipe it announces on. */
interface Running {
  readonly handle: Handle
  readonly announcements: Socket
}

export class HostReadiness {
  #running: Running | undefined
  #closed = false
  /** Registrations by number; a hole is free. */
  readonly #listeners: Array<Listener | undefined> = []
  #watched = 0

  /** One for a scope: its thread ends with it. */
  static readonly make: Effect.Effect<HostReadiness, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => new HostReadiness()),
    (readiness) => Effect.sync(() => readiness.close())
  )

  /**
   * Calls `listener` at every change of readiness of `fd`, and soon for what is ready now. Returns how to stop that, or
   * -errno: -EPERM for what is always ready. The descriptor must stay open until then.
   */
  watch(fd: number, listener: Listener): (() => void) | number {
    const running = this.#start()
    if (typeof running === "number") return running
    let id = this.#listeners.indexOf(undefined)
    if (id < 0) id = this.#listeners.length
    native.take(running.handle, id) // what its last owner left
    const error = native.watch(running.handle, fd, id)
    if (error < 0) return error
    this.#listeners[id] = listener
    this.#watched++
    running.announcements.ref()
    let active = true
    return () => {
      if (!active || this.#closed) return
      active = false
      native.unwatch(running.handle, fd)
      this.#listeners[id] = undefined
      this.#watched--
      if (this.#watched === 0) running.announcements.unref()
    }
  }

  /** Ends the thread; nothing is announced any more. Idempotent. */
  close(): void {
    this.#closed = true
    if (this.#running === undefined) return
    native.stop(this.#running.handle)
    this.#running.announcements.destroy()
    this.#running = undefined
    this.#listeners.length = 0
  }

  #start(): Running | number {
    if (this.#running !== undefined) return this.#running
    const announced = new Int32Array(1)
    const handle = native.start(announced)
    if (handle < 0) return Number(handle)
    const announcements = new Socket({ fd: announced[0]!, readable: true, writable: false })
    announcements.on("data", (numbers: Buffer) => {
      for (let at = 0; at + 4 <= numbers.length; at += 4) this.#announce(numbers.readUInt32LE(at))
    })
    announcements.unref()
    this.#running = { handle, announcements }
    return this.#running
  }

  #announce(id: number): void {
    if (this.#running === undefined) return
    const events = native.take(this.#running.handle, id)
    if (events !== 0) this.#listeners[id]?.(events)
  }
}
