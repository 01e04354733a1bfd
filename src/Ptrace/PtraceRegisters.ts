/**
 * Registers of a stopped task as ptrace(2) shows and takes them: `struct user`, and the register sets by note type.
 *
 * What is taken is what user code may have: a selector that is not of ring 3, a base outside user memory and a reserved
 * flag never reach the task.
 */
import { EINVAL, EIO } from "../Abi/Errno.ts"
import {
  FXSAVE_SIZE,
  INITIAL_CONTROL_WORD,
  INITIAL_MXCSR,
  LEGACY_COMPONENTS,
  MXCSR,
  MXCSR_MASK,
  SOFTWARE,
  SSE,
  X87,
  XCOMP_BV,
  XSTATE_BV,
  XSTATE_HEADER_END,
  YMM
} from "../Abi/ExtendedState.ts"
import { Reg, type Registers, registerCount, registersSize } from "../Abi/Registers.ts"
import type { Platform } from "../Platform/Platform.ts"

/** EFLAGS that a tracer may set: CF PF AF ZF SF TF DF OF NT RF AC. */
const SETTABLE_FLAGS = 0x1n | 0x4n | 0x10n | 0x40n | 0x80n | 0x100n | 0x400n | 0x800n | 0x4000n | 0x1_0000n | 0x4_0000n
const TRAP_FLAG = 0x100n

/** Bases above this are not user memory. */
const TASK_SIZE_MAX = 0x7fff_ffff_f000n

/** What the trap flag is to the tracer: hidden if single stepping has set it. */
export interface TrapFlag {
  trapFlagForced: boolean
}

const isSelector = (value: bigint): boolean => (value & 0xffffn) === 0n || (value & 3n) === 3n

/** Whether `register` may hold `value`: 0 or -EIO. */
const checkRegister = (register: number, value: bigint): number => {
  switch (register) {
    case Reg.cs:
    case Reg.ss:
      return (value & 0xffffn) !== 0n && isSelector(value) ? 0 : -EIO
    case Reg.ds:
    case Reg.es:
    case Reg.fs:
    case Reg.gs:
      return isSelector(value) ? 0 : -EIO
    case Reg.fs_base:
    case Reg.gs_base:
      return value < TASK_SIZE_MAX ? 0 : -EIO
    default:
      return 0
  }
}

/** Sets word `register` of `struct user_regs_struct`: 0 or -EIO. */
export const setRegister = (registers: Registers, trap: TrapFlag, register: number, value: bigint): number => {
  const error = checkRegister(register, value)
  if (error < 0) return error
  const { words } = registers
  if (register === Reg.eflags) {
    if ((value & TRAP_FLAG) !== 0n) trap.trapFlagForced = false
    words[register] = (words[register]! & ~SETTABLE_FLAGS) | (value & SETTABLE_FLAGS)
  } else if (register >= Reg.ds || register === Reg.cs || register === Reg.ss) words[register] = value & 0xffffn
  else words[register] = value
  return 0
}

/** `struct user_regs_struct`, 216 bytes. */
export const encodeRegisters = (registers: Registers): Uint8Array =>
  new Uint8Array(registers.snapshot().buffer, 0, registersSize)

/** Sets registers from the first bytes of the structure, word by word, up to one that is refused: 0 or -EIO. */
export const decodeRegisters = (registers: Registers, trap: TrapFlag, bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let register = 0; register < registerCount && (register + 1) * 8 <= bytes.length; register++) {
    const error = setRegister(registers, trap, register, view.getBigUint64(register * 8, true))
    if (error < 0) return error
  }
  return 0
}

/** Where the registers of the FXSAVE area, `struct user_fpregs_struct`, end: what follows is unused, and then the kernel's in an XSAVE image. */
const UNUSED = 416
const ST_REGISTERS = 32
const XMM_REGISTERS = 160
const YMM_HALVES_END = 832

/** What processors of this kind have in an XSAVE image. */
type ExtendedStateKind = typeof Platform.Service.extendedState

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Gives the components that XSTATE_BV says are absent the contents that absence means. */
const fillAbsent = (image: Uint8Array): void => {
  if (image.length < XSTATE_HEADER_END) return // of a processor without XSAVE: everything is there
  const view = viewOf(image)
  const present = view.getBigUint64(XSTATE_BV, true)
  if ((present & X87) === 0n) {
    image.fill(0, 0, MXCSR)
    view.setUint16(0, INITIAL_CONTROL_WORD, true)
    image.fill(0, ST_REGISTERS, XMM_REGISTERS)
  }
  if ((present & (SSE | YMM)) === 0n) view.setUint32(MXCSR, INITIAL_MXCSR, true)
  if ((present & SSE) === 0n) image.fill(0, XMM_REGISTERS, UNUSED)
  if ((present & YMM) === 0n) image.fill(0, XSTATE_HEADER_END, YMM_HALVES_END)
  // where others are depends on the processor, so they can be cleared together only
  if ((present & ~(X87 | SSE | YMM)) === 0n) image.fill(0, YMM_HALVES_END)
}

/** An XSAVE image as the tracer sees it. */
export const encodeImage = (image: Uint8Array): Uint8Array => {
  const shown = image.slice().fill(0, UNUSED, SOFTWARE)
  fillAbsent(shown)
  return shown
}

/** The FXSAVE area of an XSAVE image. */
export const encodeFpregs = (image: Uint8Array): Uint8Array =>
  encodeImage(image).subarray(0, FXSAVE_SIZE).fill(0, UNUSED)

/** `image` with an FXSAVE area of the tracer's, or -EINVAL for an MXCSR that no processor would load. */
export const withFpregs = (image: Uint8Array, fpregs: Uint8Array, kind: ExtendedStateKind): Uint8Array | number => {
  if ((viewOf(fpregs).getUint32(MXCSR, true) & ~kind.mxcsrMask) !== 0) return -EINVAL
  const changed = image.slice()
  changed.set(fpregs.subarray(0, UNUSED))
  const view = viewOf(changed)
  if (changed.length >= XSTATE_HEADER_END) {
    view.setBigUint64(XSTATE_BV, view.getBigUint64(XSTATE_BV, true) | LEGACY_COMPONENTS, true)
  }
  return changed
}

/** An XSAVE image as the tracer wants it, in place of `current`; or -EINVAL for one that no processor would load. */
export const checkedImage = (current: Uint8Array, image: Uint8Array, kind: ExtendedStateKind): Uint8Array | number => {
  const view = viewOf(image)
  const present = view.getBigUint64(XSTATE_BV, true)
  if ((present & ~kind.features) !== 0n) return -EINVAL
  for (let at = XCOMP_BV; at < XSTATE_HEADER_END; at += 8) if (view.getBigUint64(at, true) !== 0n) return -EINVAL
  const hasMxcsr = (present & (X87 | SSE | YMM)) !== 0n
  if (hasMxcsr && (view.getUint32(MXCSR, true) & ~kind.mxcsrMask) !== 0) return -EINVAL
  const accepted = image.slice().fill(0, UNUSED, SOFTWARE)
  accepted.set(current.subarray(SOFTWARE, FXSAVE_SIZE), SOFTWARE)
  if ((present & (SSE | YMM)) === 0n) viewOf(accepted).setUint32(MXCSR_MASK, kind.mxcsrMask, true)
  fillAbsent(accepted) // processors load some absent parts, MXCSR for one
  return accepted
}
