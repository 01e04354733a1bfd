/** A process with a platform, for tests of how it ends: "computing" runs a guest that never stops, "idle" none. */
import * as Effect from "effect/Effect"
import { layer } from "../../src/Platform/PtracePlatform.ts"
import { asm, bytes, guest, run } from "./Guest.ts"

const program = Effect.gen(function* () {
  const context = yield* guest(bytes(asm.jmpSelf))
  const copy = yield* context.clone("copy")
  if (process.argv[2] === "computing") {
    yield* Effect.forkChild(run(copy), { startImmediately: true })
  }
  yield* Effect.sync(() => process.stdout.write("ready\n"))
  yield* Effect.never
})

Effect.runFork(program.pipe(Effect.scoped, Effect.provide(layer)))
