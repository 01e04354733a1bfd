/**
 * Turns a file into a running program, execve(2), in the two steps that Linux has:
 *
 * - `prepare` opens the program, follows `#!` lines, reads the ELF headers and opens the interpreter. It fails with an
 *   errno and changes nothing.
 * - `commit` fills a fresh address space. The old program is gone by then, so a failure has nobody to be told: as in
 *   Linux, the task dies of SIGSEGV.
 */
import * as Effect from "effect/Effect"
import { E2BIG, EACCES, EFAULT, EINVAL, ELIBBAD, ELOOP, ENOENT, ENOEXEC } from "../Abi/Errno.ts"
import { Elf64Ehdr, ET_DYN, PF_X, PT_GNU_STACK, PT_INTERP } from "../Abi/Elf.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from "../Abi/Mman.ts"
import { Reg } from "../Abi/Registers.ts"
import { makeLayout, pageAlign, pageStart, randomizeHeap } from "../Memory/AddressLayout.ts"
import { MemoryManager } from "../Memory/MemoryManager.ts"
import { anonymous, VMA_GROWSDOWN } from "../Memory/Vma.ts"
import type { BinaryFormat, PlatformContext } from "../Platform/Platform.ts"
import type { Entropy } from "../Time/Entropy.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import type { OpenFileDescription } from "../Vfs/OpenFileDescription.ts"
import {
  decodeHeader,
  type ElfImage,
  hasElfMagic,
  isLoadable,
  isMachine,
  readBytes,
  readExactly,
  readProgramHeaders
} from "./ElfImage.ts"
import { buildStack, type Hardware, stringsSize } from "./InitialStack.ts"
import { BINPRM_BUF_SIZE, isScript, parseScriptLine } from "./Script.ts"
import { type LoadedImage, SegmentMap } from "./SegmentMap.ts"
import type { Vdso } from "./Vdso.ts"

/** Bytes of one argument or environment string, NUL included. */
export const MAX_ARG_STRLEN = 131072
/** Bytes of all strings together, at least and at most. */
const ARG_MAX = 131072
const STRINGS_MAX = 6 * 1024 * 1024
/** A script's interpreter may itself be a script, and so on: five times. */
const MAX_INTERPRETERS = 5
const PATH_MAX = 4096
/** What Linux adds to the stack beyond the strings at once. */
const STACK_EXPAND = 131072
/** The largest stack that is mapped ahead; beyond it a stack grows by faults. */
const PREMAPPED_STACK = 64 * 1024 * 1024
const USER_CODE_SEGMENT = 0x33n
const USER_DATA_SEGMENT = 0x2bn
/** Interrupts are enabled; the other bit is always set. */
const INITIAL_FLAGS = 0x202n

/** Which program to load. Strings are byte strings. */
export interface PrepareRequest {
  /**
   * Opens a file for execution: the caller's path walk with its permission checks. The description's reference goes to
   * the loader.
   */
  readonly open: (path: string) => OpenFileDescription | number
  readonly path: string
  readonly argv: ReadonlyArray<string>
  readonly envp: ReadonlyArray<string>
  /** RLIMIT_STACK, bytes. */
  readonly stackLimit: number
  /** The path names a close-on-exec descriptor: no script can be read through it. */
  readonly pathInaccessible?: boolean
  /** What the platform can run besides ELF. */
  readonly binaryFormat?: BinaryFormat | undefined
}

/** A program that can be loaded. Holds open files until `commit` or `release`. */
export interface PreparedProgram {
  readonly request: PrepareRequest
  readonly program: ElfImage
  readonly interpreter: ElfImage | undefined
  /** With what `#!` lines add. */
  readonly argv: ReadonlyArray<string>
  readonly executableStack: boolean
}

