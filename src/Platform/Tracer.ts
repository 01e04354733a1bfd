/**
 * JavaScript's side of the native tracer thread (native/tracer.c): posts commands, reads events.
 *
 * Shared memory: this module's methods run on Node's main thread only and write the command ring, blocks that are not
 * under way and slots whose thread is stopped; the tracer writes the rest.
 */
import { ESRCH } from "../Abi/Errno.ts"
import { bind, nativeDirectory, view } from "./Native.ts"
import type { EventSource } from "./Pump.ts"
import { block, control, count, ENTRY_BLOCK, Request, slot } from "./Slots.ts"

const startNative = bind<
  [stub: Uint8Array, cpu: number, spinning: number, trapCounter: number, out: BigUint64Array],
  number
>("int sentry_tracer_start(const uint8_t *stub, int cpu, int spinning, int trap_counter, _Out_ uint64_t *out)")
const freeNative = bind<[handle: bigint], void>("void sentry_tracer_free(uint64_t handle)")
const ringBell = bind<[handle: bigint], void>("void sentry_tracer_bell(uint64_t handle)")
const interruptNative = bind<[pid: number, tid: number], number>("int sentry_tracer_interrupt(int pid, int tid)")

/** Told of the stops of one slot's thread, synchronously, from the pump. */
export interface StopListener {
  readonly onStop: () => void
}

/** One request block, as seen while it is being filled in and when it is done. */
export class Block {
  readonly index: number
  readonly #words: Int32Array
  readonly #orders: Uint32Array
  readonly data: Uint8Array

  constructor(memory: ArrayBuffer, index: number) {
    const at = control.blocks + index * block.total
    this.index = index
    this.#words = new Int32Array(memory, at, block.orders / 4)
    this.#orders = new Uint32Array(memory, at + block.orders, count.orders * 14)
    this.data = new Uint8Array(memory, at + block.data, count.data)
  }

  start(kind: Request, slotIndex: number): void {
    this.#words.fill(0)
    this.#words[block.kind / 4] = kind
    this.#words[block.slot / 4] = slotIndex
  }

  setNewSlot(index: number): void {
    this.#words[block.new_slot / 4] = index
  }

  setFlags(flags: number): void {
    this.#words[block.flags / 4] = flags
  }

  /** The bytes of `data` in use, and the guest address they are for. */
  setData(bytes: Uint8Array, address: number): void {
    this.data.set(bytes)
    this.#words[block.size / 4] = bytes.length
    this.#words[block.address / 4] = address
    this.#words[block.address / 4 + 1] = Math.floor(address / 2 ** 32)
  }

  setQuiet(): void {
    this.#words[block.quiet / 4] = 1
  }

  get orderCount(): number {
    return this.#words[block.order_count / 4]!
  }

  get fdCount(): number {
    return this.#words[block.fd_count / 4]!
  }

  /** Adds a host system call. Arguments are integers within ±2^53. */
  addOrder(nr: number, ...args: ReadonlyArray<number>): void {
    const at = this.orderCount * 14
    this.#orders.fill(0, at, at + 14)
    this.#orders[at] = nr
    for (let i = 0; i < args.length; i++) {
      this.#orders[at + 2 + 2 * i] = args[i]! // the low 32 bits
      this.#orders[at + 3 + 2 * i] = Math.floor(args[i]! / 2 ** 32)
    }
    this.#words[block.order_count / 4] = this.orderCount + 1
  }

  /** Adds a descriptor of ours to be sent to the stub before the orders run. */
  addFd(fd: number): void {
    this.#words[block.fds / 4 + this.fdCount] = fd
    this.#words[block.fd_count / 4] = this.fdCount + 1
  }

  get result(): number {
    return this.#words[block.result / 4]!
  }

