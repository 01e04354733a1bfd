/**
 * What the processor reported with a thread's last fault: signal frames carry it, those of later signals too.
 */
import * as Effect from "effect/Effect"
import { Reg } from "../Abi/Registers.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import {
  BUS_ADRALN,
  FPE_INTDIV,
  SEGV_ACCERR,
  SIGBUS,
  SIGFPE,
  SIGILL,
  SIGSEGV,
  SIGTRAP,
  SI_KERNEL,
  TRAP_TRACE
} from "../Abi/Signal.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import type { Task } from "./Task.ts"

export interface CpuTrap {
  /** Exception vector, `trapno`. */
  readonly number: number
  /** The last address that was no good, `cr2`. */
  readonly address: bigint
  /** Error code, `err`. */
  readonly error: number
}

export const noTrap: CpuTrap = { number: 0, address: 0n, error: 0 }

// Exception vectors of the x86 CPU.
const DIVIDE_ERROR = 0
const DEBUG = 1
const BREAKPOINT = 3
const INVALID_OPCODE = 6
const GENERAL_PROTECTION = 13
const PAGE_FAULT = 14
const FLOATING_POINT_ERROR = 16
const ALIGNMENT_CHECK = 17
const SIMD_EXCEPTION = 19

/** Bits of a page fault's error code: the page was there, the access was a write, from user mode, a fetch. */
const FAULT_PRESENT = 1
const FAULT_WRITE = 2
const FAULT_USER = 4
const FAULT_FETCH = 16

/** The first address that is not user space's: there all of it is present, as far as the processor tells. */
const KERNEL_HALF = 0x8000_0000_0000n

/** Offset of the x87's status word in an XSAVE image, and its bit that says that an exception is due. */
const STATUS_WORD = 2
const ERROR_SUMMARY = 0x80

/** Whether a floating-point exception comes from the x87, not from SSE: that its state says so. */
const isX87 = (extendedState: Uint8Array): boolean => ((extendedState[STATUS_WORD] ?? 0) & ERROR_SUMMARY) !== 0

const vectorOf = ({ code, signo }: SigInfo, extendedState: Uint8Array): number => {
  switch (signo) {
    case SIGFPE:
      if (code === FPE_INTDIV) return DIVIDE_ERROR
      return isX87(extendedState) ? FLOATING_POINT_ERROR : SIMD_EXCEPTION
    case SIGTRAP:
      return code === TRAP_TRACE ? DEBUG : BREAKPOINT
    case SIGILL:
      return INVALID_OPCODE
    case SIGBUS:
      return code === BUS_ADRALN ? ALIGNMENT_CHECK : PAGE_FAULT
    case SIGSEGV:
      return code === SI_KERNEL ? GENERAL_PROTECTION : PAGE_FAULT
    default:
      return 0
  }
}

const INT = 0xcd
const MOV_TO_SEGMENT = 0x8e
/** A general protection fault's error code: it is about an entry of the interrupt table. */
const IN_INTERRUPT_TABLE = 2

/** The registers as instructions number them. */
const NUMBERED = [Reg.rax, Reg.rcx, Reg.rdx, Reg.rbx, Reg.rsp, Reg.rbp, Reg.rsi, Reg.rdi] as const

/**
 * The error code of a general protection fault: the interrupt or the selector that it is about, else 0. A tracer isn't
 * told it, so it is read off the instruction. Differs from Linux: of instructions that take a selector from memory it is 0.
 */
const protectionError = ({ memory, registers }: Task): number => {
  const code = new Uint8Array(2)
  if (memory.copyIn(registers.ulong(Reg.rip), code) < 0) return 0
  if (code[0] === INT) return (code[1]! << 3) | IN_INTERRUPT_TABLE
  const isRegister = code[1]! >= 0xc0
  return code[0] === MOV_TO_SEGMENT && isRegister ? registers.uint(NUMBERED[code[1]! & 7]!) & 0xfffc : 0
}

type FaultInfo = SigInfo & { readonly _tag: "Fault" }

const NO_STATE = new Uint8Array()

/** What `task` remembers after a fault. */
export const trapAfter = (task: Task, info: FaultInfo): Effect.Effect<CpuTrap, PlatformFailed> =>
  info.signo === SIGFPE
    ? Effect.map(task.context.readExtendedState, (state) => trapOf(task, info, state))
    : Effect.succeed(trapOf(task, info, NO_STATE))

const trapOf = (task: Task, info: FaultInfo, extendedState: Uint8Array): CpuTrap => {
  const number = vectorOf(info, extendedState)
  if (number !== PAGE_FAULT) {
    return { number, address: task.trap.address, error: number === GENERAL_PROTECTION ? protectionError(task) : 0 }
  }
  let error = FAULT_USER
  if (info.access === "write") error |= FAULT_WRITE
  if (info.access === "execute") error |= FAULT_FETCH
  // a page nobody may touch is not present to the CPU either
  const protection = task.memoryManager.areas.find(Number(info.address))?.protection ?? 0
  const isPresent = info.code === SEGV_ACCERR && info.signo === SIGSEGV && protection !== 0
  if (isPresent || info.address >= KERNEL_HALF) error |= FAULT_PRESENT
  return { number, address: info.address, error }
}
