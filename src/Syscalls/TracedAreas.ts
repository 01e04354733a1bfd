/**
 * What ptrace(2) says of what no tracee has: thread areas (segments of 32-bit programs), syscall user dispatch.
 */
import { EFAULT, EINVAL, EIO } from "../Abi/Errno.ts"
import type { Task } from "../Task/Task.ts"

/** Of the global descriptor table, the entries that are a thread's. */
const FIRST_AREA = 12
const LAST_AREA = 14
/** `struct user_desc`: base and limit, flags; and the flags of an empty one: read_exec_only, seg_not_present. */
const USER_DESC_SIZE = 16
const PLACE = 4
const FLAGS = 12
const EMPTY = (1 << 3) | (1 << 5)
const LONG_MODE = 1 << 7
const ALL_FLAGS = 0xff

const isThreadArea = (index: number): boolean => index >= FIRST_AREA && index <= LAST_AREA

export const getThreadArea = (task: Task, index: number, data: number): number => {
  if (index < 0) return -EIO
  if (!isThreadArea(index)) return -EINVAL
  const bytes = new Uint8Array(USER_DESC_SIZE)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, index, true)
  view.setUint32(FLAGS, EMPTY, true)
  return task.memory.copyOut(data, bytes)
}

/** Whether a `struct user_desc` is to empty an area, in one of two ways. */
const isEmpty = (view: DataView): boolean => {
  const flags = view.getUint32(FLAGS, true) & ALL_FLAGS
  return view.getBigUint64(PLACE, true) === 0n && (flags === EMPTY || (flags & ~LONG_MODE) === 0)
}

/** Empties an empty one. */
export const setThreadArea = (task: Task, index: number, data: number): number => {
  if (index < 0) return -EIO
  const bytes = new Uint8Array(USER_DESC_SIZE)
  if (task.memory.copyIn(data, bytes) < 0) return -EFAULT
  return isThreadArea(index) && isEmpty(new DataView(bytes.buffer)) ? 0 : -EINVAL
}

/** `struct ptrace_sud_config`: mode, selector, offset and length. */
const DISPATCH_SIZE = 32

export const getDispatch = (task: Task, size: number, data: number): number =>
  size === DISPATCH_SIZE ? task.memory.copyOut(data, new Uint8Array(size)) : -EINVAL

/** Switches off what is off. */
export const setDispatch = (task: Task, size: number, data: number): number => {
  if (size !== DISPATCH_SIZE) return -EINVAL
  const bytes = new Uint8Array(size)
  if (task.memory.copyIn(data, bytes) < 0) return -EFAULT
  return bytes.every((byte) => byte === 0) ? 0 : -EINVAL
}