  get done(): boolean {
    return Atomics.load(this.#words, block.done / 4) !== 0
  }
}

interface Waiting {
  readonly fill: (block: Block) => void
  readonly onDone: (result: number, block: Block) => void
}

/** What `startNative` gave. */
export interface TracerHandle {
  readonly handle: bigint
  readonly address: bigint
  readonly wakeFd: number
  readonly extendedStateSize: number
  /** Where the number of the CPU that the main thread runs on is kept; 0 if it isn't. */
  readonly cpuAddress: bigint
  /** The page that every stub sees at STUB_ORDERS. */
  readonly ordersAddress: bigint
  /** First byte of the stub's pages in every address space, the page of its message headers. */
  readonly stubBase: number
}

/**
 * Starts the thread and its stub processes: a few ms. `cpu` -1: not pinned. `counter`: whether guests can read the
 * time-stamp counter. On failure an errno and a stage.
 */
export const startTracer = (
  cpu: number,
  spinning: boolean,
  stub = "stub",
  counter: "native" | "trapped" = "trapped"
): { readonly started: TracerHandle } | { readonly errno: number; readonly stage: number } => {
  const out = new BigUint64Array(9)
  const path = Buffer.from(`${nativeDirectory()}/${stub}\0`, "utf8")
  const result = startNative(path, cpu, spinning ? 1 : 0, counter === "trapped" ? 1 : 0, out)
  if (result !== 0) return { errno: -result, stage: Number(out[3]) }
  return {
    started: {
      handle: out[2]!,
      address: out[0]!,
      wakeFd: Number(out[5]),
      extendedStateSize: Number(out[4]),
      cpuAddress: out[6]!,
      ordersAddress: out[7]!,
      stubBase: Number(out[8])
    }
  }
}

export class Tracer implements EventSource {
  readonly #handle: bigint
  readonly stubBase: number
  readonly memory: ArrayBuffer
  readonly #words: Int32Array
  #cpu: Int32Array | undefined
  readonly #blocks: Array<Block> = []
  readonly #freeBlocks: Array<number> = []
  /** The last block: for synchronous requests only. */
  readonly #quietBlock: Block
  readonly #underWay: Array<Waiting | undefined> = []
  readonly #queued: Array<Waiting> = []
  readonly #listeners: Array<StopListener | undefined> = []
  readonly #freeSlots: Array<number> = []
  #slotsUsed = 0
  #commandHead = 0
  #eventTail = 0
  /** Guest threads that run. */
  #running = 0
  /** Requests under way or waiting for a block. */
  #requests = 0
  /** Told when that number changes. */
  onRequests: (requests: number) => void = () => undefined
  #onClosed: (() => void) | undefined
  closed = false

  constructor(started: TracerHandle) {
    this.#handle = started.handle
    this.stubBase = started.stubBase
    this.memory = view(started.address, control.size)
    this.#words = new Int32Array(this.memory)
    if (started.cpuAddress !== 0n) this.#cpu = new Int32Array(view(started.cpuAddress, 4))
    for (let i = 0; i < count.blocks; i++) this.#blocks.push(new Block(this.memory, i))
    this.#quietBlock = this.#blocks[count.blocks - 1]!
    for (let i = count.blocks - 2; i >= 0; i--) this.#freeBlocks.push(i)
  }

  // Slots

  /** A free slot's number, or undefined if there are no more. */
  takeSlot(): number | undefined {
    const free = this.#freeSlots.pop()
    if (free !== undefined) return free
    return this.#slotsUsed < count.slots ? this.#slotsUsed++ : undefined
  }

  freeSlot(index: number): void {
    this.#listeners[index] = undefined
    this.#freeSlots.push(index)
  }

  listen(index: number, listener: StopListener): void {
    this.#listeners[index] = listener
  }

  /** A word of a slot; `field` is an offset of `Slots.slot`. */
  slotWord(index: number, field: number): number {
    return this.#words[(control.slots + index * slot.size + field) >> 2]!
  }

  /** Notes that a guest thread begins to run, or has ceased to. */
  addRunning(n: number): void {
    this.#running += n
  }

  /** Lets the slot's thread run, with the registers in its slot. */
  resume(index: number): void {
    this.#post(index)
  }

