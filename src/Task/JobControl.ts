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
  return parent.processGroup !== processGroup && parent.processGroup.session === processGroup.session
}

/** Whether no member but those in `ignoring` has a parent in another group of the session. Guarded by: TaskSet mutex. */
export const isOrphaned = (processGroup: ProcessGroup, ignoring?: ThreadGroup): boolean => {
  for (const member of processGroup.members) {
    // whoever leaves ties nobody any more, and what it leaves behind goes to the kernel
    if (member !== ignoring && (ignoring === undefined || member.parent !== ignoring) && isTied(member, processGroup)) {
      return false
    }
  }
  return true
}

const hasStoppedMember = (processGroup: ProcessGroup): boolean => {
  for (const member of processGroup.members) if (member.groupStop?.completed === true) return true
  return false
}

/**
 * `leaving` ends, and still has its place in the tree: its own process group and those of its children may lose their
 * last tie. Guarded by: TaskSet mutex.
 */
export const hangUpOrphans = (leaving: ThreadGroup): void => {
  const affected = new Set([leaving.processGroup])
  for (const child of leaving.children) affected.add(child.processGroup)
  for (const processGroup of affected) {
    if (!isOrphaned(processGroup, leaving) || !losesTie(leaving, processGroup) || !hasStoppedMember(processGroup))
      continue
    for (const member of processGroup.members) {
      sendToGroup(member, kernelSigInfo(SIGHUP))
      sendToGroup(member, kernelSigInfo(SIGCONT))
    }
  }
}

/** Whether `leaving` was a tie of that group, as a member or as a member's parent. */
const losesTie = (leaving: ThreadGroup, processGroup: ProcessGroup): boolean => {
  const { parent } = leaving
  if (leaving.processGroup === processGroup) {
    if (parent === undefined) return leaving.hasJobControlParent
    return parent.processGroup !== processGroup && parent.processGroup.session === processGroup.session
  }
  return leaving.processGroup.session === processGroup.session
}
