/**
 * Makes faults happen: asked before every system call (Task/SyscallInjector.ts), it counts the calls that each fault names
 * and steps in at the nth.
 *
 * It has no will of its own: the same faults and the same run give the same results.
 */
import * as Effect from "effect/Effect"
import { AT_FDCWD } from "../Abi/At.ts"
import { ERESTARTNOINTR } from "../Abi/Errno.ts"
import { S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from "../Abi/FileMode.ts"
import { argumentRegisters } from "../Abi/Registers.ts"
import { SIGKILL, SI_USER } from "../Abi/Signal.ts"
import type { SysName } from "../Abi/Sysno.ts"
import { signaled } from "../Abi/Wait.ts"
import * as TraceFilter from "../Syscalls/TraceFilter.ts"
import type { Result, Syscall } from "../Task/Syscall.ts"
import type { SyscallInjector } from "../Task/SyscallInjector.ts"
import type { Task } from "../Task/Task.ts"
import { killGroup, sendToTask } from "../Task/TaskSignals.ts"
import { pathOf } from "../Vfs/Mount.ts"
import type { VirtualTime } from "../Time/VirtualTime.ts"
import { describe, errnoOf, type Fault, type FdKind, type Selector, signalOf } from "./Fault.ts"

/** Calls that can't fail, as they don't return. */
const NO_RETURN: ReadonlySet<SysName> = new Set<SysName>(["exit", "exit_group", "rt_sigreturn"])

/** Which argument says how many bytes to transfer at most. */
const LENGTHS: Readonly<Partial<Record<SysName, number>>> = {
  read: 2,
  write: 2,
  pread64: 2,
  pwrite64: 2,
  recvfrom: 2,
  sendto: 2,
  getrandom: 1,
  sendfile: 3,
  splice: 4,
  copy_file_range: 4
}

/** A fault, and how many of the calls that it names there were. */
interface Armed {
  readonly fault: Fault
  readonly matches: (task: Task, syscall: Syscall) => boolean
  seen: number
}

/** A path with `*` (not across /), `**` and `?` as a regular expression. */
const globOf = (glob: string): RegExp => {
  const parts = glob.split(/(\*\*|\*|\?)/).map((part) => {
    if (part === "**") return ".*"
    if (part === "*") return "[^/]*"
    if (part === "?") return "[^/]"
    return part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")
  })
  return new RegExp(`^${parts.join("")}$`)
}

const kindOf = (mode: number): FdKind => {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return "file"
    case S_IFDIR:
      return "directory"
    case S_IFIFO:
      return "pipe"
    case S_IFSOCK:
      return "socket"
    default:
      return "other"
  }
}

/** The open file that the call's first descriptor argument names, if it has one. */
const fileOf = (task: Task, syscall: Syscall) => {
  const index = syscall.args.findIndex(({ format }) => format._tag === "Fd")
  return index < 0 ? undefined : task.fds.get(task.registers.int(argumentRegisters[index]!))
}

/** The path that the call names, by a string or by a descriptor. */
const namedPath = (task: Task, syscall: Syscall): string | undefined => {
  const index = syscall.args.findIndex(({ format }) => format._tag === "String")
  if (index < 0) return fileOf(task, syscall)?.describe()
  const path = task.memory.copyInString(task.registers.ulong(argumentRegisters[index]!))
  if (typeof path === "number" || path.startsWith("/")) return typeof path === "number" ? undefined : path
  // relative to a descriptor, or to the working directory
  const from =
    syscall.args[index - 1]?.format._tag === "DirFd" ? task.registers.int(argumentRegisters[index - 1]!) : AT_FDCWD
  const directory = from === AT_FDCWD ? pathOf(task.fs.workingDirectory, task.fs.root) : task.fds.get(from)?.describe()
  return directory === undefined ? path : `${directory === "/" ? "" : directory}/${path}`
}

