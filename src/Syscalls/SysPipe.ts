/**
 * pipe(2), pipe2(2).
 */
import { EINVAL, ENOPKG } from "../Abi/Errno.ts"
import { PIPE2_NAMES } from "../Abi/Fcntl.ts"
import { O_CLOEXEC, O_DIRECT, O_EXCL, O_NONBLOCK } from "../Abi/OpenFlags.ts"
import { RLIMIT_NOFILE } from "../Abi/Resource.ts"
import { address, declare, flags, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import { PipeDescription } from "../Vfs/Pipe.ts"

/** Installs a new file, whose reference moves to the table: its number, or -EMFILE, and the file is closed. */
export const installFile = (task: Task, file: OpenFileDescription, closeOnExec: boolean): number => {
  const number = task.fds.install(file, closeOnExec, task.threadGroup.limits.soft(RLIMIT_NOFILE))
  if (number < 0) file.release()
  return number
}

/**
 * Installs two new files and writes their numbers to `int[2]` at `pointer`; on any failure neither remains. -EMFILE,
 * -EFAULT.
 */
export const installPair = (
  task: Task,
  first: OpenFileDescription,
  second: OpenFileDescription,
  closeOnExec: boolean,
  pointer: number
): number => {
  const firstFd = installFile(task, first, closeOnExec)
  if (firstFd < 0) {
    second.release()
    return firstFd
  }
  const secondFd = installFile(task, second, closeOnExec)
  if (secondFd < 0) {
    task.fds.close(firstFd)
    return secondFd
  }
  const error = task.memory.copyOut(pointer, new Uint8Array(Int32Array.of(firstFd, secondFd).buffer))
  if (error < 0) {
    task.fds.close(firstFd)
    task.fds.close(secondFd)
  }
  return error
}

/** O_NOTIFICATION_PIPE of pipe2(2). */
const O_NOTIFICATION_PIPE = O_EXCL

const makePipe = (task: Task, pointer: number, flagBits: number): number => {
  if ((flagBits & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT | O_NOTIFICATION_PIPE)) !== 0) return -EINVAL
  if ((flagBits & O_NOTIFICATION_PIPE) !== 0) return -ENOPKG // as a kernel without CONFIG_WATCH_QUEUE
  const stat = task.system.anonymous.attributes("pipe", task.credentials)
  const { reader, writer } = PipeDescription.pair(stat, flagBits & (O_NONBLOCK | O_DIRECT))
  return installPair(task, reader, writer, (flagBits & O_CLOEXEC) !== 0, pointer)
}

export const pipe = declare("pipe", [address("pipefd")], (task, pointer) => makePipe(task, pointer, 0))

export const pipe2 = declare("pipe2", [address("pipefd"), flags("flags", PIPE2_NAMES)], makePipe)

export const sysPipe: ReadonlyArray<Syscall> = [pipe, pipe2]
