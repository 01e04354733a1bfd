/**
 * `struct ptrace_syscall_info`: what PTRACE_GET_SYSCALL_INFO tells of a stop.
 */
import {
  PTRACE_EVENTMSG_SYSCALL_ENTRY,
  PTRACE_EVENTMSG_SYSCALL_EXIT,
  PTRACE_EVENT_SECCOMP,
  PTRACE_SYSCALL_INFO_ENTRY,
  PTRACE_SYSCALL_INFO_EXIT,
  PTRACE_SYSCALL_INFO_NONE,
  PTRACE_SYSCALL_INFO_SECCOMP
} from "../Abi/Ptrace.ts"
import { EINVAL, ERANGE } from "../Abi/Errno.ts"
import { argumentRegisters, i386ArgumentRegisters, Reg, type Registers } from "../Abi/Registers.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { AUDIT_ARCH_I386, AUDIT_ARCH_X86_64 } from "../Abi/Seccomp.ts"
import { SIGTRAP } from "../Abi/Signal.ts"

export const SYSCALL_INFO_SIZE = 88
/** Where the part begins that depends on the kind of stop, and where each kind's ends. */
const DETAIL = 24
const ENTRY_END = 80
const EXIT_END = 33
const SECCOMP_END = 84

const kindOf = (info: SigInfo | undefined, message: bigint): number => {
  if (info?.code === (SIGTRAP | 0x80)) {
    if (message === PTRACE_EVENTMSG_SYSCALL_ENTRY) return PTRACE_SYSCALL_INFO_ENTRY
    if (message === PTRACE_EVENTMSG_SYSCALL_EXIT) return PTRACE_SYSCALL_INFO_EXIT
  }
  return info?.code === (SIGTRAP | (PTRACE_EVENT_SECCOMP << 8)) ? PTRACE_SYSCALL_INFO_SECCOMP : PTRACE_SYSCALL_INFO_NONE
}

/** -4095 to -1 as rax holds them. */
const isError = (value: bigint): boolean => value >= 0xffff_ffff_ffff_f001n

/** Where a call's arguments are, by who makes such calls. */
const argumentsOf = (isI386: boolean): ReadonlyArray<Reg> => (isI386 ? i386ArgumentRegisters : argumentRegisters)

/** What a tracee in a stop has to say of its call. */
export interface StoppedCall {
  readonly registers: Registers
  readonly info: SigInfo | undefined
  readonly message: bigint
  /** It is made as 32-bit programs do. */
  readonly isI386: boolean
}

/**
 * PTRACE_SET_SYSCALL_INFO: makes the call, or its result, what `bytes` say; where the call was made can't be changed.
 * 0 or -EINVAL, -ERANGE.
 */
export const decodeSyscallInfo = ({ info, isI386, message, registers }: StoppedCall, bytes: Uint8Array): number => {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const kind = view.getUint8(0)
  if (view.getUint8(1) !== 0 || view.getUint16(2, true) !== 0 || kind !== kindOf(info, message)) return -EINVAL
  const { words } = registers
  if (kind === PTRACE_SYSCALL_INFO_NONE) return -EINVAL
  const first = view.getBigInt64(DETAIL, true)
  if (kind === PTRACE_SYSCALL_INFO_EXIT) {
    const isError = view.getUint8(DETAIL + 8) !== 0
    words[Reg.rax] = BigInt.asUintN(64, isError ? BigInt.asIntN(32, first) : first) // an errno is an int
    return 0
  }
  if (first !== BigInt.asIntN(32, first)) return -ERANGE
  words[Reg.orig_rax] = BigInt.asUintN(64, first)
  if (first === NO_CALL) return 0 // arguments mean nothing then
  argumentsOf(isI386).forEach((register, index) => {
    words[register] = view.getBigUint64(DETAIL + 8 + index * 8, true)
  })
  return 0
}

const NO_CALL = -1n

/** The bytes that this stop fills. */
export const encodeSyscallInfo = ({ info, isI386, message, registers }: StoppedCall): Uint8Array => {
  const bytes = new Uint8Array(SYSCALL_INFO_SIZE)
  const view = new DataView(bytes.buffer)
  const { words } = registers
  const kind = kindOf(info, message)
  view.setUint8(0, kind)
  view.setUint32(4, isI386 ? AUDIT_ARCH_I386 : AUDIT_ARCH_X86_64, true)
  view.setBigUint64(8, words[Reg.rip]!, true)
  view.setBigUint64(16, words[Reg.rsp]!, true)
  switch (kind) {
    case PTRACE_SYSCALL_INFO_EXIT:
      view.setBigUint64(DETAIL, words[Reg.rax]!, true)
      view.setUint8(DETAIL + 8, isError(words[Reg.rax]!) ? 1 : 0)
      return bytes.subarray(0, EXIT_END)
    case PTRACE_SYSCALL_INFO_ENTRY:
    case PTRACE_SYSCALL_INFO_SECCOMP:
      view.setBigInt64(DETAIL, BigInt(registers.int(Reg.orig_rax)), true)
      argumentsOf(isI386).forEach((register, index) =>
        view.setBigUint64(DETAIL + 8 + index * 8, words[register]!, true)
      )
      if (kind === PTRACE_SYSCALL_INFO_ENTRY) return bytes.subarray(0, ENTRY_END)
      view.setUint32(ENTRY_END, Number(message & 0xffff_ffffn), true)
      return bytes.subarray(0, SECCOMP_END)
    default:
      return bytes.subarray(0, DETAIL)
  }
}
