/**
 * Running application code: the one service above which nothing knows how a guest is run.
 *
 * A *context* is one guest thread (one host thread in a stub); an *address space* is one guest memory (one stub
 * process). `PlatformContext.switch` runs the thread until it makes a system call, faults, or is interrupted. The
 * kernel answers most system calls inside `SyscallHandler`, synchronously, without waking the task's fiber; only the
 * rest end the switch.
 *
 * Implementations are Layers: `SystrapPlatform`, `PtracePlatform`, `SimulatedPlatform`.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Elf64Ehdr, Elf64Phdr } from "../Abi/Elf.ts"
import type { Registers } from "../Abi/Registers.ts"

/** Which platform is to run the guests. "auto": systrap if it starts here, else ptrace. */
export const PLATFORM_CHOICES = ["auto", "ptrace", "systrap"] as const
export type PlatformChoice = (typeof PLATFORM_CHOICES)[number]

/** The host refused something the platform cannot do without, or a stub ended on its own. Ends the sandbox. */
export class PlatformFailed extends Data.TaggedError("PlatformFailed")<{
  /** What was attempted, as a phrase: "start the tracer thread". */
  readonly operation: string
  /** Host errno, positive; 0 when there is none. */
  readonly errno: number
  /** One line: the cause and what to do. */
  readonly detail: string
}> {
  override get message(): string {
    return `${this.operation}: ${this.detail}`
  }
}

/** How a fault tried to use memory; "unknown" where the platform cannot tell. */
export type Access = "read" | "write" | "execute" | "unknown"

/** The thread stopped at a system call. Its number is in orig_rax; rip is past the instruction; rax is not yet set. */
export interface SyscallOutcome {
  readonly _tag: "Syscall"
}

/** The thread raised a synchronous signal (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP). */
export interface FaultOutcome {
  readonly _tag: "Fault"
  readonly signal: number
  /** si_code, e.g. SEGV_MAPERR. */
  readonly code: number
  /** si_addr. */
  readonly address: bigint
  readonly access: Access
}

/** The thread is gone from the host without the kernel asking for it: treat as SIGKILL. */
export interface KilledOutcome {
  readonly _tag: "Killed"
}

/**
 * Why a switch ended. That it was *interrupted* is not among them: an interrupt is the interruption of the fiber that
 * runs the switch. The platform then stops the thread. An event that raced with it is undone, so that the registers are
 * those before the system call or the faulting instruction and the next switch comes upon it again; what can't happen
 * twice (a trap) is kept and ends the next switch.
 */
export type SwitchOutcome = SyscallOutcome | FaultOutcome | KilledOutcome

/**
 * Answers a system call synchronously if it can. Called by the platform's pump with the thread stopped and its
 * registers current. `true`: the result is in rax and the thread goes on at once. `false`: the switch ends with a
 * `SyscallOutcome`. Never throws; never suspends.
 */
export type SyscallHandler = () => boolean

/**
 * The debug registers (0 to 7) of a stopped thread, as ptrace(2) shows them. What they catch ends a switch as a fault:
 * SIGTRAP, TRAP_HWBKPT. A new thread has none set.
 */
export interface DebugRegisters {
  /** The value, or -errno. */
  readonly read: (index: number) => bigint | number
  /** 0 or -errno: the host refuses what must not be watched. */
  readonly write: (index: number, value: bigint) => number
}

/** What a thread has used. The times are nanoseconds and never run backwards; together they are its CPU time. */
export interface ThreadUsage {
  readonly user: bigint
  readonly system: bigint
  /** Page faults answered without input, and with. */
  readonly minorFaults: number
  readonly majorFaults: number
  /** Times that the host took the processor away from it. */
  readonly involuntarySwitches: number
}

/** The usage of a thread of which only the CPU time is known: it is the user's. */
export const unsampled = (cpuTime: bigint): ThreadUsage => ({
  user: cpuTime,
  system: 0n,
  minorFaults: 0,
  majorFaults: 0,
  involuntarySwitches: 0
})

