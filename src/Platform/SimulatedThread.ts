/**
 * One thread of a simulated guest: a stack of generators driven by registers.
 *
 * The kernel knows such a thread by its registers alone, as any other: it sets rax, points rip at a handler, takes rip
 * back by two bytes to restart a call. So each function has an address, and each running generator a *site*, the address
 * at which it waits for its call to return. What a switch does follows from rip:
 *
 *     a site         the call has returned: that generator goes on (those above it were left by rt_sigreturn)
 *     a site − 2     the `syscall` instruction before it is executed again, from the registers
 *     a function     it starts: a program after execve, a handler after a signal
 *     anything else  nothing is mapped there: a fault
 */
import * as Effect from "effect/Effect"
import { INITIAL_CONTROL_WORD, INITIAL_MXCSR, MXCSR } from "../Abi/ExtendedState.ts"
import { Reg, Registers, registersSize } from "../Abi/Registers.ts"
import { SEGV_MAPERR, SIGSEGV } from "../Abi/Signal.ts"
import { sysno } from "../Abi/Sysno.ts"
import {
  type FaultOutcome,
  type PlatformContext,
  type SwitchOutcome,
  type SyscallHandler,
  type ThreadUsage,
  unsampled
} from "./Platform.ts"
import { Guest } from "./SimulatedGuest.ts"
import { SimulatedMemory } from "./SimulatedMemory.ts"
import type { Code, Machine, Steps } from "./SimulatedProcess.ts"

/** x87 and SSE only: the legacy area and the XSAVE header. */
export const extendedState = { size: 576, features: 3n, mxcsrMask: 0xffff }

/** Where the code of all programs is said to be: functions, then sites. */
export const TEXT = 0x40_0000
export const TEXT_SIZE = 0x20_0000
const SITES = TEXT + 0x10_0000
const CODE_SIZE = 16
const SITE_COUNT = (TEXT + TEXT_SIZE - SITES) / CODE_SIZE - 1

/** The length of the `syscall` instruction. */
const SYSCALL_LENGTH = 2
/** What a system call costs on the threads' own clock, nanoseconds: the cpu time of a program is its calls. */
const CALL_TIME = 1000n

/** What the threads of one platform share. */
export interface Host {
  readonly code: CodeTable
  /** System calls of one thread in a row, before others get their turn. */
  readonly slice: number
}

/** The functions that have addresses. Grows only. */
export class CodeTable {
  readonly #addresses = new Map<Code["run"], number>()
  readonly #code: Array<Code> = []

  addressOf(code: Code): number {
    const known = this.#addresses.get(code.run)
    if (known !== undefined) return known
    const address = TEXT + CODE_SIZE * (this.#code.push(code) - 1)
    if (address >= SITES) throw new Error("too many functions have addresses: define handlers once, outside loops")
    this.#addresses.set(code.run, address)
    return address
  }

  at(address: number): Code | undefined {
    return this.#code[(address - TEXT) / CODE_SIZE]
  }
}

/** What is left of a function. */
type Rest = Pick<Steps<number | void>, "next">

/** A function that runs. */
interface Activation {
  readonly kind: Code["_tag"]
  readonly rest: Rest
  readonly site: number
  /** At its start: what its end goes back to. */
  readonly stackPointer: number
}

/** What a function that makes no calls gave is where its steps would have led. */
const restOf = (result: Rest | number | void): Rest =>
  typeof result === "object" ? result : { next: () => ({ done: true, value: result }) }

const syscallOutcome: SwitchOutcome = { _tag: "Syscall" }

/** Owner of everything: the task's fiber. */
export class SimulatedThread implements PlatformContext, Machine {
  readonly addressSpace: SimulatedMemory
  readonly registers = new Registers(new ArrayBuffer(registersSize), 0)
  nextChild: Code | undefined
  readonly #host: Host
  readonly #guest: Guest = new Guest(this)
  readonly #activations: Array<Activation> = []
  #extendedState = new Uint8Array(extendedState.size)
  #sites = 0
  #calls = 0
  /** Calls before others get their turn: at the very beginning they do. */
  #left = 0
  /** The last call waits. */
  #parks = false
  /** Ends the wait of the switch for that call: with an outcome, or by going on with it. */
  #resume: ((rest: Effect.Effect<SwitchOutcome | undefined>) => void) | undefined
  #handler: SyscallHandler = () => false

