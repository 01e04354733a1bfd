import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { probes } from "../../src/Platform/Doctor.ts"

it.effect.each(probes)("this host passes the probe of $name", (probe) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* probe.run(), { ok: true })
  })
)
