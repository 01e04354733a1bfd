import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as Sentry from "../../src/Sentry/Sentry.ts"

const sh = (script: string): Sentry.RunOptions => ({ command: "sh", args: ["-c", script], timeout: "20 seconds" })

const lines = (stream: Stream.Stream<Uint8Array>) => stream.pipe(Stream.decodeText(), Stream.splitLines)

describe("Sentry", { timeout: 30_000 }, () => {
  it.live("runs a program and gives what it wrote and how it ended", () =>
    Effect.gen(function* () {
      const result = yield* Sentry.run({ ...sh("cat; echo oops >&2; exit 3"), stdin: "héllo" })
      assert.strictEqual(Sentry.text(result.stdout), "héllo")
      assert.strictEqual(Sentry.text(result.stderr), "oops\n")
      assert.deepStrictEqual(result.exit, { _tag: "Exited", code: 3 })
      assert.strictEqual(result.exitCode, 3)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("says which signal killed the program", () =>
    Effect.gen(function* () {
      const result = yield* Sentry.run(sh("kill -9 $$"))
      assert.deepStrictEqual(result.exit, { _tag: "Signaled", signal: 9, signalName: "SIGKILL", coreDumped: false })
      assert.strictEqual(result.exitCode, 137)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("passes no more of the environment than it is told to", () =>
    Effect.gen(function* () {
      const result = yield* Sentry.run({ command: "env", env: { A: "b" } })
      assert.deepStrictEqual(
        Sentry.text(result.stdout)
          .trim()
          .split("\n")
          .toSorted()
          .map((line) => line.split("=")[0]),
        ["A", "PATH"]
      )
    }).pipe(Effect.provide(Sentry.layer({ env: { IGNORED: "the command has its own" } })))
  )

  it.live("fails with a type for what cannot be run", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(Sentry.run({ command: "no-such" })))._tag, "ProgramNotFound")
      assert.strictEqual((yield* Effect.flip(Sentry.run({ command: "/etc" })))._tag, "NotExecutable")
      assert.strictEqual((yield* Effect.flip(Sentry.run({ command: "true", cwd: "/no/such" })))._tag, "BadOption")
      assert.strictEqual((yield* Effect.flip(Sentry.run({ command: "true", rootfs: "/no/such" })))._tag, "BadOption")
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("kills what takes too long", () =>
    Effect.gen(function* () {
      const begin = performance.now()
      const error = yield* Effect.flip(Sentry.run({ ...sh("sleep 30 & sleep 30"), timeout: "300 millis" }))
      assert.strictEqual(error._tag, "TimedOut")
      assert.isBelow(performance.now() - begin, 10_000)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("keeps at most maxOutput bytes and lets the program go on", () =>
    Effect.gen(function* () {
      const result = yield* Sentry.run({ ...sh("head -c 300000 /dev/zero; echo done >&2"), maxOutput: 1000 })
      assert.strictEqual(result.stdout.length, 1000)
      assert.isTrue(result.truncated)
      assert.strictEqual(Sentry.text(result.stderr), "done\n")
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("streams both ways while the program runs, and sends it signals", () =>
    Effect.gen(function* () {
      const child = yield* Sentry.spawn(
        sh("trap 'echo caught; exit 7' TERM; read line; echo \"got $line\"; while :; do sleep 0.05; done")
      )
      const heard: Array<string> = []
      const output = yield* Effect.forkChild(
        Stream.runForEach(lines(child.stdout), (line) =>
          Effect.gen(function* () {
            heard.push(line)
            if (line.startsWith("got")) yield* child.kill("SIGTERM")
          })
        )
      )
      yield* Stream.run(Stream.make(Buffer.from("it\n")), child.stdin)
      assert.deepStrictEqual(yield* child.exit, { _tag: "Exited", code: 7 })
      yield* Fiber.join(output)
      assert.deepStrictEqual(heard, ["got it", "caught"])
    }).pipe(Effect.scoped, Effect.provide(Sentry.layer()))
  )

  it.live("runs several sandboxes side by side that do not see each other", () =>
    Effect.gen(function* () {
      const results = yield* Effect.all(
        [1, 2, 3].map((n) => Sentry.run(sh(`echo ${n} > /tmp/same; sleep 0.1; cat /tmp/same; echo $$`))),
        { concurrency: "unbounded" }
      )
      const [first, ...others] = results.map((result) => Sentry.text(result.stdout).split("\n"))
      assert.strictEqual(first![0], "1")
      for (const [i, other] of others.entries()) {
        assert.strictEqual(other[0], String(i + 2))
        assert.strictEqual(other[1], first![1]) // process ids are the sandbox's own
      }
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("ends the program when its scope closes or the caller is interrupted", () =>
    Effect.gen(function* () {
      const child = yield* Effect.scoped(Sentry.spawn(sh("sleep 1000")))
      assert.isAbove(child.pid, 0)
      const fiber = yield* Effect.forkChild(Sentry.run({ command: "sleep", args: ["1000"] }))
      yield* Effect.sleep("300 millis")
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("prints system calls and reports those that are not implemented", () =>
    Effect.gen(function* () {
      let trace = ""
      yield* Sentry.run({ command: "true", strace: { write: (text) => (trace += text), filter: "exit_group" } })
      assert.match(trace, /exit_group\(0\) += \?/)
    }).pipe(Effect.provide(Sentry.layer()))
  )

  it.live("reports what the guest's own seccomp filters do, where Linux would log it", () =>
    Effect.gen(function* () {
      const actions = new Map<string, number>()
      const result = yield* Sentry.run({
        command: fileURLToPath(new URL("../guest/build/seccomp_actions", import.meta.url)),
        timeout: "25 seconds",
        onEvent: (event) => {
          if (event._tag === "SeccompAction") actions.set(event.action, (actions.get(event.action) ?? 0) + 1)
        }
      })
      assert.strictEqual(result.exitCode, 0)
      // the others are logged only for filters that ask for it
      assert.deepStrictEqual([...actions.keys()].toSorted(), ["kill_process", "kill_thread", "log"])
    }).pipe(Effect.provide(Sentry.layer()))
  )
})
