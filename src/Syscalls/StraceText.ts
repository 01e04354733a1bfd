/**
 * How strace(1) writes values: quoted bytes, flags, modes, signal sets. Pure text; no guest memory, no tasks.
 */
import { errnoName, errnoNames } from "../Abi/Errno.ts"
import { signalName } from "../Abi/Signal.ts"
import type { NamedValues } from "../Task/Syscall.ts"

/** Bytes of a buffer or string that strace shows unless told otherwise (-s). */
export const STRING_LIMIT = 32

const ESCAPES: ReadonlyMap<number, string> = new Map([
  [0x09, "\\t"],
  [0x0a, "\\n"],
  [0x0b, "\\v"],
  [0x0c, "\\f"],
  [0x0d, "\\r"],
  [0x22, '\\"'],
  [0x5c, "\\\\"]
])

const isOctalDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x37

/** C's way of writing one byte; an octal escape is as short as the byte after it allows. */
const escapeByte = (byte: number, next: number | undefined): string => {
  const escape = ESCAPES.get(byte)
  if (escape !== undefined) return escape
  if (byte >= 0x20 && byte < 0x7f) return String.fromCharCode(byte)
  return `\\${byte.toString(8).padStart(isOctalDigit(next) ? 3 : 1, "0")}`
}

/** `"…"`, followed by `...` when `more` says that there was more than these bytes. */
export const quote = (bytes: Uint8Array, more: boolean): string => {
  let text = '"'
  for (let i = 0; i < bytes.length; i++) text += escapeByte(bytes[i]!, bytes[i + 1])
  return more ? `${text}"...` : `${text}"`
}

/** Bytes as strace writes those that are no text: `"\x0a\xff"`. */
export const quoteHex = (bytes: Uint8Array, more: boolean): string => {
  const text = Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("")
  return more ? `"${text}"...` : `"${text}"`
}

/** Negative numbers as the 64-bit word that they are. */
export const hex = (value: number | bigint): string => {
  if (value === 0 || value === 0n) return "0"
  return `0x${(value < 0 ? BigInt.asUintN(64, BigInt(value)) : value).toString(16)}`
}

export const pointer = (value: number | bigint): string => (value === 0 || value === 0n ? "NULL" : hex(value))

/** C's %#03o: 0644, 0, 000. */
export const octal = (value: number): string => (value === 0 ? "000" : `0${value.toString(8)}`)

/** Names of the bits in `value`, joined by |; what has no name in hexadecimal. */
export const flags = (names: NamedValues, value: number | bigint, zero = "0"): string => {
  if (value === 0 || value === 0n) return names.find(([, bits]) => bits === 0)?.[0] ?? zero
  let rest = BigInt.asUintN(64, BigInt(value))
  const parts: Array<string> = []
  for (const [name, bits] of names) {
    const mask = bits < 0 ? BigInt(bits) & 0xffff_ffffn : BigInt(bits)
    if (mask !== 0n && (rest & mask) === mask) {
      parts.push(name)
      rest &= ~mask
    }
  }
  if (rest !== 0n) parts.push(`0x${rest.toString(16)}${parts.length === 0 ? " /* ??? */" : ""}`)
  return parts.join("|")
}

/** The name of `value`, or the number with strace's sign of wonder. */
export const oneOf = (names: NamedValues, value: number): string =>
  names.find(([, named]) => named === value)?.[0] ?? `${hex(value >>> 0)} /* ??? */`

/** "SIGINT"; a number that is no signal as it is. */
export const signal = (signo: number): string => (signo > 0 && signo <= 64 ? signalName(signo) : String(signo))

/** `[INT USR1]`, or the complement `~[KILL]` when most signals are in the set. */
export const signalSet = (set: bigint): string => {
  const members: Array<string> = []
  const others: Array<string> = []
  for (let signo = 1; signo <= 64; signo++) {
    const list = ((set >> BigInt(signo - 1)) & 1n) === 1n ? members : others
    list.push(signalName(signo).slice("SIG".length))
  }
  return members.length > 32 ? `~[${others.join(" ")}]` : `[${members.join(" ")}]`
}

const FILE_TYPES: ReadonlyMap<number, string> = new Map([
  [0o140000, "S_IFSOCK"],
  [0o120000, "S_IFLNK"],
  [0o100000, "S_IFREG"],
  [0o060000, "S_IFBLK"],
  [0o040000, "S_IFDIR"],
  [0o020000, "S_IFCHR"],
  [0o010000, "S_IFIFO"]
])

/** `S_IFREG|S_ISUID|0755`. */
export const fileMode = (mode: number): string => {
  const parts: Array<string> = []
  const type = FILE_TYPES.get(mode & 0o170000)
  if (type !== undefined) parts.push(type)
  if ((mode & 0o4000) !== 0) parts.push("S_ISUID")
  if ((mode & 0o2000) !== 0) parts.push("S_ISGID")
  if ((mode & 0o1000) !== 0) parts.push("S_ISVTX")
  parts.push(octal(mode & 0o777))
  return parts.join("|")
}

/** `makedev(0x1, 0x3)`. */
export const device = (dev: bigint): string => {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn)
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffff_ff00n)
  return `makedev(0x${major.toString(16)}, 0x${minor.toString(16)})`
}

/** `[{WIFEXITED(s) && WEXITSTATUS(s) == 0}]` without the brackets. */
export const waitStatus = (status: number): string => {
  const low = status & 0x7f
  if (status === 0xffff) return "{WIFCONTINUED(s)}"
  if (low === 0) return `{WIFEXITED(s) && WEXITSTATUS(s) == ${(status >> 8) & 0xff}}`
  if (low === 0x7f) {
    const event = status >> 16
    const name = signal((status >> 8) & 0x7f)
    const stopped = `WIFSTOPPED(s) && WSTOPSIG(s) == ${name}${(status & 0x8000) === 0 ? "" : " | 0x80"}`
    return event === 0 ? `{${stopped}}` : `{${stopped}} | ${hex(event << 16)}`
  }
  return `{WIFSIGNALED(s) && WTERMSIG(s) == ${signal(low)}${(status & 0x80) === 0 ? "" : " && WCOREDUMP(s)"}}`
}

/** `-1 ENOENT (No such file or directory)` for -2; `? ERESTARTSYS (…)` for what will be restarted. */
export const failure = (result: number): string => {
  const errno = -result
  const text = errnoNames.get(errno)?.[1] ?? "Unknown error"
  return `${errno >= 512 ? "?" : "-1"} ${errnoName(errno)} (${text})`
}

/** Whether a result is an -errno (or one of the restart codes). */
export const isFailure = (result: number | undefined): boolean => result !== undefined && result < 0 && result >= -4095
