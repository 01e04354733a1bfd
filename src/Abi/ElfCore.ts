/**
 * What the notes of a core file hold, core(5), elf(5): `struct elf_prstatus` and `struct elf_prpsinfo` of sys/procfs.h.
 */
import { registersSize } from "./Registers.ts"
import * as Struct from "./Struct.ts"
import { Timeval } from "./Time.ts"

export const NT_PRSTATUS = 1
export const NT_PRFPREG = 2
export const NT_PRPSINFO = 3
export const NT_AUXV = 6
/** The I/O permission bitmap. */
export const NT_386_IOPERM = 0x201
export const NT_X86_XSTATE = 0x202
/** Where in an XSAVE image each component is. */
export const NT_X86_XSAVE_LAYOUT = 0x205
/** "FILE" and "SIGI". */
export const NT_FILE = 0x4649_4c45
export const NT_SIGINFO = 0x5349_4749

const elf_siginfo = { si_signo: Struct.i32, si_code: Struct.i32, si_errno: Struct.i32 }

export const ElfPrstatus = Struct.make("elf_prstatus", {
  ...elf_siginfo,
  pr_cursig: Struct.i16,
  pr_sigpend: Struct.u64,
  pr_sighold: Struct.u64,
  pr_pid: Struct.i32,
  pr_ppid: Struct.i32,
  pr_pgrp: Struct.i32,
  pr_sid: Struct.i32,
  pr_utime: Timeval,
  pr_stime: Timeval,
  pr_cutime: Timeval,
  pr_cstime: Timeval,
  pr_reg: Struct.bytes(registersSize),
  pr_fpvalid: Struct.i32
})

export const ElfPrpsinfo = Struct.make("elf_prpsinfo", {
  pr_state: Struct.u8,
  pr_sname: Struct.u8,
  pr_zomb: Struct.u8,
  pr_nice: Struct.u8,
  pr_flag: Struct.u64,
  pr_uid: Struct.u32,
  pr_gid: Struct.u32,
  pr_pid: Struct.i32,
  pr_ppid: Struct.i32,
  pr_pgrp: Struct.i32,
  pr_sid: Struct.i32,
  pr_fname: Struct.bytes(16),
  pr_psargs: Struct.bytes(80)
})

/** `struct x86_xfeat_component`: one component of NT_X86_XSAVE_LAYOUT. */
export const XfeatComponent = Struct.make("x86_xfeat_component", {
  type: Struct.u32,
  size: Struct.u32,
  offset: Struct.u32,
  flags: Struct.u32
})