  /** Makes the slot's running thread stop. Its stop will be reported, as `interrupted` unless it stops otherwise. */
  interrupt(index: number): void {
    Atomics.store(this.#words, (control.slots + index * slot.size + slot.interrupt) >> 2, 1)
    interruptNative(this.slotWord(index, slot.pid), this.slotWord(index, slot.tid))
  }

  /** Takes the interrupt back: the thread stopped otherwise. */
  clearInterrupt(index: number): void {
    Atomics.store(this.#words, (control.slots + index * slot.size + slot.interrupt) >> 2, 0)
  }

  // Requests

  /**
   * Has the tracer do something; `onDone` is called from the pump with its result, zero or a size or -errno. Both see
   * the same block. -ESRCH at once when the tracer is closing.
   */
  request(fill: (block: Block) => void, onDone: (result: number, block: Block) => void): void {
    if (this.#onClosed !== undefined) return onDone(-ESRCH, this.#quietBlock)
    const waiting: Waiting = { fill, onDone }
    const free = this.#freeBlocks.pop()
    if (free === undefined) this.#queued.push(waiting)
    else this.#startRequest(this.#blocks[free]!, waiting)
    this.#count(1)
  }

  #count(n: number): void {
    this.#requests += n
    this.onRequests(this.#requests)
  }

  #startRequest(b: Block, waiting: Waiting): void {
    this.#underWay[b.index] = waiting
    waiting.fill(b)
    this.#post(ENTRY_BLOCK + b.index)
  }

  /** The same, waiting awake for the result: for what is short and has to be synchronous. */
  requestNow(fill: (block: Block) => void, onDone?: (result: number, block: Block) => void): number {
    const b = this.#quietBlock
    if (this.#onClosed !== undefined) {
      onDone?.(-ESRCH, b)
      return -ESRCH
    }
    fill(b)
    b.setQuiet()
    this.#post(ENTRY_BLOCK + b.index)
    this.#count(1)
    while (!b.done) {
      // the tracer answers within some 20 µs
    }
    this.#count(-1)
    onDone?.(b.result, b)
    return b.result
  }

  #onDone(b: Block): void {
    const waiting = this.#underWay[b.index]!
    this.#underWay[b.index] = undefined
    this.#count(-1)
    waiting.onDone(b.result, b)
    const next = this.#queued.shift()
    if (next === undefined) this.#freeBlocks.push(b.index)
    else this.#startRequest(b, next)
  }

  /** Ends every stub. Threads that run are reported killed; then `onClosed` is called from the pump. */
  close(onClosed: () => void): void {
    this.#onClosed = onClosed
    this.#count(1)
    this.#quietBlock.start(Request.close, 0)
    this.#post(ENTRY_BLOCK + this.#quietBlock.index)
  }

  /** The thread is about to end: what it will never answer fails. */
  #abandon(): void {
    const waiting = [...this.#underWay, ...this.#queued.splice(0)]
    this.#underWay.fill(undefined)
    for (const w of waiting) w?.onDone(-ESRCH, this.#quietBlock)
    this.#onClosed?.()
  }

  /** Frees the native side, after `onClosed`. Every view of the memory becomes empty. */
  free(): void {
    this.closed = true
    this.memory.transfer() // detaches: a context that somebody still holds must not reach freed memory
    freeNative(this.#handle)
  }

  #post(entry: number): void {
    const words = this.#words
    words[(control.commands >> 2) + (this.#commandHead & (count.ring - 1))] = entry
    this.#commandHead = (this.#commandHead + 1) | 0
    Atomics.store(words, control.command_head >> 2, this.#commandHead) // before tracer_sleeping is read; it does the reverse
    if (
      Atomics.load(words, control.tracer_sleeping >> 2) !== 0 &&
      Atomics.exchange(words, control.tracer_sleeping >> 2, 0) !== 0
    ) {
      ringBell(this.#handle)
    }
  }

  // EventSource

  drain(limit: number): number {
    const words = this.#words
    const head = Atomics.load(words, control.event_head >> 2)
    if (this.#cpu !== undefined) words[control.js_cpu >> 2] = this.#cpu[0]! // the tracer sends us away from its own
    let handled = 0
    while (this.#eventTail !== head && handled < limit) {
      const entry = words[(control.events >> 2) + (this.#eventTail & (count.ring - 1))]!
      this.#eventTail = (this.#eventTail + 1) | 0
      handled++
      if (entry >= 0) this.#listeners[entry]?.onStop()
      else if ((entry & 0x7fff_ffff) < count.blocks) this.#onDone(this.#blocks[entry & 0x7fff_ffff]!)
      else this.#abandon()
    }
    return handled
  }

  settle(): void {
    if (!this.closed) Atomics.store(this.#words, control.event_tail >> 2, this.#eventTail)
  }

  ready(): boolean {
    return Atomics.load(this.#words, control.event_head >> 2) !== this.#eventTail
  }

  busy(): boolean {
    return this.#running > 0 || this.#requests > 0
  }

  prompt(): boolean {
    return this.#requests > 0
  }

  arm(): boolean {
    Atomics.store(this.#words, control.js_sleeping >> 2, 1) // before event_head is read; the tracer does the reverse
    if (!this.ready()) return true
    this.disarm()
    return false
  }

  disarm(): void {
    Atomics.store(this.#words, control.js_sleeping >> 2, 0)
  }
}
