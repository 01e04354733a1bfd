/**
 * The frame that a handler runs on, `struct rt_sigframe` of x86-64, and its way back.
 *
 * From low to high addresses: return address (sa_restorer), ucontext, siginfo; above them, 64-byte aligned, the
 * extended state (XSAVE image with its magic words). Debuggers and unwinders know this layout, so it is Linux's own.
 *
 * Pure: this module turns registers and state into bytes and back; src/Task/TaskSignals.ts copies them out and in.
 */
import { Reg, type Registers } from "../Abi/Registers.ts"
import { StackT } from "../Abi/SigAction.ts"
import { SIGINFO_SIZE, type SigInfo, encodeSigInfo } from "../Abi/SigInfo.ts"
import * as Struct from "../Abi/Struct.ts"

/** The registers that sigcontext begins with, in its order: one block, as frames are written often. */
const CONTEXT_REGISTERS = [
  Reg.r8,
  Reg.r9,
  Reg.r10,
  Reg.r11,
  Reg.r12,
  Reg.r13,
  Reg.r14,
  Reg.r15,
  Reg.rdi,
  Reg.rsi,
  Reg.rbp,
  Reg.rbx,
  Reg.rdx,
  Reg.rax,
  Reg.rcx,
  Reg.rsp,
  Reg.rip
] as const

/** `struct sigcontext` (64-bit), 256 bytes. */
const SigContext = Struct.make("sigcontext", {
  general: Struct.words(CONTEXT_REGISTERS.length),
  eflags: Struct.u64,
  cs: Struct.u16,
  gs: Struct.u16,
  fs: Struct.u16,
  ss: Struct.u16,
  err: Struct.u64,
  trapno: Struct.u64,
  oldmask: Struct.u64,
  cr2: Struct.u64,
  fpstate: Struct.ulong,
  reserved: Struct.bytes(64)
})

/** `struct ucontext` as the kernel writes it. */
const Ucontext = Struct.make("ucontext", {
  uc_flags: Struct.u64,
  uc_link: Struct.u64,
  uc_stack: StackT,
  uc_mcontext: SigContext,
  uc_sigmask: Struct.u64
})

/** uc_flags: the frame has extended state, and ss is meant seriously. */
const UC_FP_XSTATE = 1n
const UC_SIGCONTEXT_SS = 2n
const UC_STRICT_RESTORE_SS = 4n

/** Return address + ucontext + siginfo. */
const FRAME_SIZE = 8 + Ucontext.size + SIGINFO_SIZE

/** Below the stack pointer a leaf function may keep data, psABI 3.2.2. */
const RED_ZONE = 128

/** Offsets in the legacy area of an XSAVE image of what the kernel leaves there for user space. */
const SW_RESERVED = 464
const XSTATE_HEADER = 512
const XSTATE_HEADER_SIZE = 64
const MXCSR = 24
/** Bits that every processor with this extended state knows; others are a general protection fault. */
const MXCSR_KNOWN = 0xffff
const INITIAL_MXCSR = 0x1f80
const INITIAL_CONTROL_WORD = 0x37f
/** The components that the legacy area holds: x87 and SSE. */
const LEGACY_COMPONENTS = 3n
const FP_XSTATE_MAGIC1 = 0x4650_5853
const FP_XSTATE_MAGIC2 = 0x4650_5845

/** Flags that a handler starts without: direction, resume, trap. */
const CLEARED_EFLAGS = 0x400n | 0x1_0000n | 0x100n
/** Flags that sigreturn takes from the frame: CF PF AF ZF SF TF DF OF RF AC. */
const RESTORED_EFLAGS = 0x1n | 0x4n | 0x10n | 0x40n | 0x80n | 0x100n | 0x400n | 0x800n | 0x1_0000n | 0x4_0000n

/** Where the parts of a frame lie in guest memory. */
export interface FrameLayout {
  /** The new stack pointer: the frame's first byte. */
  readonly frame: number
  /** The extended state's first byte. */
  readonly extendedState: number
}

