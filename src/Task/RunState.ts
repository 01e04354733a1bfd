/**
 * What a task's fiber does next: plain data, never a closure, so that a stopped task can be saved and restored.
 *
 *     App ──syscall──▶ Syscall ──▶ App
 *      │ ──syscall, intercepted──▶ SyscallEnter ──▶ SyscallEntered ──▶ (Syscall) ──▶ SyscallLeave ──▶ SyscallLeft ──▶ App
 *      │ ──signal, traced──▶ SignalStop ──▶ App
 *      │ ──group-stop, traced──▶ TrapStop ──▶ App
 *      │ ──fault────▶ (signal)  ──▶ App
 *      │
 *      │ ──killed by a signal that dumps core──▶ CoreDump ──▶ Exit
 *      └──killed, exit──▶ Exit ──▶ (ExitStop) ──▶ Dead
 *
 * A stop (TaskStop.ts) does not change the state: the fiber waits before it executes it. What follows a ptrace-stop is a
 * state of its own.
 */
import type { SigInfo } from "../Abi/SigInfo.ts"

export type RunState =
  /** Deliver what is pending, then run the application. */
  | { readonly _tag: "App" }
  /** Finish the system call whose handler wanted to wait. */
  | { readonly _tag: "Syscall" }
  /** At the entry of a system call that a tracer, say, looks at first. */
  | { readonly _tag: "SyscallEnter" }
  /** The tracer has seen the entry: do the call, or what it has become. */
  | { readonly _tag: "SyscallEntered" }
  /** The tracer has seen the entry of a call that it emulates: skip the call. */
  | { readonly _tag: "SyscallEmulated" }
  /** A filter (seccomp(2)) wants the tracer to look. */
  | { readonly _tag: "SeccompEnter" }
  /** The tracer has looked: do the call, or what it has become. */
  | { readonly _tag: "SeccompEntered" }
  /** The call is done, its result, if it was not skipped, not yet in rax: report events, then the exit. */
  | { readonly _tag: "SyscallLeave"; readonly result: number | undefined }
  /** The tracer has seen the exit. */
  | { readonly _tag: "SyscallLeft" }
  /** The tracer has seen a signal: deliver it, or what it has become. */
  | { readonly _tag: "SignalStop"; readonly info: SigInfo; readonly from: SignalOwner }
  /** The tracer has seen a group-stop, or a stop that it asked for: the registers may say something else now. */
  | { readonly _tag: "TrapStop" }
  /** Write the process's core file, when all other threads are out of the way; then leave. */
  | { readonly _tag: "CoreDump" }
  /** Leave: release everything, become a zombie, tell the parent. */
  | { readonly _tag: "Exit" }
  /** The tracer has seen that the task is about to leave. */
  | { readonly _tag: "ExitStop" }
  /** Nothing any more. */
  | { readonly _tag: "Dead" }

/** Whether a signal was pending for one thread or for all. */
export type SignalOwner = "Thread" | "Group"

export const App: RunState = { _tag: "App" }
export const Syscall: RunState = { _tag: "Syscall" }
export const SyscallEnter: RunState = { _tag: "SyscallEnter" }
export const SyscallEntered: RunState = { _tag: "SyscallEntered" }
export const SyscallEmulated: RunState = { _tag: "SyscallEmulated" }
export const SeccompEnter: RunState = { _tag: "SeccompEnter" }
export const SeccompEntered: RunState = { _tag: "SeccompEntered" }
export const SyscallLeft: RunState = { _tag: "SyscallLeft" }
export const TrapStop: RunState = { _tag: "TrapStop" }
export const ExitStop: RunState = { _tag: "ExitStop" }
export const CoreDump: RunState = { _tag: "CoreDump" }
export const Exit: RunState = { _tag: "Exit" }
export const Dead: RunState = { _tag: "Dead" }
