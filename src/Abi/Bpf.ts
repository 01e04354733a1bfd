/**
 * Classic BPF, linux/filter.h and linux/bpf_common.h: instructions of 8 bytes for a machine with an accumulator A, an
 * index register X and 16 words of scratch memory.
 */
import * as Struct from "./Struct.ts"

// Instruction classes: the low three bits of a code.
export const BPF_LD = 0x00
export const BPF_LDX = 0x01
export const BPF_ST = 0x02
export const BPF_STX = 0x03
export const BPF_ALU = 0x04
export const BPF_JMP = 0x05
export const BPF_RET = 0x06
export const BPF_MISC = 0x07

// Of loads: size and addressing mode.
export const BPF_W = 0x00
export const BPF_IMM = 0x00
export const BPF_ABS = 0x20
export const BPF_MEM = 0x60
export const BPF_LEN = 0x80

// Of arithmetic.
export const BPF_ADD = 0x00
export const BPF_SUB = 0x10
export const BPF_MUL = 0x20
export const BPF_DIV = 0x30
export const BPF_OR = 0x40
export const BPF_AND = 0x50
export const BPF_LSH = 0x60
export const BPF_RSH = 0x70
export const BPF_NEG = 0x80
export const BPF_XOR = 0xa0

// Of jumps.
export const BPF_JA = 0x00
export const BPF_JEQ = 0x10
export const BPF_JGT = 0x20
export const BPF_JGE = 0x30
export const BPF_JSET = 0x40

// Where the second operand comes from; BPF_A only for BPF_RET.
export const BPF_K = 0x00
export const BPF_X = 0x08
export const BPF_A = 0x10

export const BPF_TAX = 0x00
export const BPF_TXA = 0x80

/** The longest program. */
export const BPF_MAXINSNS = 4096
/** Words of scratch memory. */
export const BPF_MEMWORDS = 16

/** `struct sock_filter`: one instruction. */
export const SockFilter = Struct.make("sock_filter", {
  code: Struct.u16,
  jt: Struct.u8,
  jf: Struct.u8,
  k: Struct.u32
})

/** `struct sock_fprog`: a program in guest memory. */
export const SockFprog = Struct.make("sock_fprog", { len: Struct.u16, filter: Struct.ulong })
