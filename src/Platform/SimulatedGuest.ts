/**
 * The C library of programs written in TypeScript: system calls as generators, in the terms of section 2 of the manual.
 *
 *     function* program(sys: Guest) {
 *       const fd = yield* sys.open("/etc/motd", O_RDONLY)
 *       if (fd < 0) return 1
 *       const bytes = yield* sys.read(fd, 100)
 *       …
 *       return 0
 *     }
 *
 * Each `yield*` of a call puts number and arguments into the thread's registers and gives the processor up; the program
 * goes on when the kernel has set rax. Everything else is as for a real program: strings and structures are on its stack
 * or heap in guest memory, and the kernel copies them from there. Results are those of the raw calls: -errno on failure.
 */
import * as Clone from "../Abi/Clone.ts"
import { EFAULT } from "../Abi/Errno.ts"
import { FUTEX_PRIVATE_FLAG, FUTEX_WAIT, FUTEX_WAKE } from "../Abi/Futex.ts"
import { PollFd } from "../Abi/Poll.ts"
import { SIG_DFL, SIG_IGN, SigAction } from "../Abi/SigAction.ts"
import { SA_RESTORER, SIGCHLD, signalSetOf } from "../Abi/Signal.ts"
import { SIGINFO_SIZE } from "../Abi/SigInfo.ts"
import { sysno } from "../Abi/Sysno.ts"
import { Timespec, nanosOfTimespec, timespecOfNanos } from "../Abi/Time.ts"
import { type Handler, type Program, type SignalDetails, SimulatedProcess, type Steps } from "./SimulatedProcess.ts"

/** wait4(2): the child's id, or -errno, and its status word. */
export interface Waited {
  readonly pid: number
  readonly status: number
}

/** A thread made by `Guest.thread`. */
export interface Thread {
  readonly tid: number
  /** The word that the kernel clears when the thread has ended. */
  readonly ended: number
}

const THREAD_STACK = 0x1_0000
const THREAD_FLAGS =
  Clone.CLONE_VM |
  Clone.CLONE_FS |
  Clone.CLONE_FILES |
  Clone.CLONE_SIGHAND |
  Clone.CLONE_THREAD |
  Clone.CLONE_SYSVSEM |
  Clone.CLONE_PARENT_SETTID |
  Clone.CLONE_CHILD_CLEARTID
const SIGSET_SIZE = 8
/** Where handlers are said to return to. Nothing is there: a handler's end issues rt_sigreturn(2) itself. */
const RESTORER = 0x40_0000

const toBytes = (text: string | Uint8Array): Uint8Array => (typeof text === "string" ? Buffer.from(text) : text)

const timespec = (nanos: bigint): Uint8Array => Timespec.encode(timespecOfNanos(nanos))

export class Guest extends SimulatedProcess {
  /** A call about a structure in memory: its result, and the structure as it is afterwards. */
  *exchange(
    structure: Uint8Array,
    call: (at: number) => Steps<number>
  ): Steps<readonly [result: number, after: Uint8Array]> {
    const stack = this.enter()
    const at = this.push(structure)
    const result = yield* call(at)
    this.leave(stack)
    return [result, this.take(at, structure.length)]
  }

  *#withPath(nr: number, path: string, ...rest: ReadonlyArray<number>): Steps<number> {
    const stack = this.enter()
    const [b, c, d] = rest
    const result = yield* this.call(nr, this.pushString(path), b, c, d)
    this.leave(stack)
    return result
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Files
  // -------------------------------------------------------------------------------------------------------------------

  open(path: string, flags: number, mode = 0): Steps<number> {
    return this.#withPath(sysno.open, path, flags, mode)
  }

  mkdir(path: string, mode = 0o777): Steps<number> {
    return this.#withPath(sysno.mkdir, path, mode)
  }

  unlink(path: string): Steps<number> {
    return this.#withPath(sysno.unlink, path)
  }

  close(fd: number): Steps<number> {
    return this.call(sysno.close, fd)
  }

  dup2(from: number, to: number): Steps<number> {
    return this.call(sysno.dup2, from, to)
  }

  /** Up to `length` bytes (none at the end), or -errno. */
  *read(fd: number, length: number): Steps<Uint8Array | number> {
    const stack = this.enter()
    const at = this.reserve(length)
    const count = yield* this.call(sysno.read, fd, at, length)
    this.leave(stack)
    return count < 0 ? count : this.take(at, count)
  }

  *write(fd: number, text: string | Uint8Array): Steps<number> {
    const stack = this.enter()
    const bytes = toBytes(text)
    const count = yield* this.call(sysno.write, fd, this.push(bytes), bytes.length)
    this.leave(stack)
    return count
  }