/**
 * Places a frame below `top`, which is the interrupted stack pointer, or the end of the alternate stack
 * (`onAlternateStack`: no red zone there).
 */
export const layoutFrame = (top: number, onAlternateStack: boolean, extendedStateSize: number): FrameLayout => {
  const start = onAlternateStack ? top : top - RED_ZONE
  // the magic word behind the image belongs to the frame
  const extendedState = Math.floor((start - extendedStateSize - 4) / 64) * 64
  const frame = Math.floor((extendedState - FRAME_SIZE) / 16) * 16 - 8
  return { frame, extendedState }
}

/** How the handler was installed and what it interrupts. */
export interface FrameContents {
  readonly registers: Registers
  readonly info: SigInfo
  readonly restorer: number
  /** The mask to restore. */
  readonly mask: bigint
  readonly stack: StackT
  readonly layout: FrameLayout
  /** Trap number and fault address, for faults. */
  readonly trap: { readonly number: number; readonly address: bigint; readonly error: number }
  /** The XSAVE image, the components of it that the frame carries, and how many bytes those take. */
  readonly extendedState: Uint8Array
  readonly features: bigint
  readonly extendedStateSize: number
}

/** What `reserved` holds. */
const nothing = new Uint8Array(64)

/** The bytes from `layout.frame` to the end of the extended state. */
export const encodeFrame = (contents: FrameContents): Uint8Array => {
  const { extendedState, extendedStateSize, features, info, layout, mask, registers, restorer, stack, trap } = contents
  const stateAt = layout.extendedState - layout.frame
  const bytes = new Uint8Array(stateAt + extendedStateSize + 4)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(restorer), true)
  const general = new BigUint64Array(CONTEXT_REGISTERS.length)
  for (let i = 0; i < general.length; i++) general[i] = registers.words[CONTEXT_REGISTERS[i]!]!
  Ucontext.set(view, 8, {
    uc_flags: UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS,
    uc_link: 0n,
    uc_stack: stack,
    uc_mcontext: {
      general,
      eflags: registers.words[Reg.eflags]!,
      cs: registers.uint(Reg.cs) & 0xffff,
      gs: 0,
      fs: 0,
      ss: registers.uint(Reg.ss) & 0xffff,
      err: BigInt(trap.error),
      trapno: BigInt(trap.number),
      oldmask: mask & 0xffff_ffffn,
      cr2: trap.address,
      fpstate: layout.extendedState,
      reserved: nothing
    },
    uc_sigmask: mask
  })
  bytes.set(encodeSigInfo(info), 8 + Ucontext.size)
  encodeExtendedState(extendedState, features, extendedStateSize, bytes.subarray(stateAt))
  return bytes
}

/** Guest addresses of the handler's second and third arguments. */
export const frameArguments = (layout: FrameLayout): { readonly info: number; readonly ucontext: number } => ({
  info: layout.frame + 8 + Ucontext.size,
  ucontext: layout.frame + 8
})

/** Points the registers at the handler. */
export const enterHandler = (registers: Registers, handler: number, signo: number, layout: FrameLayout): void => {
  const { info, ucontext } = frameArguments(layout)
  registers.set(Reg.rdi, signo)
  registers.set(Reg.rsi, info)
  registers.set(Reg.rdx, ucontext)
  registers.set(Reg.rax, 0)
  registers.set(Reg.rip, handler)
  registers.set(Reg.rsp, layout.frame)
  registers.set(Reg.cs, 0x33)
  registers.set(Reg.ss, 0x2b)
  registers.words[Reg.eflags]! &= ~CLEARED_EFLAGS
}

