/** The host's processes, as /proc shows them: to see that a sandbox leaves none behind. */
import { readdirSync, readFileSync } from "node:fs"

export interface HostProcess {
  readonly pid: number
  readonly parent: number
  readonly session: number
  readonly state: string
  /** Clock ticks after boot: with the pid, what makes a process unique. */
  readonly started: string
  readonly name: string
}

const read = (pid: string): HostProcess | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    const close = stat.lastIndexOf(")")
    const fields = stat.slice(close + 2).split(" ")
    return {
      pid: Number(pid),
      parent: Number(fields[1]),
      session: Number(fields[3]),
      state: fields[0] ?? "",
      started: fields[19] ?? "",
      name: stat.slice(stat.indexOf("(") + 1, close)
    }
  } catch {
    return undefined // it ended between the listing and the reading
  }
}

/** All processes, zombies included. */
export const processes = (): ReadonlyArray<HostProcess> =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(read)
    .filter((found) => found !== undefined)

/** `root` and everything below it, by parenthood or by session: a stub whose parent died keeps the session. */
export const tree = (root: number): ReadonlyArray<HostProcess> => {
  const all = processes()
  const members = new Set([root])
  for (let grew = true; grew;) {
    grew = false
    for (const found of all)
      if (!members.has(found.pid) && (members.has(found.parent) || found.session === root)) {
        members.add(found.pid)
        grew = true
      }
  }
  return all.filter((found) => members.has(found.pid))
}

/**
 * Those of `before` that still run: same pid, same start. A zombie does not: who dies after its parent is left to the
 * host's init, which takes its time.
 */
export const survivors = (before: ReadonlyArray<HostProcess>): ReadonlyArray<HostProcess> => {
  const now = new Map(processes().map((found) => [found.pid, found]))
  return before.filter(({ pid, started }) => {
    const found = now.get(pid)
    return found !== undefined && found.started === started && found.state !== "Z" && found.state !== "X"
  })
}
