/**
 * The time-stamp counter of the guest. Where guests may read the processor's own there is nothing to do but make that
 * fault for whoever wishes so. Elsewhere the platform makes rdtsc fault, as the host's counter would show the host's time;
 * it is executed here, and counts the sandbox's own monotonic time, one tick a nanosecond.
 */
import * as Effect from "effect/Effect"
import { Reg } from "../Abi/Registers.ts"
import type { PlatformFailed } from "../Platform/Platform.ts"
import type { Result } from "./Syscall.ts"
import type { Task } from "./Task.ts"

/** Makes true in the task's present context what `controlCounter` has said. */
export const followCounterControl = (task: Task): Effect.Effect<void, PlatformFailed> =>
  task.system.platform.counter === "native"
    ? (task.context.trapCounter?.(task.controls.timestampFaults) ?? Effect.void)
    : Effect.void

/** Reading the counter is a fault for the task from now on, or is not. 0. */
export const controlCounter = (task: Task, timestampFaults: boolean): Result => {
  task.controls = { ...task.controls, timestampFaults }
  // the host allowed as much for every stub when it started: a refusal is a defect
  return Effect.as(Effect.orDie(followCounterControl(task)), 0)
}

/** If the instruction at rip is rdtsc or rdtscp: executes it and returns true. */
export const emulateTimestampCounter = (task: Task): boolean => {
  const { memory, registers } = task
  const code = new Uint8Array(3)
  const rip = registers.ulong(Reg.rip)
  if (memory.copyInPartial(rip, code) < 2) return false
  const isRdtsc = code[0] === 0x0f && code[1] === 0x31
  const isRdtscp = code[0] === 0x0f && code[1] === 0x01 && code[2] === 0xf9
  if ((!isRdtsc && !isRdtscp) || task.controls.timestampFaults) return false
  const ticks = task.system.timekeeper.monotonic() - task.system.bootTime
  registers.words[Reg.rax] = ticks & 0xffff_ffffn
  registers.words[Reg.rdx] = (ticks >> 32n) & 0xffff_ffffn
  if (isRdtscp) registers.set(Reg.rcx, 0) // processor 0, node 0
  registers.set(Reg.rip, rip + (isRdtscp ? 3 : 2))
  return true
}
