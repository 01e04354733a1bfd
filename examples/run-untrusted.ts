/**
 * Runs code that nobody has looked at, and lives to tell what it did.
 *
 *     node examples/run-untrusted.ts 'import os; print(os.listdir("/"))'
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Sentry from "../src/Sentry/Sentry.ts" // in your own project: "effect-sentry"

const code =
  process.argv[2] ?? 'import os; os.remove("/etc/passwd"); print("removed:", not os.path.exists("/etc/passwd"))'

const program = Effect.gen(function* () {
  const result = yield* Sentry.run({
    command: "/usr/bin/python3",
    args: ["-c", code],
    timeout: "10 seconds",
    maxOutput: 64 * 1024
  })
  yield* Console.log(`exit status ${result.exitCode}, ${result.usage.userMicros} µs of CPU time`)
  yield* Console.log(Sentry.text(result.stdout))
  yield* Console.error(Sentry.text(result.stderr))
}).pipe(
  Effect.catchTag("TimedOut", ({ millis }) => Console.error(`still running after ${millis} ms: killed`)),
  Effect.catchTag("ProgramNotFound", ({ program }) => Console.error(`install ${program} first`))
)

NodeRuntime.runMain(Effect.provide(program, Sentry.layer({ hostname: "untrusted" })))
