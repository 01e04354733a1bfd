/**
 * The notes of a core file, core(5): what the process and its threads were, the thread that took the signal first.
 */
import * as Effect from "effect/Effect"
import {
  ElfPrpsinfo,
  ElfPrstatus,
  NT_AUXV,
  NT_FILE,
  NT_PRFPREG,
  NT_PRPSINFO,
  NT_PRSTATUS,
  NT_SIGINFO,
  NT_X86_XSAVE_LAYOUT,
  NT_X86_XSTATE,
  XfeatComponent
} from "../Abi/ElfCore.ts"
import { FXSAVE_SIZE, SOFTWARE, XSTATE_HEADER_END } from "../Abi/ExtendedState.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import { encodeSigInfo } from "../Abi/SigInfo.ts"
import { timevalOfNanos } from "../Abi/Time.ts"
import { isFile, visibleStart, type Vma } from "../Memory/Vma.ts"
import { bind } from "../Platform/Native.ts"
import { encodeFpregs, encodeRegisters } from "../Ptrace/PtraceRegisters.ts"
import { isKernels } from "./CoreAreas.ts"
import type { Task } from "./Task.ts"
import { type CoreDump, groupUsage, taskUsage } from "./ThreadGroup.ts"

/** Of a note: sizes, type, and eight bytes of owner. */
const HEADER_SIZE = 20
/** A file note that is larger is left out. */
const MAX_FILE_NOTE = 4 * 1024 * 1024
/** Of the arguments, the last byte a NUL. */
const ARGUMENTS_SIZE = 80
/** PF_DUMPCORE, PF_SIGNALED, and what every process has. */
const FLAGS = 0x200n | 0x400n | 0x40_0000n

/** A note as it is in the file: `owner` has fewer than eight characters. */
const note = (owner: "CORE" | "LINUX", type: number, description: Uint8Array): Uint8Array => {
  const bytes = Buffer.alloc(HEADER_SIZE + Math.ceil(description.length / 4) * 4)
  bytes.writeUInt32LE(owner.length + 1, 0)
  bytes.writeUInt32LE(description.length, 4)
  bytes.writeUInt32LE(type, 8)
  bytes.write(owner, 12, "latin1")
  bytes.set(description, HEADER_SIZE)
  return bytes
}

/** How far a note says whose and what it is, and how many of its bytes only align what follows. */
export const partsOf = (note: Uint8Array): { readonly said: number; readonly padding: number } => {
  const view = new DataView(note.buffer, note.byteOffset, note.byteLength)
  const said = 12 + view.getUint32(0, true)
  return { said, padding: note.length - said - view.getUint32(4, true) }
}

/** The bytes of a string, cut so that a NUL ends it. */
const text = (value: string, size: number): Uint8Array => Buffer.from(value, "latin1").subarray(0, size - 1)

/** The ids that both kinds of status have, as the process itself calls them. */
const idsOf = ({ threadGroup: group }: Task) => ({
  pr_ppid: group.parentIn(group.pidNamespace),
  pr_pgrp: group.pidNamespace.toInside(group.processGroup.id),
  pr_sid: group.pidNamespace.toInside(group.processGroup.session.id)
})

const statusNote = (task: Task, signo: number): Uint8Array => {
  const group = task.threadGroup
  const used = task.isLeader ? groupUsage(group) : taskUsage(task)
  return note(
    "CORE",
    NT_PRSTATUS,
    ElfPrstatus.encode({
      si_signo: signo,
      si_code: 0,
      si_errno: 0,
      pr_cursig: signo,
      pr_sigpend: task.pending.set,
      pr_sighold: task.blocked,
      pr_pid: task.ownTid,
      ...idsOf(task),
      pr_utime: timevalOfNanos(used.user),
      pr_stime: timevalOfNanos(used.system),
      pr_cutime: timevalOfNanos(group.childUsage.user),
      pr_cstime: timevalOfNanos(group.childUsage.system),
      pr_reg: encodeRegisters(task.registers),
      pr_fpvalid: 1
    })
  )
}

/** The command line, NULs as spaces. */
const argumentsOf = ({ memoryManager }: Task): Uint8Array => {
  const { argEnd, argStart } = memoryManager.image
  const bytes = new Uint8Array(Math.min(Math.max(argEnd - argStart, 0), ARGUMENTS_SIZE - 1))
  const read = memoryManager.addressSpace.read(argStart, bytes)
  return bytes.subarray(0, read).map((byte) => (byte === 0 ? 0x20 : byte))
}

