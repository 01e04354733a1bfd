/** Tiny guest programs as machine code, and what tests do with them again and again. */
import * as assert from "node:assert"
import * as Effect from "effect/Effect"
import { Reg } from "../../src/Abi/Registers.ts"
import { Platform, type PlatformContext } from "../../src/Platform/Platform.ts"

export const PAGE = 4096
/** Where tests put code, data and a stack. */
export const CODE = 0x40_0000
export const DATA = 0x50_0000
export const STACK = 0x60_0000

/** Machine code. Numbers in names are operands. */
export const asm = {
  syscall: [0x0f, 0x05],
  int80: [0xcd, 0x80],
  sysenter: [0x0f, 0x34],
  int3: [0xcc],
  ud2: [0x0f, 0x0b],
  rdtsc: [0x0f, 0x31],
  jmpSelf: [0xeb, 0xfe],
  jmpRdi: [0xff, 0xe7],
  divideByZero: [0x31, 0xc9, 0xf7, 0xf1], // xor %ecx,%ecx; div %ecx
  loadRdi: [0x48, 0x8b, 0x07], // mov (%rdi),%rax
  storeRdi: [0x48, 0x89, 0x07], // mov %rax,(%rdi)
  movRaxRdi: [0x48, 0x89, 0xc7], // mov %rax,%rdi
  incRbx: [0x48, 0xff, 0xc3],
  setEax: (n: number) => [0xb8, n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24],
  /** jmp to `distance` bytes before the end of this instruction. */
  jmpBack: (distance: number) => [0xeb, 256 - distance],
  callRax: [0xff, 0xd0]
} as const

export const bytes = (...parts: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => Uint8Array.from(parts.flat())

/** Counts in rbx, asks the kernel for the number of this call, and executes ud2 if the two differ. */
export const countingLoop = bytes(
  asm.incRbx,
  asm.setEax(39),
  asm.syscall,
  [0x48, 0x39, 0xc3], // cmp %rax,%rbx
  [0x74, 0xf1], // je to the start
  asm.ud2
)

export const map = (
  address: number,
  length: number,
  protection: number,
  backing?: { readonly fd: number; readonly offset: number },
  shared = false
) => ({ _tag: "Map", address, length, protection, shared, backing, populate: false }) as const

/** A context with `code` mapped, and a page of data and one of stack; rip at the code, rdi at the data. */
export const guest = Effect.fnUntraced(function* (code: Uint8Array) {
  const platform = yield* Platform
  const context = yield* Effect.acquireRelease(platform.makeContext, (c) => c.release)
  const result = yield* context.addressSpace.change([
    map(CODE, PAGE, 5),
    map(DATA, PAGE, 3),
    map(STACK - PAGE, PAGE, 3)
  ])
  if (result !== 0) return yield* Effect.die(`change: ${result}`)
  if (context.addressSpace.writeForced(CODE, code) !== code.length) return yield* Effect.die("write")
  context.registers.set(Reg.rip, CODE)
  context.registers.set(Reg.rdi, DATA)
  context.registers.set(Reg.rsp, STACK)
  return context
})

/** Runs the guest with a handler that answers nothing. */
export const run = (context: PlatformContext) => context.switch(() => false)

/** Runs the guest up to its next event, which must be this fault. Its si_code. */
export const expectFault = Effect.fnUntraced(function* (context: PlatformContext, signal: number, address?: number) {
  const outcome = yield* run(context)
  if (outcome._tag !== "Fault") return assert.fail(`expected a fault, got ${outcome._tag}`)
  assert.strictEqual(outcome.signal, signal)
  if (address !== undefined) assert.strictEqual(outcome.address, BigInt(address))
  return outcome.code
})

export const bigAt = (context: PlatformContext, address: number): bigint => {
  const into = new Uint8Array(8)
  if (context.addressSpace.read(address, into) !== 8) throw new Error("unreadable")
  return new DataView(into.buffer).getBigUint64(0, true)
}
