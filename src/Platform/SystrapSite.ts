/**
 * The forms of call sites that can be patched, as compilers and C libraries write them: what of them becomes a jump, and
 * what has to be done in place of the bytes that it covers.
 *
 * The `syscall` instruction stays in each of them, and every instruction that isn't covered, so that jumps to those find
 * what they did before.
 */
import { fastEntry } from "./SystrapLayout.ts"

/** Bytes before a return address that tell a site's form. */
export const SITE_REACH = 13
/** And behind it. */
export const SITE_AHEAD = 2

/** A site that can be patched. */
export interface Site {
  /** Its first byte that changes. */
  readonly address: number
  /** The seven bytes there. */
  readonly original: Uint8Array
  /** The call that it makes; undefined if that is in rax. */
  readonly nr: number | undefined
  /** Code that does what the jump has replaced, and falls out at its end; none if that was to load the number. */
  readonly prologue: Uint8Array
}

const COVERED = 7
const FUNCTION_ALIGNMENT = 16

const is = (bytes: Uint8Array, at: number, ...expected: ReadonlyArray<number>): boolean =>
  expected.every((byte, i) => bytes[at + i] === byte)

/** movabs $value,%r11 */
const loadR11 = (value: number): ReadonlyArray<number> => {
  const immediate = new DataView(new ArrayBuffer(8))
  immediate.setBigUint64(0, BigInt(value), true)
  return [0x49, 0xbb, ...new Uint8Array(immediate.buffer)]
}
const JUMP_R11 = [0x41, 0xff, 0xe3]

/** mov $nr,%eax; syscall */
const known = (bytes: Uint8Array, view: DataView, returnAddress: number): Site | undefined => {
  if (!is(bytes, 6, 0xb8) || !is(bytes, 11, 0x0f, 0x05)) return undefined
  return {
    address: returnAddress - COVERED,
    original: bytes.slice(6, 13),
    nr: view.getUint32(7, true),
    prologue: new Uint8Array(0)
  }
}

/** mov 8(%rsp),%r9; syscall; cmp $…,%rax: syscall(2) of the C library. The comparison shows that flags don't matter. */
const any = (bytes: Uint8Array, _view: DataView, returnAddress: number): Site | undefined => {
  const load = [0x4c, 0x8b, 0x4c, 0x24, 0x08]
  if (!is(bytes, 6, ...load) || !is(bytes, 11, 0x0f, 0x05, 0x48, 0x3d)) return undefined
  return {
    address: returnAddress - COVERED,
    original: bytes.slice(6, 13),
    nr: undefined,
    prologue: Uint8Array.from(load)
  }
}

/**
 * cmpb $0,FLAG(%rip); je ELSEWHERE; xor %eax,%eax; syscall: read(2) of a program with one thread. The comparison is what
 * becomes the jump. The prologue destroys r11 also where no call is made: it is free where a function begins, and these are the
 * first instructions of one if they are aligned like one.
 */
const readAlone = (bytes: Uint8Array, view: DataView, returnAddress: number): Site | undefined => {
  if (!is(bytes, 0, 0x80, 0x3d) || !is(bytes, 6, 0x00, 0x74) || !is(bytes, 9, 0x31, 0xc0, 0x0f, 0x05)) return undefined
  const address = returnAddress - SITE_REACH
  if (address % FUNCTION_ALIGNMENT !== 0) return undefined
  const flag = address + COVERED + view.getInt32(2, true)
  const elsewhere = address + 9 + view.getInt8(8)
  const jump = [...loadR11(elsewhere), ...JUMP_R11]
  return {
    address,
    original: bytes.slice(0, COVERED),
    nr: 0,
    // cmpb $0,(%r11); jne past the jump; xor %eax,%eax
    prologue: Uint8Array.of(...loadR11(flag), 0x41, 0x80, 0x3b, 0x00, 0x75, jump.length, ...jump, 0x31, 0xc0)
  }
}

/**
 * The site that makes the call `nr` and returns to `returnAddress`, by `bytes`, which are SITE_REACH bytes before and
 * SITE_AHEAD behind that; undefined if it is of no form that can be patched.
 */
export const recognize = (bytes: Uint8Array, returnAddress: number, nr: number): Site | undefined => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const site =
    known(bytes, view, returnAddress) ?? any(bytes, view, returnAddress) ?? readAlone(bytes, view, returnAddress)
  return site === undefined || (site.nr !== undefined && site.nr !== nr) ? undefined : site
}

/** `jmp *record`: seven bytes, whose last two read `syscall` if the record is where it should be. */
export const jumpTo = (record: number): Uint8Array =>
  Uint8Array.of(0xff, 0x24, 0x25, record & 0xff, (record >> 8) & 0xff, (record >> 16) & 0xff, record >>> 24)

/** A record's code: with the record in rcx, and the flags in ah and al where the number isn't in rax, to the stub. */
export const recordCode = (site: Site, record: number): Uint8Array => {
  const address = new Uint8Array(new Uint32Array([record]).buffer)
  const load = [0xb9, ...address] // mov $record,%ecx
  return site.nr === undefined
    ? Uint8Array.of(...load, ...loadR11(fastEntry.any), ...JUMP_R11)
    : Uint8Array.of(0x9f, 0x0f, 0x90, 0xc0, ...load, ...loadR11(fastEntry.known), ...JUMP_R11) // lahf; seto %al
}

/** jmp from the end of code of `length` bytes at `from` to `to`, within 2 GiB. */
export const jumpNear = (from: number, to: number): Uint8Array =>
  Uint8Array.of(0xe9, ...new Uint8Array(new Int32Array([to - (from + 5)]).buffer))
