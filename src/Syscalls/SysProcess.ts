/**
 * Making and ending processes and threads: clone(2), execve(2), exit(2).
 */
import * as Effect from "effect/Effect"
import {
  CLONE_ARGS_SIZE_VER0,
  CLONE_ARGS_SIZE_VER2,
  CLONE_CLEAR_SIGHAND,
  CLONE_DETACHED,
  CLONE_INTO_CGROUP,
  CLONE_NAMES,
  CLONE_NEWTIME,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
  CSIGNAL,
  CloneArgs
} from "../Abi/Clone.ts"
import { E2BIG, EFAULT, EINVAL } from "../Abi/Errno.ts"
import { NSIG, SIGCHLD } from "../Abi/Signal.ts"
import {
  type Result,
  address,
  declare,
  dirFd,
  int,
  longFlags,
  size,
  string,
  stringArray,
  struct,
  u64
} from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { type CloneRequest, clone } from "../Task/TaskClone.ts"
import { type ExecStrings, execute } from "../Task/TaskExec.ts"
import { exitGroup, exitThread } from "../Task/TaskExit.ts"
import { openPidFd } from "./SysPidFd.ts"

const cloneWith = (task: Task, request: CloneRequest): Result => Effect.orDie(clone(task, request))

/** What clone(2) and its elders can't ask for. */
const elder = { clearHandlers: false, intoCgroup: false, wantedIds: [] }

const nothing = {
  ...elder,
  stackPointer: 0,
  tls: 0n,
  parentTid: 0,
  childTid: 0,
  openPidFd: undefined,
  pidFdAddress: 0
}

/** The maker of CLONE_PIDFD's descriptor, if that is asked for. */
const pidFdOf = (task: Task, flags: number): CloneRequest["openPidFd"] =>
  (flags & CLONE_PIDFD) === 0 ? undefined : (child) => openPidFd(task, child, 0)

/** `struct clone_args` of up to its known size; -E2BIG if what lies beyond is not zero. */
const readCloneArgs = (task: Task, at: number, length: number): CloneArgs | number => {
  if (length > 4096) return -E2BIG
  if (length < CLONE_ARGS_SIZE_VER0) return -EINVAL
  const bytes = new Uint8Array(Math.max(length, CloneArgs.size))
  if (task.memory.copyIn(at, bytes.subarray(0, length)) < 0) return -EFAULT
  if (bytes.subarray(CloneArgs.size).some((byte) => byte !== 0)) return -E2BIG
  return CloneArgs.decode(bytes)
}

/** PID namespaces that an id can be asked for in: the deepest nesting. */
const MAX_LEVELS = 32
const INT_MAX = 0x7fff_ffff

/** The array of `set_tid`, or -EFAULT. */
const readIds = (task: Task, at: number, count: number): ReadonlyArray<number> | number => {
  const bytes = new Uint8Array(4 * count)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  return [...new Int32Array(bytes.buffer)]
}

/** What only clone3(2) checks. */
const clone3Request = (task: Task, args: CloneArgs, length: number): CloneRequest | number => {
  const { exit_signal, set_tid, set_tid_size } = args
  if (set_tid_size > MAX_LEVELS || (set_tid === 0) !== (set_tid_size === 0) || exit_signal > NSIG) return -EINVAL
  const intoCgroup = (args.flags & CLONE_INTO_CGROUP) !== 0n
  if (intoCgroup && (args.cgroup > INT_MAX || length < CLONE_ARGS_SIZE_VER2)) return -EINVAL
  const wantedIds = readIds(task, set_tid, set_tid_size)
  if (typeof wantedIds === "number") return wantedIds
  if (args.flags >> 32n > (CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP) >> 32n) return -EINVAL
  const clearHandlers = (args.flags & CLONE_CLEAR_SIGHAND) !== 0n
  const flags = Number(args.flags & 0xffff_ffffn)
  if ((flags & ((CSIGNAL & ~CLONE_NEWTIME) | CLONE_DETACHED)) !== 0) return -EINVAL
  if (clearHandlers && (flags & CLONE_SIGHAND) !== 0) return -EINVAL
  if ((flags & (CLONE_THREAD | CLONE_PARENT)) !== 0 && exit_signal !== 0) return -EINVAL
  if ((args.stack === 0) !== (args.stack_size === 0)) return -EINVAL
  return {
    clearHandlers,
    intoCgroup,
    wantedIds,
    flags,
    exitSignal: exit_signal,
    stackPointer: args.stack + args.stack_size,
    tls: args.tls,
    parentTid: args.parent_tid,
    childTid: args.child_tid,
    openPidFd: pidFdOf(task, flags),
    pidFdAddress: args.pidfd
  }
}

