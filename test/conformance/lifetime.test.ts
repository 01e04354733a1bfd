/** Whatever happens to the sentry, no guest process outlives it, and no run leaves a process or a zombie. */
import { spawn } from "node:child_process"
import { describe, expect, test } from "vitest"
import { IS_SANDBOX, NIGHTLY, PLATFORMS, type Platform } from "./Platforms.ts"
import { processes, survivors, tree, type HostProcess } from "./Processes.ts"
import { ENVIRONMENT, run } from "./Run.ts"

const KILLS = NIGHTLY ? 200 : 12
const RUNS = NIGHTLY ? 1000 : 20

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A small generator with a seed, so that a failure can be repeated. */
const makeRandom = (seed: number) => {
  let state = seed
  return (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

/** Processes that come and go, threads, a pipe, a sleeper, one that ignores what can be ignored. */
const BUSY =
  "trap '' HUP INT TERM; sleep 1000 & yes > /dev/null & (while :; do /bin/true; done) & " +
  "while :; do (echo x | cat > /dev/null); done"

/** Waits until none of `before` is left; gives what is after three seconds. */
const gone = async (before: ReadonlyArray<HostProcess>): Promise<ReadonlyArray<HostProcess>> => {
  let left = survivors(before)
  for (let i = 0; i < 60 && left.length > 0; i++) {
    await sleep(50)
    left = survivors(before)
  }
  return left
}

/** Starts the busy guest, sends `signal` to the sentry after `delay` ms, and says who survived and how many there were. */
const killAfter = async (platform: Platform, delay: number, signal: NodeJS.Signals) => {
  const [program = "", ...args] = platform.command(["bash", "-c", BUSY])
  const child = spawn(program, args, { cwd: "/", env: ENVIRONMENT, stdio: "ignore", detached: true })
  const ended = new Promise<void>((resolve) => child.on("exit", () => resolve()))
  await sleep(delay)
  const pid = child.pid ?? 0
  const before = tree(pid)
  process.kill(pid, signal)
  const late = tree(pid) // whatever was forked between the look and the kill
  await ended
  const left = await gone([...before, ...late])
  for (const found of left) process.kill(found.pid, "SIGKILL")
  return { left: left.map(({ name, state }) => ({ name, state })), count: before.length }
}

for (const platform of PLATFORMS) {
  describe.skipIf(!IS_SANDBOX)(`lifetime on ${platform.name}`, () => {
    test(
      `SIGKILL of the sentry at ${KILLS} random moments leaves no process`,
      { timeout: KILLS * 10_000 },
      async () => {
        const random = makeRandom(20261123)
        let most = 0
        for (let i = 0; i < KILLS; i++) {
          const delay = Math.round(random() * (i % 2 === 0 ? 400 : 1500))
          const { left, count } = await killAfter(platform, delay, "SIGKILL")
          expect(left, `killed after ${delay} ms`).toEqual([])
          most = Math.max(most, count)
        }
        expect(most, "the guests must have been there to be killed").toBeGreaterThan(2)
      }
    )

    test("SIGSEGV of the sentry leaves no process", async () => {
      expect((await killAfter(platform, 1000, "SIGSEGV")).left).toEqual([])
    })

    // other tests, which run at the same time, have processes of other names
    const OURS = /^(node|MainThread|true|.*stub)$/
    test(`${RUNS} runs of true leave nothing`, { timeout: RUNS * 5_000 }, async () => {
      const before = new Set(processes().map((found) => found.pid))
      const statuses = new Set<number>()
      for (let i = 0; i < RUNS; i++) statuses.add((await run(platform.command(["true"]))).status)
      expect([...statuses]).toEqual([0])
      await sleep(200)
      const ours = processes().filter(
        ({ name, parent, pid, state }) =>
          !before.has(pid) && (parent === process.pid || parent === 1) && state === "Z" && OURS.test(name)
      )
      expect(ours).toEqual([])
    })

    test("what the program leaves behind ends with it", async () => {
      const [program = "", ...args] = platform.command([
        "bash",
        "-c",
        "setsid sleep 1000 & sleep 1000 & sleep 1; exit 3"
      ])
      const child = spawn(program, args, { cwd: "/", env: ENVIRONMENT, stdio: "ignore", detached: true })
      const status = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)))
      await sleep(800)
      const before = tree(child.pid ?? 0)
      expect(await status).toBe(3)
      expect(await gone(before)).toEqual([])
    })
  })
}
