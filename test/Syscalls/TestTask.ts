/**
 * A real `Task` over a fake memory and no platform: enough to run system call handlers directly.
 */
import * as Effect from "effect/Effect"
import { Registers, argumentRegisters, registersSize } from "../../src/Abi/Registers.ts"
import { UserMemory } from "../../src/Memory/UserMemory.ts"
import { RunQueue } from "../../src/Sync/RunQueue.ts"
import { PidNamespace } from "../../src/Task/PidNamespace.ts"
import { ResourceLimits } from "../../src/Task/ResourceLimits.ts"
import type { Result, Syscall } from "../../src/Task/Syscall.ts"
import { Task } from "../../src/Task/Task.ts"
import { hostTimekeeper } from "../../src/Time/Timekeeper.ts"
import { Timers } from "../../src/Time/Timers.ts"
import { AnonymousFiles } from "../../src/Vfs/AnonymousFiles.ts"
import { FdTable } from "../../src/Vfs/FdTable.ts"
import { firstUserNamespace } from "../../src/Vfs/UserNamespace.ts"

/** Guest memory: bytes at addresses 0x1000 up to its end; everything else faults. */
export class FakeMemory {
  readonly start = 0x1000
  readonly bytes: Buffer

  constructor(size: number) {
    this.bytes = Buffer.alloc(size)
  }

  readonly read = (address: number, into: Uint8Array): number => {
    if (address < this.start || address >= this.start + this.bytes.length) return 0
    return this.bytes.copy(into, 0, address - this.start, address - this.start + into.length)
  }

  readonly write = (address: number, from: Uint8Array): number => {
    if (address < this.start || address >= this.start + this.bytes.length) return 0
    const count = Math.min(from.length, this.start + this.bytes.length - address)
    this.bytes.set(from.subarray(0, count), address - this.start)
    return count
  }
}

const root = { ruid: 0, euid: 0, suid: 0, fsuid: 0, rgid: 0, egid: 0, sgid: 0, fsgid: 0, groups: [] }
const firstPidNamespace = new PidNamespace({ ino: 1, owner: firstUserNamespace }, undefined)
const noCapabilities = { effective: 0n, permitted: 0n, inheritable: 0n, bounding: 0n, ambient: 0n }

/** What the tasks of one test share. */
export class TestSystem {
  readonly runQueue = new RunQueue()
  readonly timekeeper = hostTimekeeper
  readonly timers = new Timers(hostTimekeeper)
  readonly anonymous = new AnonymousFiles(hostTimekeeper, this.timers)
  readonly memory = new FakeMemory(0x20_0000)
  readonly raised: Array<number> = []
  #lastTid = 0

  /** A task of a thread group of its own, with `fds` or a new table. */
  task(fds: FdTable = new FdTable()): Task {
    this.#lastTid++
    const tid = this.#lastTid
    const memory = new UserMemory(this.memory as never)
    const task = new Task({
      system: this,
      tid,
      threadGroup: { tgid: tid, ownTgid: tid, pidNamespace: firstPidNamespace, limits: new ResourceLimits() },
      context: { registers: new Registers(new ArrayBuffer(registersSize), 0) },
      memoryManager: { memory },
      fds,
      fs: undefined,
      credentials: { ...root, ...noCapabilities },
      namespaces: { ipc: { use: () => undefined } },
      commandName: "test"
    } as never) // what the handlers under test use of a task, and no more
    task.raise = (signo) => {
      this.raised.push(signo)
    }
    return task
  }

  /** Runs one call to its end. */
  call(task: Task, syscall: Syscall, ...args: ReadonlyArray<number | bigint>): Effect.Effect<number> {
    return Effect.suspend(() => {
      args.forEach((value, index) => {
        task.registers.words[argumentRegisters[index]!] = BigInt.asUintN(64, BigInt(value))
      })
      const result: Result = syscall.run(task, ...(args as ReadonlyArray<never>))
      return typeof result === "number" ? Effect.succeed(result) : result
    })
  }

  /** As if a signal arrived. */
  interrupt(task: Task): void {
    task.interrupt()
  }

  put(address: number, bytes: string | Uint8Array): void {
    this.memory.bytes.set(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, address - 0x1000)
  }

  text(address: number, length: number): string {
    return this.memory.bytes.toString("latin1", address - 0x1000, address - 0x1000 + length)
  }

  int(address: number): number {
    return this.memory.bytes.readInt32LE(address - 0x1000)
  }
}
