/**
 * What the platforms need of the host, each tested by itself, so that `doctor` can say which is missing and what to do.
 */
import { constants as os } from "node:os"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { bind } from "./Native.ts"
import { Platform } from "./Platform.ts"
import { platformLayer } from "./PlatformChoice.ts"

export type ProbeResult =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** What the host said. */
      readonly detail: string
      /** What the user can do about it. */
      readonly cure: string
    }

/** Platforms that need a host process. */
const HOSTED = ["systrap", "ptrace"] as const
export type HostedPlatform = (typeof HOSTED)[number]

/** One need. */
export interface Probe {
  readonly name: string
  /** What it is needed for. */
  readonly why: string
  /** Which platforms can't do without it. */
  readonly platforms: ReadonlyArray<HostedPlatform>
  readonly run: () => Effect.Effect<ProbeResult>
}

const probeNative = bind<[which: number], number>("int sentry_probe(int which)")

/** "EPERM" for 1. */
const errnoName = (errno: number): string =>
  Object.entries(os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`

/** A probe in native/probe.c: its number there (`enum probe`), and the cure if it fails. */
const native = (
  which: number,
  name: string,
  why: string,
  cure: () => string,
  platforms: ReadonlyArray<HostedPlatform> = HOSTED
): Probe => ({
  name,
  why,
  platforms,
  run: () =>
    Effect.sync(() => {
      try {
        const errno = probeNative(which)
        return errno === 0 ? { ok: true } : { ok: false, detail: errnoName(errno), cure: cure() }
      } catch (cause) {
        return { ok: false, detail: String(cause), cure: "run `npm rebuild effect-sentry` (needs gcc and make)" }
      }
    })
})

/** Yama's setting, or undefined where the host has no Yama. 0 and 1 are fine: our stubs are our children. */
const ptraceScope = (): number | undefined => {
  try {
    return Number(readFileSync("/proc/sys/kernel/yama/ptrace_scope", "latin1"))
  } catch {
    return undefined
  }
}

const seccompCure =
  "the container's seccomp profile forbids it: use the default profile of Docker 19.03 or later, or " +
  "`--security-opt seccomp=unconfined`"

const ptraceCure = (): string => {
  const scope = ptraceScope()
  return scope !== undefined && scope >= 2
    ? `kernel.yama.ptrace_scope is ${scope}: \`sysctl kernel.yama.ptrace_scope=1\``
    : `${seccompCure}, or add the capability SYS_PTRACE on hosts older than Linux 4.8`
}

const nativeProbes: ReadonlyArray<Probe> = [
  native(0, "ptrace", "guests run as traced processes", ptraceCure),
  native(
    1,
    "PTRACE_SYSEMU",
    "stops a guest's system call without executing it",
    () => "needs an x86-64 Linux kernel, not an emulation of one (gVisor, WSL 1, qemu-user)",
    ["ptrace"]
  ),
  native(2, "seccomp filter", "the second guard around every guest", () => seccompCure),
  native(3, "PR_SET_TSC", "guests of deterministic runs must not read the host's clock by rdtsc", () => seccompCure),
  native(4, "sealed memfd", "code and orders of the stubs that no guest can change", () => "needs Linux 5.1 or later"),
  native(5, "process_vm_readv", "copies to and from guest memory", ptraceCure),
  native(6, "SCM_RIGHTS", "passes files to stubs, to be mapped", () => "raise the limit of open files (`ulimit -n`)"),
  native(
    7,
    "CPU affinity",
    "tracer and guests share a CPU, or each system call costs six times as much",
    () => seccompCure
  ),
  native(
    8,
    "unmapping the vDSO",
    "the host's vDSO would tell guests the host's time",
    () => "the kernel seals it (CONFIG_MSEAL_SYSTEM_MAPPINGS): boot with vdso=0, or use a kernel without that option"
  ),
  native(
    9,
    "SECCOMP_RET_TRAP",
    "guests' system calls are caught in their own process",
    () => `${seccompCure}; a kernel that only emulates Linux may not have it`,
    ["systrap"]
  ),
  native(
    10,
    "FSGSBASE instructions",
    "guest threads find their memory and change their segments without a system call",
    () => "needs Linux 5.9 or later, not started with nofsgsbase, and a processor of 2013 or later",
    ["systrap"]
  )
]

/** All of it together: starts the platform and makes one address space. */
const whole = (name: HostedPlatform): Probe => ({
  name: `${name} platform`,
  why: "runs guests",
  platforms: [name],
  run: () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const context = yield* platform.makeContext
      yield* context.release
      return { ok: true } as const
    }).pipe(
      Effect.provide(platformLayer(name)),
      Effect.catchTag("PlatformFailed", (failure) =>
        Effect.succeed<ProbeResult>({
          ok: false,
          detail: failure.message,
          cure: "see the probes above; if all succeed, please report this"
        })
      )
    )
})

/** What the platforms need, the cheap and basic first. */
export const probes: ReadonlyArray<Probe> = [...nativeProbes, ...HOSTED.map(whole)]

/** What the probes found. */
export interface Diagnosis {
  readonly findings: ReadonlyArray<{ readonly probe: Probe; readonly result: ProbeResult }>
  /** Of each platform, the fastest first, the names of the probes that it fails. */
  readonly missing: ReadonlyArray<{ readonly platform: HostedPlatform; readonly probes: ReadonlyArray<string> }>
  /** What "auto" chooses here; undefined: guests can't run. */
  readonly choice: HostedPlatform | undefined
}

/** Tests everything. `onFinding` hears of each result as it comes. */
export const diagnose = Effect.fnUntraced(function* (
  onFinding: (probe: Probe, result: ProbeResult) => void
): Effect.fn.Return<Diagnosis> {
  const findings = yield* Effect.forEach(probes, (probe) =>
    Effect.map(probe.run(), (result) => {
      onFinding(probe, result)
      return { probe, result }
    })
  )
  const missing = HOSTED.map((platform) => ({
    platform,
    probes: findings
      .filter(({ probe, result }) => !result.ok && probe.platforms.includes(platform))
      .map(({ probe }) => probe.name)
  }))
  return { findings, missing, choice: missing.find((one) => one.probes.length === 0)?.platform }
})