/** One guest thread. */
export interface PlatformContext {
  /** The address space the thread runs in. */
  readonly addressSpace: AddressSpace
  /** Current while the thread is stopped, that is, at all times outside `switch`. Changes apply at the next switch. */
  readonly registers: Registers
  /**
   * Runs the thread until it needs the kernel. Interruptible: on interruption the thread is stopped before the
   * interruption completes, and its registers are current again.
   * Owner: the task's fiber (through the child fiber that carries the wait).
   */
  readonly switch: (handler: SyscallHandler) => Effect.Effect<SwitchOutcome, PlatformFailed>
  /**
   * Of the call that the thread has just made: its number, if it was made as 32-bit programs do (int $0x80, or from a 32-bit
   * segment); orig_rax says -1 then. Absent where no call can be made so.
   */
  readonly i386Call?: () => number | undefined
  /**
   * `switch` where the platform runs guests on the kernel's own thread, so that nothing can interrupt one; undefined when others
   * must get their turn first, or the call waits: then `switch` goes on with it. Spares each switch a fiber.
   */
  readonly switchNow?: (handler: SyscallHandler) => SwitchOutcome | undefined
  /**
   * A handler that answers `false` may say that the call waits, by `park`, if `mayPark`: then the switch does not end, the thread
   * waits in it. `retry` has another handler answer in the first one's place, while the switch lasts; that one may park again.
   * Absent where a wait is always an end of the switch.
   */
  readonly mayPark?: () => boolean
  readonly park?: () => void
  readonly retry?: (handler: SyscallHandler) => void
  /**
   * While a handler runs: the word at `address` as it was when the call had been made, if the thread has looked. Absent where
   * threads never do.
   */
  readonly glimpse?: (address: number) => number | undefined
  /** The XSAVE image (standard format, as PTRACE_GETREGSET NT_X86_XSTATE gives it). A fresh copy. */
  readonly readExtendedState: Effect.Effect<Uint8Array, PlatformFailed>
  /** Replaces the XSAVE image; the caller has validated its header. */
  readonly writeExtendedState: (image: Uint8Array) => Effect.Effect<void, PlatformFailed>
  /**
   * While a handler runs: copies out a signal handler's frame when the thread goes on, with the thread's extended state at
   * `stateOffset` (zeros in `frame`, but for the area of software), after which the thread has the initial one. True, and all of
   * that counts as done; false if the thread can't: then `extendedStateNow` can, or `readExtendedState`. The caller knows that
   * the memory is writable. Absent where threads never can.
   */
  readonly pushFrame?: (address: number, frame: Uint8Array, stateOffset: number) => boolean
  /** Whether `pushFrame` would, for a frame of `length` bytes at `address`. */
  readonly mayPushFrame?: (address: number, length: number) => boolean
  /** As `readExtendedState`, if it can be had at once; not a copy: the next one, of any thread, may take its place. */
  readonly extendedStateNow: () => Uint8Array | undefined
  /** As `writeExtendedState`, if that can be done at once; false, and nothing done, if not. */
  readonly setExtendedStateNow: (image: Uint8Array) => boolean
  /**
   * A new thread whose registers, segment bases and extended state equal this one's: in the same address space
   * (`"share"`), or in a copy-on-write copy of it (`"copy"`). The new thread is stopped.
   */
  readonly clone: (addressSpace: "share" | "copy") => Effect.Effect<PlatformContext, PlatformFailed>
  /** From now on the thread's reading the time-stamp counter is a fault, or again is not: prctl(PR_SET_TSC). */
  readonly trapCounter?: (traps: boolean) => Effect.Effect<void, PlatformFailed>
  /**
   * The kernel will read the 8 bytes at `address` whenever a signal is delivered: from now on the thread copies them in
   * beforehand. Absent where it can't.
   */
  readonly watch?: (address: number) => void
  /** Absent where the platform cannot give guests the processor's debug registers. */
  readonly debugRegisters?: DebugRegisters
  /** CPU time the thread has used so far, nanoseconds. */
  readonly cpuTime: () => bigint
  /** What the thread has used so far. Dearer than `cpuTime`. */
  readonly usage: () => ThreadUsage
  /**
   * Ends the thread; the last thread of an address space ends that too, maybe a moment after this is done. Idempotent,
   * uninterruptible.
   */
  readonly release: Effect.Effect<void>
}

