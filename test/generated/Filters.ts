/**
 * The seccomp(2) filters that are generated, and the calls that meet them. Plain data, so that fast-check can shrink it.
 */
import * as fc from "fast-check"
import * as Bpf from "../../src/Abi/Bpf.ts"

/** code, jt, jf, k. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number]

export interface FilterCase {
  /** Stacked, the first one is the oldest. */
  readonly filters: ReadonlyArray<ReadonlyArray<Instruction>>
  /** Number and six arguments. */
  readonly calls: ReadonlyArray<ReadonlyArray<bigint>>
}

/** Words where arithmetic and comparisons turn. Both filters and calls are made of them. */
const WORDS = [0, 1, 2, 3, 31, 32, 33, 110, 1000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]

const word = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffff_ffff }) }
)

const ACTIONS = [0x7fff, 0x7ffc, 0x7ff0, 0x7fc0, 0x0005, 0x0003]
const STRICT_ACTIONS = [0x8000, 0x0000, 0x0001, 0x7ffe, 0x8001, 0xffff]

/** What filters return. Killing a process for each call would take most of the time. */
const verdict = fc
  .tuple(
    fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...ACTIONS) },
      { weight: 1, arbitrary: fc.constantFrom(...STRICT_ACTIONS) }
    ),
    fc.constantFrom(0, 1, 38, 133, 511, 520, 4095, 4096, 0xffff)
  )
  .map(([action, data]) => action * 0x1_0000 + data)

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
const source = fc.constantFrom(Bpf.BPF_K, Bpf.BPF_X)

const instruction = (code: fc.Arbitrary<number>, k: fc.Arbitrary<number>): fc.Arbitrary<Instruction> =>
  fc.tuple(code, fc.constant(0), fc.constant(0), k)

const aligned = fc.integer({ min: 0, max: 15 }).map((index) => index * 4)
const memory = fc.integer({ min: 0, max: Bpf.BPF_MEMWORDS - 1 })
const distance = fc.integer({ min: 0, max: 5 })

/** One that is right if it is at the right place. */
const sound: fc.Arbitrary<Instruction> = fc.oneof(
  { weight: 6, arbitrary: instruction(fc.constant(Bpf.BPF_LD | Bpf.BPF_ABS), aligned) },
  { weight: 1, arbitrary: instruction(fc.constantFrom(Bpf.BPF_LD | Bpf.BPF_LEN, Bpf.BPF_LDX | Bpf.BPF_LEN), word) },
  { weight: 3, arbitrary: instruction(fc.constantFrom(Bpf.BPF_LD | Bpf.BPF_IMM, Bpf.BPF_LDX | Bpf.BPF_IMM), word) },
  {
    weight: 4,
    arbitrary: instruction(
      fc.constantFrom(Bpf.BPF_LD | Bpf.BPF_MEM, Bpf.BPF_LDX | Bpf.BPF_MEM, Bpf.BPF_ST, Bpf.BPF_STX),
      memory
    )
  },
  {
    weight: 10,
    arbitrary: instruction(
      fc.tuple(fc.constantFrom(...OPERATIONS), source).map(([operation, from]) => Bpf.BPF_ALU | operation | from),
      word
    )
  },
  { weight: 1, arbitrary: instruction(fc.constant(Bpf.BPF_ALU | Bpf.BPF_NEG), word) },
  {
    weight: 3,
    arbitrary: instruction(fc.constantFrom(Bpf.BPF_MISC | Bpf.BPF_TAX, Bpf.BPF_MISC | Bpf.BPF_TXA), word)
  },
  {
    weight: 8,
    arbitrary: fc.tuple(
      fc.tuple(fc.constantFrom(...CONDITIONS), source).map(([condition, from]) => Bpf.BPF_JMP | condition | from),
      distance,
      distance,
      word
    )
  },
  { weight: 1, arbitrary: instruction(fc.constant(Bpf.BPF_JMP | Bpf.BPF_JA), distance) },
  { weight: 2, arbitrary: instruction(fc.constant(Bpf.BPF_RET | Bpf.BPF_K), verdict) }
)

/** One that may be anything: mostly what nobody accepts. */
const wild: fc.Arbitrary<Instruction> = fc.tuple(
  fc.oneof(fc.integer({ min: 0, max: 0xff }), fc.integer({ min: 0, max: 0xffff })),
  fc.integer({ min: 0, max: 0xff }),
  fc.integer({ min: 0, max: 0xff }),
  fc.oneof(word, fc.integer({ min: 0, max: 70 }))
)

const HALVES: ReadonlyArray<ReadonlyArray<Instruction>> = [
  [
    [Bpf.BPF_ALU | Bpf.BPF_AND, 0, 0, 0xffff],
    [Bpf.BPF_ALU | Bpf.BPF_OR, 0, 0, 0x0003_0000],
    [Bpf.BPF_RET | Bpf.BPF_A, 0, 0, 0]
  ],
  [
    [Bpf.BPF_ALU | Bpf.BPF_RSH, 0, 0, 16],
    [Bpf.BPF_ALU | Bpf.BPF_OR, 0, 0, 0x0003_0000],
    [Bpf.BPF_RET | Bpf.BPF_A, 0, 0, 0]
  ]
]

