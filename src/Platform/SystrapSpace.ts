/**
 * Address spaces of the fast platform: a stub process with its service thread, and the memory it shares with the sentry.
 */
import * as Effect from "effect/Effect"
import { EFAULT, ENOMEM, ESRCH } from "../Abi/Errno.ts"
import type { CopyHint } from "./CopyHints.ts"
import { exchangeGuest, updateGuest } from "./GuestExchange.ts"
import { peekGuest, pokeGuest } from "./GuestForce.ts"
import { clip, isGone, presentPages, readGuest, writeGuest } from "./GuestMemory.ts"
import { residentSet } from "./HostUsage.ts"
import { type AddressSpace, type MappingChange, PlatformFailed, type PresentRun, type ResidentSet } from "./Platform.ts"
import { Request, slot, Stop } from "./Slots.ts"
import { checkChange, encodeChanges } from "./StubCalls.ts"
import { orderPageSize, records, slotCount, slotSize, systrapBase, systrapOrders, windowSize } from "./SystrapLayout.ts"
import { SystrapPatch } from "./SystrapPatch.ts"
import { SystrapRegion } from "./SystrapRegion.ts"
import type { SystrapBells } from "./SystrapBells.ts"
import type { SystrapPatience } from "./SystrapPatience.ts"
import type { SystrapPlacement } from "./SystrapPlacement.ts"
import type { SystrapSource } from "./SystrapSource.ts"
import { isForWorker, SystrapWorker } from "./SystrapWorker.ts"
import type { SystrapThread } from "./SystrapThread.ts"
import type { Block, StopListener } from "./Tracer.ts"
import { failed, request, type TracerHost } from "./TracerRequest.ts"

const PROT_READ = 1
const PROT_READ_WRITE = 3

/** Changes before a worker is started for them: many address spaces, those of a shell's subshells, never make so many. */
const WORKER_AFTER = 4

/** A thread, as its address space sees it. */
export interface Inhabitant {
  /** Told when the process is gone. */
  readonly onKilled: () => void
  readonly hostIds: () => { readonly pid: number; readonly tid: number }
  /** Whether it may be executing the guest's code. */
  readonly isRunning: () => boolean
}

/** What one platform's contexts share. */
export interface Host extends TracerHost {
  readonly source: SystrapSource
  readonly bells: SystrapBells
  readonly patience: SystrapPatience
  readonly placement: SystrapPlacement
  readonly spaces: Set<SystrapSpace>
  /** Whether call sites are patched. */
  readonly patches: boolean
  readonly copyHints: (nr: number) => CopyHint | undefined
  /** Whether threads can push frames: their extended state is an XSAVE image, and there is room. Set as `extendedState`. */
  pushesFrames: boolean
  /** Calls, of whichever thread, until one is timed. */
  untilTimed: number
  /** The extended state in every slot, known since the first thread, and a buffer for one; an Effect's fiber sets it before guests run. */
  extendedState: { offset: number; size: number; features: bigint; mxcsrMask: number; image: DataView<ArrayBuffer> }
}

export class SystrapSpace implements AddressSpace, StopListener {
  readonly host: Host
  readonly region: SystrapRegion
  /** The service thread's slot with the tracer, and its host pid, which is the process's. */
  readonly service: number
  readonly pid: number
  /** Atomic: the contexts' constructor and release. */
  readonly contexts = new Set<Inhabitant>()
  dead = false
  /** Makes mapping changes; undefined until it has been started, or if the host refuses one more thread. */
  #worker: SystrapWorker | undefined
  /** Changes that it could have made. Owner: the Effect of the one that starts it. */
  #changes = 0

  /** The thread whose call is being answered. Only while its handler runs. */
  caller: SystrapThread | undefined

  /** Its patched call sites. */
  readonly patch: SystrapPatch

  constructor(host: Host, region: SystrapRegion, service: number, parent: SystrapSpace | undefined) {
    this.host = host
    this.patch = new SystrapPatch(host.tracer, host.patches, host.copyHints, parent?.patch)
    this.region = region
    this.service = service
    this.pid = host.tracer.slotWord(service, slot.pid)
    host.spaces.add(this)
    host.tracer.listen(service, this)
  }

  onStop(): void {
    if (this.host.tracer.slotWord(this.service, slot.stop) !== Stop.killed) return
    this.dead = true
    this.#worker?.abandon()
    for (const context of this.contexts) context.onKilled()
  }

