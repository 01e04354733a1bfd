/**
 * Constants of prctl(2), arch_prctl(2) and the securebits of capabilities(7).
 */

export const PR_SET_PDEATHSIG = 1
export const PR_GET_PDEATHSIG = 2
export const PR_GET_DUMPABLE = 3
export const PR_SET_DUMPABLE = 4
export const PR_GET_KEEPCAPS = 7
export const PR_SET_KEEPCAPS = 8
export const PR_GET_TIMING = 13
export const PR_SET_TIMING = 14
export const PR_SET_NAME = 15
export const PR_GET_NAME = 16
export const PR_GET_SECCOMP = 21
export const PR_SET_SECCOMP = 22
export const PR_CAPBSET_READ = 23
export const PR_CAPBSET_DROP = 24
export const PR_GET_TSC = 25
export const PR_SET_TSC = 26
export const PR_GET_SECUREBITS = 27
export const PR_SET_SECUREBITS = 28
export const PR_SET_TIMERSLACK = 29
export const PR_GET_TIMERSLACK = 30
export const PR_TASK_PERF_EVENTS_DISABLE = 31
export const PR_TASK_PERF_EVENTS_ENABLE = 32
export const PR_MCE_KILL = 33
export const PR_MCE_KILL_GET = 34
export const PR_SET_MM = 35
export const PR_SET_CHILD_SUBREAPER = 36
export const PR_GET_CHILD_SUBREAPER = 37
export const PR_SET_NO_NEW_PRIVS = 38
export const PR_GET_NO_NEW_PRIVS = 39
export const PR_GET_TID_ADDRESS = 40
export const PR_SET_THP_DISABLE = 41
export const PR_GET_THP_DISABLE = 42
export const PR_CAP_AMBIENT = 47
export const PR_GET_SPECULATION_CTRL = 52
export const PR_SET_SPECULATION_CTRL = 53
export const PR_SET_IO_FLUSHER = 57
export const PR_GET_IO_FLUSHER = 58
export const PR_SET_SYSCALL_USER_DISPATCH = 59
export const PR_SCHED_CORE = 62
export const PR_SET_MDWE = 65
export const PR_GET_MDWE = 66
export const PR_SET_MEMORY_MERGE = 67
export const PR_GET_MEMORY_MERGE = 68
export const PR_GET_AUXV = 0x4155_5856
export const PR_SET_VMA = 0x5356_4d41
export const PR_SET_PTRACER = 0x5961_6d61

export const PRCTL_NAMES: ReadonlyArray<readonly [string, number]> = Object.entries({
  PR_SET_PDEATHSIG,
  PR_GET_PDEATHSIG,
  PR_GET_DUMPABLE,
  PR_SET_DUMPABLE,
  PR_GET_KEEPCAPS,
  PR_SET_KEEPCAPS,
  PR_GET_TIMING,
  PR_SET_TIMING,
  PR_SET_NAME,
  PR_GET_NAME,
  PR_GET_SECCOMP,
  PR_SET_SECCOMP,
  PR_CAPBSET_READ,
  PR_CAPBSET_DROP,
  PR_GET_TSC,
  PR_SET_TSC,
  PR_GET_SECUREBITS,
  PR_SET_SECUREBITS,
  PR_SET_TIMERSLACK,
  PR_GET_TIMERSLACK,
  PR_TASK_PERF_EVENTS_DISABLE,
  PR_TASK_PERF_EVENTS_ENABLE,
  PR_MCE_KILL,
  PR_MCE_KILL_GET,
  PR_SET_MM,
  PR_SET_CHILD_SUBREAPER,
  PR_GET_CHILD_SUBREAPER,
  PR_SET_NO_NEW_PRIVS,
  PR_GET_NO_NEW_PRIVS,
  PR_GET_TID_ADDRESS,
  PR_SET_THP_DISABLE,
  PR_GET_THP_DISABLE,
  PR_CAP_AMBIENT,
  PR_GET_SPECULATION_CTRL,
  PR_SET_SPECULATION_CTRL,
  PR_SET_IO_FLUSHER,
  PR_GET_IO_FLUSHER,
  PR_SET_SYSCALL_USER_DISPATCH,
  PR_SCHED_CORE,
  PR_SET_MDWE,
  PR_GET_MDWE,
  PR_SET_MEMORY_MERGE,
  PR_GET_MEMORY_MERGE,
  PR_GET_AUXV,
  PR_SET_VMA,
  PR_SET_PTRACER
})

export const PR_TSC_ENABLE = 1
export const PR_TSC_SIGSEGV = 2

export const PR_MCE_KILL_CLEAR = 0
export const PR_MCE_KILL_SET = 1
/** How a thread hears of broken memory: late, early, as the system does. */
export const PR_MCE_KILL_DEFAULT = 2

export const PR_CAP_AMBIENT_IS_SET = 1
export const PR_CAP_AMBIENT_RAISE = 2
export const PR_CAP_AMBIENT_LOWER = 3
export const PR_CAP_AMBIENT_CLEAR_ALL = 4

export const PR_SET_MM_START_CODE = 1
export const PR_SET_MM_END_CODE = 2
export const PR_SET_MM_START_DATA = 3
export const PR_SET_MM_END_DATA = 4
export const PR_SET_MM_START_STACK = 5
export const PR_SET_MM_START_BRK = 6
export const PR_SET_MM_BRK = 7
export const PR_SET_MM_ARG_START = 8
export const PR_SET_MM_ARG_END = 9
export const PR_SET_MM_ENV_START = 10
export const PR_SET_MM_ENV_END = 11
export const PR_SET_MM_AUXV = 12
export const PR_SET_MM_EXE_FILE = 13
export const PR_SET_MM_MAP = 14
export const PR_SET_MM_MAP_SIZE = 15

export const PR_SET_VMA_ANON_NAME = 0

/** Memory-deny-write-execute: nothing becomes executable that is or was writable. */
export const PR_MDWE_REFUSE_EXEC_GAIN = 1
/** A forked child is free of it. */
export const PR_MDWE_NO_INHERIT = 2

/** Securebits; each has a lock in the next higher bit. */
export const SECBIT_NOROOT = 0x1
export const SECBIT_NO_SETUID_FIXUP = 0x4
export const SECBIT_KEEP_CAPS = 0x10
export const SECBIT_KEEP_CAPS_LOCKED = 0x20
export const SECBIT_NO_CAP_AMBIENT_RAISE = 0x40
/** For script interpreters; Linux itself does nothing with these, and anybody may set them. */
export const SECBITS_UNPRIVILEGED = 0xf00
export const SECBITS_ALL = 0xfff
export const SECBITS_LOCKS = 0xaaa

export const ARCH_SET_GS = 0x1001
export const ARCH_SET_FS = 0x1002
export const ARCH_GET_FS = 0x1003
export const ARCH_GET_GS = 0x1004
export const ARCH_GET_CPUID = 0x1011
export const ARCH_SET_CPUID = 0x1012
export const ARCH_GET_XCOMP_SUPP = 0x1021
export const ARCH_GET_XCOMP_PERM = 0x1022
export const ARCH_REQ_XCOMP_PERM = 0x1023

export const ARCH_NAMES: ReadonlyArray<readonly [string, number]> = Object.entries({
  ARCH_SET_GS,
  ARCH_SET_FS,
  ARCH_GET_FS,
  ARCH_GET_GS,
  ARCH_GET_CPUID,
  ARCH_SET_CPUID,
  ARCH_GET_XCOMP_SUPP,
  ARCH_GET_XCOMP_PERM,
  ARCH_REQ_XCOMP_PERM
})
