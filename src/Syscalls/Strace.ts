/**
 * Prints system calls, signals and exits as strace(1) does: one line a call, `<unfinished ...>` and `<... resumed>`
 * where tasks interleave, `[pid N]` where there are several.
 *
 * A line is begun when the call is entered and ended when it returns. What is not yet a whole line is held back until
 * something else is to be printed or the event loop turns, so that a call that is answered at once is one write, and
 * one that blocks can still be seen blocking.
 */
import { argumentRegisters, Reg, type Registers } from "../Abi/Registers.ts"
import type { SigInfo } from "../Abi/SigInfo.ts"
import { signalName } from "../Abi/Signal.ts"
import { sysnoNames } from "../Abi/Sysno.ts"
import type { ExitStatus } from "../Abi/Wait.ts"
import type { Syscall } from "../Task/Syscall.ts"
import { parts, result as resultText } from "./StraceArguments.ts"
import type { Call, GuestMemory } from "./StraceMemory.ts"
import type { Part } from "./StraceParts.ts"
import { sigInfo } from "./StraceSignals.ts"
import { quote, STRING_LIMIT } from "./StraceText.ts"
import { traceAll, type TraceFilter } from "./TraceFilter.ts"

/** A task as the printer sees it. Task/Task.ts is one. */
export interface TracedTask {
  readonly tid: number
  readonly memory: GuestMemory
  readonly registers: Registers
}

export interface StraceOptions {
  /** Takes text as it comes: pieces of lines, in order. Must not fail. */
  readonly write: (text: string) => void
  readonly filter?: TraceFilter
  /** `"several"`: `[pid N] ` while there are several tasks (standard error). `"always"`: `N  ` (a log file). */
  readonly pids?: "several" | "always"
}

/** The column at which strace aligns results. */
const RESULT_COLUMN = 40

/** A call that has not returned. */
interface OpenCall {
  readonly name: string
  readonly call: Call
  readonly list: ReadonlyArray<Part>
  /** How many parts have been written. */
  written: number
}

/** A register as a number: a small negative one as such, so that it stays exact. */
const word = (registers: Registers, register: Reg): number => {
  const signed = registers.long(register)
  return Math.abs(signed) <= Number.MAX_SAFE_INTEGER ? signed : registers.ulong(register)
}

export class StraceObserver {
  readonly #write: (text: string) => void
  readonly #filter: TraceFilter
  readonly #pids: "several" | "always"
  readonly #calls = new Map<number, OpenCall>()
  readonly #alive = new Set<number>()
  /** The line that has no end yet: whose it is, and how long it is so far. */
  #line: { readonly tid: number; column: number } | undefined
  #held = ""
  #flushing = false

  constructor(options: StraceOptions) {
    this.#write = options.write
    this.#filter = options.filter ?? traceAll
    this.#pids = options.pids ?? "several"
  }

