/**
 * clone(2): flags and `struct clone_args`.
 */
import * as Struct from "./Struct.ts"

export const CSIGNAL = 0xff
/** Only of unshare(2), clone3(2) and setns(2): to clone(2) it is part of the signal. */
export const CLONE_NEWTIME = 0x80
export const CLONE_VM = 0x100
export const CLONE_FS = 0x200
export const CLONE_FILES = 0x400
export const CLONE_SIGHAND = 0x800
export const CLONE_PIDFD = 0x1000
export const CLONE_PTRACE = 0x2000
export const CLONE_VFORK = 0x4000
export const CLONE_PARENT = 0x8000
export const CLONE_THREAD = 0x10000
export const CLONE_NEWNS = 0x20000
export const CLONE_SYSVSEM = 0x40000
export const CLONE_SETTLS = 0x80000
export const CLONE_PARENT_SETTID = 0x100000
export const CLONE_CHILD_CLEARTID = 0x200000
export const CLONE_DETACHED = 0x400000
export const CLONE_UNTRACED = 0x800000
export const CLONE_CHILD_SETTID = 0x1000000
export const CLONE_NEWCGROUP = 0x2000000
export const CLONE_NEWUTS = 0x4000000
export const CLONE_NEWIPC = 0x8000000
export const CLONE_NEWUSER = 0x10000000
export const CLONE_NEWPID = 0x20000000
export const CLONE_NEWNET = 0x40000000
export const CLONE_IO = 0x80000000
/** Only of clone3(2), whose flags have 64 bits. */
export const CLONE_CLEAR_SIGHAND = 1n << 32n
export const CLONE_INTO_CGROUP = 1n << 33n

/** The flags in strace's order. */
export const CLONE_NAMES: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  CLONE_VM,
  CLONE_FS,
  CLONE_FILES,
  CLONE_SIGHAND,
  CLONE_PIDFD,
  CLONE_PTRACE,
  CLONE_VFORK,
  CLONE_PARENT,
  CLONE_THREAD,
  CLONE_NEWNS,
  CLONE_SYSVSEM,
  CLONE_SETTLS,
  CLONE_PARENT_SETTID,
  CLONE_CHILD_CLEARTID,
  CLONE_DETACHED,
  CLONE_UNTRACED,
  CLONE_CHILD_SETTID,
  CLONE_NEWCGROUP,
  CLONE_NEWUTS,
  CLONE_NEWIPC,
  CLONE_NEWUSER,
  CLONE_NEWPID,
  CLONE_NEWNET,
  CLONE_IO
})

export const CLONE3_NAMES = [
  ...CLONE_NAMES,
  ...Object.entries({ CLONE_CLEAR_SIGHAND: 2 ** 32, CLONE_INTO_CGROUP: 2 ** 33, CLONE_NEWTIME })
]

/** `struct clone_args` of clone3(2), version 2. */
export const CloneArgs = Struct.make("clone_args", {
  flags: Struct.u64,
  pidfd: Struct.ulong,
  child_tid: Struct.ulong,
  parent_tid: Struct.ulong,
  exit_signal: Struct.ulong,
  stack: Struct.ulong,
  stack_size: Struct.ulong,
  tls: Struct.u64,
  set_tid: Struct.ulong,
  set_tid_size: Struct.ulong,
  cgroup: Struct.ulong
})
export type CloneArgs = Struct.Type<typeof CloneArgs>

/** sizeof of the first published version of `struct clone_args`. */
export const CLONE_ARGS_SIZE_VER0 = 64
/** sizeof of the version that has `cgroup`. */
export const CLONE_ARGS_SIZE_VER2 = 88
