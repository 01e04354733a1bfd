/**
 * How a system call is declared: once. Number, name, argument shapes, support and handler in one value; dispatch, the
 * strace printer, fault-injection selectors, audit events and the table in the docs all read this declaration.
 *
 * A handler gets the task and its decoded arguments: an `int` is the low 32 bits of the register, as in Linux; an
 * address or size is a plain number. It returns a number (result or -errno) when it is done at once, and an Effect only
 * if it must wait.
 */
import type * as Effect from "effect/Effect"
import { argumentRegisters } from "../Abi/Registers.ts"
import { Rlimit } from "../Abi/Resource.ts"
import { SigAction, StackT } from "../Abi/SigAction.ts"
import { type SysName, sysno } from "../Abi/Sysno.ts"
import { ItimerSpec, ItimerVal, Timespec, Timeval } from "../Abi/Time.ts"
import type { CopyHint } from "../Platform/CopyHints.ts"
import type { Task } from "./Task.ts"

/** Result or -errno, now or later. ERESTART* codes (Abi/Errno.ts) say how an interrupted call ends. */
export type Result = number | Effect.Effect<number>

/** How a register becomes a value: C's `int`, `unsigned`, `long`, `unsigned long` (as numbers), or a bigint. */
export type Decoding = "int" | "uint" | "long" | "ulong" | "u64"

/** Names for the bits, or values, of an argument, in the order they are printed. */
export type NamedValues = ReadonlyArray<readonly [name: string, value: number]>

/** How strace shows an argument. Plain data: src/Syscalls/Strace.ts interprets it. */
export type Format =
  | { readonly _tag: "Decimal" }
  | { readonly _tag: "Hex" }
  | { readonly _tag: "Octal" }
  | { readonly _tag: "Pointer" }
  /** A pointer to a word of 32 bits that the call reads. */
  | { readonly _tag: "Word" }
  | { readonly _tag: "Fd" }
  /** A descriptor that may be AT_FDCWD. */
  | { readonly _tag: "DirFd" }
  /** A NUL-terminated string in guest memory. */
  | { readonly _tag: "String" }
  /** A NULL-terminated array of strings (argv). */
  | { readonly _tag: "StringArray" }
  /** Bytes going in, as many as argument `length` says. */
  | { readonly _tag: "BufferIn"; readonly length: number }
  /** Bytes coming out, as many as the call returned. */
  | { readonly _tag: "BufferOut" }
  | { readonly _tag: "Flags"; readonly names: NamedValues; readonly zero?: string }
  | { readonly _tag: "Enum"; readonly names: NamedValues }
  | { readonly _tag: "Signal" }
  | { readonly _tag: "SignalSet" }
  /** A structure that strace knows by name ("stat", "timespec", "iovec", …), read (`in`) before or (`out`) after the call. */
  | { readonly _tag: "Struct"; readonly name: string; readonly when: "in" | "out" | "both" }

/** One argument: its name in the man page, how it is decoded, how it is shown. */
export interface Argument<A extends number | bigint = number | bigint> {
  readonly name: string
  readonly decoding: Decoding
  readonly format: Format
  /** Only for the type of the decoded value. */
  readonly Value?: A
}

/** The decoded values of a list of arguments. */
export type Values<Args extends ReadonlyArray<Argument>> = {
  readonly [K in keyof Args]: Args[K] extends Argument<infer A> ? A : never
}

/** How much of the call there is: everything, or everything but what the note says. */
export type Support = "full" | { readonly partial: string } | { readonly ignored: string }

export interface Syscall {
  readonly name: SysName
  readonly nr: number
  readonly args: ReadonlyArray<Argument>
  readonly support: Support
  /** Type-erased: the dispatcher passes what `args` decodes. */
  readonly run: (task: Task, ...values: ReadonlyArray<never>) => Result
}

/** Calls by number; a hole is ENOSYS with one event. */
export type SyscallTable = ReadonlyArray<Syscall | undefined>

/**
 * Declares a system call.
 *
 * @example
 *   declare("lseek", [fd("fd"), long("offset"), oneOf("whence", SEEK_NAMES)], (task, fd, offset, whence) => …)
 */