  readonly change = (changes: ReadonlyArray<MappingChange>): Effect.Effect<number, PlatformFailed> =>
    changes.length === 0 ? Effect.succeed(0) : this.#changeFrom(changes, 0)

  #changeFrom(changes: ReadonlyArray<MappingChange>, from: number): Effect.Effect<number, PlatformFailed> {
    return Effect.suspend(() => {
      const refused = checkChange(changes[from]!, systrapBase)
      if (refused !== 0) return Effect.succeed(-refused)
      if (this.dead) return Effect.succeed(-ESRCH)
      if (changes.some((c) => this.#hitsPatches(c))) return Effect.succeed(-ENOMEM)
      if (from === 0 && isForWorker(changes) && changes.every((c) => checkChange(c, systrapBase) === 0)) {
        if (this.#worker?.isIdle === true) return this.#byWorker(this.#worker, changes)
        if (++this.#changes === WORKER_AFTER) return Effect.andThen(this.#startWorker, this.change(changes))
      }
      let next = from
      return request(this.host, (block) => {
        block.start(Request.orders, this.service)
        next = encodeChanges(changes, from, block, systrapBase, this.host.tracer.stubBase)
      }).pipe(
        Effect.flatMap((result) =>
          result < 0 || next === changes.length ? Effect.succeed(result) : this.#changeFrom(changes, next)
        )
      )
    })
  }

  #hitsPatches(change: MappingChange): boolean {
    if (change._tag !== "Remap") return this.patch.owns(change.address, change.length)
    return this.patch.owns(change.address, change.oldLength) || this.patch.owns(change.newAddress, change.newLength)
  }

  /** Whether no thread but this one runs. */
  isQuietBut(inhabitant: Inhabitant | undefined): boolean {
    for (const other of this.contexts) if (other !== inhabitant && other.isRunning()) return false
    return true
  }

  /** Does without one if there can't be one. */
  readonly #startWorker: Effect.Effect<void> = Effect.suspend(() =>
    request(
      this.host,
      (block) => {
        block.start(Request.thread, this.service)
        block.setFlags(1)
      },
      (result) => {
        if (result > 0 && !this.dead) this.#worker = new SystrapWorker(this, result)
      }
    )
  )

  readonly keepCode = (): void => {
    if (!this.dead) this.patch.restore(this.pid, this.service, this.#isQuiet)
  }

  readonly #isQuiet = (): boolean => this.isQuietBut(undefined)

  #byWorker(worker: SystrapWorker, changes: ReadonlyArray<MappingChange>): Effect.Effect<number> {
    return Effect.uninterruptible(
      Effect.callback<number>((resume) => {
        worker.make(changes, (result) => resume(Effect.succeed(result)))
        this.host.pump.hold()
      })
    )
  }

  readonly read = (address: number, into: Uint8Array): number => {
    if (this.prefetched(address, into) === into.length) return into.length
    return this.readNow(address, into)
  }

  readonly readNow = (address: number, into: Uint8Array): number => {
    if (this.dead) return 0
    this.caller?.settle()
    return readGuest(this.pid, address, into, this.#end(address, into.length))
  }

  readonly write = (address: number, from: Uint8Array): number => {
    this.caller?.settle()
    this.caller?.unwatch()
    return this.writeNow(address, from)
  }

  readonly writeNow = (address: number, from: Uint8Array): number =>
    this.dead ? 0 : writeGuest(this.pid, address, from, this.#end(address, from.length))

  readonly prefetched = (address: number, into: Uint8Array): number =>
    this.caller !== undefined && this.#isWithin(address, into.length) ? this.caller.prefetched(address, into) : 0

  readonly outgoing = (address: number, length: number): Uint8Array | undefined =>
    this.mayWriteLater(address, length) ? this.caller!.outgoing(length) : undefined

  readonly send = (address: number, length: number, skipped: number): void =>
    this.caller?.send(address + skipped, length - skipped, skipped)

  readonly settle = (): void => this.caller?.settle()

  readonly incoming = (address: number, length: number): Uint8Array | undefined =>
    this.caller !== undefined && this.#isWithin(address, length) ? this.caller.incoming(address, length) : undefined

  /** Whether a handler runs, whose thread may write there when it goes on. */
  mayWriteLater(address: number, length: number): boolean {
    return this.caller !== undefined && this.#isWithin(address, length)
  }

  /** Whether that is memory of the guest's, as it knows it. */
  #isWithin(address: number, length: number): boolean {
    return this.#clip(address, length) === length
  }

  /** Where what the guest knows of ends, for such an access: at the records of patched sites, if it would reach them. */
  #end(address: number, length: number): number {
    return this.patch.owns(address, length) ? records.address : systrapBase
  }

  readonly presentPages = (start: number, end: number, found: PresentRun): number =>
    this.dead ? -ESRCH : presentPages(this.pid, start, Math.min(end, systrapBase), found)

  readonly isGone = (): boolean => this.dead || isGone(this.pid, this.host.tracer.stubBase)

  readonly residentSet = (): ResidentSet => residentSet(this.pid)

  readonly compareExchange = (address: number, expected: number, desired: number): number => {
    this.caller?.settle()
    if (this.dead) return -EFAULT
    return exchangeGuest(this.host.tracer, this.service, address, expected, desired, systrapBase)
  }

  readonly updateWord = (address: number, mask: number, flip: number, sum: number): number => {
    this.caller?.settle()
    if (this.dead) return -EFAULT
    return updateGuest(this.host.tracer, this.service, address, mask, flip, sum, systrapBase)
  }

  readonly writeForced = (address: number, from: Uint8Array): number => {
    this.caller?.settle()
    return pokeGuest(this.host.tracer, this.#holder, address, this.#clip(address, from.length), from)
  }

  readonly readForced = (address: number, into: Uint8Array): number => {
    this.caller?.settle()
    return peekGuest(this.host.tracer, this.#holder, address, this.#clip(address, into.length), into)
  }

  readonly #holder = (): number | undefined => (this.dead ? undefined : this.service)

  #clip(address: number, length: number): number {
    return clip(address, length, this.#end(address, length))
  }

  /** Ends the process and forgets everything about it. Nobody waits for that: an exit's other steps are not to. */
  readonly end: Effect.Effect<void> = Effect.sync(() => {
    this.dead = true
    this.host.tracer.request(
      (block) => {
        block.start(Request.release, this.service)
        block.setFlags(1)
      },
      () => {
        this.host.tracer.freeSlot(this.service)
        this.forget()
      }
    )
    this.host.pump.hold()
  })

  /** Lets go of the shared memory. */
  forget(): void {
    if (this.host.spaces.delete(this)) this.region.close()
  }
}

/** Bytes of the windows and the slots. */
const regionSize = (windowSize + slotSize) * slotCount

/** Gives a service thread's process its region, and the orders for its worker. */
const mapRegion = (host: Host, service: number, fd: number): Effect.Effect<number> =>
  request(host, (block) => {
    block.start(Request.orders, service)
    encodeChanges(
      [
        {
          _tag: "Map",
          address: systrapBase,
          length: regionSize,
          protection: PROT_READ_WRITE,
          shared: true,
          backing: { fd, offset: 0 },
          populate: false
        },
        {
          _tag: "Map",
          address: systrapOrders,
          length: orderPageSize,
          protection: PROT_READ,
          shared: true,
          backing: { fd, offset: regionSize },
          populate: false
        }
      ],
      0,
      block,
      host.tracer.stubBase,
      host.tracer.stubBase
    )
  })

/** A new address space without threads, made as `fill` says: from the zygote, or as a copy of another. */
export const newSpace = Effect.fnUntraced(function* (
  host: Host,
  fill: (block: Block) => void,
  parent?: SystrapSpace
): Effect.fn.Return<SystrapSpace, PlatformFailed> {
  const operation = "make an address space"
  const service = host.tracer.takeSlot()
  if (service === undefined) return yield* failed(operation, ENOMEM)
  const region = SystrapRegion.open()
  if (typeof region === "number") {
    host.tracer.freeSlot(service)
    return yield* failed(operation, -region)
  }
  let space: SystrapSpace | undefined
  const made = yield* request(
    host,
    (block) => {
      fill(block)
      block.setNewSlot(service)
    },
    (result) => {
      if (result >= 0) space = new SystrapSpace(host, region, service, parent)
    }
  )
  if (space === undefined) {
    host.tracer.freeSlot(service)
    region.close()
    return yield* failed(operation, -made)
  }
  const mapped = yield* mapRegion(host, service, region.fd)
  region.closeFd()
  if (mapped < 0) {
    yield* space.end
    return yield* failed(operation, -mapped)
  }
  return space
})
