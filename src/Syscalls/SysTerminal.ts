/**
 * Terminals as system calls see them, ioctl_tty(2), termios(3): job control, which the kernel answers for every kind of
 * terminal (the host's own job control never learns of it); what happens to background processes; and reads that wait for
 * VMIN bytes or for VTIME.
 */
import * as Effect from "effect/Effect"
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EAGAIN, EFAULT, EINVAL, EIO, ENOTTY, EPERM, ERESTARTSYS, ESRCH } from "../Abi/Errno.ts"
import { O_CLOEXEC, O_NOCTTY } from "../Abi/OpenFlags.ts"
import { READABLE } from "../Abi/Poll.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { SIGTTIN, SIGTTOU } from "../Abi/Signal.ts"
import * as T from "../Abi/Termios.ts"
import type { Result } from "../Task/Syscall.ts"
import { findProcessGroup, idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { checkForeground, controllingTerminal, giveUpTerminal, takeTerminal } from "../Task/Terminal.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { DevPtsFs } from "../Vfs/DevPtsFs.ts"
import { Location } from "../Vfs/Mount.ts"
import { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { TtyOwner } from "../Vfs/TtyOwner.ts"
import { PtyMaster, PtySlave } from "../Vfs/TtyPty.ts"
import { holding, waitUntil } from "./Blocking.ts"

/** Requests that only a process in the foreground may make. */
const FOREGROUND_ONLY = new Set([
  T.TCSETS,
  T.TCSETSW,
  T.TCSETSF,
  T.TCSETS2,
  T.TCSETSW2,
  T.TCSETSF2,
  T.TCSETA,
  T.TCSETAW,
  T.TCSETAF,
  T.TCFLSH,
  T.TCXONC,
  T.TCSBRK,
  T.TCSBRKP,
  T.TIOCSETD,
  T.TIOCSPGRP
])

const setForeground = (task: Task, tty: TtyOwner, pointer: number): number => {
  const raw = new Uint8Array(4)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const id = new DataView(raw.buffer).getInt32(0, true)
  if (id < 0) return -EINVAL
  const { session } = task.threadGroup.processGroup
  const group = findProcessGroup(task, id)
  if (group === undefined) return -ESRCH
  if (group.session !== session) return -EPERM
  tty.foreground = group.id
  return 0
}

/** TIOCSCTTY. A privileged caller may, with 1 as the argument, take the terminal from another session. */
const setControlling = (task: Task, file: OpenFileDescription, tty: TtyOwner, argument: number): number => {
  const { threadGroup } = task
  const { session } = threadGroup.processGroup
  const isLeader = session.leader === threadGroup
  if (isLeader && tty.session === session.id) return 0
  if (!isLeader || controllingTerminal(threadGroup) !== undefined) return -EPERM
  const isPrivileged = hasCapability(task.credentials, CAP_SYS_ADMIN)
  if (tty.session !== undefined && !(argument === 1 && isPrivileged)) return -EPERM
  if (!file.readable && !isPrivileged) return -EPERM
  takeTerminal(threadGroup, tty)
  return 0
}

/** TIOCGPTPEER: opens the slave of a master, also where no path leads to it. */
const openPeer = (task: Task, master: PtyMaster, bits: number): number => {
  const { dentry, mount } = master.location()
  const start = new Location(mount, dentry.parent)
  const name = mount.filesystem instanceof DevPtsFs ? `${master.pty.index}` : `pts/${master.pty.index}`
  const file = task.system.vfs.open(task, start, name, bits | O_NOCTTY, 0)
  if (!(file instanceof OpenFileDescription)) return typeof file === "number" ? file : -EIO
  const fd = task.fds.install(file, (bits & O_CLOEXEC) !== 0, task.threadGroup.limits.soft(RLIMIT_NOFILE))
  if (fd < 0) file.release()
  return fd
}

/**
 * What an ioctl(2) means for job control; undefined if nothing, and the terminal itself answers. Errors: ENOTTY where it
 * is not the caller's controlling terminal; EPERM, ESRCH, EINVAL, EIO. Restart: ERESTARTSYS, of a background process.
 */
export const terminalRequest = (
  task: Task,
  file: OpenFileDescription,
  request: number,
  argument: number
): number | undefined => {
  const { tty } = file
  if (tty === undefined) return undefined
  const isMaster = file instanceof PtyMaster
  if (tty.hungUp && !isMaster) return request === T.TIOCSPGRP ? -ENOTTY : -EIO
  if (FOREGROUND_ONLY.has(request)) {
    const refused = checkForeground(task, tty, SIGTTOU)
    if (refused < 0) return refused === -EIO && request === T.TIOCSPGRP ? -ENOTTY : refused
  }
  const isControlling = controllingTerminal(task.threadGroup) === tty
  switch (request) {
    case T.TIOCGPGRP:
      // the master may ask about the session on its slave
      return isControlling || isMaster ? task.memory.writeU32(argument, idFor(task, tty.foreground)) : -ENOTTY
    case T.TIOCGSID:
      return (isControlling || isMaster) && tty.session !== undefined
        ? task.memory.writeU32(argument, idFor(task, tty.session))
        : -ENOTTY
    case T.TIOCSPGRP:
      return isControlling ? setForeground(task, tty, argument) : -ENOTTY
    case T.TIOCSCTTY:
      return setControlling(task, file, tty, argument)
    case T.TIOCNOTTY:
      if (!isControlling || isMaster) return -ENOTTY
      giveUpTerminal(task.system, task.threadGroup)
      return 0
    case T.TIOCSLCKTRMIOS:
      if (!(file instanceof PtyMaster || file instanceof PtySlave)) return undefined
      return hasCapability(task.credentials, CAP_SYS_ADMIN) ? file.pty.lock(argument, task.memory) : -EPERM
    case T.TIOCGPTPEER:
      return isMaster ? openPeer(task, file, argument) : -EIO
    default:
      return undefined
  }
}

/** open(2) of a terminal: it becomes the controlling terminal of a session leader that has none, but for O_NOCTTY. */
export const opened = (task: Task, file: OpenFileDescription): void => {
  const { tty } = file
  if (tty === undefined || tty.session !== undefined || !file.readable || file instanceof PtyMaster) return
  const { threadGroup } = task
  if (threadGroup.processGroup.session.leader !== threadGroup) return
  if (controllingTerminal(threadGroup) === undefined) takeTerminal(threadGroup, tty)
}

/** Whether `task` may read from `file` now: 0, -EIO, or -ERESTARTSYS as it was sent SIGTTIN. */
export const mayRead = (task: Task, file: OpenFileDescription): number => {
  const { tty } = file
  return tty === undefined || file instanceof PtyMaster ? 0 : checkForeground(task, tty, SIGTTIN)
}

/** Whether `task` may write to `file` now: with TOSTOP, only in the foreground. */
export const mayWrite = (task: Task, file: OpenFileDescription): number => {
  const { tty } = file
  if (tty === undefined || file instanceof PtyMaster) return 0
  if (tty.foreground === task.threadGroup.processGroup.id) return 0
  return ((file.termios?.c_lflag ?? 0) & T.TOSTOP) !== 0 ? checkForeground(task, tty, SIGTTOU) : 0
}

const NANOS_PER_TENTH = 100_000_000n

/**
 * A blocking read of at most `length` bytes from a terminal in raw mode that wants more than one byte, or waits for a
 * limited time; undefined where an ordinary read will do. `take` reads what there is: the count, or -EAGAIN.
 */
export const rawRead = (
  task: Task,
  file: OpenFileDescription,
  length: number,
  take: (position: number) => number
): Result | undefined => {
  const settings = file instanceof PtyMaster || file.tty === undefined ? undefined : file.termios
  if (settings === undefined || (settings.c_lflag & T.ICANON) !== 0) return undefined
  const minimum = settings.c_cc[T.VMIN] ?? 1
  const time = BigInt(settings.c_cc[T.VTIME] ?? 0) * NANOS_PER_TENTH
  if (minimum <= 1 && (time === 0n || minimum === 1)) return undefined
  const wanted = Math.min(length, Math.max(1, minimum))
  let done = 0
  // -EAGAIN: go on waiting; otherwise the result, or -ERESTARTSYS for "some, and the clock starts anew"
  const some = (): number => {
    const count = take(done)
    if (count <= 0) return count === -EAGAIN ? -EAGAIN : done > 0 ? done : count
    done += count
    return done
  }
  const wait = Effect.fnUntraced(function* () {
    while (true) {
      const waitsForFirst = done === 0 && minimum > 0
      const before = done
      const result = yield* waitUntil(task, [{ queue: file.waiters, events: READABLE }], some, {
        deadline: time === 0n || waitsForFirst ? undefined : task.system.timekeeper.monotonic() + time,
        expired: () => done,
        interrupted: () => (done > 0 ? done : -ERESTARTSYS)
      })
      if (result <= 0 || done === before || done >= wanted) return result
    }
  })
  return holding([file], Effect.suspend(wait))
}