/** Into what, and as whom. */
export interface CommitRequest {
  /** Fresh: nothing is mapped. */
  readonly context: PlatformContext
  readonly platform: { readonly taskSize: number }
  readonly credentials: Credentials
  /** AT_SECURE. */
  readonly secure: boolean
  readonly entropy: Entropy
  /** Whether addresses are random (kernel.randomize_va_space, ADDR_NO_RANDOMIZE). */
  readonly randomize: boolean
  readonly hardware: Hardware
  /** Mapped into the program, where the platform runs machine code. */
  readonly vdso: Vdso | undefined
  /** Whether it tells the time: not where the program's clocks are not the kernel's. */
  readonly tellsTime: boolean
}

export interface LoadedProgram {
  readonly memoryManager: MemoryManager
  /** comm: the last component of the path, at most 15 bytes. */
  readonly commandName: string
  /** Where the first instruction is. */
  readonly entry: number
}

/** `prepare` and `commit` in one. */
export const load = (request: PrepareRequest & CommitRequest): Effect.Effect<LoadedProgram | number> =>
  Effect.suspend(() => {
    const prepared = prepare(request)
    return typeof prepared === "number" ? Effect.succeed(prepared) : commit(prepared, request)
  })

/** Lets go of a prepared program that is not going to be loaded. */
export const release = (prepared: PreparedProgram): void => {
  prepared.program.file.release()
  prepared.interpreter?.file.release()
}

/** Opens and checks everything; -errno as execve(2) would fail. */
export const prepare = (request: PrepareRequest): PreparedProgram | number => {
  let file = request.open(request.path)
  if (typeof file === "number") return file
  let name = request.path
  let argv = request.argv.length === 0 ? [""] : request.argv // Linux gives a program at least argv[0]
  const tooBig = (): boolean => exceedsLimits(request, argv)
  for (let depth = 0; ; depth++) {
    const failed = (errno: number): number => {
      if (typeof file !== "number") file.release()
      return -errno
    }
    if (depth > MAX_INTERPRETERS) return failed(ELOOP)
    if (tooBig()) return failed(E2BIG)
    const head = readBytes(file, BINPRM_BUF_SIZE, 0)
    if (typeof head === "number") return failed(-head)
    const text = Buffer.from(head).toString("latin1").padEnd(BINPRM_BUF_SIZE, "\0")
    if (!isScript(text)) {
      const prepared = prepareElf(request, file, Buffer.from(text, "latin1"), argv)
      return typeof prepared === "number" ? failed(-prepared) : prepared
    }
    const line = parseScriptLine(text)
    if (line === undefined) return failed(ENOEXEC)
    if (request.pathInaccessible === true && depth === 0) return failed(ENOENT)
    argv = [line.interpreter, ...(line.argument === undefined ? [] : [line.argument]), name, ...argv.slice(1)]
    name = line.interpreter
    file.release()
    file = openNamed(request, name)
    if (typeof file === "number") return file
  }
}

/** Opens what a file names as its interpreter. To Linux no name means the working directory, which cannot be executed. */
const openNamed = (request: PrepareRequest, path: string): OpenFileDescription | number =>
  path === "" ? -EACCES : request.open(path)

/** Whether the strings are more than execve(2), "Limits on size of arguments and environment", allows. */
const exceedsLimits = (request: PrepareRequest, argv: ReadonlyArray<string>): boolean => {
  const { envp, path, stackLimit } = request
  const limit = Math.max(ARG_MAX, Math.min(STRINGS_MAX, Math.floor(stackLimit / 4)))
  const pointers = (request.argv.length + envp.length) * 8
  const strings = path.length + 1 + stringsSize(envp) + stringsSize(argv)
  const tooLong = (text: string): boolean => text.length + 1 > MAX_ARG_STRLEN
  return pointers >= limit || strings > limit - pointers || argv.some(tooLong) || envp.some(tooLong)
}

