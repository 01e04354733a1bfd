/**
 * Job control of terminals, ioctl_tty(2): which session controls one, and which process group is in its foreground.
 * Answered by the kernel for every kind of terminal; the host's own job control never learns of it.
 */
import { EFAULT, EINVAL, ENOTTY, EPERM, ESRCH } from "../Abi/Errno.ts"
import { TIOCGPGRP, TIOCGSID, TIOCNOTTY, TIOCSCTTY, TIOCSPGRP } from "../Abi/Termios.ts"
import type { Task } from "../Task/Task.ts"
import { PtyMaster } from "../Vfs/TtyPty.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { TtyOwner } from "../Vfs/TtyOwner.ts"

const REQUESTS = new Set([TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSCTTY, TIOCNOTTY])

export const isJobControl = (request: number): boolean => REQUESTS.has(request)

const setForeground = (task: Task, tty: TtyOwner, pointer: number): number => {
  const raw = new Uint8Array(4)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const id = new DataView(raw.buffer).getInt32(0, true)
  if (id < 0) return -EINVAL
  const { session } = task.threadGroup.processGroup
  const group = task.system.taskSet.processGroups.get(id)
  if (group === undefined) return -ESRCH
  if (group.session !== session) return -EPERM
  tty.foreground = id
  return 0
}

/** tcgetpgrp(3) and its kin. Errors: ENOTTY where it is not the caller's controlling terminal; EPERM, ESRCH, EINVAL. */
export const jobControl = (task: Task, file: OpenFileDescription, request: number, argument: number): number => {
  const { tty } = file
  if (tty === undefined) return -ENOTTY
  const { id, session } = task.threadGroup.processGroup
  // The master may ask about the session on its slave.
  const controls = tty.session === session.id || (file instanceof PtyMaster && tty.session !== undefined)
  switch (request) {
    case TIOCGPGRP:
      return controls ? task.memory.writeU32(argument, tty.foreground) : -ENOTTY
    case TIOCGSID:
      return controls ? task.memory.writeU32(argument, session.id) : -ENOTTY
    case TIOCSPGRP:
      return controls ? setForeground(task, tty, argument) : -ENOTTY
    case TIOCSCTTY:
      if (controls) return 0
      if (session.leader !== task.threadGroup || tty.session !== undefined) return -EPERM
      tty.adopt(session.id, id)
      return 0
    default:
      if (!controls) return -ENOTTY
      if (session.leader === task.threadGroup) tty.session = undefined
      return 0
  }
}
