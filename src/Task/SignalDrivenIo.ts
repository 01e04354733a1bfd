/**
 * Signal-driven I/O, fcntl(2), "Managing signals": O_ASYNC has whoever F_SETOWN names sent a signal when the file becomes
 * ready.
 */
import { F_OWNER_PGRP, F_OWNER_TID } from "../Abi/Fcntl.ts"
import { O_ASYNC } from "../Abi/OpenFlags.ts"
import { POLLIN, POLLMSG, POLLOUT, POLLRDNORM, POLLWRBAND, POLLWRNORM } from "../Abi/Poll.ts"
import { kernelSigInfo, type SigInfo } from "../Abi/SigInfo.ts"
import { POLL_IN, POLL_MSG, POLL_OUT, SIGIO, SIGURG } from "../Abi/Signal.ts"
import type { Waiter } from "../Sync/WaitQueue.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { System } from "./System.ts"
import { sendToGroup, sendToTask } from "./TaskSignals.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

const IN_BAND = POLLIN | POLLRDNORM
const OUT_BAND = POLLOUT | POLLWRNORM | POLLWRBAND

/** One file's. Exists while the file has O_ASYNC. */
class SignalDrivenIo implements Waiter {
  readonly events = IN_BAND | OUT_BAND
  readonly #system: System
  readonly #file: OpenFileDescription
  /** The descriptor by which O_ASYNC was set: si_fd. */
  readonly #fd: number

  constructor(system: System, file: OpenFileDescription, fd: number) {
    this.#system = system
    this.#file = file
    this.#fd = fd
  }

  /** Both ends of a pipe share a queue: each looks at its own direction. */
  wake(events: number): void {
    if ((events & IN_BAND) !== 0 && this.#file.readable) sendIoSignal(this.#system, this.#file, this.#fd, POLL_IN)
    else if ((events & OUT_BAND) !== 0 && this.#file.writable)
      sendIoSignal(this.#system, this.#file, this.#fd, POLL_OUT)
  }
}

const BANDS: Readonly<Record<number, number>> = {
  [POLL_IN]: IN_BAND,
  [POLL_OUT]: OUT_BAND,
  [POLL_MSG]: POLLIN | POLLRDNORM | POLLMSG
}

/** Sends whoever F_SETOWN of `file` names its signal. `code`: POLL_*, the reason; `fd`: by which descriptor it asked. */
export const sendIoSignal = (system: System, file: OpenFileDescription, fd: number, code: number): void => {
  const { signal } = file.asyncOwner
  const info: SigInfo =
    signal === 0 ? kernelSigInfo(SIGIO) : { _tag: "Poll", signo: signal, code, band: BANDS[code] ?? 0, fd }
  sendToOwner(system, file, info)
}

/** Out-of-band data has come: SIGURG, whatever F_SETSIG says. */
export const sendUrgentSignal = (system: System, file: OpenFileDescription): void =>
  sendToOwner(system, file, kernelSigInfo(SIGURG))

const sendToOwner = (system: System, file: OpenFileDescription, info: SigInfo): void => {
  const { pid, type } = file.asyncOwner
  if (pid === 0) return
  const { groups, processGroups, tasks } = system.taskSet
  if (type === F_OWNER_TID) {
    const task = tasks.get(pid)
    if (task !== undefined && maySignal(file, task.threadGroup)) sendToTask(task, info)
    return
  }
  const group = groups.get(pid)
  const targets = type === F_OWNER_PGRP ? (processGroups.get(pid)?.members ?? []) : group === undefined ? [] : [group]
  for (const target of targets) if (maySignal(file, target)) sendToGroup(target, info)
}

/** Whether who has set the owner may send it signals: as kill(2), by the ids of that time. */
const maySignal = (file: OpenFileDescription, { leader }: ThreadGroup): boolean => {
  const { euid, uid } = file.asyncOwner
  if (leader === undefined) return false
  const { ruid, suid } = leader.credentials
  return euid === 0 || [ruid, suid].some((id) => id === euid || id === uid)
}

/** Has `file` follow its O_ASYNC flag, which was just set or cleared by way of descriptor `fd`. */
export const followAsyncFlag = (system: System, file: OpenFileDescription, fd: number): void => {
  if (!file.signalsReadiness) return
  file.stopSignals?.()
  file.stopSignals = undefined
  if ((file.statusFlags & O_ASYNC) === 0) return
  const waiter = new SignalDrivenIo(system, file, fd)
  file.waiters.add(waiter)
  const forget = file.atRelease(() => file.waiters.remove(waiter))
  file.stopSignals = () => {
    file.waiters.remove(waiter)
    forget()
  }
}
