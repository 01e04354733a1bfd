/**
 * RLIMIT_CPU: SIGXCPU at the soft limit and each second after it, SIGKILL at the hard one.
 */
import { RLIMIT_CPU, RLIM_INFINITY } from "../Abi/Resource.ts"
import { SIGKILL, SIGXCPU, SI_KERNEL } from "../Abi/Signal.ts"
import { NANOS_PER_SECOND } from "../Abi/Time.ts"
import { ClockTimer } from "./ClockTimer.ts"
import type { System } from "./System.ts"
import { sendToGroup } from "./TaskSignals.ts"
import { groupCpuTime, type ThreadGroup } from "./ThreadGroup.ts"

/** The limit was set, or a new group has one: looks at the CPU time whenever it may be reached. Atomic. */
export const watchCpuLimit = (group: ThreadGroup, system: System): void => {
  const { rlim_cur, rlim_max } = group.limits.get(RLIMIT_CPU)
  const next = rlim_cur < rlim_max ? rlim_cur : rlim_max
  if (next === RLIM_INFINITY) {
    group.cpuLimitTimer?.set(undefined, 0n)
    return
  }
  group.cpuLimitTimer ??= new ClockTimer(
    system.timers,
    system.timekeeper,
    { now: () => groupCpuTime(group), isCpuClock: true },
    () => expire(group, system)
  )
  // a process that has used more than that already is told at once
  group.cpuLimitTimer.set(next * NANOS_PER_SECOND, 0n)
}

const expire = (group: ThreadGroup, system: System): void => {
  const { rlim_cur, rlim_max } = group.limits.get(RLIMIT_CPU)
  const used = groupCpuTime(group)
  if (rlim_max !== RLIM_INFINITY && used >= rlim_max * NANOS_PER_SECOND) {
    sendToGroup(group, { _tag: "Kill", signo: SIGKILL, code: SI_KERNEL, pid: 0, uid: 0 })
    return
  }
  if (used >= rlim_cur * NANOS_PER_SECOND) {
    sendToGroup(group, { _tag: "Kill", signo: SIGXCPU, code: SI_KERNEL, pid: 0, uid: 0 })
    // as Linux does: the soft limit itself grows, which getrlimit(2) shows
    group.limits.set(RLIMIT_CPU, { rlim_cur: rlim_cur + 1n, rlim_max })
  }
  watchCpuLimit(group, system)
}
