/**
 * The structures that strace(1) shows by name: each is read from guest memory (a copy, once) and written in strace's
 * abbreviated form. What cannot be read is shown as its address, by the caller.
 */
import { CLONE3_NAMES, CloneArgs } from "../Abi/Clone.ts"
import { Flock } from "../Abi/Fcntl.ts"
import { EPOLL_NAMES } from "../Abi/EpollFlags.ts"
import { POLL_NAMES, PollFd } from "../Abi/Poll.ts"
import { RLIM_INFINITY, Rlimit, Rusage } from "../Abi/Resource.ts"
import { SigAction, SIG_DFL, SIG_IGN, StackT } from "../Abi/SigAction.ts"
import { SA_RESTORER, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from "../Abi/Signal.ts"
import { ItimerSpec, ItimerVal, Timespec, Timeval } from "../Abi/Time.ts"
import type { NamedValues } from "../Task/Syscall.ts"
import { sigInfoBytes } from "./StraceSignals.ts"
import { messageHeader, socketAddress } from "./StraceSockets.ts"
import { array, fixed, iovec, type StructPrinter } from "./StraceMemory.ts"
import * as Text from "./StraceText.ts"

const timespec = (t: Timespec): string =>
  t.tv_nsec === 0x3fff_ffffn
    ? "UTIME_NOW"
    : t.tv_nsec === 0x3fff_fffen
      ? "UTIME_OMIT"
      : `{tv_sec=${t.tv_sec}, tv_nsec=${t.tv_nsec}}`
const timeval = (t: Timeval): string => `{tv_sec=${t.tv_sec}, tv_usec=${t.tv_usec}}`

const SA_NAMES: NamedValues = [
  ["SA_RESTORER", SA_RESTORER],
  ["SA_ONSTACK", 0x0800_0000],
  ["SA_RESTART", 0x1000_0000],
  ["SA_NODEFER", 0x4000_0000],
  ["SA_RESETHAND", 0x8000_0000],
  ["SA_SIGINFO", 4],
  ["SA_NOCLDSTOP", 1],
  ["SA_NOCLDWAIT", 2]
]

/** With the upper half of the flags, which only strace shows. */
interface TracedAction extends SigAction {
  readonly upperFlags: number
}

const tracedAction = (view: DataView): TracedAction => ({
  ...SigAction.get(view, 0),
  upperFlags: view.getUint32(12, true)
})

const sigAction = (action: TracedAction): string => {
  const handler =
    action.sa_handler === SIG_DFL ? "SIG_DFL" : action.sa_handler === SIG_IGN ? "SIG_IGN" : Text.hex(action.sa_handler)
  const flags = Text.flags(SA_NAMES, (BigInt(action.upperFlags) << 32n) | BigInt(action.sa_flags))
  const restorer = (action.sa_flags & SA_RESTORER) === 0 ? "" : `, sa_restorer=${Text.pointer(action.sa_restorer)}`
  return `{sa_handler=${handler}, sa_mask=${Text.signalSet(action.sa_mask)}, sa_flags=${flags}${restorer}}`
}

const SS_NAMES: NamedValues = [
  ["SS_ONSTACK", SS_ONSTACK],
  ["SS_DISABLE", SS_DISABLE],
  ["SS_AUTODISARM", SS_AUTODISARM]
]

/** `8192*1024`, as strace has limits; RLIM64_INFINITY. */
const limit = (value: bigint): string =>
  value === RLIM_INFINITY
    ? "RLIM64_INFINITY"
    : value > 1024n && value % 1024n === 0n
      ? `${value / 1024n}*1024`
      : `${value}`

const stat = (bytes: DataView): string => {
  const mode = bytes.getUint32(24, true)
  const type = mode & 0o170000
  const what =
    type === 0o020000 || type === 0o060000
      ? `st_rdev=${Text.device(bytes.getBigUint64(40, true))}`
      : `st_size=${bytes.getBigInt64(48, true)}`
  return `{st_mode=${Text.fileMode(mode)}, ${what}, ...}`
}

const STATX_MASK: NamedValues = [
  ["STATX_BASIC_STATS", 0x7ff],
  ["STATX_TYPE", 1],
  ["STATX_MODE", 2],
  ["STATX_NLINK", 4],
  ["STATX_UID", 8],
  ["STATX_GID", 0x10],
  ["STATX_ATIME", 0x20],
  ["STATX_MTIME", 0x40],
  ["STATX_CTIME", 0x80],
  ["STATX_INO", 0x100],
  ["STATX_SIZE", 0x200],
  ["STATX_BLOCKS", 0x400],
  ["STATX_BTIME", 0x800],
  ["STATX_MNT_ID", 0x1000],
  ["STATX_DIOALIGN", 0x2000],
  ["STATX_MNT_ID_UNIQUE", 0x4000]
]

const statx = (bytes: DataView): string =>
  `{stx_mask=${Text.flags(STATX_MASK, bytes.getUint32(0, true))}, stx_attributes=${Text.hex(bytes.getBigUint64(8, true))}, ` +
  `stx_mode=${Text.fileMode(bytes.getUint16(28, true))}, stx_size=${bytes.getBigUint64(40, true)}, ...}`

const FS_TYPES: ReadonlyMap<number, string> = new Map([
  [0xef53, "EXT2_SUPER_MAGIC"],
  [0x0102_1994, "TMPFS_MAGIC"],
  [0x9fa0, "PROC_SUPER_MAGIC"],
  [0x6265_6572, "SYSFS_MAGIC"],
  [0x794c_7630, "OVERLAYFS_SUPER_MAGIC"],
  [0x5846_5342, "XFS_SUPER_MAGIC"],
  [0x9123_683e, "BTRFS_SUPER_MAGIC"],
  [0x1cd1, "DEVPTS_SUPER_MAGIC"]
])

const ST_NAMES: NamedValues = [
  ["ST_VALID", 0x20],
  ["ST_RDONLY", 1],
  ["ST_NOSUID", 2],
  ["ST_NODEV", 4],
  ["ST_NOEXEC", 8],
  ["ST_SYNCHRONOUS", 0x10],
  ["ST_NOATIME", 0x400],
  ["ST_NODIRATIME", 0x800],
  ["ST_RELATIME", 0x1000]
]

const statfs = (bytes: DataView): string => {
  const word = (index: number): bigint => bytes.getBigInt64(index * 8, true)
  const fields = ["f_bsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree"]
  const type = Number(word(0))
  const [fsid0, fsid1] = [bytes.getUint32(56, true), bytes.getUint32(60, true)]
  return (
    `{f_type=${FS_TYPES.get(type) ?? Text.hex(type)}, ${fields.map((name, i) => `${name}=${word(i + 1)}`).join(", ")}, ` +
    `f_fsid={val=[${Text.hex(fsid0)}, ${Text.hex(fsid1)}]}, f_namelen=${word(8)}, f_frsize=${word(9)}, ` +
    `f_flags=${Text.flags(ST_NAMES, Number(word(10)))}}`
  )
}

const utsname = (bytes: DataView): string => {
  const field = (index: number): string => {
    const raw = Buffer.from(bytes.buffer, index * 65, 65)
    const end = raw.indexOf(0)
    return Text.quote(raw.subarray(0, end < 0 ? 65 : end), false)
  }
  return `{sysname=${field(0)}, nodename=${field(1)}, ...}`
}

/** Descriptors below the first argument whose bit is set. */
const fdSet: StructPrinter = ({ memory, values }, address) => {
  const nfds = Math.min(values[0]! | 0, 1024)
  if (nfds <= 0) return "[]"
  const bytes = new Uint8Array(Math.ceil(nfds / 64) * 8)
  if (memory.copyIn(address, bytes) < 0) return undefined
  const members: Array<number> = []
  for (let fd = 0; fd < nfds; fd++) if ((bytes[fd >> 3]! & (1 << (fd & 7))) !== 0) members.push(fd)
  return `[${members.join(" ")}]`
}

const cpuSet: StructPrinter = ({ memory, values, result }, address) => {
  const length = Math.min(result === undefined || result <= 0 ? values[1]! : result, 128)
  if (length < 0) return undefined // the size is the guest's
  const bytes = new Uint8Array(length)
  if (memory.copyIn(address, bytes) < 0) return undefined
  const members: Array<number> = []
  for (let cpu = 0; cpu < length * 8; cpu++) if ((bytes[cpu >> 3]! & (1 << (cpu & 7))) !== 0) members.push(cpu)
  return `[${members.join(" ")}]`
}

const epollEvent = fixed({ size: 12, get: (v) => v }, (v) => {
  const data = v.getBigUint64(4, true)
  return `{events=${Text.flags(EPOLL_NAMES, v.getUint32(0, true))}, data={u32=${data & 0xffff_ffffn}, u64=${data}}}`
})

const LOCK_TYPES: NamedValues = Object.entries({ F_RDLCK: 0, F_WRLCK: 1, F_UNLCK: 2 })
const WHENCE: NamedValues = Object.entries({ SEEK_SET: 0, SEEK_CUR: 1, SEEK_END: 2, SEEK_DATA: 3, SEEK_HOLE: 4 })

const lock = (f: Flock): string =>
  `l_type=${Text.oneOf(LOCK_TYPES, f.l_type)}, l_whence=${Text.oneOf(WHENCE, f.l_whence)}, l_start=${f.l_start}, l_len=${f.l_len}`

const sysinfo = (v: DataView): string => {
  const words = ["totalram", "freeram", "sharedram", "bufferram", "totalswap", "freeswap"]
  const loads = [8, 16, 24].map((at) => v.getBigUint64(at, true)).join(", ")
  return (
    `{uptime=${v.getBigInt64(0, true)}, loads=[${loads}], ` +
    `${words.map((name, i) => `${name}=${v.getBigUint64(32 + i * 8, true)}`).join(", ")}, procs=${v.getUint16(80, true)}, ` +
    `totalhigh=${v.getBigUint64(88, true)}, freehigh=${v.getBigUint64(96, true)}, mem_unit=${v.getUint32(104, true)}}`
  )
}

const CLONE_ARGS_FIELDS = ["child_tid", "parent_tid", "exit_signal", "stack", "stack_size", "tls"] as const

const cloneArgs = (args: CloneArgs): string => {
  const fields = CLONE_ARGS_FIELDS.map((name) => {
    const value = args[name]
    return `${name}=${name === "exit_signal" ? Text.signal(Number(value)) : name === "stack_size" ? Text.hex(value) : Text.pointer(value)}`
  })
  return `{flags=${Text.flags(CLONE3_NAMES, args.flags)}, ${fields.join(", ")}}`
}

const int = fixed({ size: 4, get: (v) => v.getInt32(0, true) }, (x) => `[${x}]`)
const intPair = fixed({ size: 8, get: (v) => v }, (v) => `[${v.getInt32(0, true)}, ${v.getInt32(4, true)}]`)
const uint = fixed({ size: 4, get: (v) => v.getUint32(0, true) }, (x) => `[${x}]`)
const long = fixed({ size: 8, get: (v) => v.getBigInt64(0, true) }, (x) => `[${x}]`)

/** The pollfd array as it goes in: only what is asked for. */
export const pollFds: StructPrinter = array(
  fixed(PollFd, (p) => `{fd=${p.fd}${p.fd < 0 ? "" : `, events=${Text.flags(POLL_NAMES, p.events)}`}}`),
  PollFd.size,
  (call, index) => call.values[index + 1] ?? 0
)

const STRUCTS: Readonly<Record<string, StructPrinter>> = {
  timespec: fixed(Timespec, timespec),
  "timespec[2]": array(fixed(Timespec, timespec), 16, () => 2),
  timeval: fixed(Timeval, timeval),
  "timeval[2]": array(fixed(Timeval, timeval), 16, () => 2),
  timezone: fixed(
    { size: 8, get: (v) => v },
    (v) => `{tz_minuteswest=${v.getInt32(0, true)}, tz_dsttime=${v.getInt32(4, true)}}`
  ),
  utimbuf: fixed(
    { size: 16, get: (v) => v },
    (v) => `{actime=${v.getBigInt64(0, true)}, modtime=${v.getBigInt64(8, true)}}`
  ),
  itimerval: fixed(ItimerVal, (t) => `{it_interval=${timeval(t.it_interval)}, it_value=${timeval(t.it_value)}}`),
  itimerspec: fixed(ItimerSpec, (t) => `{it_interval=${timespec(t.it_interval)}, it_value=${timespec(t.it_value)}}`),
  stat: fixed({ size: 144, get: (v) => v }, stat),
  statx: fixed({ size: 256, get: (v) => v }, statx),
  statfs: fixed({ size: 120, get: (v) => v }, statfs),
  utsname: fixed({ size: 390, get: (v) => v }, utsname),
  rlimit: fixed(Rlimit, (r) => `{rlim_cur=${limit(r.rlim_cur)}, rlim_max=${limit(r.rlim_max)}}`),
  rusage: fixed(Rusage, (r) => `{ru_utime=${timeval(r.ru_utime)}, ru_stime=${timeval(r.ru_stime)}, ...}`),
  sigaction: fixed({ size: SigAction.size, get: tracedAction }, sigAction),
  stack: fixed(
    StackT,
    (s) => `{ss_sp=${Text.pointer(s.ss_sp)}, ss_flags=${Text.flags(SS_NAMES, s.ss_flags)}, ss_size=${s.ss_size}}`
  ),
  sigset: fixed({ size: 8, get: (v) => v.getBigUint64(0, true) }, Text.signalSet),
  siginfo: fixed({ size: 128, get: (v) => v }, sigInfoBytes),
  flock: fixed(Flock, (f) => `{${lock(f)}}`),
  flockwithpid: fixed(Flock, (f) => `{${lock(f)}, l_pid=${f.l_pid}}`),
  iovec,
  pollfd: pollFds,
  fdset: fdSet,
  cpuset: cpuSet,
  epollevent: epollEvent,
  sysinfo: fixed({ size: 112, get: (v) => v }, sysinfo),
  tms: fixed(
    { size: 32, get: (v) => v },
    (v) =>
      `{${["tms_utime", "tms_stime", "tms_cutime", "tms_cstime"].map((n, i) => `${n}=${v.getBigInt64(i * 8, true)}`).join(", ")}}`
  ),
  winsize: fixed(
    { size: 8, get: (v) => v },
    (v) =>
      `{${["ws_row", "ws_col", "ws_xpixel", "ws_ypixel"].map((n, i) => `${n}=${v.getUint16(i * 2, true)}`).join(", ")}}`
  ),
  waitstatus: fixed({ size: 4, get: (v) => v.getInt32(0, true) }, (status) => `[${Text.waitStatus(status)}]`),
  cloneargs: fixed({ size: 64, get: (v) => v }, (v) => {
    const whole = new DataView(new ArrayBuffer(CloneArgs.size)) // the first version: the rest is zero
    new Uint8Array(whole.buffer).set(new Uint8Array(v.buffer))
    return cloneArgs(CloneArgs.get(whole, 0))
  }),
  sockaddr: ({ memory, values }, address, index) => socketAddress(memory, address, values[index + 1]! | 0),
  msghdr: messageHeader,
  int,
  uint,
  long,
  "int[2]": intPair
}

/** Other names for the same structures, as declarations may spell them. */
const ALIASES: Readonly<Record<string, string>> = {
  kernelsigaction: "sigaction",
  stackt: "stack",
  sigsett: "sigset",
  siginfot: "siginfo",
  rlimit64: "rlimit",
  timespecs: "timespec[2]",
  timevals: "timeval[2]",
  pollfds: "pollfd",
  iov: "iovec",
  iovecs: "iovec",
  wstatus: "waitstatus",
  status: "waitstatus",
  newutsname: "utsname",
  fdpair: "int[2]",
  ints: "int[2]",
  "fd[2]": "int[2]",
  pipefd: "int[2]",
  pair: "int[2]",
  socklen: "int",
  socklent: "int",
  pid: "int",
  pidt: "int",
  uid: "uint",
  uidt: "uint",
  gid: "uint",
  gidt: "uint",
  loff: "long",
  lofft: "long",
  offt: "long",
  cpumask: "cpuset",
  cpusett: "cpuset"
}

/** The printer of a structure by the name its declaration gives, "struct " and underscores not counted. */
export const structPrinter = (name: string): StructPrinter | undefined => {
  const key = name
    .replace(/^struct /, "")
    .replace(/[_ *]/g, "")
    .toLowerCase()
  return STRUCTS[key] ?? STRUCTS[ALIASES[key] ?? ""]
}
