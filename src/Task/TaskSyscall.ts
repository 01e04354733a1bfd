/**
 * From a stopped thread to a handler and back: number → declaration → decoded arguments → result in rax.
 *
 * `handleSyscall` is the hot path. It runs inside the platform's pump, not in the task's fiber, and allocates nothing of
 * its own; only what cannot be finished there wakes the fiber.
 */
import { ENOSYS } from "../Abi/Errno.ts"
import { Reg, type Registers, argumentRegisters } from "../Abi/Registers.ts"
import { sysnoNames } from "../Abi/Sysno.ts"
import { isRestartCode } from "./Restart.ts"
import type { Argument, Result, Syscall } from "./Syscall.ts"
import type { Task } from "./Task.ts"

/** Answers the call that `task` stopped at. True: rax is set and the application may go on at once. */
export const handleSyscall = (task: Task): boolean => {
  const nr = task.registers.uint(Reg.orig_rax)
  const { observer, syscalls } = task.system
  const syscall = syscalls[nr]
  const { call } = task
  call.nr = nr
  observer?.enter(task, syscall, nr)
  const result = syscall === undefined ? unimplemented(task, nr) : invoke(task, syscall)
  if (typeof result !== "number") {
    call.effect = result
    return false
  }
  finishSyscall(task, result)
  return !task.attention && task.restart === 0 && !task.stops.stopped
}

/** Puts a result where the application, or signal delivery, finds it. */
export const finishSyscall = (task: Task, result: number): void => {
  const { nr } = task.call
  task.system.observer?.exit(task, task.system.syscalls[nr], nr, result)
  if (task.keepRegisters) {
    task.keepRegisters = false
    return
  }
  if (isRestartCode(result)) task.restart = -result
  task.registers.set(Reg.rax, result)
}

const unimplemented = (task: Task, nr: number): number => {
  task.system.onEvent({ _tag: "UnimplementedSyscall", nr, name: sysnoNames[nr] ?? `syscall_${nr}`, tid: task.tid })
  return -ENOSYS
}

const invoke = (task: Task, syscall: Syscall): Result => {
  const { args } = syscall
  const run = syscall.run as (task: Task, ...values: ReadonlyArray<number | bigint>) => Result // as `declare` erased it
  const registers = task.registers
  switch (args.length) {
    case 0:
      return run(task)
    case 1:
      return run(task, decode(registers, args, 0))
    case 2:
      return run(task, decode(registers, args, 0), decode(registers, args, 1))
    case 3:
      return run(task, decode(registers, args, 0), decode(registers, args, 1), decode(registers, args, 2))
    default:
      return run(task, ...args.map((_, index) => decode(registers, args, index)))
  }
}

/** Argument `index` as its declaration wants it. */
export const decode = (registers: Registers, args: ReadonlyArray<Argument>, index: number): number | bigint => {
  const register = argumentRegisters[index]!
  switch (args[index]!.decoding) {
    case "int":
      return registers.int(register)
    case "uint":
      return registers.uint(register)
    case "long":
      return registers.long(register)
    case "ulong":
      return registers.ulong(register)
    case "u64":
      return registers.words[register]!
  }
}