  /** [reading end, writing end], or -errno. */
  *pipe(flags = 0): Steps<readonly [number, number] | number> {
    const stack = this.enter()
    const at = this.push(new Uint8Array(8))
    const result = yield* this.call(sysno.pipe2, at, flags)
    this.leave(stack)
    return result < 0 ? result : [this.takeInt(at), this.takeInt(at + 4)]
  }

  /** The events of each descriptor, or -errno; `timeout` in milliseconds, -1 for none. */
  *poll(
    fds: ReadonlyArray<{ readonly fd: number; readonly events: number }>,
    timeout: number
  ): Steps<ReadonlyArray<number> | number> {
    const stack = this.enter()
    const bytes = Buffer.concat(fds.map(({ events, fd }) => PollFd.encode({ fd, events, revents: 0 })))
    const at = this.push(bytes)
    const result = yield* this.call(sysno.poll, at, fds.length, timeout)
    this.leave(stack)
    return result < 0
      ? result
      : fds.map((_, index) => PollFd.decode(this.take(at + index * PollFd.size, PollFd.size)).revents)
  }

  munmap(address: number, length: number): Steps<number> {
    return this.call(sysno.munmap, address, length)
  }

  mprotect(address: number, length: number, protection: number): Steps<number> {
    return this.call(sysno.mprotect, address, length, protection)
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Processes and threads
  // -------------------------------------------------------------------------------------------------------------------

  getpid(): Steps<number> {
    return this.call(sysno.getpid)
  }

  getppid(): Steps<number> {
    return this.call(sysno.getppid)
  }

  gettid(): Steps<number> {
    return this.call(sysno.gettid)
  }

  /** exit_group(2). */
  exit(status: number): Steps<number> {
    return this.call(sysno.exit_group, status)
  }

  /** argv, as execve(2) left it on the stack. */
  get argv(): ReadonlyArray<string> {
    return this.#strings(this.initialStack + 8)
  }

  /** envp. */
  get environment(): ReadonlyArray<string> {
    return this.#strings(this.initialStack + 8 * (this.takeInt(this.initialStack) + 2))
  }

  #strings(at: number): ReadonlyArray<string> {
    const strings: Array<string> = []
    for (let slot = at; ; slot += 8) {
      const address = Number(new DataView(this.take(slot, 8).buffer).getBigUint64(0, true))
      if (address === 0) return strings
      strings.push(this.string(address))
    }
  }

  /** A generator can't be copied, so the child runs a program of its own, in a copy of this one's memory. */
  fork(child: Program): Steps<number> {
    return this.clone(SIGCHLD, child)
  }

  /** vfork(2): the caller waits until the child has exited or executed another program. */
  vfork(child: Program): Steps<number> {
    return this.clone(Clone.CLONE_VM | Clone.CLONE_VFORK | SIGCHLD, child)
  }

  /** clone(2). Without a stack of its own the child pushes onto the caller's. */
  *clone(flags: number, child: Program, { childTid = 0, parentTid = 0, stack = 0, tls = 0 } = {}): Steps<number> {
    const tag = (flags & Clone.CLONE_THREAD) === 0 ? "Program" : "Thread"
    this.machine.nextChild = { _tag: tag, run: child }
    const tid = yield* this.call(sysno.clone, flags, stack, parentTid, childTid, tls)
    this.machine.nextChild = undefined
    return tid
  }

  /** pthread_create(3): a thread with a stack of its own that can be joined. */
  *thread(run: Program): Steps<Thread> {
    const stack = yield* this.mmap(THREAD_STACK)
    const ended = yield* this.allocate(4)
    yield* this.store32(ended, 0xffff_ffff) // until the kernel has put the id there
    const tid = yield* this.clone(THREAD_FLAGS, run, {
      stack: stack + THREAD_STACK,
      parentTid: ended,
      childTid: ended
    })
    return { tid, ended }
  }

  /** pthread_join(3). */
  *join({ ended }: Thread): Steps<void> {
    while (true) {
      const word = yield* this.load32(ended)
      if (word === 0) return
      yield* this.call(sysno.futex, ended, FUTEX_WAIT, word)
    }
  }

  /** execve(2). Returns only if it fails. */
  *exec(path: string, argv: ReadonlyArray<string>, environment: ReadonlyArray<string> = []): Steps<number> {
    const stack = this.enter()
    const name = this.pushString(path)
    const result = yield* this.call(sysno.execve, name, this.#pushStrings(argv), this.#pushStrings(environment))
    this.leave(stack)
    return result
  }

  #pushStrings(strings: ReadonlyArray<string>): number {
    const pointers = new BigUint64Array(strings.length + 1)
    strings.forEach((text, index) => {
      pointers[index] = BigInt(this.pushString(text))
    })
    return this.push(new Uint8Array(pointers.buffer))
  }

