/**
 * Where memory comes from, numa(7): get_mempolicy(2), set_mempolicy(2), mbind(2), migrate_pages(2), move_pages(2),
 * set_mempolicy_home_node(2). The sandbox has one node.
 */
import { CAP_SYS_NICE } from "../Abi/Capability.ts"
import { EFAULT, EINVAL, ENODEV, EPERM, ESRCH } from "../Abi/Errno.ts"
import * as M from "../Abi/Mempolicy.ts"
import { PAGE_SIZE } from "../Abi/Mman.ts"
import { bindRange, setHomeNode } from "../Memory/NumaRegion.ts"
import { isInterleaved, makePolicy, modeOf, nodesOf, splitMode, THE_NODE } from "../Memory/NumaPolicy.ts"
import { address, declare, flags, int, longFlags, pid, type Result, size, type Syscall, u64 } from "../Task/Syscall.ts"
import { findTask } from "../Task/PidLookup.ts"
import type { Task } from "../Task/Task.ts"
import { hasCapability } from "../Vfs/Credentials.ts"
import { mayInspectReally } from "../Task/ProcSubject.ts"

const WORD = 8
/** Bytes of a mask that has room for the nodes there are. */
const MASK_SIZE = WORD

const isLarge = (maxnode: bigint): boolean => maxnode > BigInt(PAGE_SIZE * 8)

/**
 * The nodes of the mask at `pointer`. `maxnode` is, for historical reasons, one more than its bits. -EINVAL if it is too
 * large or names nodes that no kernel has.
 */
const readNodes = (task: Task, pointer: number, maxnode: bigint): bigint | number => {
  const bits = BigInt.asUintN(64, maxnode - 1n)
  if (bits === 0n || pointer === 0) return 0n
  if (isLarge(bits)) return -EINVAL
  const bytes = new Uint8Array(Math.ceil(Number(bits) / 64) * WORD)
  if (task.memory.copyIn(pointer, bytes) < 0) return -EFAULT
  let mask = 0n
  for (let at = bytes.length - 1; at >= 0; at--) mask = (mask << 8n) | BigInt(bytes[at]!)
  mask = BigInt.asUintN(Number(bits), mask)
  return mask >> BigInt(M.MAX_NUMNODES) === 0n ? mask : -EINVAL
}

const writeNodes = (task: Task, pointer: number, maxnode: bigint, nodes: bigint): number => {
  const length = Math.ceil(Number(maxnode - 1n) / 64) * WORD
  if (length > MASK_SIZE && length > PAGE_SIZE) return -EINVAL
  const bytes = new Uint8Array(length)
  let rest = nodes
  for (let at = 0; at < bytes.length; at++, rest >>= 8n) bytes[at] = Number(rest & 0xffn)
  return task.memory.copyOut(pointer, bytes) < 0 ? -EFAULT : 0
}

/** What get_mempolicy(2) tells: a mode, or a node; and nodes. */
interface Told {
  readonly value: number
  readonly nodes: bigint
}

const tell = (task: Task, at: number, bits: number): Told | number => {
  if ((bits & ~(M.MPOL_F_NODE | M.MPOL_F_ADDR | M.MPOL_F_MEMS_ALLOWED)) !== 0) return -EINVAL
  const ofAddress = (bits & M.MPOL_F_ADDR) !== 0
  const ofNode = (bits & M.MPOL_F_NODE) !== 0
  if ((bits & M.MPOL_F_MEMS_ALLOWED) !== 0) return ofAddress || ofNode ? -EINVAL : { value: 0, nodes: THE_NODE }
  if (!ofAddress && at !== 0) return -EINVAL
  const vma = ofAddress ? task.memoryManager.areas.find(at) : undefined
  if (ofAddress && vma === undefined) return -EFAULT
  const policy = ofAddress ? vma?.numa : task.numaPolicy
  const nodes = nodesOf(policy)
  if (!ofNode) return { value: modeOf(policy), nodes }
  // the node of the page, or the one from which the next page would come: there is but one
  return ofAddress || isInterleaved(policy) ? { value: 0, nodes } : -EINVAL
}

const get_mempolicy = (task: Task, mode: number, mask: number, maxnode: bigint, at: number, bits: number): Result => {
  if (mask !== 0 && maxnode < 1n) return -EINVAL
  const told = tell(task, at, bits)
  if (typeof told === "number") return told
  if (mode !== 0 && task.memory.writeU32(mode, told.value) < 0) return -EFAULT
  return mask === 0 ? 0 : writeNodes(task, mask, maxnode, told.nodes)
}

