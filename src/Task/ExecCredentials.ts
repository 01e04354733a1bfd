/**
 * What execve(2) makes of who a task acts as: set-user-ID and set-group-ID programs, and capabilities(7),
 * "Transformation of capabilities during execve()". Capabilities of files are not honoured.
 */
import { R_OK } from "../Abi/At.ts"
import { CAP_LAST_CAP, CAP_SETUID } from "../Abi/Capability.ts"
import { S_ISGID, S_ISUID, S_IXGRP } from "../Abi/FileMode.ts"
import { SECBIT_NOROOT } from "../Abi/Prctl.ts"
import { type Credentials, hasOwnCapability, inGroup } from "../Vfs/Credentials.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { mayAccess } from "../Vfs/Permission.ts"

const ALL = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n

/** Who executes a program, and how. */
export interface ExecIdentity {
  readonly old: Credentials
  readonly noNewPrivs: boolean
  /** Somebody else could change the new program's state (CLONE_FS; a tracer without privileges): it gains nothing. */
  readonly unsafe: boolean
}

/** As whom the program runs. */
export interface ExecCredentials {
  readonly credentials: Credentials
  /** AT_SECURE: it must not trust its environment. */
  readonly secure: boolean
  /** Its file's bits count: personality(2) loses what would make addresses predictable. */
  readonly hasSetId: boolean
  /** Whether /proc and ptrace(2) may show it to its own user. */
  readonly isDumpable: boolean
  /** It gets its parent's death signal no more, prctl(2), PR_SET_PDEATHSIG. */
  readonly forgetsDeathSignal: boolean
}

/** The effective ids that the file's bits ask for; undefined where they don't count. */
const setIds = (
  { noNewPrivs, old }: ExecIdentity,
  file: OpenFileDescription
): { readonly euid: number; readonly egid: number } | undefined => {
  const stat = file.stat()
  const mount = file.location()?.mount
  if (typeof stat === "number" || noNewPrivs || mount?.noSuid === true) return undefined
  // who could mount the filesystem could write the bits
  if (mount?.filesystem.owner.contains(old.userNamespace) === false) return undefined
  const { gid, mode, uid } = stat
  const setsUser = (mode & S_ISUID) !== 0
  const setsGroup = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) // without S_IXGRP it once meant locking
  if (!setsUser && !setsGroup) return undefined
  if (!old.userNamespace.hasUser(uid) || !old.userNamespace.hasGroup(gid)) return undefined
  return { euid: setsUser ? uid : old.euid, egid: setsGroup ? gid : old.egid }
}

const isReadable = (file: OpenFileDescription, credentials: Credentials): boolean => {
  const inode = file.location()?.dentry.inode
  return inode === undefined || mayAccess(inode, R_OK, credentials) >= 0
}

/** Whether `a` has a bit that `b` lacks. */
const exceeds = (a: bigint, b: bigint): boolean => (a & ~b) !== 0n

/** As whom `file`, the program itself and not a script, runs. In the order of Linux's cap_bprm_creds_from_file. */
export const credentialsForExec = (identity: ExecIdentity, file: OpenFileDescription): ExecCredentials => {
  const { noNewPrivs, old, unsafe } = identity
  const { bounding, inheritable, rgid, ruid } = old
  const ids = setIds(identity, file)
  let { egid, euid } = ids ?? old
  const { root } = old.userNamespace
  const isRoot = ((old.securebits ?? 0) & SECBIT_NOROOT) === 0 && (euid === root || ruid === root)
  const isEffective = isRoot && euid === root
  let permitted = isRoot ? (bounding | inheritable | old.ambient) & ALL : old.ambient
  const idChanged = euid !== old.euid || !inGroup(old, egid)
  if ((idChanged || exceeds(permitted, old.permitted)) && (unsafe || noNewPrivs)) {
    if (!hasOwnCapability(old, CAP_SETUID) || noNewPrivs) {
      euid = ruid
      egid = rgid
    }
    permitted &= old.permitted
  }
  const ambient = idChanged ? 0n : old.ambient
  const effective = isEffective ? permitted : ambient & permitted
  const gains = ruid !== root && (isEffective || exceeds(permitted, ambient))
  const secure = idChanged || euid !== ruid || egid !== rgid || gains
  const differs =
    euid !== old.euid ||
    egid !== old.egid ||
    euid !== old.fsuid ||
    egid !== old.fsgid ||
    exceeds(permitted, old.permitted)
  const wasSplit = old.euid !== ruid || old.egid !== rgid
  return {
    credentials: {
      ...old,
      euid,
      suid: euid,
      fsuid: euid,
      egid,
      sgid: egid,
      fsgid: egid,
      permitted,
      effective,
      ambient
    },
    secure,
    hasSetId: ids !== undefined,
    isDumpable: !differs && !wasSplit && isReadable(file, old),
    forgetsDeathSignal: differs || secure
  }
}
