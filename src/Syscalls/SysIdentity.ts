/**
 * Who and what a task is: ids, process groups, sessions, credentials, names.
 */
import { CAP_SETGID, CAP_SETUID, FILE_CAPABILITIES } from "../Abi/Capability.ts"
import { EACCES, EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { SECBIT_NO_SETUID_FIXUP } from "../Abi/Prctl.ts"
import { ProcessGroup, Session } from "../Task/ProcessGroup.ts"
import { type Result, address, declare, int, pid, uint } from "../Task/Syscall.ts"
import { findGroup, idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { leaveProcessGroup } from "../Task/TaskExit.ts"
import type { ThreadGroup } from "../Task/ThreadGroup.ts"
import { type Credentials, hasOwnCapability } from "../Vfs/Credentials.ts"
import { NO_ID } from "../Vfs/IdMap.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Process groups and sessions
// ---------------------------------------------------------------------------------------------------------------------

const groupOf = (task: Task, id: number): ThreadGroup | undefined => (id === 0 ? task.threadGroup : findGroup(task, id))

const move = (task: Task, group: ThreadGroup, processGroup: ProcessGroup): void => {
  if (group.processGroup === processGroup) return
  leaveProcessGroup(group, task)
  group.processGroup = processGroup
  processGroup.members.add(group)
  task.system.taskSet.processGroups.set(processGroup.id, processGroup)
}

const setpgid = (task: Task, id: number, pgid: number): Result => {
  if ((pgid || id) < 0) return -EINVAL
  const { taskSet } = task.system
  return taskSet.mutex.run(() => {
    const target = groupOf(task, id)
    if (target === undefined) return -ESRCH
    const { session } = task.threadGroup.processGroup
    if (target !== task.threadGroup) {
      if (target.parent !== task.threadGroup) return -ESRCH
      if (target.processGroup.session !== session) return -EPERM
      if (target.hasExeced) return -EACCES
    }
    if (target.processGroup.session.leader === target) return -EPERM
    const wanted = pgid === 0 ? target.tgid : task.threadGroup.pidNamespace.toOutside(pgid)
    if (wanted === target.tgid) {
      move(task, target, taskSet.processGroups.get(wanted) ?? new ProcessGroup(wanted, session))
      return 0
    }
    const existing = taskSet.processGroups.get(wanted)
    if (existing === undefined || existing.session !== session) return -EPERM
    move(task, target, existing)
    return 0
  })
}

const setsid = (task: Task): Result => {
  const { taskSet } = task.system
  return taskSet.mutex.run(() => {
    const group = task.threadGroup
    if (taskSet.processGroups.has(group.tgid)) return -EPERM
    const session = new Session(group.tgid, group)
    move(task, group, new ProcessGroup(group.tgid, session))
    taskSet.sessions.set(session.id, session)
    group.gaveUpTerminal = false
    return group.ownTgid
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Credentials
// ---------------------------------------------------------------------------------------------------------------------

/** -1 as an argument: leave that id as it is. */
const KEEP = NO_ID

/** What a guest's argument means to the sandbox. Undefined: an id that means nothing in its user namespace, EINVAL. */
const userFrom = ({ credentials }: Task, id: number): number | undefined => {
  const user = id === KEEP ? KEEP : credentials.userNamespace.userFrom(id)
  return user === NO_ID && id !== KEEP ? undefined : user
}

const groupFrom = ({ credentials }: Task, id: number): number | undefined => {
  const group = id === KEEP ? KEEP : credentials.userNamespace.groupFrom(id)
  return group === NO_ID && id !== KEEP ? undefined : group
}

/** Capabilities follow the user ids, capabilities(7), "Effect of user ID changes on capabilities". */
const withUids = (task: Task, change: Partial<Credentials>): Credentials => {
  const old = task.credentials
  const { root } = old.userNamespace
  let next: Credentials = { ...old, ...change }
  if (((old.securebits ?? 0) & SECBIT_NO_SETUID_FIXUP) !== 0) return next
  const hadRoot = old.ruid === root || old.euid === root || old.suid === root
  const hasRoot = next.ruid === root || next.euid === root || next.suid === root
  if (hadRoot && !hasRoot && !task.keepCapabilities) next = { ...next, permitted: 0n, effective: 0n, ambient: 0n }
  if (old.euid === root && next.euid !== root) next = { ...next, effective: 0n }
  if (old.euid !== root && next.euid === root) next = { ...next, effective: next.permitted }
  return next
}

const setresuid = (task: Task, realId: number, effectiveId: number, savedId: number): Result => {
  const [ruid, euid, suid] = [userFrom(task, realId), userFrom(task, effectiveId), userFrom(task, savedId)]
  if (ruid === undefined || euid === undefined || suid === undefined) return -EINVAL
  const old = task.credentials
  const allowed = (id: number): boolean => id === KEEP || id === old.ruid || id === old.euid || id === old.suid
  if (!hasOwnCapability(old, CAP_SETUID) && !(allowed(ruid) && allowed(euid) && allowed(suid))) return -EPERM
  const effective = euid === KEEP ? old.euid : euid
  task.credentials = withUids(task, {
    ruid: ruid === KEEP ? old.ruid : ruid,
    euid: effective,
    suid: suid === KEEP ? old.suid : suid,
    fsuid: effective
  })
  return 0
}

const setresgid = (task: Task, realId: number, effectiveId: number, savedId: number): Result => {
  const [rgid, egid, sgid] = [groupFrom(task, realId), groupFrom(task, effectiveId), groupFrom(task, savedId)]
  if (rgid === undefined || egid === undefined || sgid === undefined) return -EINVAL
  const old = task.credentials
  const allowed = (id: number): boolean => id === KEEP || id === old.rgid || id === old.egid || id === old.sgid
  if (!hasOwnCapability(old, CAP_SETGID) && !(allowed(rgid) && allowed(egid) && allowed(sgid))) return -EPERM
  const effective = egid === KEEP ? old.egid : egid
  task.credentials = {
    ...old,
    rgid: rgid === KEEP ? old.rgid : rgid,
    egid: effective,
    sgid: sgid === KEEP ? old.sgid : sgid,
    fsgid: effective
  }
  return 0
}

const setuid = (task: Task, id: number): Result => {
  const uid = userFrom(task, id)
  if (uid === undefined || uid === KEEP) return -EINVAL
  const old = task.credentials
  if (hasOwnCapability(old, CAP_SETUID)) {
    task.credentials = withUids(task, { ruid: uid, euid: uid, suid: uid, fsuid: uid })
    return 0
  }
  if (uid !== old.ruid && uid !== old.suid) return -EPERM
  task.credentials = withUids(task, { euid: uid, fsuid: uid })
  return 0
}

const setgid = (task: Task, id: number): Result => {
  const gid = groupFrom(task, id)
  if (gid === undefined || gid === KEEP) return -EINVAL
  const old = task.credentials
  if (hasOwnCapability(old, CAP_SETGID)) {
    task.credentials = { ...old, rgid: gid, egid: gid, sgid: gid, fsgid: gid }
    return 0
  }
  if (gid !== old.rgid && gid !== old.sgid) return -EPERM
  task.credentials = { ...old, egid: gid, fsgid: gid }
  return 0
}

const setreuid = (task: Task, realId: number, effectiveId: number): Result => {
  const [ruid, euid] = [userFrom(task, realId), userFrom(task, effectiveId)]
  if (ruid === undefined || euid === undefined) return -EINVAL
  const old = task.credentials
  if (!hasOwnCapability(old, CAP_SETUID)) {
    if (ruid !== KEEP && ruid !== old.ruid && ruid !== old.euid) return -EPERM
    if (euid !== KEEP && euid !== old.ruid && euid !== old.euid && euid !== old.suid) return -EPERM
  }
  const effective = euid === KEEP ? old.euid : euid
  const savesToo = ruid !== KEEP || (euid !== KEEP && euid !== old.ruid)
  task.credentials = withUids(task, {
    ruid: ruid === KEEP ? old.ruid : ruid,
    euid: effective,
    suid: savesToo ? effective : old.suid,
    fsuid: effective
  })
  return 0
}

const setregid = (task: Task, realId: number, effectiveId: number): Result => {
  const [rgid, egid] = [groupFrom(task, realId), groupFrom(task, effectiveId)]
  if (rgid === undefined || egid === undefined) return -EINVAL
  const old = task.credentials
  if (!hasOwnCapability(old, CAP_SETGID)) {
    if (rgid !== KEEP && rgid !== old.rgid && rgid !== old.egid) return -EPERM
    if (egid !== KEEP && egid !== old.rgid && egid !== old.egid && egid !== old.sgid) return -EPERM
  }
  const effective = egid === KEEP ? old.egid : egid
  const savesToo = rgid !== KEEP || (egid !== KEEP && egid !== old.rgid)
  task.credentials = {
    ...old,
    rgid: rgid === KEEP ? old.rgid : rgid,
    egid: effective,
    sgid: savesToo ? effective : old.sgid,
    fsgid: effective
  }
  return 0
}

/** Capabilities that are about files follow the filesystem user id. */
const withFsuid = (old: Credentials, fsuid: number): Credentials => {
  const { root } = old.userNamespace
  const next = { ...old, fsuid }
  if (((old.securebits ?? 0) & SECBIT_NO_SETUID_FIXUP) !== 0 || (old.fsuid === root) === (fsuid === root)) return next
  const others = old.effective & ~FILE_CAPABILITIES
  return { ...next, effective: fsuid === root ? old.effective | (old.permitted & FILE_CAPABILITIES) : others }
}

const setfsuid = (task: Task, id: number): Result => {
  const old = task.credentials
  const uid = old.userNamespace.userFrom(id)
  const allowed = uid === old.ruid || uid === old.euid || uid === old.suid || uid === old.fsuid
  if (uid !== NO_ID && (allowed || hasOwnCapability(old, CAP_SETUID))) task.credentials = withFsuid(old, uid)
  return old.userNamespace.userTo(old.fsuid)
}

const setfsgid = (task: Task, id: number): Result => {
  const old = task.credentials
  const gid = old.userNamespace.groupFrom(id)
  const allowed = gid === old.rgid || gid === old.egid || gid === old.sgid || gid === old.fsgid
  if (gid !== NO_ID && (allowed || hasOwnCapability(old, CAP_SETGID))) task.credentials = { ...old, fsgid: gid }
  return old.userNamespace.groupTo(old.fsgid)
}

const writeThree = (task: Task, addresses: ReadonlyArray<number>, ids: ReadonlyArray<number>): Result => {
  for (const [index, at] of addresses.entries()) if (task.memory.writeU32(at, ids[index]!) < 0) return -EFAULT
  return 0
}

const getresuid = (task: Task, ...addresses: ReadonlyArray<number>): Result => {
  const { euid, ruid, suid, userNamespace } = task.credentials
  return writeThree(
    task,
    addresses,
    [ruid, euid, suid].map((uid) => userNamespace.userTo(uid))
  )
}

const getresgid = (task: Task, ...addresses: ReadonlyArray<number>): Result => {
  const { egid, rgid, sgid, userNamespace } = task.credentials
  return writeThree(
    task,
    addresses,
    [rgid, egid, sgid].map((gid) => userNamespace.groupTo(gid))
  )
}

const MAX_GROUPS = 65_536

const getgroups = (task: Task, count: number, at: number): Result => {
  const { groups, userNamespace } = task.credentials
  if (count < 0) return -EINVAL
  if (count === 0) return groups.length
  if (count < groups.length) return -EINVAL
  const bytes = new Uint8Array(Uint32Array.from(groups, (gid) => userNamespace.groupTo(gid)).buffer)
  return task.memory.copyOut(at, bytes) < 0 ? -EFAULT : groups.length
}

const setgroups = (task: Task, count: number, at: number): Result => {
  const { credentials } = task
  const { userNamespace } = credentials
  if (!hasOwnCapability(credentials, CAP_SETGID) || !userNamespace.permitsSetgroups) return -EPERM
  if (count > MAX_GROUPS) return -EINVAL
  const bytes = new Uint8Array(count * 4)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const groups = Array.from(new Uint32Array(bytes.buffer), (gid) => userNamespace.groupFrom(gid))
  if (groups.includes(NO_ID)) return -EINVAL
  task.credentials = { ...credentials, groups: groups.sort((one, other) => one - other) }
  return 0
}

export const sysIdentity = [
  declare("getpid", [], (task) => task.threadGroup.ownTgid),
  declare("gettid", [], (task) => task.ownTid),
  declare("getppid", [], ({ threadGroup }) => threadGroup.parentIn(threadGroup.pidNamespace)),
  declare("getuid", [], ({ credentials }) => credentials.userNamespace.userTo(credentials.ruid)),
  declare("geteuid", [], ({ credentials }) => credentials.userNamespace.userTo(credentials.euid)),
  declare("getgid", [], ({ credentials }) => credentials.userNamespace.groupTo(credentials.rgid)),
  declare("getegid", [], ({ credentials }) => credentials.userNamespace.groupTo(credentials.egid)),
  declare("getpgrp", [], (task) => idFor(task, task.threadGroup.processGroup.id)),
  declare("getpgid", [pid("pid")], (task, id) => {
    const group = groupOf(task, id)
    return group === undefined ? -ESRCH : idFor(task, group.processGroup.id)
  }),
  declare("getsid", [pid("pid")], (task, id) => {
    const group = groupOf(task, id)
    return group === undefined ? -ESRCH : idFor(task, group.processGroup.session.id)
  }),
  declare("setpgid", [pid("pid"), pid("pgid")], setpgid),
  declare("setsid", [], setsid),
  declare("setuid", [uint("uid")], setuid),
  declare("setgid", [uint("gid")], setgid),
  declare("setreuid", [uint("ruid"), uint("euid")], setreuid),
  declare("setregid", [uint("rgid"), uint("egid")], setregid),
  declare("setresuid", [uint("ruid"), uint("euid"), uint("suid")], setresuid),
  declare("setresgid", [uint("rgid"), uint("egid"), uint("sgid")], setresgid),
  declare("getresuid", [address("ruid"), address("euid"), address("suid")], getresuid),
  declare("getresgid", [address("rgid"), address("egid"), address("sgid")], getresgid),
  declare("setfsuid", [uint("fsuid")], setfsuid),
  declare("setfsgid", [uint("fsgid")], setfsgid),
  declare("getgroups", [int("size"), address("list")], getgroups),
  declare("setgroups", [uint("size"), address("list")], setgroups),
  declare("set_tid_address", [address("tidptr")], (task, at) => {
    task.clearChildTid = at
    return task.ownTid
  })
]
