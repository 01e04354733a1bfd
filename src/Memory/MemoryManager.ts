/**
 * One guest memory: the list of its areas (VMAs).
 *
 * The list decides what is mapped where; each decision is then made true in the stub by `AddressSpace.change`, and only
 * after that succeeds does the list change. Decision, change and list update are one section under the manager's mutex
 * (Linux's mmap_lock), since another thread of the guest may map meanwhile.
 *
 * The system calls' rules are in MapRegion.ts, ProtectRegion.ts, RemapRegion.ts, AdviseRegion.ts, LockRegion.ts and
 * ProgramBreak.ts.
 */
import type { AioContext } from "./AioContext.ts"
import * as Effect from "effect/Effect"
import { ENOMEM, EPERM } from "../Abi/Errno.ts"
import { PAGE_SIZE, PROT_EXEC, PROT_WRITE } from "../Abi/Mman.ts"
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from "../Abi/Resource.ts"
import type { AddressSpace, MappingChange, PlatformFailed } from "../Platform/Platform.ts"
import { Mutex } from "../Sync/Mutex.ts"
import type { VirtualCpus } from "../Sync/VirtualCpus.ts"
import {
  type AddressLayout,
  MAX_MAP_COUNT,
  MINIMUM_ADDRESS,
  pageAlign,
  pageStart,
  STACK_GUARD_GAP
} from "./AddressLayout.ts"
import { defaultPolicy, inheritedPolicy, type MemoryPolicy } from "./MemoryPolicy.ts"
import { RangeMap } from "./RangeMap.ts"
import { UserMemory } from "./UserMemory.ts"
import {
  countedSize,
  guardBelow,
  isCommitted,
  isData,
  isFile,
  isSealed,
  type MappedFile,
  merge,
  slice,
  visibleStart,
  type Vma,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_LOCKED
} from "./Vma.ts"

/** The caller's resource limits: RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK, bytes. */
export interface ResourceLimits {
  readonly soft: (resource: number) => number
}

/** On whose behalf memory changes. */
export interface Requester {
  readonly limits: ResourceLimits
  /** CAP_IPC_LOCK: RLIMIT_MEMLOCK does not apply. */
  readonly mayLock: boolean
}

/** Where execve(2) put the parts of a program: what /proc/[pid]/stat and prctl(PR_SET_MM) call by these names. */
export interface ProgramImage {
  startCode: number
  endCode: number
  startData: number
  endData: number
  startBrk: number
  startStack: number
  argStart: number
  argEnd: number
  envStart: number
  envEnd: number
  /** The auxiliary vector's bytes, AT_NULL included. */
  auxv: Uint8Array
  /** What /proc/[pid]/exe refers to; the manager owns one reference. */
  exe: MappedFile | undefined
}

/** Result or -errno, now or after the stub has changed its mappings. */
export type Outcome = number | Effect.Effect<number>

/** Sums over the areas, bytes. */
export interface MemoryTotals {
  readonly size: number
  readonly data: number
  readonly stack: number
  readonly locked: number
  readonly executable: number
  readonly shared: number
}

/** Anonymous memory, ELF headers, private huge pages: core(5). */
const DEFAULT_COREDUMP_FILTER = 0x33

/** Places of guards that are told apart. */
const MOST_GUARDS = 64

/** Mutex: the manager's own. Shared by the tasks of one address space. */
export class MemoryManager {
  readonly memory: UserMemory
  readonly addressSpace: AddressSpace
  readonly layout: AddressLayout
  readonly image: ProgramImage
  /** No private writable mapping may be larger: vm.overcommit_memory 0 refuses what could never be backed. Bytes. */
  readonly commitLimit: number
  /** The areas. Edited only under the mutex, by src/Memory. */
  readonly areas: RangeMap<Vma>
  /** The current program break. */
  brkEnd: number
  /** The commands of membarrier(2) that it is registered for. Owner: Syscalls/SysMembarrier. */
  barriers = 0
  /** The CPUs that its threads with rseq(2) occupy. Owner: Task/TaskRseq. */
  cpus: VirtualCpus | undefined = undefined
  /** VMA_LOCKED once mlockall(MCL_FUTURE) was called. */
  futureFlags = 0
  /** /proc/[pid]/coredump_filter: which kinds of memory a core file has. */
  coredumpFilter = DEFAULT_COREDUMP_FILTER
  /** Atomic: prctl(2). */
  policy: MemoryPolicy = defaultPolicy

