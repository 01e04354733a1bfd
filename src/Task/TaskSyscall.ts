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
import { NO_CALL, type Task } from "./Task.ts"
import { screen } from "./TaskSeccomp.ts"

/** Answers the call that `task` stopped at. True: rax is set and the application may go on at once. */
export const handleSyscall = (task: Task): boolean => {
  const nr = task.registers.uint(Reg.orig_rax)
  const { call } = task
  call.nr = nr
  if (nr === NO_CALL) noteConvention(task)
  if (task.interceptsCalls) {
    call.intercepted = true
    return false
  }
  const result = startSyscall(task)
  if (call.intercepted) return false
  if (typeof result !== "number") {
    call.effect = result
    return false
  }
  finishSyscall(task, result)
  return !task.attention && task.restart === 0 && !task.stops.stopped
}

/** Lets the number show of a call that was made as 32-bit programs do. */
const noteConvention = ({ call, context, registers }: Task): void => {
  const nr = context.i386Call?.()
  call.isI386 = nr !== undefined
  if (nr !== undefined) registers.set(Reg.orig_rax, nr)
}

/** Does the call whose number is known, if its filters let it. */
export const startSyscall = (task: Task): Result => {
  const { nr } = task.call
  const { observer, syscalls } = task.system
  observer?.enter(task, syscalls[nr], nr)
  return task.seccomp === undefined ? perform(task) : screen(task, perform)
}

/** Does the call after a tracer has looked at it because a filter wanted that. */
export const restartSyscall = (task: Task): Result => screen(task, perform, true)

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

/** Does what the call asks for, or what somebody has planned in its place. */
const perform = (task: Task): Result => {
  const { nr } = task.call
  const { injector, syscalls } = task.system
  const syscall = syscalls[nr]
  return injector === undefined
    ? answer(task, syscall, nr)
    : injector.intervene(task, syscall, () => answer(task, syscall, nr))
}

const answer = (task: Task, syscall: Syscall | undefined, nr: number): Result =>
  syscall === undefined ? unimplemented(task, nr) : invoke(task, syscall)

const unimplemented = (task: Task, nr: number): number => {
  task.system.onEvent({ _tag: "UnimplementedSyscall", nr, name: sysnoNames[nr] ?? `syscall_${nr}`, tid: task.tid })
  return -ENOSYS
}

/** Spelled out: an array of arguments for each call would be most of what a short call costs. */
const invoke = (task: Task, syscall: Syscall): Result => {
  const { args } = syscall
  const run = syscall.run as (task: Task, ...values: ReadonlyArray<number | bigint>) => Result // as `declare` erased it
  const { registers } = task
  const count = args.length
  if (count === 0) return run(task)
  const a = decode(registers, args, 0)
  if (count === 1) return run(task, a)
  const b = decode(registers, args, 1)
  if (count === 2) return run(task, a, b)
  const c = decode(registers, args, 2)
  if (count === 3) return run(task, a, b, c)
  const d = decode(registers, args, 3)
  if (count === 4) return run(task, a, b, c, d)
  const e = decode(registers, args, 4)
  return count === 5 ? run(task, a, b, c, d, e) : run(task, a, b, c, d, e, decode(registers, args, 5))
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
