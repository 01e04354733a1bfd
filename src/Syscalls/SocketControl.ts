/**
 * Control messages of sendmsg(2) and recvmsg(2), cmsg(3), unix(7): descriptors and credentials that travel.
 */
import { EBADF, EFAULT, EINVAL, ENOBUFS, EPERM, ESRCH, ETOOMANYREFS } from "../Abi/Errno.ts"
import { CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import {
  CmsgHdr,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  SCM_CREDENTIALS,
  SCM_MAX_FD,
  SCM_RIGHTS,
  SO_TIMESTAMP,
  SO_TIMESTAMPNS,
  SOL_SOCKET,
  Ucred
} from "../Abi/Socket.ts"
import { Timespec, Timeval, timespecOfNanos, timevalOfNanos } from "../Abi/Time.ts"
import { findTask } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapabilityIn, hasOwnCapability } from "../Vfs/Credentials.ts"
import { NO_ID } from "../Vfs/IdMap.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import type { Outgoing } from "../Vfs/SocketMessage.ts"
import { credentialsFor, credentialsOf } from "./SocketAddress.ts"

/** Most descriptors in flight in one sandbox, however many a task may open. */
const MAX_IN_FLIGHT = 65_536

/** Longest control buffer, net.core.optmem_max. */
const MAX_CONTROL = 131_072

const align = (length: number): number => Math.ceil(length / 8) * 8

/** What the task says that it is, as the sandbox's ids: its own ones, or it has a capability for others'. -EINVAL, -EPERM, -ESRCH. */
const translateClaim = (task: Task, { gid, pid, uid }: Ucred): Ucred | number => {
  const { userNamespace } = task.credentials
  const claimed = { pid, uid: userNamespace.userFrom(uid), gid: userNamespace.groupFrom(gid) }
  if (claimed.uid === NO_ID || claimed.gid === NO_ID) return -EINVAL
  if (!mayClaim(task, claimed)) return -EPERM
  const named = findTask(task, pid)
  return named === undefined ? -ESRCH : { ...claimed, pid: named.tid }
}

const mayClaim = (task: Task, claimed: Ucred): boolean => {
  const { credentials } = task
  const { ruid, euid, suid, rgid, egid, sgid } = credentials
  return (
    (claimed.pid === task.threadGroup.ownTgid ||
      hasCapabilityIn(credentials, task.threadGroup.pidNamespace.owner, CAP_SYS_ADMIN)) &&
    ([ruid, euid, suid].includes(claimed.uid) || hasOwnCapability(credentials, CAP_SETUID)) &&
    ([rgid, egid, sgid].includes(claimed.gid) || hasOwnCapability(credentials, CAP_SETGID))
  )
}

const takeDescriptors = (task: Task, numbers: Int32Array, rights: Array<OpenFileDescription>): number => {
  if (numbers.length + rights.length > SCM_MAX_FD) return -EINVAL
  // Differs from Linux: no capability lifts this limit, since what is in flight is the kernel's memory.
  const limit = task.threadGroup.limits.soft(RLIMIT_NOFILE)
  if (numbers.length > 0 && task.system.anonymous.inFlight.count > Math.min(limit, MAX_IN_FLIGHT)) return -ETOOMANYREFS
  for (const number of numbers) {
    const file = task.fds.get(number)
    if (file === undefined) return -EBADF
    rights.push(file.retain())
  }
  return 0
}

/**
 * Copies control messages in. What comes back holds one reference for each descriptor. -EFAULT, -ENOBUFS, -EINVAL,
 * -EBADF, -EPERM.
 */
