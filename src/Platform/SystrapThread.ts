/**
 * One guest thread of the fast platform, as a slot of shared memory: what stopped it, its registers, whose turn it is.
 *
 * The registers are copied out of the slot once per event and back once per reply: in between, the thread's siblings
 * can write to the slot, and the kernel must not see a register change under its hands.
 */
import { Reg, Registers, registersSize } from "../Abi/Registers.ts"
import { SIGSEGV, SIGSYS, SIGURG } from "../Abi/Signal.ts"
import type { Access, FaultOutcome } from "./Platform.ts"
import { Command, field, State } from "./SystrapLayout.ts"
import type { SystrapRegion } from "./SystrapRegion.ts"

/** What an event is. "stray": a signal that somebody outside sent; the thread has nothing to say. */
export type EventKind = "call" | "vsyscall" | "fault" | "interrupted" | "stray"

const SYS_SECCOMP = 1
const STATE = field.state >> 2
const SLEEPING = field.sleeping >> 2
const SIGNAL = field.signal >> 2
const CODE = field.code >> 2
const NR = field.nr >> 2
const ERROR = field.error >> 2
const ADDRESS = field.address >> 2

/** Registers that user code may have; with others the processor would fault while the stub loads them. */
const USER_CS = 0x33
const USER_SS = 0x2b
const TOP = 0x8000

/** What a thread needs when it wakes. */
export interface Bell {
  /** Tells guest threads that wait awake to let another one have the CPU. */
  readonly makeRoom: () => void
}

export class SystrapThread {
  readonly region: SystrapRegion
  /** Of the slot, in the region. */
  readonly slot: number
  readonly registers: Registers
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #shared: Uint32Array

  readonly #bell: Bell

  constructor(region: SystrapRegion, slot: number, bell: Bell) {
    this.region = region
    this.#bell = bell
    this.slot = slot
    const memory = region.memory(slot)
    this.registers = new Registers(new ArrayBuffer(registersSize), 0)
    this.#words = new Int32Array(memory)
    this.#bytes = new Uint8Array(memory)
    this.#shared = new Uint32Array(memory, 0, registersSize / 4)
  }

  hasEvent(): boolean {
    return Atomics.load(this.#words, STATE) === State.event
  }

  /** Takes the event: what it is, and the registers if that matters. */
  take(): EventKind {
    const words = this.#words
    const signal = words[SIGNAL]!
    this.registers.halves.set(this.#shared)
    if (signal === SIGSYS && words[CODE] === SYS_SECCOMP) return words[ADDRESS + 1] === -1 ? "vsyscall" : "call"
    if (signal === SIGURG) return "interrupted"
    return words[CODE]! > 0 ? "fault" : "stray"
  }

  /** Of the last event, the number of the system call as the guest gave it. */
  get nr(): number {
    return this.#words[NR]! >>> 0
  }

  /** Of the last event. */
  fault(): FaultOutcome {
    const words = this.#words
    const signal = words[SIGNAL]! & 63
    const code = words[CODE]!
    const error = words[ERROR]!
    const address = (BigInt(words[ADDRESS + 1]! >>> 0) << 32n) | BigInt(words[ADDRESS]! >>> 0)
    const isPageFault = signal === SIGSEGV && (code === 1 || code === 2)
    const access: Access = isPageFault
      ? (error & 2) !== 0
        ? "write"
        : (error & 16) !== 0
          ? "execute"
          : "read"
      : "unknown"
    return { _tag: "Fault", signal, code, address, access }
  }

  /** Whether the processor would take these registers. */
  isLoadable(): boolean {
    const { halves } = this.registers
    return (
      halves[Reg.fs_base * 2 + 1]! < TOP &&
      halves[Reg.gs_base * 2 + 1]! < TOP &&
      halves[Reg.cs * 2] === USER_CS &&
      halves[Reg.ss * 2] === USER_SS
    )
  }

  /** The thread's turn, with these registers. */
  reply(): void {
    this.#shared.set(this.registers.halves)
    this.#pass()
  }

  #pass(): void {
    Atomics.store(this.#words, STATE, State.run) // before sleeping is read; the thread does the reverse
    if (this.#words[SLEEPING] !== 0) {
      this.region.wake(this.slot)
      this.#bell.makeRoom()
    }
  }

  /** Marks the event as seen, so that it isn't found again. */
  taken(): void {
    Atomics.store(this.#words, STATE, State.taken)
  }

  /** Has the thread end itself. */
  exit(): void {
    this.#words[field.command >> 2] = Command.exit
    this.#pass()
  }

  /** Where the extended state is in the slot, as the thread says. */
  get extendedStateOffset(): number {
    return this.#words[field.fpstate >> 2]! >>> 0
  }

  /** The part of the signal stack where the extended state is. */
  extendedState(offset: number, size: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + size)
  }
}
