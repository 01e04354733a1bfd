/**
 * Guests that try to break out, to crash the kernel or to starve it (test/hostile). Each says what it saw; whatever it
 * does, effect-sentry itself must not fail, must end in time, and nothing may be left.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { copyFileSync } from "node:fs"
import { beforeAll, describe, expect, test } from "vitest"
import { expectSame, withScratch } from "./Compare.ts"
import { IS_SANDBOX, NIGHTLY, PLATFORMS, type Platform, REPOSITORY } from "./Platforms.ts"
import { survivors, tree } from "./Processes.ts"
import { ENVIRONMENT, run } from "./Run.ts"

const BUILD = `${REPOSITORY}test/hostile/build/`
const SEEDS = NIGHTLY ? 300 : 3
const LIMIT = 120_000

const guest = (name: string): string => `${BUILD}${name}`
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const killIfThere = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // it has ended
  }
}

/** Runs a guest that ends by itself and gives what it said. */
const lines = async (platform: Platform, command: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const { status, stderr, stdout, timedOut } = await run(platform.command(command), { timeout: LIMIT })
  expect({ stderr, timedOut, status, stdout: status === 0 ? "" : stdout }).toEqual({
    stderr: "",
    timedOut: false,
    status: 0,
    stdout: ""
  })
  return stdout.trimEnd().split("\n")
}

/** Ends with "alive" after having asked for too much of something. */
const GREEDY = [
  "thread_bomb",
  "descriptors",
  "many_files",
  "descriptor_numbers",
  "signals",
  "alarm_storm",
  "timers",
  "memory",
  "arguments",
  "vectors",
  "tree",
  "wide_directory",
  "tmp_full",
  "threads_exec",
  "vfork_killed",
  "kill_all",
  "races",
  "descriptors_in_flight",
  "epoll_nest",
  "locks",
  "sockets",
  "filters",
  "ipc"
]

/** Never ends by itself. */
const ENDLESS = [
  "loop_for_ever",
  "loop_and_ignore",
  "block_and_ignore",
  "output_for_ever",
  "exec_for_ever",
  "fork_bomb_for_ever"
]

/**
 * What guests forge on the systrap platform: jumps into the stub with any registers, frames for the host's own rt_sigreturn,
 * words of the shared slots, reports that never get through, segment bases that lead elsewhere.
 */
const FORGERIES = ["jumps", "frames", "scribble", "unheard", "bases"]

/** Becomes nobody, which only root can. */
const AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] as const
/** Whether that works here, and nobody can read this checkout (not below a home directory of root's). */
const canBecomeNobody =
  spawnSync(AS_NOBODY[0], [...AS_NOBODY.slice(1), "test", "-r", `${REPOSITORY}package.json`]).status === 0

beforeAll(() => {
  execFileSync("make", ["-s", "-C", `${REPOSITORY}test/hostile`, "-j2"], { stdio: ["ignore", "ignore", "inherit"] })
}, LIMIT)

