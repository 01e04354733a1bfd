/**
 * Which actions of filters are worth an event: /proc/sys/kernel/seccomp, seccomp(2).
 */
import { EINVAL } from "../Abi/Errno.ts"
import { SECCOMP_ACTIONS, SECCOMP_RET_ALLOW } from "../Abi/Seccomp.ts"

const names = (actions: Iterable<readonly [name: string, action: number]>): string =>
  [...actions].map(([name]) => name).join(" ")

/** actions_avail. */
export const AVAILABLE_ACTIONS = names(SECCOMP_ACTIONS)

/** What is not in the list kills the process. */
export const actionName = (action: number): string =>
  SECCOMP_ACTIONS.find((known) => known[1] === action)?.[0] ?? "kill_process"

/** Actions that are logged whether or not their filter asks for it. */
const isLoggedUnasked = (action: number): boolean =>
  !["trap", "errno", "user_notif", "trace"].includes(actionName(action)) && action !== SECCOMP_RET_ALLOW

export class SeccompLog {
  #logged = SECCOMP_ACTIONS.filter(([, action]) => action !== SECCOMP_RET_ALLOW)

  /** actions_logged. */
  get names(): string {
    return names(this.#logged)
  }

  /** Replaces actions_logged: 0, or -EINVAL for an unknown name, or for "allow". */
  setNames(text: string): number {
    const given = text.split(" ")
    const end = given.indexOf("")
    const wanted = end < 0 ? given : given.slice(0, end)
    if (wanted.some((name) => name === "allow" || !SECCOMP_ACTIONS.some((known) => known[0] === name))) return -EINVAL
    this.#logged = SECCOMP_ACTIONS.filter(([name]) => wanted.includes(name))
    return 0
  }

  /** `requested`: the filter has SECCOMP_FILTER_FLAG_LOG. */
  covers(action: number, requested: boolean): boolean {
    if (!requested && !isLoggedUnasked(action)) return false
    const name = actionName(action)
    return this.#logged.some((logged) => logged[0] === name)
  }
}
