/**
 * wait(2): options, id types, and the status word.
 */

export const WNOHANG = 1
export const WUNTRACED = 2
export const WSTOPPED = 2
export const WEXITED = 4
export const WCONTINUED = 8
export const WNOWAIT = 0x0100_0000
export const __WNOTHREAD = 0x2000_0000
export const __WALL = 0x4000_0000
export const __WCLONE = 0x8000_0000

export const WAIT_NAMES: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  WNOHANG,
  WUNTRACED,
  WEXITED,
  WCONTINUED,
  WNOWAIT,
  __WNOTHREAD,
  __WALL,
  __WCLONE
})

export const P_ALL = 0
export const P_PID = 1
export const P_PGID = 2
export const P_PIDFD = 3

export const WAIT_ID_NAMES: ReadonlyArray<readonly [name: string, value: number]> = Object.entries({
  P_ALL,
  P_PID,
  P_PGID,
  P_PIDFD
})

/** How a thread group ended. */
export type ExitStatus =
  | { readonly _tag: "Exited"; readonly code: number }
  | { readonly _tag: "Signaled"; readonly signal: number; readonly coreDumped: boolean }

export const exited = (code: number): ExitStatus => ({ _tag: "Exited", code: code & 0xff })
export const signaled = (signal: number, coreDumped: boolean): ExitStatus => ({ _tag: "Signaled", signal, coreDumped })

/** The status word of wait4(2) for an ended process. */
export const waitStatus = (status: ExitStatus): number =>
  status._tag === "Exited" ? status.code << 8 : status.signal | (status.coreDumped ? 0x80 : 0)

/** The status word for a process stopped by `signal`. */
export const stoppedStatus = (signal: number): number => (signal << 8) | 0x7f

/** The status word for a process that was continued. */
export const CONTINUED_STATUS = 0xffff
