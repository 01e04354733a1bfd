/**
 * Pseudoterminals, pty(7), pts(4): the master that a terminal emulator holds and the slave that programs run on, with
 * the line discipline between them.
 *
 * Atomic: every method.
 */
import { CAP_SYS_ADMIN } from "../Abi/Capability.ts"
import { EAGAIN, EBUSY, EFAULT, EINVAL, EIO, ENOTTY } from "../Abi/Errno.ts"
import { SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGWINCH } from "../Abi/Signal.ts"
import { POLLERR, POLLHUP, POLLPRI, READABLE, WRITABLE } from "../Abi/Poll.ts"
import type * as Struct from "../Abi/Struct.ts"
import * as T from "../Abi/Termios.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { WaitQueue } from "../Sync/WaitQueue.ts"
import { hasCapability } from "./Credentials.ts"
import { DeviceDescription } from "./DeviceMemory.ts"
import type { Inode, OpenRequest } from "./Inode.ts"
import type { OpenFileDescription } from "./OpenFileDescription.ts"
import { TtyDiscipline } from "./TtyDiscipline.ts"
import { TtyOwner } from "./TtyOwner.ts"

/** Sends a signal to every process of a process group, or to a session's leader. */
export interface TtySignals {
  readonly toGroup: (processGroup: number, signo: number) => void
  readonly toLeader: (session: number, signo: number) => void
}

const TERMIOS_SIZE = T.KernelTermios.size
/** `struct termios2`: the speeds follow. */
const TERMIOS2_SIZE = 44
const WINSIZE_SIZE = T.Winsize.size

const GETS = new Map([
  [T.TCGETS, TERMIOS_SIZE],
  [T.TCGETS2, TERMIOS2_SIZE]
])
const SETS = new Map([
  [T.TCSETS, TERMIOS_SIZE],
  [T.TCSETSW, TERMIOS_SIZE],
  [T.TCSETSF, TERMIOS_SIZE],
  [T.TCSETS2, TERMIOS2_SIZE],
  [T.TCSETSW2, TERMIOS2_SIZE],
  [T.TCSETSF2, TERMIOS2_SIZE]
])
const FLUSHES = new Set([T.TCSETSF, T.TCSETSF2, T.TCSETAF])

const toTermio = (settings: T.KernelTermios): Uint8Array =>
  T.Termio.encode({
    c_iflag: settings.c_iflag & 0xffff,
    c_oflag: settings.c_oflag & 0xffff,
    c_cflag: settings.c_cflag & 0xffff,
    c_lflag: settings.c_lflag & 0xffff,
    c_line: settings.c_line,
    c_cc: settings.c_cc.slice(0, 8)
  })

const withTermio = (settings: T.KernelTermios, low: Struct.Type<typeof T.Termio>): T.KernelTermios => {
  const half = (old: number, now: number): number => ((old & ~0xffff) | now) >>> 0
  const c_cc = settings.c_cc.slice()
  c_cc.set(low.c_cc)
  return {
    c_iflag: half(settings.c_iflag, low.c_iflag),
    c_oflag: half(settings.c_oflag, low.c_oflag),
    c_cflag: half(settings.c_cflag, low.c_cflag),
    c_lflag: half(settings.c_lflag, low.c_lflag),
    c_line: low.c_line,
    c_cc
  }
}

/** One pseudoterminal: what both ends share. */
export class Pty {
  readonly index: number
  readonly discipline = new TtyDiscipline()
  readonly owner = new TtyOwner()
  readonly masterWaiters = new WaitQueue()
  readonly slaveWaiters = new WaitQueue()
  readonly #signals: TtySignals
  /** Runs when the master closes: the name goes. */
  readonly #onGone: () => void
  #windowSize = new Uint8Array(WINSIZE_SIZE)
  /** c_ispeed and c_ospeed of `struct termios2`: as bytes. Nothing depends on them. */
  #speeds = T.speedsOf(this.discipline.settings.c_cflag)
  /** TIOCSPTLCK: until unlocked the slave cannot be opened. */
  locked = true
  /** TIOCEXCL: nobody else may open the slave. */
  exclusive = false
  /** The master is closed. */
  hungUp = false
  slaves = 0
  /** The slave was open and is no more: the master reads EIO. */
  slaveGone = false

