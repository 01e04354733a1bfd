/**
 * The line discipline N_TTY, termios(3): what lies between the two ends of a pseudoterminal. Input is edited and cut
 * into lines, makes signals and is echoed; output has its newlines translated.
 *
 * Pure data and functions on bytes; who waits is the business of TtyPty. Atomic: every method.
 *
 * Differs from Linux: parity, case mapping and delays are not looked at.
 */
import { SIGINT, SIGQUIT, SIGTSTP } from "../Abi/Signal.ts"
import {
  ICANON,
  KernelTermios,
  TIOCPKT_DOSTOP,
  TIOCPKT_FLUSHREAD,
  TIOCPKT_FLUSHWRITE,
  TIOCPKT_NOSTOP,
  TIOCPKT_START,
  TIOCPKT_STOP,
  VMIN,
  VTIME
} from "../Abi/Termios.ts"

// c_iflag
const ISTRIP = 0o40
const INLCR = 0o100
const IGNCR = 0o200
const ICRNL = 0o400
const IXON = 0o2000
const IUTF8 = 0o40000
// c_oflag
const OPOST = 0o1
const ONLCR = 0o4
const OCRNL = 0o10
// c_cflag
const CSIZE = 0o60
const CS8 = 0o60
const CREAD = 0o200
const PARENB = 0o400
// c_lflag
const ISIG = 0o1
const ECHO = 0o10
const ECHOE = 0o20
const ECHOK = 0o40
const ECHONL = 0o100
const NOFLSH = 0o200
const ECHOCTL = 0o1000
const ECHOKE = 0o4000
const IEXTEN = 0o100000
// indices of c_cc
const VINTR = 0
const VQUIT = 1
const VERASE = 2
const VKILL = 3
const VEOF = 4
const VSTART = 8
const VSTOP = 9
const VSUSP = 10
const VEOL = 11
const VWERASE = 14
const VLNEXT = 15
const VEOL2 = 16

const NL = 10
const CR = 13
const DEL = 127
const BACKSPACE = [8, 32, 8]

/** Longest line being edited, and most bytes waiting: N_TTY_BUF_SIZE. */
const MAX_INPUT = 4096
/** Most bytes waiting for the master. */
const MAX_OUTPUT = 65_536

/** What a terminal starts with: tty_std_termios. */
const initialTermios = KernelTermios.encode({
  c_iflag: ICRNL | IXON,
  c_oflag: OPOST | ONLCR,
  c_cflag: 0o277, // 38400 baud, 8 bits, reads
  c_lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
  c_line: 0,
  c_cc: Uint8Array.of(3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0)
})

/** A line, or a piece of raw input, that can be read. */
interface Chunk {
  readonly bytes: Uint8Array
  offset: number
}

export class TtyDiscipline {
  /** `struct termios` as the kernel has it. Replace it by `setTermios`. */
  #raw: Uint8Array = initialTermios.slice()
  #termios = KernelTermios.decode(initialTermios)
  /** Finished lines; in raw mode whatever came. */
  #lines: Array<Chunk> = []
  /** The line being edited. */
  #editing: Array<number> = []
  #literalNext = false
  /** TIOCSLCKTRMIOS: bits and characters that cannot be changed. */
  locked: KernelTermios = KernelTermios.decode(new Uint8Array(KernelTermios.size))
  #stopped = false
  /** What a master in packet mode is yet to be told, TIOCPKT(2const): TIOCPKT_* bits. Collected only in that mode. */
  packetStatus = 0
  #packetMode = false
  /** Where the echo of what is being typed begins in the output. */
  #echoStart = 0
  /** For the master to read. */
  #output: Array<number> = []

  get termios(): Uint8Array {
    return this.#raw
  }

  /** The same, decoded. */
  get settings(): KernelTermios {
    return this.#termios
  }

  /** Output stopped by VSTOP or TCOOFF. */
  get stopped(): boolean {
    return this.#stopped
  }

