/**
 * The parts of prctl(2) that concern memory: PR_SET_MM, PR_SET_VMA, PR_SET_MDWE, PR_GET_AUXV.
 */
import { CAP_SYS_RESOURCE } from "../Abi/Capability.ts"
import { EACCES, EBADF, EBUSY, EFAULT, EINVAL, EPERM } from "../Abi/Errno.ts"
import { isRegular } from "../Abi/FileMode.ts"
import * as Pr from "../Abi/Prctl.ts"
import * as Struct from "../Abi/Struct.ts"
import { MINIMUM_ADDRESS } from "../Memory/AddressLayout.ts"
import type { MemoryManager, ProgramImage } from "../Memory/MemoryManager.ts"
import { nameRegion } from "../Memory/NameRegion.ts"
import type { Result } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { fileOf } from "./Blocking.ts"

// ---- names

/** ANON_VMA_NAME_MAX_LEN, with the NUL. */
const NAME_LENGTH = 80
/** Printable, and none of these. */
const BAD_NAME = /[^\x20-\x7e]|[\\`$[\]]/

export const setVma = (task: Task, option: number, address: number, length: number, at: number): Result => {
  if (option !== Pr.PR_SET_VMA_ANON_NAME) return -EINVAL
  if (at === 0) return nameRegion(task.memoryManager, address, length, undefined)
  const name = task.memory.copyInString(at, NAME_LENGTH)
  if (typeof name === "number") return name === -EFAULT ? -EFAULT : -EINVAL
  return BAD_NAME.test(name) ? -EINVAL : nameRegion(task.memoryManager, address, length, name)
}

// ---- policy

export const setMdwe = ({ memoryManager }: Task, bits: number, rest: boolean): number => {
  if (rest || (bits & ~(Pr.PR_MDWE_REFUSE_EXEC_GAIN | Pr.PR_MDWE_NO_INHERIT)) !== 0 || bits > 3) return -EINVAL
  if (bits === Pr.PR_MDWE_NO_INHERIT) return -EINVAL
  const { policy } = memoryManager
  if (policy.mdwe !== 0 && policy.mdwe !== bits) return -EPERM
  memoryManager.policy = { ...policy, mdwe: bits }
  return 0
}

/** PR_THP_DISABLE_EXCEPT_ADVISED. */
const EXCEPT_ADVISED = 2

export const setHugePagesDisabled = ({ memoryManager }: Task, disable: number, bits: number, rest: boolean): number => {
  if (rest || (disable === 0 && bits !== 0) || (bits !== 0 && bits !== EXCEPT_ADVISED)) return -EINVAL
  memoryManager.policy = { ...memoryManager.policy, hugePagesDisabled: disable === 0 ? 0 : 1 | bits }
  return 0
}

/** PR_GET_AUXV: the whole vector's size; as much of it as fits is copied. */
export const getAuxv = (task: Task, at: number, length: number): number => {
  const image = task.memoryManager.image.auxv
  // as Linux keeps it: room for every entry there may ever be
  const saved = new Uint8Array(Math.max(SAVED_AUXV, image.length))
  saved.set(image)
  const error = task.memory.copyOut(at, saved.subarray(0, Math.min(length, saved.length)))
  return error < 0 ? error : saved.length
}

/** sizeof(mm_struct.saved_auxv) of Linux 6. */
const SAVED_AUXV = 56 * 8

// ---- PR_SET_MM

const MmMap = Struct.make("prctl_mm_map", {
  start_code: Struct.ulong,
  end_code: Struct.ulong,
  start_data: Struct.ulong,
  end_data: Struct.ulong,
  start_brk: Struct.ulong,
  brk: Struct.ulong,
  start_stack: Struct.ulong,
  arg_start: Struct.ulong,
  arg_end: Struct.ulong,
  env_start: Struct.ulong,
  env_end: Struct.ulong,
  auxv: Struct.ulong,
  auxv_size: Struct.u32,
  exe_fd: Struct.u32
})

/** The addresses that PR_SET_MM sets, by option; the break is the manager's own. */
const PARTS = new Map<number, Exclude<keyof ProgramImage, "auxv" | "exe"> | "brk">([
  [Pr.PR_SET_MM_START_CODE, "startCode"],
  [Pr.PR_SET_MM_END_CODE, "endCode"],
  [Pr.PR_SET_MM_START_DATA, "startData"],
  [Pr.PR_SET_MM_END_DATA, "endData"],
  [Pr.PR_SET_MM_START_STACK, "startStack"],
  [Pr.PR_SET_MM_START_BRK, "startBrk"],
  [Pr.PR_SET_MM_BRK, "brk"],
  [Pr.PR_SET_MM_ARG_START, "argStart"],
  [Pr.PR_SET_MM_ARG_END, "argEnd"],
  [Pr.PR_SET_MM_ENV_START, "envStart"],
  [Pr.PR_SET_MM_ENV_END, "envEnd"]
])

const MUST_BE_MAPPED = new Set(["startStack", "argStart", "argEnd", "envStart", "envEnd"])

interface Parts {
  readonly startCode: number
  readonly endCode: number
  readonly startData: number
  readonly endData: number
  readonly startBrk: number
  readonly brk: number
  readonly startStack: number
  readonly argStart: number
  readonly argEnd: number
  readonly envStart: number
  readonly envEnd: number
}

/** validate_prctl_map_addr: every part in user space, each end behind its start. */
const areValid = (manager: MemoryManager, parts: Parts): boolean => {
  for (const address of Object.values(parts)) {
    if (address < MINIMUM_ADDRESS || address >= manager.layout.taskSize) return false
  }
  return (
    parts.startCode < parts.endCode &&
    parts.startData <= parts.endData &&
    parts.startBrk <= parts.brk &&
    parts.argStart <= parts.argEnd &&
    parts.envStart <= parts.envEnd
  )
}

const partsOf = ({ brkEnd, image }: MemoryManager): Parts => {
  const { auxv: _auxv, exe: _exe, ...addresses } = image
  return { ...addresses, brk: brkEnd }
}

const store = (manager: MemoryManager, { brk, ...addresses }: Parts): void => {
  Object.assign(manager.image, addresses)
  manager.brkEnd = brk
}

const setAuxv = (task: Task, at: number, length: number): number => {
  if (length > SAVED_AUXV) return -EINVAL
  const bytes = new Uint8Array(length)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  bytes.fill(0, Math.max(0, length - 16)) // it ends with AT_NULL whatever was given
  task.memoryManager.image.auxv = bytes
  return 0
}

/** PR_SET_MM_MAP: all at once, without a capability. */
const setMap = (task: Task, at: number, length: number): number => {
  if (length !== MmMap.size) return -EINVAL
  const bytes = new Uint8Array(MmMap.size)
  if (task.memory.copyIn(at, bytes) < 0) return -EFAULT
  const map = MmMap.decode(bytes)
  const parts: Parts = {
    startCode: map.start_code,
    endCode: map.end_code,
    startData: map.start_data,
    endData: map.end_data,
    startBrk: map.start_brk,
    brk: map.brk,
    startStack: map.start_stack,
    argStart: map.arg_start,
    argEnd: map.arg_end,
    envStart: map.env_start,
    envEnd: map.env_end
  }
  const manager = task.memoryManager
  if (!areValid(manager, parts)) return -EINVAL
  if (map.auxv_size !== 0 && (map.auxv === 0 || map.auxv_size > SAVED_AUXV)) return -EINVAL
  if (map.exe_fd !== NO_FD) return setExe(task, map.exe_fd | 0)
  if (map.auxv_size !== 0) {
    const error = setAuxv(task, map.auxv, map.auxv_size)
    if (error < 0) return error
  }
  store(manager, parts)
  return 0
}

const NO_FD = 0xffff_ffff

/** The old program is still mapped, which refuses another: /proc/[pid]/exe never changes here. */
const setExe = (task: Task, fd: number): number => {
  const file = fileOf(task, fd)
  if (file === undefined) return -EBADF
  const stat = file.stat()
  return typeof stat === "number" || !isRegular(stat.mode) ? -EACCES : -EBUSY
}

export const setMm = (task: Task, option: number, address: number, fourth: number, fifth: number): number => {
  const takesSize = [Pr.PR_SET_MM_AUXV, Pr.PR_SET_MM_MAP, Pr.PR_SET_MM_MAP_SIZE].includes(option)
  if (fifth !== 0 || (fourth !== 0 && !takesSize)) return -EINVAL
  if (option === Pr.PR_SET_MM_MAP) return setMap(task, address, fourth)
  if (option === Pr.PR_SET_MM_MAP_SIZE) return task.memory.writeU32(address, MmMap.size)
  if (!hasCapability(task.credentials, CAP_SYS_RESOURCE)) return -EPERM
  if (option === Pr.PR_SET_MM_EXE_FILE) return setExe(task, address | 0)
  if (option === Pr.PR_SET_MM_AUXV) return setAuxv(task, address, fourth)
  const manager = task.memoryManager
  if (address >= manager.layout.taskSize || address < MINIMUM_ADDRESS) return -EINVAL
  const part = PARTS.get(option)
  if (part === undefined) return -EINVAL
  const parts = { ...partsOf(manager), [part]: address }
  if (!areValid(manager, parts)) return -EINVAL
  if (MUST_BE_MAPPED.has(part) && manager.areas.firstEndingAfter(address) === undefined) return -EFAULT
  store(manager, parts)
  return 0
}
