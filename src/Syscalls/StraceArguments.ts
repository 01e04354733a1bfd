/**
 * One call's argument list in strace's words. The declaration's formats (Task/Syscall.ts) decide; where arguments
 * depend on each other (fcntl, futex, clone, …) the entry of `SPECIAL` with the call's name decides instead.
 *
 * A list is a sequence of parts; a part that shows what the call returns in memory can only be written afterwards.
 */
import { F_DUPFD, FCNTL_NAMES } from "../Abi/Fcntl.ts"
import { CLONE_NAMES, CLONE_PARENT_SETTID, CLONE_SETTLS, CSIGNAL } from "../Abi/Clone.ts"
import { O_ACCMODE, O_CREAT, OPEN_NAMES } from "../Abi/OpenFlags.ts"
import { POLL_NAMES, PollFd } from "../Abi/Poll.ts"
import { IOCTL_NAMES } from "../Abi/Termios.ts"
import type { NamedValues, Syscall } from "../Task/Syscall.ts"
import { type Call, view } from "./StraceMemory.ts"
import {
  after,
  AT_FDCWD,
  before,
  decimal,
  declared,
  enumeration,
  int,
  inward,
  literal,
  out,
  pointer,
  pointers,
  returned,
  shortString,
  string,
  stringArray,
  struct,
  uint,
  type Part
} from "./StraceParts.ts"
import { seccompArguments, seccompModeArguments } from "./StraceSeccomp.ts"
import * as Text from "./StraceText.ts"

const openFlags = (value: number): string => {
  const access = ["O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"][value & O_ACCMODE]!
  const rest = (value & ~O_ACCMODE) >>> 0
  return rest === 0 ? access : `${access}|${Text.flags(OPEN_NAMES, rest)}`
}

const MAKES_FILE = O_CREAT | 0o20000000 // or __O_TMPFILE

/** flags, and mode where it means something. */
const openTail =
  (index: number) =>
  (call: Call): ReadonlyArray<Part> => {
    const flags = int(call, index)
    const shown = literal(openFlags(flags))
    return (flags & MAKES_FILE) === 0 ? [shown] : [shown, literal(Text.octal(uint(call, index + 1)))]
  }

const path = (index: number): Part => before((call) => string(call, call.values[index]!))
const dirFd = (index: number): Part =>
  before((call) => (int(call, index) === AT_FDCWD ? "AT_FDCWD" : String(int(call, index))))

const environment = (index: number): Part =>
  before((call) => {
    const address = call.values[index]!
    const count = address === 0 ? undefined : pointers(call, address, 100_000)?.length
    return count === undefined
      ? Text.pointer(address)
      : `${Text.pointer(address)} /* ${count} var${count === 1 ? "" : "s"} */`
  })

const FUTEX_NAMES = (
  "FUTEX_WAIT FUTEX_WAKE FUTEX_FD FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_LOCK_PI FUTEX_UNLOCK_PI " +
  "FUTEX_TRYLOCK_PI FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET FUTEX_WAIT_REQUEUE_PI FUTEX_CMP_REQUEUE_PI FUTEX_LOCK_PI2"
).split(" ")

const futex = (call: Call): ReadonlyArray<Part> => {
  const operation = int(call, 1)
  const command = operation & 0x7f
  const name =
    (FUTEX_NAMES[command] ?? Text.hex(command)) +
    ((operation & 0x80) === 0 ? "" : "_PRIVATE") +
    ((operation & 0x100) === 0 ? "" : "|FUTEX_CLOCK_REALTIME")
  const head = [pointer(0), literal(name), literal(String(uint(call, 2)))]
  const mask = uint(call, 5)
  const bitset = literal(mask === 0xffff_ffff ? "FUTEX_BITSET_MATCH_ANY" : Text.hex(mask))
  switch (command) {
    case 0: // WAIT
      return [...head, inward("timespec", 3)]
    case 6: // LOCK_PI
    case 13:
      return [pointer(0), literal(name), inward("timespec", 3)]
    case 7: // UNLOCK_PI
    case 8:
      return [pointer(0), literal(name)]
    case 9: // WAIT_BITSET
      return [...head, inward("timespec", 3), bitset]
    case 10: // WAKE_BITSET
      return [...head, bitset]
    case 3: // REQUEUE
      return [...head, decimal(3), pointer(4)]
    case 4: // CMP_REQUEUE
    case 12:
      return [...head, decimal(3), pointer(4), decimal(5)]
    case 5: // WAKE_OP
      return [...head, decimal(3), pointer(4), before((call) => Text.hex(uint(call, 5)))]
    case 11: // WAIT_REQUEUE_PI
      return [...head, inward("timespec", 3), pointer(4)]
    default:
      return head
  }
}