  constructor(index: number, signals: TtySignals, onGone: () => void) {
    this.index = index
    this.#signals = signals
    this.#onGone = onGone
  }

  readonly #signalForeground = (signo: number): void => {
    if (this.owner.session !== undefined) this.#signals.toGroup(this.owner.foreground, signo)
  }

  /** The master writes what is typed. */
  type(bytes: Uint8Array): number {
    const count = this.discipline.input(bytes, this.#signalForeground)
    if (count > 0) {
      if (this.discipline.hasInput) this.slaveWaiters.notify(READABLE)
      if (this.discipline.pending > 0) this.masterWaiters.notify(READABLE)
      this.#tellMaster()
      if (this.discipline.hasRoom) this.slaveWaiters.notify(WRITABLE)
    }
    return count
  }

  /** In packet mode the master is told of what happened. */
  #tellMaster(): void {
    if (this.discipline.packetStatus !== 0) this.masterWaiters.notify(READABLE | POLLPRI)
  }

  /** The master is closed for good. The session's leader is told; the foreground group will be, when the leader ends. */
  hangUp(): void {
    this.hungUp = true
    this.#onGone()
    this.slaveWaiters.notify(READABLE | WRITABLE | POLLHUP | POLLERR)
    const { session } = this.owner
    this.owner.hungUp = true
    this.owner.session = undefined
    if (session === undefined) return
    this.#signals.toLeader(session, SIGHUP)
    this.#signals.toLeader(session, SIGCONT)
  }

  closeSlave(): void {
    this.slaves--
    if (this.slaves > 0) return
    this.slaveGone = true
    this.masterWaiters.notify(READABLE | WRITABLE | POLLHUP)
  }

  /** The requests that mean the same at both ends. */
  ioctl(request: number, argument: number, memory: UserMemory): number {
    const gets = GETS.get(request)
    if (gets !== undefined) {
      const raw = new Uint8Array(gets)
      raw.set(this.discipline.termios)
      if (gets === TERMIOS2_SIZE) raw.set(this.#speeds, TERMIOS_SIZE)
      return memory.copyOut(argument, raw)
    }
    const sets = SETS.get(request)
    if (sets !== undefined) return this.#setTermios(request, argument, new Uint8Array(sets), memory)
    switch (request) {
      case T.TCGETA:
        return memory.copyOut(argument, toTermio(this.discipline.settings))
      case T.TCSETA:
      case T.TCSETAW:
      case T.TCSETAF:
        return this.#setTermio(request, argument, memory)
      case T.TIOCGLCKTRMIOS:
        return memory.copyOut(argument, T.KernelTermios.encode(this.discipline.locked))
      case T.TIOCGWINSZ:
        return memory.copyOut(argument, this.#windowSize)
      case T.TIOCSWINSZ:
        return this.#resize(argument, memory)
      case T.TCFLSH:
        return this.#flush(argument)
      case T.TCXONC:
        return this.#flow(argument)
      case T.TCSBRK:
      case T.TCSBRKP:
        return 0
      case T.TIOCGETD:
        return memory.writeU32(argument, 0)
      case T.TIOCSETD: {
        const wanted = memory.readU32(argument)
        return wanted > 0 ? -EINVAL : wanted // N_TTY is all there is
      }
      case T.TIOCEXCL:
      case T.TIOCNXCL:
        this.exclusive = request === T.TIOCEXCL
        return 0
      case T.TIOCGEXCL:
        return memory.writeU32(argument, this.exclusive ? 1 : 0)
      default:
        return -ENOTTY
    }
  }

  /** TIOCSIG: the master sends what a key would. */
  sendSignal(signo: number): number {
    if (signo !== SIGINT && signo !== SIGQUIT && signo !== SIGTSTP) return -EINVAL
    this.#signalForeground(signo)
    return 0
  }

  #setTermios(request: number, argument: number, raw: Uint8Array, memory: UserMemory): number {
    if (memory.copyIn(argument, raw) < 0) return -EFAULT
    return this.#change(request, raw)
  }

  /** The old calls, which change the low halves only. */
  #setTermio(request: number, argument: number, memory: UserMemory): number {
    const raw = new Uint8Array(T.Termio.size)
    if (memory.copyIn(argument, raw) < 0) return -EFAULT
    return this.#change(request, T.KernelTermios.encode(withTermio(this.discipline.settings, T.Termio.decode(raw))))
  }

  /** TIOCSLCKTRMIOS: what is set here nobody can change. For the privileged. */
  lock(argument: number, memory: UserMemory): number {
    const raw = new Uint8Array(TERMIOS_SIZE)
    if (memory.copyIn(argument, raw) < 0) return -EFAULT
    this.discipline.locked = T.KernelTermios.decode(raw)
    return 0
  }

  #change(request: number, raw: Uint8Array): number {
    if (FLUSHES.has(request)) this.discipline.flushInput()
    this.discipline.setTermios(raw)
    const bits = this.discipline.settings.c_cflag
    this.#speeds =
      raw.length === TERMIOS2_SIZE && (bits & T.CBAUD) === T.BOTHER ? raw.slice(TERMIOS_SIZE) : T.speedsOf(bits)
    if (this.discipline.hasInput) this.slaveWaiters.notify(READABLE)
    this.#tellMaster()
    return 0
  }

  #resize(argument: number, memory: UserMemory): number {
    const size = new Uint8Array(WINSIZE_SIZE)
    if (memory.copyIn(argument, size) < 0) return -EFAULT
    const same = size.every((byte, at) => byte === this.#windowSize[at])
    this.#windowSize = size
    if (!same) this.#signalForeground(SIGWINCH)
    return 0
  }

  #flush(queue: number): number {
    if (queue > 2) return -EINVAL
    if (queue !== 1) this.discipline.flushInput()
    if (queue !== 0) this.discipline.flushOutput()
    this.masterWaiters.notify(WRITABLE)
    this.slaveWaiters.notify(WRITABLE)
    this.#tellMaster()
    return 0
  }

  #flow(action: number): number {
    if (action > 3) return -EINVAL
    if (action < 2) this.discipline.stopped = action === 0
    if (action === 1) {
      this.slaveWaiters.notify(WRITABLE)
      this.masterWaiters.notify(READABLE)
    }
    this.#tellMaster()
    return 0
  }
}

