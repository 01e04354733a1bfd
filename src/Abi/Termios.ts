/**
 * ioctl(2) requests and structures of terminals, pipes and sockets, ioctl_tty(2).
 */
import * as Struct from "./Struct.ts"

export const TCGETS = 0x5401
export const TCSETS = 0x5402
export const TCSETSW = 0x5403
export const TCSETSF = 0x5404
export const TCGETA = 0x5405
export const TCSETA = 0x5406
export const TCSETAW = 0x5407
export const TCSETAF = 0x5408
export const TCSBRK = 0x5409
export const TCXONC = 0x540a
export const TCFLSH = 0x540b
export const TIOCEXCL = 0x540c
export const TIOCNXCL = 0x540d
export const TIOCSCTTY = 0x540e
export const TIOCGPGRP = 0x540f
export const TIOCSPGRP = 0x5410
export const TIOCOUTQ = 0x5411
export const TIOCSTI = 0x5412
export const TIOCGWINSZ = 0x5413
export const TIOCSWINSZ = 0x5414
export const FIONREAD = 0x541b
/** Bytes that a socket has sent and its peer has not read: TIOCOUTQ of a terminal. */
export const SIOCOUTQ = 0x5411
export const FIOSETOWN = 0x8901
export const SIOCSPGRP = 0x8902
export const FIOGETOWN = 0x8903
export const SIOCGPGRP = 0x8904
/** Whether a stream socket is at the mark of out-of-band data. */
export const SIOCATMARK = 0x8905
export const TIOCPKT = 0x5420
export const FIONBIO = 0x5421
export const TIOCNOTTY = 0x5422
export const TIOCSETD = 0x5423
export const TIOCGETD = 0x5424
export const TCSBRKP = 0x5425
export const TIOCGSID = 0x5429
export const TCGETS2 = 0x802c542a
export const TCSETS2 = 0x402c542b
export const TCSETSW2 = 0x402c542c
export const TCSETSF2 = 0x402c542d
export const TIOCGPTN = 0x80045430
export const TIOCSPTLCK = 0x40045431
export const TIOCSIG = 0x40045436
export const TIOCGPKT = 0x80045438
export const TIOCGPTLCK = 0x80045439
export const TIOCGEXCL = 0x80045440
export const TIOCGLCKTRMIOS = 0x5456
export const TIOCSLCKTRMIOS = 0x5457
export const TIOCGPTPEER = 0x5441
export const FIONCLEX = 0x5450
export const FIOCLEX = 0x5451
export const FIOASYNC = 0x5452
export const FIBMAP = 1
export const FIGETBSZ = 2
export const FIOQSIZE = 0x5460

