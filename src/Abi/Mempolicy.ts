/**
 * Constants of set_mempolicy(2), mbind(2), move_pages(2).
 */
export const MPOL_DEFAULT = 0
export const MPOL_PREFERRED = 1
export const MPOL_BIND = 2
export const MPOL_INTERLEAVE = 3
export const MPOL_LOCAL = 4
export const MPOL_PREFERRED_MANY = 5
export const MPOL_WEIGHTED_INTERLEAVE = 6
/** The first that is none. */
export const MPOL_MAX = 7

export const MPOL_F_STATIC_NODES = 1 << 15
export const MPOL_F_RELATIVE_NODES = 1 << 14
export const MPOL_F_NUMA_BALANCING = 1 << 13
export const MPOL_MODE_FLAGS = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES | MPOL_F_NUMA_BALANCING

/** get_mempolicy(2). */
export const MPOL_F_NODE = 1
export const MPOL_F_ADDR = 2
export const MPOL_F_MEMS_ALLOWED = 4

/** mbind(2), move_pages(2). */
export const MPOL_MF_STRICT = 1
export const MPOL_MF_MOVE = 2
export const MPOL_MF_MOVE_ALL = 4

/** How many nodes a mask may name. */
export const MAX_NUMNODES = 1024

export const MPOL_NAMES: ReadonlyArray<readonly [string, number]> = [
  ["MPOL_DEFAULT", MPOL_DEFAULT],
  ["MPOL_PREFERRED", MPOL_PREFERRED],
  ["MPOL_BIND", MPOL_BIND],
  ["MPOL_INTERLEAVE", MPOL_INTERLEAVE],
  ["MPOL_LOCAL", MPOL_LOCAL],
  ["MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY],
  ["MPOL_WEIGHTED_INTERLEAVE", MPOL_WEIGHTED_INTERLEAVE]
]

export const MPOL_F_NAMES: ReadonlyArray<readonly [string, number]> = [
  ["MPOL_F_NODE", MPOL_F_NODE],
  ["MPOL_F_ADDR", MPOL_F_ADDR],
  ["MPOL_F_MEMS_ALLOWED", MPOL_F_MEMS_ALLOWED]
]

export const MPOL_MF_NAMES: ReadonlyArray<readonly [string, number]> = [
  ["MPOL_MF_STRICT", MPOL_MF_STRICT],
  ["MPOL_MF_MOVE", MPOL_MF_MOVE],
  ["MPOL_MF_MOVE_ALL", MPOL_MF_MOVE_ALL]
]
