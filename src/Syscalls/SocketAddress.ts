/**
 * Socket addresses and descriptors as the calls of socket(7) pass them: where a `sockaddr_un` becomes a socket.
 */
import { EBADF, ECONNREFUSED, EFAULT, EINVAL, ENOTSOCK, EPROTOTYPE } from "../Abi/Errno.ts"
import { W_OK } from "../Abi/At.ts"
import { S_IFMT, S_IFSOCK } from "../Abi/FileMode.ts"
import { AF_UNIX, SOCKADDR_MAX, SOCKADDR_UN_SIZE, SUN_PATH_OFFSET, type Ucred } from "../Abi/Socket.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { NO_ID } from "../Vfs/IdMap.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import type { SocketName } from "../Vfs/SocketMessage.ts"
import { UnixSocket } from "../Vfs/SocketUnix.ts"
import { fileOf } from "./Blocking.ts"

/** The socket behind `fd`; -EBADF, -ENOTSOCK. */
export const socketOf = (task: Task, fd: number): UnixSocket | number => {
  const file = fileOf(task, fd)
  if (file === undefined) return -EBADF
  return file instanceof UnixSocket ? file : -ENOTSOCK
}

/** Who the task is, as SO_PEERCRED and SCM_CREDENTIALS say it. */
export const credentialsOf = (task: Task): Ucred => ({
  pid: task.threadGroup.tgid,
  uid: task.credentials.euid,
  gid: task.credentials.egid
})

/** `sender` as the task sees it. */
export const credentialsFor = (task: Task, { gid, pid, uid }: Ucred): Ucred => {
  const { userNamespace } = task.credentials
  return {
    pid: idFor(task, pid),
    uid: uid === NO_ID ? NO_ID : userNamespace.userTo(uid),
    gid: gid === NO_ID ? NO_ID : userNamespace.groupTo(gid)
  }
}

/** A copied-in address: its family and what follows. */
export interface Address {
  readonly family: number
  readonly rest: Uint8Array
}

/** Copies an address in. -EINVAL for an impossible length, -EFAULT. */
export const copyAddress = (task: Task, pointer: number, length: number): Uint8Array | number => {
  if (length < 0 || length > SOCKADDR_MAX) return -EINVAL
  const raw = new Uint8Array(length)
  return task.memory.copyIn(pointer, raw) < 0 ? -EFAULT : raw
}

/** `copyAddress` and `addressOf`. */
export const readAddress = (task: Task, pointer: number, length: number): Address | number => {
  const raw = copyAddress(task, pointer, length)
  return typeof raw === "number" ? raw : addressOf(raw)
}

/** -EINVAL for one without a family. */
export const addressOf = (raw: Uint8Array): Address | number => {
  if (raw.length < SUN_PATH_OFFSET) return -EINVAL
  return { family: raw[0]! | (raw[1]! << 8), rest: raw.slice(SUN_PATH_OFFSET) }
}

/** The name in an AF_UNIX address: a path with its NUL, or an abstract name whole. -EINVAL. */
export const nameOf = ({ family, rest }: Address): Uint8Array | number => {
  if (family !== AF_UNIX || rest.length === 0 || rest.length > SOCKADDR_UN_SIZE - SUN_PATH_OFFSET) return -EINVAL
  if (rest[0] === 0) return rest
  const end = rest.indexOf(0)
  const name = new Uint8Array((end < 0 ? rest.length : end) + 1)
  name.set(rest.subarray(0, name.length - 1))
  return name
}

export const isAbstract = (name: Uint8Array): boolean => name[0] === 0

/** The path in a name, a byte string. */
export const pathOfName = (name: Uint8Array): string => Buffer.from(name.subarray(0, -1)).toString("latin1")

/** The socket that `name` leads to for `from`. -ECONNREFUSED, -EPROTOTYPE for another type, and what a path walk says. */
export const findSocket = (task: Task, name: Uint8Array, from: UnixSocket): UnixSocket | number => {
  const found = isAbstract(name) ? from.names.find(name) : findByPath(task, pathOfName(name))
  return typeof found === "number" || found.type === from.type ? found : -EPROTOTYPE
}

const findByPath = (task: Task, path: string): UnixSocket | number => {
  const found = task.system.vfs.walk(task, task.fs.workingDirectory, path, { follow: true })
  if (typeof found === "number") return found
  const inode = found.dentry.inode! // walk gives places that exist
  const denied = mayAccess(inode, W_OK, task.credentials)
  if (denied < 0) return denied
  return (inode.mode & S_IFMT) === S_IFSOCK ? task.system.anonymous.sockets.find(inode) : -ECONNREFUSED
}

/** An AF_UNIX address with `name`. */
export const encodeName = (name: SocketName): Uint8Array => {
  const raw = new Uint8Array(SUN_PATH_OFFSET + (name?.length ?? 0))
  raw[0] = AF_UNIX
  if (name !== undefined) raw.set(name, SUN_PATH_OFFSET)
  return raw
}

/**
 * Copies an address out, cut to the room that the `int` at `lengthPointer` says, where its full length goes. 0, -EFAULT,
 * -EINVAL.
 */
export const writeAddress = (task: Task, pointer: number, lengthPointer: number, raw: Uint8Array): number => {
  const room = task.memory.readU32(lengthPointer)
  if (room < 0) return -EFAULT
  if (room > 0x7fff_ffff) return -EINVAL
  if (task.memory.copyOut(pointer, raw.subarray(0, room)) < 0) return -EFAULT
  return task.memory.writeU32(lengthPointer, raw.length)
}