/** The end that a terminal emulator holds: an open /dev/ptmx. */
export class PtyMaster extends DeviceDescription {
  readonly pty: Pty

  constructor(pty: Pty, inode: Inode, request: OpenRequest) {
    super(inode, request, pty.masterWaiters)
    this.pty = pty
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override get pollable(): boolean {
    return true
  }

  override get isStream(): boolean {
    return true
  }

  override get tty(): TtyOwner {
    return this.pty.owner
  }

  override read(into: Uint8Array): number {
    const { discipline, slaveWaiters, slaveGone } = this.pty
    if (into.length === 0) return 0
    if (discipline.packetMode && discipline.packetStatus !== 0) {
      into[0] = discipline.packetStatus
      discipline.packetStatus = 0
      return 1
    }
    const header = discipline.packetMode ? 1 : 0
    const count = discipline.takeOutput(into.subarray(header))
    if (count === 0) return slaveGone ? -EIO : -EAGAIN
    if (header === 1) into[0] = 0 // TIOCPKT_DATA
    slaveWaiters.notify(WRITABLE)
    return header + count
  }

  override write(from: Uint8Array): number {
    if (from.length === 0) return 0
    const count = this.pty.type(from)
    return count === 0 ? -EAGAIN : count
  }

  override readiness(): number {
    const { discipline, slaveGone } = this.pty
    return (
      (discipline.pending > 0 ? READABLE : 0) |
      (discipline.packetMode && discipline.packetStatus !== 0 ? READABLE | POLLPRI : 0) |
      (slaveGone ? POLLHUP : 0) |
      (discipline.room > 0 || slaveGone ? WRITABLE : 0)
    )
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    switch (request) {
      case T.TIOCGPTN:
        return memory.writeU32(argument, this.pty.index)
      case T.TIOCSPTLCK: {
        const value = memory.readU32(argument)
        if (value < 0) return -EFAULT
        this.pty.locked = value !== 0
        return 0
      }
      case T.TIOCGPTLCK:
        return memory.writeU32(argument, this.pty.locked ? 1 : 0)
      case T.TIOCPKT: {
        const value = memory.readU32(argument)
        if (value < 0) return -EFAULT
        this.pty.discipline.packetMode = value !== 0
        return 0
      }
      case T.TIOCGPKT:
        return memory.writeU32(argument, this.pty.discipline.packetMode ? 1 : 0)
      case T.TIOCSIG:
        return this.pty.sendSignal(argument)
      case T.FIONREAD:
        return memory.writeU32(argument, this.pty.discipline.pending)
      case T.TIOCOUTQ:
        return memory.writeU32(argument, 0)
      default:
        return this.pty.ioctl(request, argument, memory)
    }
  }

  protected override onLastClose(): void {
    this.pty.hangUp()
  }
}

/** The end that programs run on: an open /dev/pts/N. */
export class PtySlave extends DeviceDescription {
  readonly pty: Pty

