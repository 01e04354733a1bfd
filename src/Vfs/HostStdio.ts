/**
 * The standard streams of whoever started the sandbox, as open files of a guest.
 *
 * Other processes share the descriptions behind them, so three things hold. Nothing is read ahead: the host loses only
 * what the guest reads. O_NONBLOCK is never set on a shared description: sockets take MSG_DONTWAIT, pipes and terminals
 * are opened once more through /proc/self/fd, and where that is refused readiness is asked first and at most PIPE_BUF
 * written. A regular file is used with the shared offset, so that `>>` and `( a; b ) < file` go on where they should.
 */
import { readlinkSync } from "node:fs"
import { EACCES, EAGAIN, EFAULT, EINVAL, ENOTTY, ENXIO, EPERM } from "../Abi/Errno.ts"
import { S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../Abi/FileMode.ts"
import { O_ACCMODE, O_APPEND, O_NONBLOCK, O_RDONLY, O_WRONLY } from "../Abi/OpenFlags.ts"
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from "../Abi/Poll.ts"
import * as T from "../Abi/Termios.ts"
import type { UserMemory } from "../Memory/UserMemory.ts"
import { bind } from "../Platform/Native.ts"
import { type Waiter, WaitQueue } from "../Sync/WaitQueue.ts"
import * as HostCalls from "./HostCalls.ts"
import type { HostReadiness } from "./HostReadiness.ts"
import { type Mappable, OpenFileDescription } from "./OpenFileDescription.ts"
import type { Stat } from "./Stat.ts"
import { TtyOwner } from "./TtyOwner.ts"

const native = {
  flags: bind<[number], number>("int sentry_stdio_flags(int fd)"),
  pollable: bind<[number], number>("int sentry_stdio_pollable(int fd)"),
  reopen: bind<[number, number], number>("int sentry_stdio_reopen(int fd, int flags)"),
  read: bind<[number, Uint8Array, number, number], number | bigint>(
    "int64_t sentry_stdio_read(int fd, uint8_t *into, int64_t size, int socket)"
  ),
  write: bind<[number, Uint8Array, number, number], number | bigint>(
    "int64_t sentry_stdio_write(int fd, const uint8_t *from, int64_t size, int socket)"
  ),
  poll: bind<[number], number>("int sentry_stdio_poll(int fd)"),
  ioctl: bind<[number, number, Uint8Array | null, number], number>(
    "int sentry_stdio_ioctl(int fd, uint32_t request, uint8_t *buffer, int64_t value)"
  ),
  detach: bind<[number], number>("int sentry_stdio_detach(int fd)"),
  socketName: bind<[number, number, Uint8Array], number>("int sentry_socket_name(int fd, int peer, uint8_t *into)"),
  socketOption: bind<[number, number, number, Uint8Array, number], number>(
    "int sentry_socket_option(int fd, int level, int option, uint8_t *into, int room)"
  )
}

/**
 * How not to block: "file" never does, "socket" by flag, "own" through a non-blocking description, "guarded" by asking
 * first.
 */
type Access = "file" | "socket" | "own" | "guarded"

const PIPE_BUF = 4096

/** Waiters on a host file; the host is watched while there are any. */
class HostWaitQueue extends WaitQueue {
  readonly #watch: (notify: (events: number) => void) => () => void
  #unwatch: (() => void) | undefined

  constructor(watch: (notify: (events: number) => void) => () => void) {
    super()
    this.#watch = watch
  }

  override add(waiter: Waiter): void {
    super.add(waiter)
    this.#unwatch ??= this.#watch((events) => {
      const normal = (events & POLLIN ? POLLRDNORM : 0) | (events & POLLOUT ? POLLWRNORM : 0)
      this.notify(events | normal)
    })
  }

  override remove(waiter: Waiter): void {
    super.remove(waiter)
    if (!this.isEmpty) return
    this.#unwatch?.()
    this.#unwatch = undefined
  }
}

/** Terminal requests that go to the host: bytes of the argument and which way they go. Everything else is refused. */
const TTY_REQUESTS = new Map<number, { readonly size: number; readonly when: "in" | "out" }>([
  [T.TCGETS, { size: 36, when: "out" }],
  [T.TCSETS, { size: 36, when: "in" }],
  [T.TCSETSF, { size: 36, when: "in" }],
  [T.TCGETS2, { size: 44, when: "out" }],
  [T.TCSETS2, { size: 44, when: "in" }],
  [T.TCSETSF2, { size: 44, when: "in" }],
  [T.TIOCGWINSZ, { size: 8, when: "out" }],
  [T.TIOCSWINSZ, { size: 8, when: "in" }],
  [T.TIOCOUTQ, { size: 4, when: "out" }],
  [T.TIOCGETD, { size: 4, when: "out" }]
])

/** Requests that would wait until everything was shown: done without waiting, as that would stop the whole kernel. */
const WITHOUT_DRAIN = new Map<number, number>([
  [T.TCSETSW, T.TCSETS],
  [T.TCSETSW2, T.TCSETS2]
])

/** Requests whose argument is a number. */
const TTY_COMMANDS = new Set<number>([T.TCFLSH, T.TCXONC])