const F_GETLK_LIKE = [5, 36]
const F_SETLK_LIKE = [6, 7, 37, 38]
const F_NO_ARGUMENT = [1, 3, 9, 11, 1025, 1032, 1034]

const fcntl = (call: Call): ReadonlyArray<Part> => {
  const command = int(call, 1)
  const head = [decimal(0), enumeration(1, FCNTL_NAMES)]
  if (F_NO_ARGUMENT.includes(command)) return head
  if (F_GETLK_LIKE.includes(command)) return [...head, out("flock with pid", 2)]
  if (F_SETLK_LIKE.includes(command)) return [...head, inward("flock", 2)]
  if (command === 2) return [...head, literal(Text.flags([["FD_CLOEXEC", 1]], uint(call, 2)))]
  if (command === 4) return [...head, literal(openFlags(int(call, 2)))]
  if (command === F_DUPFD || FCNTL_NAMES.some(([, value]) => value === command)) return [...head, decimal(2)]
  return [...head, before((call) => Text.hex(call.values[2]!))]
}

/** fcntl's results that are more than a number. */
const fcntlResult = (call: Call): string | undefined => {
  const command = int(call, 1)
  if (command === 3) return `${Text.hex(call.result!)} (flags ${openFlags(call.result!)})`
  if (command === 1) return call.result === 0 ? "0" : `${Text.hex(call.result!)} (flags FD_CLOEXEC)`
  return undefined
}

const IOCTL_OUT: ReadonlyMap<number, string> = new Map([
  [0x5413, "winsize"],
  [0x541b, "int"],
  [0x540f, "int"],
  [0x5429, "int"],
  [0x5411, "int"]
])

const ioctl = (call: Call): ReadonlyArray<Part> => {
  const request = uint(call, 1)
  const named = IOCTL_NAMES.find(([, value]) => value === request)?.[0]
  const direction = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"][request >>> 30]
  const raw = `_IOC(${direction}, ${Text.hex((request >>> 8) & 0xff)}, ${Text.hex(request & 0xff)}, ${Text.hex((request >>> 16) & 0x3fff)})`
  const result = IOCTL_OUT.get(request)
  const argument =
    result !== undefined
      ? out(result, 2)
      : named === undefined
        ? before((call) => Text.hex(call.values[2]!))
        : pointer(2)
  return [decimal(0), literal(named ?? raw), argument]
}

const clone = (call: Call): ReadonlyArray<Part> => {
  const { values } = call
  const bits = uint(call, 0)
  const signo = bits & CSIGNAL
  const names = Text.flags(CLONE_NAMES, (bits & ~CSIGNAL) >>> 0)
  const flags = signo === 0 ? names : names === "0" ? Text.signal(signo) : `${names}|${Text.signal(signo)}`
  const parts = [literal(`child_stack=${Text.pointer(values[1]!)}`), literal(`flags=${flags}`)]
  if ((bits & CLONE_PARENT_SETTID) !== 0) {
    parts.push(
      after((call) => `parent_tid=${returned(call) ? struct("int", call, values[2]!, 2) : Text.pointer(values[2]!)}`)
    )
  }
  if ((bits & CLONE_SETTLS) !== 0) parts.push(after(() => `tls=${Text.pointer(values[4]!)}`))
  // strace writes these after the call: x86-64 has them last
  if ((bits & 0x0120_0000) !== 0) parts.push(after(() => `child_tidptr=${Text.pointer(values[3]!)}`))
  return parts
}

