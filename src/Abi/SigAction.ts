/**
 * Signal actions and alternate stacks as rt_sigaction(2) and sigaltstack(2) read and write them (x86-64).
 */
import * as Struct from "./Struct.ts"

/** sa_handler values that are not addresses. */
export const SIG_DFL = 0
export const SIG_IGN = 1

/** `struct kernel_sigaction`, 32 bytes. Not glibc's `struct sigaction`. */
export const SigAction = Struct.make("kernel_sigaction", {
  /** Address of the handler, or SIG_DFL / SIG_IGN. */
  sa_handler: Struct.ulong,
  /** SA_* bits: the low half of a long. The C library fills the other half with the sign, which means nothing. */
  sa_flags: Struct.u32,
  /** Address the handler returns to; x86-64 demands SA_RESTORER. */
  sa_restorer: Struct.ulong,
  /** Signals blocked while the handler runs. */
  sa_mask: Struct.u64
})
export type SigAction = Struct.Type<typeof SigAction>

/** `stack_t`. */
export const StackT = Struct.make("stack_t", {
  ss_sp: Struct.ulong,
  ss_flags: Struct.u32,
  ss_size: Struct.ulong
})
export type StackT = Struct.Type<typeof StackT>
