/**
 * ptrace(2) of x86-64: requests, options, events, structures.
 */
import * as Struct from "./Struct.ts"

export const PTRACE_TRACEME = 0
export const PTRACE_PEEKTEXT = 1
export const PTRACE_PEEKDATA = 2
export const PTRACE_PEEKUSER = 3
export const PTRACE_POKETEXT = 4
export const PTRACE_POKEDATA = 5
export const PTRACE_POKEUSER = 6
export const PTRACE_CONT = 7
export const PTRACE_KILL = 8
export const PTRACE_SINGLESTEP = 9
export const PTRACE_GETREGS = 12
export const PTRACE_SETREGS = 13
export const PTRACE_GETFPREGS = 14
export const PTRACE_SETFPREGS = 15
export const PTRACE_ATTACH = 16
export const PTRACE_DETACH = 17
export const PTRACE_OLDSETOPTIONS = 21
export const PTRACE_GET_THREAD_AREA = 25
export const PTRACE_SET_THREAD_AREA = 26
export const PTRACE_ARCH_PRCTL = 30
export const PTRACE_SYSCALL = 24
export const PTRACE_SYSEMU = 31
export const PTRACE_SYSEMU_SINGLESTEP = 32
export const PTRACE_SETOPTIONS = 0x4200
export const PTRACE_GETEVENTMSG = 0x4201
export const PTRACE_GETSIGINFO = 0x4202
export const PTRACE_SETSIGINFO = 0x4203
export const PTRACE_GETREGSET = 0x4204
export const PTRACE_SETREGSET = 0x4205
export const PTRACE_SEIZE = 0x4206
export const PTRACE_INTERRUPT = 0x4207
export const PTRACE_LISTEN = 0x4208
export const PTRACE_PEEKSIGINFO = 0x4209
export const PTRACE_GETSIGMASK = 0x420a
export const PTRACE_SETSIGMASK = 0x420b
export const PTRACE_SECCOMP_GET_FILTER = 0x420c
export const PTRACE_SECCOMP_GET_METADATA = 0x420d
export const PTRACE_GET_SYSCALL_INFO = 0x420e
export const PTRACE_GET_RSEQ_CONFIGURATION = 0x420f
export const PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG = 0x4210
export const PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG = 0x4211
export const PTRACE_SET_SYSCALL_INFO = 0x4212

export const PTRACE_NAMES = Object.entries({
  PTRACE_TRACEME,
  PTRACE_PEEKTEXT,
  PTRACE_PEEKDATA,
  PTRACE_PEEKUSER,
  PTRACE_POKETEXT,
  PTRACE_POKEDATA,
  PTRACE_POKEUSER,
  PTRACE_CONT,
  PTRACE_KILL,
  PTRACE_SINGLESTEP,
  PTRACE_GETREGS,
  PTRACE_SETREGS,
  PTRACE_GETFPREGS,
  PTRACE_SETFPREGS,
  PTRACE_ATTACH,
  PTRACE_DETACH,
  PTRACE_OLDSETOPTIONS,
  PTRACE_GET_THREAD_AREA,
  PTRACE_SET_THREAD_AREA,
  PTRACE_ARCH_PRCTL,
  PTRACE_SYSCALL,
  PTRACE_SYSEMU,
  PTRACE_SYSEMU_SINGLESTEP,
  PTRACE_SETOPTIONS,
  PTRACE_GETEVENTMSG,
  PTRACE_GETSIGINFO,
  PTRACE_SETSIGINFO,
  PTRACE_GETREGSET,
  PTRACE_SETREGSET,
  PTRACE_SEIZE,
  PTRACE_INTERRUPT,
  PTRACE_LISTEN,
  PTRACE_PEEKSIGINFO,
  PTRACE_GETSIGMASK,
  PTRACE_SETSIGMASK,
  PTRACE_SECCOMP_GET_FILTER,
  PTRACE_SECCOMP_GET_METADATA,
  PTRACE_GET_SYSCALL_INFO,
  PTRACE_GET_RSEQ_CONFIGURATION,
  PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG,
  PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
  PTRACE_SET_SYSCALL_INFO
})

export const PTRACE_O_TRACESYSGOOD = 0x1
export const PTRACE_O_TRACEFORK = 0x2
export const PTRACE_O_TRACEVFORK = 0x4
export const PTRACE_O_TRACECLONE = 0x8
export const PTRACE_O_TRACEEXEC = 0x10
export const PTRACE_O_TRACEVFORKDONE = 0x20
export const PTRACE_O_TRACEEXIT = 0x40
export const PTRACE_O_TRACESECCOMP = 0x80
export const PTRACE_O_EXITKILL = 0x10_0000
export const PTRACE_O_SUSPEND_SECCOMP = 0x20_0000
export const PTRACE_O_MASK = 0x3000ff

/** Events; option `1 << event` asks for each but the last. */
export const PTRACE_EVENT_FORK = 1
export const PTRACE_EVENT_VFORK = 2
export const PTRACE_EVENT_CLONE = 3
export const PTRACE_EVENT_EXEC = 4
export const PTRACE_EVENT_VFORK_DONE = 5
export const PTRACE_EVENT_EXIT = 6
export const PTRACE_EVENT_SECCOMP = 7
export const PTRACE_EVENT_STOP = 128

/** What PTRACE_GETEVENTMSG says in a system call stop. */
export const PTRACE_EVENTMSG_SYSCALL_ENTRY = 1n
export const PTRACE_EVENTMSG_SYSCALL_EXIT = 2n

/** `struct ptrace_rseq_configuration`. */
export const RseqConfiguration = Struct.make("ptrace_rseq_configuration", {
  rseq_abi_pointer: Struct.ulong,
  rseq_abi_size: Struct.u32,
  signature: Struct.u32,
  flags: Struct.u32,
  pad: Struct.u32
})

/** `sizeof(struct user)`, and where its debug registers are. */
export const USER_SIZE = 928
export const USER_DEBUGREG = 848

export const PTRACE_PEEKSIGINFO_SHARED = 1

export const PeekSigInfoArgs = Struct.make("ptrace_peeksiginfo_args", {
  off: Struct.u64,
  flags: Struct.u32,
  nr: Struct.i32
})

export const PTRACE_SYSCALL_INFO_NONE = 0
export const PTRACE_SYSCALL_INFO_ENTRY = 1
export const PTRACE_SYSCALL_INFO_EXIT = 2
export const PTRACE_SYSCALL_INFO_SECCOMP = 3
