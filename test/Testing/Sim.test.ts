/**
 * effect-sentry/testing as its users see it: plans in fast-check's properties, searches, files, claims about runs.
 */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as fc from "fast-check"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import type { Program } from "../../src/Platform/SimulatedProcess.ts"
import * as Sim from "../../src/Testing/Sim.ts"
import { CLI, IS_SANDBOX, REPOSITORY } from "../conformance/Platforms.ts"
import { run } from "../conformance/Run.ts"

let directory = ""
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "sim-"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Two threads add one to a word each; between reading and writing they make a call. */
const lostUpdate: Program = function* (sys) {
  const word = yield* sys.allocate(4)
  const add: Program = function* (sys) {
    const value = yield* sys.load32(word)
    yield* sys.sched_yield()
    yield* sys.store32(word, value + 1)
    return 0
  }
  const threads = [yield* sys.thread(add), yield* sys.thread(add)]
  for (const thread of threads) yield* sys.join(thread)
  return (yield* sys.load32(word)) === 2 ? 0 : 1
}

const decisionsOf = (plan: Sim.Plan): number =>
  plan.schedule._tag === "Decisions" ? plan.schedule.decisions.length : Infinity

describe("Sim.plan", { timeout: 300_000 }, () => {
  it("is a fast-check arbitrary that shrinks to a decision that can't be left out", async () => {
    const details = await fc.check(
      fc.asyncProperty(Sim.plan({ length: 20 }), async (plan) => {
        const { exit } = await Effect.runPromise(Sim.run(lostUpdate, { plan }))
        return exit._tag === "Exited" && exit.code === 0
      }),
      { seed: 1, numRuns: 200 }
    )
    assert.isTrue(details.failed)
    assert.isNotNull(details.counterexample)
    const [plan] = details.counterexample
    assert.isAtMost(decisionsOf(plan), 2)
    assert.isAbove(details.numShrinks, 0)
    assert.match(fc.stringify(plan), /after step \d+ of task \d, task \d runs/)
    const again = await Effect.runPromise(Sim.run(lostUpdate, { plan }))
    assert.deepStrictEqual(again.exit, { _tag: "Exited", code: 1 })
  })

  it("draws faults, which shrink to the one that matters, at its place", async () => {
    const careless: Program = function* (sys) {
      for (const line of ["one ", "two ", "three "]) yield* sys.write(1, line)
      return 0
    }
    const faults: ReadonlyArray<Sim.FaultSpace> = [
      {
        at: { calls: "write", fd: "pipe" },
        upTo: 6,
        kinds: [
          { _tag: "Short", bytes: 1 },
          { _tag: "Delay", millis: 5 }
        ]
      },
      { at: { calls: "getpid" }, kinds: [{ _tag: "Failure", errno: "EPERM" }] }
    ]
    const details = await fc.check(
      fc.asyncProperty(Sim.plan({ schedules: false, faults }), async (plan) => {
        const { stdout } = await Effect.runPromise(Sim.run(careless, { plan }))
        return stdout === "one two three "
      }),
      { seed: 2, numRuns: 200 }
    )
    assert.isTrue(details.failed)
    assert.deepStrictEqual(details.counterexample?.[0].faults, [
      { _tag: "Short", bytes: 1, at: { calls: "write", fd: "pipe", nth: 1 } }
    ])
  })
})

