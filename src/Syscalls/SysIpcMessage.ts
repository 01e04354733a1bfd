/**
 * System V message queues: msgget(2), msgsnd(2), msgrcv(2), msgctl(2).
 */
import * as Effect from "effect/Effect"
import { CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EACCES, EAGAIN, EFAULT, EINVAL, EIDRM, ENOMSG, EPERM, ERESTARTNOHAND } from "../Abi/Errno.ts"
import {
  IPC_INFO,
  IPC_NOWAIT,
  IPC_RMID,
  IPC_SET,
  IPC_STAT,
  IPCGET_NAMES,
  MSG_COPY,
  MSG_EXCEPT,
  MSG_INFO,
  MSG_NAMES,
  MSG_STAT,
  MSG_STAT_ANY,
  MSGCTL_NAMES,
  MSGMAX,
  MSGMNB,
  MSGMNI,
  Msginfo,
  Msqid64Ds
} from "../Abi/Ipc.ts"
import { obtain, obtainControl } from "../Ipc/IpcIds.ts"
import type { Message, MessageQueue, Receiver, Wanted } from "../Ipc/MessageQueues.ts"
import { type Result, address, declare, flags, hex, int, long, oneOf, size, u64 } from "../Task/Syscall.ts"
import { idFor } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { waitUntil } from "./Blocking.ts"

const READ = 0o444
const WRITE = 0o222
/** Bytes of the type before the text. */
const TYPE_SIZE = 8

const queuesOf = (task: Task) => task.namespaces.ipc.messages.queues

/** msgsnd(2). Blocks. Restarts unless a handler runs. */
const msgsnd = (task: Task, id: number, at: number, length: number, options: number): Result => {
  const header = new Uint8Array(TYPE_SIZE)
  if (task.memory.copyIn(at, header) < 0) return -EFAULT
  if (length > MSGMAX || id < 0) return -EINVAL
  const type = new DataView(header.buffer).getBigInt64(0, true)
  if (type < 1n) return -EINVAL
  const text = new Uint8Array(length)
  if (task.memory.copyIn(at + TYPE_SIZE, text) < 0) return -EFAULT
  const queue = obtain(queuesOf(task), id, task.credentials, WRITE)
  if (typeof queue === "number") return queue
  // permissions may change while it waits
  const attempt = (): number => {
    if (queue.removed) return -EIDRM
    return queue.denies(task.credentials, WRITE) ? -EACCES : queue.send({ type, text }, task.threadGroup.tgid)
  }
  const sent = attempt()
  if (sent !== -EAGAIN || (options & IPC_NOWAIT) !== 0) return sent
  return waitUntil(task, [{ queue: queue.room, events: 1 }], attempt, { interrupted: () => -ERESTARTNOHAND })
}

/** Copies a message out: the number of bytes of its text, or -EFAULT, and then it is lost. */
const deliver = (task: Task, at: number, limit: number, { text, type }: Message): number => {
  const count = Math.min(limit, text.length)
  if (task.memory.writeBigU64(at, type) < 0) return -EFAULT
  return task.memory.copyOut(at + TYPE_SIZE, text.subarray(0, count)) < 0 ? -EFAULT : count
}

/** Waits for a message that is not there yet. */
const receiveLater = (task: Task, queue: MessageQueue, at: number, wanted: Wanted): Effect.Effect<number> =>
  Effect.suspend(() => {
    const now = queue.take(wanted)
    if (typeof now !== "number") return Effect.succeed(deliver(task, at, wanted.size, now))
    if (now !== -ENOMSG) return Effect.succeed(now)
    const receiver: Receiver = { ...wanted, result: undefined, onResult: undefined }
    queue.listen(receiver)
    const wait = task.block((wake) => {
      receiver.onResult = wake
      if (receiver.result !== undefined) wake()
      return () => {
        receiver.onResult = undefined
      }
    })
    return Effect.map(wait, () => {
      const { result } = receiver
      if (typeof result === "number") return result
      if (result !== undefined) return deliver(task, at, wanted.size, result)
      queue.forget(receiver)
      return -ERESTARTNOHAND
    })
  })

const LONG_MIN = -(2n ** 63n)

