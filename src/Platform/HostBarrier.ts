/** Memory barriers in every guest thread that runs, by the host's membarrier(2). */
import { bind } from "./Native.ts"

const available = bind<[], number>("int sentry_barrier_available()")
const barrier = bind<[], number>("int sentry_barrier()")

/** How a platform whose stubs have registered makes one; undefined where the host has no such call. */
export const hostBarrier = (): (() => void) | undefined => (available() < 0 ? undefined : () => void barrier())
