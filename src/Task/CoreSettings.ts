/**
 * What becomes of core files, for the whole sandbox: /proc/sys/kernel/core_pattern and its relatives, core(5).
 */
import { EINVAL } from "../Abi/Errno.ts"

/** A pattern is cut to that, and so is what comes of it; bytes, one of them for the end. */
export const CORE_NAME_SIZE = 128

/** Atomic: every method. */
export class CoreSettings {
  #pattern = "core"
  /** /proc/sys/kernel/core_uses_pid. */
  usesPid = 0
  /** /proc/sys/fs/suid_dumpable: what becomes of a process's dumpable attribute that has changed its ids. */
  suidDumpable = 0

  get pattern(): string {
    return this.#pattern
  }

  /**
   * 0, or -EINVAL for a program that takes the core, or a socket. Differs from Linux: there is none to run outside of every
   * namespace.
   */
  setPattern(pattern: string): number {
    if (pattern.startsWith("|") || pattern.startsWith("@")) return -EINVAL
    this.#pattern = pattern.slice(0, CORE_NAME_SIZE - 1)
    return 0
  }

  /** Whether core files have a name at all. */
  get isOn(): boolean {
    return this.#pattern !== "" || this.usesPid !== 0
  }
}
