/**
 * signalfd(2): pending signals as a file.
 *
 * Differs from Linux: it takes the signals of the process that made it, also when a forked child reads from it.
 */
import { EAGAIN, EINVAL } from "../Abi/Errno.ts"
import { POLLIN } from "../Abi/Poll.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { type SignalSet, UNBLOCKABLE } from "../Abi/Signal.ts"
import * as Struct from "../Abi/Struct.ts"
import type { Stat } from "../Vfs/Stat.ts"
import type { Task } from "./Task.ts"
import { dequeueSignal } from "./TaskSignals.ts"

/** `struct signalfd_siginfo`, 128 bytes. */
const SignalfdSiginfo = Struct.make("signalfd_siginfo", {
  ssi_signo: Struct.u32,
  ssi_errno: Struct.i32,
  ssi_code: Struct.i32,
  ssi_pid: Struct.u32,
  ssi_uid: Struct.u32,
  ssi_fd: Struct.i32,
  ssi_tid: Struct.u32,
  ssi_band: Struct.u32,
  ssi_overrun: Struct.u32,
  ssi_trapno: Struct.u32,
  ssi_status: Struct.i32,
  ssi_int: Struct.i32,
  ssi_ptr: Struct.u64,
  ssi_utime: Struct.u64,
  ssi_stime: Struct.u64,
  ssi_addr: Struct.u64,
  ssi_addr_lsb: Struct.u16,
  _pad: Struct.u16,
  ssi_syscall: Struct.i32,
  ssi_call_addr: Struct.u64,
  ssi_arch: Struct.u32,
  pad: Struct.bytes(28)
})

const nothing: Struct.Type<typeof SignalfdSiginfo> = {
  ssi_signo: 0,
  ssi_errno: 0,
  ssi_code: 0,
  ssi_pid: 0,
  ssi_uid: 0,
  ssi_fd: 0,
  ssi_tid: 0,
  ssi_band: 0,
  ssi_overrun: 0,
  ssi_trapno: 0,
  ssi_status: 0,
  ssi_int: 0,
  ssi_ptr: 0n,
  ssi_utime: 0n,
  ssi_stime: 0n,
  ssi_addr: 0n,
  ssi_addr_lsb: 0,
  _pad: 0,
  ssi_syscall: 0,
  ssi_call_addr: 0n,
  ssi_arch: 0,
  pad: new Uint8Array(28)
}

const lowInt = (value: bigint): number => Number(BigInt.asIntN(32, value))

const encode = (info: SigInfo): Uint8Array => {
  const common = { ...nothing, ssi_signo: info.signo, ssi_code: info.code }
  switch (info._tag) {
    case "Lost":
      return SignalfdSiginfo.encode(common)
    case "Kill":
      return SignalfdSiginfo.encode({ ...common, ssi_pid: info.pid, ssi_uid: info.uid })
    case "Queue":
      return SignalfdSiginfo.encode({
        ...common,
        ssi_pid: info.pid,
        ssi_uid: info.uid,
        ssi_int: lowInt(info.value),
        ssi_ptr: info.value
      })
    case "Timer":
      return SignalfdSiginfo.encode({
        ...common,
        ssi_tid: info.timerId,
        ssi_overrun: info.overrun,
        ssi_int: lowInt(info.value),
        ssi_ptr: info.value
      })
    case "Child":
      return SignalfdSiginfo.encode({
        ...common,
        ssi_pid: info.pid,
        ssi_uid: info.uid,
        ssi_status: info.status,
        ssi_utime: BigInt(info.userTicks),
        ssi_stime: BigInt(info.systemTicks)
      })
    case "Fault":
      return SignalfdSiginfo.encode({ ...common, ssi_addr: info.address })
    case "Poll":
      return SignalfdSiginfo.encode({ ...common, ssi_band: info.band, ssi_fd: info.fd })
    case "Sys":
      return SignalfdSiginfo.encode({
        ...common,
        ssi_errno: info.errno,
        ssi_syscall: info.syscall,
        ssi_call_addr: info.callAddress,
        ssi_arch: info.arch
      })
    case "Raw": {
      const view = new DataView(info.rest.buffer, info.rest.byteOffset) // from byte 12 of siginfo_t on
      const value = view.getBigUint64(12, true)
      return SignalfdSiginfo.encode({
        ...common,
        ssi_errno: info.errno,
        ssi_pid: view.getUint32(4, true),
        ssi_uid: view.getUint32(8, true),
        ssi_int: lowInt(value),
        ssi_ptr: value
      })
    }
  }
}

export class SignalFd extends AnonymousFile {
  readonly #owner: Task
  /** Atomic: setMask. */
  #mask: SignalSet = 0n

  /** `statusFlags`: O_NONBLOCK or 0. */
  constructor(owner: Task, stat: Stat, mask: SignalSet, statusFlags: number) {
    super("signalfd", stat, statusFlags, owner.threadGroup.signalArrivals)
    this.#owner = owner
    this.setMask(mask)
  }

  setMask(mask: SignalSet): void {
    this.#mask = mask & ~UNBLOCKABLE
    this.waiters.notify(POLLIN)
  }

  override read(into: Uint8Array): number {
    const slots = Math.floor(into.length / SignalfdSiginfo.size)
    if (slots === 0) return -EINVAL
    let read = 0
    for (let slot = 0; slot < slots; slot++) {
      const info = this.#take()
      if (info === undefined) break
      into.set(encode(info), read)
      read += SignalfdSiginfo.size
    }
    return read === 0 ? -EAGAIN : read
  }

  /** The next signal; undefined if there is none, or the signal mutex is not free: readers hear when it is. */
  #take(): SigInfo | undefined {
    return this.#owner.threadGroup.handlers.mutex.tryRun(
      () => dequeueSignal(this.#owner, this.#mask),
      () => this.waiters.notify(POLLIN)
    )
  }

  override details(): string {
    return `sigmask:\t${this.#mask.toString(16).padStart(16, "0")}\n`
  }

  override readiness(): number {
    const { pending, threadGroup } = this.#owner
    return ((pending.set | threadGroup.pending.set) & this.#mask) === 0n ? 0 : POLLIN
  }
}
