/**
 * Runs BPF programs that `isValidProgram` has let through: every jump goes forward, so a run ends.
 */
import * as Bpf from "../Abi/Bpf.ts"
import { AUDIT_ARCH_X86_64, SECCOMP_RET_ALLOW, SeccompData } from "../Abi/Seccomp.ts"
import { type BpfProgram, codeOf, jfOf, jtOf } from "./BpfProgram.ts"

/** Scratch memory. A program reads nothing that it has not written, so all share it. */
const memory = new Int32Array(Bpf.BPF_MEMWORDS)

/**
 * What `program` says of `data`, the words of `struct seccomp_data`: a signed word.
 *
 * The codes are written as numbers, since V8 makes a jump table of literals only: it is three times as fast as with the
 * names, and up to twice as fast as a chain of closures, which would also need a stack as deep as the program is long.
 */
export const runProgram = (program: BpfProgram, data: Uint32Array): number => {
  let a = 0
  let x = 0
  for (let pc = 0; ; pc++) {
    const word = program[pc * 2]!
    const constant = program[pc * 2 + 1]!
    switch (codeOf(word)) {
      case 0x20: // BPF_LD | BPF_W | BPF_ABS
        a = data[constant >> 2]! | 0
        break
      case 0x80: // BPF_LD | BPF_W | BPF_LEN
        a = SeccompData.size
        break
      case 0x81: // BPF_LDX | BPF_W | BPF_LEN
        x = SeccompData.size
        break
      case 0x00: // BPF_LD | BPF_IMM
        a = constant
        break
      case 0x01: // BPF_LDX | BPF_IMM
        x = constant
        break
      case 0x60: // BPF_LD | BPF_MEM
        a = memory[constant]!
        break
      case 0x61: // BPF_LDX | BPF_MEM
        x = memory[constant]!
        break
      case 0x02: // BPF_ST
        memory[constant] = a
        break
      case 0x03: // BPF_STX
        memory[constant] = x
        break
      case 0x07: // BPF_MISC | BPF_TAX
        x = a
        break
      case 0x87: // BPF_MISC | BPF_TXA
        a = x
        break
      case 0x06: // BPF_RET | BPF_K
        return constant
      case 0x16: // BPF_RET | BPF_A
        return a
      case 0x05: // BPF_JMP | BPF_JA
        pc += constant
        break
      case 0x15: // BPF_JMP | BPF_JEQ | BPF_K
        pc += a === constant ? jtOf(word) : jfOf(word)
        break
      case 0x25: // BPF_JMP | BPF_JGT | BPF_K
        pc += a >>> 0 > constant >>> 0 ? jtOf(word) : jfOf(word)
        break
      case 0x35: // BPF_JMP | BPF_JGE | BPF_K
        pc += a >>> 0 >= constant >>> 0 ? jtOf(word) : jfOf(word)
        break
      case 0x45: // BPF_JMP | BPF_JSET | BPF_K
        pc += (a & constant) !== 0 ? jtOf(word) : jfOf(word)
        break
      case 0x1d: // BPF_JMP | BPF_JEQ | BPF_X
        pc += a === x ? jtOf(word) : jfOf(word)
        break
      case 0x2d: // BPF_JMP | BPF_JGT | BPF_X
        pc += a >>> 0 > x >>> 0 ? jtOf(word) : jfOf(word)
        break
      case 0x3d: // BPF_JMP | BPF_JGE | BPF_X
        pc += a >>> 0 >= x >>> 0 ? jtOf(word) : jfOf(word)
        break
      case 0x4d: // BPF_JMP | BPF_JSET | BPF_X
        pc += (a & x) !== 0 ? jtOf(word) : jfOf(word)
        break
      case 0x04: // BPF_ALU | BPF_ADD | BPF_K
        a = (a + constant) | 0
        break
      case 0x0c: // BPF_ALU | BPF_ADD | BPF_X
        a = (a + x) | 0
        break
      case 0x14: // BPF_ALU | BPF_SUB | BPF_K
        a = (a - constant) | 0
        break
      case 0x1c: // BPF_ALU | BPF_SUB | BPF_X
        a = (a - x) | 0
        break
      case 0x24: // BPF_ALU | BPF_MUL | BPF_K
        a = Math.imul(a, constant)
        break
      case 0x2c: // BPF_ALU | BPF_MUL | BPF_X
        a = Math.imul(a, x)
        break
      case 0x34: // BPF_ALU | BPF_DIV | BPF_K
        a = ((a >>> 0) / (constant >>> 0)) | 0
        break
      case 0x3c: // BPF_ALU | BPF_DIV | BPF_X
        if (x === 0) return 0 // as Linux has it: the program ends there
        a = ((a >>> 0) / (x >>> 0)) | 0
        break
      case 0x54: // BPF_ALU | BPF_AND | BPF_K
        a &= constant
        break
      case 0x5c: // BPF_ALU | BPF_AND | BPF_X
        a &= x
        break
      case 0x44: // BPF_ALU | BPF_OR | BPF_K
        a |= constant
        break
      case 0x4c: // BPF_ALU | BPF_OR | BPF_X
        a |= x
        break
      case 0xa4: // BPF_ALU | BPF_XOR | BPF_K
        a ^= constant
        break
      case 0xac: // BPF_ALU | BPF_XOR | BPF_X
        a ^= x
        break
      case 0x64: // BPF_ALU | BPF_LSH | BPF_K
        a <<= constant
        break
      case 0x6c: // BPF_ALU | BPF_LSH | BPF_X
        a <<= x // the processor looks at five bits of x, and so does JavaScript
        break
      case 0x74: // BPF_ALU | BPF_RSH | BPF_K
        a = (a >>> constant) | 0
        break
      case 0x7c: // BPF_ALU | BPF_RSH | BPF_X
        a = (a >>> x) | 0
        break
      case 0x84: // BPF_ALU | BPF_NEG
        a = -a | 0
        break
    }
  }
}

