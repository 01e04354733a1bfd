/**
 * Where things are in the memory that the fast platform shares with its guests: native/systrap.h in TypeScript.
 * test/Platform/SystrapLayout.test.ts compares both.
 */

/** First byte of the windows, one a slot, where guest memory ends; and the bytes of one. */
export const systrapBase = 0x7fff_f000_0000
export const windowSize = 65536
/** First byte of the slots, behind the windows. */
export const systrapSlots = 0x7fff_f800_0000

/** Bytes of a slot, and how many an address space has. */
export const slotSize = 32768
export const slotCount = 2048

/** Where guests see the worker's order page, which is behind the slots. */
export const systrapOrders = systrapSlots + slotSize * slotCount

/** In the order page: a sequence number, how many orders there are, the last number that was seen done, and the orders. */
export const orders = { sequence: 0, count: 4, seen: 8, list: 64 } as const

/** In the worker's slot, the first: the sequence number it has done, and the last result. */
export const worker = { done: 216, result: 240 } as const

/** `struct systrap_slot`: one guest thread. Its registers come first. */
export const field = {
  state: 216,
  sleeping: 220,
  signal: 224,
  code: 228,
  nr: 232,
  error: 236,
  address: 240,
  fpstate: 248,
  command: 252,
  alive: 256,
  stack_sp: 264,
  stack_flags: 272,
  stack_size: 280,
  in_address: 288,
  in_length: 296,
  out_length: 300,
  out_address: 304,
  bell: 312,
  bell_bit: 316,
  ring: 320,
  ring_bit: 324,
  watch: 328,
  watched: 336,
  has_watched: 344,
  state_offset: 348,
  features: 352,
  interrupted: 360,
  out_skipped: 364
} as const

/** The signal stack. */
export const stackOffset = 512
export const stackEnd = 0x4000

/** What a thread copies for us, in and out, at most `size` bytes each; what is more goes through its window. */
export const copies = { in: 0x4000, out: 0x6000, size: 0x2000 } as const

/** SYSTRAP_RUN and its kin. */
export const State = { run: 0, event: 1, taken: 2 } as const

/** SYSTRAP_GO and its kin. */
export const Command = { go: 0, exit: 1, frame: 2, counter: 3, handler: 4 } as const

/** In place of a signal number: a call from a patched site; a thread that has done as it was commanded. */
export const FAST_CALL = 0x80
export const FRAMED = 0x81

/** Where the records of patched call sites are, and behind them the prologues, one a record. */
export const records = {
  address: 0x050f_0000,
  size: 0x8000,
  recordSize: 64,
  nr: 8,
  code: 16,
  return: 40,
  hint: 48,
  when: 56
} as const
export const prologues = { address: 0x050f_8000, size: 0x8000 } as const

/** Where the code of records goes on: those whose call is known, and those that have it in rax. */
export const fastEntry = { known: 0x7fff_ffff_0360, any: 0x7fff_ffff_0320 } as const

/** `struct systrap_notice`, in the order page. */
export const notice = { sleeping: 0xf00, spin: 0xf04, wanted: 0xf08, frame: 0xf0c } as const
/** Where the bells are: in the order page the notice, from that on the first, and how many words of 32 bells there are. */
export const bells = { notice: notice.sleeping, first: 0x10, words: 60 } as const
export const orderPageSize = 4096