const ARCH_PRCTL: NamedValues = Object.entries({
  ARCH_SET_GS: 0x1001,
  ARCH_SET_FS: 0x1002,
  ARCH_GET_FS: 0x1003,
  ARCH_GET_GS: 0x1004,
  ARCH_GET_CPUID: 0x1011,
  ARCH_SET_CPUID: 0x1012
})

/** revents of those that are ready, poll(2)'s comment on its result. */
const pollResult = (call: Call, left = ""): string | undefined => {
  if (call.result === 0) return "0 (Timeout)"
  const parts: Array<string> = []
  for (let i = 0; i < Math.min(call.values[1]!, 1024); i++) {
    const bytes = view(call.memory, call.values[0]! + i * PollFd.size, PollFd.size)
    if (bytes === undefined) return undefined
    const { fd, revents } = PollFd.get(bytes, 0)
    if (revents !== 0) parts.push(`{fd=${fd}, revents=${Text.flags(POLL_NAMES, revents)}}`)
  }
  return `${call.result} ([${parts.join(", ")}]${left})`
}

const selectResult =
  (type: "timeval" | "timespec") =>
  (call: Call): string | undefined => {
    if (call.result === 0) return "0 (Timeout)"
    const parts: Array<string> = []
    for (const [index, name] of [
      [1, "in"],
      [2, "out"],
      [3, "except"]
    ] as const) {
      const set = call.values[index] === 0 ? "[]" : struct("fd_set", call, call.values[index]!, index)
      if (set !== "[]") parts.push(`${name} ${set}`)
    }
    const time = call.values[4] === 0 ? [] : [`left ${struct(type, call, call.values[4]!, 4)}`]
    return `${call.result} (${[...parts, ...time].join(", ")})`
  }

const hexResult = (call: Call): string => Text.hex(call.result!)
const octalResult = (call: Call): string => Text.octal(call.result!)