for (const platform of PLATFORMS) {
  describe.skipIf(!IS_SANDBOX)(`hostile guests on ${platform.name}`, { timeout: LIMIT + 10_000 }, () => {
    describe("escape", () => {
      test("the stub's pages can't be changed, and jumping into them is no use", async () => {
        const said = await lines(platform, [guest("stub_pages")])
        expect(said.filter((line) => line.endsWith(" ok"))).toEqual([])
        expect(said.slice(-5)).toEqual([
          "across munmap EINVAL",
          "all munmap EINVAL",
          "store code: killed SIGSEGV",
          "store orders: killed SIGSEGV",
          "jumps that ended badly: 260"
        ])
        expect(existsSync("/tmp/stub_was_here")).toBe(false)
      })

      test("int 0x80, sysenter, 32-bit code, x32 numbers and the vsyscall page reach nothing", async () => {
        const said = await lines(platform, [guest("entries"), "sandbox"])
        const other = said.filter((line) => /^(int|x32|sysenter|32-bit)/.test(line))
        expect(other.filter((line) => !/exited 38|killed SIG(SEGV|ILL)$/.test(line))).toEqual([])
        expect(other).toHaveLength(17)
      })

      test("privileged instructions, kernel selectors and odd flags do what they do on the host", () =>
        expectSame(platform, [guest("entries")]))

      test("forged signal frames harm nobody else", async () => {
        expect(await lines(platform, [guest("sigframe")])).toEqual(["alive"])
      })

      test("memory closed by protection keys harms nobody else", async () => {
        expect((await lines(platform, [guest("pkru")])).at(-1)).toBe("alive")
      })

      test("no path, link, device, mount, process or descriptor leads out of a root of its own", () =>
        withScratch(async (directory) => {
          for (const name of ["root", "rw", "ro", "outside"]) mkdirSync(`${directory}/${name}`)
          mkdirSync(`${directory}/root/tmp`)
          writeFileSync(`${directory}/outside/secret`, "secret\n")
          writeFileSync(`${directory}/ro/file`, "fine\n")
          symlinkSync(`${directory}/outside/secret`, `${directory}/rw/host_link`)
          symlinkSync("../outside", `${directory}/rw/host_dir_link`)
          copyFileSync(guest("escape_static"), `${directory}/root/escape`)
          const binds = ["--bind", `${directory}/rw:/rw:rw`, "--bind", `${directory}/ro:/ro`]
          const options = ["--rootfs", `${directory}/root`, ...binds, "--clear-env"]
          const command = platform.command(["/escape", `${directory}/outside/secret`, String(process.pid)], options)
          const { status, stderr, stdout } = await run(command, { env: { ...ENVIRONMENT, SENTRY_SECRET: "1" } })
          expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
          expect(stdout.split("\n").filter((line) => line.includes("LEAK"))).toEqual([])
          const refused = stdout
            .split("\n")
            .filter((line) => line.includes("/ro") && !/-1 (EROFS|EXDEV|EPERM)$/.test(line))
          expect(refused).toEqual([])
          expect(stdout).toContain("mmap shared: EACCES\n")
          expect(stdout).toMatch(/end\n$/)
          expect(readFileSync(`${directory}/ro/file`, "utf8")).toBe("fine\n")
          expect(readFileSync(`${directory}/outside/secret`, "utf8")).toBe("secret\n")
          expect(execFileSync("ls", [`${directory}/outside`], { encoding: "utf8" })).toBe("secret\n")
        }))

      test.skipIf(process.getuid?.() !== 0)(
        "behind the kernel's own mounts there is nothing of the host's",
        async () => {
          const script =
            "umount -l /sys; umount -l /proc; ls /sys; ls /proc; cat /proc/version; cd /; ls sys/kernel; echo end"
          const { stdout } = await run(platform.command(["sh", "-c", script]))
          expect(stdout).toBe("end\n")
        }
      )

      test("a host process that swaps a directory for a link does not open the way out", () =>
        withScratch(async (directory) => {
          for (const name of ["root", "rw", "rw/real", "outside"]) mkdirSync(`${directory}/${name}`)
          writeFileSync(`${directory}/rw/real/secret`, "inside\n")
          writeFileSync(`${directory}/outside/secret`, "secret\n")
          copyFileSync(guest("race_static"), `${directory}/root/race`)
          const options = ["--rootfs", `${directory}/root`, "--bind", `${directory}/rw:/rw:rw`]
          const progress = { ended: false }
          const running = run(platform.command(["/race", "/rw"], options)).finally(() => {
            progress.ended = true
          })
          const flip = `${directory}/rw/flip`
          while (!progress.ended) {
            for (let i = 0; i < 50; i++) {
              renameSync(`${directory}/rw/real`, flip)
              renameSync(flip, `${directory}/rw/real`)
              symlinkSync("../outside", flip)
              unlinkSync(flip)
            }
            renameSync(`${directory}/rw/real`, flip)
            await sleep(1)
            renameSync(flip, `${directory}/rw/real`)
          }
          const { stderr, stdout } = await running
          expect({ stderr, stdout }).toEqual({ stderr: "", stdout: "leaks: 0, seen: 1, missing: 1\n" })
        }))
    })

    describe.skipIf(platform.name !== "systrap")("in the fast platform's stub", () => {
      test("nothing of it can be changed but what is the guest's own", async () => {
        expect(await lines(platform, [guest("fast_stub"), "pages"])).toEqual([
          "records: munmap ok", // there is nothing, as far as it knows
          "end of records: munmap ok",
          "store to orders: killed SIGSEGV",
          "store to code: killed SIGSEGV",
          "store to records: killed SIGSEGV",
          "slot executed: killed SIGSEGV",
          "getppid() > 0: true",
          "alive"
        ])
      })

      test("each of its system calls is the sandbox's", async () => {
        expect(await lines(platform, [guest("fast_stub"), "calls"])).toEqual(["several: 1", "alive"])
        expect(existsSync("/tmp/stub_was_here")).toBe(false)
      })

      test("switching the processor's counter off is no use, and switches it off for nobody else", async () => {
        expect(await lines(platform, [guest("fast_stub"), "counter"])).toEqual([
          "stub_prctl(PR_SET_TSC, PR_TSC_SIGSEGV): 0",
          "its child: exited 3",
          "without: exited 0",
          "read_counter() != 0: true",
          "stub_prctl(PR_SET_TSC, 77) < 0: 1",
          "stub_prctl(PR_SET_DUMPABLE, 77): -22",
          "stub_prctl(PR_GET_TSC, (long)&mode): 0",
          "mode: 1",
          "alive"
        ])
      })

      for (const what of FORGERIES) {
        for (let seed = 1; seed <= (NIGHTLY ? 40 : 1); seed++) {
          test(`${what}, seed ${seed}: harms its own process at most, which can be killed`, async () => {
            expect(await lines(platform, [guest("fast_stub"), what, String(seed)])).toEqual(["alive"])
            expect(existsSync("/tmp/stub_was_here")).toBe(false)
          })
        }
      }
    })

    describe("starvation", () => {
      for (const what of GREEDY) {
        test(what, async () => {
          expect((await lines(platform, [guest("starve"), what])).at(-1)).toBe("alive")
        })
      }

      test("bad stacks kill only their owner", async () => {
        const said = await lines(platform, [guest("starve"), "stacks"])
        expect(said.filter((line) => !line.endsWith("killed SIGSEGV"))).toEqual(["unaligned: exited 0", "alive"])
      })

      test("a process ends whatever its threads wait for", async () => {
        const said = await lines(platform, [guest("starve"), "blocked"])
        expect(said.filter((line) => !line.endsWith("exited 7"))).toEqual(["alive"])
      })

      for (const what of ["fork_bomb", "thread_bomb"]) {
        test.skipIf(!canBecomeNobody)(`${what} on a host that refuses`, async () => {
          // so few that the host says no before the sandbox would
          const limits = ["prlimit", "--nproc=64", ...AS_NOBODY]
          const command = [...limits, ...platform.command([guest("starve"), what])]
          const { status, stderr, stdout } = await run(command, { timeout: LIMIT })
          expect({ status, stderr }).toEqual({ status: 0, stderr: "" })
          expect(stdout).toMatch(/^refused: EAGAIN, many: 1\n(.*\n)*alive\n$/)
        })
      }

      test("more than the sentry's heap holds ends the sandbox, not the process that it is in", async () => {
        const environment = { ...ENVIRONMENT, NODE_OPTIONS: "--max-old-space-size=80" }
        const { status, stderr } = await run(platform.command([guest("starve"), "kernel_memory"]), {
          timeout: LIMIT,
          env: environment
        })
        expect(stderr).toMatch(
          /^effect-sentry: the sandbox failed: out of memory: \d+ MB of the 80 MB that Node allows are in use/
        )
        expect(status).toBe(125)
      })

      for (const what of ENDLESS) {
        test(`${what}: --timeout ends it`, async () => {
          const options = ["--timeout", "1s"]
          const command = ["sh", "-c", '"$@" > /dev/null', "sh", ...platform.command([guest("starve"), what], options)]
          const { status, stderr, timedOut } = await run(command, { timeout: 60_000 })
          expect({ status, stderr, timedOut }).toEqual({ status: 124, stderr: "", timedOut: false })
        })
      }

      for (const what of ["loop_and_ignore", "block_and_ignore", "output_for_ever"]) {
        test(`${what}: a second SIGINT ends it`, async () => {
          const [program = "", ...args] = platform.command([guest("starve"), what])
          // nobody reads what it writes
          const child = spawn(program, args, { cwd: "/", env: ENVIRONMENT, stdio: ["ignore", "pipe", "ignore"] })
          const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)))
          await sleep(1500)
          const before = tree(child.pid ?? 0)
          child.kill("SIGINT")
          await sleep(300)
          child.kill("SIGINT")
          const outcome = await Promise.race([ended, sleep(20_000).then(() => "still there")])
          if (outcome === "still there") child.kill("SIGKILL")
          expect(outcome).not.toBe("still there")
          await sleep(300)
          expect(survivors(before)).toEqual([])
        })
      }
    })

    test("stubs killed on the host, in whatever state, are processes killed, and no more", async () => {
      const [program = "", ...args] = platform.command([guest("churn")])
      const child = spawn(program, args, {
        cwd: "/",
        env: ENVIRONMENT,
        stdio: ["pipe", "pipe", "pipe"],
        detached: true
      })
      const said = { out: "", err: "" }
      const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)))
      child.stderr.on("data", (chunk: Buffer) => (said.err += chunk.toString()))
      const begun = new Promise<void>((resolve) =>
        child.stdout.on("data", (chunk: Buffer) => {
          said.out += chunk.toString()
          resolve()
        })
      )
      await Promise.race([begun, ended])
      const spared = new Set(tree(child.pid ?? 0).map(({ pid }) => pid))
      const end = performance.now() + (NIGHTLY ? 60_000 : 5_000)
      while (performance.now() < end && child.exitCode === null) {
        await sleep(Math.random() * 30)
        const victims = tree(child.pid ?? 0).filter(({ pid, state }) => !spared.has(pid) && state !== "Z")
        const victim = victims[Math.floor(Math.random() * victims.length)]
        if (victim !== undefined) killIfThere(victim.pid)
      }
      child.stdin.end()
      const outcome = await Promise.race([ended, sleep(30_000).then(() => "still there")])
      if (outcome === "still there") child.kill("SIGKILL")
      // a worker's own child, killed, is not missed: it ends only as the suite or the end makes it
      expect({ outcome, ...said }).toEqual({
        outcome: 0,
        out: "first\nkilled: many, otherwise: 0\nalive\n",
        err: ""
      })
    })

    /** Two programs: any call with any arguments; and sensible ones of one room of the kernel after the other. */
    const random = [
      ["calls", "fuzz", NIGHTLY ? "60" : "15", "400"],
      ["use of the kernel's rooms", "rooms", NIGHTLY ? "44" : "11", "120"]
    ] as const
    describe.each(random)("random %s", (_, program, ...amount) => {
      for (let seed = 1; seed <= SEEDS; seed++) {
        test(`seed ${seed}`, async () => {
          // the status may be anything that a child's signal makes of it, but the kernel's own
          // the printer reads whatever the calls were given
          const options = seed % 3 === 0 ? ["--strace", "--strace-log", "/dev/null"] : []
          const command = platform.command([guest(program), String(seed), ...amount], options)
          const { status, stderr, timedOut } = await run(command, { timeout: LIMIT })
          expect(timedOut).toBe(false)
          expect(stderr).not.toContain("the sandbox failed")
          expect([0, 129, 130, 137, 143]).toContain(status)
        })
      }
    })
  })
}
