/**
 * A classic BPF program as seccomp(2) takes it: decoding, and what Linux refuses (EINVAL).
 *
 * The rules are those of Linux's two checks: of every socket filter (known codes, jumps forward and inside, no word of
 * scratch memory read before it was written on every way there, a return at the end), and of seccomp (fewer codes,
 * loads only of aligned words of `struct seccomp_data`).
 */
import * as Bpf from "../Abi/Bpf.ts"
import { SeccompData } from "../Abi/Seccomp.ts"

/** Instructions, column by column: the interpreter reads numbers without making an object for each. */
export interface BpfProgram {
  readonly length: number
  readonly code: Uint16Array
  /** How far a jump goes when its condition holds, and when not. */
  readonly jt: Uint8Array
  readonly jf: Uint8Array
  /** The constant operand, signed: as bits of 32 it is the same. */
  readonly k: Int32Array
}

/** The instructions in `bytes`, as many as there are whole ones. */
export const decodeProgram = (bytes: Uint8Array): BpfProgram => {
  const length = Math.floor(bytes.length / Bpf.SockFilter.size)
  const program = {
    length,
    code: new Uint16Array(length),
    jt: new Uint8Array(length),
    jf: new Uint8Array(length),
    k: new Int32Array(length)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let pc = 0; pc < length; pc++) {
    const { code, jf, jt, k } = Bpf.SockFilter.get(view, pc * Bpf.SockFilter.size)
    program.code[pc] = code
    program.jt[pc] = jt
    program.jf[pc] = jf
    program.k[pc] = k
  }
  return program
}

const OPERATIONS = [
  Bpf.BPF_ADD,
  Bpf.BPF_SUB,
  Bpf.BPF_MUL,
  Bpf.BPF_DIV,
  Bpf.BPF_OR,
  Bpf.BPF_AND,
  Bpf.BPF_LSH,
  Bpf.BPF_RSH,
  Bpf.BPF_XOR
]
const CONDITIONS = [Bpf.BPF_JEQ, Bpf.BPF_JGT, Bpf.BPF_JGE, Bpf.BPF_JSET]

const CONDITIONAL_JUMPS = new Set(
  CONDITIONS.flatMap((condition) => [Bpf.BPF_JMP | condition | Bpf.BPF_K, Bpf.BPF_JMP | condition | Bpf.BPF_X])
)

/** The codes that seccomp takes. */
const CODES = new Set([
  Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_ABS,
  Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_LEN,
  Bpf.BPF_LDX | Bpf.BPF_W | Bpf.BPF_LEN,
  Bpf.BPF_LD | Bpf.BPF_IMM,
  Bpf.BPF_LDX | Bpf.BPF_IMM,
  Bpf.BPF_LD | Bpf.BPF_MEM,
  Bpf.BPF_LDX | Bpf.BPF_MEM,
  Bpf.BPF_ST,
  Bpf.BPF_STX,
  Bpf.BPF_MISC | Bpf.BPF_TAX,
  Bpf.BPF_MISC | Bpf.BPF_TXA,
  Bpf.BPF_RET | Bpf.BPF_K,
  Bpf.BPF_RET | Bpf.BPF_A,
  Bpf.BPF_JMP | Bpf.BPF_JA,
  ...CONDITIONAL_JUMPS,
  Bpf.BPF_ALU | Bpf.BPF_NEG,
  ...OPERATIONS.flatMap((operation) => [Bpf.BPF_ALU | operation | Bpf.BPF_K, Bpf.BPF_ALU | operation | Bpf.BPF_X])
])

/** Whether Linux takes `program` as a filter. */
export const isValidProgram = (program: BpfProgram): boolean => {
  const { code, length } = program
  if (length === 0 || length > Bpf.BPF_MAXINSNS) return false
  for (let pc = 0; pc < length; pc++) if (!isValidInstruction(program, pc)) return false
  const last = code[length - 1]
  return (last === (Bpf.BPF_RET | Bpf.BPF_K) || last === (Bpf.BPF_RET | Bpf.BPF_A)) && initialisesMemory(program)
}