  /** wait4(2): of any child (-1), one, or a process group. */
  *wait(pid = -1, options = 0): Steps<Waited> {
    const stack = this.enter()
    const at = this.push(new Uint8Array(4))
    const result = yield* this.call(sysno.wait4, pid, at, options)
    this.leave(stack)
    return { pid: result, status: this.takeInt(at) }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Signals
  // -------------------------------------------------------------------------------------------------------------------

  kill(pid: number, signo: number): Steps<number> {
    return this.call(sysno.kill, pid, signo)
  }

  /** rt_sigaction(2); SA_RESTORER is set as the C library does. */
  *sigaction(signo: number, action: Handler | "default" | "ignore", flags = 0, mask = 0n): Steps<number> {
    const stack = this.enter()
    const handler =
      action === "default"
        ? SIG_DFL
        : action === "ignore"
          ? SIG_IGN
          : this.machine.addressOf({ _tag: "Handler", run: action })
    const sa_flags = (flags | SA_RESTORER) >>> 0
    const at = this.push(SigAction.encode({ sa_handler: handler, sa_flags, sa_restorer: RESTORER, sa_mask: mask }))
    const result = yield* this.call(sysno.rt_sigaction, signo, at, 0, SIGSET_SIZE)
    this.leave(stack)
    return result
  }

  /** rt_sigprocmask(2) with SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK. */
  sigprocmask(how: number, ...signals: ReadonlyArray<number>): Steps<number> {
    return this.#withSet(signals, (at) => this.call(sysno.rt_sigprocmask, how, at, 0, SIGSET_SIZE))
  }

  /** rt_sigsuspend(2) with these signals blocked. */
  sigsuspend(...signals: ReadonlyArray<number>): Steps<number> {
    return this.#withSet(signals, (at) => this.call(sysno.rt_sigsuspend, at, SIGSET_SIZE))
  }

  /** rt_sigtimedwait(2); nanoseconds, undefined for no timeout. */
  sigtimedwait(signals: ReadonlyArray<number>, timeout?: bigint): Steps<number> {
    return this.#withSet(signals, (at) => {
      const limit = timeout === undefined ? 0 : this.push(timespec(timeout))
      return this.call(sysno.rt_sigtimedwait, at, 0, limit, SIGSET_SIZE)
    })
  }

  /** signalfd4(2). */
  signalfd(signals: ReadonlyArray<number>, flags = 0): Steps<number> {
    return this.#withSet(signals, (at) => this.call(sysno.signalfd4, -1, at, SIGSET_SIZE, flags))
  }

  *#withSet(signals: ReadonlyArray<number>, make: (at: number) => Steps<number>): Steps<number> {
    const stack = this.enter()
    const set = new Uint8Array(SIGSET_SIZE)
    new DataView(set.buffer).setBigUint64(0, signalSetOf(...signals), true)
    const result = yield* make(this.push(set))
    this.leave(stack)
    return result
  }

  /** The siginfo_t that the kernel wrote for a handler. */
  details(address: number): SignalDetails {
    const view = new DataView(this.take(address, SIGINFO_SIZE).buffer)
    return {
      signo: view.getInt32(0, true),
      code: view.getInt32(8, true),
      pid: view.getInt32(16, true),
      uid: view.getInt32(20, true),
      value: view.getInt32(24, true),
      address: view.getBigUint64(16, true)
    }
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Waiting and time
  // -------------------------------------------------------------------------------------------------------------------

  /** FUTEX_WAIT, private; nanoseconds, undefined for no timeout. */
  *futexWait(address: number, value: number, timeout?: bigint): Steps<number> {
    const stack = this.enter()
    const limit = timeout === undefined ? 0 : this.push(timespec(timeout))
    const result = yield* this.call(sysno.futex, address, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value, limit)
    this.leave(stack)
    return result
  }

  /** FUTEX_WAKE, private: how many were woken. */
  futexWake(address: number, count: number): Steps<number> {
    return this.call(sysno.futex, address, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count)
  }

  /** nanosleep(2): 0, or -errno. */
  *nanosleep(nanos: bigint): Steps<number> {
    const stack = this.enter()
    const result = yield* this.call(sysno.nanosleep, this.push(timespec(nanos)), 0)
    this.leave(stack)
    return result
  }

  /** clock_gettime(2), nanoseconds. */
  *clock(id: number): Steps<bigint> {
    const stack = this.enter()
    const at = this.push(new Uint8Array(Timespec.size))
    yield* this.call(sysno.clock_gettime, id, at)
    this.leave(stack)
    const nanos = nanosOfTimespec(Timespec.decode(this.take(at, Timespec.size)))
    return typeof nanos === "number" ? BigInt(-EFAULT) : nanos
  }

  pause(): Steps<number> {
    return this.call(sysno.pause)
  }

  sched_yield(): Steps<number> {
    return this.call(sysno.sched_yield)
  }
}
