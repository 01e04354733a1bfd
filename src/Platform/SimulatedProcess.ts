/**
 * What programs written in TypeScript are made of: computations that give up the processor to make a system call, and the
 * memory they use for arguments.
 */
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { Reg, type Registers } from "../Abi/Registers.ts"
import { BUS_ADRERR, SEGV_ACCERR, SEGV_MAPERR, SIGBUS, SIGSEGV } from "../Abi/Signal.ts"
import { sysno } from "../Abi/Sysno.ts"
import type { FaultOutcome } from "./Platform.ts"
import type { Guest } from "./SimulatedGuest.ts"
import type { SimulatedMemory } from "./SimulatedMemory.ts"

/** A computation that makes system calls. It gives up the processor for a call (undefined) or a fault. */
export type Steps<A> = Generator<FaultOutcome | undefined, A, number>

/** A program, or what a child or thread runs. Returning ends it with that status. One without calls may be a function. */
export type Program = (sys: Guest) => Steps<number> | number

/** siginfo_t, as far as handlers look at it. */
export interface SignalDetails {
  readonly signo: number
  readonly code: number
  /** si_pid, si_uid (kill, SIGCHLD), where the signal has them. */
  readonly pid: number
  readonly uid: number
  /** si_status of SIGCHLD, the int of si_value of sigqueue(3). */
  readonly value: number
  /** si_addr of a fault. */
  readonly address: bigint
}

/** A signal handler. Returning goes back to what was interrupted. One without calls may be a function. */
export type Handler = (sys: Guest, signo: number, details: SignalDetails) => Steps<void> | void

/** A function that has an address. */
export type Code =
  | { readonly _tag: "Program"; readonly run: Program }
  | { readonly _tag: "Thread"; readonly run: Program }
  | { readonly _tag: "Handler"; readonly run: Handler }

/** The thread that a guest library belongs to. */
export interface Machine {
  readonly registers: Registers
  readonly memory: SimulatedMemory
  /** The address of a function; the same for the same function. */
  readonly addressOf: (code: Code) => number
  /** What the next child of this thread runs. */
  nextChild: Code | undefined
}

const HEAP_CHUNK = 0x1_0000

/** System calls by number, and memory. */
export class SimulatedProcess {
  protected readonly machine: Machine
  /** The stack pointer that execve(2) gave the program. */
  initialStack = 0

  constructor(machine: Machine) {
    this.machine = machine
  }

  /** Any system call by number. */
  *call(nr: number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0): Steps<number> {
    const { registers } = this.machine
    registers.set(Reg.orig_rax, nr)
    registers.set(Reg.rdi, a)
    registers.set(Reg.rsi, b)
    registers.set(Reg.rdx, c)
    registers.set(Reg.r10, d)
    registers.set(Reg.r8, e)
    registers.set(Reg.r9, f)
    return yield undefined
  }

  // -------------------------------------------------------------------------------------------------------------------
  // Memory
  // -------------------------------------------------------------------------------------------------------------------

  /** Heap memory, zeroed, never freed: what all threads see. */
  *allocate(size: number): Steps<number> {
    const { heap } = this.machine.memory
    const rounded = Math.ceil(size / 16) * 16
    if (heap.next + rounded > heap.end) {
      const length = Math.max(HEAP_CHUNK, Math.ceil(rounded / 4096) * 4096)
      heap.next = yield* this.mmap(length)
      heap.end = heap.next + length
    }
    const at = heap.next
    heap.next += rounded
    return at
  }

  /** Reads memory as an instruction would: a bad address is a fault, tried again after the handler. */
  *load(address: number, length: number): Steps<Uint8Array> {
    const bytes = new Uint8Array(length)
    while (true) {
      const count = this.machine.memory.read(address, bytes)
      if (count === length) return bytes
      yield this.#fault(address + count, "read")
    }
  }

  /** Writes memory as an instruction would. */
  *store(address: number, bytes: Uint8Array): Steps<void> {
    while (true) {
      const count = this.machine.memory.write(address, bytes)
      if (count === bytes.length) return
      yield this.#fault(address + count, "write")
    }
  }

  *load32(address: number): Steps<number> {
    return new DataView((yield* this.load(address, 4)).buffer).getUint32(0, true)
  }

  *store32(address: number, value: number): Steps<void> {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    yield* this.store(address, bytes)
  }

  /** lock cmpxchg: stores `desired` if the word is `expected`; the word before. */
  *compareExchange32(address: number, expected: number, desired: number): Steps<number> {
    const old = yield* this.load32(address)
    if (old === expected) yield* this.store32(address, desired) // nobody else runs in between: neither gives up
    return old
  }

  /** lock xadd: adds to the word; the word before. */
  *fetchAdd32(address: number, addend: number): Steps<number> {
    const old = yield* this.load32(address)
    yield* this.store32(address, (old + addend) >>> 0)
    return old
  }

  #fault(address: number, access: "read" | "write"): FaultOutcome {
    const protection = this.machine.memory.protectionAt(address)
    const needed = access === "read" ? PROT_READ : PROT_WRITE
    const beyondFile = protection !== undefined && (protection & needed) !== 0
    return {
      _tag: "Fault",
      signal: beyondFile ? SIGBUS : SIGSEGV,
      code: beyondFile ? BUS_ADRERR : protection === undefined ? SEGV_MAPERR : SEGV_ACCERR,
      address: BigInt(address),
      access
    }
  }

  /** Puts bytes on the stack: their address. `leave` takes everything off again. */
  protected push(bytes: Uint8Array): number {
    const { memory, registers } = this.machine
    const at = Math.floor((registers.ulong(Reg.rsp) - bytes.length) / 16) * 16
    registers.set(Reg.rsp, at)
    if (memory.write(at, bytes) !== bytes.length) throw new Error("a simulated program has overflowed its stack")
    return at
  }

  /** Room on the stack for what the kernel is to write: its address. */
  protected reserve(length: number): number {
    const { memory, registers } = this.machine
    const at = Math.floor((registers.ulong(Reg.rsp) - length) / 16) * 16
    registers.set(Reg.rsp, at)
    if (memory.protectionAt(at) === undefined) throw new Error("a simulated program has overflowed its stack")
    return at
  }

  protected pushString(text: string): number {
    return this.push(Buffer.concat([Buffer.from(text), Uint8Array.of(0)]))
  }

  protected enter(): number {
    return this.machine.registers.ulong(Reg.rsp)
  }

  protected leave(stackPointer: number): void {
    this.machine.registers.set(Reg.rsp, stackPointer)
  }

  /** What the kernel has written at an address that this class knows to be good. */
  protected take(address: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    this.machine.memory.read(address, bytes)
    return bytes
  }

  protected takeInt(address: number): number {
    return new DataView(this.take(address, 4).buffer).getInt32(0, true)
  }

  protected string(address: number): string {
    let end = address
    while (this.take(end, 1)[0] !== 0) end++
    return Buffer.from(this.take(address, end - address)).toString()
  }

  /** Private anonymous memory by default: its address, or -errno. */
  mmap(
    length: number,
    { fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS, offset = 0, protection = PROT_READ | PROT_WRITE } = {}
  ): Steps<number> {
    return this.call(sysno.mmap, 0, length, protection, flags, fd, offset)
  }
}
