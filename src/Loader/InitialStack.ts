/**
 * What a program finds on its stack: argument and environment strings, the auxiliary vector, argv and envp, argc. The
 * layout is Linux's create_elf_tables, address by address:
 *
 *     stackTop      8 bytes of zeros, then downwards: file name, environment, arguments (each list in order)
 *                   random gap below a page pair, "x86_64", 16 random bytes
 *                   auxiliary vector, envp, argv, argc   ← the stack pointer, a multiple of 16
 */
import * as Aux from "../Abi/AuxVector.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import { RSEQ_ALIGN, RSEQ_FEATURE_SIZE } from "../Abi/Rseq.ts"
import type { Entropy } from "../Time/Entropy.ts"
import type { Credentials } from "../Vfs/Credentials.ts"

const PLATFORM = "x86_64"
/** Ticks per second of times(2). */
const USER_HZ = 100
const WORD = 8

/**
 * What the auxiliary vector says of the processor (the same as the host's, since programs can ask CPUID anyway), and how
 * much memory there is.
 */
export interface Hardware {
  readonly hwcap: number
  readonly hwcap2: number
  /** Bytes of the smallest signal stack, which grow with the processor's extended state. */
  readonly minSigStackSize: number
  /** Bytes of memory and swap. */
  readonly memory: number
}

export interface StackRequest {
  readonly stackTop: number
  readonly path: string
  readonly argv: ReadonlyArray<string>
  readonly envp: ReadonlyArray<string>
  readonly entropy: Entropy
  /** Whether the distance between strings and vectors is random. */
  readonly randomize: boolean
  readonly credentials: Credentials
  /** AT_SECURE: the program gains privileges. */
  readonly secure: boolean
  readonly hardware: Hardware
  readonly programHeaders: { readonly address: number; readonly count: number }
  readonly entry: number
  /** Where the interpreter was loaded; 0 without one. */
  readonly interpreterBase: number
  /** AT_SYSINFO_EHDR: where the vdso is, if there is one. */
  readonly vdso: number | undefined
}

export interface InitialStack {
  readonly stackPointer: number
  /** Everything from the stack pointer up to the top. */
  readonly bytes: Uint8Array
  /** Where the strings begin; what lies below them Linux puts on pages it adds later. */
  readonly argStart: number
  readonly argEnd: number
  readonly envStart: number
  readonly envEnd: number
  readonly auxv: Uint8Array
}

/** Bytes of strings with their NULs. */
export const stringsSize = (strings: ReadonlyArray<string>): number =>
  strings.reduce((sum, text) => sum + text.length + 1, 0)

/** Lays out the stack. Sizes were checked before: see `Loader.ts`. */
export const buildStack = (request: StackRequest): InitialStack => {
  const { argv, envp, path, stackTop } = request
  const pathAt = stackTop - WORD - (path.length + 1)
  const envStart = pathAt - stringsSize(envp)
  const argStart = envStart - stringsSize(argv)

  const random = new Uint8Array(18)
  request.entropy.fill(random)
  const gap = request.randomize ? (random[16]! * 256 + random[17]!) % (2 * PAGE_SIZE) : 0
  const below = argStart - gap
  const platformAt = below - (below % 16) - (PLATFORM.length + 1)
  const randomAt = platformAt - 16

  const { credentials, hardware } = request
  const { userNamespace } = credentials
  const entries: ReadonlyArray<readonly [type: number, value: number]> = [
    ...(request.vdso === undefined ? [] : [[Aux.AT_SYSINFO_EHDR, request.vdso] as const]),
    [Aux.AT_MINSIGSTKSZ, hardware.minSigStackSize],
    [Aux.AT_HWCAP, hardware.hwcap],
    [Aux.AT_PAGESZ, PAGE_SIZE],
    [Aux.AT_CLKTCK, USER_HZ],
    [Aux.AT_PHDR, request.programHeaders.address],
    [Aux.AT_PHENT, 56],
    [Aux.AT_PHNUM, request.programHeaders.count],
    [Aux.AT_BASE, request.interpreterBase],
    [Aux.AT_FLAGS, 0],
    [Aux.AT_ENTRY, request.entry],
    [Aux.AT_UID, userNamespace.userTo(credentials.ruid)],
    [Aux.AT_EUID, userNamespace.userTo(credentials.euid)],
    [Aux.AT_GID, userNamespace.groupTo(credentials.rgid)],
    [Aux.AT_EGID, userNamespace.groupTo(credentials.egid)],
    [Aux.AT_SECURE, request.secure ? 1 : 0],
    [Aux.AT_RANDOM, randomAt],
    [Aux.AT_HWCAP2, hardware.hwcap2],
    [Aux.AT_EXECFN, pathAt],
    [Aux.AT_PLATFORM, platformAt],
    [Aux.AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE],
    [Aux.AT_RSEQ_ALIGN, RSEQ_ALIGN],
    [Aux.AT_NULL, 0]
  ]

  const vectorEnd = randomAt - (randomAt % WORD)
  const words = entries.length * 2 + (argv.length + 1) + (envp.length + 1) + 1
  const unaligned = vectorEnd - words * WORD
  const stackPointer = unaligned - (unaligned % 16)

  const bytes = Buffer.alloc(stackTop - stackPointer)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  let at = 0
  const word = (value: number): void => {
    view.setUint32(at, value, true) // both wrap: an ELF header may claim any address
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
    at += WORD
  }
  const pointers = (strings: ReadonlyArray<string>, start: number): void => {
    let address = start
    for (const text of strings) {
      word(address)
      bytes.write(text, address - stackPointer, "latin1")
      address += text.length + 1
    }
    word(0)
  }
  word(argv.length)
  pointers(argv, argStart)
  pointers(envp, envStart)
  const auxvAt = at
  for (const [type, value] of entries) {
    word(type)
    word(value)
  }
  bytes.set(random.subarray(0, 16), randomAt - stackPointer)
  bytes.write(PLATFORM, platformAt - stackPointer, "latin1")
  bytes.write(path, pathAt - stackPointer, "latin1")
  return {
    stackPointer,
    bytes,
    argStart,
    argEnd: envStart,
    envStart,
    envEnd: pathAt,
    auxv: Uint8Array.from(bytes.subarray(auxvAt, at))
  }
}