/** What backs a mapping: pages of zeros, or a host file (`fd` belongs to the sentry) from a byte offset on. */
export type Backing = { readonly fd: number; readonly offset: number } | undefined

/** One change to an address space, as mmap(2), munmap(2), mprotect(2), mremap(2), madvise(2), msync(2) would make it. */
export type MappingChange =
  | {
      readonly _tag: "Map"
      readonly address: number
      readonly length: number
      /** PROT_* bits. */
      readonly protection: number
      readonly shared: boolean
      readonly backing: Backing
      /** Further host MAP_* bits to pass on: MAP_GROWSDOWN never, MAP_POPULATE, MAP_NORESERVE, MAP_LOCKED ignored. */
      readonly populate: boolean
    }
  | { readonly _tag: "Unmap"; readonly address: number; readonly length: number }
  | { readonly _tag: "Protect"; readonly address: number; readonly length: number; readonly protection: number }
  /** Moves or resizes; the destination is free (fixed), chosen by the kernel's VMA list. */
  | {
      readonly _tag: "Remap"
      readonly address: number
      readonly oldLength: number
      readonly newLength: number
      readonly newAddress: number
      /** Leave the old range mapped (MREMAP_DONTUNMAP). */
      readonly keepOld: boolean
    }
  | { readonly _tag: "Advise"; readonly address: number; readonly length: number; readonly advice: number }
  | { readonly _tag: "Synchronize"; readonly address: number; readonly length: number; readonly flags: number }

/** Told of pages that are in memory, or were put out of it: nobody has written to those that only a file is behind. */
export type PresentRun = (start: number, end: number, isAnonymous: boolean) => void

/** KiB. */
export interface ResidentSet {
  readonly current: number
  readonly peak: number
}

