/**
 * One guest memory: the list of its areas (VMAs), and the rules of mmap(2), munmap(2), mprotect(2) and brk(2).
 *
 * The list decides what is mapped where; each decision is then made true in the stub by `AddressSpace.change`, and only
 * after that succeeds does the list change. Decision, change and list update are one section under the manager's mutex
 * (Linux's mmap_lock), since another thread of the guest may map meanwhile.
 *
 * The other operations on the list are in Remap.ts, Advise.ts and MemoryLock.ts.
 */
import * as Effect from "effect/Effect"
import { EACCES, EAGAIN, EEXIST, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP, EOVERFLOW, EPERM } from "../Abi/Errno.ts"
import {
  MAP_32BIT,
  MAP_FIXED,
  MAP_FIXED_NOREPLACE,
  MAP_GROWSDOWN,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_NONBLOCK,
  MAP_NORESERVE,
  MAP_POPULATE,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_TYPE,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_GROWSDOWN,
  PROT_GROWSUP,
  PROT_READ,
  PROT_SEM,
  PROT_WRITE
} from "../Abi/Mman.ts"
import { RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK, RLIMIT_STACK } from "../Abi/Resource.ts"
import type { AddressSpace, MappingChange, PlatformFailed } from "../Platform/Platform.ts"
import { Mutex } from "../Sync/Mutex.ts"
import {
  type AddressLayout,
  isPageAligned,
  MAX_MAP_COUNT,
  MINIMUM_ADDRESS,
  pageAlign,
  pageStart,
  STACK_GUARD_GAP
} from "./AddressLayout.ts"
import { RangeMap } from "./RangeMap.ts"
import { UserMemory } from "./UserMemory.ts"
import {
  type Backing,
  countedSize,
  isData,
  isFile,
  type MappedFile,
  merge,
  SharedAnonymous,
  slice,
  visibleStart,
  type Vma,
  VMA_DONTFORK,
  VMA_GROWSDOWN,
  VMA_LOCKED,
  VMA_MAYWRITE,
  VMA_NORESERVE
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

/** The arguments of mmap(2); `file` is undefined for MAP_ANONYMOUS. */
export interface MapRequest {
  readonly address: number
  readonly length: number
  readonly protection: number
  readonly flags: number
  readonly file: MappedFile | undefined
  readonly offset: number
  readonly by: Requester
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

const PROT_ALL = PROT_READ | PROT_WRITE | PROT_EXEC
const HUGE_PAGE = 2 * 1024 * 1024
/** What MAP_SHARED_VALIDATE accepts (Linux's LEGACY_MAP_MASK without what it rejects itself). */
const KNOWN_MAP_FLAGS = 0x03 | 0x7f0 | 0x0800 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000 | 0x10_0000

/** Mutex: the manager's own. Shared by the tasks of one address space. */
export class MemoryManager {
  readonly memory: UserMemory
  readonly addressSpace: AddressSpace
  readonly layout: AddressLayout
  readonly image: ProgramImage
  /** The areas. Edited only under the mutex, by src/Memory. */
  readonly areas: RangeMap<Vma>
  /** The current program break. */
  brkEnd: number
  /** VMA_LOCKED once mlockall(MCL_FUTURE) was called. */
  futureFlags = 0

  readonly #mutex = new Mutex()
  #users = 1
  #size = 0
  #data = 0
  #stack = 0
  #locked = 0

  constructor(addressSpace: AddressSpace, layout: AddressLayout) {
    this.addressSpace = addressSpace
    this.memory = new UserMemory(addressSpace)
    this.layout = layout
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
    if (vma.backing !== undefined)
      return isFile(vma.backing.object) ? vma.backing.object.describe() : vma.backing.object.name
    if (vma.name !== undefined) return vma.name
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
      object: isFile(object) ? (object.lockTarget() ?? object) : object,
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
    const child = new MemoryManager(childSpace, this.layout)
    for (const vma of this.vmas()) {
      if ((vma.flags & VMA_DONTFORK) !== 0) continue
      child.areas.replace(vma.start, vma.end, [{ ...vma, flags: vma.flags & ~VMA_LOCKED }]) // mlock(2): not inherited
    }
    Object.assign(child.image, this.image)
    child.image.exe = this.image.exe?.retain()
    child.brkEnd = this.brkEnd
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

  /** mmap(2): the address, or -errno. */
  map(request: MapRequest): Outcome {
    const { file, flags } = request
    if (!isPageAligned(request.offset)) return -EINVAL
    // no huge pages are reserved: Linux fails like this, too, where vm.nr_hugepages is 0
    if ((flags & MAP_HUGETLB) !== 0) return file === undefined ? -ENOMEM : -EINVAL
    if (request.length === 0) return -EINVAL
    if (pageAlign(request.length) === 0) return -ENOMEM
    if (request.offset + request.length >= 2 ** 63) return -EOVERFLOW
    if (file === undefined) return this.exclusive(Effect.suspend(() => this.#map(request)))
    file.retain() // a sibling may close it while this waits
    return Effect.ensuring(
      this.exclusive(Effect.suspend(() => this.#map(request))),
      Effect.sync(() => file.release())
    )
  }

  #map(request: MapRequest): Effect.Effect<number, PlatformFailed> {
    const length = pageAlign(request.length)
    const fixed = (request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0
    const start = this.#chooseAddress(request, length, fixed)
    if (start < 0) return Effect.succeed(start)
    const end = start + length
    if ((request.flags & MAP_FIXED_NOREPLACE) !== 0 && this.areas.overlaps(start, end)) return Effect.succeed(-EEXIST)

    const locked = ((request.flags & MAP_LOCKED) !== 0 ? VMA_LOCKED : 0) | this.futureFlags
    if (locked !== 0) {
      const refused = this.refuseLock(request.by, length)
      if (refused !== 0)
        return Effect.succeed((request.flags & MAP_LOCKED) !== 0 && refused === -EPERM ? -EPERM : -EAGAIN)
    }
    const checked = this.#backing(request)
    if (typeof checked === "number") return Effect.succeed(checked)

    const vma: Vma = {
      start,
      end,
      protection: request.protection & PROT_ALL,
      shared: checked.shared,
      backing: checked.backing,
      flags:
        locked |
        (checked.mayWrite ? VMA_MAYWRITE : 0) |
        ((request.flags & MAP_NORESERVE) !== 0 ? VMA_NORESERVE : 0) |
        ((request.flags & MAP_GROWSDOWN) !== 0 ? VMA_GROWSDOWN : 0),
      name: undefined,
      ungrown: 0
    }
    const freed = fixed ? this.areas.clipped(start, end) : []
    const refused = this.refuseGrowth(request.by, [vma], freed)
    if (refused !== 0) return Effect.succeed(refused)
    const populate = locked !== 0 || (request.flags & (MAP_POPULATE | MAP_NONBLOCK)) === MAP_POPULATE
    return this.apply([this.mapChange(vma, populate)], () => {
      this.areas.replace(start, end, [vma])
      return start
    })
  }

  /** What the pages of a request come from, or -errno; the checks of Linux's do_mmap in their order. */
  #backing(
    request: MapRequest
  ): { readonly backing: Backing | undefined; readonly shared: boolean; readonly mayWrite: boolean } | number {
    const { file, flags } = request
    const type = flags & MAP_TYPE
    if (file === undefined) {
      if (type === MAP_PRIVATE) return { backing: undefined, shared: false, mayWrite: true }
      if (type !== MAP_SHARED || (flags & MAP_GROWSDOWN) !== 0) return -EINVAL
      return { backing: { object: new SharedAnonymous(), offset: 0 }, shared: true, mayWrite: true }
    }
    if (type !== MAP_PRIVATE && type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE) return -EINVAL
    if (type === MAP_SHARED_VALIDATE && (flags & ~KNOWN_MAP_FLAGS) !== 0) return -EOPNOTSUPP
    const shared = type !== MAP_PRIVATE
    if (shared && (request.protection & PROT_WRITE) !== 0 && !file.writable) return -EACCES
    if (!file.readable) return -EACCES
    const host = file.mappable()
    if (typeof host === "number") return host === -EACCES ? -EACCES : -ENODEV
    if ((flags & MAP_GROWSDOWN) !== 0) return -EINVAL
    return { backing: { object: file, offset: request.offset }, shared, mayWrite: !shared || file.writable }
  }

  #chooseAddress(request: MapRequest, length: number, fixed: boolean): number {
    const { taskSize } = this.layout
    if (length > taskSize - MINIMUM_ADDRESS) return -ENOMEM
    if (fixed) {
      if (request.address > taskSize - length) return -ENOMEM
      if (!isPageAligned(request.address)) return -EINVAL
      return request.address < MINIMUM_ADDRESS ? -EPERM : request.address
    }
    const below32Bits = (request.flags & MAP_32BIT) !== 0
    if (request.address >= PAGE_SIZE) {
      // a hint: taken if it is free, rounded as Linux's round_hint_to_min does
      const hint = Math.max(pageStart(request.address), MINIMUM_ADDRESS)
      if (hint <= (below32Bits ? 0x8000_0000 : taskSize) - length && this.isFree(hint, hint + length)) return hint
    }
    if (below32Bits) return this.areas.lowestGap(length, 0x4000_0000, 0x8000_0000, guardBelow) ?? -ENOMEM
    // large anonymous memory on huge-page boundaries, as the host may then use huge pages
    const padding = request.file === undefined && length % HUGE_PAGE === 0 ? HUGE_PAGE : 0
    return this.findGap(length, padding) ?? (padding > 0 ? this.findGap(length, 0) : undefined) ?? -ENOMEM
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

  /** munmap(2). */
  unmap(address: number, length: number): Outcome {
    const size = pageAlign(length)
    if (!isPageAligned(address) || address > this.layout.taskSize || length > this.layout.taskSize - address)
      return -EINVAL
    if (size === 0) return -EINVAL
    return this.exclusive(Effect.suspend(() => this.unmapLocked(address, address + size)))
  }

  /** Unmaps [start, end). Needs `exclusive`. */
  unmapLocked(start: number, end: number): Effect.Effect<number, PlatformFailed> {
    if (!this.areas.overlaps(start, end)) return Effect.succeed(0)
    if (this.areas.size >= MAX_MAP_COUNT) {
      const around = this.areas.find(start)
      if (around !== undefined && around.start < start && around.end > end) return Effect.succeed(-ENOMEM)
    }
    return this.apply([{ _tag: "Unmap", address: start, length: end - start }], () => {
      this.areas.replace(start, end, [])
      return 0
    })
  }

  /** mprotect(2). Areas below a hole are changed although the call fails with -ENOMEM, as in Linux. */
  protect(address: number, length: number, protection: number, by: Requester): Outcome {
    const grows = protection & (PROT_GROWSDOWN | PROT_GROWSUP)
    if (grows === (PROT_GROWSDOWN | PROT_GROWSUP) || !isPageAligned(address)) return -EINVAL
    if (length === 0) return 0
    const size = pageAlign(length)
    if (size === 0 || address + size >= 2 ** 64) return -ENOMEM
    if ((protection & ~(PROT_ALL | PROT_SEM | PROT_GROWSDOWN | PROT_GROWSUP)) !== 0) return -EINVAL
    return this.exclusive(
      Effect.suspend(() => this.#protect(address, address + size, protection & PROT_ALL, grows, by))
    )
  }

  #protect(
    address: number,
    end: number,
    protection: number,
    grows: number,
    by: Requester
  ): Effect.Effect<number, PlatformFailed> {
    const first = this.areas.firstEndingAfter(address)
    if (first === undefined || first.start >= end) return Effect.succeed(-ENOMEM)
    let start = address
    if (grows === PROT_GROWSDOWN) {
      if ((first.flags & VMA_GROWSDOWN) === 0) return Effect.succeed(-EINVAL)
      start = first.start
    } else if (first.start > start) return Effect.succeed(-ENOMEM)
    else if (grows === PROT_GROWSUP) return Effect.succeed(-EINVAL)

    let reached = start
    let failure = 0
    for (const vma of this.areas.clipped(start, end)) {
      if (vma.start > reached) break
      if ((protection & PROT_WRITE) !== 0 && (vma.flags & VMA_MAYWRITE) === 0) failure = -EACCES
      else if (!isData(vma) && this.refuseGrowth(by, [{ ...vma, protection }], [vma]) !== 0) failure = -ENOMEM
      if (failure !== 0) break
      reached = vma.end
    }
    if (failure === 0 && reached < end) failure = -ENOMEM
    if (reached === start) return Effect.succeed(failure)
    if (this.areas.size + 2 > MAX_MAP_COUNT) return Effect.succeed(-ENOMEM)
    return this.apply([{ _tag: "Protect", address: start, length: reached - start, protection }], () => {
      this.areas.modify(start, reached, (vma) => ({ ...vma, protection }))
      return failure
    })
  }

  /** brk(2), Linux's own: the new break, or the old one if it cannot be set. */
  brk(address: number, by: Requester): Outcome {
    if (address < this.image.startBrk) return this.brkEnd
    return this.exclusive(Effect.suspend(() => this.#brk(address, by)))
  }

  #brk(address: number, by: Requester): Effect.Effect<number, PlatformFailed> {
    const { image } = this
    const old = this.brkEnd
    const refused = Effect.succeed(old)
    if (address - image.startBrk + (image.endData - image.startData) > by.limits.soft(RLIMIT_DATA)) return refused
    const from = pageAlign(old)
    const to = pageAlign(address)
    const commit = (): number => (this.brkEnd = address)
    if (to === from) return Effect.succeed(commit())
    const done = (result: number): number => (result < 0 ? old : result)
    if (to < from) {
      return Effect.map(this.unmapLocked(to, from), (result) => (result < 0 ? old : commit()))
    }
    if (to > this.layout.taskSize || !this.isFree(from, to + PAGE_SIZE)) return refused
    if (this.futureFlags !== 0 && this.refuseLock(by, to - from) !== 0) return refused
    const vma = { ...anonymous(from, to, PROT_READ | PROT_WRITE), flags: VMA_MAYWRITE | this.futureFlags }
    if (this.refuseGrowth(by, [vma], []) !== 0) return refused
    const grow = this.apply([this.mapChange(vma, this.futureFlags !== 0)], () => {
      this.areas.replace(from, to, [vma])
      return commit()
    })
    return Effect.map(grow, done)
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
   * Whether `added` in place of `freed` goes beyond RLIMIT_AS, RLIMIT_DATA or vm.max_map_count: 0 or -ENOMEM (Linux's
   * may_expand_vm).
   */
  refuseGrowth(by: Requester, added: ReadonlyArray<Vma>, freed: ReadonlyArray<Vma>): number {
    let size = this.#size
    let data = this.#data
    for (const vma of added) {
      size += countedSize(vma)
      if (isData(vma)) data += countedSize(vma)
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

/** What must stay free below `vma`. */
const guardBelow = (vma: Vma): number => ((vma.flags & VMA_GROWSDOWN) !== 0 ? STACK_GUARD_GAP : 0)

/** An area of private zero pages. */
export const anonymous = (start: number, end: number, protection: number): Vma => ({
  start,
  end,
  protection,
  shared: false,
  backing: undefined,
  flags: VMA_MAYWRITE,
  name: undefined,
  ungrown: 0
})
