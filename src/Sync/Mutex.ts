/**
 * A kernel mutex: an Effect semaphore with one permit.
 *
 * Fibers only lose the processor at a suspension point, so a section without one takes the free permit synchronously
 * (`run`); only when another fiber holds it across a suspension does the section become an Effect that waits.
 *
 * Lock order: TaskSet mutex → signal mutex → Task.mu. A section never waits for the guest while it holds a permit.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export class Mutex {
  readonly #semaphore = Semaphore.makeUnsafe(1)
  #held = false

  /** True while some section runs: what a function that needs the lock asserts. */
  get held(): boolean {
    return this.#held
  }

  /**
   * Runs `section`, which must not suspend, under the mutex: at once when it is free, else as an Effect that waits for
   * it. Not reentrant.
   */
  run<A>(section: () => A): A | Effect.Effect<A> {
    if (Effect.runSync(this.#semaphore.takeIfAvailable(1))) {
      try {
        return this.#section(section)
      } finally {
        Effect.runSync(this.#semaphore.release(1))
      }
    }
    return this.#semaphore.withPermit(Effect.sync(() => this.#section(section)))
  }

  /** As `run`, for callers that are effects already. */
  section<A>(section: () => A): Effect.Effect<A> {
    return Effect.suspend(() => {
      const result = this.run(section)
      return Effect.isEffect(result) ? result : Effect.succeed(result)
    })
  }

  /** As `run`, for callers that need no result: a section that finds the mutex held runs as soon as it is free. */
  runSoon(section: () => void): void {
    const result = this.run(section)
    if (Effect.isEffect(result)) Effect.runFork(result)
  }

  /** Runs an effect that may suspend under the mutex. */
  withLock<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#semaphore.withPermit(
      Effect.suspend(() => {
        this.#held = true
        return Effect.ensuring(
          effect,
          Effect.sync(() => {
            this.#held = false
          })
        )
      })
    )
  }

  #section<A>(section: () => A): A {
    this.#held = true
    try {
      return section()
    } finally {
      this.#held = false
    }
  }
}