  constructor(pty: Pty, inode: Inode, request: OpenRequest) {
    super(inode, request, pty.slaveWaiters)
    this.pty = pty
    pty.slaves++
    pty.slaveGone = false
  }

  override get termios(): T.KernelTermios {
    return this.pty.discipline.settings
  }

  /** open(2) of the slave: -EIO while the master has it locked or is gone. */
  static open(pty: Pty, inode: Inode, request: OpenRequest): OpenFileDescription | number {
    if (pty.locked || pty.hungUp) return -EIO
    if (pty.exclusive && !hasCapability(request.caller.credentials, CAP_SYS_ADMIN)) return -EBUSY
    return new PtySlave(pty, inode, request)
  }

  override get signalsReadiness(): boolean {
    return true
  }

  override get pollable(): boolean {
    return true
  }

  override get isStream(): boolean {
    return true
  }

  override get tty(): TtyOwner {
    return this.pty.owner
  }

  override read(into: Uint8Array): number {
    const { discipline, hungUp, masterWaiters } = this.pty
    if (into.length === 0 || hungUp) return 0
    if (!discipline.hasInput) return discipline.readsNothing ? discipline.read(into) : -EAGAIN
    const count = discipline.read(into)
    masterWaiters.notify(WRITABLE)
    return count
  }

  override write(from: Uint8Array): number {
    if (this.pty.hungUp) return -EIO
    if (from.length === 0) return 0
    const count = this.pty.discipline.write(from)
    if (count === 0) return -EAGAIN
    this.pty.masterWaiters.notify(READABLE)
    return count
  }

  override readiness(): number {
    const { discipline, hungUp } = this.pty
    if (hungUp) return READABLE | WRITABLE | POLLHUP | POLLERR
    return (discipline.isReady ? READABLE : 0) | (discipline.hasRoom ? WRITABLE : 0)
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (this.pty.hungUp) return -EIO
    switch (request) {
      case T.FIONREAD:
        return memory.writeU32(argument, this.pty.discipline.hasInput ? this.pty.discipline.readable : 0)
      case T.TIOCOUTQ:
        return memory.writeU32(argument, this.pty.discipline.pending)
      default:
        return this.pty.ioctl(request, argument, memory)
    }
  }

  protected override onLastClose(): void {
    this.pty.closeSlave()
  }
}