describe("a search", { timeout: 300_000 }, () => {
  const wrong = ({ exit }: Sim.Run): string | undefined =>
    exit._tag === "Exited" && exit.code === 0 ? undefined : "an update is lost"

  it("fails with everything one needs to know, saves the plan, and tries it first the next time", async () => {
    const options = { wrong, directory, name: "lost update", seed: 3 }
    const error = await Effect.runPromise(Effect.flip(Sim.check(lostUpdate, options)))
    assert.strictEqual(error._tag, "Falsified")
    assert.match(
      error.message,
      /^an update is lost\nseed 3, run \d+, made smaller \d+ times\nthe plan:\n {2}after step/
    )
    assert.match(error.message, /sched_yield\(\)/)
    assert.deepStrictEqual(Object.keys(error), ["_tag"]) // what test runners print after the message
    assert.match(error.message, /again: npx effect-sentry replay .*lost-update-[0-9a-f]{8}\.json$/)
    const [file = ""] = readdirSync(directory)
    const saved = JSON.parse(readFileSync(join(directory, file), "utf8"))
    assert.isAtMost(saved.plan.schedule.decisions.length, 2)

    const again = await Effect.runPromise(Sim.search(lostUpdate, { ...options, seed: 4, shrinkRuns: 0 }))
    assert.strictEqual(again.failure?.path, "saved")
    assert.strictEqual(again.runs, 5) // the uneventful run, the saved one, and three to see whether it always fails
    assert.deepStrictEqual(again.failure?.replays, { runs: 3, same: 3 })
  })

  it("says what must always hold and does not, and what never held", async () => {
    const claims = {
      directory: undefined,
      runs: 20,
      always: { "nobody yields": ({ name }: Sim.CallEvent) => name !== "sched_yield" }
    }
    const { failure } = await Effect.runPromise(Sim.search(lostUpdate, claims))
    assert.strictEqual(failure?.reason, "does not always hold: nobody yields")
    const report = await Effect.runPromise(
      Sim.search(lostUpdate, {
        directory: undefined,
        runs: 5,
        sometimes: {
          "somebody yields": ({ name }) => name === "sched_yield",
          "something is opened": ({ name }) => name === "open"
        },
        reachable: { "a thread is made": "clone", "a name is looked up": "%file" }
      })
    )
    assert.deepStrictEqual(report.unseen, ["something is opened", "a name is looked up"])
  })

  it("says of a failure whether it always comes out", async () => {
    let runs = 0
    const moody: Program = function* (sys) {
      yield* sys.getpid()
      return runs++ % 4
    }
    const error = await Effect.runPromise(Effect.flip(Sim.check(moody, { wrong, directory: undefined })))
    assert.strictEqual(error._tag, "Falsified")
    assert.match(error.message, /^an update is lost\n.*\nnot reliable: [012] of 3 replays were the same\nthe plan:/)
  })

  it("of a correct program finds nothing", async () => {
    const program: Program = function* (sys) {
      const word = yield* sys.allocate(4)
      const add: Program = function* (sys) {
        yield* sys.sched_yield()
        yield* sys.fetchAdd32(word, 1)
        return 0
      }
      const threads = [yield* sys.thread(add), yield* sys.thread(add)]
      for (const thread of threads) yield* sys.join(thread)
      return (yield* sys.load32(word)) === 2 ? 0 : 1
    }
    const report = await Effect.runPromise(Sim.check(program, { wrong, directory: undefined, runs: 100 }))
    assert.strictEqual(report.runs, 100)
  })
})

describe("a run", { timeout: 300_000 }, () => {
  it("verifies its own determinism", async () => {
    const plan: Sim.Plan = { ...Sim.uneventful, schedule: { _tag: "Random", seed: 5 } }
    const first = await Effect.runPromise(Sim.verifyDeterminism(lostUpdate, { plan, runs: 20 }))
    const trace = await Effect.runPromise(Stream.runCollect(first.trace))
    assert.deepStrictEqual([...trace], first.lines)
  })

  it("notices a program that is not the same again", async () => {
    let runs = 0
    const program: Program = function* (sys) {
      yield* sys.write(1, `${runs++}`)
      return 0
    }
    const error = await Effect.runPromise(Effect.flip(Sim.verifyDeterminism(program)))
    assert.match(error.message, /differs at line 2/)
  })
})

