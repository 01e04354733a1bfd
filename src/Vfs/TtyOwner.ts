/**
 * Who owns a terminal, as far as job control goes: the session whose controlling terminal it is, and that session's
 * foreground process group. The system call layer (SysTerminal) decides who may change it.
 */
export class TtyOwner {
  /** Session id; undefined while it is nobody's controlling terminal. Atomic. */
  session: number | undefined
  /** Process group id; 0 for none. Atomic. */
  foreground = 0
  /** The terminal is gone for good; `foreground` is who was in it then. Atomic. */
  hungUp = false

  /** Becomes the controlling terminal of a session, with a process group of it in the foreground. */
  adopt(session: number, processGroup: number): void {
    this.session = session
    this.foreground = processGroup
  }
}
