/**
 * Runs BPF programs that `isValidProgram` has let through: every jump goes forward, so a run ends.
 */
import * as Bpf from "../Abi/Bpf.ts"
import { AUDIT_ARCH_X86_64, SECCOMP_RET_ALLOW, SeccompData } from "../Abi/Seccomp.ts"
import type { BpfProgram } from "./BpfProgram.ts"

/** Scratch memory. A program reads nothing that it has not written, so all share it. */
const memory = new Int32Array(Bpf.BPF_MEMWORDS)

/** What `program` says of `data`, the words of `struct seccomp_data`: a signed word. */
export const runProgram = (program: BpfProgram, data: Uint32Array): number => {
  const { code, jf, jt, k } = program
  let a = 0
  let x = 0
  for (let pc = 0; ; pc++) {
    const constant = k[pc]!
    switch (code[pc]!) {
      case Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_ABS:
        a = data[constant >> 2]! | 0
        break
      case Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_LEN:
        a = SeccompData.size
        break
      case Bpf.BPF_LDX | Bpf.BPF_W | Bpf.BPF_LEN:
        x = SeccompData.size
        break
      case Bpf.BPF_LD | Bpf.BPF_IMM:
        a = constant
        break
      case Bpf.BPF_LDX | Bpf.BPF_IMM:
        x = constant
        break
      case Bpf.BPF_LD | Bpf.BPF_MEM:
        a = memory[constant]!
        break
      case Bpf.BPF_LDX | Bpf.BPF_MEM:
        x = memory[constant]!
        break
      case Bpf.BPF_ST:
        memory[constant] = a
        break
      case Bpf.BPF_STX:
        memory[constant] = x
        break
      case Bpf.BPF_MISC | Bpf.BPF_TAX:
        x = a
        break
      case Bpf.BPF_MISC | Bpf.BPF_TXA:
        a = x
        break
      case Bpf.BPF_RET | Bpf.BPF_K:
        return constant
      case Bpf.BPF_RET | Bpf.BPF_A:
        return a
      case Bpf.BPF_JMP | Bpf.BPF_JA:
        pc += constant
        break
      case Bpf.BPF_JMP | Bpf.BPF_JEQ | Bpf.BPF_K:
        pc += a === constant ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGT | Bpf.BPF_K:
        pc += a >>> 0 > constant >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGE | Bpf.BPF_K:
        pc += a >>> 0 >= constant >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JSET | Bpf.BPF_K:
        pc += (a & constant) !== 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JEQ | Bpf.BPF_X:
        pc += a === x ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGT | Bpf.BPF_X:
        pc += a >>> 0 > x >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGE | Bpf.BPF_X:
        pc += a >>> 0 >= x >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JSET | Bpf.BPF_X:
        pc += (a & x) !== 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_ALU | Bpf.BPF_ADD | Bpf.BPF_K:
        a = (a + constant) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_ADD | Bpf.BPF_X:
        a = (a + x) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_SUB | Bpf.BPF_K:
        a = (a - constant) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_SUB | Bpf.BPF_X:
        a = (a - x) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_MUL | Bpf.BPF_K:
        a = Math.imul(a, constant)
        break
      case Bpf.BPF_ALU | Bpf.BPF_MUL | Bpf.BPF_X:
        a = Math.imul(a, x)
        break
      case Bpf.BPF_ALU | Bpf.BPF_DIV | Bpf.BPF_K:
        a = ((a >>> 0) / (constant >>> 0)) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_DIV | Bpf.BPF_X:
        if (x === 0) return 0 // as Linux has it: the program ends there
        a = ((a >>> 0) / (x >>> 0)) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_AND | Bpf.BPF_K:
        a &= constant
        break
      case Bpf.BPF_ALU | Bpf.BPF_AND | Bpf.BPF_X:
        a &= x
        break
      case Bpf.BPF_ALU | Bpf.BPF_OR | Bpf.BPF_K:
        a |= constant
        break
      case Bpf.BPF_ALU | Bpf.BPF_OR | Bpf.BPF_X:
        a |= x
        break
      case Bpf.BPF_ALU | Bpf.BPF_XOR | Bpf.BPF_K:
        a ^= constant
        break
      case Bpf.BPF_ALU | Bpf.BPF_XOR | Bpf.BPF_X:
        a ^= x
        break
      case Bpf.BPF_ALU | Bpf.BPF_LSH | Bpf.BPF_K:
        a <<= constant
        break
      case Bpf.BPF_ALU | Bpf.BPF_LSH | Bpf.BPF_X:
        a <<= x // the processor looks at five bits of x, and so does JavaScript
        break
      case Bpf.BPF_ALU | Bpf.BPF_RSH | Bpf.BPF_K:
        a = (a >>> constant) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_RSH | Bpf.BPF_X:
        a = (a >>> x) | 0
        break
      case Bpf.BPF_ALU | Bpf.BPF_NEG:
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
  const { code, jf, jt, k } = program
  let a = 0
  for (let pc = 0; ; pc++) {
    const constant = k[pc]!
    switch (code[pc]!) {
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
        pc += a === constant ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGT | Bpf.BPF_K:
        pc += a >>> 0 > constant >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JGE | Bpf.BPF_K:
        pc += a >>> 0 >= constant >>> 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_JMP | Bpf.BPF_JSET | Bpf.BPF_K:
        pc += (a & constant) !== 0 ? jt[pc]! : jf[pc]!
        break
      case Bpf.BPF_ALU | Bpf.BPF_AND | Bpf.BPF_K:
        a &= constant
        break
      default:
        return false
    }
  }
}
