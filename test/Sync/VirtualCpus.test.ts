/**
 * The hand-out of CPU numbers by itself: who gets which, who waits, and who is told to go.
 */
import { assert, describe, it } from "vitest"
import { type CpuUser, FIRST_LOOK, GRACE, SLICE, VirtualCpus } from "../../src/Sync/VirtualCpus.ts"

/** A clock that is moved by hand. */
class Clock {
  time = 1_000_000_000n
  #alarm: { readonly deadline: bigint; readonly run: () => void } | undefined

  readonly now = (): bigint => this.time

  readonly at = (deadline: bigint, run: () => void): (() => void) => {
    assert.isUndefined(this.#alarm, "one alarm at a time")
    const alarm = { deadline, run }
    this.#alarm = alarm
    return () => {
      if (this.#alarm === alarm) this.#alarm = undefined
    }
  }

  get isSet(): boolean {
    return this.#alarm !== undefined
  }

  pass(nanos: bigint): void {
    const end = this.time + nanos
    for (let alarm = this.#alarm; alarm !== undefined && alarm.deadline <= end; alarm = this.#alarm) {
      this.#alarm = undefined
      if (alarm.deadline > this.time) this.time = alarm.deadline
      alarm.run()
    }
    this.time = end
  }
}

class User implements CpuUser {
  cpu = -1
  stay = 0
  disturbed = false
  evictions = 0
  granted = 0
  hasSection = false
  readonly mayUse: (cpu: number) => boolean

  constructor(mayUse: (cpu: number) => boolean = () => true) {
    this.mayUse = mayUse
  }

  readonly onCpu = (): void => {
    this.granted++
  }

  readonly evict = (): void => {
    this.evictions++
  }

  readonly insists = (): boolean => this.hasSection
}

const makeLenient = (count: number, serial = false) => {
  const clock = new Clock()
  return { clock, cpus: new VirtualCpus({ count, serial, now: clock.now, at: clock.at }) }
}

/** Some of whose users count on their CPUs. */
const make = (count: number) => {
  const made = makeLenient(count)
  made.cpus.insist()
  return made
}

const users = (count: number): ReadonlyArray<User> => Array.from({ length: count }, () => new User())

describe("CPUs", () => {
  it("are given to one user each, the lowest first", () => {
    const { cpus } = make(3)
    const [a, b, c, d] = users(4) as [User, User, User, User]
    for (const user of [a, b, c]) assert.isTrue(cpus.take(user))
    assert.deepStrictEqual([a.cpu, b.cpu, c.cpu], [0, 1, 2])
    assert.isFalse(cpus.take(d))
  })

  it("are given again to the one who had them, who is not disturbed if nobody else was there", () => {
    const { cpus } = make(2)
    const [a, b] = users(2) as [User, User]
    cpus.take(a)
    cpus.take(b)
    assert.isTrue(b.disturbed)
    b.disturbed = false
    cpus.leave(a)
    cpus.leave(b)
    assert.isTrue(cpus.take(b))
    assert.strictEqual(b.cpu, 1)
    assert.isFalse(b.disturbed)
  })

  it("disturb whoever comes back after somebody else, or to another one", () => {
    const { cpus } = make(1)
    const [a, b] = users(2) as [User, User]
    cpus.take(a)
    a.disturbed = false
    cpus.leave(a)
    cpus.take(b)
    cpus.leave(b)
    cpus.take(a)
    assert.isTrue(a.disturbed)
  })

  it("are waited for first come first served", () => {
    const { cpus } = make(1)
    const [a, b, c] = users(3) as [User, User, User]
    cpus.take(a)
    cpus.wait(b)
    cpus.wait(c)
    cpus.leave(a)
    assert.deepStrictEqual([b.granted, c.granted], [1, 0])
    assert.isTrue(cpus.isHolder(b))
    assert.isFalse(cpus.take(a), "nobody is passed over")
    cpus.leave(b)
    assert.isTrue(cpus.isHolder(c))
    assert.isFalse(cpus.contested)
  })

  it("that somebody may not use go to the next who may", () => {
    const { cpus } = make(2)
    const [a, b] = users(2) as [User, User]
    const even = new User((cpu) => cpu === 0)
    const odd = new User((cpu) => cpu === 1)
    cpus.take(a)
    cpus.take(b)
    cpus.wait(even)
    cpus.wait(odd)
    cpus.leave(b)
    assert.deepStrictEqual([even.granted, odd.granted], [0, 1])
    assert.strictEqual(odd.cpu, 1)
    cpus.leave(a)
    assert.isTrue(cpus.isHolder(even))
  })

  it("pass over whoever has gone while waiting, even if it had been given one", () => {
    const { cpus } = make(1)
    const [a, b, c] = users(3) as [User, User, User]
    cpus.take(a)
    cpus.wait(b)
    cpus.wait(c)
    cpus.leave(b)
    cpus.leave(a)
    assert.deepStrictEqual([b.granted, c.granted], [0, 1])
    cpus.wait(a)
    cpus.leave(c)
    assert.isTrue(cpus.isHolder(a))
    cpus.leave(a) // killed before it ran
    assert.isTrue(cpus.take(b))
  })

  it("follow a mask that changes", () => {
    const { cpus } = make(2)
    let allowed = 0
    const a = new User((cpu) => cpu === allowed)
    const b = new User((cpu) => cpu === 0)
    cpus.take(a)
    cpus.wait(b)
    allowed = 1
    cpus.reconsider()
    assert.strictEqual(a.evictions, 1)
    cpus.leave(a)
    assert.isTrue(cpus.isHolder(b))
    assert.isTrue(cpus.take(a))
    assert.strictEqual(a.cpu, 1)
  })
})

describe("a clock", () => {
  it("is only set while somebody waits", () => {
    const { clock, cpus } = make(1)
    const [a, b] = users(2) as [User, User]
    cpus.take(a)
    assert.isFalse(clock.isSet)
    cpus.wait(b)
    assert.isTrue(clock.isSet)
    cpus.leave(b)
    assert.isFalse(clock.isSet)
  })

  it("has a user of unknown age leave after a moment, one that was given its CPU after its slice", () => {
    const { clock, cpus } = make(1)
    const [a, b] = users(2) as [User, User]
    cpus.take(a)
    cpus.wait(b)
    clock.pass(GRACE - 1n)
    assert.strictEqual(a.evictions, 0)
    clock.pass(1n)
    assert.strictEqual(a.evictions, 1)
    cpus.leave(a)
    cpus.wait(a)
    clock.pass(SLICE - 1n)
    assert.strictEqual(b.evictions, 0)
    clock.pass(1n)
    assert.strictEqual(b.evictions, 1)
  })

  it("asks no more users to leave than wait", () => {
    const { clock, cpus } = make(2)
    const [a, b, c] = users(3) as [User, User, User]
    cpus.take(a)
    cpus.take(b)
    cpus.wait(c)
    clock.pass(GRACE)
    assert.deepStrictEqual([a.evictions, b.evictions], [1, 0])
    clock.pass(SLICE)
    assert.deepStrictEqual([a.evictions, b.evictions], [1, 0])
    cpus.wait(users(1)[0]!)
    clock.pass(GRACE)
    assert.deepStrictEqual([a.evictions, b.evictions], [1, 1])
  })

  it("gives everybody the same time in the long run", () => {
    const { clock, cpus } = make(2)
    const all = users(5)
    const used = new Map(all.map((user) => [user, 0]))
    for (const user of all) if (!cpus.take(user)) cpus.wait(user)
    for (let ms = 0; ms < 10_000; ms++) {
      clock.pass(1_000_000n)
      for (const user of all) if (cpus.isHolder(user)) used.set(user, used.get(user)! + 1)
      const holders = all.filter(({ evictions }) => evictions > 0).sort((a, b) => a.cpu - b.cpu)
      for (const user of holders) {
        user.evictions = 0
        cpus.leave(user)
        cpus.wait(user)
      }
    }
    for (const time of used.values()) assert.approximately(time, 4000, 10)
  })
})

describe("while nobody counts on its CPU", () => {
  it("who finds none free runs without", () => {
    const { clock, cpus } = makeLenient(1)
    const [a, b] = users(2) as [User, User]
    assert.isTrue(cpus.take(a))
    assert.isTrue(cpus.take(b))
    assert.deepStrictEqual([cpus.isStanding(a), cpus.isStanding(b)], [false, true])
    assert.isFalse(cpus.isHolder(b))
    clock.pass(100n * SLICE)
    assert.deepStrictEqual([a.evictions, b.evictions], [0, 0])
    cpus.leave(b)
    cpus.leave(a)
    assert.isTrue(cpus.take(b))
    assert.isTrue(cpus.isHolder(b))
  })

  it("looks whether that has changed, and then has those wait who run without", () => {
    for (const who of [0, 1]) {
      const { clock, cpus } = makeLenient(1)
      const [a, b] = users(2) as [User, User]
      cpus.take(a)
      cpus.take(b)
      clock.pass(FIRST_LOOK - 1n)
      ;[a, b][who]!.hasSection = true
      assert.strictEqual(b.evictions, 0)
      clock.pass(1n)
      assert.deepStrictEqual([a.evictions, b.evictions], [0, 1])
      cpus.leave(b)
      assert.isFalse(cpus.take(b))
      cpus.wait(b)
      cpus.leave(a)
      assert.isTrue(cpus.isHolder(b))
    }
  })

  it("has others move for whoever may not use what is free", () => {
    const { clock, cpus } = makeLenient(2)
    const [a] = users(1) as [User]
    const even = new User((cpu) => cpu === 0)
    cpus.take(a)
    assert.isFalse(cpus.take(even))
    cpus.wait(even)
    clock.pass(GRACE)
    assert.strictEqual(a.evictions, 1)
    cpus.leave(a)
    assert.isTrue(cpus.take(a))
    assert.deepStrictEqual([even.cpu, a.cpu], [0, 1])
  })

  it("looks no more once nobody runs without", () => {
    const { clock, cpus } = makeLenient(1)
    const [a, b] = users(2) as [User, User]
    cpus.take(a)
    cpus.take(b)
    cpus.leave(b)
    clock.pass(FIRST_LOOK)
    assert.isFalse(clock.isSet)
  })
})

describe("one user at a time", () => {
  it("has a CPU without waiting", () => {
    const { clock, cpus } = makeLenient(2, true)
    const [a, b, c] = users(3) as [User, User, User]
    for (const user of [a, b, c]) assert.isTrue(cpus.take(user))
    assert.deepStrictEqual([a.cpu, b.cpu, c.cpu], [0, 1, 0])
    assert.isFalse(clock.isSet)
    const odd = new User((cpu) => cpu === 1)
    cpus.take(odd)
    assert.strictEqual(odd.cpu, 1)
  })
})
