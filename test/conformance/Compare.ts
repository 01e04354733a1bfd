/**
 * The oracle: a command runs natively and in the sandbox, in equal surroundings, and must say the same.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { expect } from "vitest"
import type { Platform } from "./Platforms.ts"
import { ENVIRONMENT, run, type Outcome, type RunOptions } from "./Run.ts"

const visible = (outcome: Outcome) => ({
  stdout: outcome.stdout.split("\n"),
  stderr: outcome.stderr.split("\n"),
  status: outcome.status,
  timedOut: outcome.timedOut
})

/** Runs `body` with a fresh directory that does not outlive it. */
export const withScratch = async <A>(body: (directory: string) => Promise<A>): Promise<A> => {
  const directory = mkdtempSync("/tmp/conformance-")
  try {
    return await body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Runs `command` in `directory`, made for it and removed afterwards. */
const runIn = async (directory: string, command: ReadonlyArray<string>, options: RunOptions): Promise<Outcome> => {
  mkdirSync(directory, { mode: 0o700 })
  try {
    const env = { ...ENVIRONMENT, ...options.env, HOME: directory }
    return await run(command, { cwd: directory, ...options, env })
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/**
 * Runs `command` natively and then on `platform`. Both see the same empty directory under the same name: what the
 * native run leaves behind is removed before the second.
 */
export const runBoth = (
  platform: Platform,
  command: ReadonlyArray<string>,
  options: RunOptions = {}
): Promise<{ readonly native: Outcome; readonly sandboxed: Outcome }> =>
  withScratch(async (scratch) => ({
    native: await runIn(`${scratch}/run`, command, options),
    sandboxed: await runIn(`${scratch}/run`, platform.command(command), options)
  }))

/** Asserts that `command` does the same natively and on `platform`. */
export const expectSame = async (
  platform: Platform,
  command: ReadonlyArray<string>,
  options: RunOptions = {}
): Promise<void> => {
  const { native, sandboxed } = await runBoth(platform, command, options)
  expect(native.timedOut, "the command must end natively").toBe(false)
  expect(visible(sandboxed)).toEqual(visible(native))
}
