/**
 * The pieces of an argument list in strace's words, and which piece the format of a declared argument is
 * (Task/Syscall.ts).
 */
import type { Argument, NamedValues } from "../Task/Syscall.ts"
import { type Call, quotedBytes, view } from "./StraceMemory.ts"
import { structPrinter } from "./StraceStructs.ts"
import * as Text from "./StraceText.ts"

/** A piece of an argument list. */
export interface Part {
  /** Needs what the call has written. */
  readonly after: boolean
  readonly show: (call: Call) => string
}

export const before = (show: (call: Call) => string): Part => ({ after: false, show })
export const after = (show: (call: Call) => string): Part => ({ after: true, show })

export const AT_FDCWD = -100
/** An argument as C's int, and as unsigned: the low 32 bits, exact whatever the high ones are. */
export const int = (call: Call, index: number): number => call.low[index]! | 0
export const uint = (call: Call, index: number): number => call.low[index]!

/** A path or other string, in full up to PATH_MAX. */
export const string = ({ memory }: Call, address: number, limit = 4096): string => {
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
export const pointers = ({ memory }: Call, address: number, limit: number): ReadonlyArray<number> | undefined => {
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

export const stringArray = (call: Call, address: number): string => {
  const list = address === 0 ? undefined : pointers(call, address, Text.STRING_LIMIT + 1)
  if (list === undefined) return Text.pointer(address)
  const shown = list.slice(0, Text.STRING_LIMIT).map((one) => shortString(call, one))
  return `[${[...shown, ...(list.length > Text.STRING_LIMIT ? ["..."] : [])].join(", ")}]`
}

/** A string cut to strace's limit. */
export const shortString = (call: Call, address: number): string => {
  const whole = new Uint8Array(Text.STRING_LIMIT + 1)
  const copied = call.memory.copyInPartial(address, whole)
  if (copied < 0) return Text.pointer(address)
  const end = whole.subarray(0, copied).indexOf(0)
  return end >= 0 ? Text.quote(whole.subarray(0, end), false) : Text.quote(whole.subarray(0, Text.STRING_LIMIT), true)
}

const buffer = (call: Call, address: number, length: number): string =>
  address === 0 ? "NULL" : (quotedBytes(call.memory, address, Math.max(0, length)) ?? Text.pointer(address))

export const struct = (name: string, call: Call, address: number, index: number): string =>
  address === 0 ? "NULL" : (structPrinter(name)?.(call, address, index) ?? Text.pointer(address))

export const returned = (call: Call): boolean => call.result !== undefined && !Text.isFailure(call.result)

export const out = (name: string, index: number): Part =>
  after((call) => (returned(call) ? struct(name, call, call.values[index]!, index) : Text.pointer(call.values[index]!)))
export const inward = (name: string, index: number): Part =>
  before((call) => struct(name, call, call.values[index]!, index))
export const decimal = (index: number): Part => before((call) => String(int(call, index)))
export const pointer = (index: number): Part => before((call) => Text.pointer(call.values[index]!))
export const enumeration = (index: number, names: NamedValues): Part =>
  before((call) => Text.oneOf(names, int(call, index)))
export const literal = (text: string): Part => before(() => text)

/** A register as C's type has it. */
const decoded = (argument: Argument, call: Call, index: number): number | bigint => {
  switch (argument.decoding) {
    case "int":
      return int(call, index)
    case "uint": // an id of -1 ("leave it") is written so
      return uint(call, index) === 0xffff_ffff ? -1 : uint(call, index)
    case "long":
      return call.values[index]!
    case "ulong":
    case "u64":
      return BigInt.asUintN(64, BigInt(call.values[index]!))
  }
}

/** The part that a declared argument is. */
export const declared = (argument: Argument, index: number): Part => {
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
    case "Word":
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