/** How filters end: most often a trap that tells half of the accumulator. */
const ending: fc.Arbitrary<ReadonlyArray<Instruction>> = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...HALVES) },
  { weight: 2, arbitrary: verdict.map((k): ReadonlyArray<Instruction> => [[Bpf.BPF_RET | Bpf.BPF_K, 0, 0, k]]) },
  { weight: 1, arbitrary: fc.constant<ReadonlyArray<Instruction>>([[Bpf.BPF_RET | Bpf.BPF_A, 0, 0, 0]]) }
)

const isJump = (code: number): boolean => (code & 7) === Bpf.BPF_JMP && code !== (Bpf.BPF_JMP | Bpf.BPF_JA)

/** Makes an instruction right for its place, `left` before the last one. */
const repaired = ([code, jt, jf, k]: Instruction, left: number): Instruction => {
  if (isJump(code)) return [code, jt % (left + 1), jf % (left + 1), k]
  if (code === (Bpf.BPF_JMP | Bpf.BPF_JA)) return [code, 0, 0, k % (left + 1)]
  if (code === (Bpf.BPF_ALU | Bpf.BPF_DIV)) return [code, 0, 0, k === 0 ? 7 : k]
  if (code === (Bpf.BPF_ALU | Bpf.BPF_LSH) || code === (Bpf.BPF_ALU | Bpf.BPF_RSH)) return [code, 0, 0, k % 32]
  return [code, jt, jf, k]
}

/** Writes all of scratch memory: whatever is read later was written. */
const WRITE_MEMORY: ReadonlyArray<Instruction> = Array.from({ length: Bpf.BPF_MEMWORDS }, (_, k) => [
  Bpf.BPF_ST,
  0,
  0,
  k
])

const validFilter = fc
  .tuple(fc.array(sound, { maxLength: 24 }), ending, fc.boolean())
  .map(([body, end, writesMemory]) =>
    [
      ...(writesMemory ? WRITE_MEMORY : []),
      ...body
        .map((each, index) => repaired(each, body.length + end.length - 2 - index))
        // without that, reads of memory would mostly be refused
        .filter(([code]) => writesMemory || (code & 0x60) !== Bpf.BPF_MEM || (code & 7) > Bpf.BPF_LDX)
    ].concat(end)
  )

/** Whatever comes: jumps to anywhere, memory read before it was written, no end. */
const anyFilter = fc
  .tuple(
    fc.array(fc.oneof({ weight: 12, arbitrary: sound }, { weight: 1, arbitrary: wild }), { maxLength: 8 }),
    fc.oneof({ weight: 6, arbitrary: ending }, { weight: 1, arbitrary: fc.constant<ReadonlyArray<Instruction>>([]) })
  )
  .map(([body, end]) => [...body, ...end])

const filter: fc.Arbitrary<ReadonlyArray<Instruction>> = fc.oneof(
  { weight: 4, arbitrary: validFilter },
  { weight: 1, arbitrary: anyFilter }
)

const long = fc.tuple(word, word).map(([high, low]) => (BigInt(high) << 32n) | BigInt(low))

/** Calls that do not exist, and getppid, which shows that it was allowed. */
const number = fc.oneof(
  { weight: 2, arbitrary: fc.constant(110n) },
  { weight: 1, arbitrary: fc.constantFrom(1000n, 1001n, 0x7fff_ffffn, 0x4000_006en, 0xffff_ffffn, 0x1_0000_03e9n) },
  { weight: 1, arbitrary: fc.integer({ min: 1000, max: 0xffff_ffff }).map(BigInt) }
)

const call = fc.tuple(number, long, long, long, long, long, long)

export const filterCase: fc.Arbitrary<FilterCase> = fc.record({
  filters: fc.oneof(
    { weight: 4, arbitrary: fc.tuple(filter) },
    { weight: 1, arbitrary: fc.array(filter, { minLength: 2, maxLength: 4 }) }
  ),
  calls: fc.array(call, { minLength: 4, maxLength: 8 })
})

/** The bytes of `struct sock_filter[]`. */
export const encodeFilter = (filter: ReadonlyArray<Instruction>): Uint8Array => {
  const bytes = new Uint8Array(filter.length * Bpf.SockFilter.size)
  const view = new DataView(bytes.buffer)
  for (const [index, [code, jt, jf, k]] of filter.entries()) {
    Bpf.SockFilter.set(view, index * Bpf.SockFilter.size, { code, jt, jf, k })
  }
  return bytes
}

/** As filterprobe.c reads it. */
export const printCase = ({ calls, filters }: FilterCase): string =>
  [
    ...filters.map((each) => `f ${Buffer.from(encodeFilter(each)).toString("hex")}`),
    ...calls.map((each) => `i ${each.map((value) => value.toString(16)).join(" ")}`),
    "."
  ].join("\n") + "\n"
