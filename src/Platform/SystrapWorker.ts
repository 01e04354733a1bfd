/**
 * The worker of an address space on the fast platform: a host thread of the stub that makes mapping changes, ordered
 * through memory that guests can only read. Some 10 µs where an injected call takes 50.
 *
 * It takes orders that need no descriptor; those with one, and everything else, are the tracer's. Its reports are in
 * memory that guests can write: a forged one deceives the kernel about the forger's own memory.
 */
import { addChange } from "./StubCalls.ts"
import { count, orderSize } from "./Slots.ts"
import { orders, worker } from "./SystrapLayout.ts"
import type { MappingChange } from "./Platform.ts"
import type { SystrapRegion } from "./SystrapRegion.ts"
import type { Debtor, SystrapPatience } from "./SystrapPatience.ts"
import type { Runner, SystrapSource } from "./SystrapSource.ts"

const DONE = worker.done >> 2
const RESULT = worker.result >> 2
const ESRCH = 3

/** Whether a worker could make these changes, all of them. */
export const isForWorker = (changes: ReadonlyArray<MappingChange>): boolean =>
  changes.length <= count.orders && changes.every((change) => change._tag !== "Map" || change.backing === undefined)

/** What a worker needs of its address space. */
export interface Employer {
  readonly pid: number
  readonly region: SystrapRegion
  readonly host: { readonly source: SystrapSource; readonly patience: SystrapPatience }
}

export class SystrapWorker implements Runner, Debtor {
  index = 0
  readonly #region: SystrapRegion
  readonly #source: SystrapSource
  readonly #patience: SystrapPatience
  readonly #ids: { readonly pid: number; readonly tid: number }
  readonly #slot: Int32Array
  readonly #page: Int32Array
  #sequence = 0
  #onDone: ((result: number) => void) | undefined

  constructor({ host, pid, region }: Employer, tid: number) {
    this.#region = region
    this.#source = host.source
    this.#patience = host.patience
    this.#ids = { pid, tid }
    this.#slot = new Int32Array(region.memory(0))
    this.#page = new Int32Array(region.orders)
  }

  /** Whether it could take orders now. */
  get isIdle(): boolean {
    return this.#onDone === undefined
  }

  /** Makes the changes up to the first that fails; `onDone` is called from the pump with 0 or its -errno. */
  make(changes: ReadonlyArray<MappingChange>, onDone: (result: number) => void): void {
    const page = this.#page
    let at = orders.list >> 2
    const sink = {
      addOrder: (nr: number, ...args: ReadonlyArray<number>): void => {
        page.fill(0, at, at + (orderSize >> 2))
        page[at] = nr
        for (let i = 0; i < args.length; i++) {
          page[at + 2 + 2 * i] = args[i]! // the low 32 bits
          page[at + 3 + 2 * i] = Math.floor(args[i]! / 2 ** 32)
        }
        at += orderSize >> 2
      }
    }
    for (const change of changes) addChange(sink, change)
    page[orders.count >> 2] = changes.length
    this.#onDone = onDone
    this.#sequence = (this.#sequence + 1) | 0
    this.#source.add(this)
    this.#patience.add(this)
    Atomics.store(page, orders.sequence >> 2, this.#sequence)
    this.#region.wakeWorker()
    this.#source.tell()
  }

  readonly hostIds = () => this.#ids

  hasEvent(): boolean {
    return Atomics.load(this.#slot, DONE) === this.#sequence
  }

  onEvent(): boolean {
    const low = this.#slot[RESULT]!
    this.#finish(this.#slot[RESULT + 1] === -1 && low > -4096 ? low : 0) // mremap and mmap return addresses
    return false
  }

  /** The stub is dead. */
  abandon(): void {
    if (this.#onDone !== undefined) this.#finish(-ESRCH)
  }

  #finish(result: number): void {
    const onDone = this.#onDone
    this.#onDone = undefined
    this.#source.remove(this)
    this.#page[orders.seen >> 2] = this.#sequence // after it is counted no more
    this.#patience.delete(this)
    onDone?.(result)
  }
}