export const readControl = (task: Task, pointer: number, length: number): Outgoing | number => {
  if (length > MAX_CONTROL) return -ENOBUFS
  const raw = new Uint8Array(length)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const rights: Array<OpenFileDescription> = []
  let credentials = credentialsOf(task)
  const fail = (error: number): number => {
    for (const file of rights) file.release()
    return error
  }
  for (let at = 0; at + CmsgHdr.size <= raw.length;) {
    const header = CmsgHdr.decode(raw.subarray(at))
    if (header.cmsg_len < CmsgHdr.size || at + header.cmsg_len > raw.length) return fail(-EINVAL)
    const body = raw.slice(at + CmsgHdr.size, at + header.cmsg_len)
    at += align(header.cmsg_len)
    if (header.cmsg_level !== SOL_SOCKET) continue
    if (header.cmsg_type === SCM_RIGHTS) {
      const error = takeDescriptors(task, new Int32Array(body.buffer, 0, Math.floor(body.length / 4)), rights)
      if (error < 0) return fail(error)
    } else if (header.cmsg_type === SCM_CREDENTIALS) {
      if (body.length !== Ucred.size) return fail(-EINVAL)
      const claimed = translateClaim(task, Ucred.decode(body))
      if (typeof claimed === "number") return fail(claimed)
      credentials = claimed
    } else return fail(-EINVAL)
  }
  return { credentials, rights }
}

const message = (type: number, body: Uint8Array): Uint8Array => {
  const raw = new Uint8Array(align(CmsgHdr.size + body.length))
  raw.set(CmsgHdr.encode({ cmsg_len: CmsgHdr.size + body.length, cmsg_level: SOL_SOCKET, cmsg_type: type }))
  raw.set(body, CmsgHdr.size)
  return raw
}

/** A control message of level SOL_SOCKET without descriptors. */
export interface ControlMessage {
  readonly type: number
  readonly body: Uint8Array
}

/** SO_PASSCRED: who has sent it. */
export const credentialsMessage = (task: Task, credentials: Ucred): ControlMessage => ({
  type: SCM_CREDENTIALS,
  body: Ucred.encode(credentialsFor(task, credentials))
})

/** SO_TIMESTAMP, SO_TIMESTAMPNS: when it was received. */
export const timeMessage = (task: Task, timestamps: "micro" | "nano"): ControlMessage => {
  const now = task.system.timekeeper.realtime()
  return timestamps === "micro"
    ? { type: SO_TIMESTAMP, body: Timeval.encode(timevalOfNanos(now)) }
    : { type: SO_TIMESTAMPNS, body: Timespec.encode(timespecOfNanos(now)) }
}

/** What recvmsg(2) says about control messages. */
export interface Delivered {
  /** Bytes of the control buffer used. */
  readonly length: number
  /** MSG_CTRUNC if something did not fit. */
  readonly flags: number
}

/**
 * Copies control messages out into `room` bytes at `pointer`, installing descriptors; those for which there is no room
 * are closed. -EFAULT.
 */
export const writeControl = (
  task: Task,
  pointer: number,
  room: number,
  flagBits: number,
  shown: ReadonlyArray<ControlMessage>,
  rights: ReadonlyArray<OpenFileDescription>
): Delivered | number => {
  let used = 0
  let flags = 0
  for (const { body, type } of shown) {
    const raw = message(type, body).subarray(0, room - used)
    if (raw.length < CmsgHdr.size + body.length) flags |= MSG_CTRUNC
    if (raw.length < CmsgHdr.size) continue
    if (task.memory.copyOut(pointer + used, raw) < 0) return -EFAULT
    used += raw.length
  }
  if (rights.length === 0) return { length: used, flags }
  const numbers: Array<number> = []
  const fits = Math.max(0, Math.floor((room - used - CmsgHdr.size) / 4))
  const limit = task.threadGroup.limits.soft(RLIMIT_NOFILE)
  for (const file of rights) {
    const number = numbers.length < fits ? task.fds.install(file, (flagBits & MSG_CMSG_CLOEXEC) !== 0, limit) : -1
    if (number < 0) file.release()
    else numbers.push(number)
  }
  if (numbers.length < rights.length) flags |= MSG_CTRUNC
  if (numbers.length > 0) {
    const raw = message(SCM_RIGHTS, new Uint8Array(Int32Array.from(numbers).buffer)).subarray(0, room - used)
    if (task.memory.copyOut(pointer + used, raw) < 0) return -EFAULT
    used += raw.length
  }
  return { length: used, flags }
}
