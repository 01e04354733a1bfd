/**
 * Requests to the tracer as Effects, for both platforms that have one.
 */
import * as Effect from "effect/Effect"
import { PlatformFailed } from "./Platform.ts"
import type { PumpHandle } from "./Pump.ts"
import type { Block, Tracer } from "./Tracer.ts"

/** Who answers, and who notices. */
export interface TracerHost {
  readonly tracer: Tracer
  readonly pump: PumpHandle
}

export const failed = (operation: string, errno: number): PlatformFailed =>
  new PlatformFailed({ operation, errno, detail: `the host answered errno ${errno}` })

/** A request to the tracer; its result, zero or more, or -errno. Uninterruptible: the block is in use until then. */
export const request = (
  host: TracerHost,
  fill: (block: Block) => void,
  onDone?: (result: number, block: Block) => void
): Effect.Effect<number> =>
  Effect.uninterruptible(
    Effect.callback<number>((resume) => {
      host.tracer.request(fill, (result, block) => {
        onDone?.(result, block)
        resume(Effect.succeed(result))
      })
      host.pump.hold()
    })
  )
