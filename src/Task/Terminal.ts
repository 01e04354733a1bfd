/**
 * Controlling terminals, credentials(7), tty(4): how a session gets one and loses it, and what happens to a background
 * process that uses it.
 *
 * Which terminal a session controls is written twice: in the session, and by id in the terminal (`TtyOwner`), as a
 * terminal can hang up, or be taken away, without knowing about sessions. It counts only where both agree.
 */
import { EIO, ERESTARTSYS } from "../Abi/Errno.ts"
import { SIGCONT, SIGHUP, SIGTTIN, signalBit } from "../Abi/Signal.ts"
import { SIG_IGN } from "../Abi/SigAction.ts"
import { kernelSigInfo } from "../Abi/SigInfo.ts"
import type { TtyOwner } from "../Vfs/TtyOwner.ts"
import { isOrphaned } from "./JobControl.ts"
import type { System } from "./System.ts"
import type { Task } from "./Task.ts"
import { sendToGroup } from "./TaskSignals.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** The terminal that controls `group`, if it has one. */
export const controllingTerminal = (group: ThreadGroup): TtyOwner | undefined => {
  const { session } = group.processGroup
  return session.terminal?.session === session.id && !group.gaveUpTerminal ? session.terminal : undefined
}

/** `tty` becomes the controlling terminal of a session leader's session, with the leader's group in the foreground. */
export const takeTerminal = (leader: ThreadGroup, tty: TtyOwner): void => {
  const { id, session } = leader.processGroup
  session.terminal = tty
  leader.gaveUpTerminal = false
  tty.adopt(session.id, id)
}

const signalGroup = (system: System, id: number, signo: number): void => {
  for (const member of system.taskSet.processGroups.get(id)?.newestFirst ?? [])
    sendToGroup(member, kernelSigInfo(signo))
}

const release = (tty: TtyOwner): void => {
  tty.session = undefined
  tty.foreground = 0
}

/** TIOCNOTTY: a leader takes the terminal from the whole session, whose foreground hangs up. */
export const giveUpTerminal = (system: System, group: ThreadGroup): void => {
  const tty = controllingTerminal(group)
  if (tty === undefined) return
  group.gaveUpTerminal = true
  const { session } = group.processGroup
  if (session.leader !== group) return
  session.terminal = undefined
  signalGroup(system, tty.foreground, SIGHUP)
  signalGroup(system, tty.foreground, SIGCONT)
  release(tty)
}

/**
 * The end of `group`: if it leads a session, who is in the foreground of its terminal hangs up; and if the terminal has
 * gone already, who was. Guarded by: TaskSet mutex.
 */
export const hangUpForeground = (system: System, group: ThreadGroup): void => {
  const { session } = group.processGroup
  const tty = session.terminal
  if (session.leader !== group || tty === undefined) return
  session.terminal = undefined
  if (tty.session === session.id) {
    signalGroup(system, tty.foreground, SIGHUP)
    release(tty)
  } else if (tty.hungUp) {
    signalGroup(system, tty.foreground, SIGHUP)
    signalGroup(system, tty.foreground, SIGCONT)
  }
}

/**
 * Whether `task` may use its controlling terminal as a process in the foreground does: 0; otherwise its whole process
 * group is sent `signo` (SIGTTIN or SIGTTOU), and the call starts over once it goes on: -ERESTARTSYS. -EIO where the signal
 * would stop nobody for good; but output of who blocks or ignores SIGTTOU passes.
 */
export const checkForeground = (task: Task, tty: TtyOwner, signo: number): number => {
  const group = task.threadGroup
  const { processGroup } = group
  if (tty.foreground === processGroup.id || tty.foreground === 0) return 0
  if (controllingTerminal(group) !== tty) return 0
  const isIgnored = group.handlers.get(signo).sa_handler === SIG_IGN || (task.blocked & signalBit(signo)) !== 0n
  if (isIgnored) return signo === SIGTTIN ? -EIO : 0
  if (isOrphaned(processGroup)) return -EIO
  signalGroup(task.system, processGroup.id, signo)
  return -ERESTARTSYS
}