const set_mempolicy = (task: Task, argument: number, mask: number, maxnode: bigint): Result => {
  const split = splitMode(argument)
  if (typeof split === "number") return split
  const nodes = readNodes(task, mask, maxnode)
  if (typeof nodes === "number") return nodes
  const policy = makePolicy(split.mode, split.flags, nodes)
  if (typeof policy === "number") return policy
  task.numaPolicy = policy
  return 0
}

const mbind = (
  task: Task,
  at: number,
  length: number,
  argument: number,
  mask: number,
  maxnode: bigint,
  bits: number
): Result => {
  const split = splitMode(argument)
  if (typeof split === "number") return split
  const nodes = readNodes(task, mask, maxnode)
  if (typeof nodes === "number") return nodes
  if ((bits & ~(M.MPOL_MF_STRICT | M.MPOL_MF_MOVE | M.MPOL_MF_MOVE_ALL)) !== 0) return -EINVAL
  if ((bits & M.MPOL_MF_MOVE_ALL) !== 0 && !hasCapability(task.credentials, CAP_SYS_NICE)) return -EPERM
  return bindRange(task.memoryManager, at, length, () => makePolicy(split.mode, split.flags, nodes))
}

const set_mempolicy_home_node = (task: Task, at: number, length: number, node: bigint, bits: bigint): Result => {
  if (at % PAGE_SIZE !== 0 || bits !== 0n || node !== 0n) return -EINVAL
  return setHomeNode(task.memoryManager, at, length)
}

/** The task that a call is about, whose memory the caller may look into. */
const subjectOf = (task: Task, id: number): Task | number => {
  if (id === 0) return task
  const target = findTask(task, id)
  if (target === undefined) return -ESRCH
  return mayInspectReally(task, target) ? target : -EPERM
}

const migrate_pages = (task: Task, id: number, maxnode: bigint, from: number, to: number): Result => {
  const old = readNodes(task, from, maxnode)
  if (typeof old === "number") return old
  const wanted = readNodes(task, to, maxnode)
  if (typeof wanted === "number") return wanted
  const target = subjectOf(task, id)
  if (typeof target === "number") return target
  if ((wanted & ~THE_NODE) !== 0n && !hasCapability(task.credentials, CAP_SYS_NICE)) return -EPERM
  return (wanted & THE_NODE) === 0n ? -EINVAL : 0
}

const move_pages = (
  task: Task,
  id: number,
  count: number,
  pages: number,
  nodes: number,
  status: number,
  bits: number
): Result => {
  if ((bits & ~(M.MPOL_MF_MOVE | M.MPOL_MF_MOVE_ALL)) !== 0) return -EINVAL
  if ((bits & M.MPOL_MF_MOVE_ALL) !== 0 && !hasCapability(task.credentials, CAP_SYS_NICE)) return -EPERM
  const target = subjectOf(task, id)
  if (typeof target === "number") return target
  for (let i = 0; i < count; i++) {
    const at = task.memory.readU64(pages + i * WORD)
    if (at < 0) return -EFAULT
    if (nodes !== 0) {
      const node = task.memory.readU32(nodes + i * 4)
      if (node < 0) return -EFAULT
      if (node !== 0) return -ENODEV
    }
    const found = target.memoryManager.areas.find(at) === undefined ? -EFAULT : 0
    if (task.memory.writeU32(status + i * 4, found) < 0) return -EFAULT
  }
  return 0
}

const MASK = [address("nodemask"), u64("maxnode")] as const
const PAGES = "every mapped page is on the node, whether it is in memory or not"

export const sysNuma: ReadonlyArray<Syscall> = [
  declare(
    "get_mempolicy",
    [address("mode"), ...MASK, address("addr"), longFlags("flags", M.MPOL_F_NAMES)],
    get_mempolicy
  ),
  declare("set_mempolicy", [int("mode"), ...MASK], set_mempolicy),
  declare("mbind", [address("addr"), size("len"), int("mode"), ...MASK, flags("flags", M.MPOL_MF_NAMES)], mbind),
  declare(
    "set_mempolicy_home_node",
    [address("addr"), size("len"), u64("home_node"), u64("flags")],
    set_mempolicy_home_node
  ),
  declare("migrate_pages", [pid("pid"), u64("maxnode"), address("old_nodes"), address("new_nodes")], migrate_pages),
  declare(
    "move_pages",
    [pid("pid"), size("count"), address("pages"), address("nodes"), address("status"), flags("flags", M.MPOL_MF_NAMES)],
    move_pages,
    { partial: PAGES }
  )
]
