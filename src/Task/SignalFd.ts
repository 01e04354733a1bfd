/**
 * signalfd(2): pending signals as a file. The signals are those of whoever reads, polls or waits, not of the process that
 * made it; an epoll(7) instance looks as the one did who added the file.
 */
import { EAGAIN, EINVAL } from "../Abi/Errno.ts"
import { POLLIN } from "../Abi/Poll.ts"
import { AnonymousFile } from "../Vfs/AnonymousFile.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { SI_TIMER, type SignalSet, UNBLOCKABLE } from "../Abi/Signal.ts"
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
    case "Raw":
      return encodeRaw(info)
  }
}

/** What rt_sigqueueinfo(2) was given is read as its code says. */
const encodeRaw = (info: SigInfo & { readonly _tag: "Raw" }): Uint8Array => {
  const view = new DataView(info.rest.buffer, info.rest.byteOffset) // from byte 12 of siginfo_t on
  const [first, second, value] = [view.getUint32(4, true), view.getUint32(8, true), view.getBigUint64(12, true)]
  const common = { ...nothing, ssi_signo: info.signo, ssi_code: info.code, ssi_errno: info.errno }
  if (info.code >= 0) return SignalfdSiginfo.encode({ ...common, ssi_pid: first, ssi_uid: second })
  const queued = { ...common, ssi_int: lowInt(value), ssi_ptr: value }
  return SignalfdSiginfo.encode(
    info.code === SI_TIMER
      ? { ...queued, ssi_tid: first, ssi_overrun: second }
      : { ...queued, ssi_pid: first, ssi_uid: second }
  )
}

export class SignalFd extends AnonymousFile {
  /** Atomic: setMask. */
  mask: SignalSet = 0n

  /** `statusFlags`: O_NONBLOCK or 0. */
  constructor(by: Task, stat: Stat, mask: SignalSet, statusFlags: number) {
    super("signalfd", stat, statusFlags)
    this.setMask(by, mask)
  }

  setMask(by: Task, mask: SignalSet): void {
    this.mask = mask & ~UNBLOCKABLE
    by.threadGroup.signalArrivals.notify(POLLIN)
  }

  override facing(caller: object): OpenFileDescription {
    return new SignalsOf(caller as Task, this) // whoever makes system calls is a task
  }

  override details(): string {
    return `sigmask:\t${this.mask.toString(16).padStart(16, "0")}\n`
  }
}

/** A signalfd as one task sees it. */
class SignalsOf extends OpenFileDescription {
  readonly #task: Task
  readonly #file: SignalFd

  constructor(task: Task, file: SignalFd) {
    super(file.statusFlags, task.threadGroup.signalArrivals)
    this.#task = task
    this.#file = file
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
    return this.#task.threadGroup.handlers.mutex.tryRun(
      () => dequeueSignal(this.#task, this.#file.mask),
      () => this.waiters.notify(POLLIN)
    )
  }

  override stat(): Stat | number {
    return this.#file.stat()
  }

  override describe(): string {
    return this.#file.describe()
  }

  override readiness(): number {
    const { pending, threadGroup } = this.#task
    return ((pending.set | threadGroup.pending.set) & this.#file.mask) === 0n ? 0 : POLLIN
  }
}
