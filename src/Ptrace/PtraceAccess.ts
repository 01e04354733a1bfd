/**
 * Who may look into whom: ptrace(2), "Ptrace access mode checking". No security module restricts it further (Yama's
 * mode 0).
 */
import { CAP_SYS_PTRACE } from "../Abi/Capability.ts"
import { type Credentials, hasCapabilityIn } from "../Vfs/Credentials.ts"

/** By which ids of the caller: PTRACE_MODE_FSCREDS (proc) or PTRACE_MODE_REALCREDS (system calls). */
export type AccessBy = "filesystem ids" | "real ids"

/** PTRACE_MODE_ATTACH and PTRACE_MODE_READ, for a target of another process: they differ only in security modules. */
export const mayAccess = (
  caller: Credentials,
  target: Credentials,
  targetIsDumpable: boolean,
  by: AccessBy
): boolean => {
  if (hasCapabilityIn(caller, target.userNamespace, CAP_SYS_PTRACE)) return true
  const [uid, gid, held] =
    by === "real ids" ? [caller.ruid, caller.rgid, caller.permitted] : [caller.fsuid, caller.fsgid, caller.effective]
  const { egid, euid, rgid, ruid, sgid, suid } = target
  const sameUser = uid === euid && uid === suid && uid === ruid
  const sameGroup = gid === egid && gid === sgid && gid === rgid
  return sameUser && sameGroup && targetIsDumpable && hasNoMore(target, caller, held)
}

/** Whether `target` has no capability that isn't in `held`, of `caller`. */
const hasNoMore = (target: Credentials, caller: Credentials, held: bigint): boolean =>
  target.userNamespace === caller.userNamespace && (target.permitted & ~held) === 0n

/** Whether a program may ask its parent, PTRACE_TRACEME: nobody comes by capabilities so that he hasn't. */
export const mayBeTracedBy = (tracee: Credentials, parent: Credentials): boolean =>
  hasNoMore(tracee, parent, parent.permitted) || hasCapabilityIn(parent, tracee.userNamespace, CAP_SYS_PTRACE)

/** Whether a tracer keeps a program that it traces from gaining privileges by execve(2). */
export const limitsExec = (tracer: Credentials, tracee: Credentials): boolean =>
  !hasCapabilityIn(tracer, tracee.userNamespace, CAP_SYS_PTRACE)
