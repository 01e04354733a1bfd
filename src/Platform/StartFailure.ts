/** Why a platform did not start, as the native side reports it. */
import { PlatformFailed } from "./Platform.ts"
import { stages } from "./Slots.ts"

/** The tracer's `errno` at `stage`: from 1000 on a step of the stub program, from 2000 on a signal that killed it. */
export const startFailure = (platform: string, stub: string, errno: number, stage: number): PlatformFailed => {
  const operation = `${platform} platform: ${stages[stage] ?? "start"}`
  if (errno >= 2000) return new PlatformFailed({ operation, errno: 0, detail: `killed by signal ${errno - 2000}` })
  if (errno >= 1000) {
    return new PlatformFailed({ operation, errno: 0, detail: `native/${stub}.c failed at its step ${errno - 1000}` })
  }
  const detail = `errno ${errno}; \`effect-sentry doctor\` tests what is needed`
  return new PlatformFailed({ operation, errno, detail })
}
