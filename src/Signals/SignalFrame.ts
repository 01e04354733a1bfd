/**
 * The frame that a handler runs on, `struct rt_sigframe` of x86-64, and its way back.
 *
 * From low to high addresses: return address (sa_restorer), ucontext, siginfo; above them, 64-byte aligned, the
 * extended state (XSAVE image with its magic words). Debuggers and unwinders know this layout, so it is Linux's own.
 *
 * Pure: this module turns registers and state into bytes and back; src/Task/TaskSignals.ts copies them out and in.
 */
import {
  FXSAVE_SIZE,
  INITIAL_CONTROL_WORD,
  INITIAL_MXCSR,
  LEGACY_COMPONENTS,
  MXCSR,
  MXCSR_MASK,
  SOFTWARE,
  XSTATE_BV,
  XSTATE_HEADER_END
} from "../Abi/ExtendedState.ts"
import { Reg, type Registers } from "../Abi/Registers.ts"
import { StackT } from "../Abi/SigAction.ts"
import { SIGINFO_SIZE, type SigInfo, setSigInfo } from "../Abi/SigInfo.ts"
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
const UC_FP_XSTATE = 1
const UC_SIGCONTEXT_SS = 2
const UC_STRICT_RESTORE_SS = 4
const UC_FLAGS = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS

/** Return address + ucontext + siginfo. */
const FRAME_SIZE = 8 + Ucontext.size + SIGINFO_SIZE

const STACK_ALIGNMENT = 16

/** Below the stack pointer a leaf function may keep data, psABI 3.2.2. */
const RED_ZONE = 128

const LEGACY = Number(LEGACY_COMPONENTS)

/** Marks of the kernel's for user space, in and behind an XSAVE image. */
const FP_XSTATE_MAGIC1 = 0x4650_5853
const FP_XSTATE_MAGIC2 = 0x4650_5845

/** Flags that a handler starts without: direction, resume, trap. */
const CLEARED_EFLAGS = 0x400 | 0x1_0000 | 0x100
/** Flags that sigreturn takes from the frame: CF PF AF ZF SF TF DF OF RF AC. */
const RESTORED_EFLAGS = 0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000

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
  /** The XSAVE image; undefined if it is not known yet, and comes later. */
  readonly extendedState: Uint8Array | undefined
}

/** Offsets in a frame. */
const UCONTEXT = 8
const SIGINFO = UCONTEXT + Ucontext.size
const UC_STACK = UCONTEXT + Ucontext.offsets.uc_stack
const UC_MCONTEXT = UCONTEXT + Ucontext.offsets.uc_mcontext
const UC_SIGMASK = UCONTEXT + Ucontext.offsets.uc_sigmask
const GENERAL = UC_MCONTEXT + SigContext.offsets.general
const EFLAGS = UC_MCONTEXT + SigContext.offsets.eflags
const CS = UC_MCONTEXT + SigContext.offsets.cs
const SS = UC_MCONTEXT + SigContext.offsets.ss
const ERR = UC_MCONTEXT + SigContext.offsets.err
const TRAPNO = UC_MCONTEXT + SigContext.offsets.trapno
const OLDMASK = UC_MCONTEXT + SigContext.offsets.oldmask
const CR2 = UC_MCONTEXT + SigContext.offsets.cr2
const FPSTATE = UC_MCONTEXT + SigContext.offsets.fpstate

/**
 * What frames of a sandbox are made of, and the buffers they are made in. Those are scratch: nothing suspends between
 * filling and emptying one.
 */
export class FrameState {
  /** Bytes of XSAVE state in a frame, and the components in it. */
  readonly size: number
  readonly features: bigint
  /** The whole image that handlers start with. */
  readonly initial: Uint8Array
  /** A frame; its words, and halves of registers. */
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly halves: Uint32Array
  /** An image that was read from a frame. */
  readonly image: Uint8Array
  readonly imageView: DataView
  /** Halves of `features`: large integers are dear where frames are made often. */
  readonly featuresLow: number
  readonly featuresHigh: number

