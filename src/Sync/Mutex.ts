/**
 * A kernel mutex: an Effect semaphore with one permit.
 *
 * Fibers only lose the processor at a suspension point, so a section without one that finds the mutex free has it to
 * itself without taking the permit (`run`); only when another fiber holds it across a suspension does the section become
 * an Effect that waits for the semaphore.
 *
 * Lock order: TaskSet mutex → signal mutex → Task.mu. A section never waits for the guest while it holds a permit.
 *
 * A field "guarded by" a mutex is written under it only. A read elsewhere sees some value that was true a moment ago: good
 * for a hint that is looked at again under the mutex, or for what never changes once set.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

export class Mutex {
  readonly #semaphore = Semaphore.makeUnsafe(1)
  #held = false
  /** Sections that came while it was held: the holder runs them before it lets go. */
  readonly #soon: Array<() => void> = []

  /** True while some section runs: what a function that needs the lock asserts. */
  get held(): boolean {
    return this.#held
  }

  /**
   * Runs `section`, which must not suspend, under the mutex: at once when it is free, else as an Effect that waits for
   * it. Not reentrant.
   */
  run<A>(section: () => A): A | Effect.Effect<A> {
    if (!this.#held) return this.#section(section)
    return this.#semaphore.withPermit(Effect.sync(() => this.#section(section)))
  }

  /** As `run`, for callers that are effects already. */
  section<A>(section: () => A): Effect.Effect<A> {
    return Effect.suspend(() => {
      const result = this.run(section)
      return Effect.isEffect(result) ? result : Effect.succeed(result)
    })
  }

  /**
   * As `run`, for callers that need no result: a section that finds the mutex held runs just before it becomes free. Also
   * for a caller that is in a section of this very mutex.
   */
  runSoon(section: () => void): void {
    if (this.#held) {
      this.#soon.push(section)
      return
    }
    const result = this.run(section)
    if (Effect.isEffect(result)) Effect.runFork(result)
  }

  /**
   * As `run`, and says so if the mutex is not free: undefined, with `onFree` called once it is. For those who can neither
   * wait nor do without a result: operations on files.
   */
  tryRun<A>(section: () => A, onFree: () => void): A | undefined {
    if (this.#held) {
      this.#soon.push(onFree)
      return undefined
    }
    const result = this.run(section)
    if (!Effect.isEffect(result)) return result
    Effect.runFork(this.section(onFree))
    return undefined
  }

  /** As `run`, under several mutexes, which are given in lock order. */
  static runAll<A>(mutexes: Iterable<Mutex>, section: () => A): A | Effect.Effect<A> {
    const distinct = [...new Set(mutexes)]
    if (distinct.every((mutex) => !mutex.#held)) {
      return distinct.reduceRight((inner, mutex) => () => mutex.#section(inner), section)()
    }
    return distinct.reduceRight((inner, mutex) => mutex.withLock(inner), Effect.sync(section))
  }

  /** As `runAll`, for callers that are effects already. */
  static sectionAll<A>(mutexes: Iterable<Mutex>, section: () => A): Effect.Effect<A> {
    return Effect.suspend(() => {
      const result = Mutex.runAll(mutexes, section)
      return Effect.isEffect(result) ? result : Effect.succeed(result)
    })
  }

  /** Runs an effect that may suspend under the mutex. */
  withLock<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#semaphore.withPermit(
      Effect.suspend(() => {
        this.#held = true
        return Effect.ensuring(
          effect,
          Effect.sync(() => this.#letGo())
        )
      })
    )
  }

  #section<A>(section: () => A): A {
    this.#held = true
    try {
      return section()
    } finally {
      this.#letGo()
    }
  }

  #letGo(): void {
    try {
      for (let next = this.#soon.shift(); next !== undefined; next = this.#soon.shift()) next()
    } finally {
      this.#held = false
    }
  }
}
