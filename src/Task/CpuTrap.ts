/**
 * What the processor reported with a thread's last fault: signal frames carry it, those of later signals too.
 */
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
const ALIGNMENT_CHECK = 17
const SIMD_EXCEPTION = 19

/** Bits of a page fault's error code: the page was there, the access was a write, from user mode, a fetch. */
const FAULT_PRESENT = 1
const FAULT_WRITE = 2
const FAULT_USER = 4
const FAULT_FETCH = 16

const vectorOf = ({ code, signo }: SigInfo): number => {
  switch (signo) {
    case SIGFPE:
      return code === FPE_INTDIV ? DIVIDE_ERROR : SIMD_EXCEPTION
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

/** What `task` remembers after a fault. */
export const trapAfter = (task: Task, info: SigInfo & { readonly _tag: "Fault" }): CpuTrap => {
  const number = vectorOf(info)
  if (number !== PAGE_FAULT) return { number, address: task.trap.address, error: 0 }
  let error = FAULT_USER
  if (info.access === "write") error |= FAULT_WRITE
  if (info.access === "execute") error |= FAULT_FETCH
  // a page nobody may touch is not present to the CPU either
  const protection = task.memoryManager.areas.find(Number(info.address))?.protection ?? 0
  if (info.code === SEGV_ACCERR && info.signo === SIGSEGV && protection !== 0) error |= FAULT_PRESENT
  return { number, address: info.address, error }
}