const matcherOf = (at: Selector): Armed["matches"] => {
  const filter = TraceFilter.parse(at.calls)
  if (typeof filter !== "function") throw new Error(`a fault's selector: ${filter.reason}`)
  const glob = at.path === undefined ? undefined : globOf(at.path)
  return (task, syscall) => {
    if (!filter(syscall.name)) return false
    if (typeof at.task === "number" && task.tid !== at.task) return false
    if (typeof at.task === "string" && task.commandName !== at.task) return false
    if (at.fd !== undefined) {
      const stat = fileOf(task, syscall)?.stat()
      if (stat === undefined || typeof stat === "number" || kindOf(stat.mode) !== at.fd) return false
    }
    return glob === undefined || glob.test(namedPath(task, syscall) ?? "")
  }
}

const killed = (task: Task): number => {
  const group = task.threadGroup
  group.handlers.mutex.runSoon(() => killGroup(group, signaled(SIGKILL, false)))
  return -ERESTARTNOINTR // it does not come to that
}

/** Runs the call with a smaller count: what the program passed is in the registers again afterwards. */
const shortened = (task: Task, syscall: Syscall, bytes: number, answer: () => Result): Result => {
  const index = LENGTHS[syscall.name]
  if (index === undefined) return answer()
  const { registers } = task
  const register = argumentRegisters[index]!
  const asked = registers.words[register]!
  if (asked > BigInt(bytes)) registers.words[register] = BigInt(bytes)
  const result = answer()
  registers.words[register] = asked
  return result
}

const delayed = (task: Task, nanos: bigint, answer: () => Result): Effect.Effect<number> =>
  Effect.flatMap(
    task.block(() => () => {}, task.system.timekeeper.monotonic() + nanos),
    (wakeup) => {
      if (wakeup === "Signaled") return Effect.succeed(-ERESTARTNOINTR)
      const result = answer()
      return typeof result === "number" ? Effect.succeed(result) : result
    }
  )

export class FaultInjector implements SyscallInjector {
  readonly #armed: Array<Armed>
  readonly #time: VirtualTime
  readonly #onInject: (task: Task, words: string) => void

  /** `onInject` is told of each fault when it happens. Throws for a selector, errno or signal that does not exist. */
  constructor(faults: ReadonlyArray<Fault>, time: VirtualTime, onInject: (task: Task, words: string) => void) {
    this.#time = time
    this.#onInject = onInject
    this.#armed = faults.map((fault) => {
      if (fault._tag === "Failure" && errnoOf(fault.errno) === undefined) throw new Error(`no errno ${fault.errno}`)
      if (fault._tag === "Signal" && signalOf(fault.signal) === undefined) throw new Error(`no signal ${fault.signal}`)
      return { fault, matches: matcherOf(fault.at), seen: 0 }
    })
  }

  readonly intervene: SyscallInjector["intervene"] = (task, syscall, answer) => {
    if (syscall === undefined) return answer()
    let run = answer
    for (const armed of this.#armed) {
      if (armed.seen >= armed.fault.at.nth || !armed.matches(task, syscall)) continue
      armed.seen++
      if (armed.seen < armed.fault.at.nth) continue
      run = this.#apply(armed.fault, task, syscall, run)
    }
    return run()
  }

  /** The rest of the call with the fault in it. */
  #apply(fault: Fault, task: Task, syscall: Syscall, answer: () => Result): () => Result {
    if (fault._tag === "Failure" && NO_RETURN.has(syscall.name)) return answer
    this.#onInject(task, describe(fault))
    switch (fault._tag) {
      case "Failure":
        return () => -errnoOf(fault.errno)!
      case "Short":
        return () => shortened(task, syscall, fault.bytes, answer)
      case "Delay":
        return () => delayed(task, BigInt(fault.millis) * 1_000_000n, answer)
      case "ClockJump":
        this.#time.shift(BigInt(fault.millis) * 1_000_000n)
        return answer
      case "Signal":
        sendToTask(task, { _tag: "Kill", signo: signalOf(fault.signal)!, code: SI_USER, pid: 0, uid: 0 })
        return answer
      case "Death":
        return () => killed(task)
    }
  }
}
