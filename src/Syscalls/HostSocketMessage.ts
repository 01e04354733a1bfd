/**
 * send(2) and recv(2) on a standard stream that is a socket of the host's: as write(2) and read(2), with flags. Nothing
 * of the sandbox's own (descriptors, addresses) goes through it.
 */
import { EAGAIN, EISCONN, EOPNOTSUPP, ERESTARTSYS } from "../Abi/Errno.ts"
import { READABLE, WRITABLE } from "../Abi/Poll.ts"
import { MSG_DONTWAIT, MSG_NOSIGNAL } from "../Abi/Socket.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { HostStdio } from "../Vfs/HostStdio.ts"
import { fileOf, isNonBlocking, waitForFile } from "./Blocking.ts"
import { readInto, type UserVector, WriteTransfer } from "./UserVector.ts"

/** The stream behind `fd`, if it is such a socket. */
export const hostSocketAt = (task: Task, fd: number): HostStdio | undefined => {
  const file = fileOf(task, fd)
  return file instanceof HostStdio && file.isSocket ? file : undefined
}

const waits = (stream: HostStdio, flagBits: number): boolean =>
  !isNonBlocking(stream) && (flagBits & MSG_DONTWAIT) === 0

/** Sends all of `vector`; -EISCONN with an address. Blocks unless told otherwise. Restart: ERESTARTSYS. */
export const sendToHost = (
  task: Task,
  stream: HostStdio,
  vector: UserVector,
  flagBits: number,
  hasAddress: boolean
): Result => {
  if (hasAddress) return -EISCONN
  if ((flagBits & ~(MSG_DONTWAIT | MSG_NOSIGNAL)) !== 0) return -EOPNOTSUPP
  const transfer = new WriteTransfer(task, stream, vector, undefined, (flagBits & MSG_NOSIGNAL) === 0)
  const result = transfer.attempt()
  if (result !== -EAGAIN) return result
  if (!waits(stream, flagBits)) return transfer.settle(-EAGAIN)
  return waitForFile(task, stream, WRITABLE, transfer.attempt, { interrupted: () => transfer.settle(-ERESTARTSYS) })
}

/** Receives what there is. Blocks unless told otherwise. Restart: ERESTARTSYS. */
export const receiveFromHost = (task: Task, stream: HostStdio, vector: UserVector, flagBits: number): Result => {
  if ((flagBits & ~MSG_DONTWAIT) !== 0) return -EOPNOTSUPP
  const attempt = (): number => readInto(stream, vector)
  const result = attempt()
  return result !== -EAGAIN || !waits(stream, flagBits) ? result : waitForFile(task, stream, READABLE, attempt)
}