/** A NULL-terminated array of strings; a null array counts as empty, as in Linux. */
const readStrings = (task: Task, at: number): ReadonlyArray<string> | number => {
  const strings: Array<string> = []
  if (at === 0) return strings
  let total = 0
  for (let index = 0; ; index++) {
    const pointer = task.memory.readU64(at + index * 8)
    if (pointer < 0) return pointer
    if (pointer === 0) return strings
    const text = task.memory.copyInString(pointer, MAX_ARG_STRLEN)
    if (typeof text === "number") return text === -EFAULT ? -EFAULT : -E2BIG
    total += text.length + 9
    if (total > MAX_ARGUMENTS) return -E2BIG
    strings.push(text)
  }
}

/** 32 pages: the longest single argument. */
const MAX_ARG_STRLEN = 131_072
/** Three quarters of _STK_LIM: no stack limit allows more. */
const MAX_ARGUMENTS = 6 * 1024 * 1024

const exec = (task: Task, dir: number, path: number, argv: number, envp: number, flags: number): Result => {
  const name = task.memory.copyInString(path)
  if (typeof name === "number") return name
  const strings = (): ExecStrings | number => {
    const args = readStrings(task, argv)
    if (typeof args === "number") return args
    const environment = readStrings(task, envp)
    return typeof environment === "number" ? environment : { argv: args, envp: environment }
  }
  return Effect.orDie(execute(task, { dir, path: name, strings, flags }))
}

const AT_FDCWD = -100

export const sysProcess = [
  declare(
    "clone",
    [longFlags("flags", CLONE_NAMES), address("child_stack"), address("parent_tid"), address("child_tid"), u64("tls")],
    (task, flags, stackPointer, parentTid, childTid, tls) => {
      // the old call has one word for both results
      if ((flags & CLONE_PIDFD) !== 0 && (flags & CLONE_PARENT_SETTID) !== 0) return -EINVAL
      return cloneWith(task, {
        ...elder,
        flags: (flags % 0x1_0000_0000) & ~CSIGNAL,
        exitSignal: flags & CSIGNAL,
        stackPointer,
        tls,
        parentTid,
        childTid,
        openPidFd: pidFdOf(task, flags),
        pidFdAddress: parentTid
      })
    }
  ),
  declare(
    "clone3",
    [struct("cl_args", "clone_args", "in"), size("size")],
    (task, at, length) => {
      const args = readCloneArgs(task, at, length)
      if (typeof args === "number") return args
      const request = clone3Request(task, args, length)
      return typeof request === "number" ? request : cloneWith(task, request)
    },
    { partial: "there is no cgroup filesystem: CLONE_INTO_CGROUP gives EBADF" }
  ),
  declare("fork", [], (task) => cloneWith(task, { ...nothing, flags: 0, exitSignal: SIGCHLD })),
  declare("vfork", [], (task) => cloneWith(task, { ...nothing, flags: CLONE_VM | CLONE_VFORK, exitSignal: SIGCHLD })),
  declare(
    "execve",
    [string("pathname"), stringArray("argv"), stringArray("envp")],
    (task, path, argv, envp) => exec(task, AT_FDCWD, path, argv, envp, 0),
    { partial: "capabilities of files are not honoured" }
  ),
  declare(
    "execveat",
    [dirFd("dirfd"), string("pathname"), stringArray("argv"), stringArray("envp"), int("flags")],
    (task, dir, path, argv, envp, flags) => exec(task, dir, path, argv, envp, flags),
    { partial: "capabilities of files are not honoured" }
  ),
  declare("exit", [int("status")], exitThread),
  declare("exit_group", [int("status")], exitGroup)
]
