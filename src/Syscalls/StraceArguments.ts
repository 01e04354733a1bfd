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
import type { Argument, NamedValues, Syscall } from "../Task/Syscall.ts"
import { type Call, quotedBytes, view } from "./StraceMemory.ts"
import { structPrinter } from "./StraceStructs.ts"
import * as Text from "./StraceText.ts"

/** A piece of an argument list. */
export interface Part {
  /** Needs what the call has written. */
  readonly after: boolean
  readonly show: (call: Call) => string
}

const before = (show: (call: Call) => string): Part => ({ after: false, show })
const after = (show: (call: Call) => string): Part => ({ after: true, show })

const AT_FDCWD = -100
/** An argument as C's int, and as unsigned: the low 32 bits, exact whatever the high ones are. */
const int = (call: Call, index: number): number => call.low[index]! | 0
const uint = (call: Call, index: number): number => call.low[index]!

/** A path or other string, in full up to PATH_MAX. */
const string = ({ memory }: Call, address: number, limit = 4096): string => {
  if (address === 0) return "NULL"
  const bytes = new Uint8Array(limit)
  let count = 0
  while (count < limit) {
    // never across a page in one go: the string may end before an unmapped one
    const chunk = Math.min(limit - count, 4096 - ((address + count) % 4096))
    const copied = memory.copyInPartial(address + count, bytes.subarray(count, count + chunk))
    if (copied < 0) return Text.pointer(address)
    const end = bytes.subarray(count, count + copied).indexOf(0)
    if (end >= 0) return Text.quote(bytes.subarray(0, count + end), false)
    if (copied < chunk) return Text.pointer(address)
    count += copied
  }
  return Text.quote(bytes, true)
}

/** The pointers of a NULL-terminated array; undefined when it cannot be read. */
const pointers = ({ memory }: Call, address: number, limit: number): ReadonlyArray<number> | undefined => {
  const list: Array<number> = []
  while (list.length < limit) {
    const bytes = view(memory, address + list.length * 8, 8)
    if (bytes === undefined) return undefined
    const pointer = Number(bytes.getBigUint64(0, true))
    if (pointer === 0) break
    list.push(pointer)
  }
  return list
}

const stringArray = (call: Call, address: number): string => {
  const list = address === 0 ? undefined : pointers(call, address, Text.STRING_LIMIT + 1)
  if (list === undefined) return Text.pointer(address)
  const shown = list.slice(0, Text.STRING_LIMIT).map((one) => shortString(call, one))
  return `[${[...shown, ...(list.length > Text.STRING_LIMIT ? ["..."] : [])].join(", ")}]`
}

/** A string cut to strace's limit. */
const shortString = (call: Call, address: number): string => {
  const whole = new Uint8Array(Text.STRING_LIMIT + 1)
  const copied = call.memory.copyInPartial(address, whole)
  if (copied < 0) return Text.pointer(address)
  const end = whole.subarray(0, copied).indexOf(0)
  return end >= 0 ? Text.quote(whole.subarray(0, end), false) : Text.quote(whole.subarray(0, Text.STRING_LIMIT), true)
}

const buffer = (call: Call, address: number, length: number): string =>
  address === 0 ? "NULL" : (quotedBytes(call.memory, address, Math.max(0, length)) ?? Text.pointer(address))

const struct = (name: string, call: Call, address: number, index: number): string =>
  address === 0 ? "NULL" : (structPrinter(name)?.(call, address, index) ?? Text.pointer(address))

const returned = (call: Call): boolean => call.result !== undefined && !Text.isFailure(call.result)

const out = (name: string, index: number): Part =>
  after((call) => (returned(call) ? struct(name, call, call.values[index]!, index) : Text.pointer(call.values[index]!)))
const inward = (name: string, index: number): Part => before((call) => struct(name, call, call.values[index]!, index))
const decimal = (index: number): Part => before((call) => String(int(call, index)))
const pointer = (index: number): Part => before((call) => Text.pointer(call.values[index]!))
const enumeration = (index: number, names: NamedValues): Part => before((call) => Text.oneOf(names, int(call, index)))
const literal = (text: string): Part => before(() => text)

/** A register as C's type has it. */
const decoded = (argument: Argument, call: Call, index: number): number | bigint => {
  switch (argument.decoding) {
    case "int":
      return int(call, index)
    case "uint":
      return uint(call, index)
    case "long":
      return call.values[index]!
    case "ulong":
    case "u64":
      return BigInt.asUintN(64, BigInt(call.values[index]!))
  }
}

/** The part that a declared argument is. */
const declared = (argument: Argument, index: number): Part => {
  const { format } = argument
  const value = (call: Call): number => call.values[index]!
  switch (format._tag) {
    case "Decimal":
    case "Fd":
      return before((call) => String(decoded(argument, call, index)))
    case "DirFd":
      return before((call) => (int(call, index) === AT_FDCWD ? "AT_FDCWD" : String(int(call, index))))
    case "Hex":
      return before((call) => Text.hex(decoded(argument, call, index)))
    case "Octal":
      return before((call) => Text.octal(uint(call, index)))
    case "Pointer":
      return pointer(index)
    case "String":
      return before((call) => string(call, value(call)))
    case "StringArray":
      return before((call) => stringArray(call, value(call)))
    case "BufferIn":
      return before((call) => buffer(call, value(call), call.values[format.length]!))
    case "BufferOut":
      return after((call) => (returned(call) ? buffer(call, value(call), call.result!) : Text.pointer(value(call))))
    case "Flags":
      return before((call) => Text.flags(format.names, decoded(argument, call, index), format.zero))
    case "Enum":
      return before((call) => Text.oneOf(format.names, int(call, index)))
    case "Signal":
      return before((call) => Text.signal(int(call, index)))
    case "SignalSet":
      return inward("sigset", index)
    case "Struct":
      return format.when === "in" ? inward(format.name, index) : out(format.name, index)
  }
}

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
  if (F_GETLK_LIKE.includes(command)) return [...head, out("flock", 2)]
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
const pollResult = (call: Call): string | undefined => {
  if (call.result === 0) return "0 (Timeout)"
  const parts: Array<string> = []
  for (let i = 0; i < Math.min(call.values[1]!, 1024); i++) {
    const bytes = view(call.memory, call.values[0]! + i * PollFd.size, PollFd.size)
    if (bytes === undefined) return undefined
    const { fd, revents } = PollFd.get(bytes, 0)
    if (revents !== 0) parts.push(`{fd=${fd}, revents=${Text.flags(POLL_NAMES, revents)}}`)
  }
  return `${call.result} ([${parts.join(", ")}])`
}

const selectResult = (call: Call): string | undefined => {
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
  return `${call.result} (${parts.join(", ")})`
}

const hexResult = (call: Call): string => Text.hex(call.result!)
const octalResult = (call: Call): string => Text.octal(call.result!)

const mmap = ({ values }: Call, parts: ReadonlyArray<Part>): ReadonlyArray<Part> => [
  ...parts.slice(0, 5),
  before(() => Text.hex(values[5]!))
]

/** A list that depends on the values, given the declared parts. */
type Special = (call: Call, parts: ReadonlyArray<Part>) => ReadonlyArray<Part>

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
  ppoll: (_, parts) => [inward("pollfd", 0), parts[1]!, inward("timespec", 2), ...parts.slice(3)],
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
  poll: pollResult,
  ppoll: pollResult,
  select: selectResult,
  pselect6: selectResult,
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