  constructor(host: Host, memory: SimulatedMemory) {
    this.#host = host
    this.addressSpace = memory
    const view = new DataView(this.#extendedState.buffer)
    view.setUint16(0, INITIAL_CONTROL_WORD, true)
    view.setUint32(MXCSR, INITIAL_MXCSR, true)
  }

  get memory(): SimulatedMemory {
    return this.addressSpace
  }

  readonly addressOf = (code: Code): number => this.#host.code.addressOf(code)

  readonly switch = (handler: SyscallHandler): Effect.Effect<SwitchOutcome> =>
    Effect.suspend(() => {
      if (this.#parks) return this.#wait(handler)
      const outcome = this.switchNow(handler)
      if (outcome !== undefined) return Effect.succeed(outcome)
      if (this.#parks) return this.#wait(handler)
      this.#left = this.#host.slice
      return Effect.andThen(Effect.yieldNow, this.switch(handler))
    })

  #wait(handler: SyscallHandler): Effect.Effect<SwitchOutcome> {
    const waited = Effect.callback<SwitchOutcome | undefined>((resume) => {
      this.#resume = resume
      return Effect.sync(() => {
        this.#resume = undefined
      })
    })
    return Effect.flatMap(waited, (outcome) => (outcome === undefined ? this.switch(handler) : Effect.succeed(outcome)))
  }

  readonly mayPark = (): boolean => true

  readonly park = (): void => {
    this.#parks = true
  }

  readonly retry = (handler: SyscallHandler): void => {
    const resume = this.#resume
    if (resume === undefined) return
    const rest = this.#goOn(handler)
    if (this.#parks) return
    this.#resume = undefined
    resume(rest)
  }

  /** Has its call answered, and if it is, runs on: others have had their turn. */
  #goOn(handler: SyscallHandler): Effect.Effect<SwitchOutcome | undefined> {
    this.#parks = false
    try {
      if (!handler()) return Effect.succeed(syscallOutcome)
      this.#left = this.#host.slice
      return Effect.succeed(this.switchNow(this.#handler))
    } catch (defect) {
      return Effect.die(defect)
    }
  }

  readonly extendedStateNow = (): Uint8Array => this.#extendedState.slice()

  readonly setExtendedStateNow = (image: Uint8Array): true => {
    this.#extendedState = image.slice()
    return true
  }

  readonly readExtendedState = Effect.sync(this.extendedStateNow)

  readonly writeExtendedState = (image: Uint8Array): Effect.Effect<void> =>
    Effect.sync(() => {
      this.setExtendedStateNow(image)
    })

  readonly clone = (addressSpace: "share" | "copy"): Effect.Effect<SimulatedThread> =>
    Effect.sync(() => {
      const code = this.nextChild // which stays, as the call may have to be restarted
      const parent = this.#activations.at(-1)
      if (code === undefined || code._tag === "Handler" || parent === undefined) {
        throw new Error("a simulated program has to say what its child runs: use Guest.fork, clone or thread")
      }
      const child = new SimulatedThread(
        this.#host,
        addressSpace === "share" ? this.addressSpace : this.addressSpace.copy()
      )
      child.registers.restore(this.registers.words)
      child.#extendedState = this.#extendedState.slice()
      child.#sites = this.#sites
      child.#guest.initialStack = this.#guest.initialStack
      // it waits where the parent does: both come back from clone(2)
      child.#activations.push({
        kind: code._tag,
        rest: restOf(code.run(child.#guest)),
        site: parent.site,
        stackPointer: 0
      })
      return child
    })

  readonly cpuTime = (): bigint => BigInt(this.#calls) * CALL_TIME

  readonly usage = (): ThreadUsage => unsampled(this.cpuTime())

  readonly release = Effect.void

  readonly switchNow = (handler: SyscallHandler): SwitchOutcome | undefined => {
    this.#parks = false
    this.#handler = handler
    for (; this.#left > 0; this.#left--) {
      const fault = this.#advance()
      if (fault !== undefined) return fault
      this.#calls++
      if (!handler()) {
        this.#left--
        return this.#parks ? undefined : syscallOutcome
      }
    }
    return undefined
  }

  /** Runs up to the next system call, which is then in the registers; or to a fault. */
  #advance(): FaultOutcome | undefined {
    const rip = this.registers.ulong(Reg.rip)
    for (let index = this.#activations.length - 1; index >= 0; index--) {
      const activation = this.#activations[index]!
      if (rip !== activation.site && rip !== activation.site - SYSCALL_LENGTH) continue
      this.#activations.length = index + 1 // what was above it is not gone back to
      return rip === activation.site ? this.#step(activation) : this.#repeat(activation)
    }
    const code = this.#host.code.at(rip)
    return code === undefined
      ? { _tag: "Fault", signal: SIGSEGV, code: SEGV_MAPERR, address: BigInt(rip), access: "execute" }
      : this.#step(this.#begin(code))
  }

  #begin(code: Code): Activation {
    this.#sites++
    const site = SITES + CODE_SIZE * (1 + (this.#sites % SITE_COUNT))
    const stackPointer = this.registers.ulong(Reg.rsp)
    const activation = { kind: code._tag, rest: restOf(this.#start(code, stackPointer)), site, stackPointer }
    this.#activations.push(activation)
    return activation
  }

  #start(code: Code, stackPointer: number): Rest | number | void {
    if (code._tag === "Handler") {
      const details = this.#guest.details(this.registers.ulong(Reg.rsi))
      return code.run(this.#guest, this.registers.int(Reg.rdi), details)
    }
    this.#guest.initialStack = stackPointer
    return code.run(this.#guest)
  }

  #step(activation: Activation): FaultOutcome | undefined {
    const { registers } = this
    const { done, value } = activation.rest.next(registers.long(Reg.rax))
    registers.set(Reg.rip, activation.site)
    if (done === true) this.#end(activation, typeof value === "number" ? value : 0)
    else if (typeof value === "object") return value
    return undefined
  }

  /** What a function's caller would do: a handler's frame goes, a thread or a process ends. */
  #end({ kind, stackPointer }: Activation, status: number): void {
    const { registers } = this
    if (kind === "Handler") {
      registers.set(Reg.rsp, stackPointer + 8) // its return address is taken off
      registers.set(Reg.orig_rax, sysno.rt_sigreturn)
      return
    }
    registers.set(Reg.orig_rax, kind === "Thread" ? sysno.exit : sysno.exit_group)
    registers.set(Reg.rdi, status)
  }

  /** The kernel has gone back before the instruction: number in rax, arguments as they were. */
  #repeat({ site }: Activation): undefined {
    this.registers.words[Reg.orig_rax] = this.registers.words[Reg.rax]!
    this.registers.set(Reg.rip, site)
  }
}
