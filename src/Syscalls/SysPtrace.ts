/**
 * ptrace(2): which request, of whom, in which state. Stops are Task/TaskTrace.ts, registers Ptrace/PtraceRegisters.ts.
 */
import * as Effect from "effect/Effect"
import { NT_386_IOPERM, NT_PRFPREG, NT_PRSTATUS, NT_X86_XSTATE } from "../Abi/ElfCore.ts"
import { FXSAVE_SIZE } from "../Abi/ExtendedState.ts"
import { EFAULT, EINVAL, EIO, ENXIO, EOPNOTSUPP, EPERM, ESRCH } from "../Abi/Errno.ts"
import {
  PTRACE_ARCH_PRCTL,
  PTRACE_ATTACH,
  PTRACE_CONT,
  PTRACE_DETACH,
  PTRACE_GETEVENTMSG,
  PTRACE_GETFPREGS,
  PTRACE_GETREGS,
  PTRACE_GETREGSET,
  PTRACE_GETSIGINFO,
  PTRACE_GETSIGMASK,
  PTRACE_GET_RSEQ_CONFIGURATION,
  RseqConfiguration,
  PTRACE_GET_SYSCALL_INFO,
  PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG,
  PTRACE_GET_THREAD_AREA,
  PTRACE_INTERRUPT,
  PTRACE_KILL,
  PTRACE_LISTEN,
  PTRACE_EVENT_EXEC,
  PTRACE_NAMES,
  PTRACE_OLDSETOPTIONS,
  PTRACE_O_MASK,
  PTRACE_PEEKDATA,
  PTRACE_PEEKSIGINFO,
  PTRACE_PEEKSIGINFO_SHARED,
  PTRACE_PEEKTEXT,
  PTRACE_PEEKUSER,
  PTRACE_POKEDATA,
  PTRACE_POKETEXT,
  PTRACE_POKEUSER,
  PTRACE_SECCOMP_GET_FILTER,
  PTRACE_SECCOMP_GET_METADATA,
  PTRACE_SEIZE,
  PTRACE_SETFPREGS,
  PTRACE_SETOPTIONS,
  PTRACE_SETREGS,
  PTRACE_SETREGSET,
  PTRACE_SETSIGINFO,
  PTRACE_SETSIGMASK,
  PTRACE_SET_SYSCALL_INFO,
  PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG,
  PTRACE_SET_THREAD_AREA,
  PTRACE_SINGLESTEP,
  PTRACE_SYSCALL,
  PTRACE_SYSEMU,
  PTRACE_SYSEMU_SINGLESTEP,
  PTRACE_TRACEME,
  PeekSigInfoArgs,
  USER_DEBUGREG,
  USER_SIZE
} from "../Abi/Ptrace.ts"
import { TASK_SIZE } from "../Abi/Mman.ts"
import { Reg, registersSize } from "../Abi/Registers.ts"
import { encodeSigInfo, SIGINFO_SIZE } from "../Abi/SigInfo.ts"
import { NSIG, SIGKILL, SIGTRAP, SI_USER, UNBLOCKABLE } from "../Abi/Signal.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import {
  checkedImage,
  decodeRegisters,
  encodeFpregs,
  encodeImage,
  encodeRegisters,
  setRegister,
  withFpregs
} from "../Ptrace/PtraceRegisters.ts"
import type { Resumption } from "../Ptrace/PtraceState.ts"
import { decodeSyscallInfo, encodeSyscallInfo, type StoppedCall, SYSCALL_INFO_SIZE } from "../Ptrace/SyscallInfo.ts"
import { Mutex } from "../Sync/Mutex.ts"
import { findTask, idFor } from "../Task/PidLookup.ts"
import { mayInspectReally } from "../Task/ProcSubject.ts"
import { declare, hex, oneOf, pid, type Result, type Syscall } from "../Task/Syscall.ts"
import { NO_CALL, type Task } from "../Task/Task.ts"
import { isTraceStopped, sendToTask } from "../Task/TaskSignals.ts"
import { segmentBase } from "./SysPrctl.ts"
import { copyInInfo, userInfo } from "./SysSignal.ts"
import { getDispatch, getThreadArea, setDispatch, setThreadArea } from "./TracedAreas.ts"
import { checkOptions, getFilter, getMetadata } from "./TracedFilters.ts"
import { attach, detach, interruptTracee, listen, resume, traceMe } from "../Task/TaskTrace.ts"