/** One standard stream. */
export class HostStdio extends OpenFileDescription {
  /** The sentry's own descriptor, and the one the data goes through: the same unless it was opened once more. */
  readonly #fd: number
  readonly #dataFd: number
  readonly #access: Access
  readonly #type: number
  readonly #detach: boolean
  /** What this was opened again from, kept open for its descriptor. */
  readonly #origin: HostStdio | undefined
  readonly #readiness: HostReadiness
  readonly #tty: TtyOwner | undefined

  private constructor(options: {
    readonly readiness: HostReadiness
    readonly fd: number
    readonly dataFd: number
    readonly access: Access
    readonly type: number
    readonly statusFlags: number
    readonly waiters: WaitQueue
    readonly tty: TtyOwner | undefined
    readonly detach: boolean
    readonly origin: HostStdio | undefined
  }) {
    super(options.statusFlags, options.waiters)
    this.#readiness = options.readiness
    this.#fd = options.fd
    this.#dataFd = options.dataFd
    this.#access = options.access
    this.#type = options.type
    this.#detach = options.detach
    this.#tty = options.tty
    this.#origin = options.origin
  }

  /** A socket's own address, or its peer's, as getsockname(2) gives it; -ENOTSOCK for another stream. */
  socketName(of: "own" | "peer"): Uint8Array | number {
    const address = new Uint8Array(128) // struct sockaddr_storage
    const size = native.socketName(this.#fd, of === "peer" ? 1 : 0, address)
    return size < 0 ? size : address.subarray(0, size)
  }

  /** getsockopt(2) of at most `room` bytes; -ENOTSOCK for another stream. */
  socketOption(level: number, option: number, room: number): Uint8Array | number {
    const value = new Uint8Array(Math.min(room, 4096))
    const size = native.socketOption(this.#fd, level, option, value, value.length)
    return size < 0 ? size : value.subarray(0, size)
  }

  /**
   * The host's descriptor `fd`, or undefined if it is not open. With `detach`, when the guest lets go of it the sentry
   * does too (the number then leads to /dev/null), so that a reader downstream sees the end as it would natively.
   */
  static open(
    readiness: HostReadiness,
    fd: number,
    options: { readonly detach: boolean; readonly tty?: TtyOwner }
  ): HostStdio | undefined {
    const flags = native.flags(fd)
    return flags < 0 ? undefined : HostStdio.#make(readiness, fd, flags, { tty: undefined, ...options }, undefined)
  }

  static #make(
    readiness: HostReadiness,
    fd: number,
    statusFlags: number,
    options: { readonly detach: boolean; readonly tty: TtyOwner | undefined },
    origin: HostStdio | undefined
  ): HostStdio | undefined {
    if (HostCalls.stat(fd) < 0) return undefined
    const type = HostCalls.lastStat().mode & S_IFMT
    const isTty = native.ioctl(fd, T.TCGETS, new Uint8Array(64), 0) >= 0
    const { access, dataFd } = chooseAccess(fd, type, isTty, statusFlags)
    const waiters =
      access === "file"
        ? new WaitQueue()
        : new HostWaitQueue((notify) => {
            const unwatch = readiness.watch(dataFd, notify)
            return typeof unwatch === "number" ? () => {} : unwatch
          })
    const tty = isTty ? (options.tty ?? new TtyOwner()) : undefined
    const { detach } = options
    return new HostStdio({ readiness, fd, dataFd, access, type, statusFlags, waiters, tty, detach, origin })
  }

  /**
   * /dev/stdin and the like: the same stream again, for no more than it was open for.
   *
   * Differs from Linux: a regular file keeps sharing the offset and is not truncated.
   */
  override reopen(request: { readonly flags: number }): OpenFileDescription | number {
    const asked = request.flags & O_ACCMODE
    if ((asked !== O_WRONLY && !this.readable) || (asked !== O_RDONLY && !this.writable)) return -EACCES
    const options = { detach: false, tty: this.tty }
    const again = HostStdio.#make(this.#readiness, this.#fd, request.flags, options, this.retain())
    if (again === undefined) this.release()
    return again ?? -ENXIO
  }

  override get tty(): TtyOwner | undefined {
    return this.#tty
  }

  override get termios(): T.KernelTermios | undefined {
    const raw = new Uint8Array(64)
    return this.#tty === undefined || native.ioctl(this.#fd, T.TCGETS, raw, 0) < 0
      ? undefined
      : T.KernelTermios.decode(raw)
  }

  get isSocket(): boolean {
    return this.#access === "socket"
  }

  override get pollable(): boolean {
    return this.#access !== "file"
  }

  override get isStream(): boolean {
    return this.#access !== "file"
  }

  override stat(): Stat | number {
    const error = HostCalls.stat(this.#fd)
    return error < 0 ? error : HostCalls.lastStat()
  }

  override describe(): string {
    return readlinkSync(`/proc/self/fd/${this.#fd}`, "latin1")
  }

  override readiness(): number {
    if (this.#access === "file") return super.readiness()
    const events = native.poll(this.#dataFd)
    return events < 0 ? POLLERR : events
  }

  #ready(events: number): boolean {
    return this.#access !== "guarded" || (this.readiness() & (events | POLLHUP | POLLERR | POLLRDHUP)) !== 0
  }

  override read(into: Uint8Array): number {
    if (!this.#ready(POLLIN)) return -EAGAIN
    const count = Number(native.read(this.#dataFd, into, into.length, this.#access === "socket" ? 1 : 0))
    return count === -EAGAIN && this.#readsNothing() ? 0 : count
  }

  /** Raw mode with VMIN and VTIME 0, where a read without input is not a reason to wait: termios(3). */
  #readsNothing(): boolean {
    const { termios } = this
    if (termios === undefined) return false
    const { c_lflag, c_cc } = termios
    return (c_lflag & T.ICANON) === 0 && c_cc[T.VMIN] === 0 && c_cc[T.VTIME] === 0
  }

  override write(from: Uint8Array): number {
    if (!this.#ready(POLLOUT)) return -EAGAIN
    const length = this.#access === "guarded" ? Math.min(from.length, PIPE_BUF) : from.length
    return Number(native.write(this.#dataFd, from, length, this.#access === "socket" ? 1 : 0))
  }

  override readAt(into: Uint8Array, offset: number): number {
    return this.#access === "file" ? HostCalls.read(this.#fd, into, offset) : super.readAt(into, offset)
  }

  override writeAt(from: Uint8Array, offset: number): number {
    return this.#access === "file" ? HostCalls.write(this.#fd, from, offset) : super.writeAt(from, offset)
  }

  override seek(offset: number, whence: number): number {
    return this.#access === "file" ? HostCalls.seek(this.#fd, offset, whence) : super.seek(offset, whence)
  }

  override truncate(length: number): number {
    return this.#type === S_IFREG && this.writable ? HostCalls.truncate(this.#fd, length) : -EINVAL
  }

  override synchronize(dataOnly: boolean): number {
    return HostCalls.sync(this.#fd, dataOnly ? 1 : 0)
  }

  override mappable(): Mappable | number {
    return this.#type === S_IFREG ? { fd: this.#fd, offset: 0 } : super.mappable()
  }

  override ioctl(request: number, argument: number, memory: UserMemory): number {
    if (request === T.FIONREAD && this.#access !== "file") {
      return this.#hostRequest(T.FIONREAD, { size: 4, when: "out" }, argument, memory)
    }
    if (this.tty === undefined) return -ENOTTY
    if (TTY_COMMANDS.has(request)) return native.ioctl(this.#fd, request, null, argument)
    if (request === T.TCSBRK || request === T.TCSBRKP) return argument === 0 ? -EPERM : 0 // a break; tcdrain(3)
    const hostRequest = WITHOUT_DRAIN.get(request) ?? request
    const shape = TTY_REQUESTS.get(hostRequest)
    return shape === undefined ? -ENOTTY : this.#hostRequest(hostRequest, shape, argument, memory)
  }

  #hostRequest(
    request: number,
    shape: { readonly size: number; readonly when: "in" | "out" },
    argument: number,
    memory: UserMemory
  ): number {
    const buffer = new Uint8Array(64)
    const bytes = buffer.subarray(0, shape.size)
    if (shape.when === "in" && memory.copyIn(argument, bytes) < 0) return -EFAULT
    const result = native.ioctl(this.#fd, request, buffer, 0)
    if (result < 0 || shape.when === "in") return result
    return memory.copyOut(argument, bytes) < 0 ? -EFAULT : result
  }

  protected override onLastClose(): void {
    if (this.#dataFd !== this.#fd) HostCalls.close(this.#dataFd)
    if (this.#detach) native.detach(this.#fd)
    this.#origin?.release()
  }
}

const chooseAccess = (
  fd: number,
  type: number,
  isTty: boolean,
  statusFlags: number
): { readonly access: Access; readonly dataFd: number } => {
  if (type === S_IFSOCK) return { access: "socket", dataFd: fd }
  if (native.pollable(fd) === 0) return { access: "file", dataFd: fd }
  if ((statusFlags & O_NONBLOCK) !== 0) return { access: "own", dataFd: fd }
  if (type === S_IFIFO || isTty) {
    const own = native.reopen(fd, (statusFlags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK)
    if (own >= 0) return { access: "own", dataFd: own }
  }
  return { access: "guarded", dataFd: fd }
}

type Three<A> = readonly [A, A, A]

/** The host's descriptors 0, 1 and 2; undefined where one is closed. Those that are one terminal have one owner. */
export const hostStdio = (
  readiness: HostReadiness,
  options: { readonly detach: boolean } = { detach: false }
): Three<HostStdio | undefined> => {
  const owners = new Map<number, TtyOwner>()
  const open = (fd: number): HostStdio | undefined => {
    if (HostCalls.stat(fd) < 0) return undefined
    const { rdev } = HostCalls.lastStat()
    const known = owners.get(rdev)
    const file = HostStdio.open(readiness, fd, known === undefined ? options : { ...options, tty: known })
    if (file?.tty !== undefined) owners.set(rdev, file.tty)
    return file
  }
  return [open(0), open(1), open(2)]
}
