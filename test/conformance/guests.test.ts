/** Every program of test/guest says the same in the sandbox as on the host. */
import { readdirSync } from "node:fs"
import { describe, test } from "vitest"
import { expectSame } from "./Compare.ts"
import { DUMPS_CORE, NIGHTLY, PLATFORMS, REPOSITORY } from "./Platforms.ts"

const DIRECTORY = `${REPOSITORY}test/guest/`

const guests = readdirSync(DIRECTORY)
  .filter((name) => name.endsWith(".c"))
  .map((name) => name.slice(0, -2))
  .sort()

/** Guests about core files are named so. */
const isComparable = (guest: string): boolean => DUMPS_CORE || !guest.startsWith("core_")

const turns = new Map<string, Promise<unknown>>()

/** One run of a guest after the other: two at once would see each other's locks and processes on the host. */
const inTurn = (guest: string, run: () => Promise<void>): Promise<void> => {
  const mine = (turns.get(guest) ?? Promise.resolve()).then(run)
  turns.set(
    guest,
    mine.catch(() => undefined)
  )
  return mine
}

for (const platform of PLATFORMS) {
  describe.concurrent(`guest programs on ${platform.name}`, () => {
    for (const guest of guests) {
      test.skipIf(!isComparable(guest))(guest, { repeats: NIGHTLY ? 19 : 0, timeout: NIGHTLY ? 600_000 : 60_000 }, () =>
        inTurn(guest, () => expectSame(platform, [`${DIRECTORY}build/${guest}`]))
      )
    }
  })
}
