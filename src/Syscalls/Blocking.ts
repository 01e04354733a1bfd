/**
 * The one place where operations on files wait.
 *
 * An operation is first simply tried; only one that would block, on a file without O_NONBLOCK, becomes an Effect: it
 * registers with every wait queue concerned, tries again (so that no wake-up between the two tries is lost), and sleeps
 * until a try after a wake-up succeeds. A signal ends the wait, but only after one last try: a completed operation wins.
 *
 * The files are retained while the Effect runs, and not before: one that is never run, as its task was killed first,
 * holds nothing.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, EBADF, EINTR, ERESTARTSYS } from "../Abi/Errno.ts"
import { O_NONBLOCK, O_PATH } from "../Abi/OpenFlags.ts"
import { invariant } from "../Sync/Invariant.ts"
import type { Waiter, WaitQueue } from "../Sync/WaitQueue.ts"
import type { Subscribe } from "../Task/Sleep.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"

/** The description behind `fd` for an operation on the file itself: undefined (EBADF) also for one opened O_PATH. */
export const fileOf = (task: Task, fd: number): OpenFileDescription | undefined => {
  const file = task.fds.get(fd)
  return file === undefined || (file.statusFlags & O_PATH) !== 0 ? undefined : file
}

export const isNonBlocking = (file: OpenFileDescription): boolean => (file.statusFlags & O_NONBLOCK) !== 0

/**
 * Runs `operation`, which then waits for nothing, as if `file` had the status flags `set` and lacked `clear`: O_NONBLOCK
 * is among the former, or the file never makes anybody wait.
 */
export const withStatusFlags = (
  file: OpenFileDescription,
  set: number,
  clear: number,
  operation: () => Result
): number => {
  const before = file.statusFlags
  file.statusFlags = (before & ~clear) | set
  const result = operation()
  file.statusFlags = before
  invariant(typeof result === "number", "an operation that must not wait does")
  return result
}

/** A wait queue and the poll(2) bits that matter. */
export interface Source {
  readonly queue: WaitQueue
  readonly events: number
}

/** How a wait ends that does not end in success. */
export interface WaitOptions {
  /** The result when a signal arrived; the default is -ERESTARTSYS. */
  readonly interrupted?: () => number
  /** CLOCK_MONOTONIC nanoseconds, and the result when it passes. */
  readonly deadline?: bigint | undefined
  readonly expired?: () => number
  /** Run once at the start, and at the end, however the wait ends. */
  readonly begin?: () => undefined
  readonly finally?: () => void
}

/** Waiting at most `timeout` nanoseconds: afterwards EAGAIN; and then a signal gives EINTR, never a restart. socket(7). */
export const withTimeout = (task: Task, timeout: bigint | undefined): WaitOptions =>
  timeout === undefined
    ? {}
    : { deadline: task.system.timekeeper.monotonic() + timeout, interrupted: () => -EINTR, expired: () => -EAGAIN }

const subscribeTo =
  (sources: ReadonlyArray<Source>): Subscribe =>
  (wake) => {
    const waiters = sources.map(({ queue, events }) => {
      const waiter: Waiter = { events, wake }
      queue.add(waiter)
      return waiter
    })
    return () => {
      for (const [index, { queue }] of sources.entries()) queue.remove(waiters[index]!)
    }
  }

const lookFor =
  (attempt: () => number, { expired, interrupted }: WaitOptions) =>
  (end: "Expired" | "Signaled" | undefined): number | undefined => {
    const result = attempt()
    if (result !== -EAGAIN) return result
    if (end === undefined) return undefined
    if (end === "Signaled") return interrupted === undefined ? -ERESTARTSYS : interrupted()
    return expired === undefined ? -EAGAIN : expired()
  }

/** Whether all of `files` are open still, and stay so until `release`; or none is kept. */
const retain = (files: ReadonlyArray<OpenFileDescription>): boolean => {
  const closed = files.findIndex((file) => !file.tryRetain())
  if (closed >= 0) release(files.slice(0, closed))
  return closed < 0
}

const release = (files: ReadonlyArray<OpenFileDescription>): void => {
  for (const file of files) file.release()
}

/**
 * Waits until `attempt` returns anything but -EAGAIN, trying whenever one of `sources` wakes; keeps `files` open
 * meanwhile. -EBADF if one was closed for good between the call's first try and now, as if that had come before the call. Blocks.
 */
export const waitHolding = (
  task: Task,
  files: ReadonlyArray<OpenFileDescription>,
  sources: ReadonlyArray<Source>,
  attempt: () => number,
  options: WaitOptions = {}
): Effect.Effect<number> =>
  task.sleep({
    begin: () => (retain(files) ? options.begin?.() : -EBADF),
    subscribe: subscribeTo(sources),
    look: lookFor(attempt, options),
    deadline: options.deadline,
    finally: () => {
      options.finally?.()
      release(files)
    }
  })

/** The same for what is no file. */
export const waitUntil = (
  task: Task,
  sources: ReadonlyArray<Source>,
  attempt: () => number,
  options: WaitOptions = {}
): Effect.Effect<number> => waitHolding(task, [], sources, attempt, options)

/** Waits on `file` until `attempt` returns anything but -EAGAIN; keeps it open meanwhile. Blocks. */
export const waitForFile = (
  task: Task,
  file: OpenFileDescription,
  events: number,
  attempt: () => number,
  options: WaitOptions = {}
): Effect.Effect<number> => waitHolding(task, [file], [{ queue: file.facing(task).waiters, events }], attempt, options)

/** Keeps `files` open while `wait` runs, which does more than wait; -EBADF as `waitHolding`. */
export const holding = (
  files: ReadonlyArray<OpenFileDescription>,
  wait: Effect.Effect<number>
): Effect.Effect<number> =>
  Effect.suspend(() => {
    if (!retain(files)) return Effect.succeed(-EBADF)
    return Effect.ensuring(
      wait,
      Effect.sync(() => release(files))
    )
  })

/**
 * Tries `attempt`; where that says -EAGAIN and the file blocks, waits for `events` and tries again. An interrupted wait
 * is -ERESTARTSYS unless `options` say otherwise.
 */
export const attemptOrWait = (
  task: Task,
  file: OpenFileDescription,
  events: number,
  attempt: () => number,
  options?: WaitOptions
): Result => {
  const result = attempt()
  if (result !== -EAGAIN || isNonBlocking(file)) return result
  return waitForFile(task, file, events, attempt, options)
}