/** msgrcv(2). Blocks. Restarts unless a handler runs. */
const msgrcv = (task: Task, id: number, at: number, limit: number, rawType: bigint, options: number): Result => {
  if (id < 0 || limit < 0) return -EINVAL
  if ((options & MSG_COPY) !== 0 && ((options & MSG_EXCEPT) !== 0 || (options & IPC_NOWAIT) === 0)) return -EINVAL
  const queue = obtain(queuesOf(task), id, task.credentials, READ)
  if (typeof queue === "number") return queue
  const signed = BigInt.asIntN(64, rawType)
  const type = signed === LONG_MIN ? LONG_MIN + 1n : signed
  const wanted: Wanted = { type, size: limit, flags: options, pid: task.threadGroup.tgid }
  const message = queue.take(wanted)
  if (typeof message !== "number") return deliver(task, at, limit, message)
  return message === -ENOMSG && (options & IPC_NOWAIT) === 0 ? receiveLater(task, queue, at, wanted) : message
}

const statusFor = (task: Task, queue: MessageQueue): Msqid64Ds => {
  const status = queue.status(task.credentials.userNamespace)
  return { ...status, msg_lspid: idFor(task, status.msg_lspid), msg_lrpid: idFor(task, status.msg_lrpid) }
}

const status = (task: Task, command: number, id: number, buffer: number): number => {
  const queues = queuesOf(task)
  const queue = command === IPC_STAT ? queues.find(id) : queues.at(id)
  if (queue === undefined) return -EINVAL
  if (command !== MSG_STAT_ANY && queue.denies(task.credentials, READ)) return -EACCES
  if (task.memory.copyOut(buffer, Msqid64Ds.encode(statusFor(task, queue))) < 0) return -EFAULT
  return command === IPC_STAT ? 0 : queue.id
}

/** IPC_INFO: limits, as computed by Linux; MSG_INFO: what is in use. */
const information = (task: Task, command: number, buffer: number): number => {
  const queues = queuesOf(task)
  let messages = 0
  let bytes = 0
  for (const queue of queues.all()) {
    messages += queue.messages.length
    bytes += queue.bytes
  }
  const inUse = command === MSG_INFO
  const encoded = Msginfo.encode({
    msgpool: inUse ? queues.size : (MSGMNI * MSGMNB) / 1024,
    msgmap: inUse ? messages : MSGMNB,
    msgmax: MSGMAX,
    msgmnb: MSGMNB,
    msgmni: MSGMNI,
    msgssz: 16,
    msgtql: inUse ? bytes : MSGMNB,
    msgseg: 0xffff
  })
  return task.memory.copyOut(buffer, encoded) < 0 ? -EFAULT : queues.highestIndex
}

const change = (task: Task, id: number, buffer: number): number => {
  const bytes = new Uint8Array(Msqid64Ds.size)
  if (task.memory.copyIn(buffer, bytes) < 0) return -EFAULT
  const queue = obtainControl(queuesOf(task), id, task.credentials)
  if (typeof queue === "number") return queue
  const { msg_perm, msg_qbytes } = Msqid64Ds.decode(bytes)
  if (msg_qbytes > MSGMNB && !hasCapability(task.credentials, CAP_SYS_RESOURCE)) return -EPERM
  const error = queue.change(msg_perm, task.namespaces.ipc.messages.now(), task.credentials)
  if (error < 0) return error
  queue.maximumBytes = msg_qbytes
  queue.room.notify(1)
  return 0
}

/** msgctl(2). Never blocks. */
const msgctl = (task: Task, id: number, command: number, buffer: number): Result => {
  if (id < 0 || command < 0) return -EINVAL
  switch (command) {
    case IPC_INFO:
    case MSG_INFO:
      return information(task, command, buffer)
    case IPC_STAT:
    case MSG_STAT:
    case MSG_STAT_ANY:
      return status(task, command, id, buffer)
    case IPC_SET:
      return change(task, id, buffer)
    case IPC_RMID: {
      const queue = obtainControl(queuesOf(task), id, task.credentials)
      if (typeof queue === "number") return queue
      task.namespaces.ipc.messages.remove(queue)
      return 0
    }
    default:
      return -EINVAL
  }
}

export const sysIpcMessage = [
  declare("msgget", [hex("key"), flags("msgflg", IPCGET_NAMES)], (task, key, options) =>
    task.namespaces.ipc.messages.open(key | 0, options, task.credentials)
  ),
  declare("msgsnd", [int("msqid"), address("msgp"), size("msgsz"), flags("msgflg", MSG_NAMES, "0")], msgsnd, {
    partial: "64 MiB of messages in the whole sandbox, POSIX ones included"
  }),
  declare(
    "msgrcv",
    [int("msqid"), address("msgp"), long("msgsz"), u64("msgtyp"), flags("msgflg", MSG_NAMES, "0")],
    msgrcv
  ),
  declare("msgctl", [int("msqid"), oneOf("cmd", MSGCTL_NAMES), address("buf")], msgctl)
]
