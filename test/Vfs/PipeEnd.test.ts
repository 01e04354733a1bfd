import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { hostTimekeeper } from "../../src/Time/Timekeeper.ts"
import { Timers } from "../../src/Time/Timers.ts"
import { AnonymousFiles } from "../../src/Vfs/AnonymousFiles.ts"
import { makePipeEnd } from "../../src/Vfs/PipeEnd.ts"

const files = new AnonymousFiles(hostTimekeeper, new Timers(hostTimekeeper))

describe("a pipe end held by the embedding program", () => {
  it.live("waits for the guest, and sees its end", () =>
    Effect.gen(function* () {
      const { guest, end } = makePipeEnd(files, setImmediate, "reads")
      const reading = yield* Effect.forkChild(end.readChunk)
      yield* Effect.sleep(5)
      assert.isUndefined(reading.pollUnsafe())
      guest.write(Buffer.from("hello"))
      assert.strictEqual(Buffer.from((yield* Fiber.join(reading))!).toString(), "hello")
      guest.release()
      assert.isUndefined(yield* end.readChunk)
    })
  )

  it.live("holds the writer back until the guest reads", () =>
    Effect.gen(function* () {
      const { guest, end } = makePipeEnd(files, setImmediate, "writes")
      const writing = yield* Effect.forkChild(end.writeAll(new Uint8Array(200_000)))
      yield* Effect.sleep(5)
      assert.isUndefined(writing.pollUnsafe())
      let total = 0
      while (total < 200_000) {
        const count = guest.read(new Uint8Array(50_000))
        if (count > 0) total += count
        else yield* Effect.sleep(1)
      }
      assert.isTrue(yield* Fiber.join(writing))
    })
  )

  it.live("says that nobody reads any more, also while it waits", () =>
    Effect.gen(function* () {
      const { guest, end } = makePipeEnd(files, setImmediate, "writes")
      const writing = yield* Effect.forkChild(end.writeAll(new Uint8Array(200_000)))
      yield* Effect.sleep(5)
      guest.release()
      assert.isFalse(yield* Fiber.join(writing))
      assert.isFalse(yield* end.writeAll(Uint8Array.of(1)))
      end.close()
      end.close()
    })
  )
})
