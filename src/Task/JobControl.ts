/**
 * Orphaned process groups, setpgid(2), credentials(7): groups that no shell looks after. Stop signals of the terminal do
 * not stop them, as nobody would continue them; and one that becomes orphaned while stopped gets SIGHUP and SIGCONT.
 */
import { SIGCONT, SIGHUP } from "../Abi/Signal.ts"
import { kernelSigInfo } from "../Abi/SigInfo.ts"
import type { ProcessGroup } from "./ProcessGroup.ts"
import { sendToGroup } from "./TaskSignals.ts"
import type { ThreadGroup } from "./ThreadGroup.ts"

/** Whether `member` ties its process group to a parent that may look after it. */
const isTied = (member: ThreadGroup, processGroup: ProcessGroup): boolean => {
  if (member.state !== "Alive") return false
  const { parent } = member
  if (parent === undefined) return member.hasJobControlParent
  return ties(parent, processGroup)
}

/** Whether a parent is one that may look after its children in `processGroup`: in another group of the same session. */
const ties = (parent: ThreadGroup, processGroup: ProcessGroup): boolean =>
  parent.processGroup !== processGroup && parent.processGroup.session === processGroup.session

/** Whether no member, `leaving` not counted, has a parent in another group of the session. Guarded by: TaskSet mutex. */
export const isOrphaned = (processGroup: ProcessGroup, leaving?: ThreadGroup): boolean => {
  for (const member of processGroup.members) {
    if (member !== leaving && isTied(member, processGroup)) return false
  }
  return true
}

const hasStoppedMember = (processGroup: ProcessGroup): boolean => {
  for (const member of processGroup.members) if (member.groupStop?.completed === true) return true
  return false
}

/** SIGHUP and SIGCONT for a group that nobody looks after any more and in which somebody is stopped. */
const hangUp = (processGroup: ProcessGroup): void => {
  if (!hasStoppedMember(processGroup)) return
  for (const signo of [SIGHUP, SIGCONT]) {
    for (const member of processGroup.newestFirst) sendToGroup(member, kernelSigInfo(signo))
  }
}

/** `leaving` ends: it may have been what tied its group to its parent. Guarded by: TaskSet mutex. */
export const hangUpAfterExit = (leaving: ThreadGroup): void => {
  const { parent, processGroup } = leaving
  const tied = parent === undefined ? leaving.hasJobControlParent : ties(parent, processGroup)
  if (tied && isOrphaned(processGroup, leaving)) hangUp(processGroup)
}

/** `child` has another parent now: the former may have been what tied its group. Guarded by: TaskSet mutex. */
export const hangUpAfterAdoption = (child: ThreadGroup, former: ThreadGroup): void => {
  const { processGroup } = child
  if (ties(former, processGroup) && isOrphaned(processGroup)) hangUp(processGroup)
}