/** Linux's load_elf_binary up to the point of no return. Does not release `file` when it fails. */
const prepareElf = (
  request: PrepareRequest,
  file: OpenFileDescription,
  head: Uint8Array,
  argv: ReadonlyArray<string>
): PreparedProgram | number => {
  const own = request.binaryFormat?.(head)
  if (own !== undefined) {
    return { request, program: { file, ...own }, interpreter: undefined, argv, executableStack: false }
  }
  if (!hasElfMagic(head)) return -ENOEXEC
  const header = decodeHeader(head)
  if (!isLoadable(header) || typeof file.mappable() === "number") return -ENOEXEC
  const programHeaders = readProgramHeaders(file, header)
  if (programHeaders === undefined) return -ENOEXEC

  const named = programHeaders.find((segment) => segment.p_type === PT_INTERP)
  let interpreter: ElfImage | undefined
  if (named !== undefined) {
    if (named.p_filesz > PATH_MAX || named.p_filesz < 2) return -ENOEXEC
    const bytes = readExactly(file, named.p_filesz, named.p_offset)
    if (typeof bytes === "number") return bytes
    if (bytes.at(-1) !== 0) return -ENOEXEC
    const opened = openInterpreter(request, Buffer.from(bytes).toString("latin1", 0, bytes.indexOf(0)))
    if (typeof opened === "number") return opened
    interpreter = opened
  }
  const stack = programHeaders.findLast((segment) => segment.p_type === PT_GNU_STACK)
  return {
    request,
    program: { file, header, programHeaders },
    interpreter,
    argv,
    executableStack: stack !== undefined && (stack.p_flags & PF_X) !== 0
  }
}

const openInterpreter = (request: PrepareRequest, path: string): ElfImage | number => {
  const file = openNamed(request, path)
  if (typeof file === "number") return file
  const failed = (result: number): number => {
    file.release()
    return result
  }
  const head = readExactly(file, Elf64Ehdr.size, 0)
  if (typeof head === "number") return failed(head)
  const header = decodeHeader(head)
  if (!hasElfMagic(head) || !isMachine(header.e_machine)) return failed(-ELIBBAD)
  const programHeaders = readProgramHeaders(file, header)
  return programHeaders === undefined ? failed(-ELIBBAD) : { file, header, programHeaders }
}

/**
 * Loads a prepared program into a fresh context and sets its registers. The prepared files are let go in any case. On
 * -errno the context is unusable: release it, and kill the task as Linux does (SIGSEGV).
 */
export const commit = (prepared: PreparedProgram, request: CommitRequest): Effect.Effect<LoadedProgram | number> =>
  Effect.ensuring(
    Effect.suspend(() => {
      const { context, platform } = request
      const entropy = request.randomize ? request.entropy : undefined
      const manager = new MemoryManager(
        context.addressSpace,
        makeLayout(platform.taskSize, prepared.request.stackLimit, entropy),
        request.hardware.memory
      )
      return Effect.tap(fill(prepared, request, manager), (result) =>
        Effect.sync(() => {
          if (typeof result === "number") manager.leave()
        })
      )
    }),
    Effect.sync(() => release(prepared))
  )

