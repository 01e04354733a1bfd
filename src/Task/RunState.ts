/**
 * What a task's fiber does next: plain data, never a closure, so that a stopped task can be saved and restored.
 *
 *     App ──syscall──▶ Syscall ──▶ App
 *      │ ──fault────▶ (signal)  ──▶ App
 *      │
 *      └──killed, exit──▶ Exit ──▶ Dead
 *
 * A stop (TaskStop.ts) does not change the state: the fiber waits before it executes it.
 */
export type RunState =
  /** Deliver what is pending, then run the application. */
  | { readonly _tag: "App" }
  /** Finish the system call whose handler wanted to wait. */
  | { readonly _tag: "Syscall" }
  /** Leave: release everything, become a zombie, tell the parent. */
  | { readonly _tag: "Exit" }
  /** Nothing any more. */
  | { readonly _tag: "Dead" }

export const App: RunState = { _tag: "App" }
export const Syscall: RunState = { _tag: "Syscall" }
export const Exit: RunState = { _tag: "Exit" }
export const Dead: RunState = { _tag: "Dead" }