/** An XSAVE image as a frame carries it: cut to the components in `features`, with the kernel's marks. */
const encodeExtendedState = (image: Uint8Array, features: bigint, size: number, into: Uint8Array): void => {
  into.set(image.subarray(0, size))
  const view = new DataView(into.buffer, into.byteOffset)
  view.setUint32(SW_RESERVED, FP_XSTATE_MAGIC1, true)
  view.setUint32(SW_RESERVED + 4, size + 4, true)
  view.setBigUint64(SW_RESERVED + 8, features, true)
  view.setUint32(SW_RESERVED + 16, size, true)
  into.fill(0, SW_RESERVED + 20, XSTATE_HEADER)
  view.setBigUint64(XSTATE_HEADER, view.getBigUint64(XSTATE_HEADER, true) & features, true)
  view.setUint32(size, FP_XSTATE_MAGIC2, true)
}

/** The XSAVE image that handlers start with. */
export const initialExtendedState = (features: bigint, fullSize: number): Uint8Array => {
  const image = new Uint8Array(fullSize)
  const view = new DataView(image.buffer)
  view.setUint16(0, INITIAL_CONTROL_WORD, true)
  view.setUint32(MXCSR, INITIAL_MXCSR, true)
  view.setBigUint64(XSTATE_HEADER, LEGACY_COMPONENTS, true)
  view.setBigUint64(SW_RESERVED, features, true)
  return image
}

/**
 * The XSAVE image to load for what a frame carries, in `fullSize` bytes; undefined if no processor would load it. The
 * guest may have edited it: only components in `features` survive, and an image without the marks counts for its legacy
 * part only.
 */
export const decodeExtendedState = (
  carried: Uint8Array,
  features: bigint,
  fullSize: number
): Uint8Array | undefined => {
  const image = new Uint8Array(fullSize)
  const source = new DataView(carried.buffer, carried.byteOffset, carried.byteLength)
  const size = Math.min(carried.length - 4, fullSize)
  const marked =
    source.getUint32(SW_RESERVED, true) === FP_XSTATE_MAGIC1 &&
    source.getUint32(SW_RESERVED + 16, true) === size &&
    source.getUint32(size, true) === FP_XSTATE_MAGIC2
  image.set(carried.subarray(0, marked ? size : XSTATE_HEADER))
  const view = new DataView(image.buffer)
  if (view.getUint32(MXCSR, true) > MXCSR_KNOWN) return undefined
  const components = marked ? source.getBigUint64(XSTATE_HEADER, true) & features : LEGACY_COMPONENTS
  image.fill(0, XSTATE_HEADER, XSTATE_HEADER + XSTATE_HEADER_SIZE)
  view.setBigUint64(XSTATE_HEADER, components, true)
  // The CPU's own software area is not the guest's to set: it tells ptrace which components the image has.
  image.fill(0, SW_RESERVED, XSTATE_HEADER)
  view.setBigUint64(SW_RESERVED, features, true)
  return image
}

/** What rt_sigreturn(2) finds in a frame. */
export interface RestoredFrame {
  readonly mask: bigint
  readonly stack: StackT
  /** Guest address of the extended state; 0 for none. */
  readonly extendedState: number
}

/** Bytes of the ucontext, which rt_sigreturn copies in from the stack pointer on. */
export const ucontextSize = Ucontext.size

/** Bytes from there that contain an extended state of `size` bytes, if it is where the kernel has put it. */
export const frameReach = (size: number): number => FRAME_SIZE + 64 + size + 4

/** Loads `registers` from the ucontext that a guest left; what user space may not set is kept or forced. */
export const restoreFrame = (ucontext: Uint8Array, registers: Registers): RestoredFrame => {
  const { uc_mcontext: context, uc_sigmask, uc_stack } = Ucontext.decode(ucontext)
  for (let i = 0; i < CONTEXT_REGISTERS.length; i++) registers.words[CONTEXT_REGISTERS[i]!] = context.general[i]!
  const flags = registers.words[Reg.eflags]!
  registers.words[Reg.eflags] = (flags & ~RESTORED_EFLAGS) | (context.eflags & RESTORED_EFLAGS)
  registers.set(Reg.cs, 0x33)
  registers.set(Reg.ss, 0x2b)
  return { mask: uc_sigmask, stack: uc_stack, extendedState: context.fpstate }
}