  set stopped(stopped: boolean) {
    if (stopped === this.#stopped) return
    this.#stopped = stopped
    this.#report(stopped ? TIOCPKT_STOP : TIOCPKT_START, stopped ? TIOCPKT_START : TIOCPKT_STOP)
  }

  /** TIOCPKT: whether the master's reads begin with a byte that says what happened. */
  get packetMode(): boolean {
    return this.#packetMode
  }

  set packetMode(on: boolean) {
    if (on && !this.#packetMode) this.packetStatus = 0
    this.#packetMode = on
  }

  #report(bits: number, withdrawn = 0): void {
    if (this.#packetMode) this.packetStatus = (this.packetStatus & ~withdrawn) | bits
  }

  /** Whether the keys for flow control are the usual ones, which is all that a remote terminal can do by itself. */
  #usualFlowControl(): boolean {
    const { c_cc, c_iflag } = this.#termios
    return (c_iflag & IXON) !== 0 && c_cc[VSTART] === 17 && c_cc[VSTOP] === 19
  }

  /** TCSETS. Leaving canonical mode makes what is being edited readable. */
  setTermios(raw: Uint8Array): void {
    const wasCanonical = this.#has(ICANON)
    const wasUsual = this.#usualFlowControl()
    const asked = this.#withoutLocked(KernelTermios.decode(raw))
    // there is no line that could carry anything else
    const c_cflag = (asked.c_cflag & ~(CSIZE | PARENB)) | CS8 | CREAD
    this.#termios = { ...asked, c_cflag }
    this.#raw = KernelTermios.encode(this.#termios)
    const isUsual = this.#usualFlowControl()
    if (isUsual !== wasUsual) {
      this.#report(isUsual ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP, TIOCPKT_DOSTOP | TIOCPKT_NOSTOP)
    }
    if (wasCanonical && !this.#has(ICANON)) this.#finishLine()
    if ((this.#termios.c_iflag & IXON) === 0) this.stopped = false
  }

  #withoutLocked(asked: KernelTermios): KernelTermios {
    const { locked } = this
    const old = this.#termios
    const keep = (mask: number, was: number, now: number): number => ((was & mask) | (now & ~mask)) >>> 0
    return {
      c_iflag: keep(locked.c_iflag, old.c_iflag, asked.c_iflag),
      c_oflag: keep(locked.c_oflag, old.c_oflag, asked.c_oflag),
      c_cflag: keep(locked.c_cflag, old.c_cflag, asked.c_cflag),
      c_lflag: keep(locked.c_lflag, old.c_lflag, asked.c_lflag),
      c_line: locked.c_line !== 0 ? old.c_line : asked.c_line,
      c_cc: asked.c_cc.map((byte, index) => (locked.c_cc[index] !== 0 ? (old.c_cc[index] ?? 0) : byte))
    }
  }

  #has(localFlag: number): boolean {
    return (this.#termios.c_lflag & localFlag) !== 0
  }

  /** Whether `byte` is special character `index`, which a NUL disables. */
  #is(index: number, byte: number): boolean {
    return byte !== 0 && this.#termios.c_cc[index] === byte
  }

  // ---- input: from the master to the slave

  /** Bytes that the slave can read now. */
  get readable(): number {
    let sum = 0
    for (const { bytes, offset } of this.#lines) sum += bytes.length - offset
    return sum
  }

  /** Whether there is something to read: a line (an empty one is the end of file), or a byte in raw mode. */
  get hasInput(): boolean {
    return this.#lines.length > 0
  }

  /** Whether poll(2) finds it readable: in raw mode without VTIME only VMIN bytes count. */
  get isReady(): boolean {
    const { c_cc } = this.#termios
    return this.#has(ICANON) || c_cc[VTIME] !== 0 ? this.hasInput : this.readable >= Math.max(1, c_cc[VMIN] ?? 1)
  }

  /** In raw mode with VMIN and VTIME 0 a read does not wait for anything. */
  get readsNothing(): boolean {
    const { c_cc } = this.#termios
    return !this.#has(ICANON) && c_cc[VMIN] === 0 && c_cc[VTIME] === 0
  }

  /** Takes one line at most in canonical mode: the count, 0 for end of file. Only when `hasInput`. */
  read(into: Uint8Array): number {
    let done = 0
    while (this.#lines.length > 0) {
      const line = this.#lines[0]!
      const part = line.bytes.subarray(line.offset, line.offset + into.length - done)
      into.set(part, done)
      done += part.length
      line.offset += part.length
      if (line.offset === line.bytes.length) this.#lines.shift()
      if (this.#has(ICANON) || done === into.length) break
    }
    return done
  }

  /** Bytes that `input` would take now. */
  get room(): number {
    return Math.max(0, MAX_INPUT - this.readable - this.#editing.length)
  }

  /** What is typed: edits, echoes, finishes lines. `signal` is told of VINTR, VQUIT, VSUSP. The count taken. */
  input(bytes: Uint8Array, signal: (signo: number) => void): number {
    const raw: Array<number> = []
    let taken = 0
    this.#echoStart = this.#output.length
    for (const byte of bytes) {
      // A full line in canonical mode swallows bytes, so that it can still be ended; raw mode makes the writer wait.
      if (!this.#has(ICANON) && this.room - raw.length <= 0) break
      taken++
      this.#type(byte, raw, signal)
    }
    if (raw.length > 0) this.#lines.push({ bytes: Uint8Array.from(raw), offset: 0 })
    return taken
  }

  #type(typed: number, raw: Array<number>, signal: (signo: number) => void): void {
    const byte = this.#translate(typed)
    if (byte === undefined) return
    if (this.#literalNext) {
      this.#literalNext = false
      this.#keep(byte, raw)
    } else if (!this.#flowControl(byte) && !this.#makesSignal(byte, raw, signal)) {
      if (this.#has(ICANON)) this.#edit(byte)
      else this.#keep(byte, raw)
    }
  }

  #translate(typed: number): number | undefined {
    const { c_iflag } = this.#termios
    const byte = (c_iflag & ISTRIP) !== 0 ? typed & 0x7f : typed
    if (byte === CR) {
      if ((c_iflag & IGNCR) !== 0) return undefined
      return (c_iflag & ICRNL) !== 0 ? NL : CR
    }
    return byte === NL && (c_iflag & INLCR) !== 0 ? CR : byte
  }

  #flowControl(byte: number): boolean {
    if ((this.#termios.c_iflag & IXON) === 0) return false
    if (this.#is(VSTOP, byte)) this.stopped = true
    else if (this.#is(VSTART, byte)) this.stopped = false
    else return false
    return true
  }

  #makesSignal(byte: number, raw: Array<number>, signal: (signo: number) => void): boolean {
    if (!this.#has(ISIG)) return false
    const signo = this.#is(VINTR, byte)
      ? SIGINT
      : this.#is(VQUIT, byte)
        ? SIGQUIT
        : this.#is(VSUSP, byte)
          ? SIGTSTP
          : undefined
    if (signo === undefined) return false
    if (!this.#has(NOFLSH)) {
      raw.length = 0
      this.flushInput()
      // what is echoed in the same breath goes too; what the master could have read already stays
      this.#output.length = Math.min(this.#output.length, this.#echoStart)
      this.#report(TIOCPKT_FLUSHWRITE)
    }
    if ((this.#termios.c_iflag & IXON) !== 0) this.stopped = false
    this.#echo(byte)
    signal(signo)
    return true
  }

  /** Adds a byte to the line, or to raw input. */
  #keep(byte: number, raw: Array<number>): void {
    this.#echo(byte)
    if (!this.#has(ICANON)) raw.push(byte)
    else if (this.room > 1) this.#editing.push(byte)
  }

  #edit(byte: number): void {
    if (this.#is(VERASE, byte)) this.#erase(1)
    else if (this.#is(VKILL, byte)) this.#kill()
    else if (this.#has(IEXTEN) && this.#is(VWERASE, byte)) this.#erase(this.#lastWord())
    else if (this.#has(IEXTEN) && this.#is(VLNEXT, byte)) this.#expectLiteral()
    else if (this.#is(VEOF, byte)) this.#finishLine(true)
    else if (byte === NL || this.#is(VEOL, byte) || this.#is(VEOL2, byte)) {
      if (byte === NL && this.#has(ECHONL) && !this.#has(ECHO)) this.#put(NL)
      else this.#echo(byte)
      this.#editing.push(byte)
      this.#finishLine()
    } else this.#keep(byte, [])
  }

  /** VLNEXT: the next byte is taken as it is; a caret stands for it until it comes. */
  #expectLiteral(): void {
    this.#literalNext = true
    if (this.#has(ECHO) && this.#has(ECHOCTL)) this.#output.push(94, 8)
  }

  /** `evenEmpty`: an empty line is read as the end of file. */
  #finishLine(evenEmpty = false): void {
    if (this.#editing.length > 0 || evenEmpty) this.#lines.push({ bytes: Uint8Array.from(this.#editing), offset: 0 })
    this.#editing = []
  }

  #lastWord(): number {
    const isWord = (byte: number): boolean => byte !== 32 && byte !== 9
    let at = this.#editing.length
    while (at > 0 && !isWord(this.#editing[at - 1]!)) at--
    while (at > 0 && isWord(this.#editing[at - 1]!)) at--
    return this.#editing.length - at
  }

  /** Takes characters (UTF-8 ones whole, IUTF8) off the end of the line. */
  #erase(characters: number): void {
    for (let count = 0; count < characters && this.#editing.length > 0; count++) {
      let byte = this.#editing.pop()!
      while ((this.#termios.c_iflag & IUTF8) !== 0 && (byte & 0xc0) === 0x80 && this.#editing.length > 0) {
        byte = this.#editing.pop()!
      }
      if (!this.#has(ECHO)) continue
      if (!this.#has(ECHOE)) {
        this.#echo(this.#termios.c_cc[VERASE] ?? DEL)
        return
      }
      const columns = isControl(byte) && this.#has(ECHOCTL) ? 2 : 1
      for (let column = 0; column < columns; column++) this.#output.push(...BACKSPACE)
    }
  }

  #kill(): void {
    if (this.#has(ECHOK) && this.#has(ECHOKE) && this.#has(ECHOE)) {
      this.#erase(this.#editing.length)
      return
    }
    this.#editing = []
    this.#echo(this.#termios.c_cc[VKILL] ?? 0)
    if (this.#has(ECHOK)) this.#put(NL)
  }

  #echo(byte: number): void {
    if (!this.#has(ECHO)) return
    if (this.#has(ECHOCTL) && isControl(byte) && byte !== NL && byte !== 9) this.#output.push(94, byte ^ 64) // "^C"
    else this.#put(byte)
  }

  flushInput(): void {
    this.#lines = []
    this.#editing = []
    this.#report(TIOCPKT_FLUSHREAD)
  }

  // ---- output: from the slave to the master

  #put(byte: number): void {
    const { c_oflag } = this.#termios
    if ((c_oflag & OPOST) !== 0 && byte === NL && (c_oflag & ONLCR) !== 0) this.#output.push(CR, NL)
    else if ((c_oflag & OPOST) !== 0 && byte === CR && (c_oflag & OCRNL) !== 0) this.#output.push(NL)
    else this.#output.push(byte)
  }

  /** Whether the slave can write. */
  get hasRoom(): boolean {
    return !this.stopped && this.#output.length < MAX_OUTPUT
  }

  /** What the slave writes: the count taken, 0 when there is no room. */
  write(bytes: Uint8Array): number {
    let done = 0
    while (done < bytes.length && this.hasRoom) {
      this.#put(bytes[done]!)
      done++
    }
    return done
  }

  /** Bytes waiting for the master. */
  get pending(): number {
    return this.stopped ? 0 : this.#output.length
  }

  /** What the master reads: the count, 0 if there is nothing. */
  takeOutput(into: Uint8Array): number {
    const part = this.#output.splice(0, Math.min(into.length, this.pending))
    into.set(part)
    return part.length
  }

  flushOutput(): void {
    this.#output = []
    this.#report(TIOCPKT_FLUSHWRITE)
  }
}

const isControl = (byte: number): boolean => byte < 32 || byte === DEL
