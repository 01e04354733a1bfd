/**
 * Restartable sequences, rseq(2): a thread that has registered an area *occupies* a CPU of the sandbox's own while it
 * runs application code: its number is in the area, and no other such thread of the same memory has that number
 * meanwhile. When it may have been otherwise, a critical section in which the thread was is aborted: the host, which
 * preempts guest threads and tells nobody, has no part in it.
 *
 * A CPU is given up whenever the thread leaves application code for more than a call that is answered at once.
 *
 * The C library registers every thread, but hardly any program has critical sections. So one that finds no CPU free runs
 * with an area that names none, in which no critical section gets past its first comparison; as soon as the area of
 * some thread is seen to name a section, such threads wait for a CPU instead.
 */
import * as Effect from "effect/Effect"
import { PROT_READ, PROT_WRITE, TASK_SIZE } from "../Abi/Mman.ts"
import { Reg } from "../Abi/Registers.ts"
import { RSEQ_CPU_ID_UNINITIALIZED, RSEQ_SIGNATURE_SIZE, RseqArea, RseqSection } from "../Abi/Rseq.ts"
import type { MemoryManager } from "../Memory/MemoryManager.ts"
import { type CpuUser, VirtualCpus } from "../Sync/VirtualCpus.ts"
import type { System } from "./System.ts"
import type { Task } from "./Task.ts"

const { offsets } = RseqArea
/** The fields before `rseq_cs`, and those after `flags`. */
const CPU_SIZE = offsets.rseq_cs
const LIMIT = BigInt(TASK_SIZE)

/** The CPUs that the threads of one memory share. */
const cpusOf = (manager: MemoryManager, { cpuCount, platform, timekeeper, timers }: System): VirtualCpus =>
  (manager.cpus ??= new VirtualCpus({
    count: cpuCount,
    serial: platform.serial === true,
    now: timekeeper.monotonic,
    at: (deadline, run) => timers.at(deadline, run)
  }))

/** A thread's registration. Owner: the task's fiber. */
export class Rseq implements CpuUser {
  readonly #task: Task
  readonly address: number
  readonly length: number
  readonly signature: number
  readonly cpus: VirtualCpus
  cpu = -1
  stay = 0
  disturbed = true
  /** The CPU that the area names, or RSEQ_CPU_ID_UNINITIALIZED; undefined before the thread has first run with it. */
  shown: number | undefined = undefined
  onCpu: () => void = () => undefined
  /** Who waits for the thread to be out of application code. */
  readonly onLeave: Array<() => void> = []

  constructor(task: Task, area: Pick<Rseq, "address" | "length" | "signature">) {
    this.#task = task
    this.address = area.address
    this.length = area.length
    this.signature = area.signature
    this.cpus = cpusOf(task.memoryManager, task.system)
  }

  /** The same area in the memory of a forked child. */
  copyFor(child: Task): Rseq {
    const copy = new Rseq(child, this)
    copy.cpu = this.cpu
    copy.shown = this.shown
    return copy
  }

  readonly mayUse = (cpu: number): boolean => {
    const { affinity } = this.#task.scheduling
    return affinity === undefined || ((affinity >> BigInt(cpu)) & 1n) !== 0n
  }

  readonly evict = (): void => this.#task.expel()

  readonly insists = (): boolean => this.#task.memory.readU64(this.address + offsets.rseq_cs) > 0
}

// ---------------------------------------------------------------------------------------------------------------------
// CPUs
// ---------------------------------------------------------------------------------------------------------------------

/** Waits for a CPU: true once the thread occupies it; false if something else wants its attention. */
export const awaitCpu = (task: Task, rseq: Rseq): Effect.Effect<boolean> =>
  task.sleep<boolean>({
    subscribe: (wake) => {
      rseq.onCpu = wake
      rseq.cpus.wait(rseq)
      return () => {
        if (!rseq.cpus.isHolder(rseq)) rseq.cpus.leave(rseq)
      }
    },
    look: (end) => rseq.cpus.isHolder(rseq) || (end === undefined ? undefined : false),
    isRunnable: true
  })

/** What a call returns that is done, but not to be answered at once: its thread gives its CPU up, and may get another. */
export const doneOutside: Effect.Effect<number> = Effect.succeed(0)

/** The thread is out of application code: others may have its CPU. `called`: by a system call. */
export const leaveCpu = (task: Task, rseq: Rseq, called: boolean): void => {
  task.clearExpelled()
  rseq.cpus.leave(rseq)
  if (!called && task.system.platform.serial === true) rseq.disturbed = true // who knows who runs next
  for (let next = rseq.onLeave.shift(); next !== undefined; next = rseq.onLeave.shift()) next()
}

/** The thread's area is no more its own. */
export const forgetRseq = (task: Task): void => {
  if (task.rseq === undefined) return
  leaveCpu(task, task.rseq, true)
  task.rseq = undefined
}

/**
 * Aborts the critical sections, as far as they have begun, of the other threads with the memory of `task`; `cpu`: only of
 * those that have that one. Done when none of them goes on in one.
 */
