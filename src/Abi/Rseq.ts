/**
 * rseq(2): the area that a thread shares with the kernel, and what describes a critical section. Values from
 * linux/rseq.h; the fields after `flags` are younger than some headers.
 */
import * as Struct from "./Struct.ts"

/** rseq(2)'s flag. */
export const RSEQ_FLAG_UNREGISTER = 1

/** `cpu_id` of an area that is not registered. */
export const RSEQ_CPU_ID_UNINITIALIZED = -1

/** `struct rseq`: its fields, and its size as it was first defined, which is the smallest that can be registered. */
export const RseqArea = Struct.make("rseq", {
  cpu_id_start: Struct.u32,
  cpu_id: Struct.u32,
  rseq_cs: Struct.u64,
  flags: Struct.u32,
  node_id: Struct.u32,
  mm_cid: Struct.u32
})
export const RSEQ_ORIGINAL_SIZE = 32
/**
 * Bytes of it that programs may use, and how it is aligned: AT_RSEQ_FEATURE_SIZE, AT_RSEQ_ALIGN. `mm_cid` is left out: it
 * has no value that says that there is none, as `cpu_id` has.
 */
export const RSEQ_FEATURE_SIZE = 24
export const RSEQ_ALIGN = 32

/** `struct rseq_cs`. */
export const RseqSection = Struct.make("rseq_cs", {
  version: Struct.u32,
  flags: Struct.u32,
  start_ip: Struct.u64,
  post_commit_offset: Struct.u64,
  abort_ip: Struct.u64
})
export type RseqSection = Struct.Type<typeof RseqSection>

/** Before the abort handler stands the signature that was registered: bytes. */
export const RSEQ_SIGNATURE_SIZE = 4
