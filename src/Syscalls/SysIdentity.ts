/**
 * Who and what a task is: ids, process groups, sessions, credentials, names.
 */
import { CAP_SETGID, CAP_SETUID } from "../Abi/Capability.ts"
import { EACCES, EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { SECBIT_NO_SETUID_FIXUP } from "../Abi/Prctl.ts"
import { ProcessGroup, Session } from "../Task/ProcessGroup.ts"
import { type Result, address, declare, int, pid, size, uint } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { leaveProcessGroup } from "../Task/TaskExit.ts"
import type { ThreadGroup } from "../Task/ThreadGroup.ts"
import { type Credentials, hasCapability } from "../Vfs/Credentials.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Process groups and sessions
// ---------------------------------------------------------------------------------------------------------------------

const groupOf = (task: Task, id: number): ThreadGroup | undefined =>
  id === 0 ? task.threadGroup : task.system.taskSet.groups.get(id)

const move = (task: Task, group: ThreadGroup, processGroup: ProcessGroup): void => {
  if (group.processGroup === processGroup) return
  leaveProcessGroup(group, task)
  group.processGroup = processGroup
  processGroup.members.add(group)
  task.system.taskSet.processGroups.set(processGroup.id, processGroup)
}

const setpgid = (task: Task, id: number, pgid: number): Result => {
  if (pgid < 0) return -EINVAL
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
    const wanted = pgid === 0 ? target.tgid : pgid
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
    return group.tgid
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Credentials
// ---------------------------------------------------------------------------------------------------------------------

/** -1 as an argument: leave that id as it is. */
const KEEP = 0xffff_ffff

/** Capabilities follow the user ids, capabilities(7), "Effect of user ID changes on capabilities". */
const withUids = (task: Task, change: Partial<Credentials>): Credentials => {
  const old = task.credentials
  let next: Credentials = { ...old, ...change }
  if (((old.securebits ?? 0) & SECBIT_NO_SETUID_FIXUP) !== 0) return next
  const hadRoot = old.ruid === 0 || old.euid === 0 || old.suid === 0
  const hasRoot = next.ruid === 0 || next.euid === 0 || next.suid === 0
  if (hadRoot && !hasRoot && !task.keepCapabilities) next = { ...next, permitted: 0n, effective: 0n, ambient: 0n }
  if (old.euid === 0 && next.euid !== 0) next = { ...next, effective: 0n }
  if (old.euid !== 0 && next.euid === 0) next = { ...next, effective: next.permitted }
  return next
}

const setresuid = (task: Task, ruid: number, euid: number, suid: number): Result => {
  const old = task.credentials
  const allowed = (id: number): boolean => id === KEEP || id === old.ruid || id === old.euid || id === old.suid
  if (!hasCapability(old, CAP_SETUID) && !(allowed(ruid) && allowed(euid) && allowed(suid))) return -EPERM
  const effective = euid === KEEP ? old.euid : euid
  task.credentials = withUids(task, {
    ruid: ruid === KEEP ? old.ruid : ruid,
    euid: effective,
    suid: suid === KEEP ? old.suid : suid,
    fsuid: effective
  })
  return 0
}

const setresgid = (task: Task, rgid: number, egid: number, sgid: number): Result => {
  const old = task.credentials
  const allowed = (id: number): boolean => id === KEEP || id === old.rgid || id === old.egid || id === old.sgid
  if (!hasCapability(old, CAP_SETGID) && !(allowed(rgid) && allowed(egid) && allowed(sgid))) return -EPERM
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

const setuid = (task: Task, uid: number): Result => {
  if (uid === KEEP) return -EINVAL
  const old = task.credentials
  if (hasCapability(old, CAP_SETUID)) {
    task.credentials = withUids(task, { ruid: uid, euid: uid, suid: uid, fsuid: uid })
    return 0
  }
  if (uid !== old.ruid && uid !== old.suid) return -EPERM
  task.credentials = withUids(task, { euid: uid, fsuid: uid })
  return 0
}

const setgid = (task: Task, gid: number): Result => {
  if (gid === KEEP) return -EINVAL
  const old = task.credentials
  if (hasCapability(old, CAP_SETGID)) {
    task.credentials = { ...old, rgid: gid, egid: gid, sgid: gid, fsgid: gid }
    return 0
  }
  if (gid !== old.rgid && gid !== old.sgid) return -EPERM
  task.credentials = { ...old, egid: gid, fsgid: gid }
  return 0
}

const setreuid = (task: Task, ruid: number, euid: number): Result => {
  const old = task.credentials
  if (!hasCapability(old, CAP_SETUID)) {
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

const setregid = (task: Task, rgid: number, egid: number): Result => {
  const old = task.credentials
  if (!hasCapability(old, CAP_SETGID)) {
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

const writeThree = (task: Task, targets: ReadonlyArray<readonly [address: number, id: number]>): Result => {
  for (const [at, id] of targets) if (task.memory.writeU32(at, id) < 0) return -EFAULT
  return 0
}

const MAX_GROUPS = 65_536

const getgroups = (task: Task, count: number, at: number): Result => {
  const { groups } = task.credentials
  if (count < 0) return -EINVAL
  if (count === 0) return groups.length
  if (count < groups.length) return -EINVAL
  const bytes = new Uint8Array(new Uint32Array(groups).buffer)
  return task.memory.copyOut(at, bytes) < 0 ? -EFAULT : groups.length
}

const setgroups = (task: Task, count: number, at: number): Result => {
  if (!hasCapability(task.credentials, CAP_SETGID)) return -EPERM
  if (count > MAX_GROUPS) return -EINVAL
  const bytes = new Uint8Array(count * 4)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  task.credentials = { ...task.credentials, groups: [...new Uint32Array(bytes.buffer).sort()] }
  return 0
}

export const sysIdentity = [
  declare("getpid", [], (task) => task.threadGroup.tgid),
  declare("gettid", [], (task) => task.tid),
  declare("getppid", [], (task) => task.threadGroup.parentTgid),
  declare("getuid", [], (task) => task.credentials.ruid),
  declare("geteuid", [], (task) => task.credentials.euid),
  declare("getgid", [], (task) => task.credentials.rgid),
  declare("getegid", [], (task) => task.credentials.egid),
  declare("getpgrp", [], (task) => task.threadGroup.processGroup.id),
  declare("getpgid", [pid("pid")], (task, id) => groupOf(task, id)?.processGroup.id ?? -ESRCH),
  declare("getsid", [pid("pid")], (task, id) => groupOf(task, id)?.processGroup.session.id ?? -ESRCH),
  declare("setpgid", [pid("pid"), pid("pgid")], setpgid),
  declare("setsid", [], setsid),
  declare("setuid", [uint("uid")], setuid),
  declare("setgid", [uint("gid")], setgid),
  declare("setreuid", [uint("ruid"), uint("euid")], setreuid),
  declare("setregid", [uint("rgid"), uint("egid")], setregid),
  declare("setresuid", [uint("ruid"), uint("euid"), uint("suid")], setresuid),
  declare("setresgid", [uint("rgid"), uint("egid"), uint("sgid")], setresgid),
  declare("getresuid", [address("ruid"), address("euid"), address("suid")], (task, ruid, euid, suid) =>
    writeThree(task, [
      [ruid, task.credentials.ruid],
      [euid, task.credentials.euid],
      [suid, task.credentials.suid]
    ])
  ),
  declare("getresgid", [address("rgid"), address("egid"), address("sgid")], (task, rgid, egid, sgid) =>
    writeThree(task, [
      [rgid, task.credentials.rgid],
      [egid, task.credentials.egid],
      [sgid, task.credentials.sgid]
    ])
  ),
  declare("setfsuid", [uint("fsuid")], (task, id) => {
    const old = task.credentials
    const allowed = id === old.ruid || id === old.euid || id === old.suid || id === old.fsuid
    if (allowed || hasCapability(old, CAP_SETUID)) task.credentials = { ...old, fsuid: id }
    return old.fsuid
  }),
  declare("setfsgid", [uint("fsgid")], (task, id) => {
    const old = task.credentials
    const allowed = id === old.rgid || id === old.egid || id === old.sgid || id === old.fsgid
    if (allowed || hasCapability(old, CAP_SETGID)) task.credentials = { ...old, fsgid: id }
    return old.fsgid
  }),
  declare("getgroups", [int("size"), address("list")], getgroups),
  declare("setgroups", [size("size"), address("list")], setgroups),
  declare("set_tid_address", [address("tidptr")], (task, at) => {
    task.clearChildTid = at
    return task.tid
  })
]