/** Plans everything, makes it real in one change, and writes what must be written. */
const fill = (
  prepared: PreparedProgram,
  request: CommitRequest,
  manager: MemoryManager
): Effect.Effect<LoadedProgram | number> => {
  const { interpreter, program } = prepared
  const { layout } = manager
  const segments = new SegmentMap(manager)
  addStack(prepared, manager, segments)

  const loaded = segments.addProgram(program, interpreter !== undefined)
  if (typeof loaded === "number") return Effect.succeed(loaded)
  const started =
    interpreter === undefined
      ? { base: 0, entry: loaded.entry }
      : !isLoadable(interpreter.header) || typeof interpreter.file.mappable() === "number"
        ? -ELIBBAD
        : segments.addInterpreter(interpreter, loaded.bias)
  if (typeof started === "number") return Effect.succeed(started)
  if (started.entry < 0 || started.entry >= layout.taskSize) return Effect.succeed(-EINVAL)
  const vdso = request.vdso?.addTo(manager, segments, request.tellsTime)
  if (vdso !== undefined && vdso < 0) return Effect.succeed(vdso)

  const stack = buildStack({
    stackTop: layout.stackTop,
    path: prepared.request.path,
    argv: prepared.argv,
    envp: prepared.request.envp,
    entropy: request.entropy,
    randomize: request.randomize,
    credentials: request.credentials,
    secure: request.secure,
    hardware: request.hardware,
    programHeaders: { address: loaded.programHeaders, count: program.header.e_phnum },
    entry: loaded.entry,
    interpreterBase: started.base,
    vdso
  })
  describeImage(prepared, request, manager, loaded)
  const { argEnd, argStart, auxv, envEnd, envStart, stackPointer } = stack
  Object.assign(manager.image, { argEnd, argStart, auxv, envEnd, envStart, startStack: stackPointer })

  const finish = (result: number): LoadedProgram | number => {
    if (result < 0) return result
    const { memory } = manager
    for (const { address, length } of segments.zeros) {
      if (memory.copyOut(address, new Uint8Array(length)) < 0) return -EFAULT
    }
    if (memory.copyOut(stackPointer, stack.bytes) < 0) return -EFAULT
    setRegisters(request.context, started.entry, stackPointer)
    return { memoryManager: manager, commandName: commandName(prepared.request.path), entry: started.entry }
  }
  return Effect.map(manager.exclusive(manager.addressSpace.change(segments.changes)), finish)
}

/** The stack: mapped as far as RLIMIT_STACK allows it to grow, shown as large as Linux makes it at first. */
const addStack = (prepared: PreparedProgram, manager: MemoryManager, segments: SegmentMap): void => {
  const { request } = prepared
  const { stackTop } = manager.layout
  const pointers = (prepared.argv.length + request.envp.length + 64) * 8
  const strings = stringsSize(prepared.argv) + stringsSize(request.envp) + request.path.length + 1
  const needed = pageAlign(strings + pointers + 4 * PAGE_SIZE)
  const limit = pageStart(Math.min(request.stackLimit, PREMAPPED_STACK))
  const visible = Math.max(needed, Math.min(limit, pageAlign(strings) + STACK_EXPAND))
  const mapped = Math.max(visible, limit)
  const protection = PROT_READ | PROT_WRITE | (prepared.executableStack ? PROT_EXEC : 0)
  const vma = anonymous(stackTop - mapped, stackTop, protection)
  segments.add({ ...vma, flags: vma.flags | VMA_GROWSDOWN, ungrown: mapped - visible })
}

const describeImage = (
  prepared: PreparedProgram,
  request: CommitRequest,
  manager: MemoryManager,
  loaded: LoadedImage
): void => {
  const { image, layout } = manager
  const { endCode, endData, startCode, startData } = loaded
  const entropy = request.randomize ? request.entropy : undefined
  // a dynamic loader run as a program sits among the mappings: its heap goes where it can grow
  const standsAlone = prepared.program.header.e_type === ET_DYN && prepared.interpreter === undefined
  const brk = standsAlone ? layout.dynamicBase : loaded.brk
  const gap = entropy === undefined || standsAlone ? 0 : PAGE_SIZE
  const startBrk = pageAlign(randomizeHeap(pageAlign(brk) + gap, entropy))
  Object.assign(image, { startCode, endCode, startData, endData, startBrk })
  image.exe = prepared.program.file.retain()
  manager.brkEnd = startBrk
}

const setRegisters = (context: PlatformContext, entry: number, stackPointer: number): void => {
  const { registers } = context
  registers.words.fill(0n)
  registers.set(Reg.orig_rax, -1) // no system call is in progress
  registers.set(Reg.rip, entry)
  registers.set(Reg.rsp, stackPointer)
  registers.words[Reg.cs] = USER_CODE_SEGMENT
  registers.words[Reg.ss] = USER_DATA_SEGMENT
  registers.words[Reg.eflags] = INITIAL_FLAGS
}

/** comm of a program loaded from `path`. */
export const commandName = (path: string): string => path.slice(path.lastIndexOf("/") + 1).slice(0, 15)