// ---------------------------------------------------------------------------------------------------------------------
// Becoming and ceasing to be a tracer
// ---------------------------------------------------------------------------------------------------------------------

/** Runs `section` with everything about `task`'s tracer and stops held still. */
const exclusively = (task: Task, section: () => number): Result =>
  Mutex.runAll([task.system.taskSet.mutex, task.threadGroup.handlers.mutex], section)

const becomeTracee = (task: Task): Result => exclusively(task, () => (traceMe(task) ? 0 : -EPERM))

const becomeTracer = (task: Task, target: Task, address: number, data: number, seize: boolean): Result => {
  if (seize) {
    if (address !== 0 || data > PTRACE_O_MASK || (data & ~PTRACE_O_MASK) !== 0) return -EIO
    const refused = checkOptions(task, data)
    if (refused < 0) return refused
  }
  return exclusively(target, () => {
    const { threadGroup } = target
    if (threadGroup === task.threadGroup) return -EPERM
    if (!mayInspectReally(task, target)) return -EPERM
    if (!threadGroup.tasks.has(target) || target.ptrace.traced) return -EPERM
    attach(task, target, seize, seize ? data : 0)
    return 0
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// Memory and registers
// ---------------------------------------------------------------------------------------------------------------------

const WORD = 8

const peek = (task: Task, target: Task, address: number, data: number): number => {
  const bytes = new Uint8Array(WORD)
  const isThere =
    target.memory.copyIn(address, bytes) === 0 || target.memoryManager.addressSpace.readForced(address, bytes) === WORD // it may be there, but not for its owner
  return isThere ? task.memory.copyOut(data, bytes) : -EIO
}

const wordOf = (task: Task): bigint => task.registers.words[Reg.r10]!

const poke = (target: Task, address: number, value: bigint): number => {
  const bytes = new Uint8Array(WORD)
  new DataView(bytes.buffer).setBigUint64(0, value, true)
  return target.memoryManager.addressSpace.writeForced(address, bytes) === WORD ? 0 : -EIO
}

const DEBUG_REGISTERS = 8

const isUserOffset = (offset: number): boolean => offset % WORD === 0 && offset < USER_SIZE

/** Which debug register is at an offset of `struct user`; undefined if none is. */
const debugRegisterAt = (offset: number): number | undefined => {
  const index = (offset - USER_DEBUGREG) / WORD
  return index >= 0 && index < DEBUG_REGISTERS ? index : undefined
}

/** 0 where the platform has none. */
const debugRegister = ({ context }: Task, index: number): bigint | number => context.debugRegisters?.read(index) ?? 0n

const peekUser = (task: Task, target: Task, offset: number, data: number): number => {
  if (!isUserOffset(offset)) return -EIO
  const debug = debugRegisterAt(offset)
  const value =
    offset < registersSize
      ? target.registers.words[offset / WORD]!
      : debug === undefined
        ? 0n
        : debugRegister(target, debug)
  return typeof value === "number" ? value : task.memory.writeBigU64(data, value)
}

const pokeUser = (target: Task, offset: number, value: bigint): number => {
  if (!isUserOffset(offset)) return -EIO
  if (offset < registersSize) return setRegister(target.registers, target.ptrace, offset / WORD, value)
  const debug = debugRegisterAt(offset)
  if (debug === undefined) return -EIO
  const { debugRegisters } = target.context
  if (debugRegisters === undefined) return value === 0n && debug !== 4 && debug !== 5 ? 0 : -EIO
  return debugRegisters.write(debug, value)
}

/** The extended state, and then `use` of it; a thread that the host has lost is one that is gone. */
const withExtendedState = (target: Task, use: (image: Uint8Array) => Result | Effect.Effect<number, PlatformFailed>) =>
  Effect.flatMap(target.context.readExtendedState, (image) => {
    const result = use(image)
    return typeof result === "number" ? Effect.succeed(result) : result
  }).pipe(Effect.catch(() => Effect.succeed(-ESRCH)))

const replaceExtendedState = (
  target: Task,
  image: Uint8Array | number
): number | Effect.Effect<number, PlatformFailed> =>
  typeof image === "number" ? image : Effect.as(target.context.writeExtendedState(image), 0)

const copyIn = (task: Task, address: number, size: number): Uint8Array | number => {
  const bytes = new Uint8Array(size)
  return task.memory.copyIn(address, bytes) < 0 ? -EFAULT : bytes
}

/** Word by word: those before one that can't be read are set. */
const setRegisters = (task: Task, target: Task, data: number, size = registersSize): number => {
  const bytes = new Uint8Array(size)
  const count = Math.max(0, task.memory.copyInPartial(data, bytes))
  const result = decodeRegisters(target.registers, target.ptrace, bytes.subarray(0, count))
  return result < 0 || count === size ? result : -EFAULT
}

const getFpregs = (task: Task, target: Task, data: number, size = FXSAVE_SIZE): Result =>
  withExtendedState(target, (image) => task.memory.copyOut(data, encodeFpregs(image).subarray(0, size)))

const setFpregs = (task: Task, target: Task, data: number): Result => {
  const bytes = copyIn(task, data, FXSAVE_SIZE)
  if (typeof bytes === "number") return bytes
  const { extendedState } = target.system.platform
  return withExtendedState(target, (image) => replaceExtendedState(target, withFpregs(image, bytes, extendedState)))
}

/** `struct iovec`. */
const IOVEC_SIZE = 16

/** The buffer of PTRACE_GETREGSET and SETREGSET, cut to the set; its length must be a multiple of the set's words. */
const withRegset = (
  task: Task,
  target: Task,
  type: number,
  data: number,
  run: (kind: number, base: number, length: number) => Result
): Result => {
  const bytes = copyIn(task, data, IOVEC_SIZE)
  if (typeof bytes === "number") return bytes
  const view = new DataView(bytes.buffer)
  const base = Number(view.getBigUint64(0, true))
  const length = view.getBigUint64(8, true)
  const full = regsetSize(target, type)
  if (full === 0 || length % BigInt(WORD) !== 0n) return -EINVAL
  const size = Math.min(Number(length), full)
  const finish = (result: number): number => (result < 0 ? result : task.memory.writeBigU64(data + 8, BigInt(size)))
  const result = run(type, base, size)
  return typeof result === "number" ? finish(result) : Effect.map(result, finish)
}

/** One bit for each port. */
const IO_BITMAP_SIZE = 0x1_0000 / 8

const regsetSize = (target: Task, type: number): number => {
  switch (type) {
    case NT_PRSTATUS:
      return registersSize
    case NT_PRFPREG:
      return FXSAVE_SIZE
    case NT_X86_XSTATE:
      return target.system.platform.extendedState.size
    case NT_386_IOPERM:
      return IO_BITMAP_SIZE
    default:
      return 0
  }
}

const getRegset = (task: Task, target: Task, type: number, data: number): Result =>
  withRegset(task, target, type, data, (kind, base, size) => {
    switch (kind) {
      case NT_PRSTATUS:
        return task.memory.copyOut(base, encodeRegisters(target.registers).subarray(0, size))
      case NT_PRFPREG:
        return getFpregs(task, target, base, size)
      case NT_386_IOPERM:
        return -ENXIO // nobody may use ports
      default:
        return withExtendedState(target, (image) => task.memory.copyOut(base, encodeImage(image).subarray(0, size)))
    }
  })

const setRegset = (task: Task, target: Task, type: number, data: number): Result =>
  withRegset(task, target, type, data, (kind, base, size) => {
    if (kind === NT_386_IOPERM) return -EOPNOTSUPP
    if (base + size > TASK_SIZE) return -EFAULT // of nothing, too
    if (kind === NT_PRSTATUS) return setRegisters(task, target, base, size)
    if (kind === NT_PRFPREG) return size === FXSAVE_SIZE ? setFpregs(task, target, base) : -EINVAL
    if (size !== regsetSize(target, kind)) return -EFAULT
    const bytes = copyIn(task, base, size)
    if (typeof bytes === "number") return bytes
    const { extendedState } = target.system.platform
    return withExtendedState(target, (image) => replaceExtendedState(target, checkedImage(image, bytes, extendedState)))
  })

// ---------------------------------------------------------------------------------------------------------------------
// Signals
// ---------------------------------------------------------------------------------------------------------------------

const getSigInfo = (task: Task, target: Task, data: number): number => {
  const { info } = target.ptrace
  return info === undefined ? -EINVAL : task.memory.copyOut(data, encodeSigInfo(info))
}

const setSigInfo = (task: Task, target: Task, data: number): number => {
  const info = copyInInfo(task, data)
  if (typeof info === "number") return info
  if (target.ptrace.info === undefined) return -EINVAL
  target.ptrace.info = info
  return 0
}

/** Copies of pending signals, as many as there are from an offset on. */
const peekSigInfo = (task: Task, target: Task, address: number, data: number): number => {
  const bytes = copyIn(task, address, PeekSigInfoArgs.size)
  if (typeof bytes === "number") return bytes
  const { flags, nr, off } = PeekSigInfoArgs.decode(bytes)
  if ((flags & ~PTRACE_PEEKSIGINFO_SHARED) !== 0 || nr < 0) return -EINVAL
  if (off > 0x7fff_ffff_ffff_ffffn) return 0
  const { pending } = (flags & PTRACE_PEEKSIGINFO_SHARED) !== 0 ? target.threadGroup : target
  const from = Number(off)
  let copied = 0
  for (const info of pending.all().slice(from, from + nr)) {
    if (task.memory.copyOut(data + copied * SIGINFO_SIZE, encodeSigInfo(info)) < 0) return copied > 0 ? copied : -EFAULT
    copied++
  }
  return copied
}

const getSigMask = (task: Task, target: Task, size: number, data: number): number =>
  size === WORD ? task.memory.writeBigU64(data, target.savedMask ?? target.blocked) : -EINVAL

const setSigMask = (task: Task, target: Task, size: number, data: number): number => {
  if (size !== WORD) return -EINVAL
  const bytes = copyIn(task, data, WORD)
  if (typeof bytes === "number") return bytes
  target.savedMask = undefined
  target.blocked = new DataView(bytes.buffer).getBigUint64(0, true) & ~UNBLOCKABLE
  return 0
}

// ---------------------------------------------------------------------------------------------------------------------
// Dispatch
// ---------------------------------------------------------------------------------------------------------------------

const RESUMPTIONS = new Map<number, readonly [Resumption, stepping: boolean]>([
  [PTRACE_CONT, ["Continue", false]],
  [PTRACE_SYSCALL, ["Syscall", false]],
  [PTRACE_SYSEMU, ["Emulate", false]],
  [PTRACE_SINGLESTEP, ["Continue", true]],
  [PTRACE_SYSEMU_SINGLESTEP, ["Emulate", true]]
])

const stoppedCall = ({ call, ptrace, registers }: Task): StoppedCall => ({
  registers,
  info: ptrace.info,
  message: ptrace.message,
  isI386: call.nr === NO_CALL && call.isI386
})

/** The request to `target`, a tracee of `task` in a ptrace-stop. */
const requestOfStopped = (task: Task, target: Task, request: number, address: number, data: number): Result => {
  const { ptrace } = target
  const resumption = RESUMPTIONS.get(request)
  if (resumption !== undefined || request === PTRACE_DETACH) {
    if (data > NSIG) return -EIO
    return exclusively(target, () => {
      if (resumption === undefined) detach(target, data)
      else resume(target, ...resumption, data)
      return 0
    })
  }
  switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA:
      return peek(task, target, address, data)
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA:
      return poke(target, address, wordOf(task))
    case PTRACE_PEEKUSER:
      return peekUser(task, target, address, data)
    case PTRACE_POKEUSER:
      return pokeUser(target, address, wordOf(task))
    case PTRACE_GETREGS:
      return task.memory.copyOut(data, encodeRegisters(target.registers))
    case PTRACE_SETREGS:
      return setRegisters(task, target, data)
    case PTRACE_GETFPREGS:
      return getFpregs(task, target, data)
    case PTRACE_SETFPREGS:
      return setFpregs(task, target, data)
    case PTRACE_GETREGSET:
      return getRegset(task, target, task.registers.uint(Reg.rdx), data)
    case PTRACE_SETREGSET:
      return setRegset(task, target, task.registers.uint(Reg.rdx), data)
    case PTRACE_GET_THREAD_AREA:
      return getThreadArea(task, task.registers.int(Reg.rdx), data)
    case PTRACE_SET_THREAD_AREA:
      return setThreadArea(task, task.registers.int(Reg.rdx), data)
    case PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG:
      return setDispatch(task, address, data)
    case PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG:
      return getDispatch(task, address, data)
    case PTRACE_ARCH_PRCTL:
      return segmentBase(task, target, data, BigInt(address))
    case PTRACE_OLDSETOPTIONS:
    case PTRACE_SETOPTIONS: {
      if (data > PTRACE_O_MASK || (data & ~PTRACE_O_MASK) !== 0) return -EINVAL
      const refused = checkOptions(task, data)
      if (refused === 0) ptrace.options = data
      return refused
    }
    case PTRACE_GETEVENTMSG:
      return task.memory.writeBigU64(data, ptrace.message)
    case PTRACE_GETSIGINFO:
      return getSigInfo(task, target, data)
    case PTRACE_SETSIGINFO:
      return setSigInfo(task, target, data)
    case PTRACE_PEEKSIGINFO:
      return peekSigInfo(task, target, address, data)
    case PTRACE_GETSIGMASK:
      return getSigMask(task, target, address, data)
    case PTRACE_SETSIGMASK:
      return setSigMask(task, target, address, data)
    case PTRACE_LISTEN:
      return exclusively(target, () => (listen(target) ? 0 : -EIO))
    case PTRACE_GET_SYSCALL_INFO: {
      const bytes = encodeSyscallInfo(stoppedCall(target))
      const copied = task.memory.copyOut(data, bytes.subarray(0, Math.min(address, bytes.length)))
      return copied < 0 ? copied : bytes.length
    }
    case PTRACE_SET_SYSCALL_INFO: {
      if (address < SYSCALL_INFO_SIZE) return -EINVAL
      const bytes = copyIn(task, data, SYSCALL_INFO_SIZE)
      return typeof bytes === "number" ? bytes : decodeSyscallInfo(stoppedCall(target), bytes)
    }
    case PTRACE_SECCOMP_GET_FILTER:
      return getFilter(task, target, address, data)
    case PTRACE_SECCOMP_GET_METADATA:
      return getMetadata(task, target, address, data)
    case PTRACE_GET_RSEQ_CONFIGURATION: {
      const bytes = RseqConfiguration.encode({
        rseq_abi_pointer: target.rseq?.address ?? 0,
        rseq_abi_size: target.rseq?.length ?? 0,
        signature: target.rseq?.signature ?? 0,
        flags: 0,
        pad: 0
      })
      return task.memory.copyOut(data, bytes.subarray(0, Math.min(address, bytes.length))) < 0 ? -EFAULT : bytes.length
    }
    default:
      return -EIO
  }
}

/**
 * A thread has become the leader by execve(2), and wait(2) has not said so yet: whoever asks for the leader most probably
 * means the one that is gone.
 */
const isUnnoticedExec = (task: Task, { ptrace, tid }: Task): boolean =>
  ptrace.code === (SIGTRAP | (PTRACE_EVENT_EXEC << 8)) && BigInt(idFor(task, tid)) !== ptrace.message

const ptrace = (task: Task, request: number, id: number, address: number, data: number): Result => {
  if (request === PTRACE_TRACEME) return becomeTracee(task)
  const target = findTask(task, id)
  if (target === undefined) return -ESRCH
  if (request === PTRACE_ATTACH || request === PTRACE_SEIZE) {
    return becomeTracer(task, target, address, data, request === PTRACE_SEIZE)
  }
  if (target.ptrace.tracer !== task) return -ESRCH
  if (request === PTRACE_KILL) {
    sendToTask(target, userInfo(task, target.threadGroup, SIGKILL, SI_USER))
    return 0
  }
  if (request === PTRACE_INTERRUPT) {
    if (!target.ptrace.seized) return -EIO
    return exclusively(target, () => {
      interruptTracee(target)
      return 0
    })
  }
  if (!isTraceStopped(target) || target.ptrace.listening || isUnnoticedExec(task, target)) return -ESRCH
  return requestOfStopped(task, target, request, address, data)
}

const longRequest = { ...oneOf("request", PTRACE_NAMES), decoding: "long" } as const

export const sysPtrace: ReadonlyArray<Syscall> = [
  declare("ptrace", [longRequest, pid("pid"), hex("addr"), hex("data")], ptrace, {
    partial:
      "SINGLEBLOCK is EIO; thread areas are empty, and syscall user dispatch is off: EINVAL for what would change that"
  })
]
