/**
 * Capability sets of a thread: capget(2), capset(2).
 */
import { CAP_LAST_CAP, CAP_SETPCAP } from "../Abi/Capability.ts"
import { EFAULT, EINVAL, EPERM, ESRCH } from "../Abi/Errno.ts"
import { type Result, address, declare } from "../Task/Syscall.ts"
import { findTaskOrSelf } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasOwnCapability } from "../Vfs/Credentials.ts"

/** _LINUX_CAPABILITY_VERSION_*: how many 32-bit triples each has. */
const VERSIONS: ReadonlyMap<number, number> = new Map([
  [0x1998_0330, 1],
  [0x2007_1026, 2],
  [0x2008_0522, 2]
])
const VERSION_3 = 0x2008_0522

const VALID = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n

/** effective, permitted, inheritable. */
const TRIPLE = 12

/** The number of triples that the header's version has; -EINVAL after the preferred version was written there. */
const readVersion = (task: Task, header: number): number => {
  const version = task.memory.readU32(header)
  if (version === -EFAULT) return -EFAULT
  const triples = VERSIONS.get(version)
  if (triples !== undefined) return triples
  return task.memory.writeU32(header, VERSION_3) < 0 ? -EFAULT : -EINVAL
}

/** The pid of the header; undefined: EFAULT. */
const readPid = (task: Task, header: number): number | undefined => {
  const bytes = new Uint8Array(4)
  return task.memory.copyIn(header + 4, bytes) < 0 ? undefined : new DataView(bytes.buffer).getInt32(0, true)
}

const capget = (task: Task, header: number, data: number): Result => {
  const triples = readVersion(task, header)
  // without a place for data it is a question about the version
  if (data === 0 && triples === -EINVAL) return 0
  if (triples < 0) return triples
  if (data === 0) return 0
  const id = readPid(task, header)
  if (id === undefined) return -EFAULT
  if (id < 0) return -EINVAL
  const target = findTaskOrSelf(task, id)
  if (target === undefined) return -ESRCH
  const { effective, inheritable, permitted } = target.credentials
  const bytes = new Uint8Array(TRIPLE * triples)
  const view = new DataView(bytes.buffer)
  for (let index = 0; index < triples; index++) {
    const shift = BigInt(32 * index)
    for (const [word, set] of [effective, permitted, inheritable].entries()) {
      view.setUint32(index * TRIPLE + word * 4, Number((set >> shift) & 0xffff_ffffn), true)
    }
  }
  return task.memory.copyOut(data, bytes)
}

const isSubset = (set: bigint, of: bigint): boolean => (set & ~of) === 0n

const capset = (task: Task, header: number, data: number): Result => {
  const triples = readVersion(task, header)
  if (triples < 0) return triples
  const id = readPid(task, header)
  if (id === undefined) return -EFAULT
  if (id !== 0 && id !== task.ownTid) return -EPERM
  const bytes = new Uint8Array(TRIPLE * triples)
  if (task.memory.copyIn(data, bytes) < 0) return -EFAULT
  const view = new DataView(bytes.buffer)
  const set = (word: number): bigint => {
    let bits = 0n
    for (let index = 0; index < triples; index++) {
      bits |= BigInt(view.getUint32(index * TRIPLE + word * 4, true)) << BigInt(32 * index)
    }
    return bits & VALID
  }
  const [effective, permitted, inheritable] = [set(0), set(1), set(2)]
  const old = task.credentials
  const mayAdd = hasOwnCapability(old, CAP_SETPCAP) ? VALID : old.inheritable | old.permitted
  if (!isSubset(inheritable, mayAdd) || !isSubset(inheritable, old.inheritable | old.bounding)) return -EPERM
  if (!isSubset(permitted, old.permitted) || !isSubset(effective, permitted)) return -EPERM
  task.credentials = { ...old, effective, permitted, inheritable, ambient: old.ambient & permitted & inheritable }
  return 0
}

export const sysCapability = [
  declare("capget", [address("hdrp"), address("datap")], capget),
  declare("capset", [address("hdrp"), address("datap")], capset)
]
