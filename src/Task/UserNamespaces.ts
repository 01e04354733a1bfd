/**
 * Making and entering user namespaces, user_namespaces(7).
 */
import { CAP_LAST_CAP, CAP_SETFCAP } from "../Abi/Capability.ts"
import { ENOSPC, EPERM } from "../Abi/Errno.ts"
import { type Credentials, hasOwnCapability } from "../Vfs/Credentials.ts"
import { UserNamespace } from "../Vfs/UserNamespace.ts"
import type { Task } from "./Task.ts"

/** "The kernel imposes … a limit of 32 nested levels of user namespaces." */
const MAX_LEVEL = 32

const ALL = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n

/** Who enters a user namespace has every capability there, and securebits as in the beginning. */
export const credentialsIn = (old: Credentials, userNamespace: UserNamespace): Credentials => ({
  ...old,
  userNamespace,
  effective: ALL,
  permitted: ALL,
  bounding: ALL,
  inheritable: 0n,
  ambient: 0n,
  securebits: 0
})

/** The task's credentials in a new user namespace, CLONE_NEWUSER; -ENOSPC, -EPERM. */
export const credentialsInNew = (task: Task): Credentials | number => {
  const { credentials, system } = task
  const parent = credentials.userNamespace
  const { egid, euid } = credentials
  if (parent.level > MAX_LEVEL) return -ENOSPC
  // whoever is in a chroot would get the capability to leave it
  if (!task.fs.root.equals(task.fs.namespace.top)) return -EPERM
  if (!parent.hasUser(euid) || !parent.hasGroup(egid)) return -EPERM
  const maker = { uid: euid, gid: egid, hasSetFileCapabilities: hasOwnCapability(credentials, CAP_SETFCAP) }
  return credentialsIn(credentials, new UserNamespace(system.namespaceNumbers.next(), parent, maker))
}