export const declare = <const Args extends ReadonlyArray<Argument>>(
  name: SysName,
  args: Args,
  run: (task: Task, ...values: Values<Args>) => Result,
  support: Support = "full"
): Syscall => ({ name, nr: sysno[name], args, support, run: run as Syscall["run"] }) // erased here, restored by `args`

/** Bytes of structures that calls read whole. */
const STRUCT_SIZES: Readonly<Record<string, number>> = {
  epoll_event: 12,
  itimerspec: ItimerSpec.size,
  itimerval: ItimerVal.size,
  rlimit: Rlimit.size,
  sigaction: SigAction.size,
  sigset: 8,
  stack_t: StackT.size,
  timespec: Timespec.size,
  timeval: Timeval.size
}

/** How many bytes a call reads where an argument points to, if that is always the same, or none for NULL. */
const bytesRead = (format: Format): number | undefined => {
  if (format._tag === "Word") return 4
  return format._tag === "Struct" && format.when !== "out" ? STRUCT_SIZES[format.name] : undefined
}

/** What a call reads of what its arguments point to, as far as its declaration says so: the first string, buffer or structure. */
export const copyHint = (syscall: Syscall | undefined): CopyHint | undefined => {
  for (const [i, { format }] of (syscall?.args ?? []).entries()) {
    const pointer = argumentRegisters[i]!
    if (format._tag === "String") return { pointer, size: undefined }
    if (format._tag === "BufferIn") return { pointer, size: { register: argumentRegisters[format.length]! } }
    const bytes = bytesRead(format)
    if (bytes !== undefined) return { pointer, size: { bytes } }
  }
  return undefined
}

const argument =
  <A extends number | bigint>(decoding: Decoding, format: Format) =>
  (name: string): Argument<A> => ({ name, decoding, format })

export const int = argument<number>("int", { _tag: "Decimal" })
export const uint = argument<number>("uint", { _tag: "Decimal" })
export const long = argument<number>("long", { _tag: "Decimal" })
/** A size or count. Unsigned; exact up to 2^53, beyond that still too large for anything. */
export const size = argument<number>("ulong", { _tag: "Decimal" })
export const hex = argument<number>("ulong", { _tag: "Hex" })
/** A raw 64-bit value. */
export const u64 = argument<bigint>("u64", { _tag: "Hex" })
/** A guest address that the handler copies from or to, or merely keeps. */
export const address = argument<number>("ulong", { _tag: "Pointer" })
/** The address of a word of 32 bits, which the handler reads. */
export const wordAddress = argument<number>("ulong", { _tag: "Word" })
export const fd = argument<number>("int", { _tag: "Fd" })
export const dirFd = argument<number>("int", { _tag: "DirFd" })
export const pid = argument<number>("int", { _tag: "Decimal" })
export const mode = argument<number>("uint", { _tag: "Octal" })
export const signal = argument<number>("int", { _tag: "Signal" })
export const signalSet = argument<number>("ulong", { _tag: "SignalSet" })
/** The address of a path or other string. */
export const string = argument<number>("ulong", { _tag: "String" })
export const stringArray = argument<number>("ulong", { _tag: "StringArray" })
/** The address of bytes to be written; `length` is the index of the argument that counts them. */
export const bufferIn = (name: string, length: number): Argument<number> =>
  argument<number>("ulong", { _tag: "BufferIn", length })(name)
/** The address of a buffer to be filled. */
export const bufferOut = argument<number>("ulong", { _tag: "BufferOut" })
/** An `int` of flag bits. */
export const flags = (name: string, names: NamedValues, zero?: string): Argument<number> =>
  argument<number>("uint", zero === undefined ? { _tag: "Flags", names } : { _tag: "Flags", names, zero })(name)
/** A `long` of flag bits (clone, mmap). */
export const longFlags = (name: string, names: NamedValues, zero?: string): Argument<number> =>
  argument<number>("ulong", zero === undefined ? { _tag: "Flags", names } : { _tag: "Flags", names, zero })(name)
/** An `int` that takes one of several named values. */
export const oneOf = (name: string, names: NamedValues): Argument<number> =>
  argument<number>("int", { _tag: "Enum", names })(name)
/** The address of a structure that goes in, comes out, or both. */
export const struct = (name: string, type: string, when: "in" | "out" | "both"): Argument<number> =>
  argument<number>("ulong", { _tag: "Struct", name: type, when })(name)
