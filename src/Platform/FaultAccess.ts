/**
 * Whether an instruction that faulted read or wrote memory. The processor says so in its error code, but the host
 * doesn't show that to a tracer, so it is read off the instruction. Good for the instructions compilers use; the answer
 * only reaches the guest's own signal handlers, and a guest that changes the instruction meanwhile fools itself.
 */
import type { Access } from "./Platform.ts"

/** What the instruction may address besides its operand. */
export interface Pointers {
  readonly rip: number
  readonly rsp: number
  readonly rdi: number
}

const isLegacyPrefix = (byte: number): boolean =>
  byte === 0x66 ||
  byte === 0x67 ||
  (byte & 0xfe) === 0xf2 ||
  byte === 0xf0 ||
  (byte & 0xe7) === 0x26 ||
  byte === 0x64 ||
  byte === 0x65

const oneOf = (...values: ReadonlyArray<number>): ReadonlySet<number> => new Set(values)

/** Opcodes of the one-byte map that write their memory operand, whatever it is. */
const stores0 = oneOf(0x86, 0x87, 0x88, 0x89, 0x8c, 0x8f, 0xa2, 0xa3, 0xaa, 0xab, 0xc0, 0xc1, 0xc6, 0xc7, 0xc8, 0xd0)
const moreStores0 = oneOf(0xd1, 0xd2, 0xd3, 0xe8, 0xfe, 0x68, 0x6a, 0x9c)
/** Of the 0f map; vector moves have the same opcodes with any prefix. */
const stores1 = oneOf(0x11, 0x13, 0x17, 0x29, 0x2b, 0x7f, 0xd6, 0xe7, 0xc3, 0xa0, 0xa8, 0xab, 0xb3, 0xbb, 0xa4, 0xa5)
const moreStores1 = oneOf(0xac, 0xad, 0xb0, 0xb1, 0xc0, 0xc1)
/** Of the 0f 38 map: masked and scattered stores, compressions. */
const stores2 = oneOf(0x2e, 0x2f, 0x8e, 0x63, 0x8a, 0x8b, 0xa0, 0xa1, 0xa2, 0xa3)
/** Of the 0f 3a map: extractions. */
const stores3 = oneOf(0x14, 0x15, 0x16, 0x17, 0x19, 0x1b, 0x39, 0x3b, 0x1d)
/** Of the x87 opcodes d9, db, dd, df: which /reg store. */
const x87Stores: Readonly<Record<number, ReadonlySet<number>>> = {
  0xd9: oneOf(2, 3, 6, 7),
  0xdb: oneOf(1, 2, 3, 7),
  0xdd: oneOf(1, 2, 3, 6, 7),
  0xdf: oneOf(1, 2, 3, 6, 7)
}

const within = (address: number, base: number, before: number, after: number): boolean =>
  address >= base - before && address < base + after

const writes0 = (opcode: number, reg: number, address: number, at: Pointers): boolean => {
  if (opcode < 0x40) return (opcode & 7) < 2 && opcode >> 3 !== 7 // arithmetic into memory; cmp only reads
  if (opcode >= 0x50 && opcode < 0x58) return true // push
  if (opcode >= 0x80 && opcode <= 0x83) return reg !== 7
  if (opcode === 0xa4 || opcode === 0xa5) return within(address, at.rdi, 0, 32) // movs: which of its two operands
  if (opcode === 0xf6 || opcode === 0xf7) return reg === 2 || reg === 3 // not, neg
  if (opcode === 0xff) return reg < 2 || ((reg === 2 || reg === 6) && within(address, at.rsp, 16, 0)) // inc, dec; call, push
  return x87Stores[opcode]?.has(reg) ?? (stores0.has(opcode) || moreStores0.has(opcode))
}

const writes1 = (opcode: number, reg: number, repeated: boolean): boolean => {
  if (opcode === 0x7e) return !repeated // movd to memory; with f3 a load
  if (opcode >= 0x90 && opcode < 0xa0) return true // setcc
  if (opcode === 0xae) return reg === 0 || reg === 3 || reg === 4 || reg === 6 // fxsave, stmxcsr, xsave, xsaveopt
  if (opcode === 0xba) return reg > 4 // bts, btr, btc
  if (opcode === 0xc7) return reg === 1 || reg === 4 || reg === 5 // cmpxchg8b, xsavec, xsaves
  return stores1.has(opcode) || moreStores1.has(opcode)
}

/** How the instruction `code` (up to 15 bytes, as far as they are readable) at `at.rip` used the faulting `address`. */
export const faultAccess = (code: Uint8Array, address: number, at: Pointers): Access => {
  if (address === at.rip || (code.length < 15 && address === at.rip + code.length)) return "execute"
  let i = 0
  let repeated = false
  while (i < code.length && isLegacyPrefix(code[i]!)) repeated = code[i++] === 0xf3 || repeated
  if ((code[i]! & 0xf0) === 0x40) i++ // REX
  let map = 0
  const first = code[i]!
  if (first === 0xc5) {
    map = 1
    repeated = (code[i + 1]! & 3) === 2
    i += 2
  } else if (first === 0xc4 || first === 0x62) {
    map = code[i + 1]! & (first === 0xc4 ? 0x1f : 7)
    repeated = (code[i + 2]! & 3) === 2
    i += first === 0xc4 ? 3 : 4
  } else if (first === 0x0f) {
    map = code[i + 1] === 0x38 ? 2 : code[i + 1] === 0x3a ? 3 : 1
    i += map === 1 ? 1 : 2
  }
  if (i + 1 > code.length) return "unknown"
  const opcode = code[i]!
  const reg = ((code[i + 1] ?? 0) >> 3) & 7
  const vector = first === 0xc4 || first === 0xc5 || first === 0x62
  switch (map) {
    case 0:
      return writes0(opcode, reg, address, at) ? "write" : "read"
    case 1:
      return writes1(opcode, reg, repeated) ? "write" : "read"
    case 2:
      return (vector ? stores2.has(opcode) : opcode === 0xf1 && !code.subarray(0, i).includes(0xf2)) ? "write" : "read"
    case 3:
      return stores3.has(opcode) ? "write" : "read"
    default:
      return "unknown"
  }
}