describe.runIf(IS_SANDBOX)("of real programs", { timeout: 300_000 }, () => {
  it("a run gives output, exit and files", async () => {
    const result = await Effect.runPromise(
      Sim.run(
        {
          command: "sh",
          args: [
            "-c",
            "mkdir -m 750 /srv/out; ln -s file /srv/out/link; tr a-z A-Z > /srv/out/file; echo done; echo no >&2; exit 3"
          ]
        },
        { stdin: "hello\n", keep: ["/srv/out"] }
      )
    )
    assert.deepStrictEqual([result.exit, result.stdout, result.stderr], [{ _tag: "Exited", code: 3 }, "done\n", "no\n"])
    assert.deepStrictEqual(
      [...result.files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]),
      [["/srv/out/file", "HELLO\n"]]
    )
    assert.deepStrictEqual(
      [...result.tree].map(([path, { mode, target }]) => [path, mode.toString(8), target]),
      [
        ["/srv/out", "40750", undefined],
        ["/srv/out/file", "100644", undefined],
        ["/srv/out/link", "120777", "file"]
      ]
    )
  })

  it("starts in the working directory, or at the root that it was given", async () => {
    const here = await Effect.runPromise(Sim.run({ command: "/bin/pwd" }))
    assert.strictEqual(here.stdout, `${process.cwd()}\n`)
    const there = await Effect.runPromise(Sim.run({ command: "/bin/pwd" }, { rootfs: "/" }))
    assert.strictEqual(there.stdout, "/\n")
  })

  it("make the same calls on each platform, under the same plan", async () => {
    const script = "seq 1 50 | sort -rn | head -3; for i in 1 2 3; do (echo $i) & done; wait; cat /none"
    const schedule = { _tag: "Pct", seed: 7, depth: 5, length: 600 } as const
    const runs = []
    for (const platform of ["ptrace", "systrap"] as const) {
      const options = { platform, plan: { ...Sim.uneventful, schedule } }
      const { decisions, lines, stderr, stdout, steps } = await Effect.runPromise(
        Sim.run({ command: "bash", args: ["-c", script] }, options)
      )
      // without addresses, those of each platform
      runs.push({ decisions, lines: lines.map((line) => line.replace(/0x[0-9a-f]+/g, "0x…")), stderr, stdout, steps })
    }
    assert.deepStrictEqual(runs[1], runs[0])
    assert.isNotEmpty(runs[0]!.decisions)
  })

  it("says of a file that is none why it is not", async () => {
    const missing = join(directory, "none.json")
    assert.strictEqual(
      (await Effect.runPromise(Effect.flip(Sim.replay(missing)))).message,
      `${missing}: there is no such file`
    )
    const other = `${REPOSITORY}package.json`
    assert.match((await Effect.runPromise(Effect.flip(Sim.replay(other)))).message, /package.json: no saved run: /)
  })

  it("the command line finds a hang, saves it, and replays it", async () => {
    const cwd = join(directory)
    const program = `${REPOSITORY}test/planted/build/missed_wakeup`
    const found = await run([...CLI, "test", "--seed", "0", "--", program], { cwd, timeout: 120_000 })
    assert.strictEqual(found.status, 1, found.stderr)
    const file = /again: npx effect-sentry replay (.*)\n/.exec(found.stdout)?.[1] ?? ""
    assert.match(found.stdout, /^everybody waits for ever\n/)
    assert.match(found.stdout, /<unfinished \.\.\.>\nagain: /)
    const again = await run([...CLI, "replay", "--strace", file], { cwd, timeout: 60_000 })
    assert.match(again.stderr, /\neverybody waits for ever; saved because: everybody waits for ever\n$/)
    assert.match(again.stderr, /futex\(/)
    assert.strictEqual(again.status, 124)
    // the next search finds it at once: whatever its seed, it tries what is saved first
    const first = await run([...CLI, "test", "--seed", "77", "--", program], { cwd, timeout: 120_000 })
    assert.match(first.stdout, /^everybody waits for ever\nseed 77, run saved, /)
  })

  it("the command line shows how far it is at a terminal, and nothing elsewhere", async () => {
    const words = [...CLI, "test", "--runs", "4", "--", "true"]
    const script = `import pty, sys; sys.exit(pty.spawn(${JSON.stringify(words)}) >> 8)`
    const shown = await run(["/usr/bin/python3", "-c", script], { cwd: directory, timeout: 60_000 })
    assert.strictEqual(shown.status, 0)
    assert.include(shown.stdout, `[${"#".repeat(15)}${" ".repeat(15)}] 2 of 4 runs`)
    assert.isTrue(shown.stdout.endsWith("\r\u001b[Knothing found in 4 runs\r\n"), shown.stdout)
    const quiet = await run(words, { cwd: directory, timeout: 60_000 })
    assert.deepStrictEqual([quiet.stdout, quiet.stderr], ["nothing found in 4 runs\n", ""])
  })

  it("the command line says that a thread span, and the host decided", async () => {
    const program = `${REPOSITORY}test/planted/build/spin`
    const outcome = await run([...CLI, "test", "--runs", "1", "--", program], { cwd: directory, timeout: 120_000 })
    assert.deepStrictEqual([outcome.status, outcome.stderr], [0, ""])
    assert.strictEqual(outcome.stdout, "nothing found in 1 runs, 1 of which depended on the host: a thread span\n")
  })

  it("the command line injects faults, and says what it does not understand", async () => {
    const cwd = join(directory)
    const good = await run([...CLI, "test", "--runs", "5", "--fault", "read:EINTR", "--", "true"], {
      cwd,
      timeout: 60_000
    })
    assert.deepStrictEqual([good.status, good.stdout], [0, "nothing found in 5 runs\n"])
    for (const words of [["test"], ["test", "--fault", "x:y", "true"], ["replay"], ["replay", "/etc/hostname"]]) {
      const bad = await run([...CLI, ...words], { cwd, timeout: 60_000 })
      assert.strictEqual(bad.status, 125)
      assert.match(bad.stderr, /^effect-sentry: .+\n$/)
    }
  })
})