/** One guest memory. The kernel's VMA list (src/Memory) decides *what* is mapped; this makes it so. */
export interface AddressSpace {
  /**
   * Applies changes in order, stopping at the first that fails. 0, or -errno of the failing one; addresses are always
   * fixed. Needs one stopped thread in the address space, which the caller of a system call always is.
   */
  readonly change: (changes: ReadonlyArray<MappingChange>) => Effect.Effect<number, PlatformFailed>
  /** Copies guest memory in. The number of bytes copied: short at the first byte that is not readable, 0 if none. */
  readonly read: (address: number, into: Uint8Array) => number
  /** As `read`, of memory as it is at this moment, not as it has been copied in before. Absent where that is the same. */
  readonly readNow?: (address: number, into: Uint8Array) => number
  /** Copies out to guest memory, respecting page protections. The number of bytes copied, short at the first fault. */
  readonly write: (address: number, from: Uint8Array) => number
  /**
   * While a handler runs: what the platform has copied in beforehand (CopyHints) from `address` on, into `into`, and how many
   * bytes that is. Absent where it never does.
   */
  readonly prefetched?: (address: number, into: Uint8Array) => number
  /**
   * Where to put `length` bytes that the thread whose call is being answered is to write to `address` when it goes on, in memory
   * that guest threads can change meanwhile; undefined if it can't. `send` then says how many there are, and how many of them, the
   * first ones, have been written already: all of it counts as written. The caller knows that the memory is writable, and writes
   * nothing else in between. Absent where threads can't.
   */
  readonly outgoing?: (address: number, length: number) => Uint8Array | undefined
  readonly send?: (address: number, length: number, skipped: number) => void
  /** Does now what is to be written later: others are about to be told that it has been. */
  readonly settle?: () => void
  /**
   * While a handler runs: all `length` bytes from `address` on as they have been copied in beforehand, where guest threads can
   * change them meanwhile; undefined if they haven't.
   */
  readonly incoming?: (address: number, length: number) => Uint8Array | undefined
  /**
   * Looks for pages that are there, between two page addresses, and tells `found` of each run of them: whether a file is
   * behind them too. Not for long: gives back how far it has looked, or -errno. Absent where the platform can't tell.
   */
  readonly presentPages?: (start: number, end: number, found: PresentRun) => number
  /**
   * Whether the host has taken it away with its process (it was out of memory, say): then nothing can be copied, and the
   * next switch tells. Absent where that can't be.
   */
  readonly isGone?: () => boolean
  /** How much of it is in the host's memory now, and was at most, KiB. */
  readonly residentSet: () => ResidentSet
  /**
   * Puts `desired` in place of `expected` in a word of 32 bits, if it holds that, atomically towards guest threads that
   * run: what the word held, or -EFAULT if it cannot be written or is not aligned. Needs a stopped thread in the address
   * space. Absent where no guest thread runs while the kernel does.
   */
  readonly compareExchange?: (address: number, expected: number, desired: number) => number
  /**
   * Puts `((old & mask) ^ flip) + sum` in place of the old value of a word, with the same guarantees: the old value, or
   * -EFAULT, or -EAGAIN if the guest changed it all the while.
   */
  readonly updateWord?: (address: number, mask: number, flip: number, sum: number) => number
  /**
   * A thread of it is traced, and has stopped: from now on the program's code is to be what the program says. Told at each
   * stop, since it may have to wait until no thread runs. Absent where the platform never changes any.
   */
  readonly keepCode?: () => void
  /** As `write`, also into pages the guest cannot write (ptrace POKE, breakpoints). */
  readonly writeForced: (address: number, from: Uint8Array) => number
  /** As `read`, also from pages the guest cannot read (ptrace PEEK, /proc/pid/mem). */
  readonly readForced: (address: number, into: Uint8Array) => number
}

/**
 * Recognises an executable file of the platform's own, besides ELF, by its first bytes: the ELF headers of the program
 * that it stands for, or undefined. The segments of such a program must need nothing of the file (`p_filesz` 0).
 */
export type BinaryFormat = (
  head: Uint8Array
) => { readonly header: Elf64Ehdr; readonly programHeaders: ReadonlyArray<Elf64Phdr> } | undefined

/** Runs guests. */
export class Platform extends Context.Service<
  Platform,
  {
    /** "ptrace", "systrap", "simulated". */
    readonly name: string
    /** First byte that a guest can never map: the stub page starts there. */
    readonly taskSize: number
    /** Bytes of the XSAVE image the host CPU uses, the components (XCR0) in it, and the bits of MXCSR that it loads. */
    readonly extendedState: { readonly size: number; readonly features: bigint; readonly mxcsrMask: number }
    /** A fresh, empty address space with one stopped thread in it, extended state as after execve. */
    readonly makeContext: Effect.Effect<PlatformContext, PlatformFailed>
    /**
     * Every guest thread that runs passes through a full memory barrier before this returns. Absent where the host cannot
     * do that.
     */
    readonly memoryBarrier?: (() => void) | undefined
    /**
     * Whether guests can read the processor's time-stamp counter or fault when they try (`PlatformContext.trapCounter` is
     * for the former). Absent where no machine code runs.
     */
    readonly counter?: "native" | "trapped"
    /** One thread runs at a time, from one event to the next. */
    readonly serial?: boolean
    /** Programs that only this platform can run. */
    readonly binaryFormat?: BinaryFormat
  }
>()("effect-sentry/Platform/Platform") {}

/** The Scope in which a platform's Layer lives: closing it ends every stub and the native thread. */
export type PlatformScope = Scope.Scope
