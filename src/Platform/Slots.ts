/**
 * Where things are in the memory shared with the native tracer thread: native/slots.h in TypeScript. Offsets are in
 * bytes. test/Platform/Slots.test.ts compares both.
 */

/** How many of each there are. */
export const count = { slots: 8192, blocks: 32, ring: 32768, orders: 60, fds: 8, data: 16384 } as const

/** `struct control`: the whole of it. */
export const control = {
  command_head: 0,
  event_tail: 64,
  event_head: 128,
  tracer_sleeping: 192,
  js_sleeping: 256,
  js_cpu: 260,
  commands: 320,
  events: 131392,
  slots: 262464,
  blocks: 2359616,
  size: 2994496
} as const

/** `struct slot`: one guest thread. Its registers come first. */
export const slot = {
  stop: 216,
  signal: 220,
  code: 224,
  nr: 228,
  address: 232,
  interrupt: 240,
  pid: 244,
  tid: 248,
  size: 256
} as const

/** `struct block`: one request that isn't "resume". */
export const block = {
  kind: 0,
  slot: 4,
  new_slot: 8,
  flags: 12,
  result: 16,
  size: 20,
  address: 24,
  order_count: 32,
  fd_count: 36,
  fds: 40,
  done: 72,
  quiet: 76,
  orders: 80,
  data: 3456,
  total: 19840
} as const

/** Bytes of one order: a host system call's number and six arguments, each a 64-bit word. */
export const orderSize = 56

/** Marks a ring entry as a block number; otherwise it is a slot number. */
export const ENTRY_BLOCK = 0x8000_0000

/** Why a thread stopped: `enum stop`. */
export const Stop = { none: 0, syscall: 1, fault: 2, interrupted: 3, killed: 4, vsyscall: 5 } as const

/** What a block asks for: `enum request`. */
export const Request = {
  create: 0,
  clone: 1,
  orders: 2,
  release: 3,
  getExtendedState: 4,
  setExtendedState: 5,
  poke: 6,
  close: 7,
  thread: 8,
  exchange: 9,
  debug: 10,
  peek: 11,
  debugGuest: 12
} as const
export type Request = (typeof Request)[keyof typeof Request]

/** What start-up attempts, by number: `enum stage`. */
export const stages = [
  "start",
  "reserve memory",
  "open descriptors",
  "start the tracer thread",
  "start a stub process",
  "trace a stub process",
  "set up a stub process",
  "read the extended state"
] as const