  /** Bits of MXCSR that the processor loads; others are a general protection fault. */
  readonly mxcsrMask: number

  /** `fullSize`: bytes of the processor's image. */
  constructor(size: number, features: bigint, fullSize: number, mxcsrMask: number) {
    this.size = size
    this.features = features
    this.mxcsrMask = mxcsrMask
    this.initial = initialExtendedState(features, fullSize, mxcsrMask)
    const buffer = new ArrayBuffer(Math.ceil((frameReach(size) + STACK_ALIGNMENT) / 8) * 8)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.halves = new Uint32Array(buffer)
    this.image = new Uint8Array(fullSize)
    this.imageView = new DataView(this.image.buffer)
    this.featuresLow = Number(features & 0xffff_ffffn)
    this.featuresHigh = Number(features >> 32n)
  }
}

/** The bytes from `layout.frame` to the end of the extended state, in the buffer of `state`. */
export const encodeFrame = (state: FrameState, contents: FrameContents): Uint8Array => {
  const { bytes, halves, view } = state
  const { extendedState, info, layout, mask, registers, restorer, stack, trap } = contents
  const stateAt = layout.extendedState - layout.frame
  const end = stateAt + state.size + 4
  bytes.fill(0, 0, stateAt)
  setUlong(view, 0, restorer)
  view.setUint32(UCONTEXT + Ucontext.offsets.uc_flags, UC_FLAGS, true)
  setUlong(view, UC_STACK + StackT.offsets.ss_sp, stack.ss_sp)
  view.setUint32(UC_STACK + StackT.offsets.ss_flags, stack.ss_flags, true)
  setUlong(view, UC_STACK + StackT.offsets.ss_size, stack.ss_size)
  for (let i = 0; i < CONTEXT_REGISTERS.length; i++)
    copyWord(halves, GENERAL / 8 + i, registers.halves, CONTEXT_REGISTERS[i]!)
  copyWord(halves, EFLAGS / 8, registers.halves, Reg.eflags)
  view.setUint16(CS, registers.uint(Reg.cs), true)
  view.setUint16(SS, registers.uint(Reg.ss), true)
  setUlong(view, ERR, trap.error)
  setUlong(view, TRAPNO, trap.number)
  view.setBigUint64(CR2, trap.address, true)
  setUlong(view, FPSTATE, layout.extendedState)
  view.setBigUint64(UC_SIGMASK, mask, true)
  view.setUint32(OLDMASK, view.getUint32(UC_SIGMASK, true), true)
  setSigInfo(view, SIGINFO, info)
  encodeExtendedState(state, extendedState, stateAt)
  return bytes.subarray(0, end)
}