export const abortOthers = (task: Task, cpu: number | undefined): number | Effect.Effect<number> => {
  const running: Array<Rseq> = []
  task.memoryManager.cpus?.insist()
  for (const { memoryManager, rseq } of task.system.taskSet.tasks.values()) {
    if (rseq === undefined || rseq === task.rseq || memoryManager !== task.memoryManager) continue
    if (cpu !== undefined && rseq.shown !== cpu) continue
    rseq.disturbed = true
    if (rseq.cpus.isHolder(rseq) || rseq.cpus.isStanding(rseq)) running.push(rseq)
  }
  if (running.length === 0) return 0
  return Effect.callback<number>((resume) => {
    let left = running.length
    const onLeave = (): void => {
      if (--left === 0) task.system.runQueue.schedule(() => resume(Effect.succeed(0)))
    }
    for (const rseq of running) {
      rseq.onLeave.push(onLeave)
      rseq.evict()
    }
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// The area
// ---------------------------------------------------------------------------------------------------------------------

/** What of the area says where the thread runs; `cpu_id_start` names some CPU even where `cpu_id` names none. */
const writeCpu = ({ memory }: Task, address: number, cpu: number): number => {
  const some = Math.max(cpu, 0)
  const area = RseqArea.encode({
    cpu_id_start: some,
    cpu_id: cpu,
    rseq_cs: 0n,
    flags: 0,
    node_id: 0,
    mm_cid: some // a number that no other thread of the memory has meanwhile: the CPU's is as good as any
  })
  const written = memory.copyOut(address, area.subarray(0, CPU_SIZE))
  return written < 0 ? written : memory.copyOut(address + offsets.node_id, area.subarray(offsets.node_id))
}

/** Takes back what the area says: 0 or -EFAULT. */
export const clearArea = (task: Task, { address }: Rseq): number => writeCpu(task, address, RSEQ_CPU_ID_UNINITIALIZED)

/** Brings the area up to date before the thread runs on the CPU that it occupies; false if the area is no good: SIGSEGV. */
export const settleArea = (task: Task, rseq: Rseq): boolean => {
  const cpu = rseq.cpus.isStanding(rseq) ? RSEQ_CPU_ID_UNINITIALIZED : rseq.cpu
  if (rseq.shown === cpu && !rseq.disturbed) return true
  rseq.disturbed = false
  if (!abortSection(task, rseq)) return false
  if (rseq.shown === cpu) return true
  rseq.shown = cpu
  if (cpu > 0) task.system.vdsoPage?.forgetCpu()
  return writeCpu(task, rseq.address, cpu) === 0 || isWritable(task, rseq.address)
}

/**
 * Has the thread go on at the abort handler if it is inside a critical section; false if what the area says is no good:
 * SIGSEGV.
 */
export const abortSection = (task: Task, rseq: Rseq): boolean => {
  const { memory, registers } = task
  const field = rseq.address + offsets.rseq_cs
  task.context.watch?.(field)
  const pointer = memory.readU64(field)
  // Linux writes the area whatever it says
  if (!isWritable(task, rseq.address)) return false
  if (pointer <= 0) return true // below 0: the host has taken the memory away with the thread, as the switch will tell
  rseq.cpus.insist()
  const section = pointer < TASK_SIZE ? readSection(task, pointer) : undefined
  if (section === undefined || !isSound(task, section, rseq.signature)) return false
  const { abort_ip, flags, post_commit_offset, start_ip } = section
  const isInside = BigInt.asUintN(64, registers.words[Reg.rip]! - start_ip) < post_commit_offset
  if (isInside && (flags !== 0 || memory.readU32(rseq.address + offsets.flags) !== 0)) return false
  if (memory.writeBigU64(field, 0n) < 0) return false
  if (isInside) registers.words[Reg.rip] = abort_ip
  return true
}

const readSection = ({ memory }: Task, at: number): RseqSection | undefined => {
  const bytes = new Uint8Array(RseqSection.size)
  return memory.copyIn(at, bytes) < 0 ? undefined : RseqSection.decode(bytes)
}

const isSound = ({ memory }: Task, section: RseqSection, signature: number): boolean => {
  const { abort_ip, post_commit_offset, start_ip, version } = section
  const end = start_ip + post_commit_offset
  if (version !== 0 || start_ip >= LIMIT || abort_ip >= LIMIT || BigInt.asUintN(64, end) !== end || end >= LIMIT)
    return false
  if (BigInt.asUintN(64, abort_ip - start_ip) < post_commit_offset) return false
  return memory.readU32(Number(abort_ip) - RSEQ_SIGNATURE_SIZE) === signature
}

/** Whether the program may write the area. */
const isWritable = ({ memoryManager }: Task, address: number): boolean => {
  const protection = memoryManager.areas.find(address)?.protection ?? 0
  return (protection & (PROT_READ | PROT_WRITE)) === (PROT_READ | PROT_WRITE)
}