  /**
   * The execve(2) that began the program: the kernel made it, so no task was there to be seen entering it. Byte strings.
   */
  started(tid: number, path: string, argv: ReadonlyArray<string>, variables: number): void {
    this.#alive.add(tid)
    if (!this.#filter("execve")) return
    const shown = argv.slice(0, STRING_LIMIT).map((word) => {
      const bytes = Buffer.from(word, "latin1")
      return quote(bytes.subarray(0, STRING_LIMIT), bytes.length > STRING_LIMIT)
    })
    const list = [...shown, ...(argv.length > shown.length ? ["..."] : [])].join(", ")
    this.#interrupt()
    this.#begin(tid)
    const vars = `[/* ${variables} var${variables === 1 ? "" : "s"} */]`
    this.#put(`execve(${quote(Buffer.from(path, "latin1"), false)}, [${list}], ${vars}`)
    this.#end(")", "0")
  }

  enter(task: TracedTask, syscall: Syscall | undefined, nr: number): void {
    this.#alive.add(task.tid)
    const name = syscall?.name ?? sysnoNames[nr] ?? `syscall_0x${(nr >>> 0).toString(16)}`
    if (!this.#filter(name)) return
    const { registers } = task
    const call: Call = {
      memory: task.memory,
      values: argumentRegisters.map((register) => word(registers, register)),
      low: argumentRegisters.map((register) => registers.uint(register)),
      stackPointer: registers.ulong(Reg.rsp),
      result: undefined
    }
    const open: OpenCall = { name, call, list: parts(syscall, call, name), written: 0 }
    this.#interrupt()
    this.#begin(task.tid)
    this.#put(`${name}(`)
    this.#putParts(open, call, false)
    if (name === "exit" || name === "exit_group") {
      this.#end(")", "?")
    } else {
      this.#calls.set(task.tid, open)
      this.#flushLater()
    }
  }

  exit(task: TracedTask, _syscall: Syscall | undefined, _nr: number, result: number): void {
    const open = this.#take(task.tid)
    if (open === undefined) return
    // what rt_sigreturn(2) returns is what the interrupted code had in rax
    const returned = open.name === "rt_sigreturn" ? word(task.registers, Reg.rax) : result
    const call: Call = { ...open.call, memory: task.memory, result: returned }
    this.#putParts(open, call, true)
    this.#end(")", resultText(call, open.name))
  }

  signal(task: TracedTask, info: SigInfo): void {
    this.#whole(task.tid, `--- ${signalName(info.signo)} ${sigInfo(info)} ---`)
  }

  exited(task: TracedTask, status: ExitStatus): void {
    const open = this.#take(task.tid)
    if (open !== undefined) this.#end(open.written === open.list.length ? ")" : " <unfinished ...>)", "?")
    this.#whole(
      task.tid,
      status._tag === "Exited"
        ? `+++ exited with ${status.code} +++`
        : `+++ killed by ${signalName(status.signal)}${status.coreDumped ? " (core dumped)" : ""} +++`
    )
    this.#alive.delete(task.tid)
  }

  /** Nobody goes on any more: a line that is not finished says so. */
  end(): void {
    this.#interrupt()
    this.flush()
  }

  /** Writes out what is held back. */
  flush(): void {
    if (this.#held === "") return
    const text = this.#held
    this.#held = ""
    this.#write(text)
  }

  /** The open call of `tid`, with the line continued at it. */
  #take(tid: number): OpenCall | undefined {
    const open = this.#calls.get(tid)
    if (open === undefined) return undefined
    this.#calls.delete(tid)
    if (this.#line?.tid !== tid) {
      this.#interrupt()
      this.#begin(tid)
      this.#put(`<... ${open.name} resumed>`)
    }
    return open
  }

  /** Writes the parts that can be written now; all of them once the call has returned. */
  #putParts(open: OpenCall, call: Call, complete: boolean): void {
    for (; open.written < open.list.length; open.written++) {
      const part = open.list[open.written]!
      if (part.after && !complete) return
      // the comma at once: a line that ends here says that more is to come
      this.#put(open.written + 1 < open.list.length ? `${part.show(call)}, ` : part.show(call))
    }
  }

  #whole(tid: number, text: string): void {
    this.#interrupt()
    this.#begin(tid)
    this.#put(`${text}\n`)
    this.#line = undefined
    this.flush()
  }

  #begin(tid: number): void {
    this.#line = { tid, column: 0 }
    if (this.#pids === "always") this.#put(`${String(tid).padEnd(5)} `)
    else if (this.#alive.size > 1) this.#put(`[pid ${String(tid).padStart(5)}] `)
  }

  #put(text: string): void {
    this.#held += text
    if (this.#line !== undefined) this.#line.column += text.length
  }

  #end(close: string, result: string): void {
    this.#put(`${close} `)
    this.#put(`${" ".repeat(Math.max(0, RESULT_COLUMN - (this.#line?.column ?? 0)))}= ${result}\n`)
    this.#line = undefined
    this.flush()
  }

  /** Somebody else writes: the line that is not finished says so. */
  #interrupt(): void {
    if (this.#line === undefined) return
    this.#put(" <unfinished ...>\n")
    this.#line = undefined
  }

  #flushLater(): void {
    if (this.#flushing) return
    this.#flushing = true
    setImmediate(() => {
      this.#flushing = false
      this.flush()
    })
  }
}
