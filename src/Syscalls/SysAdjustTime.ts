/**
 * adjtimex(2), clock_adjtime(2), settimeofday(2): the clock's state is told, the clock is not the sandbox's to set.
 */
import { EFAULT, EINVAL, EOPNOTSUPP, EPERM } from "../Abi/Errno.ts"
import { CLOCK_NAMES, CLOCK_REALTIME } from "../Abi/Time.ts"
import { address, declare, oneOf, type Result, type Syscall } from "../Task/Syscall.ts"
import type { Task } from "../Task/Task.ts"
import { readClock } from "./Clocks.ts"

/** Offsets in `struct timex`, and its size. */
const TIMEX = {
  modes: 0,
  maxerror: 24,
  esterror: 32,
  status: 40,
  constant: 48,
  precision: 56,
  tolerance: 64,
  seconds: 72,
  micros: 80,
  tick: 88,
  size: 208
} as const

const ADJ_ADJTIME = 0x8000
const ADJ_OFFSET_SINGLESHOT = 0x0001
const ADJ_OFFSET_READONLY = 0x2000
/** Nobody tells the kernel how good its clock is, and so it says the worst. */
const STA_UNSYNC = 0x40
const TIME_ERROR = 5
const WORST_ERROR = 16_000_000n

/** What is asked for, or -EFAULT. */
const readTimex = (task: Task, at: number): DataView | number => {
  const bytes = new Uint8Array(TIMEX.size)
  return task.memory.copyIn(at, bytes) < 0 ? -EFAULT : new DataView(bytes.buffer)
}

const refusal = (modes: number): number => {
  if ((modes & ADJ_ADJTIME) === 0) return modes === 0 ? 0 : -EPERM
  if ((modes & ADJ_OFFSET_SINGLESHOT) === 0) return -EINVAL
  return (modes & ADJ_OFFSET_READONLY) === 0 ? -EPERM : 0
}

const adjust = (task: Task, timex: DataView, at: number): number => {
  const refused = refusal(timex.getUint32(TIMEX.modes, true))
  if (refused < 0) return refused
  const put = (offset: number, value: bigint): void => timex.setBigInt64(offset, value, true)
  for (let offset = 8; offset < TIMEX.size; offset += 8) put(offset, 0n)
  const now = task.system.timekeeper.realtime()
  put(TIMEX.maxerror, WORST_ERROR)
  put(TIMEX.esterror, WORST_ERROR)
  timex.setInt32(TIMEX.status, STA_UNSYNC, true)
  put(TIMEX.constant, 2n)
  put(TIMEX.precision, 1n)
  put(TIMEX.tolerance, 32_768_000n)
  put(TIMEX.seconds, now / 1_000_000_000n)
  put(TIMEX.micros, (now % 1_000_000_000n) / 1000n)
  put(TIMEX.tick, 10_000n)
  const fault = task.memory.copyOut(at, new Uint8Array(timex.buffer))
  return fault < 0 ? fault : TIME_ERROR
}

const adjtimex = (task: Task, at: number): Result => {
  const timex = readTimex(task, at)
  return typeof timex === "number" ? timex : adjust(task, timex, at)
}

const clock_adjtime = (task: Task, clock: number, at: number): Result => {
  const timex = readTimex(task, at)
  if (typeof timex === "number") return timex
  if (clock === CLOCK_REALTIME) return adjust(task, timex, at)
  return readClock(task, clock) === undefined ? -EINVAL : -EOPNOTSUPP
}

const settimeofday = (task: Task, time: number, zone: number): Result => {
  const bytes = new Uint8Array(16)
  if (time !== 0) {
    if (task.memory.copyIn(time, bytes) < 0) return -EFAULT
    const micros = new DataView(bytes.buffer).getBigInt64(8, true)
    if (micros < 0n || micros > 999_999n) return -EINVAL
  }
  if (zone !== 0 && task.memory.copyIn(zone, bytes.subarray(0, 8)) < 0) return -EFAULT
  return -EPERM
}

const READ_ONLY = { partial: "changes are refused: the clock is the host's" }

export const sysAdjustTime: ReadonlyArray<Syscall> = [
  declare("adjtimex", [address("buf")], adjtimex, READ_ONLY),
  declare("clock_adjtime", [oneOf("clk_id", CLOCK_NAMES), address("buf")], clock_adjtime, READ_ONLY),
  declare("settimeofday", [address("tv"), address("tz")], settimeofday, READ_ONLY)
]
