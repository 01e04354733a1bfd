/**
 * What the host may refuse at any time, as the guest sees it: a guest that asks for more processes, threads or memory
 * than the host has gets an errno, and the sandbox lives on.
 */
import * as Effect from "effect/Effect"
import { EAGAIN, ENOMEM } from "../Abi/Errno.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"

/** Turns a refusal of a process or thread into the errors that clone(2) has for it: -ENOMEM or -EAGAIN. */
export const orRefused = <A>(made: Effect.Effect<A, PlatformFailed>): Effect.Effect<A | number> =>
  Effect.catchTag(made, "PlatformFailed", (error) => Effect.succeed(error.errno === ENOMEM ? -ENOMEM : -EAGAIN))
