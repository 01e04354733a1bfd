/**
 * The general registers of one guest thread: `struct user_regs_struct` of sys/user.h, 27 words of 64 bits.
 *
 * The words live in memory that the platform shares with native code, so reading an argument or setting the result
 * moves no bytes and allocates nothing. Each word is seen as two 32-bit halves: a number holds 53 bits exactly, which
 * is enough for every user address, length and offset; the bigint view is for values that use all 64 bits.
 */

/** Index of each 64-bit word in `user_regs_struct`. */
export const Reg = {
  r15: 0,
  r14: 1,
  r13: 2,
  r12: 3,
  rbp: 4,
  rbx: 5,
  r11: 6,
  r10: 7,
  r9: 8,
  r8: 9,
  rax: 10,
  rcx: 11,
  rdx: 12,
  rsi: 13,
  rdi: 14,
  orig_rax: 15,
  rip: 16,
  cs: 17,
  eflags: 18,
  rsp: 19,
  ss: 20,
  fs_base: 21,
  gs_base: 22,
  ds: 23,
  es: 24,
  fs: 25,
  gs: 26
} as const

/** A register by its index in `user_regs_struct`. */
export type Reg = (typeof Reg)[keyof typeof Reg]

/** How many 64-bit words `user_regs_struct` has. */
export const registerCount = 27

/** `sizeof(struct user_regs_struct)`. */
export const registersSize = registerCount * 8

/** The register that carries argument `index` (0 to 5) of a system call: rdi, rsi, rdx, r10, r8, r9. */
export const argumentRegisters = [Reg.rdi, Reg.rsi, Reg.rdx, Reg.r10, Reg.r8, Reg.r9] as const

/** The same of a call that is made as 32-bit programs do. */
export const i386ArgumentRegisters = [Reg.rbx, Reg.rcx, Reg.rdx, Reg.rsi, Reg.rdi, Reg.rbp] as const

const TWO_32 = 0x1_0000_0000

/**
 * One thread's registers, over memory it does not own.
 *
 * Owner: the task's fiber, while the thread is stopped. While it runs the contents mean nothing.
 */
export class Registers {
  /** Halves, little-endian: word `r` is `halves[2r] + 2^32 · halves[2r + 1]`. */
  readonly halves: Uint32Array
  /** Whole words, for values that need all 64 bits. */
  readonly words: BigUint64Array

  constructor(buffer: ArrayBufferLike, byteOffset: number) {
    this.halves = new Uint32Array(buffer, byteOffset, registerCount * 2)
    this.words = new BigUint64Array(buffer, byteOffset, registerCount)
  }

  /** The low 32 bits as a signed int, as the kernel truncates an `int` argument. */
  int(register: Reg): number {
    return this.halves[register * 2]! | 0
  }

  /** The low 32 bits as an unsigned int. */
  uint(register: Reg): number {
    return this.halves[register * 2]!
  }

  /** All 64 bits, unsigned: exact up to 2^53, and above that still larger than any user address. */
  ulong(register: Reg): number {
    return this.halves[register * 2]! + this.halves[register * 2 + 1]! * TWO_32
  }

  /** All 64 bits, signed: exact within ±2^53. */
  long(register: Reg): number {
    return this.halves[register * 2]! + (this.halves[register * 2 + 1]! | 0) * TWO_32
  }

  /** Sets all 64 bits from an integer within ±2^53 (negative ones sign-extend). */
  set(register: Reg, value: number): void {
    this.halves[register * 2] = value
    this.halves[register * 2 + 1] = Math.floor(value / TWO_32)
  }

  /** A copy of the words, for saving. */
  snapshot(): BigUint64Array {
    return this.words.slice()
  }

  /** Replaces every word. */
  restore(words: BigUint64Array): void {
    this.words.set(words)
  }
}
