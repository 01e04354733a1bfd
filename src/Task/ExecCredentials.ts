/**
 * What execve(2) makes of a task's credentials, capabilities(7), "Transformation of capabilities during execve()". No
 * file has capabilities or set-user-ID rights of its own here.
 */
import { CAP_LAST_CAP } from "../Abi/Capability.ts"
import { SECBIT_NOROOT } from "../Abi/Prctl.ts"
import type { Credentials } from "../Vfs/Credentials.ts"

const ALL = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n

/** A program run by root gets every capability that the bounding set leaves; another user's, only the ambient ones. */
export const credentialsAfterExec = (old: Credentials, noNewPrivs: boolean): Credentials => {
  const { ambient, bounding, euid, egid, inheritable, ruid } = old
  const noRoot = ((old.securebits ?? 0) & SECBIT_NOROOT) !== 0
  const isRoot = !noRoot && (euid === 0 || ruid === 0)
  const gained = isRoot ? (inheritable | bounding | ambient) & ALL : ambient
  const permitted = noNewPrivs ? gained & old.permitted : gained
  const effective = isRoot && euid === 0 ? permitted : ambient & permitted
  return { ...old, permitted, effective, suid: euid, fsuid: euid, sgid: egid, fsgid: egid }
}

/** Whether /proc and ptrace(2) may show a fresh program to its own user. */
export const dumpableAfterExec = ({ euid, egid, rgid, ruid }: Credentials): number =>
  euid === ruid && egid === rgid ? 1 : 0