const mmap = ({ values }: Call, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => [
  ...parts.slice(0, 5),
  before(() => Text.hex(values[5]!))
]

/** The options of prctl(2) that take an argument other than a number, and how many arguments the others have. */
const PR_SET_NAME = 15
const PR_GET_NAME = 16
const PR_SET_SECCOMP = 22
const PR_WITHOUT_ARGUMENT = [3, 7, 21, 27, 30, 34, 39]

const prctl = (call: Call, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
  const option = int(call, 0)
  if (option === PR_SET_NAME) return [parts[0]!, before((call) => shortString(call, call.values[1]!))]
  if (option === PR_GET_NAME) {
    return [
      parts[0]!,
      after((call) => (returned(call) ? shortString(call, call.values[1]!) : Text.pointer(call.values[1]!)))
    ]
  }
  if (option === PR_SET_SECCOMP) return [parts[0]!, ...seccompModeArguments(call)]
  if (PR_WITHOUT_ARGUMENT.includes(option)) return [parts[0]!]
  return [parts[0]!, before((call) => Text.hex(call.values[1]!))]
}

/** A path that came out; its NUL is counted by the call and not shown. */
const pathOut = (index: number): Part =>
  after((call) => (returned(call) ? string(call, call.values[index]!) : Text.pointer(call.values[index]!)))

/** `[0, 4, 24]`: group ids, as many as `count` says. */
const groups = (call: Call, count: number): string => {
  if (call.values[1] === 0) return "NULL"
  const shown = Math.min(Math.max(0, count), Text.STRING_LIMIT)
  const bytes = view(call.memory, call.values[1]!, shown * 4)
  if (bytes === undefined) return Text.pointer(call.values[1]!)
  const ids = Array.from({ length: shown }, (_, i) => bytes.getUint32(i * 4, true))
  return `[${[...ids, ...(count > shown ? ["..."] : [])].join(", ")}]`
}

const threeIds = (): ReadonlyArray<Part> => [0, 1, 2].map((index) => out("uid", index))

const fileType = (index: number): Part => before((call) => Text.fileMode(uint(call, index)))

/** mknod(2)'s mode, and its device where that means something. */
const mknod =
  (index: number) =>
  (call: Call, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => {
    const type = uint(call, index) & 0o170000
    const isDevice = type === 0o020000 || type === 0o060000
    const dev = before((call) => Text.device(BigInt(uint(call, index + 1))))
    return [...parts.slice(0, index), fileType(index), ...(isDevice ? [dev] : [])]
  }

/** A list that depends on the values, given the declared parts. */
type Special = (call: Call, parts: ReadonlyArray<Part>) => ReadonlyArray<Part>

const FADVICE: NamedValues = Object.entries({
  POSIX_FADV_NORMAL: 0,
  POSIX_FADV_RANDOM: 1,
  POSIX_FADV_SEQUENTIAL: 2,
  POSIX_FADV_WILLNEED: 3,
  POSIX_FADV_DONTNEED: 4,
  POSIX_FADV_NOREUSE: 5
})

/** The declared parts but for one. */
const replaced =
  (index: number, part: Part): Special =>
  (_, parts) =>
    parts.with(index, part)

const SPECIAL: Readonly<Partial<Record<string, Special>>> = {
  open: (call) => [path(0), ...openTail(1)(call)],
  openat: (call) => [dirFd(0), path(1), ...openTail(2)(call)],
  execve: () => [path(0), before((call) => stringArray(call, call.values[1]!)), environment(2)],
  execveat: (_, parts) => [...parts.slice(0, 3), environment(3), ...parts.slice(4)],
  getcwd: replaced(0, pathOut(0)),
  mknod: mknod(1),
  mknodat: mknod(2),
  utimensat: replaced(2, inward("timespec[2]", 2)),
  utimes: replaced(1, inward("timeval[2]", 1)),
  getgroups: replaced(
    1,
    after((call) =>
      returned(call) ? groups(call, call.values[0] === 0 ? 0 : call.result!) : Text.pointer(call.values[1]!)
    )
  ),
  setgroups: replaced(
    1,
    before((call) => groups(call, int(call, 0)))
  ),
  getresuid: threeIds,
  getresgid: threeIds,
  prctl,
  seccomp: seccompArguments,
  futex,
  fcntl,
  ioctl,
  clone,
  mmap,
  arch_prctl: () => [enumeration(0, ARCH_PRCTL), before((call) => Text.hex(call.values[1]!))],
  getrandom: (_, parts) => [
    after((call) => {
      const bytes = new Uint8Array(Math.min(Math.max(0, call.result ?? 0), Text.STRING_LIMIT))
      return returned(call) && call.memory.copyIn(call.values[0]!, bytes) === 0
        ? Text.quoteHex(bytes, call.result! > bytes.length)
        : Text.pointer(call.values[0]!)
    }),
    ...parts.slice(1)
  ],
  getdents64: (_, parts) => [
    parts[0]!,
    after(
      (call) => `${Text.pointer(call.values[1]!)}${returned(call) ? ` /* ${directoryEntries(call)} entries */` : ""}`
    ),
    ...parts.slice(2)
  ],
  poll: (_, parts) => [inward("pollfd", 0), ...parts.slice(1)],
  ppoll: (_, parts) => [inward("pollfd", 0), parts[1]!, inward("timespec", 2), inward("sigset", 3), parts[4]!],
  pipe: replaced(0, out("int[2]", 0)),
  pipe2: replaced(0, out("int[2]", 0)),
  socketpair: replaced(3, out("int[2]", 3)),
  fadvise64: replaced(3, enumeration(3, FADVICE)),
  readv: replaced(1, out("iovec", 1)),
  preadv: replaced(1, out("iovec", 1)),
  preadv2: replaced(1, out("iovec", 1)),
  writev: replaced(1, inward("iovec", 1)),
  pwritev: replaced(1, inward("iovec", 1)),
  pwritev2: replaced(1, inward("iovec", 1)),
  select: (_, parts) => [parts[0]!, ...[1, 2, 3].map((index) => inward("fd_set", index)), inward("timeval", 4)],
  pselect6: (_, parts) => [
    parts[0]!,
    ...[1, 2, 3].map((index) => inward("fd_set", index)),
    inward("timespec", 4),
    temporaryMask
  ],
  wait4: (_, parts) => [
    parts[0]!,
    // nothing was waited for: nothing was written
    after((call) =>
      (call.result ?? 0) > 0 ? struct("wait status", call, call.values[1]!, 1) : Text.pointer(call.values[1]!)
    ),
    parts[2]!,
    after((call) =>
      (call.result ?? 0) > 0 ? struct("rusage", call, call.values[3]!, 3) : Text.pointer(call.values[3]!)
    )
  ],
  rt_sigreturn: () => [frameMask],
  nanosleep: (_, parts) => [parts[0]!, remaining(1)],
  clock_nanosleep: (_, parts) => [...parts.slice(0, 3), remaining(3)],
  epoll_wait: (_, parts) => [parts[0]!, readyEvents, ...parts.slice(2)],
  epoll_pwait: (_, parts) => [parts[0]!, readyEvents, ...parts.slice(2)],
  epoll_pwait2: (_, parts) => [parts[0]!, readyEvents, ...parts.slice(2)]
}

/** pselect6's sixth argument: the address of { mask, size }. */
const temporaryMask: Part = before((call) => {
  const address = call.values[5]!
  const bytes = address === 0 ? undefined : view(call.memory, address, 16)
  if (bytes === undefined) return Text.pointer(address)
  const mask = Number(bytes.getBigUint64(0, true))
  if (mask === 0) return "NULL"
  return `{sigmask=${struct("sigset", call, mask, 5)}, sigsetsize=${bytes.getBigUint64(8, true)}}`
})

/** The mask that rt_sigreturn(2) restores: uc_sigmask of the frame at the stack pointer. */
const frameMask: Part = before((call) => {
  const mask = view(call.memory, call.stackPointer + 296, 8)
  return mask === undefined ? Text.pointer(call.stackPointer) : `{mask=${Text.signalSet(mask.getBigUint64(0, true))}}`
})

/** What is left of a sleep: written only when a signal interrupted it. */
const remaining = (index: number): Part =>
  after((call) => {
    const interrupted = call.result !== undefined && [-4, -512, -514, -516].includes(call.result)
    return interrupted ? struct("timespec", call, call.values[index]!, index) : Text.pointer(call.values[index]!)
  })

const readyEvents: Part = after((call) => {
  if (!returned(call)) return Text.pointer(call.values[1]!)
  const events = Array.from({ length: Math.min(call.result!, Text.STRING_LIMIT) }, (_, i) =>
    struct("epoll_event", call, call.values[1]! + i * 12, 1)
  )
  return `[${[...events, ...(call.result! > Text.STRING_LIMIT ? ["..."] : [])].join(", ")}]`
})

/** How many struct linux_dirent64 the call returned. */
const directoryEntries = (call: Call): number => {
  const bytes = view(call.memory, call.values[1]!, Math.min(call.result!, 0x10_0000))
  if (bytes === undefined) return 0
  let count = 0
  for (let at = 0; at + 19 <= bytes.byteLength; count++) at += Math.max(19, bytes.getUint16(at + 16, true))
  return count
}

const RESULTS: Readonly<Partial<Record<string, (call: Call) => string | undefined>>> = {
  mmap: hexResult,
  mremap: hexResult,
  brk: hexResult,
  shmat: hexResult,
  umask: octalResult,
  fcntl: fcntlResult,
  poll: (call) => pollResult(call),
  ppoll: (call) =>
    pollResult(call, call.values[2] === 0 ? "" : `, left ${struct("timespec", call, call.values[2]!, 2)}`),
  select: selectResult("timeval"),
  pselect6: selectResult("timespec"),
  rt_sigtimedwait: (call) => `${call.result} (${Text.signal(call.result!)})`
}

/** The argument list of a call as it is entered. */
export const parts = (syscall: Syscall | undefined, call: Call, name: string): ReadonlyArray<Part> => {
  // a call that nobody declared: six words, as strace has those that it does not know
  if (syscall === undefined) return call.values.map((value) => literal(Text.hex(value)))
  const list = syscall.args.map(declared)
  return SPECIAL[name]?.(call, list) ?? list
}

/** What follows `= ` once the call has returned. */
export const result = (call: Call, name: string): string => {
  if (Text.isFailure(call.result)) return Text.failure(call.result!)
  return RESULTS[name]?.(call) ?? String(call.result)
}
