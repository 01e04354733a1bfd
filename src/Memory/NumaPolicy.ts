/**
 * From which node memory is to come, numa(7). There is one, node 0, as far as a guest can tell: policies are checked,
 * kept and reported, and all ask for the same memory.
 */
import { EINVAL } from "../Abi/Errno.ts"
import * as M from "../Abi/Mempolicy.ts"

/** Sets of nodes are bit masks. */
export const THE_NODE = 1n

/** Immutable. The default policy is none. */
export interface NumaPolicy {
  /** MPOL_*, never MPOL_DEFAULT. */
  readonly mode: number
  /** MPOL_F_* mode flags. */
  readonly flags: number
  /** The nodes that it comes to here: none for MPOL_LOCAL. */
  readonly nodes: bigint
  /** Those that were asked for. */
  readonly asked: bigint
}

const IMMOVABLE = M.MPOL_F_STATIC_NODES | M.MPOL_F_RELATIVE_NODES

/** The mode and its flags out of one argument; -EINVAL for what is none. */
export const splitMode = (argument: number): { readonly mode: number; readonly flags: number } | number => {
  const flags = argument & M.MPOL_MODE_FLAGS
  const mode = argument & ~M.MPOL_MODE_FLAGS
  if (mode < 0 || mode >= M.MPOL_MAX || (flags & IMMOVABLE) === IMMOVABLE) return -EINVAL
  const balances = (flags & M.MPOL_F_NUMA_BALANCING) !== 0
  return balances && mode !== M.MPOL_BIND && mode !== M.MPOL_PREFERRED_MANY ? -EINVAL : { mode, flags }
}

/** The policy of mode and flags over `asked`, undefined for the default one; -EINVAL if they make none. */
export const makePolicy = (mode: number, flags: number, asked: bigint): NumaPolicy | undefined | number => {
  switch (mode) {
    case M.MPOL_DEFAULT:
      return asked === 0n ? undefined : -EINVAL
    case M.MPOL_LOCAL:
      return asked !== 0n || (flags & IMMOVABLE) !== 0 ? -EINVAL : { mode, flags, nodes: 0n, asked }
    case M.MPOL_PREFERRED:
      if (asked !== 0n) break
      return (flags & IMMOVABLE) !== 0 ? -EINVAL : { mode: M.MPOL_LOCAL, flags, nodes: 0n, asked }
    default:
      if (asked === 0n) return -EINVAL
  }
  // relative to the one node that is allowed, every node is that
  const nodes = (flags & M.MPOL_F_RELATIVE_NODES) !== 0 ? THE_NODE : asked & THE_NODE
  return nodes === 0n ? -EINVAL : { mode, flags, nodes, asked }
}

/** What get_mempolicy(2) calls it. */
export const modeOf = (policy: NumaPolicy | undefined): number =>
  policy === undefined ? M.MPOL_DEFAULT : policy.mode | policy.flags

/** What get_mempolicy(2) says of its nodes. */
export const nodesOf = (policy: NumaPolicy | undefined): bigint => {
  if (policy === undefined) return 0n
  return policy.flags !== 0 ? policy.asked : policy.nodes
}

/** Whether pages come from its nodes in turn. */
export const isInterleaved = (policy: NumaPolicy | undefined): boolean =>
  policy?.mode === M.MPOL_INTERLEAVE || policy?.mode === M.MPOL_WEIGHTED_INTERLEAVE