/** Guest addresses of the handler's second and third arguments. */
export const frameArguments = (layout: FrameLayout): { readonly info: number; readonly ucontext: number } => ({
  info: layout.frame + SIGINFO,
  ucontext: layout.frame + UCONTEXT
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
  registers.halves[Reg.eflags * 2]! &= ~CLEARED_EFLAGS
}

/** An XSAVE image, or the place for one, as a frame carries it, at `at`: cut to the components that it has, with the kernel's marks. */
const encodeExtendedState = (
  { bytes, featuresHigh, featuresLow, size, view }: FrameState,
  image: Uint8Array | undefined,
  at: number
): void => {
  if (image === undefined) bytes.fill(0, at, at + size)
  else bytes.set(image.subarray(0, size), at)
  view.setUint32(at + SOFTWARE, FP_XSTATE_MAGIC1, true)
  view.setUint32(at + SOFTWARE + 4, size + 4, true)
  view.setUint32(at + SOFTWARE + 8, featuresLow, true)
  view.setUint32(at + SOFTWARE + 12, featuresHigh, true)
  view.setUint32(at + SOFTWARE + 16, size, true)
  bytes.fill(0, at + SOFTWARE + 20, at + FXSAVE_SIZE)
  // x87 and SSE are said to be there whether in use or not: who edits them need not say so
  view.setUint32(at + XSTATE_BV, (view.getUint32(at + XSTATE_BV, true) & featuresLow) | LEGACY, true)
  view.setUint32(at + XSTATE_BV + 4, view.getUint32(at + XSTATE_BV + 4, true) & featuresHigh, true)
  view.setUint32(at + size, FP_XSTATE_MAGIC2, true)
}

/** The XSAVE image that handlers start with. */
const initialExtendedState = (features: bigint, fullSize: number, mxcsrMask: number): Uint8Array => {
  const image = new Uint8Array(fullSize)
  const view = new DataView(image.buffer)
  view.setUint16(0, INITIAL_CONTROL_WORD, true)
  view.setUint32(MXCSR, INITIAL_MXCSR, true)
  view.setUint32(MXCSR_MASK, mxcsrMask, true)
  view.setBigUint64(XSTATE_BV, LEGACY_COMPONENTS, true)
  view.setBigUint64(SOFTWARE, features, true)
  return image
}

/**
 * The XSAVE image to load for what a frame carries, in the buffer of `state`; undefined if no processor would load it. The
 * guest may have edited it: only components in `features` survive, and an image without the marks counts for its legacy
 * part only. It is `length` bytes of `bytes`, whose view is `source`, from `at` on.
 */
export const decodeExtendedState = (
  state: FrameState,
  bytes: Uint8Array,
  source: DataView,
  at: number,
  length: number
): Uint8Array | undefined => {
  const { featuresHigh, featuresLow, image, imageView: view, mxcsrMask } = state
  const size = Math.min(length - 4, image.length)
  const marked =
    source.getUint32(at + SOFTWARE, true) === FP_XSTATE_MAGIC1 &&
    source.getUint32(at + SOFTWARE + 16, true) === size &&
    source.getUint32(at + size, true) === FP_XSTATE_MAGIC2
  const taken = marked ? size : FXSAVE_SIZE
  image.set(bytes.subarray(at, at + taken))
  if (taken < image.length) image.fill(0, taken)
  if ((view.getUint32(MXCSR, true) & ~mxcsrMask) !== 0) return undefined
  const low = marked ? view.getUint32(XSTATE_BV, true) & featuresLow : LEGACY
  const high = marked ? view.getUint32(XSTATE_BV + 4, true) & featuresHigh : 0
  image.fill(0, XSTATE_BV, XSTATE_HEADER_END)
  view.setUint32(XSTATE_BV, low, true)
  view.setUint32(XSTATE_BV + 4, high, true)
  // The CPU's own software area is not the guest's to set: it tells ptrace which components the image has.
  image.fill(0, SOFTWARE, FXSAVE_SIZE)
  view.setUint32(SOFTWARE, featuresLow, true)
  view.setUint32(SOFTWARE + 4, featuresHigh, true)
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

/** Loads `registers` from the ucontext that a guest left, in the buffer; what user space may not set is kept or forced. */
export const restoreFrame = ({ halves, view }: FrameState, registers: Registers): RestoredFrame => {
  const at = -UCONTEXT // the return address has been popped
  for (let i = 0; i < CONTEXT_REGISTERS.length; i++) {
    copyWord(registers.halves, CONTEXT_REGISTERS[i]!, halves, (at + GENERAL) / 8 + i)
  }
  const flags = registers.halves[Reg.eflags * 2]!
  const given = view.getUint32(at + EFLAGS, true)
  registers.halves[Reg.eflags * 2] = (flags & ~RESTORED_EFLAGS) | (given & RESTORED_EFLAGS)
  registers.set(Reg.cs, 0x33)
  registers.set(Reg.ss, 0x2b)
  return {
    mask: view.getBigUint64(at + UC_SIGMASK, true),
    stack: StackT.get(view, at + UC_STACK),
    extendedState: Struct.ulong.get(view, at + FPSTATE)
  }
}

/** Copies one word of 64 bits, of `from` to `into`, as two halves. */
const copyWord = (into: Uint32Array, at: number, from: Uint32Array, index: number): void => {
  into[at * 2] = from[index * 2]!
  into[at * 2 + 1] = from[index * 2 + 1]!
}

const setUlong = Struct.ulong.set
