/**
 * Registers of a stopped task as ptrace(2) shows and takes them: `struct user`, and the register sets by note type.
 *
 * What is taken is what user code may have: a selector that is not of ring 3, a base outside user memory and a reserved
 * flag never reach the task.
 */
import { EINVAL, EIO } from "../Abi/Errno.ts"
import { Reg, type Registers, registerCount, registersSize } from "../Abi/Registers.ts"

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

/** `struct user_fpregs_struct`: the FXSAVE area. */
export const FPREGS_SIZE = 512
/** Its part that is the kernel's in an XSAVE image. */
const SOFTWARE = 464
const MXCSR = 24
const MXCSR_MASK = 28
const XSTATE_BV = 512
const XCOMP_BV = 520
const XSTATE_HEADER_END = 576
/** x87 and SSE. */
const LEGACY_COMPONENTS = 3n

/** The FXSAVE area of an XSAVE image. */
export const encodeFpregs = (image: Uint8Array): Uint8Array => image.slice(0, FPREGS_SIZE).fill(0, SOFTWARE)

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Whether MXCSR has a bit that the processor would not load. */
const isBadMxcsr = (image: Uint8Array, mask: number): boolean => (viewOf(image).getUint32(MXCSR, true) & ~mask) !== 0

/** `image` with an FXSAVE area of the tracer's, or -EINVAL. */
export const withFpregs = (image: Uint8Array, fpregs: Uint8Array): Uint8Array | number => {
  const mask = viewOf(image).getUint32(MXCSR_MASK, true)
  const changed = image.slice()
  changed.set(fpregs.subarray(0, SOFTWARE))
  if (isBadMxcsr(changed, mask === 0 ? 0xffbf : mask)) return -EINVAL
  const view = viewOf(changed)
  view.setUint32(MXCSR_MASK, mask, true)
  view.setBigUint64(XSTATE_BV, view.getBigUint64(XSTATE_BV, true) | LEGACY_COMPONENTS, true)
  return changed
}

/** An XSAVE image as the tracer wants it, in place of `current`; or -EINVAL for a header that no processor would load. */
export const checkedImage = (current: Uint8Array, image: Uint8Array, features: bigint): Uint8Array | number => {
  const view = viewOf(image)
  if ((view.getBigUint64(XSTATE_BV, true) & ~features) !== 0n) return -EINVAL
  for (let at = XCOMP_BV; at < XSTATE_HEADER_END; at += 8) if (view.getBigUint64(at, true) !== 0n) return -EINVAL
  const mask = viewOf(current).getUint32(MXCSR_MASK, true)
  if (isBadMxcsr(image, mask === 0 ? 0xffbf : mask)) return -EINVAL
  const accepted = image.slice()
  accepted.set(current.subarray(SOFTWARE, FPREGS_SIZE), SOFTWARE)
  return accepted
}
