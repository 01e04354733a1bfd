/**
 * POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2).
 */
import { R_OK, W_OK } from "../Abi/At.ts"
import {
  EACCES,
  EAGAIN,
  EBADF,
  EBUSY,
  EEXIST,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENAMETOOLONG,
  ENOENT,
  ETIMEDOUT
} from "../Abi/Errno.ts"
import { MQ_PRIO_MAX, MqAttr, SI_MESGQ } from "../Abi/Mqueue.ts"
import { O_ACCMODE, O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, OPEN_NAMES } from "../Abi/OpenFlags.ts"
import { POLLIN, POLLOUT } from "../Abi/Poll.ts"
import { RLIMIT_MSGQUEUE } from "../Abi/Resource.ts"
import { NSIG } from "../Abi/Signal.ts"
import { Sigevent, SIGEV_NONE, SIGEV_SIGNAL } from "../Abi/Sigevent.ts"
import { nanosOfTimespec, Timespec } from "../Abi/Time.ts"
import { PosixQueueDescription } from "../Ipc/PosixQueueDescription.ts"
import type { PosixQueue, Sender } from "../Ipc/PosixQueues.ts"
import {
  address,
  declare,
  fd,
  flags,
  mode,
  type Result,
  size,
  string,
  struct,
  type Syscall,
  uint
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { sendToGroup, uidSeenBy } from "../Task/TaskSignals.ts"
import { mayAccess } from "../Vfs/Permission.ts"
import { attemptOrWait, fileOf, isNonBlocking, type WaitOptions, waitForFile } from "./Blocking.ts"
import { pathAt } from "./PathArgument.ts"
import { installFile } from "./SysPipe.ts"

const NAME_MAX = 255

const queuesOf = (task: Task) => task.namespaces.ipc.posixQueues

/** The name, which C libraries give without its slash: one component. */
const nameAt = (task: Task, pointer: number): string | number => {
  const name = pathAt(task, pointer)
  if (typeof name === "number") return name
  if (name === "") return -ENOENT
  if (name.includes("/") || name === "." || name === "..") return -EACCES
  return name.length > NAME_MAX ? -ENAMETOOLONG : name
}

const ACCESS: ReadonlyMap<number, number> = new Map([
  [O_RDONLY, R_OK],
  [O_WRONLY, W_OK],
  [O_RDWR, R_OK | W_OK]
])

/** The queue that mq_open(2) means, made if it must be. */
const obtainQueue = (
  task: Task,
  name: string,
  openFlags: number,
  mode: number,
  attributes: MqAttr | undefined
): PosixQueue | number => {
  const { credentials, fs, system, threadGroup } = task
  const queue = queuesOf(task).find(name)
  if (queue !== undefined) {
    if ((openFlags & (O_CREAT | O_EXCL)) === (O_CREAT | O_EXCL)) return -EEXIST
    const access = ACCESS.get(openFlags & O_ACCMODE)
    return access === undefined ? -EINVAL : mayAccess(queue, access, credentials) || queue
  }
  if ((openFlags & O_CREAT) === 0) return -ENOENT
  return queuesOf(task).create(name, {
    mode: mode & 0o777 & ~fs.umask,
    shape: attributes && {
      maxMessages: Number(attributes.mq_maxmsg),
      messageSize: Number(attributes.mq_msgsize)
    },
    credentials,
    limit: threadGroup.limits.soft(RLIMIT_MSGQUEUE),
    now: system.anonymous.now()
  })
}

const readAttributes = (task: Task, pointer: number): MqAttr | number => {
  const raw = new Uint8Array(MqAttr.size)
  return task.memory.copyIn(pointer, raw) < 0 ? -EFAULT : MqAttr.decode(raw)
}

const mq_open = (task: Task, pointer: number, openFlags: number, mode: number, attributes: number): Result => {
  const asked = attributes === 0 ? undefined : readAttributes(task, attributes)
  if (typeof asked === "number") return asked
  const name = nameAt(task, pointer)
  if (typeof name === "number") return name
  const queue = obtainQueue(task, name, openFlags, mode, asked)
  if (typeof queue === "number") return queue
  const file = new PosixQueueDescription(queuesOf(task), queue, name, openFlags & (O_ACCMODE | O_NONBLOCK))
  return installFile(task, file, true)
}

const mq_unlink = (task: Task, pointer: number): Result => {
  const name = nameAt(task, pointer)
  return typeof name === "number" ? name : queuesOf(task).unlink(name, task.credentials)
}

const descriptionOf = (task: Task, number: number): PosixQueueDescription | undefined => {
  const file = fileOf(task, number)
  return file instanceof PosixQueueDescription ? file : undefined
}

/** Until when a call waits: the time of CLOCK_REALTIME at `pointer`. */
const waitOptions = (task: Task, pointer: number): WaitOptions | number => {
  if (pointer === 0) return {}
  const raw = new Uint8Array(Timespec.size)
  if (task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const until = nanosOfTimespec(Timespec.decode(raw))
  if (typeof until === "number") return until
  const { timekeeper } = task.system
  return { deadline: timekeeper.monotonic() + until - timekeeper.realtime(), expired: () => -ETIMEDOUT }
}

/** mq_timedsend(2). Blocks. Restarts unless a handler without SA_RESTART runs. */
const mq_timedsend = (
  task: Task,
  number: number,
  pointer: number,
  length: number,
  priority: number,
  timeout: number
): Result => {
  const options = waitOptions(task, timeout)
  if (typeof options === "number") return options
  if (priority >= MQ_PRIO_MAX) return -EINVAL
  const file = descriptionOf(task, number)
  if (file === undefined || !file.writable) return -EBADF
  const { queue } = file
  if (length > queue.messageSize) return -EMSGSIZE
  const text = new Uint8Array(length)
  if (task.memory.copyIn(pointer, text) < 0) return -EFAULT
  const sender: Sender = { pid: task.threadGroup.tgid, uid: task.credentials.ruid }
  return attemptOrWait(task, file, POLLOUT, () => queue.send({ priority, text }, sender), options)
}

/** mq_timedreceive(2). Blocks. Restarts unless a handler without SA_RESTART runs. */
const mq_timedreceive = (
  task: Task,
  number: number,
  pointer: number,
  length: number,
  priority: number,
  timeout: number
): Result => {
  const options = waitOptions(task, timeout)
  if (typeof options === "number") return options
  const file = descriptionOf(task, number)
  if (file === undefined || !file.readable) return -EBADF
  const { queue } = file
  if (length < queue.messageSize) return -EMSGSIZE
  const attempt = (): number => {
    const message = queue.receive()
    if (message === undefined) return -EAGAIN
    if (priority !== 0 && task.memory.writeU32(priority, message.priority) < 0) return -EFAULT
    return task.memory.copyOut(pointer, message.text) < 0 ? -EFAULT : message.text.length
  }
  const received = attempt()
  if (received !== -EAGAIN || isNonBlocking(file)) return received
  return waitForFile(task, file, POLLIN, attempt, {
    ...options,
    begin: () => {
      queue.receivers++
    },
    finally: () => void queue.receivers--
  })
}

/** mq_notify(2). Errors: EBUSY if somebody else has asked already. */
const mq_notify = (task: Task, number: number, pointer: number): Result => {
  const raw = new Uint8Array(Sigevent.size)
  if (pointer !== 0 && task.memory.copyIn(pointer, raw) < 0) return -EFAULT
  const { sigev_notify: notify, sigev_signo: signo, sigev_value: value } = Sigevent.decode(raw)
  if (pointer !== 0) {
    if (notify !== SIGEV_NONE && notify !== SIGEV_SIGNAL) return -EINVAL
    if (notify === SIGEV_SIGNAL && (signo < 0 || signo > NSIG)) return -EINVAL
  }
  const queue = descriptionOf(task, number)?.queue
  if (queue === undefined) return -EBADF
  const { fds, threadGroup } = task
  if (pointer === 0) {
    if (queue.notification?.pid === threadGroup.tgid) queue.notification = undefined
    return 0
  }
  if (queue.notification !== undefined) return -EBUSY
  queue.notification = {
    table: fds,
    pid: threadGroup.tgid,
    notify,
    signo,
    tell: ({ pid, uid }) => {
      if (notify === SIGEV_SIGNAL && signo > 0)
        sendToGroup(threadGroup, {
          _tag: "Queue",
          signo,
          code: SI_MESGQ,
          pid: threadGroup.pidNamespace.toInside(pid),
          uid: uidSeenBy(threadGroup, uid),
          value
        })
    }
  }
  return 0
}

const mq_getsetattr = (task: Task, number: number, wanted: number, old: number): Result => {
  const asked = wanted === 0 ? undefined : readAttributes(task, wanted)
  if (typeof asked === "number") return asked
  if (asked !== undefined && (asked.mq_flags & ~BigInt(O_NONBLOCK)) !== 0n) return -EINVAL
  const file = descriptionOf(task, number)
  if (file === undefined) return -EBADF
  const { count, maxMessages, messageSize } = file.queue
  const before = MqAttr.encode({
    mq_flags: BigInt(file.statusFlags & O_NONBLOCK),
    mq_maxmsg: BigInt(maxMessages),
    mq_msgsize: BigInt(messageSize),
    mq_curmsgs: BigInt(count),
    reserved: new Uint8Array(32)
  })
  if (asked !== undefined) file.statusFlags = (file.statusFlags & ~O_NONBLOCK) | Number(asked.mq_flags)
  return old !== 0 && task.memory.copyOut(old, before) < 0 ? -EFAULT : 0
}

export const sysPosixQueue: ReadonlyArray<Syscall> = [
  declare("mq_open", [string("name"), flags("oflag", OPEN_NAMES), mode("mode"), address("attr")], mq_open),
  declare("mq_unlink", [string("name")], mq_unlink),
  declare(
    "mq_timedsend",
    [fd("mqdes"), address("msg_ptr"), size("msg_len"), uint("msg_prio"), struct("abs_timeout", "timespec", "in")],
    mq_timedsend,
    { partial: "64 MiB of messages in the whole sandbox, System V's included" }
  ),
  declare(
    "mq_timedreceive",
    [fd("mqdes"), address("msg_ptr"), size("msg_len"), address("msg_prio"), struct("abs_timeout", "timespec", "in")],
    mq_timedreceive
  ),
  declare("mq_notify", [fd("mqdes"), struct("sevp", "sigevent", "in")], mq_notify, {
    partial: "SIGEV_THREAD gives EINVAL: there are no netlink sockets, by which C libraries hear of it"
  }),
  declare("mq_getsetattr", [fd("mqdes"), address("newattr"), address("oldattr")], mq_getsetattr)
]
