/**
 * siginfo_t, sigaction(2): 128 bytes whose meaning depends on the signal and si_code. A tagged union here; encoded once.
 */
import {
  SIGBUS,
  SIGCHLD,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
  SI_ASYNCNL,
  SI_DETHREAD,
  SI_KERNEL
} from "./Signal.ts"
import * as Struct from "./Struct.ts"

/** sizeof(siginfo_t). */
export const SIGINFO_SIZE = 128

interface Common {
  readonly signo: number
  /** SI_*, or a code of the signal's own. */
  readonly code: number
}

/** How the faulting instruction used memory; siginfo_t does not say, the error code in a signal frame does. */
export type FaultAccess = "read" | "write" | "execute" | "unknown"

/** What came with a signal. */
export type SigInfo =
  /** kill(2), tgkill(2): si_pid, si_uid. */
  | (Common & { readonly _tag: "Kill"; readonly pid: number; readonly uid: number })
  /** rt_sigqueueinfo(2), SI_QUEUE: si_pid, si_uid, si_value. */
  | (Common & { readonly _tag: "Queue"; readonly pid: number; readonly uid: number; readonly value: bigint })
  /** POSIX timers: si_timerid, si_overrun, si_value. */
  | (Common & { readonly _tag: "Timer"; readonly timerId: number; readonly overrun: number; readonly value: bigint })
  /** SIGCHLD: si_pid, si_uid, si_status, si_utime, si_stime (clock ticks). */
  | (Common & {
      readonly _tag: "Child"
      readonly pid: number
      readonly uid: number
      readonly status: number
      readonly userTicks: number
      readonly systemTicks: number
    })
  /** SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP: si_addr. */
  | (Common & { readonly _tag: "Fault"; readonly address: bigint; readonly access: FaultAccess })
  /** SIGIO, or what F_SETSIG names: si_band, si_fd. */
  | (Common & { readonly _tag: "Poll"; readonly band: number; readonly fd: number })
  /** SIGSYS of a seccomp(2) filter: si_call_addr, si_syscall, si_arch, and the filter's data in si_errno. */
  | (Common & {
      readonly _tag: "Sys"
      readonly errno: number
      readonly callAddress: bigint
      readonly syscall: number
      readonly arch: number
    })
  /** There was no room for what came with it, RLIMIT_SIGPENDING: the signal looks as if sent by kill(2) of nobody. */
  | (Common & { readonly _tag: "Lost" })
  /** The raw union, when the guest composed it (rt_sigqueueinfo(2)): bytes 12 to 47. */
  | (Common & { readonly _tag: "Raw"; readonly errno: number; readonly rest: Uint8Array })

/** A signal that says no more than who is to blame: the kernel. */
export const kernelSigInfo = (signo: number): SigInfo => ({ _tag: "Kill", signo, code: 0x80, pid: 0, uid: 0 })

const Header = Struct.make("siginfo_header", { si_signo: Struct.i32, si_errno: Struct.i32, si_code: Struct.i32 })

/** The 128 bytes that a handler or signalfd, sigwaitinfo, waitid sees. */
export const encodeSigInfo = (info: SigInfo): Uint8Array => {
  const bytes = new Uint8Array(SIGINFO_SIZE)
  setSigInfo(new DataView(bytes.buffer), 0, info)
  return bytes
}

/** The same, at byte `at` of `view`, where there are zeros. */
export const setSigInfo = (view: DataView, at: number, info: SigInfo): void => {
  view.setInt32(at + Header.offsets.si_signo, info.signo, true)
  if (info._tag === "Raw" || info._tag === "Sys") view.setInt32(at + Header.offsets.si_errno, info.errno, true)
  view.setInt32(at + Header.offsets.si_code, info.code, true)
  switch (info._tag) {
    case "Kill":
      view.setInt32(at + 16, info.pid, true)
      view.setUint32(at + 20, info.uid, true)
      break
    case "Queue":
      view.setInt32(at + 16, info.pid, true)
      view.setUint32(at + 20, info.uid, true)
      view.setBigUint64(at + 24, info.value, true)
      break
    case "Timer":
      view.setInt32(at + 16, info.timerId, true)
      view.setInt32(at + 20, info.overrun, true)
      view.setBigUint64(at + 24, info.value, true)
      break
    case "Child":
      view.setInt32(at + 16, info.pid, true)
      view.setUint32(at + 20, info.uid, true)
      view.setInt32(at + 24, info.status, true)
      view.setBigInt64(at + 32, BigInt(info.userTicks), true)
      view.setBigInt64(at + 40, BigInt(info.systemTicks), true)
      break
    case "Fault":
      view.setBigUint64(at + 16, info.address, true)
      break
    case "Poll":
      view.setBigInt64(at + 16, BigInt(info.band), true)
      view.setInt32(at + 24, info.fd, true)
      break
    case "Sys":
      view.setBigUint64(at + 16, info.callAddress, true)
      view.setInt32(at + 24, info.syscall, true)
      view.setUint32(at + 28, info.arch, true)
      break
    case "Lost":
      break
    case "Raw":
      for (const [i, byte] of info.rest.subarray(0, SIGINFO_SIZE - 12).entries()) view.setUint8(at + 12 + i, byte)
      break
  }
}

/** Bytes of a siginfo_t that carry something. */
export const MEANINGFUL_SIGINFO = 48

/** How many codes above 0 there are of the signals that have codes of their own; other signals have those of SIGIO. */
const codesOf: ReadonlyMap<number, number> = new Map([
  [SIGILL, 11],
  [SIGFPE, 15],
  [SIGSEGV, 10],
  [SIGBUS, 5],
  [SIGTRAP, 6],
  [SIGCHLD, 6],
  [SIGSYS, 2]
])
const IO_CODES = 6

/** Whether it is known what such a siginfo_t has: then nobody looks at more than its meaningful bytes. */
export const hasKnownLayout = (signo: number, code: number): boolean =>
  code === SI_KERNEL ||
  (code > 0 ? code <= (codesOf.get(signo) ?? IO_CODES) : code >= SI_DETHREAD || code === SI_ASYNCNL)

/** What rt_sigqueueinfo(2) was given, as it is; undefined (E2BIG) for a code nobody knows with more than is kept of it. */
export const decodeSigInfo = (signo: number, bytes: Uint8Array): SigInfo | undefined => {
  const header = Header.decode(bytes)
  if (!hasKnownLayout(signo, header.si_code) && bytes.subarray(MEANINGFUL_SIGINFO).some((byte) => byte !== 0))
    return undefined
  return { _tag: "Raw", signo, code: header.si_code, errno: header.si_errno, rest: bytes.slice(12, MEANINGFUL_SIGINFO) }
}