/** Where `struct seccomp_data` has the number and the architecture. */
const NR = SeccompData.offsets.nr
const ARCH = SeccompData.offsets.arch

/**
 * Whether `program` allows call `nr` whatever its arguments and wherever it is made. It follows the program as far as
 * that depends on the number and the architecture only: false may also mean that it could not tell.
 */
export const allowsAlways = (program: BpfProgram, nr: number): boolean => {
  let a = 0
  for (let pc = 0; ; pc++) {
    const word = program[pc * 2]!
    const constant = program[pc * 2 + 1]!
    switch (codeOf(word)) {
      case Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_ABS:
        if (constant !== NR && constant !== ARCH) return false
        a = constant === NR ? nr : AUDIT_ARCH_X86_64 | 0
        break
      case Bpf.BPF_RET | Bpf.BPF_K:
        return constant === SECCOMP_RET_ALLOW
      case Bpf.BPF_JMP | Bpf.BPF_JA:
        pc += constant
        break
      case Bpf.BPF_JMP | Bpf.BPF_JEQ | Bpf.BPF_K:
        pc += a === constant ? jtOf(word) : jfOf(word)
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGT | Bpf.BPF_K:
        pc += a >>> 0 > constant >>> 0 ? jtOf(word) : jfOf(word)
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGE | Bpf.BPF_K:
        pc += a >>> 0 >= constant >>> 0 ? jtOf(word) : jfOf(word)
        break
      case Bpf.BPF_JMP | Bpf.BPF_JSET | Bpf.BPF_K:
        pc += (a & constant) !== 0 ? jtOf(word) : jfOf(word)
        break
      case Bpf.BPF_ALU | Bpf.BPF_AND | Bpf.BPF_K:
        a &= constant
        break
      default:
        return false
    }
  }
}