const isValidInstruction = ({ code, jf, jt, k, length }: BpfProgram, pc: number): boolean => {
  const instruction = code[pc]!
  if (!CODES.has(instruction)) return false
  const constant = k[pc]! >>> 0
  if (CONDITIONAL_JUMPS.has(instruction)) return pc + jt[pc]! + 1 < length && pc + jf[pc]! + 1 < length
  switch (instruction) {
    case Bpf.BPF_JMP | Bpf.BPF_JA:
      return constant < length - pc - 1
    case Bpf.BPF_ALU | Bpf.BPF_DIV | Bpf.BPF_K:
      return constant !== 0
    case Bpf.BPF_ALU | Bpf.BPF_LSH | Bpf.BPF_K:
    case Bpf.BPF_ALU | Bpf.BPF_RSH | Bpf.BPF_K:
      return constant < 32
    case Bpf.BPF_LD | Bpf.BPF_MEM:
    case Bpf.BPF_LDX | Bpf.BPF_MEM:
    case Bpf.BPF_ST:
    case Bpf.BPF_STX:
      return constant < Bpf.BPF_MEMWORDS
    case Bpf.BPF_LD | Bpf.BPF_W | Bpf.BPF_ABS:
      return constant < SeccompData.size && constant % 4 === 0
    default:
      return true
  }
}

const ALL_WORDS = 0xffff

/**
 * Whether no word of scratch memory is read before it is written. Jumps only go forward, so one pass is enough: what is
 * written on every way to an instruction is known when it is reached. What comes after a jump is reached by jumps alone;
 * a return, as Linux has it, is nothing special.
 */
const initialisesMemory = ({ code, jf, jt, k, length }: BpfProgram): boolean => {
  /** For each instruction a bit for each word that is written on every jump there. */
  const written = new Uint16Array(length).fill(ALL_WORDS)
  let words = 0
  for (let pc = 0; pc < length; pc++) {
    words &= written[pc]!
    const instruction = code[pc]!
    const constant = k[pc]!
    if (CONDITIONAL_JUMPS.has(instruction)) {
      written[pc + 1 + jt[pc]!]! &= words
      written[pc + 1 + jf[pc]!]! &= words
      words = ALL_WORDS
      continue
    }
    switch (instruction) {
      case Bpf.BPF_ST:
      case Bpf.BPF_STX:
        words |= 1 << constant
        break
      case Bpf.BPF_LD | Bpf.BPF_MEM:
      case Bpf.BPF_LDX | Bpf.BPF_MEM:
        if ((words & (1 << constant)) === 0) return false
        break
      case Bpf.BPF_JMP | Bpf.BPF_JA:
        written[pc + 1 + constant]! &= words
        words = ALL_WORDS
        break
    }
  }
  return true
}

/** Linux bounds the sum of its own, translated instructions on the way through all filters of a task. */
export const translatedLength = ({ code, jf, jt, k, length }: BpfProgram): number => {
  let sum = 3 // A = 0, X = 0, where the data is
  for (let pc = 0; pc < length; pc++) {
    const instruction = code[pc]!
    if (CONDITIONAL_JUMPS.has(instruction)) {
      const isLarge = (instruction & Bpf.BPF_X) === 0 && k[pc]! < 0 // the constant needs a register of its own
      const canInvert = (instruction & 0xf0) !== Bpf.BPF_JSET
      sum += (isLarge ? 1 : 0) + (jf[pc] === 0 || (jt[pc] === 0 && canInvert) ? 1 : 2)
    } else if (instruction === (Bpf.BPF_ALU | Bpf.BPF_DIV | Bpf.BPF_X)) sum += 5
    else sum += instruction === (Bpf.BPF_RET | Bpf.BPF_K) ? 2 : 1
  }
  return sum
}