const processNote = (task: Task): Uint8Array => {
  const { credentials, threadGroup } = task
  const described = threadGroup.leader ?? task
  return note(
    "CORE",
    NT_PRPSINFO,
    ElfPrpsinfo.encode({
      pr_state: 0,
      pr_sname: "R".charCodeAt(0),
      pr_zomb: 0,
      pr_nice: described.niceness & 0xff,
      pr_flag: FLAGS,
      pr_uid: credentials.userNamespace.userTo(credentials.ruid),
      pr_gid: credentials.userNamespace.groupTo(credentials.rgid),
      pr_pid: threadGroup.ownTgid,
      ...idsOf(task),
      pr_fname: text(described.commandName, 16),
      pr_psargs: argumentsOf(task)
    })
  )
}

/** Which parts of which files are mapped where; nothing if that is too much to say. */
const fileNotes = (areas: ReadonlyArray<Vma>): ReadonlyArray<Uint8Array> => {
  const ranges: Array<number> = []
  const names: Array<string> = []
  for (const vma of areas) {
    if (vma.backing === undefined || isKernels(vma)) continue
    const { object, offset } = vma.backing
    ranges.push(visibleStart(vma), vma.end, (offset + vma.ungrown) / PAGE_SIZE)
    names.push(`${isFile(object) ? object.describe() : object.name}\0`)
  }
  const header = new BigUint64Array([names.length, PAGE_SIZE, ...ranges].map(BigInt))
  const description = Buffer.concat([new Uint8Array(header.buffer), Buffer.from(names.join(""), "latin1")])
  return description.length > MAX_FILE_NOTE || names.length === 0 ? [] : [note("CORE", NT_FILE, description)]
}

/** What is said once: of the process, the signal, and its memory. */
const processNotes = (dump: CoreDump, areas: ReadonlyArray<Vma>): ReadonlyArray<Uint8Array> => {
  const { dumper, info } = dump
  return [
    processNote(dumper),
    note("CORE", NT_SIGINFO, encodeSigInfo(info)),
    note("CORE", NT_AUXV, dumper.memoryManager.image.auxv),
    ...fileNotes(areas)
  ]
}

const component = bind<[component: number, out: Uint32Array], number>(
  "int sentry_xstate_component(uint32_t component, uint32_t *out)"
)

/** Where the components after x87 and SSE are. */
const layoutNotes = (features: bigint): ReadonlyArray<Uint8Array> => {
  const known: Array<Uint8Array> = []
  const found = new Uint32Array(2)
  for (let type = 2; type < 63; type++) {
    if (((features >> BigInt(type)) & 1n) === 0n || component(type, found) === 0) continue
    known.push(XfeatComponent.encode({ type, size: found[0]!, offset: found[1]!, flags: 0 }))
  }
  return known.length === 0 ? [] : [note("LINUX", NT_X86_XSAVE_LAYOUT, Buffer.concat(known))]
}

/** The vector and floating point registers; of a thread that the host has lost meanwhile, zeros. */
const stateNotes = (task: Task): Effect.Effect<ReadonlyArray<Uint8Array>> => {
  const { features, size } = task.system.platform.extendedState
  if (size < XSTATE_HEADER_END) return Effect.succeed([]) // no machine code runs
  return Effect.map(
    Effect.catch(task.context.readExtendedState, () => Effect.succeed(new Uint8Array(size))),
    (image) => {
      const whole = new Uint8Array(size)
      whole.set(image.subarray(0, size))
      new DataView(whole.buffer).setBigUint64(SOFTWARE, features, true)
      return [note("CORE", NT_PRFPREG, encodeFpregs(whole)), note("LINUX", NT_X86_XSTATE, whole)]
    }
  )
}

/** All notes of a core file, made one thread at a time: there may be thousands. */
export class CoreNotes {
  readonly #dump: CoreDump
  readonly #process: ReadonlyArray<Uint8Array>
  /** Those that come last. */
  readonly last: ReadonlyArray<Uint8Array>
  /** The threads, the one that took the signal first. */
  readonly threads: ReadonlyArray<Task>
  /** Bytes. */
  readonly size: number

  constructor(dump: CoreDump, areas: ReadonlyArray<Vma>) {
    const { features, size } = dump.dumper.system.platform.extendedState
    this.#dump = dump
    this.threads = [dump.dumper, ...dump.waiting]
    this.#process = processNotes(dump, areas)
    const hasState = size >= XSTATE_HEADER_END
    this.last = hasState ? layoutNotes(features) : []
    const stateSize = hasState ? 2 * HEADER_SIZE + FXSAVE_SIZE + Math.ceil(size / 4) * 4 : 0
    const common = [...this.#process, ...this.last].reduce((sum, bytes) => sum + bytes.length, 0)
    this.size = common + this.threads.length * (HEADER_SIZE + ElfPrstatus.size + stateSize)
  }

  /** Those of thread number `index`, and those of the process with the first. */
  ofThread(index: number): Effect.Effect<ReadonlyArray<Uint8Array>> {
    const task = this.threads[index]!
    const status = statusNote(task, this.#dump.info.signo)
    return Effect.map(stateNotes(task), (state) => [status, ...(index === 0 ? this.#process : []), ...state])
  }
}