  /** Of asynchronous I/O, by the address of the page that names each. Owner: Syscalls/SysAio. */
  readonly aioContexts = new Map<number, AioContext>()

  readonly #mutex = new Mutex()
  #users = 1
  #size = 0
  #data = 0
  #stack = 0
  #locked = 0
  /** Where guards have been installed: some may be gone. */
  readonly #guards: Array<{ start: number; end: number }> = []

  #plainFrom(address: number, length: number): number {
    const end = address + length
    const area = this.areas.firstEndingAfter(end - 1)
    if (area === undefined || area.start >= end) return end
    if (area.backing !== undefined || (area.protection & PROT_WRITE) === 0) return end
    let from = Math.max(area.start, address)
    for (const guard of this.#guards) if (guard.start < end && guard.end > from) from = Math.min(guard.end, end)
    return from
  }

  /** MADV_GUARD_INSTALL: writing there fails, whatever the areas say. */
  guard(start: number, end: number): void {
    const last = this.#guards.at(-1)
    if (last === undefined || this.#guards.length < MOST_GUARDS) this.#guards.push({ start, end })
    else {
      last.start = Math.min(last.start, start)
      last.end = Math.max(last.end, end)
    }
  }

  constructor(addressSpace: AddressSpace, layout: AddressLayout, commitLimit: number) {
    this.addressSpace = addressSpace
    this.memory = new UserMemory(addressSpace, (address, length) => this.#plainFrom(address, length))
    this.layout = layout
    this.commitLimit = commitLimit
    this.brkEnd = 0
    this.image = {
      startCode: 0,
      endCode: 0,
      startData: 0,
      endData: 0,
      startBrk: 0,
      startStack: 0,
      argStart: 0,
      argEnd: 0,
      envStart: 0,
      envEnd: 0,
      auxv: new Uint8Array(16),
      exe: undefined
    }
    this.areas = new RangeMap<Vma>({
      slice,
      merge,
      added: (vma) => {
        this.#count(vma, 1)
        if (vma.backing !== undefined && isFile(vma.backing.object)) vma.backing.object.retain()
      },
      removed: (vma) => {
        this.#count(vma, -1)
        if (vma.backing !== undefined && isFile(vma.backing.object)) vma.backing.object.release()
      }
    })
  }

  /** The areas, ascending. */
  vmas(): IterableIterator<Vma> {
    return this.areas.values()
  }

  /** What /proc/[pid]/maps shows for `vma`; "" for nameless memory. */
  nameOf(vma: Vma): string {
    const object = vma.backing?.object
    if (object !== undefined && isFile(object)) return object.describe()
    if (vma.name !== undefined) return vma.name
    if (object !== undefined) return object.name
    if (vma.start < this.brkEnd && vma.end > this.image.startBrk) return "[heap]"
    return vma.start <= this.image.startStack && vma.end >= this.image.startStack ? "[stack]" : ""
  }

  /** Sums for /proc and getrusage(2). */
  totals(): MemoryTotals {
    let executable = 0
    let shared = 0
    for (const vma of this.vmas()) {
      if ((vma.protection & PROT_EXEC) !== 0 && (vma.protection & PROT_WRITE) === 0) executable += countedSize(vma)
      if (vma.backing !== undefined) shared += countedSize(vma)
    }
    return { size: this.#size, data: this.#data, stack: this.#stack, locked: this.#locked, executable, shared }
  }

  /** Bytes that count against RLIMIT_MEMLOCK. */
  get locked(): number {
    return this.#locked
  }

  /**
   * What names the memory at `address` for everybody who shares it (futex(2)); undefined if it is private or unmapped.
   */
  sharedKey(address: number): { readonly object: object; readonly offset: number } | undefined {
    const vma = this.areas.find(address)
    if (vma?.backing === undefined || !vma.shared) return undefined
    const { object, offset } = vma.backing
    return {
      object: isFile(object) ? object.lockTarget() : object,
      offset: offset + (address - vma.start)
    }
  }

  /** One more task uses this memory (CLONE_VM). */
  share(): this {
    this.#users++
    return this
  }

  get users(): number {
    return this.#users
  }

  /** A task leaves; the last one lets go of the files. The host's address space ends with its last thread. */
  leave(): void {
    this.#users--
    if (this.#users > 0) return
    this.areas.clear()
    this.image.exe?.release()
    this.image.exe = undefined
  }

  /**
   * The memory of a forked child, whose address space the host has copied already (clone(2) without CLONE_VM). The host
   * was told of MADV_DONTFORK and MADV_WIPEONFORK, so it has left out and wiped those pages. Run the host's copy and
   * this together in `exclusive`, or a sibling's mmap may come between.
   */
  fork(childSpace: AddressSpace): MemoryManager {
    const child = new MemoryManager(childSpace, this.layout, this.commitLimit)
    for (const vma of this.vmas()) {
      if ((vma.flags & VMA_DONTFORK) !== 0) continue
      child.areas.replace(vma.start, vma.end, [{ ...vma, flags: vma.flags & ~VMA_LOCKED }]) // mlock(2): not inherited
    }
    child.coredumpFilter = this.coredumpFilter
    Object.assign(child.image, this.image)
    child.image.exe = this.image.exe?.retain()
    child.brkEnd = this.brkEnd
    child.barriers = this.barriers
    child.policy = inheritedPolicy(this.policy)
    for (const { start, end } of this.#guards) child.guard(start, end)
    return child
  }

  /**
   * Runs `effect` while nobody else changes this memory. A `PlatformFailed` in it ends the sandbox: it means that the
   * stub is gone or the host has broken its contract, which no errno can tell the guest.
   */
  exclusive<A>(effect: Effect.Effect<A, PlatformFailed>): Effect.Effect<A> {
    return Effect.uninterruptible(this.#mutex.withLock(Effect.orDie(effect)))
  }

  /** Makes `changes` in the stub, then runs `commit` (which edits the list) if they succeeded. Needs `exclusive`. */
  apply(changes: ReadonlyArray<MappingChange>, commit: () => number): Effect.Effect<number, PlatformFailed> {
    return Effect.map(this.addressSpace.change(changes), (result) => (result < 0 ? result : commit()))
  }

  /** The highest free place for `length` bytes, at a multiple of `alignment` if that is not 0. */
  findGap(length: number, alignment: number): number | undefined {
    const { mmapBase, taskSize } = this.layout
    const wanted = length + alignment
    const start =
      this.areas.highestGap(wanted, MINIMUM_ADDRESS, mmapBase, guardBelow) ??
      this.areas.lowestGap(wanted, pageStart(taskSize / 3), taskSize, guardBelow)
    return start === undefined || alignment === 0 ? start : start + alignment - (start % alignment || alignment)
  }

  /** Whether [start, end) is free and keeps clear of the guard gap of a stack above it. */
  isFree(start: number, end: number): boolean {
    const next = this.areas.firstEndingAfter(start)
    return next === undefined || next.start - guardBelow(next) >= end
  }

  /** The change that maps `vma` in the stub. */
  mapChange(vma: Vma, populate: boolean): MappingChange {
    const { backing } = vma
    const host = backing !== undefined && isFile(backing.object) ? backing.object.mappable() : undefined
    return {
      _tag: "Map",
      address: vma.start,
      length: vma.end - vma.start,
      protection: vma.protection,
      shared: vma.shared,
      backing:
        typeof host === "object" && backing !== undefined
          ? { fd: host.fd, offset: host.offset + backing.offset }
          : undefined,
      populate
    }
  }

  /** Unmaps [start, end). Needs `exclusive`. */
  unmapExclusive(start: number, end: number): Effect.Effect<number, PlatformFailed> {
    if (!this.areas.overlaps(start, end)) return Effect.succeed(0)
    if (this.areas.overlapping(start, end).some(isSealed)) return Effect.succeed(-EPERM)
    if (this.areas.size >= MAX_MAP_COUNT) {
      const around = this.areas.find(start)
      if (around !== undefined && around.start < start && around.end > end) return Effect.succeed(-ENOMEM)
    }
    return this.apply([{ _tag: "Unmap", address: start, length: end - start }], () => {
      this.areas.replace(start, end, [])
      return 0
    })
  }

  /**
   * A fault at `address` outside every area may be a stack that grows: extends the stack above it, within RLIMIT_STACK
   * and keeping the guard gap. True if the access should be tried again; false if it is a SIGSEGV.
   */
  handleFault(address: number, by: Requester): Effect.Effect<boolean> {
    return this.exclusive(Effect.suspend(() => this.#growStack(address, by)))
  }

  #growStack(address: number, by: Requester): Effect.Effect<boolean, PlatformFailed> {
    const no = Effect.succeed(false)
    const stack = this.areas.firstEndingAfter(address)
    if (stack === undefined || stack.start <= address || (stack.flags & VMA_GROWSDOWN) === 0) return no
    if (address < MINIMUM_ADDRESS) return no
    const below = this.areas.lastStartingBelow(stack.start)
    // memory nobody can touch, or another stack, needs no distance
    const distance =
      below !== undefined && below.protection !== 0 && (below.flags & VMA_GROWSDOWN) === 0 ? STACK_GUARD_GAP : 0
    const bottom = Math.max(
      MINIMUM_ADDRESS,
      (below?.end ?? 0) + distance,
      pageAlign(stack.end - Math.min(by.limits.soft(RLIMIT_STACK), stack.end))
    )
    if (address < bottom) return no
    // some pages at once: a deep recursion would fault on each of them
    const start = Math.max(bottom, pageStart(address) - GROWTH)
    const grown = { ...slice(stack, stack.start, stack.start), start, end: stack.start }
    if (this.refuseGrowth(by, [grown], []) !== 0) return no
    return Effect.map(
      this.apply([this.mapChange(grown, false)], () => {
        this.areas.replace(start, stack.end, [{ ...stack, start, ungrown: 0 }])
        return 0
      }),
      (result) => result === 0
    )
  }

  /** Tells where a stack pointer was seen: the stack is shown and counted from there on. */
  noteStackPointer(address: number): void {
    const vma = this.areas.find(address)
    if (vma === undefined || vma.ungrown === 0 || visibleStart(vma) <= address) return
    this.areas.modify(vma.start, vma.end, (stack) => ({ ...stack, ungrown: pageStart(address) - stack.start }))
  }

  /**
   * Whether `added` in place of `freed` goes beyond RLIMIT_AS, RLIMIT_DATA, the commit limit or vm.max_map_count: 0 or
   * -ENOMEM.
   */
  refuseGrowth(by: Requester, added: ReadonlyArray<Vma>, freed: ReadonlyArray<Vma>): number {
    let size = this.#size
    let data = this.#data
    for (const vma of added) {
      size += countedSize(vma)
      if (isData(vma)) data += countedSize(vma)
      if (isCommitted(vma) && countedSize(vma) > this.commitLimit) return -ENOMEM
    }
    for (const vma of freed) {
      size -= countedSize(vma)
      if (isData(vma)) data -= countedSize(vma)
    }
    if (size > this.#size && size > by.limits.soft(RLIMIT_AS)) return -ENOMEM
    if (data > this.#data && data > by.limits.soft(RLIMIT_DATA)) return -ENOMEM
    return this.areas.size + added.length > MAX_MAP_COUNT ? -ENOMEM : 0
  }

  /** Whether `bytes` more may be locked: 0, -EPERM (the limit is 0) or -ENOMEM. */
  refuseLock(by: Requester, bytes: number): number {
    if (by.mayLock) return 0
    const limit = by.limits.soft(RLIMIT_MEMLOCK)
    if (limit === 0) return -EPERM
    return this.#locked + bytes > limit ? -ENOMEM : 0
  }

  #count(vma: Vma, sign: 1 | -1): void {
    const size = countedSize(vma) * sign
    this.#size += size
    if (isData(vma)) this.#data += size
    if ((vma.flags & VMA_GROWSDOWN) !== 0) this.#stack += size
    if ((vma.flags & VMA_LOCKED) !== 0) this.#locked += size
  }
}

/** Bytes by which a stack grows beyond the page that faulted. */
const GROWTH = 32 * PAGE_SIZE
