/**
 * What a program inherits from whoever starts it, read from this process: identity, capabilities, resource limits. A
 * sandboxed program is to find what it would find natively.
 */
import { readFileSync } from "node:fs"
import { RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_NOFILE, type Rlimit } from "../Abi/Resource.ts"
import { ResourceLimits } from "../Task/ResourceLimits.ts"
import type { Credentials } from "../Vfs/Credentials.ts"
import { firstUserNamespace } from "../Vfs/UserNamespace.ts"

const readText = (path: string): string => {
  try {
    return readFileSync(path, "latin1")
  } catch {
    return "" // hidden or gone: whoever parses finds nothing and uses its default
  }
}

/** The identity of this process, credentials(7). */
export const hostCredentials = (): Credentials => {
  const status = readText("/proc/self/status")
  const ids = (name: string): ReadonlyArray<number> =>
    (new RegExp(`^${name}:\\s*(.*)$`, "m").exec(status)?.[1] ?? "0 0 0 0").trim().split(/\s+/).map(Number)
  const capabilities = (name: string): bigint =>
    BigInt(`0x${new RegExp(`^Cap${name}:\\s*([0-9a-f]+)$`, "m").exec(status)?.[1] ?? "0"}`)
  // not process.getgroups(), which adds the effective group
  const groups = (/^Groups:(.*)$/m.exec(status)?.[1] ?? "").trim()
  const [ruid = 0, euid = 0, suid = 0, fsuid = 0] = ids("Uid")
  const [rgid = 0, egid = 0, sgid = 0, fsgid = 0] = ids("Gid")
  return {
    userNamespace: firstUserNamespace,
    ruid,
    euid,
    suid,
    fsuid,
    rgid,
    egid,
    sgid,
    fsgid,
    groups: groups === "" ? [] : groups.split(/\s+/).map(Number),
    effective: capabilities("Eff"),
    permitted: capabilities("Prm"),
    inheritable: capabilities("Inh"),
    bounding: capabilities("Bnd"),
    ambient: capabilities("Amb")
  }
}

/** The lines of /proc/[pid]/limits in the order of their RLIMIT_ numbers. */
const LIMIT_LINES = [
  "cpu time",
  "file size",
  "data size",
  "stack size",
  "core file size",
  "resident set",
  "processes",
  "open files",
  "locked memory",
  "address space",
  "file locks",
  "pending signals",
  "msgqueue size",
  "nice priority",
  "realtime priority",
  "realtime timeout"
]

/** Limits as /proc/[pid]/limits shows them; a line that is missing is undefined. */
export const parseLimits = (text: string): ReadonlyArray<Rlimit | undefined> => {
  const value = (word: string): bigint => (word === "unlimited" ? RLIM_INFINITY : BigInt(word))
  const found = new Map<string, Rlimit>()
  for (const [, name = "", soft = "", hard = ""] of text.matchAll(/^Max (.+?) {2,}(unlimited|\d+) +(unlimited|\d+)/gm))
    found.set(name, { rlim_cur: value(soft), rlim_max: value(hard) })
  return LIMIT_LINES.map((name) => found.get(name))
}

/**
 * The limits of this process, getrlimit(2). Node raises its own soft limit of open files to the hard one as it starts,
 * so that one comes from our parent where it can be seen.
 */
export const hostLimits = (): ResourceLimits => {
  const own = parseLimits(readText("/proc/self/limits"))
  const openFiles = parseLimits(readText(`/proc/${process.ppid}/limits`))[RLIMIT_NOFILE]
  const defaults = new ResourceLimits()
  return new ResourceLimits(
    Array.from({ length: RLIM_NLIMITS }, (_, resource) => {
      const limit = own[resource] ?? defaults.get(resource)
      const { rlim_cur } = (resource === RLIMIT_NOFILE ? openFiles : undefined) ?? limit
      return { rlim_cur: rlim_cur < limit.rlim_max ? rlim_cur : limit.rlim_max, rlim_max: limit.rlim_max }
    })
  )
}

/** Parent, process group and session of a host process; undefined if it is gone or hidden. */
const family = (
  pid: number
): { readonly parent: number; readonly group: number; readonly session: number } | undefined => {
  const stat = readText(`/proc/${pid}/stat`)
  // the name in parentheses may hold anything, parentheses too
  const [, parent, group, session] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number)
  return parent === undefined || group === undefined || session === undefined ? undefined : { parent, group, session }
}

/**
 * Whether this process's group is looked after by a shell with job control: an ancestor outside the group, in the same
 * session. If not, the group is orphaned, and a stop signal from the terminal would not stop it.
 */
export const hasJobControlParent = (): boolean => {
  const own = family(process.pid)
  if (own === undefined) return false
  let at = own
  while (at.parent > 0) {
    const parent = family(at.parent)
    if (parent === undefined) return false
    if (parent.group !== own.group) return parent.session === own.session
    at = parent
  }
  return false
}
