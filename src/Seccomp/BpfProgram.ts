/**
 * A classic BPF program as seccomp(2) takes it: decoding, and what Linux refuses (EINVAL).
 *
 * The rules are those of Linux's two checks: of every socket filter (known codes, jumps forward and inside, no word of
 * scratch memory read before it was written on every way there, a return at the end), and of seccomp (fewer codes,
 * loads only of aligned words of `struct seccomp_data`).
 */
import * as Bpf from "../Abi/Bpf.ts"
import { SeccompData } from "../Abi/Seccomp.ts"

/**
 * `struct sock_filter[]` as it was copied in, seen as two signed words an instruction: code, jt and jf share the first,
 * k is the second.
 */
export type BpfProgram = Int32Array

/** How many instructions there are. */
export const lengthOf = (program: BpfProgram): number => program.length >> 1

// The parts of an instruction's first word.
export const codeOf = (word: number): number => word & 0xffff
/** How far a jump goes when its condition holds. */
export const jtOf = (word: number): number => (word >>> 16) & 0xff
/** How far it goes when not. */
export const jfOf = (word: number): number => word >>> 24

/** The whole instructions in `bytes`, whose memory becomes the program's. */
export const decodeProgram = (bytes: Uint8Array): BpfProgram => {
  const count = Math.floor(bytes.length / Bpf.SockFilter.size)
  const isAligned = bytes.byteOffset % Int32Array.BYTES_PER_ELEMENT === 0
  const own = isAligned ? bytes : bytes.slice()
  return new Int32Array(own.buffer, own.byteOffset, count * 2)
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
  const length = lengthOf(program)
  if (length === 0 || length > Bpf.BPF_MAXINSNS) return false
  for (let pc = 0; pc < length; pc++) if (!isValidInstruction(program, pc)) return false
  const last = codeOf(program[(length - 1) * 2]!)
  return (last === (Bpf.BPF_RET | Bpf.BPF_K) || last === (Bpf.BPF_RET | Bpf.BPF_A)) && initialisesMemory(program)
}

const isValidInstruction = (program: BpfProgram, pc: number): boolean => {
  const word = program[pc * 2]!
  const code = codeOf(word)
  if (!CODES.has(code)) return false
  const constant = program[pc * 2 + 1]! >>> 0
  /** How many instructions follow. */
  const left = lengthOf(program) - pc - 1
  if (CONDITIONAL_JUMPS.has(code)) return jtOf(word) < left && jfOf(word) < left
  switch (code) {
    case Bpf.BPF_JMP | Bpf.BPF_JA:
      return constant < left
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
const initialisesMemory = (program: BpfProgram): boolean => {
  const length = lengthOf(program)
  /** For each instruction a bit for each word that is written on every jump there. */
  const written = new Uint16Array(length).fill(ALL_WORDS)
  let words = 0
  for (let pc = 0; pc < length; pc++) {
    words &= written[pc]!
    const word = program[pc * 2]!
    const code = codeOf(word)
    const constant = program[pc * 2 + 1]!
    if (CONDITIONAL_JUMPS.has(code)) {
      written[pc + 1 + jtOf(word)]! &= words
      written[pc + 1 + jfOf(word)]! &= words
      words = ALL_WORDS
      continue
    }
    switch (code) {
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
export const translatedLength = (program: BpfProgram): number => {
  let sum = 3 // A = 0, X = 0, where the data is
  for (let at = 0; at < program.length; at += 2) {
    const word = program[at]!
    const code = codeOf(word)
    if (CONDITIONAL_JUMPS.has(code)) {
      const isLarge = (code & Bpf.BPF_X) === 0 && program[at + 1]! < 0 // the constant needs a register of its own
      const canInvert = (code & 0xf0) !== Bpf.BPF_JSET
      sum += (isLarge ? 1 : 0) + (jfOf(word) === 0 || (jtOf(word) === 0 && canInvert) ? 1 : 2)
    } else if (code === (Bpf.BPF_ALU | Bpf.BPF_DIV | Bpf.BPF_X)) sum += 5
    else sum += code === (Bpf.BPF_RET | Bpf.BPF_K) ? 2 : 1
  }
  return sum
}
