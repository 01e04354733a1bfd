/**
 * What the platforms need of the host, each tested by itself, so that `doctor` can say which is missing and what to do.
 */
import { constants as os } from "node:os"
import { readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import { bind } from "./Native.ts"
import { Platform } from "./Platform.ts"
import { layer } from "./PtracePlatform.ts"

export type ProbeResult =
  | { readonly ok: true }
  | {
      readonly ok: false
      /** What the host said. */
      readonly detail: string
      /** What the user can do about it. */
      readonly cure: string
    }

/** One need of the platform. */
export interface Probe {
  readonly name: string
  /** What it is needed for. */
  readonly why: string
  readonly run: () => Effect.Effect<ProbeResult>
}

const probeNative = bind<[which: number], number>("int sentry_probe(int which)")

/** "EPERM" for 1. */
const errnoName = (errno: number): string =>
  Object.entries(os.errno).find(([, value]) => value === errno)?.[0] ?? `errno ${errno}`

/** A probe in native/probe.c: its number there (`enum probe`), and the cure if it fails. */
const native = (which: number, name: string, why: string, cure: () => string): Probe => ({
  name,
  why,
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
    () => "needs an x86-64 Linux kernel, not an emulation of one (gVisor, WSL 1, qemu-user)"
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
  )
]

/** All of it together: starts the platform and makes one address space. */
const whole: Probe = {
  name: "ptrace platform",
  why: "runs guests",
  run: () =>
    Effect.gen(function* () {
      const platform = yield* Platform
      const context = yield* platform.makeContext
      yield* context.release
      return { ok: true } as const
    }).pipe(
      Effect.provide(layer),
      Effect.catchTag("PlatformFailed", (failure) =>
        Effect.succeed<ProbeResult>({
          ok: false,
          detail: failure.message,
          cure: "see the probes above; if all succeed, please report this"
        })
      )
    )
}

/** What the ptrace platform needs, the cheap and basic first. */
export const probes: ReadonlyArray<Probe> = [...nativeProbes, whole]