export const IOCTL_NAMES = [
  ["TCGETS", TCGETS],
  ["TCSETS", TCSETS],
  ["TCSETSW", TCSETSW],
  ["TCSETSF", TCSETSF],
  ["TCGETA", TCGETA],
  ["TCSETA", TCSETA],
  ["TCSETAW", TCSETAW],
  ["TCSETAF", TCSETAF],
  ["TCSBRK", TCSBRK],
  ["TCXONC", TCXONC],
  ["TCFLSH", TCFLSH],
  ["TIOCEXCL", TIOCEXCL],
  ["TIOCNXCL", TIOCNXCL],
  ["TIOCSCTTY", TIOCSCTTY],
  ["TIOCGPGRP", TIOCGPGRP],
  ["TIOCSPGRP", TIOCSPGRP],
  ["TIOCOUTQ", TIOCOUTQ],
  ["TIOCSTI", TIOCSTI],
  ["TIOCGWINSZ", TIOCGWINSZ],
  ["TIOCSWINSZ", TIOCSWINSZ],
  ["FIONREAD", FIONREAD],
  ["TIOCPKT", TIOCPKT],
  ["TIOCNOTTY", TIOCNOTTY],
  ["TIOCSETD", TIOCSETD],
  ["FIONBIO", FIONBIO],
  ["TIOCGETD", TIOCGETD],
  ["TCSBRKP", TCSBRKP],
  ["TIOCGSID", TIOCGSID],
  ["TCGETS2", TCGETS2],
  ["TCSETS2", TCSETS2],
  ["TCSETSW2", TCSETSW2],
  ["TCSETSF2", TCSETSF2],
  ["TIOCGPTN", TIOCGPTN],
  ["TIOCSPTLCK", TIOCSPTLCK],
  ["TIOCSIG", TIOCSIG],
  ["TIOCGPKT", TIOCGPKT],
  ["TIOCGPTLCK", TIOCGPTLCK],
  ["TIOCGEXCL", TIOCGEXCL],
  ["TIOCGLCKTRMIOS", TIOCGLCKTRMIOS],
  ["TIOCSLCKTRMIOS", TIOCSLCKTRMIOS],
  ["TIOCGPTPEER", TIOCGPTPEER],
  ["FIONCLEX", FIONCLEX],
  ["FIOCLEX", FIOCLEX],
  ["FIOASYNC", FIOASYNC],
  ["FIBMAP", FIBMAP],
  ["FIGETBSZ", FIGETBSZ],
  ["FIOSETOWN", FIOSETOWN],
  ["SIOCSPGRP", SIOCSPGRP],
  ["FIOGETOWN", FIOGETOWN],
  ["SIOCGPGRP", SIOCGPGRP],
  ["FIOQSIZE", FIOQSIZE]
] as const

/** Of c_lflag: input comes in lines; a background process that writes is stopped. */
export const ICANON = 0o2
export const TOSTOP = 0o400
/** Bits of the first byte that a master in packet mode reads, TIOCPKT(2const). */
export const TIOCPKT_FLUSHREAD = 1
export const TIOCPKT_FLUSHWRITE = 2
export const TIOCPKT_STOP = 4
export const TIOCPKT_START = 8
export const TIOCPKT_NOSTOP = 16
export const TIOCPKT_DOSTOP = 32
/** Indices of c_cc. */
export const VTIME = 5
export const VMIN = 6

/** The kernel's `struct termios`, 36 bytes; not glibc's. */
export const KernelTermios = Struct.make("termios", {
  c_iflag: Struct.u32,
  c_oflag: Struct.u32,
  c_cflag: Struct.u32,
  c_lflag: Struct.u32,
  c_line: Struct.u8,
  c_cc: Struct.bytes(19)
})
export type KernelTermios = Struct.Type<typeof KernelTermios>

/** System V's `struct termio`, 18 bytes: the low halves of the flags, and eight characters. */
export const Termio = Struct.make("termio", {
  c_iflag: Struct.u16,
  c_oflag: Struct.u16,
  c_cflag: Struct.u16,
  c_lflag: Struct.u16,
  c_line: Struct.u8,
  c_cc: Struct.bytes(8)
})

/** `struct winsize`, 8 bytes. */
export const Winsize = Struct.make("winsize", {
  ws_row: Struct.u16,
  ws_col: Struct.u16,
  ws_xpixel: Struct.u16,
  ws_ypixel: Struct.u16
})

/** Of c_cflag: the speed, as a code; the code that says that the speed is told in bits per second. */
export const CBAUD = 0o10017
export const BOTHER = 0o10000
const SPEEDS = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400]
const HIGH_SPEEDS = [
  57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000,
  4000000
]

/** c_ispeed and c_ospeed of `struct termios2`, as bytes, for the code in `c_cflag`. */
export const speedsOf = (c_cflag: number): Uint8Array => {
  const code = c_cflag & CBAUD
  const speed = (code & BOTHER) === 0 ? SPEEDS[code] : HIGH_SPEEDS[(code & 0o17) - 1]
  return new Uint8Array(Uint32Array.of(speed ?? 0, speed ?? 0).buffer)
}
